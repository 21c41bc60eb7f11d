//! The token of a question.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;
use vicar_nt::acl::Acl;
use vicar_nt::claim::{Claim, ClaimFlags, ClaimType, Value};
use vicar_nt::descriptor::{Dacl, Descriptor};
use vicar_nt::privilege::PrivilegeState;
use vicar_nt::token::{Builder, TokenState};
use vicar_nt::utf16::{Utf16, encode};
use vicar_nt::{GroupAttributes, ImpersonationLevel, IntegrityLevel, Privilege, Sid};

use super::case::{CaseError, read_hex, read_sid};

/// A token as it stands in a line. Everything that is not named here is an error: ignoring a field of a token could
/// grant what it takes away.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::command) struct TokenCase {
    user: String,
    #[serde(default)]
    user_attrs: Option<UserAttributes>,
    #[serde(default, deserialize_with = "null_is_default")]
    groups: Vec<GroupLine>,
    #[serde(default, deserialize_with = "null_is_default")]
    privileges: Vec<String>,
    #[serde(default)]
    restricted: Option<Vec<String>>,
    #[serde(default, deserialize_with = "null_is_default")]
    write_restricted: bool,
    #[serde(default)]
    appcontainer: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    capabilities: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    lpac: bool,
    #[serde(default = "medium")]
    il: Option<String>,
    #[serde(default = "no_write_up")]
    mandatory_policy: u32,
    #[serde(default)]
    trust: Option<String>,
    #[serde(default)]
    level: Option<LevelName>,
    #[serde(default, rename = "type")]
    kind: Option<KindName>,
    #[serde(default, deserialize_with = "null_is_default")]
    user_claims: BTreeMap<String, Json>,
    #[serde(default, deserialize_with = "null_is_default")]
    device_claims: BTreeMap<String, Json>,
    #[serde(default, deserialize_with = "null_is_default")]
    local_claims: BTreeMap<String, Json>,
    #[serde(default, deserialize_with = "null_is_default")]
    device_groups: Vec<GroupLine>,
    #[serde(default)]
    owner: Option<String>,
    #[serde(default)]
    primary_group: Option<String>,
    #[serde(default)]
    default_dacl: DefaultDacl,
    #[serde(default, deserialize_with = "null_is_default")]
    owner_groups: Vec<String>,
}

/// The DACL of what nobody gives one: not named, `null`, or text.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "Option<String>")]
enum DefaultDacl {
    #[default]
    Unnamed,
    None,
    Text(String),
}

impl From<Option<String>> for DefaultDacl {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::None, Self::Text)
    }
}

/// Takes `null` for a field that is not there.
fn null_is_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(value: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(value)?.unwrap_or_default())
}

/// Takes an object and nothing else: an array would be taken for its fields in their order.
pub(in crate::command) fn only_object<'de, D, T>(value: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let json = Json::deserialize(value)?;
    if !json.is_object() {
        return Err(serde::de::Error::custom("expected an object"));
    }
    T::deserialize(json).map_err(serde::de::Error::custom)
}

fn medium() -> Option<String> {
    Some("S-1-16-8192".to_owned())
}

const fn no_write_up() -> u32 {
    1
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum UserAttributes {
    Enabled,
    DenyOnly,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum GroupLine {
    Sid(String),
    Attributed(#[serde(deserialize_with = "only_object")] AttributedGroup),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttributedGroup {
    sid: String,
    attrs: Attributes,
}

#[derive(Clone, Copy, Debug, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[clap(rename_all = "snake_case")]
pub(super) enum Attributes {
    Enabled,
    Owner,
    DenyOnly,
    Disabled,
}

#[derive(Clone, Copy, Debug, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum LevelName {
    Anonymous,
    Identification,
    Impersonation,
    Delegation,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KindName {
    Primary,
    Impersonation,
}

impl LevelName {
    pub(super) const fn level(self) -> ImpersonationLevel {
        match self {
            Self::Anonymous => ImpersonationLevel::Anonymous,
            Self::Identification => ImpersonationLevel::Identification,
            Self::Impersonation => ImpersonationLevel::Impersonation,
            Self::Delegation => ImpersonationLevel::Delegation,
        }
    }
}

impl Attributes {
    pub(super) const fn attributes(self) -> GroupAttributes {
        match self {
            Self::Enabled => GroupAttributes::ALWAYS_ENABLED,
            Self::Owner => GroupAttributes::ALWAYS_ENABLED.union(GroupAttributes::OWNER),
            Self::DenyOnly => GroupAttributes::USE_FOR_DENY_ONLY,
            Self::Disabled => GroupAttributes::empty(),
        }
    }
}

impl GroupLine {
    fn read(&self, what: &str, domain: Option<&Sid>) -> Result<(Sid, GroupAttributes), CaseError> {
        match self {
            Self::Sid(text) => Ok((read_sid(what, text, domain)?, GroupAttributes::ALWAYS_ENABLED)),
            Self::Attributed(group) => Ok((read_sid(what, &group.sid, domain)?, group.attrs.attributes())),
        }
    }
}

impl TokenCase {
    /// A token with a user and nothing else.
    pub(in crate::command) fn of(user: &str) -> Result<Self, CaseError> {
        let line = serde_json::json!({ "user": user });
        Self::deserialize(&line).map_err(|error| CaseError::wrong("user", error))
    }

    /// Returns the token as that of somebody who creates an object: with what `--help` says it has when it is not named.
    pub(in crate::command) fn read_creator(&self, domain: Option<&Sid>) -> Result<TokenState, CaseError> {
        let mut token = self.builder(domain)?;
        let user = read_sid("user", &self.user, domain)?;
        if self.primary_group.is_none() {
            token = token.primary_group(group_of(&user));
        }
        if let DefaultDacl::Unnamed = self.default_dacl {
            token = token.default_dacl(read_default_dacl("D:(A;;GA;;;SY)(A;;GR;;;BA)", domain)?);
        }
        token.build().map_err(|error| CaseError::wrong("token", error))
    }

    /// Returns the token, and the level it is impersonated at unless it is a process's own.
    pub(super) fn read(&self, domain: Option<&Sid>) -> Result<(TokenState, Option<ImpersonationLevel>), CaseError> {
        let of_creators = [
            ("owner", self.owner.is_some()),
            ("primary_group", self.primary_group.is_some()),
            ("default_dacl", !matches!(self.default_dacl, DefaultDacl::Unnamed)),
            ("owner_groups", !self.owner_groups.is_empty()),
        ];
        if let Some((name, _)) = of_creators.iter().find(|(_, is_named)| *is_named) {
            return Err(CaseError::wrong(
                "token",
                format!("unknown field `{name}`: an access check does not look at it"),
            ));
        }
        let level = match self.kind {
            Some(KindName::Primary) => None,
            None | Some(KindName::Impersonation) => {
                Some(self.level.map_or(ImpersonationLevel::Impersonation, LevelName::level))
            }
        };
        Ok((self.builder(domain)?.build().map_err(|error| CaseError::wrong("token", error))?, level))
    }

    fn builder(&self, domain: Option<&Sid>) -> Result<Builder, CaseError> {
        let sid = |what: &str, text: &str| read_sid(what, text, domain);
        let mut token = TokenState::builder(sid("user", &self.user)?).mandatory_policy(self.mandatory_policy);
        if let Some(UserAttributes::DenyOnly) = self.user_attrs {
            token = token.user_deny_only();
        }
        for group in &self.groups {
            let (sid, attributes) = group.read("groups", domain)?;
            token = token.group(sid, attributes);
        }
        for name in &self.privileges {
            token = token.privilege(read_privilege(name)?, PrivilegeState::Enabled);
        }
        for text in self.restricted.iter().flatten() {
            token = token.restricting(sid("restricted", text)?);
        }
        if self.write_restricted {
            token = token.write_restricted();
        }
        if let Some(text) = &self.appcontainer {
            token = token.app_container(sid("appcontainer", text)?);
        }
        for text in &self.capabilities {
            token = token.capability(sid("capabilities", text)?);
        }
        if self.lpac {
            token = token.less_privileged();
        }
        token = match &self.il {
            Some(text) => token.integrity(read_level(text)?),
            None => token.no_integrity(),
        };
        if let Some(text) = &self.trust {
            token = token.trust(sid("trust", text)?);
        }
        token = add_claims(token, &self.user_claims, Builder::user_claim)?;
        token = add_claims(token, &self.device_claims, Builder::device_claim)?;
        token = add_claims(token, &self.local_claims, Builder::local_claim)?;
        for group in &self.device_groups {
            let (sid, attributes) = group.read("device_groups", domain)?;
            token = token.device_group(sid, attributes);
        }
        for text in &self.owner_groups {
            token = token.group(sid("owner_groups", text)?, Attributes::Owner.attributes());
        }
        if let Some(text) = &self.owner {
            token = token.owner(sid("owner", text)?);
        }
        if let Some(text) = &self.primary_group {
            token = token.primary_group(sid("primary_group", text)?);
        }
        if let DefaultDacl::Text(text) = &self.default_dacl {
            token = token.default_dacl(read_default_dacl(text, domain)?);
        }
        Ok(token)
    }
}

/// The primary group of a user of a domain is that of its users, 513; of anybody else, it is the user.
fn group_of(user: &Sid) -> Sid {
    let mut subs: Vec<u32> = user.sub_authorities().collect();
    match (user.authority(), subs.first().copied(), subs.last_mut()) {
        (5, Some(21), Some(rid)) => {
            *rid = 513;
            Sid::new(5, &subs).unwrap_or(*user)
        }
        _ => *user,
    }
}

/// Reads a DACL as the text of a descriptor, or the bytes of a descriptor or of the list alone in hexadecimal.
fn read_default_dacl(text: &str, domain: Option<&Sid>) -> Result<Acl, CaseError> {
    let wrong = |why: &dyn std::fmt::Display| CaseError::wrong("default_dacl", why);
    let is_hex = text.starts_with(|c: char| c.is_ascii_digit());
    let descriptor = if is_hex {
        let bytes = read_hex("default_dacl", text)?;
        if bytes.first() != Some(&1) {
            return Acl::parse(&bytes).map_err(|error| wrong(&error));
        }
        Descriptor::parse(&bytes).map_err(|error| wrong(&error))?
    } else {
        vicar_nt::sddl::parse(text, domain).map_err(|error| wrong(&error))?
    };
    match descriptor.as_ref().dacl() {
        Dacl::List(list) => Ok(list.to_acl()),
        Dacl::Absent | Dacl::Null => Err(wrong(&"expected a list")),
    }
}

/// Reads a privilege by its NT name, with or without `Se` and `Privilege` around it.
pub(super) fn read_privilege(name: &str) -> Result<Privilege, CaseError> {
    let found = name.parse().or_else(|_| format!("Se{name}Privilege").parse());
    found.map_err(|_| CaseError::Wrong(format!("privileges: no privilege is called {name}")))
}

/// Reads an integrity level as a SID or its alias.
pub(super) fn read_level(text: &str) -> Result<IntegrityLevel, CaseError> {
    let sid = read_sid("il", text, None)?;
    IntegrityLevel::parse_sid(sid.as_ref()).ok_or(CaseError::wrong("il", "expected S-1-16-x"))
}

fn add_claims(
    mut token: Builder,
    claims: &BTreeMap<String, Json>,
    add: fn(Builder, Claim) -> Builder,
) -> Result<Builder, CaseError> {
    for (name, json) in claims {
        if let Some(claim) = read_claim(name, json)? {
            token = add(token, claim);
        }
    }
    Ok(token)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedClaim {
    #[serde(rename = "type")]
    kind: u16,
    #[serde(default)]
    flags: u32,
    values: Vec<Json>,
}

/// A value that owns what it refers to.
enum Owned {
    Number(i128),
    Truth(bool),
    Text(Vec<u8>),
    Sid(Sid),
    Octets(Vec<u8>),
}

impl Owned {
    fn borrow(&self) -> Option<Value<'_>> {
        match self {
            Self::Number(number) => Some(Value::Integer(*number)),
            Self::Truth(truth) => Some(Value::Boolean(*truth)),
            Self::Text(text) => Utf16::from_bytes(text).map(Value::Text),
            Self::Sid(sid) => Some(Value::Sid(sid.as_ref())),
            Self::Octets(octets) => Some(Value::Octets(octets)),
        }
    }
}

/// Reads a claim; one without values is not there.
fn read_claim(name: &str, json: &Json) -> Result<Option<Claim>, CaseError> {
    let wrong = |why: &dyn std::fmt::Display| CaseError::Wrong(format!("claim {name}: {why}"));
    let (kind, flags, values) = match json {
        Json::Object(_) => {
            let typed = TypedClaim::deserialize(json).map_err(|error| wrong(&error))?;
            let kind = ClaimType::from_number(typed.kind);
            let kind = kind.ok_or_else(|| wrong(&format_args!("type {} is not supported", typed.kind)))?;
            (Some(kind), ClaimFlags::from_bits_retain(typed.flags), typed.values)
        }
        Json::Array(values) => (None, ClaimFlags::empty(), values.clone()),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            (None, ClaimFlags::empty(), vec![json.clone()])
        }
    };
    let Some(first) = values.first() else { return Ok(None) };
    let kind = match kind {
        Some(kind) => kind,
        None => guess(first).ok_or_else(|| wrong(&"expected a number, text, or a truth value"))?,
    };
    let values = values.iter().map(|value| read_value(kind, value)).collect::<Option<Vec<Owned>>>();
    let values = values.ok_or_else(|| wrong(&"a value does not have the claim's type"))?;
    let values: Vec<Value<'_>> = values.iter().filter_map(Owned::borrow).collect();
    let encoded = encode(name);
    let encoded = Utf16::from_bytes(&encoded).ok_or_else(|| wrong(&"name"))?;
    Claim::new(encoded, kind, flags, &values).map(Some).map_err(|error| wrong(&error))
}

/// The type of a value that comes without one.
fn guess(value: &Json) -> Option<ClaimType> {
    match value {
        Json::Bool(_) => Some(ClaimType::Boolean),
        Json::Number(number) if number.is_i64() => Some(ClaimType::Int64),
        Json::Number(number) if number.is_u64() => Some(ClaimType::Uint64),
        Json::String(text) if sid_in(text).is_some() => Some(ClaimType::Sid),
        Json::String(_) => Some(ClaimType::Text),
        Json::Number(_) | Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

fn sid_in(text: &str) -> Option<&str> {
    text.strip_prefix("SID(")?.strip_suffix(')')
}

fn read_value(kind: ClaimType, value: &Json) -> Option<Owned> {
    let number = || value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    match kind {
        ClaimType::Int64 | ClaimType::Uint64 => number().map(Owned::Number),
        ClaimType::Boolean => match (value.as_bool(), number()) {
            (Some(truth), _) => Some(Owned::Truth(truth)),
            (None, Some(0)) => Some(Owned::Truth(false)),
            (None, Some(1)) => Some(Owned::Truth(true)),
            (None, _) => None,
        },
        ClaimType::Text => value.as_str().map(encode).map(Owned::Text),
        ClaimType::Sid => {
            let text = value.as_str()?;
            read_sid("claim", sid_in(text).unwrap_or(text), None).ok().map(Owned::Sid)
        }
        ClaimType::Octets => {
            let text = value.as_str()?;
            read_hex("claim", text.strip_prefix('#').unwrap_or(text)).ok().map(Owned::Octets)
        }
    }
}

//! The token of a question.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;
use vicar_nt::acl::Acl;
use vicar_nt::descriptor::{Dacl, Descriptor};
use vicar_nt::privilege::PrivilegeState;
use vicar_nt::token::{Builder, TokenState};
use vicar_nt::{GroupAttributes, ImpersonationLevel, IntegrityLevel, Privilege, Sid};

use super::case::{CaseError, read_hex, read_sid};
use super::claim::add_claims;

/// A token as it stands in a line. Everything that is not named here is an error: ignoring a field of a token could
/// grant what it takes away.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::command) struct TokenCase {
    user: String,
    #[serde(default, deserialize_with = "only_text")]
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
    #[serde(default, deserialize_with = "only_text")]
    level: Option<LevelName>,
    #[serde(default, rename = "type", deserialize_with = "only_text")]
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

/// Takes a word, or `null` for none: a map would be taken for its only field.
pub(super) fn only_text<'de, D, T>(value: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let word = Json::deserialize(value)?;
    match &word {
        Json::Null => Ok(None),
        Json::String(_) => T::deserialize(word).map(Some).map_err(serde::de::Error::custom),
        Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
            Err(serde::de::Error::custom(format!("{word}: expected a word")))
        }
    }
}

/// Takes `null` for a field that is not there.
pub(super) fn null_is_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(
    value: D,
) -> Result<T, D::Error> {
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
    #[serde(deserialize_with = "only_text")]
    attrs: Option<Attributes>,
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
            Self::Attributed(group) => Ok((
                read_sid(what, &group.sid, domain)?,
                group.attrs.map_or(GroupAttributes::ALWAYS_ENABLED, Attributes::attributes),
            )),
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

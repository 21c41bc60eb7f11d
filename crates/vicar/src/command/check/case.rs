//! One question to the access check, as a line of JSON or as flags.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;
use vicar_nt::check::{
    AccessRequest, Api, CentralPolicy, CentralRule, CheckOptions, ObjectType, Subject, UnknownCentralPolicy,
};
use vicar_nt::descriptor::Descriptor;
use vicar_nt::token::TokenState;
use vicar_nt::{GenericMapping, Guid, ImpersonationLevel, NtStatus, ParseError, Readings, RequestedMask, Sid, sddl};

use super::token::{TokenCase, null_is_default, only_object, only_text};
use crate::command::sddl::point_at;
use crate::exit::Exit;

/// A question as it stands in a line. What is not named here is notes, and ignored.
#[derive(Debug, Deserialize)]
pub(super) struct CaseLine {
    #[serde(default)]
    sddl: Option<String>,
    #[serde(default)]
    sd_hex: Option<String>,
    #[serde(default)]
    domain: Option<String>,
    desired: Mask,
    #[serde(default)]
    mapping: Option<MappingName>,
    #[serde(default, deserialize_with = "only_text")]
    api: Option<ApiName>,
    #[serde(default)]
    previous: Option<Mask>,
    #[serde(default)]
    object_types: Option<Vec<(u16, String)>>,
    #[serde(default, deserialize_with = "null_is_default")]
    result_list: bool,
    #[serde(default)]
    self_sid: Option<String>,
    #[serde(default)]
    caps: Option<BTreeMap<String, Vec<RuleObject>>>,
    #[serde(deserialize_with = "only_object")]
    token: TokenCase,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleLine {
    sd_hex: String,
    #[serde(default)]
    applies_hex: Option<String>,
}

/// A rule, as an object only.
#[derive(Debug, Deserialize)]
struct RuleObject(#[serde(deserialize_with = "only_object")] RuleLine);

/// A number, as a number or as text.
#[derive(Debug)]
pub(in crate::command) enum Mask {
    Number(u32),
    Text(String),
}

impl<'de> Deserialize<'de> for Mask {
    fn deserialize<D: serde::Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        let json = Json::deserialize(value)?;
        let number = json.as_u64().and_then(|number| u32::try_from(number).ok());
        let text = json.as_str().map(|text| Self::Text(text.to_owned()));
        let mask = text.or(number.map(Self::Number));
        mask.ok_or_else(|| serde::de::Error::custom(format!("{json}: expected a 32-bit number")))
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(in crate::command) enum MappingName {
    Name(String),
    Masks([Mask; 4]),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ApiName {
    Kernel,
    User,
}

#[derive(Debug)]
struct Rule {
    descriptor: Descriptor,
    applies: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Policy {
    id: Sid,
    rules: Vec<Rule>,
}

/// A question that owns everything it asks about.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) descriptor: Descriptor,
    pub(super) desired: RequestedMask,
    pub(super) mapping: GenericMapping,
    pub(super) api: Api,
    pub(super) previous: RequestedMask,
    pub(super) object_types: Vec<ObjectType>,
    pub(super) wants_each: bool,
    pub(super) self_sid: Option<Sid>,
    policies: Vec<Policy>,
    pub(super) token: TokenState,
    /// `None` asks with the token as a process's own.
    pub(super) level: Option<ImpersonationLevel>,
    /// The server that asks.
    server: TokenState,
    /// The rules that are read the other way.
    readings: Readings,
}

/// Why there is no question.
#[derive(Debug)]
pub(in crate::command) enum CaseError {
    /// The line or the flags are wrong.
    Wrong(String),
    /// A text is not a descriptor.
    Text {
        /// Which text.
        what: String,
        /// The text.
        text: String,
        /// Where and how it is wrong.
        error: sddl::SddlError,
    },
    /// The descriptor's bytes are not one: the answer is a status.
    Malformed(ParseError),
}

impl CaseError {
    pub(in crate::command) fn wrong(what: &str, why: impl std::fmt::Display) -> Self {
        Self::Wrong(format!("{what}: {why}"))
    }

    /// Returns the status NT answers, when it would answer one.
    pub(in crate::command) fn status(&self) -> Option<NtStatus> {
        match self {
            Self::Wrong(_) | Self::Text { .. } => None,
            Self::Malformed(error) => Some(error.status()),
        }
    }

    /// Says to people what is wrong, with a mark below the place in a text.
    pub(in crate::command) fn show(&self, program: &str) -> Exit {
        eprintln!("{program}: {self}");
        if let Self::Text { text, error, .. } = self {
            point_at(text, error);
        }
        Exit::CannotRun
    }
}

impl std::fmt::Display for CaseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wrong(why) => f.write_str(why),
            Self::Text { what, error, .. } => write!(f, "{what}: {error}"),
            Self::Malformed(error) => write!(f, "sd_hex: {error}"),
        }
    }
}

/// What a question made of flags needs beyond its token.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) descriptor: Descriptor,
    pub(super) desired: RequestedMask,
    pub(super) mapping: GenericMapping,
    pub(super) api: Api,
    pub(super) previous: RequestedMask,
    pub(super) object_types: Vec<ObjectType>,
    pub(super) self_sid: Option<Sid>,
    pub(super) token: TokenState,
    pub(super) level: Option<ImpersonationLevel>,
    pub(super) readings: Readings,
}

impl Case {
    pub(super) fn from_parts(parts: Parts) -> Result<Self, CaseError> {
        let server = TokenState::builder(vicar_nt::well_known::NULL).build();
        Ok(Self {
            descriptor: parts.descriptor,
            desired: parts.desired,
            mapping: parts.mapping,
            api: parts.api,
            previous: parts.previous,
            object_types: parts.object_types,
            wants_each: false,
            self_sid: parts.self_sid,
            policies: Vec::new(),
            token: parts.token,
            level: parts.level,
            server: server.map_err(|error| CaseError::wrong("server", error))?,
            readings: parts.readings,
        })
    }

    pub(super) fn from_line(line: CaseLine, readings: Readings) -> Result<Self, CaseError> {
        let domain = line.domain.as_deref().map(|text| read_sid("domain", text, None)).transpose()?;
        let domain = domain.as_ref();
        let descriptor = match (&line.sd_hex, &line.sddl) {
            (Some(hex), _) => Descriptor::parse(&read_hex("sd_hex", hex)?).map_err(CaseError::Malformed)?,
            (None, Some(text)) => read_sddl("sddl", text, domain, readings)?,
            (None, None) => return Err(CaseError::Wrong("neither sddl nor sd_hex".to_owned())),
        };
        let object_types = line.object_types.unwrap_or_default();
        let object_types = object_types.iter().map(|(level, guid)| read_object_type(*level, guid));
        let policies = line.caps.unwrap_or_default();
        let policies = policies.iter().map(|(id, rules)| {
            let rules = rules.iter().map(|rule| rule.0.read()).collect::<Result<_, CaseError>>()?;
            Ok(Policy { id: read_sid("caps", id, domain)?, rules })
        });
        let (token, level) = line.token.read(domain)?;
        let parts = Parts {
            descriptor,
            desired: line.desired.read("desired")?,
            mapping: line.mapping.map_or(Ok(GenericMapping::FILE), |mapping| mapping.read())?,
            api: match line.api {
                None | Some(ApiName::Kernel) => Api::SeAccessCheck,
                Some(ApiName::User) => Api::NtAccessCheck,
            },
            previous: line.previous.map_or(Ok(RequestedMask::NONE), |mask| mask.read("previous"))?,
            object_types: object_types.collect::<Result<_, CaseError>>()?,
            self_sid: line.self_sid.as_deref().map(|text| read_sid("self_sid", text, domain)).transpose()?,
            token,
            level,
            readings,
        };
        let policies = policies.collect::<Result<_, CaseError>>()?;
        Ok(Self { policies, wants_each: line.result_list, ..Self::from_parts(parts)? })
    }

    /// Hands the question to `ask`.
    pub(super) fn ask<R>(&self, ask: impl FnOnce(&AccessRequest<'_>) -> R) -> R {
        let rules: Vec<Vec<CentralRule<'_>>> =
            self.policies.iter().map(|policy| policy.rules.iter().map(Rule::borrow).collect()).collect();
        let policies: Vec<CentralPolicy<'_>> = self
            .policies
            .iter()
            .zip(&rules)
            .map(|(policy, rules)| CentralPolicy { id: policy.id.as_ref(), rules })
            .collect();
        let subject = match self.level {
            Some(level) => Subject::client(&self.token, level, &self.server),
            None => Subject::itself(&self.token),
        };
        let mut options = CheckOptions { readings: self.readings, ..CheckOptions::STANDARD };
        // A case gives all the policies there are.
        options.unknown_central_policy = UnknownCentralPolicy::NoPolicy;
        ask(&AccessRequest {
            previously_granted: self.previous,
            api: self.api,
            object_types: &self.object_types,
            self_sid: self.self_sid.as_ref().map(Sid::as_ref),
            policies: &policies,
            options,
            ..AccessRequest::new(subject, self.descriptor.as_ref(), self.desired, self.mapping)
        })
    }
}

impl Rule {
    fn borrow(&self) -> CentralRule<'_> {
        CentralRule { applies: self.applies.as_deref(), descriptor: self.descriptor.as_ref(), proposed: None }
    }
}

impl RuleLine {
    fn read(&self) -> Result<Rule, CaseError> {
        let bytes = read_hex("caps sd_hex", &self.sd_hex)?;
        let descriptor = Descriptor::parse(&bytes).map_err(|error| CaseError::wrong("caps sd_hex", error))?;
        let applies = self.applies_hex.as_deref().map(|hex| read_hex("caps applies_hex", hex)).transpose()?;
        Ok(Rule { descriptor, applies })
    }
}

impl Mask {
    pub(in crate::command) fn read(&self, what: &str) -> Result<RequestedMask, CaseError> {
        match self {
            Self::Number(number) => Ok(RequestedMask(*number)),
            Self::Text(text) => read_mask(what, text),
        }
    }
}

impl MappingName {
    pub(in crate::command) fn read(&self) -> Result<GenericMapping, CaseError> {
        match self {
            Self::Name(name) => read_mapping(name),
            Self::Masks([read, write, execute, all]) => Ok(GenericMapping::of(
                read.read("mapping")?.0,
                write.read("mapping")?.0,
                execute.read("mapping")?.0,
                all.read("mapping")?.0,
            )),
        }
    }
}

/// Reads a mapping by name, or as four numbers with commas.
pub(in crate::command) fn read_mapping(text: &str) -> Result<GenericMapping, CaseError> {
    Ok(match text {
        "none" => GenericMapping::NONE,
        "file" => GenericMapping::FILE,
        "registry" => GenericMapping::REGISTRY,
        "mutant" => GenericMapping::MUTANT,
        "process" => GenericMapping::PROCESS,
        "directory" => GenericMapping::OBJECT_DIRECTORY,
        "ds" => GenericMapping::DIRECTORY_SERVICE,
        "test" => GenericMapping::of(0x2_1001, 0x2_2002, 0x2_4004, 0x1F_800F),
        _ => {
            let masks = text.split(',').map(|mask| read_mask("mapping", mask)).collect::<Result<Vec<_>, _>>()?;
            match masks[..] {
                [read, write, execute, all] => GenericMapping::of(read.0, write.0, execute.0, all.0),
                _ => return Err(CaseError::wrong("mapping", "neither a known name nor four numbers")),
            }
        }
    })
}

/// Reads a number, which has no sign, or two-letter rights.
pub(in crate::command) fn read_mask(what: &str, text: &str) -> Result<RequestedMask, CaseError> {
    let text = text.trim();
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    if hex.is_none() && text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return sddl::parse_rights(text).map_err(|error| CaseError::wrong(what, error));
    }
    let (digits, base) = hex.map_or((text, 10), |hex| (hex, 16));
    let number = if digits.starts_with('+') { None } else { u32::from_str_radix(digits, base).ok() };
    number.map(RequestedMask).ok_or(CaseError::wrong(what, "expected a 32-bit number"))
}

pub(in crate::command) fn read_sddl(
    what: &str,
    text: &str,
    domain: Option<&Sid>,
    readings: Readings,
) -> Result<Descriptor, CaseError> {
    let wrong = |error| CaseError::Text { what: what.to_owned(), text: text.to_owned(), error };
    sddl::parse_by(text, domain, readings).map_err(wrong)
}

pub(in crate::command) fn read_sid(what: &str, text: &str, domain: Option<&Sid>) -> Result<Sid, CaseError> {
    sddl::parse_sid(text, domain).map_err(|error| CaseError::wrong(what, error))
}

pub(in crate::command) fn read_object_type(level: u16, guid: &str) -> Result<ObjectType, CaseError> {
    let bare = guid.strip_prefix('{').and_then(|guid| guid.strip_suffix('}'));
    let guid: Guid = bare.unwrap_or(guid).parse().map_err(|error| CaseError::wrong("object_types", error))?;
    Ok(ObjectType { level, guid })
}

/// Reads pairs of hexadecimal digits; white space may stand anywhere.
pub(in crate::command) fn read_hex(what: &str, text: &str) -> Result<Vec<u8>, CaseError> {
    crate::command::sddl::from_hex(text).ok_or(CaseError::wrong(what, "expected pairs of hexadecimal digits"))
}

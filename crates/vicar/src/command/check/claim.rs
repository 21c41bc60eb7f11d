//! The claims of a token.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;
use vicar_nt::Sid;
use vicar_nt::claim::{Claim, ClaimFlags, ClaimType, Value};
use vicar_nt::token::Builder;
use vicar_nt::utf16::{Utf16, encode};

use super::case::{CaseError, read_hex, read_sid};

pub(super) fn add_claims(
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

/// A value of type 4: a program, by its fully qualified binary name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Program {
    version: u64,
    name: String,
}

/// A value that owns what it refers to.
enum Owned {
    Number(i128),
    Truth(bool),
    Text(Vec<u8>),
    Fqbn(u64, Vec<u8>),
    Sid(Sid),
    Octets(Vec<u8>),
}

impl Owned {
    fn borrow(&self) -> Option<Value<'_>> {
        match self {
            Self::Number(number) => Some(Value::Integer(*number)),
            Self::Truth(truth) => Some(Value::Boolean(*truth)),
            Self::Text(text) => Utf16::from_bytes(text).map(Value::Text),
            Self::Fqbn(version, name) => Utf16::from_bytes(name).map(|name| Value::Fqbn { version: *version, name }),
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
        ClaimType::Fqbn => {
            let program = Program::deserialize(value).ok().filter(|_| value.is_object())?;
            Some(Owned::Fqbn(program.version, encode(&program.name)))
        }
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

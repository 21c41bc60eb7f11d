//! A row of `vectors/check` as a question.

use serde_json::Value as Json;
use vicar_nt::check::{
    AccessRequest, Api, CentralPolicy, CentralRule, CheckOptions, ObjectType, Subject, UnknownCentralPolicy,
};
use vicar_nt::claim::{Claim, ClaimFlags, ClaimType, Value};
use vicar_nt::descriptor::Descriptor;
use vicar_nt::privilege::PrivilegeState;
use vicar_nt::token::{Builder, TokenState};
use vicar_nt::utf16::{Utf16, encode};
use vicar_nt::{
    GenericMapping, GroupAttributes, ImpersonationLevel, IntegrityLevel, RequestedMask, Sid, sddl, well_known,
};

/// Reads every row of a file, or of all files of a directory, below `vectors/`.
pub(crate) fn rows(path: &str) -> Vec<Json> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors").join(path);
    let mut files: Vec<_> = match std::fs::read_dir(&path) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => vec![path],
    };
    files.sort();
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).expect("a vector file")).collect();
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// Pairs of hexadecimal digits.
pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn sid(json: &Json) -> Sid {
    json.as_str().unwrap().parse().unwrap()
}

fn list(json: &Json) -> Vec<Json> {
    json.as_array().cloned().unwrap_or_default()
}

fn hex32(json: &Json) -> RequestedMask {
    RequestedMask(u32::from_str_radix(json.as_str().unwrap().strip_prefix("0x").unwrap(), 16).unwrap())
}

fn mapping(json: &Json) -> GenericMapping {
    match json.as_str() {
        None | Some("file") => GenericMapping::FILE,
        Some("registry") => GenericMapping::REGISTRY,
        Some("ds") => GenericMapping::DIRECTORY_SERVICE,
        Some("test") => GenericMapping::of(0x2_1001, 0x2_2002, 0x2_4004, 0x1F_800F),
        Some(other) => panic!("mapping {other}"),
    }
}

fn group(json: &Json) -> (Sid, GroupAttributes) {
    if json.is_string() {
        return (sid(json), GroupAttributes::ALWAYS_ENABLED);
    }
    let attributes = match json["attrs"].as_str().unwrap() {
        "deny_only" => GroupAttributes::USE_FOR_DENY_ONLY,
        "disabled" => GroupAttributes::empty(),
        other => panic!("attributes {other}"),
    };
    (sid(&json["sid"]), attributes)
}

fn claim(name: &str, json: &Json) -> Claim {
    let (values, flags) = match json.get("values") {
        Some(values) => (list(values), json["flags"].as_u64().unwrap_or(0)),
        None => (list(json), 0),
    };
    let texts: Vec<Vec<u8>> = values.iter().map(|value| encode(value.as_str().unwrap_or(""))).collect();
    let kind = if values[0].is_string() { ClaimType::Text } else { ClaimType::Int64 };
    let values: Vec<Value<'_>> = values
        .iter()
        .zip(&texts)
        .map(|(value, text)| match value.as_i64() {
            Some(number) => Value::Integer(number.into()),
            None => Value::Text(Utf16::from_bytes(text).unwrap()),
        })
        .collect();
    let flags = ClaimFlags::from_bits_retain(u32::try_from(flags).unwrap());
    Claim::new(Utf16::from_bytes(&encode(name)).unwrap(), kind, flags, &values).unwrap()
}

fn claims(mut token: Builder, json: &Json, add: fn(Builder, Claim) -> Builder) -> Builder {
    for (name, value) in json.as_object().into_iter().flatten() {
        token = add(token, claim(name, value));
    }
    token
}

fn token(json: &Json) -> TokenState {
    let mut token = TokenState::builder(sid(&json["user"]));
    if json["user_attrs"] == "deny_only" {
        token = token.user_deny_only();
    }
    for entry in list(&json["groups"]) {
        let (sid, attributes) = group(&entry);
        token = token.group(sid, attributes);
    }
    for name in list(&json["privileges"]) {
        token = token.privilege(name.as_str().unwrap().parse().unwrap(), PrivilegeState::Enabled);
    }
    for entry in list(&json["restricted"]) {
        token = token.restricting(sid(&entry));
    }
    if json["write_restricted"] == true {
        token = token.write_restricted();
    }
    if json["appcontainer"].is_string() {
        token = token.app_container(sid(&json["appcontainer"]));
    }
    for entry in list(&json["capabilities"]) {
        token = token.capability(sid(&entry));
    }
    if json["lpac"] == true {
        token = token.less_privileged();
    }
    if json["il"].is_string() {
        token = token.integrity(IntegrityLevel::parse_sid(sid(&json["il"]).as_ref()).unwrap());
    }
    if let Some(policy) = json["mandatory_policy"].as_u64() {
        token = token.mandatory_policy(u32::try_from(policy).unwrap());
    }
    if json["trust"].is_string() {
        token = token.trust(sid(&json["trust"]));
    }
    for entry in list(&json["device_groups"]) {
        let (sid, attributes) = group(&entry);
        token = token.device_group(sid, attributes);
    }
    token = claims(token, &json["user_claims"], Builder::user_claim);
    token = claims(token, &json["device_claims"], Builder::device_claim);
    token = claims(token, &json["local_claims"], Builder::local_claim);
    token.build().unwrap()
}

/// A rule's descriptor, and the condition under which it applies.
type OwnedRule = (Descriptor, Option<Vec<u8>>);

/// Hands the question of a row to `ask`.
pub(crate) fn ask<R>(row: &Json, ask: impl FnOnce(&AccessRequest<'_>) -> R) -> R {
    let descriptor = sddl::parse(row["sddl"].as_str().unwrap(), None).unwrap();
    let token = token(&row["token"]);
    let server = TokenState::builder(well_known::NULL).build().unwrap();
    let level = match row["token"]["level"].as_str() {
        None | Some("impersonation") => ImpersonationLevel::Impersonation,
        Some("delegation") => ImpersonationLevel::Delegation,
        Some("identification") => ImpersonationLevel::Identification,
        Some("anonymous") => ImpersonationLevel::Anonymous,
        Some(other) => panic!("level {other}"),
    };
    let subject = match row["token"]["type"].as_str() {
        Some("primary") => Subject::itself(&token),
        _ => Subject::client(&token, level, &server),
    };
    let object_types: Vec<ObjectType> = list(&row["object_types"])
        .iter()
        .map(|node| ObjectType {
            level: u16::try_from(node[0].as_u64().unwrap()).unwrap(),
            guid: node[1].as_str().unwrap().parse().unwrap(),
        })
        .collect();
    let policies: Vec<(Sid, Vec<OwnedRule>)> = row["caps"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(id, rules)| {
            let rules = list(rules);
            let rules = rules.iter().map(|rule| {
                let descriptor = Descriptor::parse(&bytes(rule["sd_hex"].as_str().unwrap())).unwrap();
                (descriptor, rule["applies_hex"].as_str().map(bytes))
            });
            (id.parse().unwrap(), rules.collect())
        })
        .collect();
    let rules: Vec<Vec<CentralRule<'_>>> = policies
        .iter()
        .map(|(_, rules)| {
            rules
                .iter()
                .map(|(sd, applies)| CentralRule {
                    applies: applies.as_deref(),
                    descriptor: sd.as_ref(),
                    proposed: None,
                })
                .collect()
        })
        .collect();
    let policies: Vec<CentralPolicy<'_>> =
        policies.iter().zip(&rules).map(|((id, _), rules)| CentralPolicy { id: id.as_ref(), rules }).collect();
    let self_sid = row["self_sid"].as_str().map(|text| text.parse::<Sid>().unwrap());
    let desired = hex32(&row["desired"]);
    ask(&AccessRequest {
        previously_granted: row.get("previous").map_or(RequestedMask::NONE, hex32),
        api: if row["api"] == "user" { Api::NtAccessCheck } else { Api::SeAccessCheck },
        object_types: &object_types,
        self_sid: self_sid.as_ref().map(Sid::as_ref),
        policies: &policies,
        options: CheckOptions { unknown_central_policy: UnknownCentralPolicy::NoPolicy, ..CheckOptions::STANDARD },
        ..AccessRequest::new(subject, descriptor.as_ref(), desired, mapping(&row["mapping"]))
    })
}

//! The descriptors of new objects.

use serde_json::{Value as Json, json};
use vicar_nt::assign::{AssignFlags, NewObject, ObjectKind, assign};
use vicar_nt::descriptor::{Dacl, Descriptor};
use vicar_nt::privilege::PrivilegeState;
use vicar_nt::token::TokenState;
use vicar_nt::{GenericMapping, GroupAttributes, Guid, IntegrityLevel, Sid, sddl};

use crate::case::rows;

fn sid(text: &str) -> Sid {
    text.parse().unwrap()
}

fn list(json: &Json) -> impl Iterator<Item = &str> {
    json.as_array().into_iter().flatten().filter_map(Json::as_str)
}

fn token(row: &Json) -> TokenState {
    let defaults = sddl::parse("D:(A;;GA;;;SY)(A;;GR;;;BA)", None).unwrap();
    let Dacl::List(default_dacl) = defaults.as_ref().dacl() else { panic!("no list") };
    let mut token = TokenState::builder(sid("S-1-5-21-1-2-3-1001"))
        .primary_group(sid("S-1-5-21-1-2-3-513"))
        .default_dacl(default_dacl.to_acl());
    for name in list(&row["privileges"]) {
        token = token.privilege(name.parse().unwrap(), PrivilegeState::Enabled);
    }
    for group in list(&row["owner_groups"]) {
        token = token.group(sid(group), GroupAttributes::ALWAYS_ENABLED | GroupAttributes::OWNER);
    }
    if let Some(level) = row["il"].as_str() {
        token = token.integrity(IntegrityLevel::parse_sid(sid(level).as_ref()).unwrap());
    }
    token.build().unwrap()
}

#[test]
fn every_new_object_gets_its_descriptor() {
    let domain = sid("S-1-5-21-1-2-3");
    let mut wrong = Vec::new();
    let rows = rows("assign");
    for row in &rows {
        let parse = |name: &str| row[name].as_str().map(|text| sddl::parse(text, Some(&domain)).unwrap());
        let (parent, creator) = (parse("parent"), parse("creator"));
        let object_types: Vec<Guid> =
            row["object_type"].as_str().map(|text| text.parse().unwrap()).into_iter().collect();
        let flags = u32::from_str_radix(&row["flags"].as_str().unwrap()[2..], 16).unwrap();
        let answer = assign(&NewObject {
            parent: parent.as_ref().map(Descriptor::as_ref),
            creator: creator.as_ref().map(Descriptor::as_ref),
            token: &token(row),
            kind: if row["is_container"] == true { ObjectKind::Container } else { ObjectKind::Leaf },
            flags: AssignFlags::from_bits(flags).unwrap(),
            object_types: &object_types,
            mapping: GenericMapping::FILE,
            server: None,
        });
        let answer = match answer {
            Ok(descriptor) => {
                let again = Descriptor::parse(descriptor.as_bytes()).unwrap();
                assert_eq!(again, descriptor);
                json!(sddl::print(descriptor.as_ref(), Some(&domain)).unwrap())
            }
            Err(status) => json!(status.to_string()),
        };
        if answer != row["expect"] {
            wrong.push(format!("{} answered {answer}: {row}", row["id"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    assert_eq!(rows.len(), 43);
}

//! Every vector, by its id.

use serde_json::{Value as Json, json};
use vicar_nt::check::{decide, decide_each, explain};
use vicar_nt::descriptor::Descriptor;
use vicar_nt::{Sid, sddl};

use crate::case::{ask, bytes, rows};

fn text<'j>(row: &'j Json, name: &str) -> &'j str {
    row[name].as_str().unwrap_or_else(|| panic!("{} has no {name}", row["id"]))
}

fn domain(row: &Json) -> Option<Sid> {
    row["domain"].as_str().map(|text| text.parse().unwrap())
}

#[test]
fn every_check_vector_has_its_answer() {
    let rows = rows("check");
    let mut wrong = Vec::new();
    for row in &rows {
        let answer = ask(row, |request| {
            if row["result_list"] == true {
                return match decide_each(request) {
                    Ok(nodes) => {
                        nodes.iter().map(|node| json!([node.status.to_string(), node.granted.to_string()])).collect()
                    }
                    Err(denial) => json!(denial.status().to_string()),
                };
            }
            let answer = decide(request);
            assert_eq!(explain(request).0, answer, "{}", row["id"]);
            match answer {
                Ok(grant) => json!(grant.mask().to_string()),
                Err(denial) => json!(denial.status().to_string()),
            }
        });
        if answer != row["expect"] {
            wrong.push(format!("{} answered {answer}: {row}", row["id"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    assert_eq!(rows.len(), 216);
}

#[test]
fn every_id_is_used_once() {
    let files = ["check", "sddl", "descriptor"];
    let ids: Vec<String> = files.into_iter().flat_map(rows).map(|row| text(&row, "id").to_owned()).collect();
    let mut unique = ids.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), ids.len());
}

#[test]
fn text_becomes_the_bytes_windows_wrote() {
    for row in rows("sddl/bytes.jsonl") {
        let descriptor = sddl::parse(text(&row, "sddl"), domain(&row).as_ref()).unwrap();
        assert_eq!(descriptor.as_bytes(), bytes(text(&row, "expect_hex")), "{}", row["id"]);
        let again = Descriptor::parse(descriptor.as_bytes()).unwrap();
        assert_eq!(again, descriptor, "{}", row["id"]);
    }
}

#[test]
fn text_becomes_canonical() {
    for row in rows("sddl/normalises.jsonl") {
        let domain = domain(&row);
        let descriptor = sddl::parse(text(&row, "sddl"), domain.as_ref()).unwrap();
        let printed = sddl::print(descriptor.as_ref(), domain.as_ref()).unwrap();
        assert_eq!(printed, text(&row, "expect_sddl"), "{}", row["id"]);
    }
}

#[test]
fn text_that_windows_refuses_is_refused_where_it_is_wrong() {
    for row in rows("sddl/rejects.jsonl") {
        let error = sddl::parse(text(&row, "sddl"), domain(&row).as_ref()).expect_err(text(&row, "id"));
        assert_eq!(json!(error.at), row["expect_at"], "{}: {error}", row["id"]);
    }
}

#[test]
fn well_formed_bytes_are_read() {
    for row in rows("descriptor/accepts.jsonl") {
        let descriptor = Descriptor::parse(&bytes(text(&row, "hex"))).unwrap();
        assert_eq!(sddl::print(descriptor.as_ref(), None).unwrap(), text(&row, "expect_sddl"), "{}", row["id"]);
    }
}

#[test]
fn malformed_bytes_are_refused_with_status_and_offset() {
    for row in rows("descriptor/rejects.jsonl") {
        let error = Descriptor::parse(&bytes(text(&row, "hex"))).expect_err(text(&row, "id"));
        assert_eq!(error.status().to_string(), text(&row, "expect_status"), "{}", row["id"]);
        assert_eq!(json!(error.at_byte()), row["expect_at"], "{}", row["id"]);
        assert_eq!(error.item(), text(&row, "expect_item"), "{}", row["id"]);
    }
}

//! The streams of `vicar check`, `vicar sddl` and `vicar assign`, and their one-question forms.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, which is what it is for"
)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value as Json, json};

fn vicar(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vicar"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    // A command that does not read its input closes it, which is its right.
    let _ = writer.join().unwrap();
    output
}

fn stream(command: &str, lines: &[String]) -> Vec<Json> {
    let output = vicar(&[command, "--jsonl"], &lines.join("\n"));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn vectors(path: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors").join(path);
    let mut files: Vec<_> = match std::fs::read_dir(&path) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => vec![path],
    };
    files.sort();
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    text.lines().map(str::to_owned).collect()
}

fn case(fields: &str) -> String {
    format!(r#"{{"id":1,"sddl":"O:SYG:SYD:(A;;FR;;;WD)","desired":"0x1",{fields}}}"#)
}

const TOKEN: &str = r#""token":{"user":"S-1-5-21-1-2-3-1001","groups":["S-1-1-0"]}"#;

#[test]
fn every_check_vector_is_answered_in_order() {
    let lines = vectors("check");
    let answers = stream("check", &lines);
    assert_eq!(answers.len(), lines.len());
    for (line, answer) in lines.iter().zip(&answers) {
        let row: Json = serde_json::from_str(line).unwrap();
        let fields = ["granted", "results", "status"];
        let given = fields.iter().find_map(|field| answer.get(field)).unwrap_or(&Json::Null);
        assert_eq!((&answer["id"], given), (&row["id"], &row["expect"]), "{line}\n{answer}");
    }
}

#[test]
fn a_bad_line_is_answered_and_the_next_one_read() {
    let lines = [
        case(TOKEN),
        "not json".to_owned(),
        r#"{"id":"x","sddl":"O:SYG:SY","desired":"0x1"}"#.to_owned(),
        case(r#""token":{"user":"S-1-5-7","colour":"red"}"#),
        case(r#""token":{"user":"S-1-5-7","groups":[{"sid":"WD","attrs":"blue"}]}"#),
        case(r#""token":{"user":"S-1-5-7","groups":[{"sid":"WD","attrs":"enabled","more":1}]}"#),
        case(r#""token":{"user":"S-1-5-7","privileges":["SeNothingPrivilege"]}"#),
        case(r#""token":{"user":"S-1-5-7","write_restricted":true}"#),
        case(r#""token":{"user":"S-1-5-7","user_claims":{"a":{"type":4,"values":[1]}}}"#),
        case(&format!(r#""api":"other",{TOKEN}"#)),
        case(&format!(r#""caps":{{"S-1-17-9":[{{"sd_hex":"01","rule":1}}]}},{TOKEN}"#)),
        case(&format!(r#""mapping":"car",{TOKEN}"#)),
        format!(r#"{{"id":1,"sddl":"O:SYG:SYD:(A;;FR;;;XX)","desired":"0x1",{TOKEN}}}"#),
        "[]".to_owned(),
        String::new(),
        case(&format!(r#""colour":"red","notes":{{"a":1}},{TOKEN}"#)),
    ];
    let answers = stream("check", &lines);
    assert_eq!(answers.len(), lines.len() - 1, "a blank line is no question");
    let last = answers.len() - 1;
    for (index, answer) in answers.iter().enumerate() {
        match index {
            0 => assert_eq!(*answer, json!({"id": 1, "granted": "0x00000001"})),
            _ if index == last => assert_eq!(*answer, json!({"id": 1, "granted": "0x00000001"})),
            _ => assert!(answer["error"].is_string() && answer.get("granted").is_none(), "{index}: {answer}"),
        }
    }
    assert_eq!((&answers[1]["id"], &answers[2]["id"]), (&Json::Null, &json!("x")));
}

#[test]
fn a_token_is_an_object_and_has_what_a_check_looks_at() {
    for token in [
        r#"["S-1-1-0"]"#,
        r#"{"user":"S-1-1-0","owner":"S-1-1-0"}"#,
        r#"{"user":"S-1-1-0","default_dacl":null}"#,
        r#"{"user":"S-1-5-7","groups":[["S-1-1-0","enabled"]]}"#,
    ] {
        let answer = stream("check", &[case(&format!(r#""token":{token}"#))]).remove(0);
        assert!(answer["error"].is_string(), "{token}: {answer}");
    }
    let answer =
        stream("check", &[case(r#""token":{"user":"S-1-5-7","groups":[{"sid":"S-1-1-0","attrs":"enabled"}]}"#)]);
    assert_eq!(answer[0]["granted"], "0x00000001");
}

#[test]
fn malformed_bytes_are_answered_with_their_status() {
    for line in vectors("descriptor/rejects.jsonl") {
        let row: Json = serde_json::from_str(&line).unwrap();
        let question = json!({"id": row["id"], "sd_hex": row["hex"], "desired": 1, "token": {"user": "SY"}});
        let answers = stream("check", &[question.to_string()]);
        assert_eq!((&answers[0]["id"], &answers[0]["status"]), (&row["id"], &row["expect_status"]));
    }
}

#[test]
fn sddl_goes_both_ways() {
    let lines = vectors("sddl/bytes.jsonl");
    for (line, answer) in lines.iter().zip(stream("sddl", &lines)) {
        let row: Json = serde_json::from_str(line).unwrap();
        assert_eq!(answer, json!({"id": row["id"], "hex": row["expect_hex"]}));
    }
    for line in vectors("sddl/normalises.jsonl") {
        let row: Json = serde_json::from_str(&line).unwrap();
        let hex = stream("sddl", std::slice::from_ref(&line)).remove(0);
        let back = json!({"id": row["id"], "hex": hex["hex"], "domain": row.get("domain")});
        let text = stream("sddl", &[back.to_string()]).remove(0);
        assert_eq!(text, json!({"id": row["id"], "sddl": row["expect_sddl"]}));
    }
    let lines = vectors("sddl/rejects.jsonl");
    for (line, answer) in lines.iter().zip(stream("sddl", &lines)) {
        let row: Json = serde_json::from_str(line).unwrap();
        assert_eq!((&answer["id"], &answer["at"]), (&row["id"], &row["expect_at"]), "{answer}");
        assert!(answer["error"].is_string());
    }
}

#[test]
fn one_question_ends_with_its_exit_code() {
    let ask = |more: &[&str]| {
        let question = ["check", "--sddl", "O:SYG:SYD:(D;;FW;;;BG)(A;;FR;;;WD)", "--user", "S-1-22-1-1000"];
        vicar(&[&question[..], more].concat(), "")
    };
    let right = ask(&["--group", "WD", "--desired", "FR"]);
    assert_eq!(right.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&right.stdout), "granted 0x00120089\n");
    assert_eq!(ask(&["--group", "WD:deny_only", "--desired", "FR"]).status.code(), Some(1));
    assert_eq!(ask(&["--desired", "ZZ"]).status.code(), Some(2));
    assert_eq!(ask(&["--desired", "FR", "--group", "WD:purple"]).status.code(), Some(2));
    let told = ask(&["--group", "WD", "--desired", "FR", "--explain"]);
    let told = String::from_utf8(told.stdout).unwrap();
    for words in ["Deny Guests", "Allow Everyone", "somebody else", "granted file read (FR)"] {
        assert!(told.contains(words), "{words} in\n{told}");
    }
    let json = ask(&["--group", "WD", "--desired", "FW", "--json", "--explain"]);
    assert_eq!(json.status.code(), Some(1));
    let json: Json = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["status"], "STATUS_ACCESS_DENIED");
    assert!(json["steps"].as_array().is_some_and(|steps| steps.len() > 3));
}

#[test]
fn wrong_text_is_shown_where_it_is_wrong() {
    let right = vicar(&["sddl", "O:SYD:"], "");
    assert_eq!(right.status.code(), Some(0));
    let hex = String::from_utf8(right.stdout).unwrap();
    let text = vicar(&["sddl", "--hex", hex.trim()], "");
    assert_eq!(String::from_utf8_lossy(&text.stdout), "O:SYD:\n");
    let wrong = vicar(&["sddl", "D:(A;;GA;;;é)"], "");
    assert_eq!(wrong.status.code(), Some(2));
    let shown = String::from_utf8(wrong.stderr).unwrap();
    assert!(shown.contains("expected a SID") && shown.contains("D:(A;;GA;;;é)"), "{shown}");
}

/// A row of the vectors as a line of `vicar assign`, and what it expects.
fn assign_line(row: &Json) -> String {
    let mut token = json!({ "user": "S-1-5-21-1-2-3-1001" });
    for name in ["privileges", "owner_groups", "il"] {
        if !row[name].is_null() {
            token[name] = row[name].clone();
        }
    }
    let mut line = json!({ "id": row["id"], "token": token, "domain": "S-1-5-21-1-2-3", "mapping": "file" });
    for name in ["parent", "creator", "is_container", "flags", "object_type"] {
        line[name] = row[name].clone();
    }
    line.to_string()
}

#[test]
fn every_assign_vector_is_answered_in_order() {
    let rows: Vec<Json> = vectors("assign").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lines: Vec<String> = rows.iter().map(assign_line).collect();
    let answers = stream("assign", &lines);
    let texts: Vec<String> = answers
        .iter()
        .map(|answer| json!({ "id": 1, "hex": answer["hex"], "domain": "S-1-5-21-1-2-3" }).to_string())
        .collect();
    let texts = stream("sddl", &texts);
    assert_eq!((answers.len(), texts.len()), (43, 43));
    for ((row, answer), text) in rows.iter().zip(&answers).zip(&texts) {
        let given = answer.get("status").unwrap_or(&text["sddl"]);
        assert_eq!((&answer["id"], given), (&row["id"], &row["expect"]), "{answer}");
    }
}

#[test]
fn what_a_creator_has_by_default_can_be_named() {
    let line = |token: &str| format!(r#"{{"id":1,"is_container":false,"mapping":"file","flags":0,"token":{token}}}"#);
    let lines = [
        line(r#"{"user":"S-1-22-1-7"}"#),
        line(r#"{"user":"BA","primary_group":"SY","default_dacl":"D:(A;;GA;;;WD)"}"#),
        line(r#"{"user":"BA","primary_group":"SY","default_dacl":null}"#),
        line(r#"{"user":"SY","groups":[{"sid":"BA","attrs":"owner"}],"owner":"BA","default_dacl":null}"#),
        line(r#"{"user":"SY","owner":"BA"}"#),
        line(r#"{"user":"SY","default_dacl":"0200080000000000"}"#),
        line(r#"{"user":"SY"},"creator_hex":"0100""#),
        line(r#"{"user":"SY"}"#).replace(r#""flags":0"#, r#""flags":"0x800""#),
    ];
    let answers = stream("assign", &lines);
    let text = |at: usize| {
        let line = json!({ "id": 1, "hex": answers.get(at).unwrap()["hex"] }).to_string();
        stream("sddl", &[line]).first().unwrap()["sddl"].as_str().unwrap().to_owned()
    };
    assert_eq!(text(0), "O:S-1-22-1-7G:S-1-22-1-7D:(A;;FA;;;SY)(A;;FR;;;BA)");
    assert_eq!(text(1), "O:BAG:SYD:(A;;FA;;;WD)");
    assert_eq!(text(2), "O:BAG:SY");
    assert_eq!(text(3), "O:BAG:SY");
    assert!(answers.get(4).unwrap()["error"].is_string());
    assert_eq!(text(5), "O:SYG:SYD:");
    assert_eq!(answers.get(6).unwrap()["status"], "STATUS_INVALID_SECURITY_DESCR");
    assert!(answers.get(7).unwrap()["error"].is_string());
}

#[test]
fn an_assign_line_says_what_is_made_of_what_type_and_how() {
    let fields = [r#""is_container":true"#, r#""mapping":"file""#, r#""flags":"0x1""#, r#""token":{"user":"SY"}"#];
    let with = |fields: &[&str]| format!(r#"{{"id":1,{}}}"#, fields.join(","));
    let whole = stream("assign", &[with(&fields)]);
    assert!(whole.first().unwrap()["hex"].is_string(), "{whole:?}");
    for (at, name) in ["is_container", "mapping", "flags", "token"].into_iter().enumerate() {
        let others: Vec<&str> =
            fields.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, field)| *field).collect();
        let null = format!(r#""{name}":null"#);
        let answers = stream("assign", &[with(&others), with(&[&others[..], &[&null]].concat())]);
        assert_eq!(answers.first().unwrap()["error"], format!("missing field `{name}`"));
        assert!(answers.get(1).unwrap()["error"].is_string(), "{answers:?}");
    }
}

#[test]
fn assign_answers_one_question_by_arguments() {
    let output =
        vicar(&["assign", "--user", "BA", "--parent", "O:BAG:SYD:(A;CI;GR;;;WD)", "--container", "--flags", "1"], "");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "O:BAG:BAD:AI(A;ID;FR;;;WD)(A;CIIOID;GR;;;WD)");
    let output = vicar(&["assign", "--token", r#"{"user":"BA"}"#, "--creator", "O:SY"], "");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "STATUS_INVALID_OWNER");
    assert_eq!(vicar(&["assign", "--user", "??"], "").status.code(), Some(2));
    assert_eq!(vicar(&["assign"], "").status.code(), Some(2));
}

#[test]
fn a_refusal_says_what_would_have_helped() {
    let args = ["check", "--sddl", "O:SYG:SYD:(A;;FR;;;BU)", "--desired", "0x1", "--user", "S-1-22-1-7", "--explain"];
    let text = String::from_utf8(vicar(&args, "").stdout).unwrap();
    assert!(text.contains("would help: being, or being in, ") && text.contains("(entry 0)"), "{text}");
    let output = vicar(&[&args[..], &["--json"]].concat(), "");
    let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["would_help"].as_array().unwrap().len(), 1);
}

#[test]
fn a_hostile_line_is_an_error_and_says_why() {
    let with = |fields: &str| case(&format!("{fields},{TOKEN}"));
    let token = |fields: &str| case(&format!(r#""token":{{"user":"S-1-5-7",{fields}}}"#));
    let no_desired = format!(r#"{{"id":1,"sddl":"D:",{TOKEN}}}"#);
    let desired = |text: &str| format!(r#"{{"id":1,"sddl":"D:","desired":{text},{TOKEN}}}"#);
    for (line, why) in [
        (with(r#""api":{"kernel":null}"#), "expected a word"),
        (with(r#""api":"Kernel""#), "unknown variant"),
        (with(r#""caps":[]"#), "expected a map"),
        (with(r#""caps":{"S-1-17-9":{}}"#), "expected a sequence"),
        (with(r#""caps":{"S-1-17-9":[["0100048000000000000000000000000000000000"]]}"#), "expected an object"),
        (with(r#""caps":{"S-1-17-9":[{"sd_hex":"00","more":1}]}"#), "unknown field `more`"),
        (with(r#""caps":{"S-1-17-9":[{"applies_hex":"00"}]}"#), "missing field `sd_hex`"),
        (with(r#""caps":{"S-1-17-9":[{"sd_hex":"01"}]}"#), "malformed descriptor header"),
        (with(r#""result_list":"yes""#), "expected a boolean"),
        (with(r#""object_types":[[70000,"00000000-0000-0000-0000-0000000000a1"]]"#), "expected u16"),
        (with(r#""object_types":[[0,"00000000-0000-0000-0000-0000000000a1",0]]"#), "fewer elements"),
        (with(r#""object_types":[[0,"00000000"]]"#), "GUID"),
        (with(r#""mapping":[1,2,3]"#), "did not match"),
        (with(r#""mapping":"1,2,3""#), "neither a known name nor four numbers"),
        (with(r#""self_sid":7"#), "expected a string"),
        (with(r#""previous":"0x100000000""#), "expected a 32-bit number"),
        (desired("4294967296"), "expected a 32-bit number"),
        (desired("-1"), "expected a 32-bit number"),
        (desired(r#""+1""#), "expected a 32-bit number"),
        (desired(r#""0x+1""#), "expected a 32-bit number"),
        (desired(r#""-1""#), "expected a 32-bit number"),
        (with(r#""object_types":[[0,"{00000000-0000-0000-0000-0000000000a1"]]"#), "GUID"),
        (desired("1.0"), "expected a 32-bit number"),
        (desired("1e999"), "number out of range"),
        (desired("99999999999999999999999999"), "expected a 32-bit number"),
        (desired(r#""""#), "expected a 32-bit number"),
        (no_desired, "missing field `desired`"),
        (r#"{"id":1,"sddl":"D:","desired":1}"#.to_owned(), "missing field `token`"),
        (format!(r#"{{"id":1,"desired":1,{TOKEN}}}"#), "neither sddl nor sd_hex"),
        (format!(r#"{{"id":1,"sd_hex":"0x01","sddl":"D:","desired":1,{TOKEN}}}"#), "hexadecimal"),
        (token(r#""user":"S-1-5-18""#), "field `user` is there twice"),
        (token(r#""level":{"anonymous":null}"#), "expected a word"),
        (token(r#""level":"Impersonation""#), "unknown variant"),
        (token(r#""type":"process""#), "unknown variant"),
        (token(r#""user_attrs":["deny_only"]"#), "expected a word"),
        (token(r#""groups":[{"sid":"WD","attrs":{"disabled":null}}]"#), "did not match"),
        (token(r#""groups":"WD""#), "expected a sequence"),
        (token(r#""il":"S-1-5-7""#), "expected S-1-16-x"),
        (token(r#""mandatory_policy":99"#), "unknown bits"),
        (token(r#""mandatory_policy":-1"#), "expected u32"),
        (token(r#""capabilities":["S-1-15-3-1"]"#), "without a package"),
        (token(r#""restricted":"WD""#), "expected a sequence"),
        (token(r#""trust":"nobody""#), "expected a SID"),
        (token(r#""user_claims":{"a":{"type":99,"values":[1]}}"#), "type 99"),
        (token(r#""user_claims":{"a":{"type":1,"values":[1],"more":1}}"#), "unknown field `more`"),
        (token(r#""user_claims":{"a":{"type":4,"values":[{"version":1}]}}"#), "does not have the claim's type"),
        (token(r#""user_claims":{"a":[1,"x"]}"#), "does not have the claim's type"),
        (token(r#""user_claims":{"a":99999999999999999999}"#), "expected a number"),
        (token(r#""user_claims":{"a":1,"a":2}"#), "field `a` is there twice"),
        (token(r#""user_claims":[1]"#), "expected a map"),
        (token(r#""Groups":[]"#), "unknown field `Groups`"),
    ] {
        let answer = stream("check", std::slice::from_ref(&line)).remove(0);
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(error.contains(why) && answer["id"] == 1, "{line}\n{answer}");
        assert!(answer.get("granted").is_none() && answer.get("status").is_none(), "{line}\n{answer}");
    }
}

#[test]
fn every_line_is_answered_with_the_id_it_has() {
    for (line, id) in [
        ("7", "null"),
        (r#"["a"]"#, "null"),
        (r#"{"id":1"#, "null"),
        (r#"{"id":1,"id":2}"#, "null"),
        (r#"{"id":123456789012345678901234567890}"#, "123456789012345678901234567890"),
        (r#"{"id":"\u00e9"}"#, r#""\u00e9""#),
        (r#"{"id":{"a":[1.50]}}"#, r#"{"a":[1.50]}"#),
        (r#"{"x":1e999,"id":3}"#, "3"),
        (r#"{"x":0}"#, "null"),
    ] {
        for command in ["check", "sddl", "assign"] {
            let output = vicar(&[command, "--jsonl"], line);
            let text = String::from_utf8(output.stdout).unwrap();
            let start = format!(r#"{{"id":{id},"error":"#);
            assert!(text.starts_with(&start) && text.lines().count() == 1, "{command} {line}\n{text}");
            assert_eq!(output.status.code(), Some(0));
        }
    }
    let output = vicar(&["sddl", "--jsonl"], "\u{feff}{\"id\":1}\n\n{\"id\":2,\"sddl\":\"D:\"}\r\n");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().nth(1).unwrap().starts_with(r#"{"id":2,"hex":"#), "{text}");
}

#[test]
fn null_is_a_field_that_is_not_there() {
    let nulls = r#""api":null,"caps":null,"previous":null,"object_types":null,"self_sid":null,"mapping":null,
        "result_list":null"#;
    let token = r#""token":{"user":"S-1-5-7","groups":["WD"],"user_attrs":null,"level":null,"type":null,"trust":null,
        "appcontainer":null,"capabilities":null,"restricted":null,"user_claims":null,"device_groups":null}"#;
    let line = case(&format!("{nulls},{token}")).replace('\n', " ");
    assert_eq!(stream("check", &[line]), [json!({"id": 1, "granted": "0x00000001"})]);
}

#[test]
fn claims_of_every_type_can_be_given() {
    for (claim, condition) in [
        (r#"{"type":1,"values":[-7]}"#, "@User.a == -7"),
        (r#"{"type":2,"values":[7]}"#, "@User.a == 7"),
        (r#"{"type":3,"flags":2,"values":["x"]}"#, r#"@User.a == \"x\""#),
        (r#"{"type":4,"values":[{"version":1,"name":"x"}]}"#, "Exists @User.a"),
        (r#"{"type":5,"values":["SID(BA)"]}"#, "@User.a == SID(BA)"),
        (r#"{"type":6,"values":[true]}"#, "@User.a == 1"),
        (r##"{"type":16,"values":["#00ff"]}"##, "@User.a == #00ff"),
        (r#""SID(S-1-5-32-544)""#, "@User.a Any_of {SID(BA)}"),
        ("[1, 2]", "@User.a Contains {2, 1}"),
        ("true", "@User.a"),
    ] {
        let line = format!(
            r#"{{"id":1,"sddl":"O:SYG:SYD:(XA;;FR;;;WD;({condition}))","desired":1,
               "token":{{"user":"S-1-5-7","groups":["WD"],"user_claims":{{"a":{claim}}}}}}}"#
        );
        let answer = stream("check", &[line.replace('\n', " ")]);
        assert_eq!(answer, [json!({"id": 1, "granted": "0x00000001"})], "{claim}");
    }
}

#[test]
fn help_names_the_exit_codes() {
    for (command, codes) in [("check", "0 granted"), ("sddl", "0 translated"), ("assign", "0 made")] {
        let help = String::from_utf8(vicar(&[command, "--help"], "").stdout).unwrap();
        assert!(help.contains("Exit codes:") && help.contains(codes) && help.contains("2"), "{help}");
        assert!(help.contains("--jsonl") && help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }
}

#[test]
fn wrong_text_is_marked_in_every_command_that_takes_some() {
    let wrong = "O:SYG:SYD:(A;;FR;;é;WD)";
    for args in [
        &["sddl", wrong][..],
        &["check", "--sddl", wrong, "--user", "WD", "--desired", "1"],
        &["assign", "--user", "WD", "--parent", wrong],
        &["assign", "--user", "WD", "--creator", wrong],
    ] {
        let output = vicar(args, "");
        let shown = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{shown}");
        let lines: Vec<&str> = shown.lines().collect();
        let at = lines.iter().position(|line| line.contains(wrong)).expect("the text");
        let column = |line: &str, wanted: char| line.chars().position(|c| c == wanted);
        let mark = column(lines.get(at + 1).unwrap(), '┬');
        assert!(mark.is_some() && mark == column(lines.get(at).unwrap(), 'é'), "{shown}");
        assert!(shown.contains("expected a GUID"), "{shown}");
    }
}

#[test]
fn a_whole_question_can_be_explained() {
    let ask = |more: &str, api: &str| {
        let case = format!(
            r#"{{"sddl":"G:SYD:(A;;FR;;;S-1-5-21-1-2-3-512)(A;;FR;;;WD)","desired":"0x1","api":"{api}",
               "token":{{"user":"S-1-5-7","groups":["WD"]{more}}}}}"#
        );
        vicar(&["check", "--explain", "--case", &case], "")
    };
    let kernel = ask("", "kernel");
    let text = String::from_utf8(kernel.stdout).unwrap();
    assert_eq!(kernel.status.code(), Some(0), "{text}");
    for words in ["no owner or no group", "passes by kernel rules; refused by user rules", "Domain Admins"] {
        assert!(text.contains(words), "{words} in\n{text}");
    }
    let user = ask("", "user");
    let text = String::from_utf8(user.stdout).unwrap();
    assert_eq!(user.status.code(), Some(1), "{text}");
    assert!(text.contains("refused by user rules; passes by kernel rules"), "{text}");
    assert_eq!(ask(r#","colour":1"#, "kernel").status.code(), Some(2));
}

#[test]
fn rules_are_read_the_other_way_by_name() {
    let text = |args: &[&str]| {
        let output = vicar(args, "");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let key = ["sddl", "--canonical", "D:(A;;0x20006;;;WD)"];
    assert_eq!(text(&key), (Some(0), "D:(A;;KW;;;WD)".to_owned()));
    let letters = (Some(0), "D:(A;;DCLCRC;;;WD)".to_owned());
    for name in ["KEY_WRITE_IN_LETTERS", "key_write_in_letters"] {
        assert_eq!(text(&[&key[..], &["--reading", name]].concat()), letters);
    }
    assert_eq!(text(&[&key[..], &["--reading", "NONE_SUCH"]].concat()).0, Some(2));
    let owner = ["check", "--user", "BU", "--desired", "RC", "--sddl", "O:BUG:SYD:(A;OICIIO;0x1;;;OW)"];
    assert_eq!(text(&owner).0, Some(0));
    let other = ["--reading", "INHERITED_OWNER_RIGHTS", "--reading", "KEY_WRITE_IN_LETTERS"];
    assert_eq!(text(&[&owner[..], &other].concat()).0, Some(1));
    let label = ["assign", "--token", r#"{"user":"BU","il":"HI"}"#, "--parent", "D:(A;OI;FR;;;WD)"];
    assert_eq!(text(&label).1, "O:BUG:BUD:(A;;FR;;;WD)");
    let labelled = text(&[&label[..], &["--reading", "HIGH_CREATORS_LABEL"]].concat());
    assert_eq!(labelled.1, "O:BUG:BUD:(A;;FR;;;WD)S:(ML;;NW;;;HI)");
    let line = r#"{"id":1,"sddl":"O:BUG:SYD:(A;OICIIO;0x1;;;OW)","desired":"RC","token":{"user":"BU"}}"#;
    let answers = |args: &[&str]| String::from_utf8(vicar(args, line).stdout).unwrap();
    assert!(answers(&["check", "--jsonl"]).contains("granted"));
    assert!(answers(&["check", "--jsonl", "--reading", "INHERITED_OWNER_RIGHTS"]).contains("STATUS_ACCESS_DENIED"));
    let help = text(&["check", "--help"]).1;
    for (name, _) in vicar_nt::Readings::all().iter_names() {
        assert!(help.contains(name), "{name}");
    }
}

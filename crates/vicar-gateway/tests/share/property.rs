//! PROPFIND and PROPPATCH.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};

use crate::alone::Test;
use crate::rig::{ALICE, BOB, Rig, TEAM, Who, directory};

pub(crate) const TESTS: &[Test] = &[
    ("propfind_tells_what_the_client_may_know", propfind_tells_what_the_client_may_know),
    ("propfind_of_a_big_directory_is_a_stream", propfind_of_a_big_directory_is_a_stream),
    ("a_long_question_about_many_files_is_answered_piece_by_piece", a_long_question_about_many_files_is_answered),
    ("listings_have_limits", listings_have_limits),
    ("one_user_is_sent_only_so_many_large_listings", one_user_is_sent_only_so_many_large_listings),
    ("every_byte_of_a_name_survives", every_byte_of_a_name_survives),
    ("proppatch_is_all_or_nothing", proppatch_is_all_or_nothing),
    ("proppatch_needs_write_permission", proppatch_needs_write_permission),
    ("properties_follow_copies_and_uploads", properties_follow_copies_and_uploads),
    ("a_forged_store_harms_nobody", a_forged_store_harms_nobody),
    ("bad_bodies_are_refused", bad_bodies_are_refused),
];

pub(crate) const SET: &str = "<propertyupdate xmlns='DAV:'><set><prop><x:colour xmlns:x='urn:x'>blue &amp; red</x:colour></prop></set></propertyupdate>";
const ALL: &str = "<propfind xmlns='DAV:'><allprop/></propfind>";
const COLOUR: &str = "<propfind xmlns='DAV:'><prop><colour xmlns='urn:x'/><getetag/></prop></propfind>";

fn propfind_tells_what_the_client_may_know() {
    let rig = Rig::new();
    rig.file("alice/f.txt", "content", ALICE, ALICE, 0o600);
    directory(&rig.root.join("alice/d"), ALICE, ALICE, 0o755);
    symlink("f.txt", rig.root.join("alice/link")).unwrap();
    symlink("/etc/passwd", rig.root.join("alice/out")).unwrap();
    let answer = rig.send(&rig.alice, "PROPFIND", "/alice/", &["depth: 1"], ALL);
    let text = answer.text();
    assert_eq!((answer.status, answer.header("content-type")), (207, "application/xml; charset=utf-8"));
    for part in [
        "<D:href>/alice/</D:href>",
        "<D:href>/alice/d/</D:href>",
        "<D:href>/alice/f.txt</D:href>",
        "<D:href>/alice/link</D:href>",
        "<D:getcontentlength>7</D:getcontentlength>",
        "<D:resourcetype><D:collection/></D:resourcetype>",
        "<D:getcontenttype>text/plain; charset=utf-8</D:getcontenttype>",
        "<D:displayname>f.txt</D:displayname>",
        "<D:supportedlock>",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("/alice/out") && !text.contains("quota"), "{text}");
    assert!(text.ends_with("</D:multistatus>\n"));
    assert_eq!(rig.status(&rig.alice, "PROPFIND", "/bob/", &["depth: 1"], ""), 403);
    assert_eq!(rig.status(&rig.alice, "PROPFIND", "/bob/", &["depth: 0"], ""), 207, "that it exists is no secret");
    assert_eq!(rig.status(&rig.alice, "PROPFIND", "/bob/x", &["depth: 0"], ""), 403);
    assert_eq!(rig.status(&rig.alice, "PROPFIND", "/nothing", &["depth: 0"], ""), 404);
    let infinity = rig.send(&rig.alice, "PROPFIND", "/alice/", &["depth: infinity"], "");
    assert!(infinity.status == 403 && infinity.text().contains("propfind-finite-depth"));
    assert_eq!(rig.status(&rig.alice, "PROPFIND", "/alice/", &[], ""), 403);
    assert_eq!(rig.status(&rig.alice, "PROPFIND", "/alice/f.txt", &[], ""), 207);
    let quota = "<propfind xmlns='DAV:'><prop><quota-available-bytes/><nothing/></prop></propfind>";
    let text = rig.send(&rig.alice, "PROPFIND", "/alice/", &["depth: 0"], quota).text();
    assert!(text.contains("<D:quota-available-bytes>") && text.contains("<nothing xmlns=\"DAV:\"/>"), "{text}");
    let names = rig.send(&rig.alice, "PROPFIND", "/alice/f.txt", &[], "<propfind xmlns='DAV:'><propname/></propfind>");
    assert!(names.text().contains("<D:getetag/>") && !names.text().contains("f.txt</D:displayname>"));
}

fn propfind_of_a_big_directory_is_a_stream() {
    let rig = Rig::new();
    for number in 0..10_000 {
        fs::write(rig.root.join(format!("alice/file-{number:05}")), "x").unwrap();
    }
    let answer = rig.send(&rig.alice, "PROPFIND", "/alice/", &["depth: 1"], COLOUR);
    assert!(answer.whole);
    assert_eq!(answer.text().matches("<D:response>").count(), 10_001);
    assert!(answer.text().ends_with("</D:multistatus>\n"));
    let page = rig.send(&rig.alice, "GET", "/alice/", &[], "");
    assert_eq!(page.text().matches("<tr><td><a href").count(), 10_000);
    assert!(page.text().ends_with("</html>\n"));
    let order: Vec<usize> =
        (0..10_000).map(|number| page.text().find(&format!("file-{number:05}")).unwrap()).take(200).collect();
    assert!(order.is_sorted());
}

fn a_long_question_about_many_files_is_answered() {
    let rig = Rig::new();
    for number in 0..100 {
        fs::write(rig.root.join(format!("alice/file-{number:02}")), "x").unwrap();
    }
    // About 30 KB for each file, so a batch ends long before its number of entries.
    let names: String = (0..1_000).map(|number| format!("<n:p{number}/>")).collect();
    let question = format!("<propfind xmlns='DAV:' xmlns:n='urn:x'><prop>{names}</prop></propfind>");
    let answer = rig.send(&rig.alice, "PROPFIND", "/alice/", &["depth: 1"], question);
    assert!(answer.whole);
    let text = answer.text();
    assert_eq!(text.matches("<D:response>").count(), 101);
    for number in 0..100 {
        assert_eq!(text.matches(&format!("<D:href>/alice/file-{number:02}</D:href>")).count(), 1);
    }
    // A namespace that is long and used often would come to a hundred megabytes.
    let names: String = (0..3_000).map(|number| format!("<n:p{number}/>")).collect();
    let question = format!("<propfind xmlns='DAV:' xmlns:n='{}'><prop>{names}</prop></propfind>", "n".repeat(30_000));
    assert_eq!(rig.status(&rig.alice, "PROPFIND", "/alice/", &["depth: 0"], &question), 413);
}

fn listings_have_limits() {
    let rig = Rig::with(|options| options.limits.listing_entries = 3);
    for name in ["1", "2", "3"] {
        rig.file(&format!("alice/{name}"), "x", ALICE, ALICE, 0o600);
    }
    assert_eq!(rig.status(&rig.alice, "PROPFIND", "/alice/", &["depth: 1"], ""), 207);
    rig.file("alice/4", "x", ALICE, ALICE, 0o600);
    assert_eq!(rig.status(&rig.alice, "PROPFIND", "/alice/", &["depth: 1"], ""), 507);
    assert_eq!(rig.status(&rig.alice, "GET", "/alice/", &[], ""), 507);
    assert_eq!(rig.status(&rig.alice, "PROPFIND", "/alice/", &["depth: 0"], ""), 207);
}

fn one_user_is_sent_only_so_many_large_listings() {
    let fill = |rig: &Rig, count: usize| {
        for number in 0..count {
            fs::write(rig.root.join(format!("alice/file-{number:04}")), "x").unwrap();
        }
    };
    let none = Rig::with(|options| options.limits.listings_per_user = 0);
    fill(&none, 1_024);
    assert_eq!(none.status(&none.alice, "PROPFIND", "/alice/", &["depth: 1"], ""), 207, "a small one is not counted");
    assert_eq!(none.status(&none.alice, "GET", "/alice/", &[], ""), 200);
    fs::write(none.root.join("alice/one-more"), "x").unwrap();
    for (method, headers) in [("PROPFIND", &["depth: 1"][..]), ("GET", &[])] {
        let answer = none.send(&none.alice, method, "/alice/", headers, "");
        assert_eq!((answer.status, answer.header("retry-after")), (429, "1"), "{method}");
    }
    drop(none);
    let one = Rig::with(|options| options.limits.listings_per_user = 1);
    fill(&one, 1_025);
    for _ in 0..3 {
        let answers = one.both(
            (Who::Alice, "PROPFIND", "/alice/", &["depth: 1"], ""),
            (Who::Alice, "PROPFIND", "/alice/", &["depth: 1"], ""),
        );
        let statuses = answers.map(|answer| answer.status);
        assert!(matches!(statuses, [207, 429] | [429, 207]), "{statuses:?}");
        let alone = one.send(&one.alice, "PROPFIND", "/alice/", &["depth: 1"], "");
        assert!(alone.whole && alone.text().matches("<D:response>").count() == 1_026, "its place was given back");
    }
}

fn every_byte_of_a_name_survives() {
    let rig = Rig::new();
    let bytes: Vec<u8> = (1..=255).filter(|&byte| byte != b'/').collect();
    let (mut names, mut encoded) = (Vec::new(), Vec::new());
    for chunk in bytes.chunks(64) {
        names.push(chunk.to_vec());
        encoded.push(chunk.iter().map(|byte| format!("%{byte:02x}")).collect::<String>());
    }
    for (name, path) in names.iter().zip(&encoded) {
        let path = format!("/alice/{path}");
        assert_eq!(rig.status(&rig.alice, "PUT", &path, &[], "content"), 201);
        assert_eq!(fs::read(rig.root.join("alice").join(OsStr::from_bytes(name))).unwrap(), b"content");
        assert_eq!(rig.send(&rig.alice, "GET", &path, &[], "").text(), "content");
    }
    let text = rig.send(&rig.alice, "PROPFIND", "/alice/", &["depth: 1"], ALL).text();
    let listed: Vec<&str> =
        text.split("<D:href>").skip(1).map(|rest| rest.split("</D:href>").next().unwrap()).collect();
    assert_eq!(listed.len(), names.len() + 1);
    for href in &listed[1..] {
        assert_eq!(rig.send(&rig.alice, "GET", &href.replace("&amp;", "&"), &[], "").text(), "content", "{href}");
    }
    let page = rig.send(&rig.alice, "GET", "/alice/", &[], "").text();
    let links: Vec<&str> =
        page.split("<tr><td><a href=\"./").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(links.len(), names.len());
    for link in links {
        assert_eq!(rig.send(&rig.alice, "GET", &format!("/alice/{link}"), &[], "").text(), "content", "{link}");
    }
    let facts = rig.send(&rig.alice, "GET", "/alice/%ff%41", &[], "").facts;
    assert_eq!(facts.path, "/alice/\\xffA");
}

fn proppatch_is_all_or_nothing() {
    let rig = Rig::new();
    rig.file("alice/f", "x", ALICE, ALICE, 0o600);
    let set = rig.send(&rig.alice, "PROPPATCH", "/alice/f", &[], SET);
    assert!(set.status == 207 && set.text().contains("200 OK"), "{}", set.text());
    let found = rig.send(&rig.alice, "PROPFIND", "/alice/f", &["depth: 0"], COLOUR).text();
    assert!(found.contains("<colour xmlns=\"urn:x\">blue &amp; red</colour>"), "{found}");
    let mixed = "<propertyupdate xmlns='DAV:'><remove><prop><colour xmlns='urn:x'/></prop></remove><set><prop><getetag>\"x\"</getetag></prop></set></propertyupdate>";
    let refused = rig.send(&rig.alice, "PROPPATCH", "/alice/f", &[], mixed).text();
    assert!(refused.contains("403 Forbidden") && refused.contains("424 Failed Dependency"), "{refused}");
    assert!(refused.contains("cannot-modify-protected-property"));
    assert!(rig.send(&rig.alice, "PROPFIND", "/alice/f", &["depth: 0"], COLOUR).text().contains("blue"));
    // Too much for the inode: 507, and what was there stays.
    let huge = format!(
        "<propertyupdate xmlns='DAV:'><set><prop><a xmlns='urn:x'>{}</a></prop></set></propertyupdate>",
        "z".repeat(60_000)
    );
    let full = rig.send(&rig.alice, "PROPPATCH", "/alice/f", &[], huge).text();
    if full.contains("200 OK") {
        println!("skipped: this file system has room for 60,000 bytes of attributes");
    } else {
        assert!(full.contains("507 Insufficient Storage"), "{full}");
        assert!(rig.send(&rig.alice, "PROPFIND", "/alice/f", &["depth: 0"], COLOUR).text().contains("blue"));
    }
    let remove = "<propertyupdate xmlns='DAV:'><remove><prop><colour xmlns='urn:x'/><a xmlns='urn:x'/><never/></prop></remove></propertyupdate>";
    assert!(rig.send(&rig.alice, "PROPPATCH", "/alice/f", &[], remove).text().contains("200 OK"));
    assert!(!rig.send(&rig.alice, "PROPFIND", "/alice/f", &["depth: 0"], COLOUR).text().contains("blue"));
}

fn proppatch_needs_write_permission() {
    let rig = Rig::new();
    rig.file("team/f", "x", BOB, TEAM, 0o640);
    assert!(rig.send(&rig.alice, "PROPPATCH", "/team/f", &[], SET).text().contains("403 Forbidden"));
    assert_eq!(rig.status(&rig.alice, "PROPPATCH", "/bob/f", &[], SET), 403);
    assert_eq!(rig.status(&rig.alice, "PROPPATCH", "/nothing", &[], SET), 404);
    assert!(!rig.send(&rig.bob, "PROPFIND", "/team/f", &["depth: 0"], COLOUR).text().contains("blue"));
}

fn properties_follow_copies_and_uploads() {
    let rig = Rig::new();
    let path = rig.file("alice/f", "x", ALICE, ALICE, 0o600);
    rig.send(&rig.alice, "PROPPATCH", "/alice/f", &[], SET);
    let before = fs::metadata(&path).unwrap().ino();
    assert_eq!(rig.status(&rig.alice, "PUT", "/alice/f", &[], "y"), 204);
    assert_ne!(fs::metadata(&path).unwrap().ino(), before);
    assert_eq!(rig.status(&rig.alice, "COPY", "/alice/f", &["destination: /alice/g"], ""), 201);
    for path in ["/alice/f", "/alice/g"] {
        assert!(rig.send(&rig.alice, "PROPFIND", path, &["depth: 0"], COLOUR).text().contains("blue"), "{path}");
    }
}

fn a_forged_store_harms_nobody() {
    let rig = Rig::new();
    let path = rig.file("alice/f", "x", ALICE, ALICE, 0o600);
    for forged in [
        "</D:prop></D:propstat></D:response><D:response>",
        "<a/>",
        "",
        "<p:properties xmlns:p='urn:vicar:properties'><getetag xmlns='DAV:'>forged</getetag></p:properties>",
    ] {
        rustix::fs::setxattr(&path, "user.vicar.dav", forged.as_bytes(), rustix::fs::XattrFlags::empty()).unwrap();
        let text = rig.send(&rig.alice, "PROPFIND", "/alice/f", &["depth: 0"], ALL).text();
        assert!(text.matches("<D:response>").count() == 1 && !text.contains("forged"), "{text}");
    }
}

fn bad_bodies_are_refused() {
    let rig = Rig::new();
    let bomb = "<!DOCTYPE a [<!ENTITY x 'y'>]><propfind xmlns='DAV:'><allprop/>&x;</propfind>";
    for body in ["<", "<a/>", bomb, "<propfind xmlns='DAV:'/>", "<p:propfind/>"] {
        assert_eq!(rig.status(&rig.alice, "PROPFIND", "/alice/", &["depth: 0"], body), 400, "{body}");
        assert_eq!(rig.status(&rig.alice, "PROPPATCH", "/alice/", &[], body), 400, "{body}");
    }
    assert_eq!(rig.status(&rig.alice, "PROPFIND", "/alice/", &["depth: 2"], ""), 400);
    assert_eq!(rig.status(&rig.alice, "PROPFIND", "/alice/", &["depth: 0"], &" ".repeat(70_000)), 413);
}

use super::*;
use std::os::unix::fs::PermissionsExt;

fn hash(password: &str) -> String {
    PasswordHash::of(password, Cost::Random).unwrap().as_str().to_owned()
}

fn parse(text: &str) -> Result<PasswordFile, (usize, Problem)> {
    match PasswordFile::parse(text.as_bytes(), Path::new("/etc/p"), Root::Refused) {
        Ok(file) => Ok(file),
        Err(FileError::Line { line, problem, .. }) => Err((line, problem)),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn both_forms_comments_and_empty_lines_are_read() {
    let text = format!(
        "# people\n\nalice:{}\r\nguest@61001:61002,7,61050:{}\nx@REALM.EXAMPLE:{}\n",
        hash("a"),
        hash("g"),
        hash("x")
    );
    let file = parse(&text).unwrap();
    assert_eq!(file.len(), 3);
    assert_eq!(file.system_accounts().count(), 2);
    assert_eq!(file.numeric().count(), 1);
    assert_eq!(file.verify("alice", "a"), Some(&Who::System));
    assert_eq!(file.verify("x@REALM.EXAMPLE", "x"), Some(&Who::System));
    assert_eq!(file.verify("alice", "g"), None);
    assert_eq!(file.verify("nobody", "a"), None);
    let Some(Who::Numeric(identity)) = file.verify("guest", "g") else { panic!() };
    assert_eq!(identity.to_string(), "uid 61001 gid 61002 groups 7,61002,61050");
}

#[test]
fn wrong_lines_name_themselves_and_what_was_expected() {
    let good = hash("x");
    for (text, line, problem) in [
        ("alice".to_owned(), 1, Problem::Shape),
        (format!("\n# c\nalice:1:{good}"), 3, Problem::Shape),
        (format!(":{good}"), 1, Problem::Name),
        (format!("a b:{good}"), 1, Problem::Name),
        (format!("@1:1:{good}"), 1, Problem::Name),
        (format!("a@:1:{good}"), 1, Problem::Id),
        (format!("a@1::{good}"), 1, Problem::Id),
        (format!("a@1:1,:{good}"), 1, Problem::Id),
        (format!("a@+1:1:{good}"), 1, Problem::Id),
        (format!("a@-1:1:{good}"), 1, Problem::Id),
        (format!("a@4294967296:1:{good}"), 1, Problem::Id),
        (format!("a@4294967295:1:{good}"), 1, Problem::MinusOne),
        (format!("a@1:4294967295:{good}"), 1, Problem::MinusOne),
        (format!("a@1:1,4294967295:{good}"), 1, Problem::MinusOne),
        (format!("a@0:1:{good}"), 1, Problem::Root),
        (format!("a:{good}\nb:{good}\na@5:5:{good}"), 3, Problem::Duplicate { first: 1 }),
        ("a:secret".to_owned(), 1, Problem::Hash(HashError::NotPhc)),
        ("a:".to_owned(), 1, Problem::Hash(HashError::NotPhc)),
    ] {
        assert_eq!(parse(&text).map(drop), Err((line, problem)), "{text}");
    }
    let bytes = [b"a\xff:".as_slice(), good.as_bytes()].concat();
    let error = PasswordFile::parse(&bytes, Path::new("/etc/p"), Root::Refused).unwrap_err();
    assert_eq!(error.to_string(), "/etc/p:1: expected UTF-8");
    let root = format!("a@0:0:{good}");
    assert!(PasswordFile::parse(root.as_bytes(), Path::new("p"), Root::Allowed).is_ok());
}

#[test]
fn a_person_prints_as_it_is_read() {
    for text in ["alice", "a@REALM", "g@61001:61002", "g@61001:61002,7,61050"] {
        assert_eq!(Person::parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn an_unknown_name_takes_about_as_long_as_a_wrong_password() {
    // 1 MiB, so that the work is far above the clock's noise.
    let params = argon2::Params::new(1_024, 2, 1, None).unwrap();
    let engine = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let salt = argon2::password_hash::SaltString::encode_b64(&[7; 16]).unwrap();
    let hash = argon2::PasswordHasher::hash_password(&engine, b"x", &salt).unwrap().to_string();
    let file = parse(&format!("alice:{hash}")).unwrap();
    // Processor time of this thread, the least of many by turns: what else the machine does is not in it.
    let now = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        std::time::Duration::try_from(now).unwrap()
    };
    let time = |name: &str| {
        let start = now();
        assert_eq!(file.verify(name, "wrong"), None);
        now() - start
    };
    let (mut unknown, mut wrong) = (std::time::Duration::MAX, std::time::Duration::MAX);
    for _ in 0..20 {
        unknown = unknown.min(time("nobody"));
        wrong = wrong.min(time("alice"));
    }
    let ratio = unknown.as_secs_f64() / wrong.as_secs_f64();
    assert!((0.5..2.0).contains(&ratio), "{ratio}");
}

#[test]
fn the_file_must_be_ours_regular_and_outside_the_share() {
    let dir = std::env::temp_dir().join(format!("vicar-passwords-{}", std::process::id()));
    let share = dir.join("share");
    std::fs::create_dir_all(&share).unwrap();
    let write = |path: &Path, mode: u32| {
        std::fs::write(path, format!("alice:{}\n", hash("a"))).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let read = |path: &Path| PasswordFile::read(path, &share.canonicalize().unwrap(), Root::Refused);
    let path = dir.join("passwords");
    for (mode, ok) in [(0o600, true), (0o644, true), (0o400, true), (0o620, false), (0o602, false), (0o666, false)] {
        write(&path, mode);
        assert_eq!(read(&path).is_ok(), ok, "{mode:o}");
    }
    write(&path, 0o602);
    let message = read(&path).unwrap_err().to_string();
    assert!(message.contains("mode 0602") && message.contains("writable by nobody else"), "{message}");
    let inside = share.join("passwords");
    write(&inside, 0o600);
    assert!(matches!(read(&inside), Err(FileError::InsideShare { .. })));
    let link = dir.join("link");
    std::os::unix::fs::symlink(&inside, &link).unwrap();
    assert!(matches!(read(&link), Err(FileError::InsideShare { .. })));
    assert!(matches!(read(&share.join("..")), Err(FileError::NotAFile { .. })));
    assert!(matches!(read(&dir.join("none")), Err(FileError::Open { .. })));
    std::fs::remove_dir_all(&dir).unwrap();
}

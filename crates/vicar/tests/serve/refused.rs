use crate::server::{Scratch, is_root, refused};
use std::os::unix::fs::PermissionsExt as _;

const FILE: [&str; 2] = ["--password-file", "passwords"];

#[test]
fn what_cannot_be_served_is_one_line_and_exit_code_2() {
    let scratch = Scratch::new("refused", &["alice@61801:61801"]);
    let check = |args: &[&str], said: &str| {
        let stderr = refused(scratch.command(&[&FILE[..], args].concat()));
        assert!(stderr.lines().count() == 1 && stderr.contains(said), "{args:?}: {stderr}");
        assert!(stderr.starts_with("vicar serve: "), "{stderr}");
    };
    let plain = "plain HTTP needs a loopback address and a port below 1024, or --insecure-http";
    check(&["--plain-http", "--listen", "127.0.0.1:8080"], plain);
    check(&["--plain-http", "--listen", "127.0.0.1:0"], plain);
    check(&["--plain-http", "--listen", "192.0.2.1:80"], plain);
    check(&["--listen", "192.0.2.1:8443"], "cannot listen on 192.0.2.1:8443");
    check(&["--name", "https://x", "--listen", "127.0.0.1:0"], "expected a host name");
    check(&["--audit", "share/audit", "--listen", "127.0.0.1:0"], "inside the directory that is served");
    check(&["--audit", "/proc/none/audit", "--listen", "127.0.0.1:0"], "cannot open audit log");
    check(&["--tls-cert", "none.pem", "--tls-key", "none.pem"], "none.pem");
    for flag in ["--threads", "--threads-per-client", "--connections", "--requests-per-user", "--sign-ins"] {
        let usage = refused(scratch.command(&[&FILE[..], &[flag, "0"]].concat()));
        assert!(usage.contains(flag) && usage.contains("at least 1"), "{usage}");
    }
    assert_eq!(std::fs::read_dir(scratch.path("share")).unwrap().count(), 0);
    let usage = refused(scratch.command(&[&FILE[..], &["--tls-cert", "x"]].concat()));
    assert!(usage.contains("--tls-key"), "{usage}");
}

#[test]
fn a_password_file_that_others_can_change_or_fetch_is_not_used() {
    let scratch = Scratch::new("passwords", &["alice@61801:61801"]);
    let path = scratch.path("passwords");
    let chmod = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    let check = |args: &[&str], said: &str| {
        let stderr = refused(scratch.command(args));
        assert!(stderr.lines().count() == 1 && stderr.contains(said), "{args:?}: {stderr}");
    };
    chmod(0o620);
    check(&FILE, "mode 0620");
    chmod(0o600);
    std::fs::copy(&path, scratch.path("share").join("passwords")).unwrap();
    check(&["--password-file", "share/passwords"], "inside the directory that is served");
    check(&["--password-file", "none"], "cannot read password file none");
    std::fs::write(&path, "# nobody\n").unwrap();
    check(&FILE, "names nobody");
    std::fs::write(&path, "# people\nalice:secret\n").unwrap();
    check(&FILE, "passwords:2: expected an argon2id hash");
    std::fs::write(&path, "root@0:0:x\n").unwrap();
    check(&FILE, "passwords:1: ");
    for (path, said) in [("share/state", "inside the directory"), ("/proc/none", "cannot create")] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vicar"));
        command.args(["serve", "share", "--state", path]).current_dir(&scratch.dir);
        let stderr = refused(command);
        assert!(stderr.contains(said), "{stderr}");
    }
    assert!(!scratch.path("share").join("state").exists());
}

#[test]
fn a_directory_that_its_clients_cannot_reach_is_warned_of() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new("closed", &["alice@61801:61801"]);
    assert!(scratch.start(&[]).told.get("warnings").is_none());
    std::fs::set_permissions(&scratch.dir, std::fs::Permissions::from_mode(0o750)).unwrap();
    let told = &scratch.start(&[]).told;
    let warning = told["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with(&format!("{} has mode 0750", scratch.dir.display())), "{warning}");
}

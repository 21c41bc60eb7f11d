use super::*;
use std::os::unix::fs::PermissionsExt;

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("vicar-tls-{name}-{}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    dir
}

#[test]
fn the_first_run_makes_a_private_key_and_later_runs_keep_it() {
    let state = scratch("first");
    let first = Identity::self_signed(&state, &["files.example".into()]).unwrap();
    let path = state.join(self_signed::FILE);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let again = Identity::self_signed(&state, &["other.example".into()]).unwrap();
    assert_eq!(first.fingerprint(), again.fingerprint());
    assert_eq!(again.issuer(), Issuer::SelfSigned);
    assert_eq!(first.unnamed(), <[String; 0]>::default());
    assert_eq!(again.unnamed(), ["other.example"]);
    let known = ["files.example", "localhost", "127.0.0.1", "::1"].map(String::from);
    assert_eq!(Identity::self_signed(&state, &known).unwrap().unnamed(), <[String; 0]>::default());
    let near = ["files.exampl", "iles.example", "127.0.0.2"].map(String::from);
    assert_eq!(Identity::self_signed(&state, &near).unwrap().unnamed(), near);
    assert_eq!(std::fs::read_dir(&state).unwrap().count(), 1);
    let text = first.fingerprint().to_string();
    assert_eq!(text.len(), 95);
    assert!(text.split(':').all(|byte| byte.len() == 2 && u8::from_str_radix(byte, 16).is_ok()));
    std::fs::remove_dir_all(&state).unwrap();
}

#[test]
fn the_fingerprint_is_the_one_openssl_shows() {
    let state = scratch("openssl");
    let identity = Identity::self_signed(&state, &[]).unwrap();
    let shown = std::process::Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(state.join(self_signed::FILE))
        .output();
    match shown {
        Ok(shown) => {
            let shown = String::from_utf8(shown.stdout).unwrap();
            assert!(shown.trim_end().ends_with(&identity.fingerprint().to_string()), "{shown}");
        }
        Err(_) => eprintln!("skipped: needs openssl"),
    }
    std::fs::remove_dir_all(&state).unwrap();
}

#[test]
fn a_key_that_others_can_read_is_not_used() {
    let state = scratch("modes");
    let identity = Identity::self_signed(&state, &[]).unwrap();
    let path = state.join(self_signed::FILE);
    let chmod = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    chmod(0o640);
    let refused = Identity::self_signed(&state, &[]).unwrap_err();
    assert!(refused.to_string().contains("mode 0640"), "{refused}");
    assert_eq!(Identity::from_files(&path, &path).unwrap().fingerprint(), identity.fingerprint());
    assert_eq!(Identity::from_files(&path, &path).unwrap().issuer(), Issuer::Given);
    for mode in [0o644, 0o620, 0o602] {
        chmod(mode);
        assert!(matches!(Identity::from_files(&path, &path), Err(TlsError::KeyExposed { .. })), "{mode:o}");
    }
    std::fs::remove_dir_all(&state).unwrap();
}

#[test]
fn what_is_no_key_or_not_this_certificates_key_is_named() {
    let (one, two) = (scratch("one"), scratch("two"));
    let _ = (Identity::self_signed(&one, &[]).unwrap(), Identity::self_signed(&two, &[]).unwrap());
    let (one_pem, two_pem) = (one.join(self_signed::FILE), two.join(self_signed::FILE));
    assert!(matches!(Identity::from_files(&one_pem, &two_pem), Err(TlsError::Rejected { .. })));
    let empty = one.join("empty");
    std::fs::write(&empty, "").unwrap();
    std::fs::set_permissions(&empty, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(Identity::from_files(&empty, &one_pem), Err(TlsError::NotPem { item: "certificate", .. })));
    assert!(matches!(Identity::from_files(&one_pem, &empty), Err(TlsError::NotPem { item: "private key", .. })));
    assert!(matches!(Identity::from_files(&one.join("none"), &one_pem), Err(TlsError::System { .. })));
    for dir in [one, two] {
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

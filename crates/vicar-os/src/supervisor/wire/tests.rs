use super::*;
use crate::source::account::Lookup;
use crate::source::{AccountError, NameError};
use crate::supervisor::admission::Refusal;
use crate::supervisor::error::{Field, PamStep, Unavailable};
use proptest::prelude::*;

fn groups(raw: &[u32]) -> Vec<KernelGid> {
    raw.iter().map(|&raw| KernelGid::new(raw).unwrap()).collect()
}

fn account(count: u32) -> Account {
    let listed: Vec<u32> = (100..).take(usize::try_from(count).unwrap()).collect();
    let identity =
        UnixIdentity::new(KernelUid::new(61_001).unwrap(), KernelGid::new(7).unwrap(), groups(&listed)).unwrap();
    let mut account = Account::new("alice".into(), identity);
    account.home = Some(PathBuf::from("/home/alice"));
    account
}

/// One value of every shape an error can have.
fn errors() -> Vec<SignInError> {
    let mut all = vec![
        SignInError::Malformed(Field::Service),
        SignInError::Malformed(Field::User),
        SignInError::Malformed(Field::Password),
        SignInError::Malformed(Field::RemoteHost),
        SignInError::WrongCredentials,
        SignInError::PasswordExpired,
        SignInError::AccountExpired,
        SignInError::AccountDenied,
        SignInError::NotAdmitted(Refusal::Root),
        SignInError::NotAdmitted(Refusal::Anonymous),
        SignInError::NotAdmitted(Refusal::Server),
        SignInError::NotAdmitted(Refusal::Overflow),
        SignInError::NotAdmitted(Refusal::System { uid_min: 1000 }),
        SignInError::Prompted,
        SignInError::NotAsked,
        SignInError::NoPam,
        SignInError::OldPam,
        SignInError::Account(AccountError::Unknown),
        SignInError::Account(AccountError::MinusOne),
        SignInError::Account(AccountError::Inconsistent),
        SignInError::Account(AccountError::TooManyGroups { count: 65_537 }),
        SignInError::Account(AccountError::Name(NameError::Empty)),
        SignInError::Account(AccountError::Name(NameError::TooLong)),
        SignInError::Account(AccountError::Name(NameError::Character { at: 3 })),
        SignInError::Account(AccountError::Name(NameError::Sign)),
        SignInError::Account(AccountError::Name(NameError::Number)),
        SignInError::Unavailable(Unavailable::Dead),
        SignInError::Unavailable(Unavailable::TimedOut),
        SignInError::Unavailable(Unavailable::Busy),
        SignInError::Unavailable(Unavailable::Crashed),
    ];
    for step in [PamStep::Start, PamStep::SetItem, PamStep::Authenticate, PamStep::AccountManagement, PamStep::GetUser]
    {
        all.push(SignInError::Pam { step, code: -7 });
    }
    for lookup in [Lookup::Name, Lookup::Uid, Lookup::Groups] {
        all.push(SignInError::Account(AccountError::Failed { lookup, errno: 5 }));
    }
    for tag in 1..=7 {
        let operation = operation(tag).unwrap();
        assert_eq!(operation_tag(operation), tag);
        all.push(SignInError::Unavailable(Unavailable::Failed { operation, errno: 11 }));
    }
    all
}

#[test]
fn every_answer_comes_back_as_it_was() {
    for error in errors() {
        assert_eq!(decode_answer(&encode_answer(&Err(error))), Ok(Err(error)));
    }
    for count in [0, 1, 1023, 1024, 1025, 65_535] {
        let answer = Ok(account(count));
        let bytes = encode_answer(&answer);
        assert!(bytes.len() <= MAX_ANSWER_LEN);
        assert_eq!(decode_answer(&bytes), Ok(answer));
    }
}

#[test]
fn a_question_comes_back_as_it_was() {
    let sign_in = SignIn {
        service: "vicar".into(),
        user: "alice".into(),
        password: Secret::new("p".repeat(511)),
        remote_host: Some("192.0.2.7".into()),
    };
    let bytes = encode_question(&Question { id: u64::MAX, ask: Ask::SignIn(sign_in) });
    let question = decode_question(&bytes).unwrap();
    assert_eq!(question.id, u64::MAX);
    let Ask::SignIn(sign_in) = question.ask else { panic!("not a sign-in") };
    assert_eq!((sign_in.service.as_str(), sign_in.user.as_str()), ("vicar", "alice"));
    assert_eq!(sign_in.password.expose(), "p".repeat(511).as_bytes());
    assert_eq!(sign_in.remote_host.as_deref(), Some("192.0.2.7"));
}

#[test]
fn texts_with_zero_bytes_or_beyond_their_limit_are_refused() {
    for name in ["a\0b".to_owned(), "a".repeat(MAX_USER_LEN + 1)] {
        assert!(decode_question(&encode_question(&Question { id: 1, ask: Ask::Name(name) })).is_err());
    }
    for password in ["a\0b".to_owned(), "a".repeat(512)] {
        let sign_in = SignIn {
            service: "vicar".into(),
            user: "alice".into(),
            password: Secret::new(password),
            remote_host: None,
        };
        assert!(decode_question(&encode_question(&Question { id: 1, ask: Ask::SignIn(sign_in) })).is_err());
    }
}

#[test]
fn a_sender_that_checks_nothing_gets_no_service_file_of_its_own() {
    for (service, user, password, host) in [
        ("../../tmp/mine", "alice", "p", None),
        ("", "alice", "p", None),
        ("vicar", "", "p", None),
        ("vicar", "alice", "", None),
        ("vicar", "alice", "p", Some("")),
        ("vicar", "alice", "p", Some("192.0.2.1\nroot logged in")),
    ] {
        let sign_in = SignIn {
            service: service.into(),
            user: user.into(),
            password: Secret::new(password),
            remote_host: host.map(str::to_owned),
        };
        assert!(
            decode_question(&encode_question(&Question { id: 1, ask: Ask::SignIn(sign_in) })).is_err(),
            "{service:?}"
        );
    }
}

#[test]
fn an_identity_has_one_spelling() {
    let good = encode_answer(&Ok(account(2)));
    // tag, name length and name, uid: the primary group and the count come next, then groups 7, 100, 101.
    let at = 1 + 2 + 5 + 4 + 4 + 4;
    for (from, to) in [(0, 4), (4, 8)] {
        let mut swapped = good.clone();
        for byte in 0..4 {
            swapped.swap(at + from + byte, at + to + byte);
        }
        assert_eq!(decode_answer(&swapped), Err(Malformed));
    }
    let mut minus_one = good;
    minus_one[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(decode_answer(&minus_one), Err(Malformed));
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_malformed(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(question) = decode_question(&bytes) {
            prop_assert_eq!(&*encode_question(&question), &bytes);
        }
        if let Ok(answer) = decode_answer(&bytes) {
            prop_assert_eq!(encode_answer(&answer), bytes.clone());
        }
        let _ = decode_part(&bytes);
    }

    #[test]
    fn a_damaged_message_is_another_message_or_malformed(
        index in 0_usize..40, at in 0_usize..200, byte in any::<u8>(), cut in 0_usize..200,
    ) {
        let all = errors();
        let mut bytes = match all.get(index) {
            Some(error) => encode_answer(&Err(*error)),
            None => encode_answer(&Ok(account(9))),
        };
        if let Some(slot) = bytes.get_mut(at) { *slot = byte; }
        bytes.truncate(bytes.len().saturating_sub(cut));
        if let Ok(answer) = decode_answer(&bytes) {
            prop_assert_eq!(encode_answer(&answer), bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn parts_put_together_are_the_answer(answer in prop::collection::vec(any::<u8>(), 1..200_000), id in any::<u64>()) {
        let mut whole = Vec::new();
        let packets = encode_parts(id, &answer);
        let last = packets.len().saturating_sub(1);
        for (index, packet) in packets.iter().enumerate() {
            prop_assert!(packet.len() <= MAX_PACKET_LEN);
            let part = decode_part(packet).unwrap();
            prop_assert_eq!((part.id, part.is_last), (id, index == last));
            whole.extend_from_slice(part.bytes);
        }
        prop_assert_eq!(whole, answer);
    }
}

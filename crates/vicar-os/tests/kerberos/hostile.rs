//! Tokens that are none.

use crate::realm::{Other, Realm};
use vicar_os::source::kerberos::{Accept, AcceptError, Kerberos};

/// A generator that gives the same numbers each time (Marsaglia's xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }
}

/// Shows a token to a helper; whether it was accepted, as alice. Everything else must be a refusal; a helper that
/// crashed would be neither.
fn show(kerberos: &Kerberos, token: &[u8], what: &str) -> bool {
    match kerberos.accept().unwrap().step(token) {
        Ok(Accept::Continue(_))
        | Err(
            AcceptError::Refused(_)
            | AcceptError::Mechanism
            | AcceptError::Anonymous
            | AcceptError::Principal
            | AcceptError::ForeignCredential,
        ) => false,
        Ok(Accept::Done(accepted)) => {
            assert_eq!(accepted.principal(), "alice@VICAR.TEST", "{what}");
            true
        }
        Err(other) => panic!("{what}: {other:?}"),
    }
}

pub(crate) fn hostile_tokens_are_refused_and_crash_nothing() {
    const SEED: u64 = 0x5EED_0001;
    let realm = Realm::new();
    let cache = realm.kinit("alice", &["-f"]);
    let ([kerberos], world) = realm.serve([realm.options()]);
    let mut dice = Dice(SEED);
    let (mut shown, mut accepted) = (0, 0);
    for how in ["negotiated,delegate", "plain,delegate"] {
        let token = Other::client(&cache, "HTTP", how).token();
        // Cut at each of the first bytes and at places all over it.
        let cuts = (1..16).chain((0..24).map(|_| 1 + dice.below(token.len() - 1)));
        for len in cuts.collect::<Vec<_>>() {
            assert!(!show(&kerberos, &token[..len], "cut"), "{how}: {len} of {} bytes", token.len());
            shown += 1;
        }
        // One to four bytes changed. What is changed may be of no meaning (a list of what else the client could do): then the
        // token is what it was, once.
        for round in 0..96 {
            let mut token = token.clone();
            for _ in 0..=dice.below(4) {
                let (at, bits) = (dice.below(token.len()), 1 + dice.below(255));
                token[at] ^= u8::try_from(bits).unwrap();
            }
            accepted += u32::from(show(&kerberos, &token, &format!("{how}, seed {SEED:#x}, round {round}")));
            shown += 1;
        }
        // Lengths that are not there, and bytes that are no token at all.
        for at in 1..8 {
            let mut token = token.clone();
            token[at] = 0xFF;
            assert!(!show(&kerberos, &token, "length"), "{how}: byte {at}");
            shown += 1;
        }
    }
    for len in [1, 2, 16, 255, 4096, 65_535] {
        for first in [0x00, 0x60, 0xA1, 0x6E, 0xFF] {
            let mut token: Vec<u8> = (0..len).map(|_| u8::try_from(dice.below(256)).unwrap()).collect();
            token[0] = first;
            assert!(!show(&kerberos, &token, "noise"));
            shown += 1;
        }
    }
    assert!(accepted <= 2, "{accepted} changed tokens were accepted");
    // Everybody is still served.
    let token = Other::client(&cache, "HTTP", "plain").token();
    assert!(show(&kerberos, &token, "afterwards"));
    assert!(world.supervisor.is_alive());
    println!("counted: {shown} hostile tokens, {accepted} of them of the same meaning");
}

//! The version matrix of 3.4 and all pairs of fixtures, printed to a file that is reviewed as a diff.
//!
//! `VICAR_BLESS=1 cargo test` writes the file anew. The column of expectations below comes from the specification, so a
//! blessed file cannot be wrong about those rows.

use std::fmt::Write as _;
use std::path::Path;

use vicar_kernel::policy::ConstrainedImpersonation;
use vicar_kernel::{Policy, Profile};
use vicar_nt::ImpersonationLevel;

use crate::fixture::{Imp, Who, World, verdict};

/// A case, process, token and what V0 to V4 answer: `=` as asked, `v` downgraded, `n` the profile has no such token.
type Row = (&'static str, Who, Who, &'static str);

const ROWS: [Row; 18] = [
    ("service with the privilege, any user", Who::Ns, Who::B, "====="),
    ("service, privilege disabled, other user", Who::Nsx, Who::B, "=vvvv"),
    ("user process, other user", Who::A, Who::B, "=vvvv"),
    ("user process, own user", Who::A, Who::A, "====="),
    ("low process, own medium token", Who::Al, Who::A, "==vvv"),
    ("medium process, own elevated token", Who::A, Who::Ae, "nnvvv"),
    ("medium process, elevated token lowered", Who::A, Who::AeMedium, "nn==v"),
    ("user process, made by explicit credentials", Who::A, Who::Bx, "====="),
    ("user process, network logon (origin 0)", Who::A, Who::Bn, "=vvvv"),
    ("restricted process, own unrestricted token", Who::Ar, Who::A, "=vvvv"),
    ("unrestricted process, own restricted token", Who::A, Who::Ar, "====="),
    ("any process, anonymous token", Who::Al, Who::Anon, "====="),
    ("AppContainer process, own plain token", Who::Ac1, Who::A, "nnnvv"),
    ("AppContainer process, own plain low token", Who::Ac1, Who::Al, "nnnvv"),
    ("full process, own AppContainer token", Who::A, Who::Ac1, "nnn=="),
    ("AppContainer with the capability, other user", Who::Ac1, Who::Bc1, "nnnvv"),
    ("AppContainer with the capability, own user", Who::Ac1, Who::Ac1s, "nnn=="),
    ("service, token with process trust", Who::Ns, Who::BTrust, "nnn=="),
];

const EVERYBODY: [Who; 25] = [
    Who::Sys,
    Who::SysBare,
    Who::Ns,
    Who::Nsx,
    Who::A,
    Who::Ae,
    Who::AeMedium,
    Who::Al,
    Who::Ar,
    Who::ANone,
    Who::B,
    Who::Bx,
    Who::BxHigh,
    Who::Bn,
    Who::Ac1,
    Who::Ac1s,
    Who::Ac2,
    Who::Bc1,
    Who::Bc9,
    Who::Bc1OtherSession,
    Who::SysC1,
    Who::Anon,
    Who::AnonForged,
    Who::BTrust,
    Who::AnonTrust,
];

fn answer(world: &World, process: Who, token: Who) -> String {
    let verdict = verdict(world, process, token, Imp);
    let sign = if verdict.is_allowed { '=' } else { 'v' };
    let clamp = if verdict.clamp.is_some() { "t" } else { "" };
    format!("{sign}G{}{clamp}", verdict.step.number())
}

fn print_rows(out: &mut String) {
    writeln!(out, "{:46}V0     V1     V2     V3     V4", "process / token, asking Impersonation").unwrap();
    for (name, process, token, expected) in ROWS {
        write!(out, "{name:46}").unwrap();
        for (profile, sign) in Profile::ALL.into_iter().zip(expected.chars()) {
            if sign == 'n' {
                write!(out, "{:7}", "n/a").unwrap();
                continue;
            }
            let text = answer(&World::with(profile, Policy::strict()), process, token);
            assert!(text.starts_with(sign), "{name}, {profile:?}: {text} where the specification says {sign}");
            write!(out, "{text:7}").unwrap();
        }
        while out.ends_with(' ') {
            out.pop();
        }
        out.push('\n');
    }
}

fn print_pairs(out: &mut String, profile: Profile, policy: Policy) {
    let world = World::with(profile, policy);
    for process in EVERYBODY {
        write!(out, "{:16}", format!("{process:?}")).unwrap();
        for token in EVERYBODY {
            write!(out, " {:6}", answer(&world, process, token)).unwrap();
        }
        while out.ends_with(' ') {
            out.pop();
        }
        out.push('\n');
    }
}

fn matrix() -> String {
    let mut out = String::from(
        "May a process wear a token at level Impersonation? '=' as asked, 'v' a copy at Identification, then the deciding\n\
         step, 't' when process trust is lowered. Strict policy.\n\n",
    );
    print_rows(&mut out);
    let worlds = [
        (Profile::V1, "strict", Policy::strict()),
        (Profile::V4, "strict", Policy::strict()),
        (Profile::V4, "compatible", Policy::compatible()),
    ];
    for (profile, name, policy) in worlds {
        write!(out, "\n{profile:?}, {name}: process (line) and token (column)\n{:16}", "").unwrap();
        for token in EVERYBODY {
            write!(out, " {:6}", format!("{token:?}").chars().take(6).collect::<String>()).unwrap();
        }
        while out.ends_with(' ') {
            out.pop();
        }
        out.push('\n');
        print_pairs(&mut out, profile, policy);
    }
    out
}

#[test]
fn the_gate_matrix_is_the_reviewed_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/gate-matrix.txt");
    let now = matrix();
    if std::env::var_os("VICAR_BLESS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let reviewed = std::fs::read_to_string(&path).unwrap();
    for (line, (now, reviewed)) in now.lines().zip(reviewed.lines()).enumerate() {
        assert_eq!(now, reviewed, "line {}", line + 1);
    }
    assert_eq!(now.lines().count(), reviewed.lines().count());
}

#[test]
fn below_impersonation_every_pair_is_allowed_in_every_profile() {
    for profile in Profile::ALL {
        for policy in [Policy::strict(), Policy::compatible()] {
            let world = World::with(profile, policy);
            for process in EVERYBODY {
                for token in EVERYBODY {
                    for level in [ImpersonationLevel::Anonymous, ImpersonationLevel::Identification] {
                        assert!(verdict(&world, process, token, level).is_allowed);
                    }
                }
            }
        }
    }
}

#[test]
fn the_strict_policy_allows_nothing_that_the_compatible_one_refuses() {
    for profile in Profile::ALL {
        let (strict, compatible) = (World::with(profile, Policy::strict()), World::with(profile, Policy::compatible()));
        let mut off = Policy::strict();
        off.constrained = ConstrainedImpersonation::Off;
        let off = World::with(profile, off);
        for process in EVERYBODY {
            for token in EVERYBODY {
                let strict = verdict(&strict, process, token, Imp).is_allowed;
                assert!(!strict || verdict(&compatible, process, token, Imp).is_allowed);
                assert!(strict || !verdict(&off, process, token, Imp).is_allowed);
            }
        }
    }
}

#[test]
fn a_newer_profile_allows_nothing_that_an_older_one_refuses() {
    for process in EVERYBODY {
        for token in EVERYBODY {
            let answers: Vec<bool> = Profile::ALL
                .into_iter()
                .map(|profile| verdict(&World::with(profile, Policy::strict()), process, token, Imp).is_allowed)
                .collect();
            assert!(answers.windows(2).all(|pair| pair[0] || !pair[1]), "{process:?}, {token:?}: {answers:?}");
        }
    }
}

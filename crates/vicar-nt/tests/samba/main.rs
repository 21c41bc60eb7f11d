//! The same questions asked of Samba's `access_check`, where Samba knows the rules: plain and object entries, ownership,
//! two privileges, MAXIMUM_ALLOWED, specific rights. It has no restricted tokens, no deny-only groups, no packages, no
//! integrity and no mapping. Differences that are known are listed in `deviations.txt` with their reason.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that panics has failed, which is what it is for"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};

use vicar_nt::check::{AccessRequest, Subject, decide};
use vicar_nt::privilege::PrivilegeState;
use vicar_nt::token::TokenState;
use vicar_nt::{GenericMapping, GroupAttributes, Privilege, RequestedMask, Sid, sddl};

const CASES: u64 = 120_000;
const SEED: u64 = 0x5EED_0001;
const PYTHON: &str = "/usr/bin/python3";
const MAXIMUM: u32 = 0x0200_0000;
const SECURITY: u32 = 0x0100_0000;

const PEOPLE: [&str; 7] = [
    "S-1-5-21-1-2-3-1001",
    "S-1-5-21-1-2-3-1002",
    "S-1-5-21-1-2-3-1100",
    "S-1-1-0",
    "S-1-5-11",
    "S-1-5-32-544",
    "S-1-5-32-545",
];
const OWNER_RIGHTS: &str = "S-1-3-4";
const BITS: [u32; 12] = [1, 2, 4, 8, 0x20, 0x40, 0x80, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000];

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.roll(from.len() as u64)).unwrap()]
    }

    fn mask(&mut self, bits: u64) -> u32 {
        (0..self.roll(bits) + 1).fold(0, |mask, _| mask | BITS[usize::try_from(self.roll(12)).unwrap()])
    }
}

#[derive(Debug)]
struct Case {
    text: String,
    sids: Vec<&'static str>,
    privileges: Vec<Privilege>,
    desired: u32,
}

fn case(dice: &mut Dice) -> Case {
    let mut text = format!("O:{}G:S-1-5-18", dice.pick(&PEOPLE));
    match dice.roll(40) {
        0 => {}
        1 => text.push_str("D:NO_ACCESS_CONTROL"),
        _ => {
            text.push_str("D:");
            for _ in 0..dice.roll(7) {
                let kind = dice.pick(&["A", "A", "A", "A", "D", "D", "D", "OA", "OD"]);
                let flags = dice.pick(&["", "", "", "", "ID", "OICI", "OICIIO", "IO", "CINP"]);
                let typed = kind.starts_with('O') && dice.roll(2) == 0;
                let guid = if typed { "bf967aba-0de6-11d0-a285-00aa003049e2" } else { "" };
                let sid = if dice.roll(8) == 0 { OWNER_RIGHTS } else { dice.pick(&PEOPLE) };
                write!(text, "({kind};{flags};{:#x};{guid};;{sid})", dice.mask(5)).unwrap();
            }
        }
    }
    let mut sids = vec![PEOPLE[usize::try_from(dice.roll(3)).unwrap()]];
    sids.extend(PEOPLE[3..].iter().filter(|_| dice.roll(3) > 0));
    let powers = [Privilege::Security, Privilege::TakeOwnership];
    let privileges = powers.into_iter().filter(|_| dice.roll(8) == 0).collect();
    let desired = match dice.roll(24) {
        0 => 0,
        1..=4 => MAXIMUM,
        5 => MAXIMUM | dice.mask(3),
        6 => SECURITY | dice.mask(3),
        _ => dice.mask(4),
    };
    Case { text, sids, privileges, desired }
}

/// What we answer, in the peer's words.
fn ours(case: &Case) -> String {
    let sd = sddl::parse(&case.text, None).unwrap();
    let sids: Vec<Sid> = case.sids.iter().map(|text| text.parse().unwrap()).collect();
    let mut token = TokenState::builder(sids[0]);
    for sid in &sids[1..] {
        token = token.group(*sid, GroupAttributes::ALWAYS_ENABLED);
    }
    for privilege in &case.privileges {
        token = token.privilege(*privilege, PrivilegeState::Enabled);
    }
    let token = token.build().unwrap();
    let mapping = GenericMapping::of(0, 0, 0, 0x001F_01FF);
    let request = AccessRequest::new(Subject::itself(&token), sd.as_ref(), RequestedMask(case.desired), mapping);
    match decide(&request) {
        Ok(grant) => format!("granted {:#010x}", grant.mask().bits()),
        Err(denial) => format!("refused {:#010x}", denial.status().0),
    }
}

/// Names the listed deviation a difference is an instance of.
fn deviation(case: &Case, ours: &str, theirs: &str) -> Option<&'static str> {
    let has_dacl = case.text.contains("D:");
    let is_null = case.text.contains("NO_ACCESS_CONTROL");
    let refused = |text: &str| text.starts_with("refused");
    match (refused(ours), refused(theirs)) {
        (true, false) if case.desired == 0 => Some("nothing-desired"),
        (true, false) if theirs == "granted 0x00000000" && case.desired == MAXIMUM => Some("maximum-of-nothing"),
        (false, false) if is_null && case.desired & MAXIMUM != 0 => Some("null-dacl-maximum"),
        (_, true) | (false, _) if !has_dacl => Some("absent-dacl"),
        (true, false) if is_null && case.desired & SECURITY != 0 => Some("null-dacl-gives-security"),
        _ => None,
    }
}

fn listed() -> Vec<&'static str> {
    let lines = include_str!("deviations.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(" | ").collect();
            assert_eq!(fields.len(), 3, "{line}");
            fields[0]
        })
        .collect()
}

#[test]
fn samba_agrees_where_it_knows_the_rules() {
    let has = Command::new(PYTHON).args(["-c", "import samba.security"]).stderr(Stdio::null()).status();
    if !has.is_ok_and(|status| status.success()) {
        println!("skipped: python3-samba is not installed (apt-get install python3-samba)");
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samba/peer.py");
    let mut child =
        Command::new(PYTHON).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python");
    let mut dice = Dice(SEED);
    let cases: Vec<Case> = (0..CASES).map(|_| case(&mut dice)).collect();
    let mut lines = String::new();
    for case in &cases {
        let privileges: Vec<String> = case.privileges.iter().map(ToString::to_string).collect();
        let sd = sddl::parse(&case.text, None).unwrap();
        sd.as_bytes().iter().for_each(|byte| write!(lines, "{byte:02x}").unwrap());
        writeln!(lines, "\t{}\t{}\t{:#x}", case.sids.join(","), privileges.join(","), case.desired).unwrap();
    }
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let mut seen: BTreeMap<&str, u64> = listed().into_iter().map(|name| (name, 0)).collect();
    let mut wrong = Vec::new();
    let mut granted = 0u64;
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    for case in &cases {
        let theirs = answers.next().expect("an answer to every question").unwrap();
        let ours = ours(case);
        granted += u64::from(ours.starts_with("granted"));
        if ours == theirs {
            continue;
        }
        match deviation(case, &ours, &theirs).and_then(|name| seen.get_mut(name)) {
            Some(count) => *count += 1,
            None => wrong.push(format!("we {ours}, they {theirs}: {case:?}")),
        }
    }
    writer.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    println!("{CASES} cases, {granted} granted; known deviations: {seen:?}");
    assert!(wrong.is_empty(), "{} of {CASES} differ:\n{}", wrong.len(), wrong[..wrong.len().min(12)].join("\n"));
    let stale: Vec<&&str> = seen.iter().filter(|(_, count)| **count == 0).map(|(name, _)| name).collect();
    assert!(stale.is_empty(), "listed deviations that do not show: {stale:?}");
    assert!(granted > CASES / 10 && granted < CASES * 9 / 10, "{granted} of {CASES} granted");
}

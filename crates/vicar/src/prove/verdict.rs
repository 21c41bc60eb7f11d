//! What came of one question, and what to call it. Pure: no files, no network.

use serde::Serialize;

use super::oracle::{Answer, Made};
use super::question::{Act, Question};
use super::scene::{Owner, Seen};

/// What to call the difference between the kernel and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Right,
    /// The server gave what the kernel denies.
    Leak,
    /// The server denied what the kernel gives.
    WronglyRefused,
    /// The server did it, but the kernel recorded somebody else.
    WrongOwner,
    /// The server does not do this at all (405, 501).
    NotOffered,
    /// The server said nothing.
    NoAnswer,
}

impl Class {
    /// The word for the table.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Right => "ok",
            Self::Leak => "LEAK",
            Self::WronglyRefused => "WRONGLY REFUSED",
            Self::WrongOwner => "WRONG OWNER",
            Self::NotOffered => "not offered",
            Self::NoAnswer => "NO ANSWER",
        }
    }

    /// Whether the server is wrong.
    pub(crate) const fn is_wrong(self) -> bool {
        match self {
            Self::Leak | Self::WronglyRefused | Self::WrongOwner => true,
            Self::Right | Self::NotOffered | Self::NoAnswer => false,
        }
    }
}

/// What the server did, as far as files and bytes show.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// `None` when there was no answer.
    pub(crate) http: Option<u16>,
    /// Whether the answer holds what only somebody who may read could know.
    pub(crate) shows_secret: bool,
    /// What the question's path is afterwards.
    pub(crate) path: Seen,
    /// What the place that COPY and MOVE name is afterwards.
    pub(crate) to: Seen,
    /// What stood in the file before.
    pub(crate) before: String,
}

/// One judged question.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) who: String,
    pub(crate) path: String,
    pub(crate) act: Act,
    pub(crate) about: String,
    pub(crate) is_expected: bool,
    pub(crate) http: Option<u16>,
    pub(crate) is_done: bool,
    pub(crate) owner: Option<Owner>,
    pub(crate) class: Class,
    pub(crate) note: Option<String>,
}

/// One verdict for programs.
#[derive(Debug, Serialize)]
pub(crate) struct VerdictRow<'a> {
    who: &'a str,
    path: &'a str,
    op: &'static str,
    expected: &'static str,
    http: Option<u16>,
    got: &'static str,
    owner_uid: Option<u32>,
    owner_gid: Option<u32>,
    question: &'a str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

impl Verdict {
    /// The verdict as DESIGN fixes it for programs, with the question in words and the class added.
    pub(crate) fn row(&self) -> VerdictRow<'_> {
        VerdictRow {
            who: &self.who,
            path: &self.path,
            op: self.act.method(),
            expected: if self.is_expected { "allowed" } else { "refused" },
            http: self.http,
            got: self.got(),
            owner_uid: self.owner.map(|owner| owner.uid),
            owner_gid: self.owner.map(|owner| owner.gid),
            question: &self.about,
            verdict: self.class.word(),
            note: self.note.as_deref(),
        }
    }

    /// Whether the server said that it did what it may, and the files do not show it yet.
    pub(crate) const fn is_late(&self) -> bool {
        self.is_expected && !self.is_done && self.act.changes_files() && matches!(self.http, Some(200..=299))
    }

    /// What the server did, in a word or two.
    pub(crate) const fn got(&self) -> &'static str {
        match (self.class, self.is_done) {
            (Class::NoAnswer, _) => "no answer",
            (Class::NotOffered, _) => "not offered",
            (Class::WrongOwner, _) => "wrong owner",
            (_, true) => "allowed",
            (_, false) => "refused",
        }
    }
}

/// Compares what the kernel did for a dropped child with what the server did.
pub(crate) fn judge(who: String, question: &Question, expected: &Answer, evidence: &Evidence) -> Verdict {
    let (is_expected, made) = match expected {
        Answer::Allowed { made } => (true, *made),
        Answer::Denied { .. } | Answer::Failed { .. } => (false, None),
    };
    let (is_done, result) = effect(question.act, evidence);
    let (owner, mode) = match result {
        Seen::File { owner, mode, .. } => (Some(*owner), Some(*mode)),
        Seen::Directory { owner } => (Some(*owner), None),
        Seen::Missing | Seen::Other => (None, None),
    };
    let recorded = if is_done && question.act.leaves_a_file() { owner } else { None };
    let expected_owner = made.map(Made::owner);
    let mut note = None;
    let class = match (is_expected, is_done) {
        (false, true) => Class::Leak,
        (false, false) if evidence.http.is_none() => Class::NoAnswer,
        (false, false) => {
            if matches!(evidence.http, Some(200..=299)) {
                note = Some("said yes but did nothing".to_owned());
            }
            Class::Right
        }
        (true, false) => match evidence.http {
            None => Class::NoAnswer,
            Some(405 | 501) => Class::NotOffered,
            Some(200..=299) => {
                note = Some("said yes but did nothing".to_owned());
                Class::WronglyRefused
            }
            Some(_) => Class::WronglyRefused,
        },
        (true, true) => match (recorded, expected_owner) {
            (Some(got), Some(wanted)) if got != wanted => {
                note = Some(format!("should be {}:{}", wanted.uid, wanted.gid));
                Class::WrongOwner
            }
            _ => match (question.act, mode, made.map(|made| made.mode)) {
                (Act::Overwrite, Some(mode), Some(was)) if mode & !was != 0 => {
                    note = Some(format!("mode was {was:04o}, is {mode:04o}"));
                    Class::Leak
                }
                _ => Class::Right,
            },
        },
    };
    Verdict {
        who,
        path: question.path.clone(),
        act: question.act,
        about: question.about.clone(),
        is_expected,
        http: evidence.http,
        is_done,
        owner: recorded,
        class,
        note,
    }
}

impl Act {
    const fn changes_files(self) -> bool {
        match self {
            Self::Create | Self::Overwrite | Self::Delete | Self::MakeDirectory | Self::Copy | Self::Move => true,
            Self::Read | Self::List => false,
        }
    }

    /// Whether, once done, there is a file whose owner says who did it.
    const fn leaves_a_file(self) -> bool {
        match self {
            Self::Create | Self::Overwrite | Self::MakeDirectory | Self::Copy | Self::Move => true,
            Self::Read | Self::List | Self::Delete => false,
        }
    }
}

/// Whether it was done, whatever the status says, and the place that shows it.
fn effect(act: Act, evidence: &Evidence) -> (bool, &Seen) {
    let holds = |seen: &Seen, text: &str| match seen {
        Seen::File { content, .. } => content == text.as_bytes(),
        Seen::Missing | Seen::Directory { .. } | Seen::Other => false,
    };
    match act {
        Act::Read | Act::List => (evidence.shows_secret, &evidence.path),
        Act::Create => (evidence.path != Seen::Missing, &evidence.path),
        // Anything but the old bytes: half an overwrite is an overwrite.
        Act::Overwrite => (!holds(&evidence.path, &evidence.before), &evidence.path),
        Act::Delete => (evidence.path == Seen::Missing, &evidence.path),
        Act::MakeDirectory => (matches!(evidence.path, Seen::Directory { .. }), &evidence.path),
        Act::Copy => (holds(&evidence.to, &evidence.before), &evidence.to),
        Act::Move => (evidence.path == Seen::Missing || holds(&evidence.to, &evidence.before), &evidence.to),
    }
}

/// The verdicts together.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) right: usize,
    pub(crate) leaks: usize,
    pub(crate) wrongly_refused: usize,
    pub(crate) wrong_owner: usize,
    pub(crate) not_offered: usize,
    pub(crate) no_answer: usize,
}

impl Tally {
    pub(crate) fn of(verdicts: &[Verdict]) -> Self {
        let count = |class| verdicts.iter().filter(|verdict| verdict.class == class).count();
        Self {
            right: count(Class::Right),
            leaks: count(Class::Leak),
            wrongly_refused: count(Class::WronglyRefused),
            wrong_owner: count(Class::WrongOwner),
            not_offered: count(Class::NotOffered),
            no_answer: count(Class::NoAnswer),
        }
    }

    /// Whether the server gave everybody their own and nothing else.
    pub(crate) fn is_ok(&self, verdicts: &[Verdict]) -> bool {
        self.no_answer == 0 && !verdicts.iter().any(|verdict| verdict.class.is_wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::super::question::Asker;
    use super::*;

    const ALICE: Owner = Owner { uid: 61001, gid: 61001 };
    const ROOT: Owner = Owner { uid: 0, gid: 0 };

    fn question(act: Act) -> Question {
        Question { who: Asker::Person(0), act, path: "p".into(), to: Some("t".into()), about: String::new(), rank: 0 }
    }

    fn file(owner: Owner, mode: u32, text: &str) -> Seen {
        Seen::File { owner, mode, content: text.as_bytes().to_vec() }
    }

    fn evidence(http: u16, shows_secret: bool, path: Seen, to: Seen) -> Evidence {
        Evidence { http: Some(http), shows_secret, path, to, before: "old".into() }
    }

    fn made(owner: Owner, mode: u32) -> Answer {
        Answer::Allowed { made: Some(Made { uid: owner.uid, gid: owner.gid, mode }) }
    }

    const DENIED: Answer = Answer::Denied { errno: 13 };
    const PLAIN: Answer = Answer::Allowed { made: None };

    fn check(act: Act, expected: &Answer, evidence: &Evidence, class: Class) -> Verdict {
        let verdict = judge("alice".into(), &question(act), expected, evidence);
        assert_eq!(verdict.class, class, "{act:?} {expected:?} {evidence:?}");
        verdict
    }

    #[test]
    fn reading_is_judged_by_what_the_answer_shows() {
        let old = || file(ALICE, 0o600, "old");
        check(Act::Read, &PLAIN, &evidence(200, true, old(), Seen::Missing), Class::Right);
        check(Act::Read, &DENIED, &evidence(200, true, old(), Seen::Missing), Class::Leak);
        check(Act::Read, &DENIED, &evidence(403, true, old(), Seen::Missing), Class::Leak);
        check(Act::Read, &DENIED, &evidence(404, false, old(), Seen::Missing), Class::Right);
        check(Act::Read, &PLAIN, &evidence(404, false, old(), Seen::Missing), Class::WronglyRefused);
        let verdict = check(Act::Read, &PLAIN, &evidence(200, false, old(), Seen::Missing), Class::WronglyRefused);
        assert_eq!(verdict.note.as_deref(), Some("said yes but did nothing"));
    }

    #[test]
    fn writing_is_judged_by_what_stands_there_afterwards() {
        let new = |owner| evidence(201, false, file(owner, 0o644, "new"), Seen::Missing);
        check(Act::Create, &made(ALICE, 0o644), &new(ALICE), Class::Right);
        let verdict = check(Act::Create, &made(ALICE, 0o644), &new(ROOT), Class::WrongOwner);
        assert_eq!((verdict.got(), verdict.owner), ("wrong owner", Some(ROOT)));
        check(Act::Create, &DENIED, &new(ROOT), Class::Leak);
        check(Act::Overwrite, &DENIED, &evidence(403, false, file(ALICE, 0o644, "old"), Seen::Missing), Class::Right);
        check(Act::Overwrite, &DENIED, &evidence(500, false, file(ALICE, 0o644, ""), Seen::Missing), Class::Leak);
        check(Act::Overwrite, &DENIED, &evidence(500, false, Seen::Missing, Seen::Missing), Class::Leak);
    }

    #[test]
    fn an_overwrite_that_opens_the_mode_is_a_leak() {
        let wide = evidence(204, false, file(ALICE, 0o644, "new"), Seen::Missing);
        let verdict = check(Act::Overwrite, &made(ALICE, 0o600), &wide, Class::Leak);
        assert_eq!(verdict.note.as_deref(), Some("mode was 0600, is 0644"));
    }

    #[test]
    fn taking_away_is_judged_by_what_is_gone() {
        check(Act::Delete, &DENIED, &evidence(204, false, Seen::Missing, Seen::Missing), Class::Leak);
        check(Act::Move, &DENIED, &evidence(500, false, Seen::Missing, Seen::Missing), Class::Leak);
        check(
            Act::Copy,
            &DENIED,
            &evidence(201, false, file(ALICE, 0o600, "old"), file(ROOT, 0o644, "old")),
            Class::Leak,
        );
        check(Act::Copy, &DENIED, &evidence(403, false, file(ALICE, 0o600, "old"), Seen::Missing), Class::Right);
    }

    #[test]
    fn what_a_server_does_not_do_is_not_its_fault() {
        let no = |status| evidence(status, false, Seen::Missing, Seen::Missing);
        check(Act::MakeDirectory, &made(ALICE, 0o755), &no(405), Class::NotOffered);
        check(Act::MakeDirectory, &made(ALICE, 0o755), &no(501), Class::NotOffered);
        check(Act::MakeDirectory, &DENIED, &no(405), Class::Right);
    }

    #[test]
    fn silence_is_neither_right_nor_wrong() {
        let mut silent = evidence(0, false, Seen::Missing, Seen::Missing);
        silent.http = None;
        let verdict = check(Act::Read, &DENIED, &silent, Class::NoAnswer);
        assert!(!Tally::of(std::slice::from_ref(&verdict)).is_ok(&[verdict]));
    }
}

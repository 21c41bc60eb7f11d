//! The verdicts, for people and for programs.

use super::keeper::Seen;
use super::people::Cast;
use super::question::Question;
use serde::Serialize;
use std::io::Write;

/// What came of one question.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    who: String,
    path: String,
    op: &'static str,
    expected: &'static str,
    http: Option<u16>,
    got: &'static str,
    /// As the kernel recorded it; null where there is no file.
    owner_uid: Option<u32>,
    owner_gid: Option<u32>,
    right: bool,
}

/// What the server answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// `None` when it gave none.
    pub(crate) http: Option<u16>,
    pub(crate) body: Vec<u8>,
}

impl Verdict {
    /// Compares what the server answered and what the kernel recorded with what must be.
    pub(crate) fn new(who: &str, question: &Question, answer: &Answer, seen: Option<&Seen>) -> Self {
        let expected = if question.is_allowed { "allowed" } else { "refused" };
        let got = got(question, answer, seen);
        Self {
            who: who.to_owned(),
            path: question.path.clone(),
            op: question.op,
            expected,
            http: answer.http,
            got,
            owner_uid: seen.map(|seen| seen.uid),
            owner_gid: seen.map(|seen| seen.gid),
            right: got == expected,
        }
    }

    /// Whether it is as it must be.
    pub(crate) fn is_right(&self) -> bool {
        self.right
    }
}

fn got(question: &Question, answer: &Answer, seen: Option<&Seen>) -> &'static str {
    let owner = seen.map(|seen| (seen.uid, seen.gid));
    let text = seen.and_then(|seen| seen.text.as_deref());
    let is_as_it_must_be = owner == question.owner && (seen.is_none() || text == question.text.as_deref());
    match (answer.http, question.op) {
        (Some(200..=299), "GET") if Some(answer.body.as_slice()) != question.text.as_deref().map(str::as_bytes) => {
            "wrong bytes"
        }
        (Some(200..=299), _) if question.is_allowed && owner != question.owner => "wrong owner",
        (Some(200..=299), _) if question.is_allowed && !is_as_it_must_be => "not what was written",
        (Some(200..=299), _) => "allowed",
        (Some(403 | 404), _) if is_as_it_must_be => "refused",
        (Some(403 | 404), _) => "refused, and changed all the same",
        (Some(_), _) => "another answer",
        (None, _) => "no answer",
    }
}

/// What programs read.
#[derive(Debug, Serialize)]
struct Json<'a> {
    ok: bool,
    verdicts: &'a [Verdict],
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    people: Vec<JsonPerson<'a>>,
}

#[derive(Debug, Serialize)]
struct JsonPerson<'a> {
    name: &'a str,
    password: &'a str,
    uid: u32,
}

/// One JSON object on one line; with the URL and the passwords where the server goes on.
pub(crate) fn json(verdicts: &[Verdict], on: Option<(&str, &Cast)>, out: &mut impl Write) -> std::io::Result<()> {
    let people = on.map_or_else(Vec::new, |(_, cast)| {
        cast.people
            .iter()
            .map(|person| JsonPerson { name: person.name, password: &person.password, uid: person.id })
            .collect()
    });
    let ok = !verdicts.is_empty() && verdicts.iter().all(Verdict::is_right);
    serde_json::to_writer(&mut *out, &Json { ok, verdicts, url: on.map(|(url, _)| url), people })?;
    writeln!(out)?;
    out.flush()
}

/// The table for people.
pub(crate) fn text(cast: &Cast, verdicts: &[Verdict], out: &mut impl Write) -> std::io::Result<()> {
    let name_of = |id: u32| match cast.people.iter().find(|person| person.id == id) {
        Some(person) => person.name.to_owned(),
        None if id == cast.team => "team".to_owned(),
        None if id == 0 => "root".to_owned(),
        None => id.to_string(),
    };
    let ids: Vec<String> = cast.people.iter().map(|person| format!("{} is uid {}", person.name, person.id)).collect();
    writeln!(out, "{}; team is gid {}, and alice is in it.", ids.join(", "), cast.team)?;
    writeln!(out)?;
    row(out, ["who", "asks", "for", "must be", "http", "was", "owner", ""])?;
    for verdict in verdicts {
        let Verdict { who, path, op, expected, http, got, owner_uid, owner_gid, right } = verdict;
        let http = http.map_or_else(|| "-".to_owned(), |http| http.to_string());
        let owner = match (owner_uid, owner_gid) {
            (Some(uid), Some(gid)) => format!("{}:{}", name_of(*uid), name_of(*gid)),
            (_, _) => "no file".to_owned(),
        };
        let word = if *right { "right" } else { "WRONG" };
        row(out, [who.as_str(), *op, path.as_str(), *expected, http.as_str(), *got, owner.as_str(), word])?;
    }
    writeln!(out)?;
    let wrong = verdicts.iter().filter(|verdict| !verdict.is_right()).count();
    if wrong == 0 {
        writeln!(
            out,
            "{} verdicts, all right: one server, three people, and the kernel said who gets what.",
            verdicts.len()
        )
    } else {
        writeln!(out, "{} verdicts, {wrong} WRONG.", verdicts.len())
    }
}

fn row(out: &mut impl Write, cells: [&str; 8]) -> std::io::Result<()> {
    let [who, op, path, must, http, got, owner, word] = cells;
    let line = format!("{who:<6} {op:<4} {path:<22} {must:<8} {http:<5} {got:<8} {owner:<12} {word}");
    writeln!(out, "{}", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(is_allowed: bool, op: &'static str, http: u16, body: &str, seen: Option<(u32, &str)>, expected: &str) {
        let must = (op == "GET" || is_allowed).then(|| "text".to_owned());
        let owner = (op == "GET" || is_allowed).then_some((1, 1));
        let question = Question { who: 0, op, path: "p".into(), body: String::new(), is_allowed, owner, text: must };
        let seen = seen.map(|(uid, text)| Seen { uid, gid: 1, text: Some(text.to_owned()) });
        let answer = Answer { http: Some(http), body: body.as_bytes().to_vec() };
        let verdict = Verdict::new("alice", &question, &answer, seen.as_ref());
        assert_eq!(verdict.got, expected, "{op} {http}");
        assert_eq!(
            verdict.is_right(),
            (expected == "allowed") == is_allowed && matches!(expected, "allowed" | "refused")
        );
    }

    #[test]
    fn a_verdict_needs_status_bytes_and_owner_to_be_right() {
        check(true, "GET", 200, "text", Some((1, "text")), "allowed");
        check(true, "GET", 200, "other", Some((1, "text")), "wrong bytes");
        check(true, "GET", 403, "", Some((1, "text")), "refused");
        check(true, "GET", 500, "", Some((1, "text")), "another answer");
        check(false, "GET", 403, "", Some((1, "text")), "refused");
        check(false, "GET", 200, "text", Some((1, "text")), "allowed");
        check(true, "PUT", 201, "", Some((1, "text")), "allowed");
        check(true, "PUT", 201, "", Some((0, "text")), "wrong owner");
        check(true, "PUT", 201, "", Some((1, "te")), "not what was written");
        check(true, "PUT", 201, "", None, "wrong owner");
        check(false, "PUT", 403, "", None, "refused");
        check(false, "PUT", 403, "", Some((1, "text")), "refused, and changed all the same");
        check(false, "PUT", 201, "", Some((1, "text")), "allowed");
    }
}

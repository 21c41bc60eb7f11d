//! What is printed.

use std::io::Write;

use serde::Serialize;

use super::Proof;
use super::scene::Owner;
use super::verdict::{Class, Tally, Verdict, VerdictRow};

#[derive(Debug, Serialize)]
struct Json<'a> {
    ok: bool,
    verdicts: Vec<VerdictRow<'a>>,
}

/// One JSON object on one line.
pub(crate) fn json(proof: &Proof, out: &mut impl Write) -> std::io::Result<()> {
    let verdicts = proof.verdicts.iter().map(Verdict::row).collect();
    serde_json::to_writer(&mut *out, &Json { ok: proof.is_ok(), verdicts })?;
    writeln!(out)
}

/// The table for people.
pub(crate) fn table(proof: &Proof, out: &mut impl Write) -> std::io::Result<()> {
    let header = ["who", "asks", "for", "kernel", "server", "http", "owner", "verdict"].map(str::to_owned);
    let mut rows = vec![header];
    rows.extend(proof.verdicts.iter().map(cells));
    let mut widths = [0_usize; 8];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for person in &proof.people {
        writeln!(out, "{person}")?;
    }
    writeln!(out)?;
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(out)?;
    for line in summary(proof) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn cells(verdict: &Verdict) -> [String; 8] {
    let owner = |owner: Owner| format!("{}:{}", owner.uid, owner.gid);
    let word = match &verdict.note {
        Some(note) => format!("{} ({note})", verdict.class.word()),
        None => verdict.class.word().to_owned(),
    };
    let wrong = verdict.class.is_wrong();
    [
        verdict.who.clone(),
        verdict.act.method().to_owned(),
        verdict.about.clone(),
        if verdict.is_expected { "allows" } else { "refuses" }.to_owned(),
        match (verdict.class, verdict.is_done) {
            (Class::NoAnswer, _) => "-".to_owned(),
            (Class::NotOffered, _) => "cannot".to_owned(),
            (_, true) => if wrong { "DID IT" } else { "did it" }.to_owned(),
            (_, false) => if wrong { "REFUSED" } else { "refused" }.to_owned(),
        },
        verdict.http.map_or_else(|| "-".to_owned(), |http| http.to_string()),
        verdict.owner.map_or_else(String::new, owner),
        word,
    ]
}

fn summary(proof: &Proof) -> Vec<String> {
    let Tally { right, leaks, wrongly_refused, wrong_owner, not_offered, no_answer } = Tally::of(&proof.verdicts);
    let mut parts = vec![format!("{right} as the kernel has it")];
    for (count, word) in [
        (leaks, "leaked"),
        (wrongly_refused, "wrongly refused"),
        (wrong_owner, "with the wrong owner"),
        (not_offered, "not offered"),
        (no_answer, "without an answer"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    let mut lines = vec![format!("{} questions: {}", proof.verdicts.len(), parts.join(", "))];
    lines.push(if proof.is_ok() {
        "The server gave everybody what the kernel gives them, and nothing else.".to_owned()
    } else if leaks > 0 {
        "The server is a confused deputy: it gave what the kernel denies.".to_owned()
    } else if wrongly_refused > 0 || wrong_owner > 0 {
        "The server does not act as its client.".to_owned()
    } else {
        "The server did not answer everything.".to_owned()
    });
    lines.extend(proof.notes.iter().map(|note| format!("note: {note}")));
    lines
}

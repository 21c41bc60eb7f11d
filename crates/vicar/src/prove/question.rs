//! What is asked: every question of the test, as data.

use serde::{Deserialize, Serialize};

/// What a person wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Act {
    Read,
    List,
    Create,
    Overwrite,
    Delete,
    MakeDirectory,
    Copy,
    Move,
}

impl Act {
    /// The HTTP method that asks for it.
    pub(crate) const fn method(self) -> &'static str {
        match self {
            Self::Read => "GET",
            Self::List => "PROPFIND",
            Self::Create | Self::Overwrite => "PUT",
            Self::Delete => "DELETE",
            Self::MakeDirectory => "MKCOL",
            Self::Copy => "COPY",
            Self::Move => "MOVE",
        }
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The person at this place in the list.
    Person(usize),
    /// A request without any credentials.
    Nobody,
}

/// One question. Paths are relative to the tree that the server is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) who: Asker,
    pub(crate) act: Act,
    pub(crate) path: String,
    /// Where COPY and MOVE put it.
    pub(crate) to: Option<String>,
    /// The question in words.
    pub(crate) about: String,
    /// Its place among one person's questions.
    pub(crate) rank: usize,
}

/// Names of the two people a set of questions is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<'a> {
    pub(crate) number: usize,
    /// The asker's directory.
    pub(crate) own: &'a str,
    /// The other's directory, and what to call the other.
    pub(crate) other: &'a str,
}

/// The name of the file behind another's private directory; random, so that seeing it proves a listing.
pub(crate) fn deep_name(nonce: &str) -> String {
    format!("deep-{}.txt", nonce.get(..8).unwrap_or(nonce))
}

/// Every question that one person asks.
pub(crate) fn all_of(pair: Pair<'_>, nonce: &str) -> Vec<Question> {
    let Pair { number, own, other } = pair;
    let deep = deep_name(nonce);
    let ask =
        |act, path: String, about: String| Question { who: Asker::Person(number), act, path, to: None, about, rank: 0 };
    let carry = |act, path: String, to: String, about: String| Question {
        who: Asker::Person(number),
        act,
        path,
        to: Some(to),
        about,
        rank: 0,
    };
    let mut all = vec![
        ask(Act::Read, format!("{own}/own.txt"), "own 0600 file".into()),
        ask(Act::Read, format!("{other}/own.txt"), format!("{other}'s 0600 file")),
        ask(Act::Read, format!("groups/{own}-member.txt"), "0660 file of own group".into()),
        ask(Act::Read, format!("groups/{own}-stranger.txt"), "0660 file of another group".into()),
        ask(Act::Read, format!("groups/{own}-denied.txt"), "0604 file that denies own group".into()),
        ask(Act::Read, format!("{other}/private/{deep}"), format!("0644 file in {other}'s 0700 directory")),
        ask(Act::List, format!("{other}/private/"), format!("listing of {other}'s 0700 directory")),
        ask(Act::Read, format!("{own}/link-to-other.txt"), format!("own link to {other}'s 0600 file")),
        ask(Act::Read, format!("{own}/link-outside.txt"), "own link to a root-only file outside".into()),
        ask(Act::Create, format!("{own}/new.txt"), "new file in own directory".into()),
        ask(Act::Create, format!("groups/{own}-team/new.txt"), "new file in 2770 directory of own group".into()),
        ask(Act::Create, format!("{other}/from-{own}.txt"), format!("new file in {other}'s directory")),
        ask(Act::Create, format!("groups/{own}-others/new.txt"), "new file in 2770 directory of another group".into()),
        ask(Act::Overwrite, format!("{own}/keep.txt"), "over own 0600 file".into()),
        ask(Act::Overwrite, format!("groups/{own}-shared.txt"), "over 0660 file of own group".into()),
        ask(Act::Overwrite, format!("{other}/public.txt"), format!("over {other}'s 0644 file")),
        ask(Act::Delete, format!("{own}/gone.txt"), "own file".into()),
        ask(Act::Delete, format!("{other}/victim.txt"), format!("{other}'s file")),
        ask(Act::Delete, format!("sticky/{other}-for-{own}.txt"), format!("{other}'s file in a 1777 directory")),
        ask(Act::MakeDirectory, format!("{own}/sub"), "in own directory".into()),
        ask(Act::MakeDirectory, format!("{other}/sub-of-{own}"), format!("in {other}'s directory")),
        ask(Act::MakeDirectory, format!("{other}/private/sub"), format!("in {other}'s 0700 directory")),
        carry(Act::Copy, format!("{own}/own.txt"), format!("{own}/copy.txt"), "own file to own directory".into()),
        carry(
            Act::Copy,
            format!("{other}/own.txt"),
            format!("{own}/stolen.txt"),
            format!("{other}'s 0600 file to own directory"),
        ),
        carry(Act::Move, format!("{own}/move.txt"), format!("{own}/moved.txt"), "own file in own directory".into()),
        carry(
            Act::Move,
            format!("{other}/prey.txt"),
            format!("{own}/prey.txt"),
            format!("{other}'s file to own directory"),
        ),
    ];
    for (rank, question) in all.iter_mut().enumerate() {
        question.rank = rank;
    }
    all
}

/// What is asked without signing in.
pub(crate) fn of_nobody(first: &str) -> Question {
    Question {
        who: Asker::Nobody,
        act: Act::Read,
        path: format!("{first}/own.txt"),
        to: None,
        about: format!("{first}'s 0600 file, not signed in"),
        rank: usize::MAX,
    }
}

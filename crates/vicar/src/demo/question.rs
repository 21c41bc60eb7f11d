//! What is asked, and what must come of it.

use super::people::{Cast, NAMES};

/// The files that are there at the start: path below the share, owner, group, mode. `None` is root.
pub(crate) struct File {
    pub(crate) path: &'static str,
    pub(crate) owner: Option<usize>,
    pub(crate) group: Group,
    pub(crate) mode: u32,
}

/// Whose group a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Its owner's own.
    Own,
    /// The team's; alice is in it.
    Team,
}

/// The files of the demonstration.
pub(crate) const FILES: [File; 4] = [
    File { path: "alice/a.txt", owner: Some(0), group: Group::Own, mode: 0o600 },
    File { path: "bob/b.txt", owner: Some(1), group: Group::Own, mode: 0o600 },
    File { path: "team/t.txt", owner: None, group: Group::Team, mode: 0o660 },
    // Everybody but the team may read this one: it denies by group.
    File { path: "team/not-for-team.txt", owner: None, group: Group::Team, mode: 0o604 },
];

/// What a file says.
pub(crate) fn text_of(path: &str) -> String {
    format!("this is {path}\n")
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// Who asks: a place in the cast.
    pub(crate) who: usize,
    /// GET or PUT.
    pub(crate) op: &'static str,
    pub(crate) path: String,
    /// What PUT writes.
    pub(crate) body: String,
    /// Whether the kernel must allow it.
    pub(crate) is_allowed: bool,
    /// Owner and group that the file must have afterwards, if it must be there.
    pub(crate) owner: Option<(u32, u32)>,
    /// What the file must hold afterwards, if it must be there.
    pub(crate) text: Option<String>,
}

impl Cast {
    /// The owner and group of a file at the start.
    pub(crate) fn owner_of(&self, file: &File) -> (u32, u32) {
        let owner = file.owner.and_then(|who| self.people.get(who)).map_or(0, |person| person.id);
        match file.group {
            Group::Own => (owner, owner),
            Group::Team => (owner, self.team),
        }
    }

    /// Every question, in the order it is asked: reading first, then writing.
    pub(crate) fn questions(&self) -> Vec<Question> {
        let mut all = Vec::new();
        let everybody = self.people.iter().enumerate();
        for (who, _) in everybody.clone() {
            for file in &FILES {
                let is_team = who == 0;
                let is_allowed = match (file.owner, file.mode) {
                    (Some(owner), _) => owner == who,
                    (None, 0o660) => is_team,
                    (None, _) => !is_team,
                };
                let (path, owner) = (file.path.to_owned(), Some(self.owner_of(file)));
                let text = Some(text_of(file.path));
                all.push(Question { who, op: "GET", path, body: String::new(), is_allowed, owner, text });
            }
        }
        for (who, person) in everybody {
            let other = NAMES.iter().cycle().nth(who.saturating_add(1)).copied().unwrap_or_default();
            let body = format!("{} wrote this\n", person.name);
            for (directory, is_allowed, gid) in
                [(person.name, true, person.id), (other, false, 0), ("team", who == 0, self.team)]
            {
                let path = format!("{directory}/from-{}.txt", person.name);
                let owner = is_allowed.then_some((person.id, gid));
                let text = is_allowed.then(|| body.clone());
                all.push(Question { who, op: "PUT", path, body: body.clone(), is_allowed, owner, text });
            }
        }
        // A file that somebody else owns and the team may write: alice changes what it says, not whose it is. It comes last, so that
        // the others' attempts meet the text that alice left.
        let body = "alice wrote this\n".to_owned();
        for (who, person) in self.people.iter().enumerate() {
            let (path, owner) = ("team/t.txt".to_owned(), Some((0, self.team)));
            let text = Some(body.clone());
            let attempt = format!("{} wrote this\n", person.name);
            all.push(Question { who, op: "PUT", path, body: attempt, is_allowed: who == 0, owner, text });
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::people::Person;

    #[test]
    fn the_questions_are_the_table_of_the_confused_deputy() {
        let person = |name, id| Person { name, id, password: String::new() };
        let cast = Cast { people: [person("alice", 1), person("bob", 2), person("carol", 3)], team: 9 };
        let short: Vec<String> = cast
            .questions()
            .iter()
            .map(|q| {
                let owner = q.owner.map_or("-".to_owned(), |(uid, gid)| format!("{uid}:{gid}"));
                format!("{} {} {} {} {owner}", NAMES[q.who], q.op, q.path, if q.is_allowed { "yes" } else { "no" })
            })
            .collect();
        assert_eq!(
            short,
            [
                "alice GET alice/a.txt yes 1:1",
                "alice GET bob/b.txt no 2:2",
                "alice GET team/t.txt yes 0:9",
                "alice GET team/not-for-team.txt no 0:9",
                "bob GET alice/a.txt no 1:1",
                "bob GET bob/b.txt yes 2:2",
                "bob GET team/t.txt no 0:9",
                "bob GET team/not-for-team.txt yes 0:9",
                "carol GET alice/a.txt no 1:1",
                "carol GET bob/b.txt no 2:2",
                "carol GET team/t.txt no 0:9",
                "carol GET team/not-for-team.txt yes 0:9",
                "alice PUT alice/from-alice.txt yes 1:1",
                "alice PUT bob/from-alice.txt no -",
                "alice PUT team/from-alice.txt yes 1:9",
                "bob PUT bob/from-bob.txt yes 2:2",
                "bob PUT carol/from-bob.txt no -",
                "bob PUT team/from-bob.txt no -",
                "carol PUT carol/from-carol.txt yes 3:3",
                "carol PUT alice/from-carol.txt no -",
                "carol PUT team/from-carol.txt no -",
                "alice PUT team/t.txt yes 0:9",
                "bob PUT team/t.txt no 0:9",
                "carol PUT team/t.txt no 0:9",
            ]
        );
    }
}

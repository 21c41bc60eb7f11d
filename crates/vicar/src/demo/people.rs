//! Throw-away people: ids that are nobody's, and random passwords.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use vicar_os::source::AccountError;
use vicar_os::source::account::by_uid;

/// Where ids are taken from.
const FIRST: u32 = 61_000;
/// How many there are to choose from.
const COUNT: u32 = 1_000;
/// The people's names.
pub(crate) const NAMES: [&str; 3] = ["alice", "bob", "carol"];

/// Somebody who signs in.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) name: &'static str,
    /// User id, and the id of the group that is this person's own.
    pub(crate) id: u32,
    pub(crate) password: String,
}

/// Everybody, and the group that alice is in.
#[derive(Clone, Debug)]
pub(crate) struct Cast {
    pub(crate) people: [Person; 3],
    pub(crate) team: u32,
}

impl Cast {
    /// Finds four ids that no account, group, lent range or process has.
    pub(crate) fn find() -> Result<Self, String> {
        let taken = Taken::look()?;
        let start = u32::from_le_bytes(random()?) % COUNT;
        let mut free = (0..COUNT)
            .map(|step| FIRST.saturating_add(start.saturating_add(step) % COUNT))
            .filter(|id| taken.is_free(*id));
        let mut next = || free.next().ok_or_else(|| format!("no four free ids from {FIRST} on"));
        let mut person = |name| Ok::<_, String>(Person { name, id: next()?, password: password()? });
        let [alice, bob, carol] = NAMES;
        let people = [person(alice)?, person(bob)?, person(carol)?];
        Ok(Self { people, team: next()? })
    }
}

fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| format!("no randomness: {error}"))?;
    Ok(bytes)
}

/// Sixteen letters and digits that are easily told apart: about 80 bits.
fn password() -> Result<String, String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let bytes: [u8; 16] = random()?;
    Ok(bytes.iter().filter_map(|byte| LETTERS.get(usize::from(byte % 32))).map(|letter| char::from(*letter)).collect())
}

/// Ids that are somebody's.
struct Taken {
    ids: HashSet<u32>,
    ranges: Vec<(u64, u64)>,
}

impl Taken {
    fn look() -> Result<Self, String> {
        let mut taken = Self { ids: HashSet::new(), ranges: Vec::new() };
        // Account: name, password, uid, gid. Group: name, password, gid.
        for (path, columns) in [("/etc/passwd", 2), ("/etc/group", 1)] {
            for line in read(path)?.lines() {
                taken.ids.extend(line.split(':').skip(2).take(columns).filter_map(|field| field.parse::<u32>().ok()));
            }
        }
        for path in ["/etc/subuid", "/etc/subgid"] {
            for line in read(path)?.lines() {
                let mut numbers = line.split(':').skip(1).filter_map(|field| field.parse::<u64>().ok());
                taken.ranges.extend(numbers.next().zip(numbers.next()));
            }
        }
        for entry in fs::read_dir("/proc").map_err(|error| format!("/proc: {error}"))?.flatten() {
            let is_process = entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit());
            if is_process && let Ok(process) = entry.metadata() {
                taken.ids.extend([process.uid(), process.gid()]);
            }
        }
        Ok(taken)
    }

    fn is_free(&self, id: u32) -> bool {
        let in_range = |(first, count): &(u64, u64)| u64::from(id).checked_sub(*first).is_some_and(|at| at < *count);
        !self.ids.contains(&id) && !self.ranges.iter().any(in_range) && by_uid(id) == Err(AccountError::Unknown)
    }
}

fn read(path: &str) -> Result<String, String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(format!("{path}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_are_four_and_nobodys_and_the_passwords_differ() {
        let cast = Cast::find().unwrap();
        let mut ids: Vec<u32> = cast.people.iter().map(|person| person.id).chain([cast.team]).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 4);
        assert!(ids.iter().all(|id| (FIRST..FIRST.saturating_add(COUNT)).contains(id)));
        assert!(cast.people.iter().all(|person| person.password.len() == 16));
        assert_ne!(cast.people[0].password, cast.people[1].password);
    }

    #[test]
    fn ids_of_accounts_and_ranges_are_not_free() {
        let taken = Taken { ids: [61_001].into(), ranges: vec![(61_010, 5)] };
        for (id, expected) in
            [(61_001, false), (61_002, true), (61_009, true), (61_010, false), (61_014, false), (61_015, true)]
        {
            assert_eq!(taken.is_free(id), expected, "{id}");
        }
    }
}

//! Who takes part: throw-away numeric ids that exist nowhere but in the tests.

/// One user, as the password file and the kernel know them.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// All groups, the primary one first.
    pub(crate) groups: Vec<u32>,
}

impl User {
    pub(crate) fn new(name: &str, uid: u32, supplementary: impl IntoIterator<Item = u32>) -> Self {
        let mut groups = vec![uid];
        groups.extend(supplementary);
        Self { name: name.to_owned(), password: format!("pw of {name}: @{uid}"), uid, gid: uid, groups }
    }

    /// `UID:GID,GROUP...`, as a password file has it.
    pub(crate) fn ids(&self) -> String {
        let groups: Vec<String> = self.groups.iter().map(ToString::to_string).collect();
        format!("{}:{}", self.uid, groups.join(","))
    }
}

/// The group that the users with any supplementary group share.
pub(crate) const TEAM: u32 = 61_500;
/// A group that only the users with many groups are in.
pub(crate) const CROWD: u32 = 61_563;

/// Eight users with 0, 3 and 64 supplementary groups.
pub(crate) fn eight() -> Vec<User> {
    ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"]
        .iter()
        .zip(61_001..)
        .zip([3, 0, 64, 3, 0, 64, 3, 0])
        .map(|((name, uid), count)| User::new(name, uid, TEAM..TEAM + count))
        .collect()
}

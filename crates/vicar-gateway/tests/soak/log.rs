//! The audit log beside the truth: each line's ids are those of the user it names.

use serde_json::Value;

use crate::cast::User;
use crate::count::Count;

/// Checks every line and returns how many there are.
pub(crate) fn compare(log: &str, users: &[User], count: &Count) -> usize {
    let mut lines = 0;
    for line in log.lines() {
        lines += 1;
        let Ok(record) = serde_json::from_str::<Value>(line) else {
            count.complain(format!("a line of the log is not JSON: {line}"));
            continue;
        };
        let Some(shown) = record["uid"].as_u64() else { continue };
        count.compared();
        let user = users.iter().find(|user| record["user"] == user.name.as_str());
        let is_right = user
            .is_some_and(|user| shown == u64::from(user.uid) && record["gid"].as_u64() == Some(u64::from(user.gid)));
        if !is_right {
            count.complain(format!("the log shows other ids than the user's: {line}"));
        }
    }
    lines
}

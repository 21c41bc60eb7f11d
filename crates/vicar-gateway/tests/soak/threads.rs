//! What `/proc` says about every thread of a process.

use std::collections::BTreeMap;
use std::fs;

/// The identity lines of one thread.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity {
    pub(crate) uids: String,
    pub(crate) gids: String,
    pub(crate) groups: String,
    pub(crate) effective: String,
    pub(crate) permitted: String,
    pub(crate) ambient: String,
}

/// One thread: its name and who it is.
#[derive(Clone, Debug)]
pub(crate) struct Thread {
    pub(crate) tid: u32,
    pub(crate) name: String,
    pub(crate) identity: Identity,
}

/// Reads every thread; those that end meanwhile are left out.
pub(crate) fn all(pid: u32) -> Vec<Thread> {
    let mut threads = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives").flatten() {
        let tid: u32 = entry.file_name().to_string_lossy().parse().unwrap();
        if let Ok(status) = fs::read_to_string(entry.path().join("status")) {
            let lines: BTreeMap<&str, String> = status
                .lines()
                .filter_map(|line| line.split_once(':'))
                .map(|(key, value)| (key, value.split_whitespace().collect::<Vec<_>>().join(" ")))
                .collect();
            let get = |key: &str| lines.get(key).cloned().unwrap_or_default();
            let identity = Identity {
                uids: get("Uid"),
                gids: get("Gid"),
                groups: get("Groups"),
                effective: get("CapEff"),
                permitted: get("CapPrm"),
                ambient: get("CapAmb"),
            };
            threads.push(Thread { tid, name: get("Name"), identity });
        }
    }
    threads.sort_by_key(|thread| thread.tid);
    threads
}

/// Checks that every thread is the server itself, or a client thread that is nobody; says what is not.
///
/// The server is what the process' first thread is. A client thread at rest has real and effective ids of the anonymous identity, the
/// server's saved ids, no group but the anonymous one, and no effective capability.
pub(crate) fn complaints(pid: u32, anonymous: (u32, u32), client_threads: usize) -> Vec<String> {
    let threads = all(pid);
    let (nobody, nogroup) = anonymous;
    let Some(server) = threads.iter().find(|thread| thread.tid == pid).map(|thread| thread.identity.clone()) else {
        return vec!["the first thread is gone".to_owned()];
    };
    let saved = |ids: &str| ids.split(' ').nth(2).unwrap_or_default().to_owned();
    let resting = Identity {
        uids: format!("{nobody} {nobody} {} {nobody}", saved(&server.uids)),
        gids: format!("{nogroup} {nogroup} {} {nogroup}", saved(&server.gids)),
        groups: nogroup.to_string(),
        effective: "0000000000000000".to_owned(),
        permitted: server.permitted.clone(),
        ambient: server.ambient.clone(),
    };
    let mut complaints = Vec::new();
    let mut resting_count = 0;
    for thread in &threads {
        if thread.identity == resting {
            resting_count += 1;
        } else if thread.identity != server {
            complaints.push(format!("thread {} '{}' is {:?}", thread.tid, thread.name, thread.identity));
        }
    }
    if resting_count != client_threads {
        complaints.push(format!("{resting_count} threads are nobody, {client_threads} should be"));
    }
    complaints
}

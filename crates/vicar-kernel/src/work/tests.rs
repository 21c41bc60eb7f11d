//! The lock of a work queue under the verifier.

use super::*;
use crate::policy::{Policy, Profile};
use crate::system::System;
use crate::verifier::Finding;
use crate::{LogonKind, Process, TokenKind, TokenSpec};
use vicar_nt::token::TokenState;
use vicar_nt::{Luid, well_known};

#[test]
fn a_token_referenced_with_the_lines_locked_is_found_and_working_is_not() {
    let system = System::with_verifier(Profile::V4, Policy::strict());
    let state = TokenState::builder(well_known::LOCAL_SYSTEM).build().unwrap();
    let spec = TokenSpec { state, kind: TokenKind::Primary, source: *b"Workers ", origin: Luid::ZERO };
    let token = system.logon(LogonKind::Service, None).unwrap().create_token(spec).unwrap();
    let process = Process::new(&system, token).unwrap();
    let options = WorkQueueOptions { workers: 2, capacity: 8, on_bug_check: OnBugCheck::Abort };
    let queue = WorkQueue::start(&process, options).unwrap();
    let locks = system.verify().unwrap().locks;
    let (sender, done) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let item = WorkItem::new(&queue, move |worker| {
        drop(worker.thread().reference_effective());
        sender.lock().unwrap().send(()).unwrap();
    });
    for _ in 0..4 {
        queue.queue(&item, Urgency::Delayed).unwrap();
        done.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
    }
    let report = system.verify().unwrap();
    assert!(report.findings.is_empty() && report.locks > locks.saturating_add(8), "{report}");

    let lines = queue.shared.lines();
    drop(process.reference_primary());
    drop(lines);
    let wrong = |finding: &Finding| {
        matches!(finding, Finding::LockOrder { held: (Lock::WorkQueue, _), taken: (Lock::PrimaryToken, _) })
    };
    let found = system.verify().unwrap().findings;
    assert!(found.len() == 1 && found.iter().all(wrong), "{found:?}");
}

//! The locks of pipes under the verifier.

use super::*;
use crate::policy::{Policy, Profile};
use crate::verifier::Finding;
use crate::{LogonKind, Process, Thread, TokenKind, TokenSpec};
use vicar_nt::token::TokenState;
use vicar_nt::{Luid, well_known};

fn thread(system: &System) -> ThreadRef {
    let state = TokenState::builder(well_known::LOCAL_SYSTEM).build().unwrap();
    let spec = TokenSpec { state, kind: TokenKind::Primary, source: *b"Pipes   ", origin: Luid::ZERO };
    let token = system.logon(LogonKind::Service, None).unwrap().create_token(spec).unwrap();
    Thread::new(&Process::new(system, token).unwrap())
}

fn findings(system: &System) -> Vec<Finding> {
    system.verify().unwrap().findings
}

#[test]
fn a_record_read_with_a_pipe_locked_is_found() {
    let system = System::with_verifier(Profile::V4, Policy::strict());
    let thread = thread(&system);
    let pipe = Pipe::new();
    let end = pipe.open(&thread, None).unwrap();
    assert_eq!(findings(&system), []);
    let state = pipe.0.state();
    let primary = thread.process().reference_primary();
    drop(state);
    drop((primary, end));
    let wrong = |finding: &Finding| {
        matches!(finding, Finding::LockOrder { held: (Lock::Pipe, held), taken: (Lock::PrimaryToken, taken) }
            if held.file() == file!() && taken.file() == file!())
    };
    let found = findings(&system);
    assert!(found.len() == 1 && found.iter().all(wrong), "{found:?}");
}

#[test]
fn waiting_gives_the_lock_back_for_the_verifier_too() {
    let system = System::with_verifier(Profile::V4, Policy::strict());
    let thread = thread(&system);
    let pipe = Pipe::new();
    let end = pipe.open(&thread, None).unwrap();
    let locks = system.verify().unwrap().locks;
    assert_eq!(pipe.read_wait(8, Duration::from_millis(1)).unwrap_err(), NtStatus::IO_TIMEOUT);
    // Taken once, and again after each time that the wait was over.
    assert!(system.verify().unwrap().locks >= locks.saturating_add(2));
    // Nothing is held afterwards, so the next lock is no second one.
    drop(thread.process().reference_primary());
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| pipe.read_wait(8, Duration::from_secs(20)));
        end.write(&thread, b"x").unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), b"x");
    });
    assert_eq!(findings(&system), []);
}

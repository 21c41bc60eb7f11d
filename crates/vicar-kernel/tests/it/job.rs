//! 6.D: job limits.

use vicar_kernel::job::{Job, JobLimit};
use vicar_kernel::{Outcome, Profile, Thread, ThreadRef};
use vicar_nt::NtStatus;

use crate::fixture::{Identification, Imp, Who, World, context, terms};

/// A thread of a process that runs as `who` in a job with `limit`.
fn inside(world: &World, who: Who, limit: JobLimit) -> ThreadRef {
    let process = world.process(who);
    let job = Job::new();
    process.assign_job(&job).unwrap();
    assert_eq!(process.assign_job(&Job::new()), Err(NtStatus::ACCESS_DENIED));
    job.limit(limit);
    assert!(job.has(limit));
    Thread::new(&process)
}

fn v1() -> World {
    World::with(Profile::V1, crate::fixture::policy())
}

#[test]
fn t095_a_no_admin_job_refuses_an_administrators_token_and_changes_nothing() {
    let world = v1();
    let thread = inside(&world, Who::Sys, JobLimit::NoAdmin);
    let _ = thread.impersonate_token(&world.imp(Who::B, Imp), terms(Imp)).unwrap();
    let before = thread.reference_impersonation().unwrap().token.id();
    let balance = world.system.balance();
    assert_eq!(thread.impersonate_token(&world.imp(Who::Ae, Imp), terms(Imp)), Err(NtStatus::ACCESS_DENIED));
    assert_eq!(thread.reference_impersonation().unwrap().token.id(), before);
    assert_eq!(world.system.balance(), balance);
}

#[test]
fn t096_a_deny_only_administrator_is_none() {
    let world = v1();
    let thread = inside(&world, Who::Sys, JobLimit::NoAdmin);
    assert_eq!(thread.impersonate_token(&world.imp(Who::A, Imp), terms(Imp)), Ok(Outcome::AsRequested));
}

#[test]
fn t097_a_restricted_token_job_takes_restricted_tokens_only() {
    let world = v1();
    let thread = inside(&world, Who::Sys, JobLimit::RestrictedToken);
    assert_eq!(thread.impersonate_token(&world.imp(Who::A, Imp), terms(Imp)), Err(NtStatus::ACCESS_DENIED));
    assert_eq!(thread.impersonate_token(&world.imp(Who::Ar, Imp), terms(Imp)), Ok(Outcome::AsRequested));
}

#[test]
fn t100_the_refusal_counts_for_a_downgraded_copy_too() {
    let world = v1();
    let thread = inside(&world, Who::B, JobLimit::NoAdmin);
    assert_eq!(thread.impersonate_token(&world.imp(Who::Ae, Imp), terms(Imp)), Err(NtStatus::ACCESS_DENIED));
    let identified = thread.impersonate_token(&world.imp(Who::Ae, Identification), terms(Identification));
    assert_eq!(identified, Err(NtStatus::ACCESS_DENIED));
    assert!(!thread.is_impersonating());
}

#[test]
fn t101_without_a_job_or_from_vista_on_nothing_is_refused() {
    let world = v1();
    let thread = world.thread(Who::Sys);
    assert_eq!(thread.impersonate_token(&world.imp(Who::Ae, Imp), terms(Imp)), Ok(Outcome::AsRequested));
    for profile in [Profile::V2, Profile::V3, Profile::V4] {
        let world = World::with(profile, crate::fixture::policy());
        let thread = inside(&world, Who::Sys, JobLimit::NoAdmin);
        assert_eq!(thread.impersonate_token(&world.imp(Who::Ae, Imp), terms(Imp)), Ok(Outcome::AsRequested));
    }
}

#[test]
fn t029_a_job_limit_added_meanwhile_makes_a_restore_fail_and_the_caller_reverts() {
    let world = v1();
    let process = world.process(Who::Sys);
    let job = Job::new();
    process.assign_job(&job).unwrap();
    let thread = Thread::new(&process);
    let _ = thread.impersonate_token(&world.imp(Who::Ae, Imp), terms(Imp)).unwrap();
    let saved = thread.reference_impersonation().unwrap();
    let _ = thread.impersonate_token(&world.imp(Who::B, Imp), terms(Imp)).unwrap();
    job.limit(JobLimit::NoAdmin);
    assert_eq!(thread.impersonate_token(&saved.token, saved.terms()), Err(NtStatus::ACCESS_DENIED));
    thread.revert();
    assert!(!thread.is_impersonating());
}

#[test]
fn t043_a_forbidden_client_is_an_error_that_cannot_be_overlooked() {
    let world = v1();
    let thread = inside(&world, Who::Sys, JobLimit::NoAdmin);
    let client = crate::fixture::context(&world, Who::Ae, Imp);
    // There is no form of the call that loses the status.
    assert_eq!(thread.impersonate(&client), Err(NtStatus::ACCESS_DENIED));
    assert!(!thread.is_impersonating());
}

#[test]
fn a_job_that_a_process_enters_later_is_asked_even_after_the_gate_said_yes() {
    for profile in [Profile::V0, Profile::V1] {
        let world = World::with(profile, crate::fixture::policy());
        let process = world.process(Who::Sys);
        let thread = Thread::new(&process);
        let client = context(&world, Who::Ae, Imp);
        for _ in 0..3 {
            assert_eq!(thread.impersonate(&client), Ok(Outcome::AsRequested));
        }
        let job = Job::new();
        process.assign_job(&job).unwrap();
        assert_eq!(thread.impersonate(&client), Ok(Outcome::AsRequested));
        job.limit(JobLimit::NoAdmin);
        assert_eq!(thread.impersonate(&client), Err(NtStatus::ACCESS_DENIED));
    }
}

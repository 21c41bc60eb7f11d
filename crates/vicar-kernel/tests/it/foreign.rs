//! What callers with structures of their own take apart, keep and put together again.

use std::sync::Arc;

use vicar_kernel::handle::right;
use vicar_kernel::pool::Purpose;
use vicar_kernel::{
    ClientContext, OpenAs, Outcome, ProcessRef, Reach, System, Terms, Thread, ThreadRef, TokenHandle, TokenRef,
};
use vicar_nt::{NtStatus, RequestedMask};

use crate::fixture::{DYNAMIC, Identification, Imp, Remote, STATIC, Who, World, context, imp, terms, user_b};

#[test]
fn a_reference_kept_as_a_lease_counts_and_comes_back() {
    let world = World::new();
    let token = world.token(Who::A);
    let base = world.system.balance();
    let lease = token.clone().into_lease();
    let again = token.clone().into_lease();
    assert!(Arc::ptr_eq(&lease, &again));
    let copied = Arc::clone(&lease);
    assert_eq!((token.reference_count(), world.system.balance()), (4, base + 3));
    drop((again, copied));
    let back = TokenRef::from_lease(lease);
    assert!(back.is_same(&token));
    assert_eq!(token.reference_count(), 2);
    drop(back);
    assert_eq!((token.reference_count(), world.system.balance()), (1, base));
}

#[test]
fn references_counted_apart_have_one_lease_while_somebody_keeps_it() {
    let world = World::new();
    // Of one context, threads in different seats count their references apart.
    let client = context(&world, Who::A, Imp);
    let process = world.process(Who::Sys);
    let threads: Vec<ThreadRef> = (0..4).map(|_| Thread::new(&process)).collect();
    for _ in 0..3 {
        for thread in &threads {
            assert_eq!(thread.impersonate(&client), Ok(Outcome::AsRequested));
        }
    }
    let kept = client.token().clone().into_lease();
    for thread in &threads {
        let worn = thread.reference_impersonation().unwrap().token.into_lease();
        assert!(Arc::ptr_eq(&kept, &worn));
    }
    assert_eq!(client.token().reference_count(), threads.len() + 2);
    // Nobody keeps the token's first lease: the next to be asked makes one, and it is everybody's again.
    drop(kept);
    let worn: Vec<TokenRef> = threads.iter().map(|thread| thread.reference_impersonation().unwrap().token).collect();
    drop(client);
    for thread in &threads {
        thread.revert();
    }
    let leases: Vec<_> = worn.into_iter().map(TokenRef::into_lease).collect();
    assert!(leases.iter().all(|lease| Arc::ptr_eq(lease, &leases[0])));
    let token = TokenRef::from_lease(Arc::clone(&leases[0]));
    assert_eq!(token.reference_count(), leases.len() + 1);
}

#[test]
fn the_line_that_took_a_reference_is_forgotten_with_the_value_and_known_again_with_it() {
    let system = System::with_reference_sites(vicar_kernel::Profile::V4, vicar_kernel::Policy::strict());
    let world = World { system };
    let token = world.token(Who::A);
    let before = world.system.outstanding();
    let lease = token.clone().into_lease();
    assert_eq!(world.system.outstanding(), before);
    let line = line!() + 1;
    let back = TokenRef::from_lease(lease);
    assert_eq!(back.taken_at().line(), line);
    assert!(world.system.outstanding().iter().any(|((_, taken, _), count)| (*taken, *count) == (line, 1)));
    drop(back);
    assert_eq!(world.system.outstanding(), before);
}

#[test]
fn threads_and_processes_are_kept_and_come_back() {
    let world = World::new();
    let process = world.process(Who::A);
    let thread = Thread::new(&process);
    let kept = thread.clone().into_arc();
    assert_eq!(Arc::strong_count(&kept), 2);
    assert!(ThreadRef::from_arc(kept).is_same(&thread));
    assert!(ProcessRef::from_arc(process.clone().into_arc()).is_same(&process));
}

#[test]
fn what_is_taken_off_is_put_back_whole_and_without_the_gate() {
    let world = World::new();
    let thread = world.wearing_with(Who::B, Imp, Reach::EffectiveOnly);
    let before = thread.reference_impersonation().unwrap();
    let count = before.token.reference_count();
    let saved = thread.take_off().unwrap();
    assert!(!thread.is_impersonating() && thread.take_off().is_none());
    assert_eq!(before.token.reference_count(), count);

    // Somebody else was put on meanwhile, and goes.
    let other = world.imp(Who::A, Imp);
    let _ = thread.impersonate_token(&other, terms(Imp)).unwrap();
    thread.put_back_unchecked(saved);
    let after = thread.reference_impersonation().unwrap();
    assert!(after.token.is_same(&before.token));
    assert_eq!((after.terms(), other.reference_count()), (before.terms(), 1));
    drop(after);
    assert_eq!(before.token.reference_count(), count);

    // A thread that has ended, and one of another world, take nothing on and give everything back.
    let saved = thread.take_off().unwrap();
    thread.exit();
    thread.put_back_unchecked(saved.clone());
    let stranger = World::new().thread(Who::Sys);
    stranger.put_back_unchecked(saved);
    assert!(!thread.is_impersonating() && !stranger.is_impersonating());
    assert_eq!(before.token.reference_count(), 1);
}

#[test]
fn the_parts_of_a_context_are_worn_as_the_context_is() {
    let world = World::new();
    let client = world.thread(Who::B);
    let token = client.process().reference_primary();
    let count = token.reference_count();
    let parts = ClientContext::capture(&client, DYNAMIC, vicar_kernel::Locality::Local).unwrap().into_parts();
    assert!(parts.is_direct && parts.token.is_same(&token) && parts.control.is_none());
    assert_eq!((parts.qos, parts.reach, parts.direct_reach), (DYNAMIC, Reach::AllHeld, Reach::AllHeld));
    assert_eq!(token.reference_count(), count + 1);

    let server = world.thread(Who::Sys);
    let worn = Terms { reach: parts.reach, ..terms(parts.qos.level) };
    assert_eq!(server.impersonate_token(&parts.token, worn), Ok(Outcome::AsRequested));
    drop(parts);
    assert_eq!(server.reference_impersonation().unwrap().token.state().user().sid, user_b());
    server.revert();
    assert_eq!(token.reference_count(), count);

    let remote = ClientContext::capture(&client, DYNAMIC, Remote).unwrap().into_parts();
    assert!(!remote.is_direct && remote.locality == Remote);
    assert_eq!(remote.control.unwrap().token_id, token.id());
    assert!(ClientContext::capture(&client, STATIC, Remote).unwrap().into_parts().control.is_none());
}

#[test]
fn the_kernel_opens_a_thread_token_unasked_and_still_gets_a_copy() {
    let world = World::new();
    let server = world.thread(Who::Sys);
    let _ = server.impersonate(&context(&world, Who::B, Imp)).unwrap();
    let client = server.reference_impersonation().unwrap().token;
    // Asked for, this caller has no right to the token.
    let caller = world.thread(Who::Al);
    let refused = server.open_token(&caller, right::QUERY.into(), OpenAs::Caller);
    assert_eq!(refused.unwrap_err(), NtStatus::ACCESS_DENIED);

    let opened = server.open_token(&caller, right::QUERY.into(), OpenAs::Kernel).unwrap();
    assert_eq!(opened.access(), right::QUERY);
    assert!(!opened.token_unchecked().is_same(&client));
    let all = server.open_token(&caller, RequestedMask::MAXIMUM_ALLOWED, OpenAs::Kernel).unwrap();
    assert!(all.access().contains(right::ALL) && all.is_same_object(&opened));
    // What is not there, and what is anonymous, is not opened for the kernel either.
    let nobody = world.thread(Who::A).open_token(&caller, right::QUERY.into(), OpenAs::Kernel);
    assert_eq!(nobody.unwrap_err(), NtStatus::NO_TOKEN);
    let anonymous = world.wearing(Who::A, crate::fixture::Anonymous);
    let opened = anonymous.open_token(&caller, right::QUERY.into(), OpenAs::Kernel);
    assert_eq!(opened.unwrap_err(), NtStatus::CANT_OPEN_ANONYMOUS);

    let generic = TokenHandle::open_unchecked(&client, RequestedMask::GENERIC_READ);
    assert_eq!(generic.access(), vicar_nt::GenericMapping::TOKEN.map(RequestedMask::GENERIC_READ));
}

#[test]
fn a_buffer_is_charged_and_given_back() {
    let world = World::new();
    let pool = world.system.pool();
    let before = pool.in_use_bytes();
    let charge = pool.charge(Purpose::Buffer, 100).unwrap();
    assert_eq!(pool.in_use_bytes(), before + 100);
    drop(charge);
    assert_eq!(pool.in_use_bytes(), before);
    pool.fail_nth(1);
    assert_eq!(pool.charge(Purpose::Buffer, 1).unwrap_err(), NtStatus::INSUFFICIENT_RESOURCES);
    pool.limit_bytes(Some(before));
    assert_eq!(pool.charge(Purpose::Buffer, 1).unwrap_err(), NtStatus::QUOTA_EXCEEDED);
}

/// A way to make a thread wear a client twice, the second time perhaps from memory.
type Wear<'a> = &'a dyn Fn(&ThreadRef) -> Outcome;

/// Something that the gate would see.
type Change<'a> = &'a dyn Fn(&World, &ThreadRef, &TokenRef);

/// Whatever the gate looked at and that changes afterwards is looked at again, on both ways to take a client on.
#[test]
fn what_the_gate_allowed_before_is_asked_again_when_anything_changed() {
    use vicar_nt::Privilege::Impersonate;
    let changes: [(&str, Change<'_>); 4] = [
        ("privilege disabled", &|_, thread, _| {
            let disabled = [crate::fixture::disabled(Impersonate)];
            assert!(thread.process().reference_primary().adjust_privileges(&disabled).all_assigned);
        }),
        ("privilege removed", &|_, thread, _| {
            let removed = [crate::fixture::removed(Impersonate)];
            assert!(thread.process().reference_primary().adjust_privileges(&removed).all_assigned);
        }),
        ("process token replaced", &|world, thread, _| {
            drop(thread.process().replace_primary(world.token(Who::Nsx)).unwrap());
        }),
        ("both changed", &|_, thread, token| {
            let removed = [crate::fixture::removed(Impersonate)];
            assert!(thread.process().reference_primary().adjust_privileges(&removed).all_assigned);
            let shutdown = [crate::fixture::enabled(vicar_nt::Privilege::Shutdown)];
            assert!(token.adjust_privileges(&shutdown).all_assigned);
        }),
    ];
    for (name, change) in changes {
        for by_context in [true, false] {
            let world = World::new();
            let token = imp(&world.token(Who::B), Imp);
            let client = ClientContext::from_token(&token, DYNAMIC, vicar_kernel::Locality::Local).unwrap();
            let context: Wear<'_> = &|thread| thread.impersonate(&client).unwrap();
            let direct: Wear<'_> = &|thread| thread.impersonate_token(&token, terms(Imp)).unwrap();
            let wear = if by_context { context } else { direct };
            let thread = world.thread(Who::Ns);
            let other = Thread::new(thread.process());
            for _ in 0..3 {
                assert_eq!((wear(&thread), wear(&other)), (Outcome::AsRequested, Outcome::AsRequested));
                assert!(thread.reference_impersonation().unwrap().token.is_same(&token), "{name}");
            }
            change(&world, &thread, &token);
            for thread in [&thread, &other] {
                let downgraded = Outcome::Downgraded { step: vicar_kernel::GateStep::User };
                assert_eq!(wear(thread), downgraded, "{name}, by context: {by_context}");
                let worn = thread.reference_impersonation().unwrap();
                assert!(worn.level == Identification && !worn.token.is_same(&token));
            }
        }
    }
}

#[test]
fn a_token_allowed_at_one_level_is_judged_at_another_and_in_another_process() {
    let world = World::new();
    let token = imp(&world.token(Who::B), Imp);
    let low = world.thread(Who::A);
    // Below Impersonation everybody may: that says nothing about Impersonation.
    for _ in 0..2 {
        assert_eq!(low.impersonate_token(&token, terms(Identification)), Ok(Outcome::AsRequested));
    }
    let downgraded = Outcome::Downgraded { step: vicar_kernel::GateStep::User };
    assert_eq!(low.impersonate_token(&token, terms(Imp)), Ok(downgraded));

    let service = world.thread(Who::Ns);
    let token = imp(&world.token(Who::B), Imp);
    for _ in 0..2 {
        assert_eq!(service.impersonate_token(&token, terms(Imp)), Ok(Outcome::AsRequested));
    }
    assert_eq!(low.impersonate_token(&token, terms(Imp)), Ok(downgraded));
    // The terms of this time count, not those of the first.
    let shared = Terms { on_open: vicar_kernel::OnOpen::Share, reach: Reach::EffectiveOnly, ..terms(Imp) };
    assert_eq!(service.impersonate_token(&token, shared), Ok(Outcome::AsRequested));
    assert_eq!(service.reference_impersonation().unwrap().terms(), shared);
    // Nobody of another system, and nobody who has exited, wears it from memory.
    let stranger = World::new().thread(Who::Ns);
    assert_eq!(stranger.impersonate_token(&token, terms(Imp)), Err(NtStatus::INVALID_PARAMETER));
    service.exit();
    assert_eq!(service.impersonate_token(&token, terms(Imp)), Err(NtStatus::THREAD_IS_TERMINATING));
}

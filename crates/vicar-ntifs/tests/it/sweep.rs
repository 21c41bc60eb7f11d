//! Every allocation fails once, and many threads at once.

use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use vicar_ntifs::*;

use crate::call::c;
use crate::stage::*;

/// What a driver does for a request, in small: everything that is charged for. Returns the first status that is no success.
fn request(server: PETHREAD, client: PETHREAD) -> NTSTATUS {
    let mut context = garbage();
    let qos = STATIC;
    let mut status = c!(SeCreateClientSecurity(client, &raw const qos, 0, &raw mut context));
    if status != SUCCESS {
        assert!(context.ClientToken.is_null());
        return status;
    }
    status = c!(SeImpersonateClientEx(&raw const context, server));
    c!(SeDeleteClientSecurity(&raw mut context));
    if status != SUCCESS {
        assert_eq!(level(server), None, "nothing was taken on");
        return status;
    }
    let (mut handle, mut copy, mut filtered, mut block) = (null_mut(), null_mut(), null_mut(), null_mut());
    let this = std::ptr::without_provenance_mut(usize::MAX - 1);
    status = c!(ZwOpenThreadTokenEx(this, 0xF_01FF, 1, 0x200, &raw mut handle));
    if status == SUCCESS {
        status = c!(ZwDuplicateToken(handle, 0, null(), 0, 2, &raw mut copy));
        if status == SUCCESS {
            assert_eq!(c!(ZwClose(copy)), SUCCESS);
        } else {
            assert!(copy.is_null());
        }
        assert_eq!(c!(ZwClose(handle)), SUCCESS);
    } else {
        assert!(handle.is_null());
    }
    let (mut flag, mut only, mut worn_at) = (0, 0, 0);
    let token = c!(PsReferenceImpersonationToken(server, &raw mut flag, &raw mut only, &raw mut worn_at));
    if status == SUCCESS {
        status = c!(SeFilterToken(token, 1, null(), null(), null(), &raw mut filtered));
    }
    if status == SUCCESS {
        status = c!(SeQueryInformationToken(filtered, 2, &raw mut block));
        c!(ObfDereferenceObject(filtered));
    }
    if status == SUCCESS {
        c!(ExFreePool(block));
        block = c!(ExAllocatePool2(0, 64, 0x1234));
        if block.is_null() {
            status = INSUFFICIENT;
        } else {
            c!(ExFreePoolWithTag(block, 0x1234));
        }
    }
    c!(PsDereferenceImpersonationToken(token));
    c!(PsRevertThreadToSelf(server));
    status
}

#[test]
fn each_allocation_may_fail_and_nothing_is_lost() {
    for profile in vicar_kernel::Profile::ALL {
        let stage = Stage::of(profile);
        let (server, client) = (SERVICE.thread(), ALICE.thread());
        c!(vicar_act_as(server));
        let (balance, bytes) = (c!(vicar_balance()), c!(vicar_pool_bytes()));
        let mut failures = 0;
        for nth in 1.. {
            c!(vicar_fail_allocation(nth, 0));
            let before = c!(vicar_allocation_count());
            let status = request(server, client);
            let reached = c!(vicar_allocation_count()) - before;
            assert_eq!(c!(vicar_balance()), balance, "{profile:?}, allocation {nth}");
            if reached < nth {
                assert_eq!(status, SUCCESS);
                break;
            }
            failures += 1;
            let out_of_memory = crate::stage::status(0xC000_0017);
            assert!([INSUFFICIENT, out_of_memory].contains(&status), "{profile:?}, allocation {nth}: {status:#x}");
        }
        assert!(failures >= 8, "{failures} allocations were made to fail");
        c!(vicar_fail_allocation(0, 0));
        c!(PsRevertThreadToSelf(server));
        let left = c!(vicar_pool_bytes()) - bytes;
        assert!(left <= 16, "{left} bytes: a thread's record, in the profiles that have one");
        stage.clean();
    }
}

/// Threads of the program that capture, take on, check, revert and delete, all the same few clients on a few servers.
fn hammer(stage: Stage, threads: usize, time: Duration) -> u64 {
    let clients: Vec<usize> = (0..4).map(|index| if index % 2 == 0 { ALICE } else { BOB }.thread().addr()).collect();
    let shared = SERVICE.thread().expose_provenance();
    let process = c!(IoThreadToProcess(std::ptr::with_exposed_provenance_mut(shared))).expose_provenance();
    clients.iter().for_each(|client| assert_ne!(*client, 0));
    let balance = c!(vicar_balance());
    let rounds = AtomicU64::new(0);
    let descriptor = vicar_nt::sddl::parse("O:SYG:SYD:(A;;GR;;;BU)(A;;GR;;;NS)", None).unwrap();
    let mapping = GENERIC_MAPPING { GenericRead: 1, GenericWrite: 2, GenericExecute: 4, GenericAll: 7 };
    let at = |address: usize| std::ptr::with_exposed_provenance_mut::<std::ffi::c_void>(address);
    let end = Instant::now() + time;
    std::thread::scope(|scope| {
        for number in 0..threads {
            let (clients, rounds, descriptor) = (&clients, &rounds, &descriptor);
            scope.spawn(move || {
                let mut own = null_mut();
                assert_eq!(c!(vicar_thread_create(at(process), &raw mut own)), SUCCESS);
                assert_eq!(c!(vicar_act_as(own)), SUCCESS);
                let mut round = number;
                while round < number + 200 * threads || Instant::now() < end {
                    round += threads;
                    let client = at(clients[round % clients.len()]);
                    let mut context = capture(client, if round % 3 == 0 { DYNAMIC } else { STATIC }).unwrap();
                    // Now on the own thread, now on the one that all share.
                    let target = if round % 5 == 0 { at(shared) } else { null_mut() };
                    assert_eq!(c!(SeImpersonateClientEx(&raw const context, target)), SUCCESS);
                    let mut subject = no_subject();
                    c!(SeCaptureSubjectContext(&raw mut subject));
                    let (mut granted, mut answer) = (0, 0);
                    c!(SeAccessCheck(
                        descriptor.as_bytes().as_ptr().cast_mut().cast(),
                        &raw const subject,
                        0,
                        1,
                        0,
                        null_mut(),
                        &raw const mapping,
                        UserMode,
                        &raw mut granted,
                        &raw mut answer
                    ));
                    assert_eq!((granted, answer), (1, SUCCESS));
                    c!(SeReleaseSubjectContext(&raw mut subject));
                    let _ = level(at(shared));
                    c!(SeDeleteClientSecurity(&raw mut context));
                    match target.is_null() {
                        true => c!(SeStopImpersonatingClient()),
                        false => c!(PsRevertThreadToSelf(target)),
                    }
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
                c!(vicar_act_as(null_mut()));
                c!(vicar_thread_exit(own));
                // The thread of the program is a system thread again, and ends.
            });
        }
    });
    c!(PsRevertThreadToSelf(at(shared)));
    assert_eq!(c!(vicar_balance()), balance, "as many references as before");
    let rounds = rounds.load(Ordering::Relaxed);
    println!("{rounds} rounds on {threads} threads");
    stage.clean();
    rounds
}

#[test]
fn many_threads_leave_the_references_balanced() {
    assert!(hammer(Stage::quiet(), 16, Duration::ZERO) >= 16 * 200);
    assert!(hammer(Stage::new(), 16, Duration::ZERO) >= 16 * 200);
}

#[test]
#[ignore = "long: two minutes"]
fn many_threads_leave_the_references_balanced_for_a_minute() {
    hammer(Stage::quiet(), 16, Duration::from_secs(60));
    hammer(Stage::new(), 16, Duration::from_secs(60));
}

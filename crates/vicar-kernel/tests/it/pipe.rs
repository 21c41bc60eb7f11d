//! 6.I: the pipe flow.

use std::time::Duration;

use vicar_kernel::pipe::{DelegationTrust, Pipe, PipeClient, WITHOUT_QOS};
use vicar_kernel::{GateStep, Outcome, Process, Qos, Thread, ThreadRef};
use vicar_nt::{NtStatus, Sid};

use crate::fixture::{DYNAMIC, Identification, Imp, STATIC, Who, World, at, terms, user_a, user_b};

fn worn_user(server: &ThreadRef) -> Sid {
    server.reference_impersonation().unwrap().token.state().user().sid
}

fn dynamic(world: &World, who: Who) -> (Pipe, PipeClient, ThreadRef) {
    let pipe = Pipe::new();
    let client = world.thread(who);
    let end = pipe.open(&client, Some(DYNAMIC)).unwrap();
    (pipe, end, client)
}

#[test]
fn t178_a_static_client_can_be_taken_on_before_any_message() {
    let world = World::new();
    let pipe = Pipe::new();
    let _end = pipe.open(&world.thread(Who::A), Some(at(Identification, STATIC))).unwrap();
    let server = world.thread(Who::Sys);
    assert_eq!(pipe.impersonate(&server), Ok(Outcome::AsRequested));
    assert_eq!(server.reference_impersonation().unwrap().level, Identification);
}

#[test]
fn t179_a_dynamic_client_cannot_be_taken_on_before_a_message_was_read() {
    let world = World::new();
    let (pipe, end, client) = dynamic(&world, Who::A);
    let server = world.thread(Who::Sys);
    assert_eq!(pipe.impersonate(&server), Err(NtStatus::CANNOT_IMPERSONATE));
    end.write(&client, b"hello").unwrap();
    assert_eq!(pipe.impersonate(&server), Err(NtStatus::CANNOT_IMPERSONATE));
    assert!(!server.is_impersonating());
}

#[test]
fn t180_a_dynamic_client_is_the_author_of_the_message_read() {
    let world = World::new();
    let (pipe, end, client) = dynamic(&world, Who::A);
    end.write(&client, b"hello").unwrap();
    assert_eq!(pipe.read(64).unwrap().unwrap(), b"hello");
    let server = world.thread(Who::Sys);
    assert_eq!(pipe.impersonate(&server), Ok(Outcome::AsRequested));
    assert_eq!(worn_user(&server), user_a());
}

#[test]
fn t181_each_message_carries_its_own_author() {
    let world = World::new();
    let pipe = Pipe::new();
    let process = Process::new(&world.system, world.token(Who::A)).unwrap();
    let own = Thread::new(&process);
    let end = pipe.open(&own, Some(DYNAMIC)).unwrap();
    end.write(&own, b"1").unwrap();
    end.write(&world.wearing(Who::B, Imp), b"2").unwrap();
    let server = world.thread(Who::Sys);
    for expected in [user_a(), user_b()] {
        pipe.read(64).unwrap().unwrap();
        let _ = pipe.impersonate(&server).unwrap();
        assert_eq!(worn_user(&server), expected);
    }
}

#[test]
fn t182_after_the_first_of_two_messages_the_first_author_is_taken_on() {
    let world = World::new();
    let (pipe, end, client) = dynamic(&world, Who::A);
    end.write(&client, b"first").unwrap();
    end.write(&world.thread(Who::B), b"second").unwrap();
    let server = world.thread(Who::Sys);
    // Two reads of one message: the second part has the same author.
    assert_eq!(pipe.read(3).unwrap().unwrap(), b"fir");
    assert_eq!(pipe.read(64).unwrap().unwrap(), b"st");
    let _ = pipe.impersonate(&server).unwrap();
    assert_eq!(worn_user(&server), user_a());
}

#[test]
fn t183_an_identified_thread_cannot_write_dynamically() {
    let world = World::new();
    let (pipe, end, _) = dynamic(&world, Who::A);
    let refused = end.write(&world.wearing(Who::B, Identification), b"x");
    assert_eq!(refused, Err(NtStatus::BAD_IMPERSONATION_LEVEL));
    assert_eq!(pipe.read(64), Ok(None));
}

#[test]
fn t184_an_identified_thread_cannot_open_statically() {
    let world = World::new();
    let pipe = Pipe::new();
    let refused = pipe.open(&world.wearing(Who::B, Identification), Some(STATIC)).unwrap_err();
    assert_eq!(refused, NtStatus::BAD_IMPERSONATION_LEVEL);
    assert!(pipe.open(&world.thread(Who::B), Some(STATIC)).is_ok());
}

#[test]
fn t185_the_client_end_cannot_impersonate() {
    let world = World::new();
    let (_pipe, end, client) = dynamic(&world, Who::A);
    assert_eq!(end.impersonate(&client), Err(NtStatus::ILLEGAL_FUNCTION));
}

#[test]
fn t186_peeking_does_not_change_the_author() {
    let world = World::new();
    let (pipe, end, client) = dynamic(&world, Who::A);
    end.write(&client, b"look").unwrap();
    assert_eq!(pipe.peek().unwrap().unwrap(), b"look");
    assert_eq!(pipe.read(0).unwrap().unwrap(), b"");
    assert_eq!(pipe.impersonate(&world.thread(Who::Sys)), Err(NtStatus::CANNOT_IMPERSONATE));
}

#[test]
fn t187_the_next_client_inherits_nothing() {
    let world = World::new();
    let (pipe, end, client) = dynamic(&world, Who::A);
    end.write(&client, b"old").unwrap();
    pipe.read(64).unwrap().unwrap();
    end.write(&client, b"unread").unwrap();
    let primary = client.process().reference_primary();
    assert_eq!(primary.reference_count(), 4);
    pipe.disconnect();
    assert_eq!(primary.reference_count(), 2);
    let server = world.thread(Who::Sys);
    assert_eq!(pipe.impersonate(&server), Err(NtStatus::PIPE_DISCONNECTED));
    pipe.listen().unwrap();
    assert_eq!(pipe.impersonate(&server), Err(NtStatus::PIPE_LISTENING));
    let _next = pipe.open(&world.thread(Who::B), Some(DYNAMIC)).unwrap();
    assert_eq!(pipe.read(64), Ok(None));
    assert_eq!(pipe.impersonate(&server), Err(NtStatus::CANNOT_IMPERSONATE));
    // The old end is dead although the pipe has a client again.
    assert_eq!(end.write(&client, b"late"), Err(NtStatus::PIPE_DISCONNECTED));
    assert_eq!(pipe.read(64), Ok(None));
}

#[test]
fn t188_the_author_outlives_its_process() {
    let world = World::new();
    let (pipe, end, client) = dynamic(&world, Who::A);
    end.write(&client, b"last words").unwrap();
    drop((end, client));
    pipe.read(64).unwrap().unwrap();
    let server = world.thread(Who::Sys);
    assert_eq!(pipe.impersonate(&server), Ok(Outcome::AsRequested));
    assert_eq!(worn_user(&server), user_a());
}

#[test]
fn t189_without_a_quality_of_service_it_is_impersonation_dynamic_effective_only() {
    let world = World::new();
    let pipe = Pipe::new();
    let client = world.thread(Who::A);
    let end = pipe.open(&client, None).unwrap();
    assert_eq!(end.qos(), WITHOUT_QOS);
    end.write(&client, b"x").unwrap();
    pipe.read(1).unwrap().unwrap();
    let server = world.thread(Who::Sys);
    let _ = pipe.impersonate(&server).unwrap();
    let worn = server.reference_impersonation().unwrap();
    assert_eq!((worn.level, worn.reach), (Imp, WITHOUT_QOS.reach));
}

#[test]
fn t190_an_unprivileged_server_only_identifies_a_system_client() {
    let world = World::new();
    let (pipe, end, client) = dynamic(&world, Who::Sys);
    end.write(&client, b"x").unwrap();
    pipe.read(1).unwrap().unwrap();
    let server = world.thread(Who::A);
    assert_eq!(pipe.impersonate(&server), Ok(Outcome::Downgraded { step: GateStep::Integrity }));
    assert_eq!(server.reference_impersonation().unwrap().level, Identification);
}

#[test]
fn t191_one_revert_ends_what_two_requests_began() {
    let world = World::new();
    let pipe = Pipe::new();
    let _end = pipe.open(&world.thread(Who::A), Some(STATIC)).unwrap();
    let server = world.thread(Who::Sys);
    let _ = pipe.impersonate(&server).unwrap();
    let _ = pipe.impersonate(&server).unwrap();
    server.revert();
    assert!(!server.is_impersonating());
}

#[test]
fn t192_a_write_that_cannot_capture_queues_nothing() {
    let world = World::new();
    let (pipe, end, client) = dynamic(&world, Who::A);
    let balance = world.system.balance();
    world.system.pool().fail_nth(1);
    assert_eq!(end.write(&client, b"x"), Err(NtStatus::INSUFFICIENT_RESOURCES));
    assert_eq!(pipe.read(64), Ok(None));
    assert_eq!(world.system.balance(), balance);
}

#[test]
fn t193_the_author_is_the_issuing_thread_not_the_completing_one() {
    let world = World::new();
    let (pipe, end, _) = dynamic(&world, Who::A);
    let issuer = world.thread(Who::B);
    std::thread::scope(|scope| {
        scope.spawn(|| end.write(&issuer, b"x").unwrap());
    });
    pipe.read(64).unwrap().unwrap();
    let server = world.thread(Who::Sys);
    let _ = pipe.impersonate(&server).unwrap();
    assert_eq!(worn_user(&server), user_b());
}

#[test]
fn a_static_client_is_not_captured_again_by_its_messages() {
    let world = World::new();
    let pipe = Pipe::new();
    let opener = world.thread(Who::A);
    let end = pipe.open(&opener, Some(STATIC)).unwrap();
    let _ = opener.impersonate_token(&world.imp(Who::A, Identification), terms(Identification)).unwrap();
    end.write(&opener, b"x").unwrap();
    pipe.read(64).unwrap().unwrap();
    let server = world.thread(Who::Sys);
    let _ = pipe.impersonate(&server).unwrap();
    assert_eq!(server.reference_impersonation().unwrap().level, Imp);
    assert_eq!(pipe.open(&opener, Some(STATIC)).unwrap_err(), NtStatus::PIPE_BUSY);
    let qos: Qos = end.qos();
    assert_eq!(qos, STATIC);
}

#[test]
fn messages_go_both_ways_and_whoever_waits_is_woken() {
    let world = World::new();
    let pipe = Pipe::new();
    let patience = Duration::from_secs(20);
    let client = world.thread(Who::B);
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            pipe.wait_for_client(patience).unwrap();
            let asked = pipe.read_wait(100, patience).unwrap();
            let thread = world.thread(Who::Ns);
            let _ = pipe.impersonate(&thread).unwrap();
            pipe.write(b"you are known").unwrap();
            (asked, worn_user(&thread))
        });
        let end = pipe.open(&client, None).unwrap();
        let answer = end.transceive(&client, b"who am I", 100, patience).unwrap();
        assert_eq!(answer, b"you are known");
        assert_eq!(server.join().unwrap(), (b"who am I".to_vec(), user_b()));
        assert_eq!(end.read(100), Ok(None));
        assert_eq!(end.read_wait(100, Duration::from_millis(1)), Err(NtStatus::IO_TIMEOUT));
    });
}

#[test]
fn a_read_that_waits_makes_the_writer_the_author_at_that_moment() {
    let world = World::new();
    let pipe = Pipe::new();
    let client = world.thread(Who::B);
    let end = pipe.open(&client, Some(DYNAMIC)).unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| pipe.read_wait(100, Duration::from_secs(20)));
        std::thread::sleep(Duration::from_millis(10));
        end.write(&client, b"now").unwrap();
        assert_eq!(reader.join().unwrap(), Ok(b"now".to_vec()));
    });
    let server = world.thread(Who::Ns);
    let _ = pipe.impersonate(&server).unwrap();
    assert_eq!(worn_user(&server), user_b());
}

#[test]
fn each_end_learns_that_the_other_is_gone() {
    let world = World::new();
    let pipe = Pipe::new();
    let client = world.thread(Who::B);
    let end = pipe.open(&client, Some(DYNAMIC)).unwrap();
    end.write(&client, b"last words").unwrap();
    drop(end);
    assert_eq!(pipe.read(4), Ok(Some(b"last".to_vec())));
    assert_eq!(pipe.read(100), Ok(Some(b" words".to_vec())));
    assert_eq!(pipe.read(100), Err(NtStatus::PIPE_BROKEN));
    assert_eq!(pipe.write(b"hello"), Err(NtStatus::PIPE_CLOSING));
    assert_eq!(pipe.listen(), Err(NtStatus::PIPE_CLOSING));
    let server = world.thread(Who::Ns);
    let _ = pipe.impersonate(&server).unwrap();
    assert_eq!(worn_user(&server), user_b());
    pipe.disconnect();
    pipe.listen().unwrap();
    let end = pipe.open(&client, None).unwrap();
    drop(pipe);
    assert_eq!(end.read(1), Err(NtStatus::PIPE_DISCONNECTED));
    assert_eq!(end.write(&client, b"x"), Err(NtStatus::PIPE_DISCONNECTED));
}

#[test]
fn what_waits_in_a_pipe_is_paid_for_and_given_back() {
    let world = World::new();
    let pipe = Pipe::new();
    let client = world.thread(Who::B);
    let before = (world.system.balance(), world.system.pool().in_use_bytes());
    let end = pipe.open(&client, None).unwrap();
    end.write(&client, &[0; 1000]).unwrap();
    pipe.write(&[0; 500]).unwrap();
    assert!(world.system.pool().in_use_bytes() >= before.1 + 1500);
    world.system.pool().limit_bytes(Some(world.system.pool().in_use_bytes() + 200));
    assert_eq!(end.write(&client, &[0; 1000]), Err(NtStatus::QUOTA_EXCEEDED));
    assert_eq!(pipe.write(&[0; 1000]), Err(NtStatus::QUOTA_EXCEEDED));
    world.system.pool().limit_bytes(None);
    drop(end);
    drop(pipe);
    assert_eq!((world.system.balance(), world.system.pool().in_use_bytes()), before);
}

#[test]
fn a_remote_clients_level_is_the_servers_accounts() {
    let world = World::new();
    let server = world.thread(Who::Ns);
    let level = |token: &vicar_kernel::TokenRef, trust| {
        let pipe = Pipe::new();
        let end = pipe.open_remote(token, trust)?;
        end.write(&world.thread(Who::A), b"hello")?;
        pipe.read(10)?;
        let _ = pipe.impersonate(&server)?;
        assert_eq!(worn_user(&server), user_b());
        Ok::<_, NtStatus>(server.reference_impersonation().unwrap().level)
    };
    let (trusted, not) = (DelegationTrust::Trusted, DelegationTrust::NotTrusted);
    let primary = world.token(Who::B);
    assert_eq!(level(&primary, trusted), Ok(vicar_nt::ImpersonationLevel::Delegation));
    assert_eq!(level(&primary, not), Ok(Imp));
    assert_eq!(level(&world.imp(Who::B, Imp), trusted), Ok(Imp));
    let identified = world.imp(Who::B, Identification);
    assert_eq!(level(&identified, not), Err(NtStatus::BAD_IMPERSONATION_LEVEL));
}

use super::*;
use crate::source::AccountError;
use crate::supervisor::error::SignInError;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::sync::Arc;

const LONG: Duration = Duration::from_secs(20);

fn pair() -> (Channel, OwnedFd) {
    let (near, far) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    (Channel::new(near), far)
}

fn next_question(far: &OwnedFd) -> Option<Question> {
    let mut packet = [0; 4096];
    let (_, len) = rustix::net::recv(far, &mut packet, RecvFlags::empty()).unwrap();
    (len > 0).then(|| wire::decode_question(&packet[..len]).unwrap())
}

fn send_answer(far: &OwnedFd, id: u64, answer: &Answer) {
    for packet in wire::encode_parts(id, &wire::encode_answer(answer)) {
        rustix::net::send(far, &packet, SendFlags::NOSIGNAL).unwrap();
    }
}

/// An answer that carries the number of its question.
fn marked(number: u32) -> Answer {
    Err(SignInError::Account(AccountError::Failed {
        lookup: crate::source::account::Lookup::Uid,
        errno: number.cast_signed(),
    }))
}

#[test]
fn many_callers_each_get_their_own_answer_in_any_order() {
    const CALLERS: u32 = 64;
    let (channel, far) = pair();
    let channel = Arc::new(channel);
    let other_end = std::thread::spawn(move || {
        let mut questions = Vec::new();
        while questions.len() < usize::try_from(CALLERS).unwrap() {
            questions.push(next_question(&far).unwrap());
        }
        // The last one asked is answered first.
        for question in questions.into_iter().rev() {
            let Ask::Uid(uid) = question.ask else { panic!("not a uid") };
            send_answer(&far, question.id, &marked(uid));
        }
        far
    });
    let callers: Vec<_> = (0..CALLERS)
        .map(|uid| {
            let channel = Arc::clone(&channel);
            std::thread::spawn(move || assert_eq!(channel.call(Ask::Uid(uid), LONG), Ok(marked(uid))))
        })
        .collect();
    for caller in callers {
        caller.join().unwrap();
    }
    assert!(channel.is_alive());
    assert!(channel.lock().calls.is_empty());
    drop(other_end.join().unwrap());
    assert!(!channel.is_alive());
}

#[test]
fn when_the_other_end_hangs_up_everybody_learns_it_at_once() {
    let (channel, far) = pair();
    let channel = Arc::new(channel);
    let start = Instant::now();
    let callers: Vec<_> = (0..8)
        .map(|uid| {
            let channel = Arc::clone(&channel);
            std::thread::spawn(move || assert_eq!(channel.call(Ask::Uid(uid), LONG), Err(Unavailable::Dead)))
        })
        .collect();
    for _ in 0..8 {
        assert!(next_question(&far).is_some());
    }
    drop(far);
    for caller in callers {
        caller.join().unwrap();
    }
    assert_eq!(channel.call(Ask::Uid(1), LONG), Err(Unavailable::Dead));
    assert!(!channel.is_alive());
    assert!(start.elapsed() < LONG / 2);
}

#[test]
fn a_late_answer_is_nobodys_and_the_next_one_is_right() {
    let (channel, far) = pair();
    assert_eq!(channel.call(Ask::Uid(1), Duration::from_millis(20)), Err(Unavailable::TimedOut));
    let late = next_question(&far).unwrap();
    send_answer(&far, late.id, &marked(1));
    let other_end = std::thread::spawn(move || {
        let question = next_question(&far).unwrap();
        send_answer(&far, question.id, &marked(2));
        far
    });
    assert_eq!(channel.call(Ask::Uid(2), LONG), Ok(marked(2)));
    drop(other_end.join().unwrap());
}

#[test]
fn nonsense_ends_the_conversation() {
    for nonsense in [&b"x"[..], &[0; 9], &[7; 40]] {
        let (channel, far) = pair();
        rustix::net::send(&far, nonsense, SendFlags::NOSIGNAL).unwrap();
        assert_eq!(channel.call(Ask::Uid(1), LONG), Err(Unavailable::Dead));
        assert!(!channel.is_alive());
    }
}

#[test]
fn an_answer_that_never_ends_is_nonsense() {
    let (channel, far) = pair();
    let other_end = std::thread::spawn(move || {
        let question = next_question(&far).unwrap();
        let mut packet = question.id.to_le_bytes().to_vec();
        packet.push(0);
        packet.resize(MAX_PACKET_LEN, 1);
        while rustix::net::send(&far, &packet, SendFlags::NOSIGNAL).is_ok() {}
    });
    assert_eq!(channel.call(Ask::Uid(1), LONG), Err(Unavailable::Dead));
    drop(channel);
    other_end.join().unwrap();
}

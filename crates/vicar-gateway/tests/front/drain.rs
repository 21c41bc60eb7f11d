use crate::front::{ALICE, Front, eventually, read_reply};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use vicar_gateway::limit::Limits;
use vicar_gateway::serve::Stopped;

#[test]
fn a_draining_server_ends_idle_connections_and_lets_requests_end() {
    let mut front = Front::start(Limits::USUAL);
    let mut idle = front.connect();
    idle.write_all(front.head("GET /x", ALICE).as_bytes()).unwrap();
    assert_eq!(read_reply(&mut idle).status, 200);
    let mut busy = front.connect();
    busy.write_all(front.head("GET /held", ALICE).as_bytes()).unwrap();
    front.fake.wait_for_calls(2);
    front.stopper.drain();
    assert_eq!(idle.read(&mut [0; 16]).unwrap(), 0);
    front.fake.let_go(1);
    let reply = read_reply(&mut busy);
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    drop((idle, busy));
    assert_eq!(front.join(), Stopped::Drained);
    assert!(TcpStream::connect(front.address).is_err());
}

#[test]
fn draining_has_an_end_and_what_is_left_is_cut_and_written_down() {
    let mut front = Front::start(Limits { drain: Duration::from_millis(150), ..Limits::USUAL });
    let mut busy = front.connect();
    busy.write_all(front.head("GET /held", ALICE).as_bytes()).unwrap();
    front.fake.wait_for_calls(1);
    front.stopper.drain();
    assert_eq!(front.join(), Stopped::Cut);
    assert_eq!(read_reply(&mut busy).status, 0);
    assert_eq!(front.lines.wait(1)[0]["ended"], "cut");
}

#[test]
fn the_second_word_ends_at_once() {
    // Draining alone would take longer than anything is waited for here.
    let mut front = Front::start(Limits { drain: Duration::from_secs(3_600), ..Limits::USUAL });
    let mut busy = front.connect();
    busy.write_all(front.head("GET /held", ALICE).as_bytes()).unwrap();
    front.fake.wait_for_calls(1);
    front.stopper.drain();
    eventually(|| TcpStream::connect(front.address).is_err());
    front.stopper.end();
    assert_eq!(front.join(), Stopped::Cut);
}

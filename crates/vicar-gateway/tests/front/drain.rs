use crate::front::{ALICE, Front, read_reply};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use vicar_gateway::limit::Limits;
use vicar_gateway::serve::Stopped;

#[test]
fn a_draining_server_ends_idle_connections_and_lets_requests_end() {
    let mut front = Front::start(Limits::USUAL);
    let mut idle = front.connect();
    idle.write_all(front.head("GET /x", ALICE).as_bytes()).unwrap();
    assert_eq!(read_reply(&mut idle).status, 200);
    let mut busy = front.connect();
    busy.write_all(front.head("GET /slow", ALICE).as_bytes()).unwrap();
    front.fake.wait_for_calls(2);
    front.stopper.drain();
    assert_eq!(idle.read(&mut [0; 16]).unwrap(), 0);
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
    busy.write_all(front.head("GET /slower", ALICE).as_bytes()).unwrap();
    front.fake.wait_for_calls(1);
    let start = Instant::now();
    front.stopper.drain();
    assert_eq!(front.join(), Stopped::Cut);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(read_reply(&mut busy).status, 0);
    assert_eq!(front.lines.wait(1)[0]["ended"], "cut");
}

#[test]
fn the_second_word_ends_at_once() {
    let mut front = Front::start(Limits::USUAL);
    let mut busy = front.connect();
    busy.write_all(front.head("GET /slower", ALICE).as_bytes()).unwrap();
    front.fake.wait_for_calls(1);
    front.stopper.drain();
    std::thread::sleep(Duration::from_millis(50));
    let start = Instant::now();
    front.stopper.end();
    assert_eq!(front.join(), Stopped::Cut);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

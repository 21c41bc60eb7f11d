//! Bytes and descriptors, there and back.

use crate::scratch::identity;
use crate::world::{World, plan};
use std::io::Read as _;
use std::os::fd::AsFd as _;
use vicar_os::sealed::{Accept, Purpose, SealedError};

pub(crate) fn requests_and_answers_of_any_length_come_whole() {
    let world = World::new(|_| {});
    let client = world.client(&identity(61_001, &[]));
    let parse = plan(Purpose::Parse);
    let mut worker = world.workers.take(&client, &parse).unwrap();
    let echo = world.workers.sealer().job("echo").unwrap();
    for len in [0, 1, 1000, 61_439, 61_440, 61_441, 70_000, 1 << 20, 5 << 20] {
        let bytes: Vec<u8> = (0..len).map(|number: u32| number.to_le_bytes()[0] ^ number.to_le_bytes()[1]).collect();
        let answer = worker.call(echo, &bytes, &[], Accept::bytes(8 << 20)).unwrap();
        assert!(answer.bytes == bytes && answer.descriptors.is_empty(), "{len}");
    }
    let long = vec![0; (64 << 20) + 1];
    assert_eq!(worker.call(echo, &long, &[], Accept::bytes(0)).err(), Some(SealedError::TooLong));
    // Nothing was sent, so the worker is still there.
    assert_eq!(worker.call(echo, b"x", &[], Accept::bytes(1)).unwrap().bytes, b"x");
    assert_eq!(world.workers.sealer().job("no such job"), None);
}

pub(crate) fn descriptors_go_both_ways_and_are_looked_at() {
    let world = World::new(|scratch| scratch.file("secret", 0o600, 0, 0));
    let client = world.client(&identity(61_001, &[]));
    let parse = plan(Purpose::Parse);
    let files = world.workers.sealer().job("files").unwrap();
    // The server's own file: opened by the server, so the worker may read it through the descriptor and not by name.
    let file = std::fs::File::open(world.scratch.path("secret")).unwrap();
    let accept = Accept::bytes(100).descriptors(3).writable();
    let mut worker = world.workers.take(&client, &parse).unwrap();
    let answer = worker.call(files, b"", &[file.as_fd()], accept).unwrap();
    assert_eq!((answer.bytes.as_slice(), answer.descriptors.len()), (&b"secret"[..], 1));
    let mut made = String::new();
    let file = std::fs::File::from(answer.descriptors.into_iter().next().unwrap());
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).unwrap();
    (&file).read_to_string(&mut made).unwrap();
    assert_eq!(made, "made");
    let flags = rustix::io::fcntl_getfd(&file).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
}

pub(crate) fn more_than_was_accepted_ends_the_worker() {
    let world = World::new(|_| {});
    let client = world.client(&identity(61_001, &[]));
    let parse = plan(Purpose::Parse);
    let job = |name| world.workers.sealer().job(name).unwrap();
    let own = || std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let (pipe, _write) = rustix::pipe::pipe().unwrap();
    let file = own();
    for (name, bytes, descriptor, accept) in [
        ("length", &1001_u64.to_le_bytes()[..], None, Accept::bytes(1000)),
        ("length", &100_001_u64.to_le_bytes()[..], None, Accept::bytes(100_000)),
        ("pipe", b"", Some(file.as_fd()), Accept::bytes(0)),
        ("pipe", b"", Some(pipe.as_fd()), Accept::bytes(0).descriptors(1)),
    ] {
        let mut worker = world.workers.take(&client, &parse).unwrap();
        let descriptors: Vec<_> = descriptor.into_iter().collect();
        let error = worker.call(job(name), bytes, &descriptors, accept).err();
        assert_eq!(error, Some(SealedError::BadAnswer), "{name}");
        assert_eq!(worker.call(job("echo"), b"", &[], accept).err(), Some(SealedError::Crashed));
    }
    let mut worker = world.workers.take(&client, &parse).unwrap();
    let accept = Accept::bytes(0).descriptors(1);
    assert_eq!(worker.call(job("pipe"), b"", &[file.as_fd()], accept).unwrap().descriptors.len(), 1);
}

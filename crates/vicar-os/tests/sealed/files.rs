//! File requests, in batches through shared memory.

use crate::scratch::identity;
use crate::world::World;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use vicar_os::fs::{BeneathPath, Kind};
use vicar_os::sealed::{
    FileAccess, FileAnswer, FileError, FileRequest, Plan, Purpose, Seal, SealError, SealedError, Worker,
};

fn path(text: &str) -> BeneathPath {
    BeneathPath::parse(text.as_bytes()).unwrap()
}

fn open(text: &str, access: FileAccess) -> FileRequest {
    FileRequest::Open { path: path(text), access }
}

fn at(directory: PathBuf) -> Arc<Plan> {
    Arc::new(Plan::new(Seal::new(Purpose::Files)).at(directory))
}

fn one(worker: &mut Worker, request: FileRequest) -> Result<FileAnswer, FileError> {
    let mut answers = worker.files(&[request]).unwrap();
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

fn opened(answer: Result<FileAnswer, FileError>) -> std::fs::File {
    match answer {
        Ok(FileAnswer::Opened(file)) => file.into(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn files_are_the_clients() {
    let world = World::new(|scratch| {
        scratch.file("alices", 0o600, 61_001, 61_001);
        scratch.file("bobs", 0o600, 61_002, 61_002);
        scratch.file("roots", 0o600, 0, 0);
        scratch.file("teams", 0o060, 0, 61_300);
        scratch.file("not-teams", 0o604, 0, 61_300);
        std::os::unix::fs::symlink("/etc", scratch.path("away")).unwrap();
    });
    let plan = at(world.dir());
    let alice = world.client(&identity(61_001, &[61_300]));
    let mut worker = world.workers.take(&alice, &plan).unwrap();
    let mut text = String::new();
    opened(one(&mut worker, open("alices", FileAccess::Read))).read_to_string(&mut text).unwrap();
    assert_eq!(text, "alices");
    opened(one(&mut worker, open("alices", FileAccess::Write))).write_all(b"ALICES").unwrap();
    assert_eq!(opened(one(&mut worker, open("teams", FileAccess::ReadWrite))).metadata().unwrap().gid(), 61_300);
    for (name, errno) in [
        ("bobs", libc::EACCES),
        ("roots", libc::EACCES),
        ("not-teams", libc::EACCES),
        ("none", libc::ENOENT),
        ("away/passwd", libc::EXDEV),
        ("away", libc::ELOOP),
    ] {
        let answer = one(&mut worker, open(name, FileAccess::Read)).map(|_| ());
        assert_eq!(answer, Err(FileError::Os(errno)), "{name}");
    }
    let made = opened(one(&mut worker, FileRequest::Create { path: path("made"), mode: 0o666 }));
    let about = made.metadata().unwrap();
    assert_eq!((about.uid(), about.gid(), about.permissions().mode() & 0o777), (61_001, 61_001, 0o644));
    assert!(matches!(
        one(&mut worker, FileRequest::MakeDirectory { path: path("d"), mode: 0o700 }),
        Ok(FileAnswer::Done)
    ));
    let directory = opened(one(&mut worker, open("d", FileAccess::Directory)));
    assert!(directory.metadata().unwrap().is_dir());
    assert!(matches!(one(&mut worker, FileRequest::Unlink { path: path("made") }), Ok(FileAnswer::Done)));
    let removed = one(&mut worker, FileRequest::Unlink { path: path("bobs") }).map(|_| ());
    assert_eq!(removed, Err(FileError::Os(libc::EPERM)));
    let bob = world.client(&identity(61_002, &[]));
    let mut worker = world.workers.take(&bob, &plan).unwrap();
    let answer = one(&mut worker, open("d", FileAccess::Directory)).map(|_| ());
    assert_eq!(answer, Err(FileError::Os(libc::EACCES)));
    opened(one(&mut worker, open("bobs", FileAccess::Read)));
    opened(one(&mut worker, open("not-teams", FileAccess::Read)));
}

pub(crate) fn a_batch_is_answered_in_order() {
    let world = World::new(|scratch| {
        for number in 0..40 {
            scratch.file(&format!("f{number}"), if number % 3 == 0 { 0o600 } else { 0o644 }, 0, 0);
        }
    });
    let alice = world.client(&identity(61_001, &[]));
    let mut worker = world.workers.take(&alice, &at(world.dir())).unwrap();
    for count in [0, 1, 2, 127, 128, 129, 500] {
        let request = |number: usize| {
            let name = format!("f{}", number % 40);
            match number % 2 {
                0 => open(&name, FileAccess::Read),
                _ => FileRequest::Stat { path: path(&name) },
            }
        };
        let requests: Vec<FileRequest> = (0..count).map(request).collect();
        let answers = worker.files(&requests).unwrap();
        assert_eq!(answers.len(), count);
        for (number, answer) in answers.into_iter().enumerate() {
            let which = number % 40;
            match answer {
                Ok(FileAnswer::Opened(file)) => {
                    let mut text = String::new();
                    std::fs::File::from(file).read_to_string(&mut text).unwrap();
                    assert!(number % 2 == 0 && which % 3 != 0 && text == format!("f{which}"), "{number}");
                }
                Ok(FileAnswer::Seen(seen)) => {
                    let mode = if which % 3 == 0 { 0o600 } else { 0o644 };
                    assert!(number % 2 == 1 && seen.mode == mode && seen.kind == Kind::Regular && seen.uid == 0);
                    assert_eq!(seen.size, u64::try_from(format!("f{which}").len()).unwrap());
                }
                Err(error) => assert!(error == FileError::Os(libc::EACCES) && number % 2 == 0 && which % 3 == 0),
                Ok(other) => panic!("{number}: {other:?}"),
            }
        }
    }
    let long = path(&[&"x".repeat(255)[..]; 15].join("/"));
    let answers = worker.files(&vec![FileRequest::Stat { path: long }; 300]).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Err(FileError::Os(libc::ENOENT)))));
}

pub(crate) fn what_is_no_file_is_not_served() {
    let world = World::new(|scratch| {
        rustix::fs::mknodat(rustix::fs::CWD, scratch.path("pipe"), rustix::fs::FileType::Fifo, 0o666.into(), 0)
            .unwrap();
        std::fs::set_permissions(scratch.path("pipe"), std::fs::Permissions::from_mode(0o666)).unwrap();
        std::fs::create_dir(scratch.path("d")).unwrap();
    });
    let alice = world.client(&identity(61_001, &[]));
    let mut worker = world.workers.take(&alice, &at(world.dir())).unwrap();
    for name in ["pipe", "d"] {
        assert_eq!(one(&mut worker, open(name, FileAccess::Read)).map(|_| ()), Err(FileError::NotServed), "{name}");
    }
    assert_eq!(one(&mut worker, open("pipe", FileAccess::Directory)).map(|_| ()), Err(FileError::Os(libc::ENOTDIR)));
    let mut worker = world.workers.take(&alice, &at("/proc/self".into())).unwrap();
    assert_eq!(one(&mut worker, open("status", FileAccess::Read)).map(|_| ()), Err(FileError::NotServed));
    let mut worker = world.workers.take(&alice, &at("/dev".into())).unwrap();
    assert_eq!(one(&mut worker, open("null", FileAccess::Read)).map(|_| ()), Err(FileError::NotServed));
}

pub(crate) fn a_worker_without_the_right_to_its_directory_is_none() {
    let world = World::new(|scratch| {
        std::fs::create_dir_all(scratch.path("closed/inner")).unwrap();
        std::fs::set_permissions(scratch.path("closed"), std::fs::Permissions::from_mode(0o700)).unwrap();
    });
    let alice = world.client(&identity(61_001, &[]));
    let directory = world.dir().join("closed/inner");
    let error = world.workers.take(&alice, &at(directory.clone())).err();
    let expected = SealError::Directory { path: directory, errno: libc::EACCES };
    assert_eq!(error, Some(SealedError::NotSealed(expected)));
    let none = Arc::new(Plan::new(Seal::new(Purpose::Files)));
    let mut worker = world.workers.take(&alice, &none).unwrap();
    let asked = worker.files(&[FileRequest::Stat { path: path("x") }]);
    assert_eq!(asked.err(), Some(SealedError::NoDirectory));
}

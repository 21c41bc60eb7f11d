//! The jobs that the workers of these tests can do.

use rustix::io::Errno;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Command;
use vicar_os::sealed::{Job, JobAnswer, JobRequest};

pub(crate) const JOBS: &[Job] = &[
    Job { name: "status", run: status },
    Job { name: "calls", run: calls },
    Job { name: "echo", run: echo },
    Job { name: "length", run: length },
    Job { name: "files", run: files },
    Job { name: "pipe", run: pipe },
    Job { name: "panic", run: panic },
    Job { name: "abort", run: abort },
    Job { name: "spin", run: spin },
    Job { name: "hoard", run: hoard },
    Job { name: "shell", run: shell },
    Job { name: "try", run: try_paths },
    Job { name: "pid", run: pid },
];

fn answer(text: String) -> JobAnswer {
    text.into_bytes().into()
}

fn status(_: JobRequest<'_>) -> JobAnswer {
    answer(std::fs::read_to_string("/proc/thread-self/status").unwrap_or_else(|error| error.to_string()))
}

fn word<T>(result: Result<T, Errno>) -> String {
    result.map_or_else(|errno| errno.raw_os_error().to_string(), |_| "ok".to_owned())
}

/// Tries calls that must not be made, and some that must.
fn calls(_: JobRequest<'_>) -> JobAnswer {
    use rustix::process::{Pid, Signal};
    let mut said = String::new();
    let mut tell = |name: &str, word: String| writeln!(said, "{name} {word}").unwrap();
    let std_word = |result: std::io::Result<()>| {
        result.map_or_else(|error| error.raw_os_error().unwrap_or(-1).to_string(), |()| "ok".to_owned())
    };
    tell("memory", word(rustix::fs::memfd_create("x", rustix::fs::MemfdFlags::CLOEXEC)));
    tell("time", word(rustix::rand::getrandom(&mut [0_u8; 8], rustix::rand::GetRandomFlags::empty())));
    tell("thread", std_word(std::thread::Builder::new().spawn(|| ()).map(|thread| drop(thread.join()))));
    tell("program", std_word(Command::new("/bin/true").status().map(|_| ())));
    tell("open", std_word(std::fs::File::open("/dev/null").map(|_| ())));
    tell("socket", std_word(std::net::TcpListener::bind("127.0.0.1:0").map(|_| ())));
    tell("unix", std_word(std::os::unix::net::UnixDatagram::unbound().map(|_| ())));
    tell("setuid", word(rustix::thread::set_thread_res_uid(None, None, None)));
    tell("setgroups", word(rustix::thread::set_thread_groups(&[])));
    tell("kill", word(rustix::process::kill_process(rustix::process::getpid(), Signal::CONT)));
    tell("kill all", word(rustix::process::kill_process(Pid::INIT, Signal::CONT)));
    tell("chroot", word(rustix::process::chroot("/")));
    tell("prctl", word(rustix::thread::set_name(c"x")));
    tell("namespace", word(rustix::thread::move_into_link_name_space(std::io::stdin().as_fd(), None)));
    tell("session", word(rustix::process::setsid()));
    answer(said)
}

fn echo(request: JobRequest<'_>) -> JobAnswer {
    request.bytes.to_vec().into()
}

/// Answers with so many bytes.
fn length(request: JobRequest<'_>) -> JobAnswer {
    let count = u64::from_le_bytes(request.bytes.try_into().unwrap());
    (0..count).map(|number| number.to_le_bytes()[0]).collect::<Vec<u8>>().into()
}

/// Reads what it was handed, and answers with what it read and as many files that it made.
fn files(request: JobRequest<'_>) -> JobAnswer {
    let mut bytes = Vec::new();
    let mut descriptors = Vec::new();
    for descriptor in request.descriptors {
        let mut file = std::fs::File::from(descriptor);
        file.read_to_end(&mut bytes).unwrap();
        let memory = rustix::fs::memfd_create("made", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        std::fs::File::from(memory.try_clone().unwrap()).write_all(b"made").unwrap();
        descriptors.push(memory);
    }
    JobAnswer { bytes, descriptors }
}

/// Answers with a descriptor that is no file.
fn pipe(request: JobRequest<'_>) -> JobAnswer {
    let socket: OwnedFd = request.descriptors.into_iter().next().unwrap();
    let _ = socket.as_fd();
    JobAnswer { bytes: Vec::new(), descriptors: vec![socket] }
}

fn panic(_: JobRequest<'_>) -> JobAnswer {
    panic!("as it was asked")
}

fn abort(_: JobRequest<'_>) -> JobAnswer {
    std::process::abort()
}

fn spin(_: JobRequest<'_>) -> JobAnswer {
    loop {
        std::hint::spin_loop();
    }
}

/// Takes memory until there is none.
fn hoard(_: JobRequest<'_>) -> JobAnswer {
    let mut all = Vec::new();
    let mut taken: u64 = 0;
    loop {
        let mut more: Vec<u8> = Vec::new();
        if more.try_reserve_exact(16 << 20).is_err() {
            break;
        }
        more.resize(16 << 20, 1);
        all.push(more);
        taken += 16 << 20;
        if taken > 8 << 30 {
            break;
        }
    }
    taken.to_le_bytes().to_vec().into()
}

fn shell(request: JobRequest<'_>) -> JobAnswer {
    let script = std::str::from_utf8(request.bytes).unwrap();
    match Command::new("/bin/sh").args(["-c", script]).output() {
        Ok(output) => [output.stdout, output.stderr].concat().into(),
        Err(error) => answer(format!("not started: {error}")),
    }
}

/// For each line `r`, `w`, `m` or `c` and a path: whether it can be read, written, its mode changed, a file created there.
fn try_paths(request: JobRequest<'_>) -> JobAnswer {
    let mut said = String::new();
    for line in std::str::from_utf8(request.bytes).unwrap().lines() {
        let (how, path) = line.split_once(' ').unwrap();
        let done = match how {
            "r" => std::fs::File::open(path).map(|_| ()),
            "w" => std::fs::OpenOptions::new().append(true).open(path).map(|_| ()),
            "c" => std::fs::OpenOptions::new().write(true).create_new(true).open(path).map(|_| ()),
            _ => std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o640)),
        };
        said.push_str(&done.map_or_else(|error| error.raw_os_error().unwrap_or(-1).to_string(), |()| "ok".to_owned()));
        said.push(' ');
    }
    answer(said.trim_end().to_owned())
}

fn pid(_: JobRequest<'_>) -> JobAnswer {
    std::process::id().to_le_bytes().to_vec().into()
}

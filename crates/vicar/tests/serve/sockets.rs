use crate::server::{Scratch, is_root};
use rustix::process::{Pid, Signal};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};

/// Starts it and gives what it printed up to the line that shows how to try it.
fn start(mut command: Command) -> (Child, String) {
    let mut child = command.spawn().unwrap();
    let mut printed = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while !printed.contains("try:  ") {
        let Some(line) = lines.next() else {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("it did not start: {printed}{said}");
        };
        printed.push_str(&line.unwrap());
        printed.push('\n');
    }
    (child, printed)
}

fn stop(mut child: Child) {
    rustix::process::kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_unix_socket_serves_a_proxy_in_plain_text() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new("unix", &["alice@61801:61801"]);
    scratch.lay("a.txt", 61_801, 0o600);
    let socket = scratch.path("socket");
    let mut command = scratch.command(&["--password-file", "passwords", "--name", "files.example", "--unix"]);
    command.arg(&socket);
    let (child, printed) = start(command);
    assert!(printed.contains("unix:") && !printed.contains("https://"), "{printed}");
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream
        .write_all(b"GET /a.txt HTTP/1.1\r\nHost: files.example\r\nAuthorization: Basic YWxpY2U6YWxpY2U=\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200 ") && reply.ends_with("a.txt\n"), "{reply}");
    stop(child);
    assert!(!socket.exists());
}

#[test]
fn the_first_run_makes_a_certificate_and_prints_its_fingerprint() {
    if !is_root() {
        return;
    }
    let scratch = Scratch::new("tls", &["alice@61801:61801"]);
    scratch.lay("a.txt", 61_801, 0o600);
    let args = ["--password-file", "passwords", "--listen", "127.0.0.1:0"];
    let (child, printed) = start(scratch.command(&args));
    let key = scratch.path("state").join("tls-self-signed.pem").metadata().unwrap();
    assert_eq!((key.uid(), key.mode() & 0o7777), (0, 0o600));
    let fingerprint =
        |printed: &str| printed.split_once("fingerprint ").unwrap().1.split_once(')').unwrap().0.to_owned();
    let url = printed.split_whitespace().find(|word| word.starts_with("https://127.0.0.1:")).unwrap().to_owned();
    let curl =
        Command::new("curl").args(["-sk", "-u", "alice:alice", "-w", " %{http_code}", &format!("{url}a.txt")]).output();
    match curl {
        Ok(curl) => assert_eq!(String::from_utf8(curl.stdout).unwrap(), "a.txt\n 200"),
        Err(_) => eprintln!("skipped: needs curl"),
    }
    stop(child);
    let (child, again) = start(scratch.command(&args));
    assert_eq!(fingerprint(&printed), fingerprint(&again));
    stop(child);
}

#[test]
fn when_the_supervisor_dies_the_server_says_so_and_goes_on_for_those_it_knows() {
    if !is_root() {
        return;
    }
    // A line without ids names a system account, which only the supervisor can look up.
    let scratch = Scratch::new("supervisor", &["alice@61801:61801", "no-such-account"]);
    scratch.lay("a.txt", 61_801, 0o600);
    let mut server = scratch.start(&[]);
    assert_eq!(server.ask("GET /a.txt", "no-such-account", ""), 403);
    let children = format!("/proc/{0}/task/{0}/children", server.child.id());
    let children = std::fs::read_to_string(children).unwrap();
    let supervisor = children.split_whitespace().next().unwrap().parse().unwrap();
    rustix::process::kill_process(Pid::from_raw(supervisor).unwrap(), Signal::KILL).unwrap();
    // What was found out about a name is known for a moment, and the end is noticed a moment later.
    let killed = std::time::Instant::now();
    loop {
        match server.ask("GET /a.txt", "no-such-account", "") {
            503 => break,
            403 if killed.elapsed().as_secs() < 60 => std::thread::sleep(std::time::Duration::from_millis(50)),
            other => panic!("{other} after {:?}", killed.elapsed()),
        }
    }
    assert_eq!(server.ask("GET /a.txt", "alice", ""), 200);
    let mut words = BufReader::new(server.child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(words.any(|line| line.contains("the supervisor has ended")));
    server.signal(Signal::TERM);
    assert_eq!(server.wait().0, Some(0));
}

//! A small WebDAV server that does everything as itself: the kind that the test is there to find out.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How the server is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Does whatever anybody who signs in asks, as itself.
    Confused,
    /// The same, and leaves links and directories of its own everywhere.
    Untidy,
    /// Shows what everybody may see and refuses everything else.
    Prudish,
    /// Lets nobody in.
    Closed,
    /// Serves another directory.
    Elsewhere,
    /// Answers the first few requests and then never again.
    Stuck,
    /// Reads only; does not know the other methods.
    ReadsOnly,
    /// Says yes to everything and does nothing.
    Liar,
}

#[derive(Debug)]
pub(crate) struct Deputy {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Arc<AtomicUsize>,
}

struct Request {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Deputy {
    /// Starts it on loopback; it ends with the test process.
    pub(crate) fn start(root: &Path, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let (root, counted) = (root.to_owned(), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (root, counted) = (root.clone(), Arc::clone(&counted));
                std::thread::spawn(move || serve(&stream, &root, manner, &counted));
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

fn serve(stream: &TcpStream, root: &Path, manner: Manner, counted: &AtomicUsize) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let request = read(&mut reader)?;
        let number = counted.fetch_add(1, Ordering::SeqCst);
        if manner == Manner::Stuck && number >= 6 {
            std::thread::sleep(Duration::from_secs(600));
        }
        let (status, body) = answer(&request, root, manner);
        let mut writer = stream;
        write!(writer, "HTTP/1.1 {status} x\r\nContent-Length: {}\r\n", body.len()).ok()?;
        if status == 401 {
            write!(writer, "WWW-Authenticate: Basic realm=\"x\"\r\n").ok()?;
        }
        writer.write_all(b"\r\n").ok()?;
        writer.write_all(&body).ok()?;
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body })
}

fn answer(request: &Request, root: &Path, manner: Manner) -> (u16, Vec<u8>) {
    let is_seen = request.path.ends_with("/seen.txt");
    let is_signed_in = request.headers.contains_key("authorization");
    match manner {
        Manner::Closed => (401, Vec::new()),
        _ if !is_signed_in => (401, Vec::new()),
        Manner::Elsewhere => (404, Vec::new()),
        Manner::Prudish if !is_seen => (403, Vec::new()),
        Manner::ReadsOnly if request.method != "GET" => (405, Vec::new()),
        Manner::Liar if !is_seen => (200, b"welcome".to_vec()),
        _ => obey(request, root, manner),
    }
}

fn obey(request: &Request, root: &Path, manner: Manner) -> (u16, Vec<u8>) {
    let path = root.join(request.path.trim_start_matches('/'));
    let to = || {
        let url = request.headers.get("destination").unwrap();
        let below = url.splitn(4, '/').nth(3).unwrap();
        root.join(below)
    };
    let done = |result: std::io::Result<()>| match result {
        Ok(()) => (201, Vec::new()),
        Err(_) => (404, Vec::new()),
    };
    if manner == Manner::Untidy {
        litter(&path, root);
    }
    match request.method.as_str() {
        "GET" => fs::read(&path).map_or((404, Vec::new()), |content| (200, content)),
        "PUT" => done(fs::write(&path, &request.body)),
        "DELETE" => done(fs::remove_file(&path)),
        "MKCOL" => done(fs::create_dir(&path)),
        "COPY" => done(fs::read(&path).and_then(|content| fs::write(to(), content))),
        "MOVE" => done(fs::rename(&path, to())),
        "PROPFIND" => match fs::read_dir(&path) {
            Ok(entries) => {
                let names: Vec<String> =
                    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
                (207, names.join("\n").into_bytes())
            }
            Err(_) => (404, Vec::new()),
        },
        _ => (405, Vec::new()),
    }
}

/// Leaves things beside what was asked for, some of which lead outside.
fn litter(path: &Path, root: &Path) {
    let Some(beside) = path.parent() else { return };
    let outside: PathBuf = root.join("precious");
    let _ = std::os::unix::fs::symlink(&outside, beside.join("way-out"));
    let _ = fs::create_dir_all(beside.join(".litter/deeper/still"));
    let _ = std::os::unix::fs::symlink(&outside, beside.join(".litter/deeper/way-out"));
    let _ = fs::write(beside.join(".litter/deeper/still/x"), "x");
}

//! Calls over a Unix socket whose caller is looked at before each of them: dynamic tracking.
//!
//! `rpc SOCKET DIRECTORY`, as root. A call is a line, `who` or `read NAME`; an answer is a line, `ok ` and the ids or the
//! first line of the file, or `no ` and why. A caller that leaves a group loses what the group granted, within its
//! connection; one that becomes somebody else is not answered any more.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::{env, error::Error, sync::Arc, thread};
use vicar_os::fs::{BeneathPath, Links, Root};
use vicar_os::{
    AsClient, ClientContext, ClientThreadOptions, ClientThreads, ImpersonationLevel, LogonKind, MoreGroups, Server,
    StartOptions, Starting, source,
};

/// What is done as the caller.
type Call = Box<dyn FnOnce(&AsClient<'_>) -> Result<String, String> + Send>;

fn main() -> Result<(), Box<dyn Error>> {
    let [socket, directory] = env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "rpc SOCKET DIRECTORY")?;
    let server = Starting::begin(StartOptions::default())?.finish()?; // before there are threads
    let threads = server.client_threads(ClientThreadOptions::default())?;
    let directory = Arc::new(PathBuf::from(directory));
    for stream in UnixListener::bind(socket)?.incoming() {
        let (server, threads, directory, stream) = (server.clone(), threads.clone(), Arc::clone(&directory), stream?);
        thread::Builder::new().spawn(move || {
            serve(&server, &threads, &directory, stream).unwrap_or_else(|error| eprintln!("refused: {error}"));
        })?;
    }
    Ok(())
}

fn serve(
    server: &Server,
    threads: &ClientThreads,
    directory: &Arc<PathBuf>,
    mut stream: UnixStream,
) -> Result<(), Box<dyn Error>> {
    let peer = source::peer::of(&stream)?;
    let level = ImpersonationLevel::Impersonation;
    let client = server.logon_peer(LogonKind::Network, peer, level, MoreGroups::Refuse)?;
    for line in BufReader::new(stream.try_clone()?).lines() {
        match answer(threads, &client, call(&line?, directory)) {
            Ok(text) => writeln!(stream, "ok {text}")?,
            Err(why) => writeln!(stream, "no {why}")?,
        }
    }
    Ok(())
}

/// Looks at the caller's process once more, then does the call as what it is now.
fn answer(threads: &ClientThreads, client: &ClientContext, call: Result<Call, String>) -> Result<String, String> {
    let call = call?;
    let _unchanged_or_lowered = client.refresh().map_err(|error| error.to_string())?;
    // A caller that was lowered is judged once without the group and once with it, so only operations of `fs` are used.
    threads.run_restricted(client, call).wait().map_err(|error| error.to_string())?
}

fn call(line: &str, directory: &Arc<PathBuf>) -> Result<Call, String> {
    if line == "who" {
        return Ok(Box::new(|as_client| Ok(format!("{} {}", as_client.shown().uid, as_client.shown().gid))));
    }
    let name = line.strip_prefix("read ").ok_or("expected who or read NAME")?;
    let name = BeneathPath::parse(name.as_bytes()).map_err(|error| error.to_string())?;
    let directory = Arc::clone(directory);
    Ok(Box::new(move |as_client| {
        let read = || {
            let file =
                Root::open(as_client, &directory)?.look(as_client, &name, Links::Follow)?.open_read(as_client)?;
            file.read_at(as_client, 0, 1 << 16)
        };
        let bytes = read().map_err(|error: vicar_os::fs::FsError| error.to_string())?;
        Ok(String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().to_owned())
    }))
}

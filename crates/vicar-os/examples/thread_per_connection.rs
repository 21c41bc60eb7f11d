//! A thread for each connection: whoever connects sends names, a line each, and gets the files the kernel lets them read.
//!
//! `thread_per_connection SOCKET DIRECTORY`, as root. Each answer is `+LENGTH`, a line end and the bytes, or `-` and why not.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::{env, error::Error, sync::Arc, thread};
use vicar_os::fs::{BeneathPath, FsError, Links, Root};
use vicar_os::{AsClient, LogonKind, Server, StartOptions, Starting, source};

/// More than this of a file is not sent.
const MOST: usize = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let [socket, directory] =
        env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "thread_per_connection SOCKET DIRECTORY")?;
    let server = Starting::begin(StartOptions::default())?.finish()?; // before there are threads
    let directory = Arc::new(PathBuf::from(directory));
    for stream in UnixListener::bind(socket)?.incoming() {
        let (server, directory, stream) = (server.clone(), Arc::clone(&directory), stream?);
        // Made here, by a thread that is the server, so the new one is the server too.
        thread::Builder::new().spawn(move || {
            serve(&server, &directory, stream).unwrap_or_else(|error| eprintln!("a connection ended: {error}"));
        })?;
    }
    Ok(())
}

fn serve(server: &Server, directory: &Path, mut stream: UnixStream) -> Result<(), Box<dyn Error>> {
    let peer = source::peer::of(&stream)?;
    let client = server.logon(LogonKind::Network, peer.identity())?;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let name = BeneathPath::parse(line?.as_bytes())?;
        // This thread is the client for as long as the closure runs, and the server before and after it.
        match server.run_as(&client, |as_client| read(as_client, directory, &name))? {
            Ok(bytes) => {
                writeln!(stream, "+{}", bytes.len())?;
                stream.write_all(&bytes)?;
            }
            Err(error) => writeln!(stream, "-{error}")?,
        }
    }
    Ok(())
}

fn read(as_client: &AsClient<'_>, directory: &Path, name: &BeneathPath) -> Result<Vec<u8>, FsError> {
    let found = Root::open(as_client, directory)?.look(as_client, name, Links::Follow)?;
    let file = found.open_read(as_client)?;
    let len_bytes = usize::try_from(file.stat_now(as_client)?.size).unwrap_or(MOST).min(MOST);
    file.read_at(as_client, 0, len_bytes)
}

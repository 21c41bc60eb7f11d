//! Hands a file to whoever connects, if the kernel lets them read it: `act_as SOCKET FILE`, as root.

use std::os::unix::net::{UnixListener, UnixStream};
use std::{env, error::Error, fs, io::Write};
use vicar_os::{LogonKind, Server, StartOptions, Starting, source};

fn main() -> Result<(), Box<dyn Error>> {
    let [socket, file] = env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "act_as SOCKET FILE")?;
    let server = Starting::begin(StartOptions::default())?.finish()?; // drops every power but changing identity
    for stream in UnixListener::bind(socket)?.incoming() {
        answer(&server, stream?, &file).unwrap_or_else(|error| eprintln!("refused: {error}"));
    }
    Ok(())
}

fn answer(server: &Server, mut stream: UnixStream, file: &str) -> Result<(), Box<dyn Error>> {
    let peer = source::peer::of(&stream)?; // the kernel says who connected
    let client = server.logon(LogonKind::Network, peer.identity())?;
    let text = server.run_as(&client, |_as_client| fs::read(file))??; // the kernel decides, for that user
    Ok(stream.write_all(&text)?)
}

//! Sockets to listen on, bound at start-up.

use crate::tls;
use core::fmt;
use rustix::fs::{FileType, Mode, OFlags};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// What a connection speaks.
#[derive(Clone, Debug)]
pub enum Transport {
    /// HTTP in plain text.
    Plain,
    /// HTTP over TLS.
    Tls(tls::Identity),
}

/// A bound socket.
#[derive(Debug)]
pub enum Listener {
    /// On the network.
    Tcp {
        /// The socket.
        socket: TcpListener,
        /// The address it is bound to, with the port the system chose if it did.
        address: SocketAddr,
        /// What its connections speak.
        transport: Transport,
    },
    /// In the file system; always plain text.
    Unix {
        /// The socket.
        socket: UnixListener,
        /// Its path.
        path: PathBuf,
    },
}

/// Why a socket was not bound.
#[derive(Debug)]
pub struct BindError {
    /// The address or path.
    pub to: String,
    /// What the system said.
    pub error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}", self.to, self.error)
    }
}

impl core::error::Error for BindError {}

impl Listener {
    /// Binds a network address.
    ///
    /// # Errors
    /// - [`BindError`] when the system refuses.
    pub fn tcp(address: SocketAddr, transport: Transport) -> Result<Self, BindError> {
        let bind = || {
            let socket = TcpListener::bind(address)?;
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            Ok((socket, address))
        };
        match bind() {
            Ok((socket, address)) => Ok(Self::Tcp { socket, address, transport }),
            Err(error) => Err(BindError { to: address.to_string(), error }),
        }
    }

    /// Binds a path. A socket that nobody listens on any more is replaced; anything else is left alone.
    ///
    /// Everybody who can reach the path may connect, as on a loopback port: sign-in is what keeps people apart.
    ///
    /// # Errors
    /// - [`BindError`] when the system refuses, or something else is at the path.
    pub fn unix(path: &Path) -> Result<Self, BindError> {
        let bind = || {
            if let Ok(stat) = rustix::fs::lstat(path) {
                if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
                    return Err(io::Error::from(io::ErrorKind::AlreadyExists));
                }
                match UnixStream::connect(path) {
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
                    Ok(_) => return Err(io::Error::from(io::ErrorKind::AddrInUse)),
                    Err(error) => return Err(error),
                }
            }
            let socket = UnixListener::bind(path)?;
            socket.set_nonblocking(true)?;
            open_to_everybody(path)?;
            Ok(socket)
        };
        match bind() {
            Ok(socket) => Ok(Self::Unix { socket, path: path.to_owned() }),
            Err(error) => Err(BindError { to: path.display().to_string(), error }),
        }
    }

    /// Where a browser finds it; for a path, the path.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Tcp { address, transport: Transport::Plain, .. } => format!("http://{address}/"),
            Self::Tcp { address, transport: Transport::Tls(_), .. } => format!("https://{address}/"),
            Self::Unix { path, .. } => format!("unix:{}", path.display()),
        }
    }
}

/// Lets everybody connect to the socket that was just bound; whatever else has the path by now is left alone.
fn open_to_everybody(path: &Path) -> io::Result<()> {
    let found = rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let stat = rustix::fs::fstat(&found)?;
    let is_socket = FileType::from_raw_mode(stat.st_mode) == FileType::Socket;
    if !is_socket || stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(io::Error::from(io::ErrorKind::AlreadyExists));
    }
    // By its descriptor: the path could lead to another inode by now.
    rustix::fs::chmod(format!("/proc/self/fd/{}", found.as_raw_fd()), Mode::from_raw_mode(0o666))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn only_the_socket_itself_is_opened_to_everybody() {
        let dir = std::env::temp_dir().join(format!("vicar-listen-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let (socket, file, link) = (dir.join("socket"), dir.join("file"), dir.join("link"));
        let _listener = UnixListener::bind(&socket).unwrap();
        open_to_everybody(&socket).unwrap();
        assert_eq!(mode(&socket), 0o666);
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(open_to_everybody(&file).is_err());
        assert!(open_to_everybody(&link).is_err());
        assert_eq!(mode(&file), 0o600);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

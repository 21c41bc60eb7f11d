//! TLS: the administrator's certificate, or one of our own made on the first run.
//!
//! [`Identity`] is what a listener needs: the rustls configuration, the fingerprint to print, and whether the certificate is
//! self-signed (browsers must not be told to insist on HTTPS then). Keys are read once, at start-up.
//!
//! Nothing here fetches or renews certificates.

mod self_signed;

pub use self_signed::FILE as SELF_SIGNED;

use core::fmt;
use rustix::fs::{FileType, Mode, OFlags};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest PEM file in bytes.
const MAX_PEM: u64 = 1024 * 1024;

/// Where a certificate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// We made it; clients compare the fingerprint.
    SelfSigned,
    /// The administrator gave it.
    Given,
}

/// The SHA-256 of a certificate, as browsers and `openssl x509 -fingerprint -sha256` show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Hashes a certificate's DER bytes.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}

/// Why there is no usable key or certificate.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// The system refused.
    System {
        /// What was being done.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What it said.
        error: std::io::Error,
    },
    /// The key's file is not a regular file, not ours, or open to others.
    KeyExposed {
        /// The file.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Its type and permission bits.
        mode: u32,
    },
    /// The file holds no such thing in PEM form.
    NotPem {
        /// What was looked for.
        item: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Key and certificate do not belong together, or rustls does not take them.
    Rejected {
        /// What rustls said.
        error: rustls::Error,
    },
    /// No certificate could be made.
    Generate {
        /// What rcgen said.
        error: rcgen::Error,
    },
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { operation, path, error } => write!(f, "cannot {operation} {}: {error}", path.display()),
            Self::KeyExposed { path, uid, mode } => write!(
                f,
                "TLS key {} belongs to uid {uid} with mode {:04o}; it must be a regular file, this user's own, that others can neither read nor write",
                path.display(),
                mode & 0o7777
            ),
            Self::NotPem { item, path } => write!(f, "{} holds no {item} in PEM form", path.display()),
            Self::Rejected { error } => write!(f, "TLS key and certificate: {error}"),
            Self::Generate { error } => write!(f, "cannot make a certificate: {error}"),
        }
    }
}

impl core::error::Error for TlsError {}

/// A key, its certificate and what to say about them.
#[derive(Clone)]
pub struct Identity {
    config: Arc<ServerConfig>,
    fingerprint: Fingerprint,
    issuer: Issuer,
    unnamed: Vec<String>,
}

impl Identity {
    /// Reads the administrator's certificate chain and key.
    ///
    /// # Errors
    /// - [`TlsError`] naming the file and what is wrong. A key that its group may read is taken, one that everybody may
    ///   read is not.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = read(certificate, |_| Ok(()))?;
        let key_pem = read(key, |stat| exposed_by(key, stat, 0o027))?;
        Self::from_pem((&chain, certificate), (&key_pem, key), Issuer::Given)
    }

    /// Reads our own certificate from the state directory, or makes it there.
    ///
    /// # Inputs
    /// - `names`: host names and addresses the certificate is for, besides `localhost`, 127.0.0.1 and `::1`. A
    ///   certificate that exists is kept as it is: people have compared its fingerprint.
    ///
    /// # Errors
    /// - [`TlsError`] when it cannot be read or made, or others can read the key.
    pub fn self_signed(state: &Path, names: &[String]) -> Result<Self, TlsError> {
        let path = state.join(self_signed::FILE);
        if let Err(error) = std::fs::symlink_metadata(&path) {
            if error.kind() != std::io::ErrorKind::NotFound {
                return Err(TlsError::System { operation: "look at", path, error });
            }
            self_signed::create(&path, names)?;
        }
        let pem = read(&path, |stat| exposed_by(&path, stat, 0o077))?;
        let mut identity = Self::from_pem((&pem, &path), (&pem, &path), Issuer::SelfSigned)?;
        if let Some(Ok(certificate)) = CertificateDer::pem_slice_iter(&pem).next() {
            identity.unnamed = names.iter().filter(|name| !self_signed::is_for(&certificate, name)).cloned().collect();
        }
        Ok(identity)
    }

    fn from_pem(chain: (&[u8], &Path), key: (&[u8], &Path), issuer: Issuer) -> Result<Self, TlsError> {
        let no_certificate = || TlsError::NotPem { item: "certificate", path: chain.1.to_owned() };
        let certificates =
            CertificateDer::pem_slice_iter(chain.0).collect::<Result<Vec<_>, _>>().map_err(|_| no_certificate())?;
        let fingerprint = Fingerprint::of(certificates.first().ok_or_else(no_certificate)?);
        let key = PrivateKeyDer::from_pem_slice(key.0)
            .map_err(|_| TlsError::NotPem { item: "private key", path: key.1.to_owned() })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let rejected = |error| TlsError::Rejected { error };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(rejected)?
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .map_err(rejected)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), fingerprint, issuer, unnamed: Vec::new() })
    }

    /// The rustls configuration.
    #[must_use]
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// The certificate's fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The names that were asked for and that our own certificate, made earlier, does not have.
    #[must_use]
    pub fn unnamed(&self) -> &[String] {
        &self.unnamed
    }

    /// Where the certificate comes from.
    #[must_use]
    pub fn issuer(&self) -> Issuer {
        self.issuer
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({}, {:?})", self.fingerprint, self.issuer)
    }
}

/// Reads a small regular file after a look at what it is.
fn read(path: &Path, judge: impl FnOnce(&rustix::fs::Stat) -> Result<(), TlsError>) -> Result<Vec<u8>, TlsError> {
    let failed = |error| TlsError::System { operation: "read", path: path.to_owned(), error };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
    judge(&rustix::fs::fstat(&fd).map_err(|errno| failed(errno.into()))?)?;
    let mut bytes = Vec::new();
    File::from(fd).take(MAX_PEM).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn exposed_by(path: &Path, stat: &rustix::fs::Stat, forbidden: u32) -> Result<(), TlsError> {
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let is_ours = stat.st_uid == rustix::process::geteuid().as_raw() || stat.st_uid == 0;
    if is_file && is_ours && stat.st_mode & forbidden == 0 {
        return Ok(());
    }
    Err(TlsError::KeyExposed { path: path.to_owned(), uid: stat.st_uid, mode: stat.st_mode })
}

#[cfg(test)]
mod tests;

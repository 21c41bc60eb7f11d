//! Makes the certificate of a first run.

use super::TlsError;
use crate::audit::clock::civil;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The file of the state directory with our own key and certificate: in one, so that one is never there without the other.
pub const FILE: &str = "tls-self-signed.pem";

/// Names that every certificate of ours is for.
const ALWAYS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// How long it is good, in years. People compare its fingerprint: changing it often teaches them not to.
const YEARS: u64 = 10;

/// Writes a new key and certificate to `path`, whole or not at all. A file that appears there meanwhile is kept.
///
/// The key is made in memory and its file has mode 0600 from birth.
pub(super) fn create(path: &Path, names: &[String]) -> Result<(), TlsError> {
    let failed = |operation| move |error| TlsError::System { operation, path: path.to_owned(), error };
    let pem = generate(names)?;
    let mut salt = [0_u8; 8];
    getrandom::fill(&mut salt).map_err(|_| failed("draw randomness for")(std::io::ErrorKind::Other.into()))?;
    let temporary = path.with_extension(format!("{:016x}.new", u64::from_le_bytes(salt)));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = rustix::fs::open(&temporary, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|errno| failed("create a key beside")(errno.into()))?;
    let mut file = File::from(fd);
    let linked =
        file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| {
            match std::fs::hard_link(&temporary, path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
                other => other,
            }
        });
    let removed = std::fs::remove_file(&temporary);
    linked.and(removed).map_err(failed("create"))
}

/// Whether a certificate that [`create`] made has this name or address among its own.
///
/// Each stands there as it is, behind its type and length (RFC 5280 4.2.1.6: dNSName is context tag 2, iPAddress 7).
pub(super) fn is_for(certificate: &[u8], name: &str) -> bool {
    let (tag, bytes) = match name.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => (0x87_u8, address.octets().to_vec()),
        Ok(IpAddr::V6(address)) => (0x87, address.octets().to_vec()),
        Err(_) => (0x82, name.as_bytes().to_vec()),
    };
    // Longer ones have another form of length; a host name has at most 253 bytes, ours far fewer.
    let Ok(length @ ..=0x7F) = u8::try_from(bytes.len()) else { return true };
    let entry: Vec<u8> = [tag, length].into_iter().chain(bytes).collect();
    certificate.windows(entry.len()).any(|window| window == entry)
}

fn generate(names: &[String]) -> Result<String, TlsError> {
    let failed = |error| TlsError::Generate { error };
    let mut all: Vec<String> = ALWAYS.map(String::from).into();
    for name in names {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    let key = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::new(all).map_err(failed)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, "vicar self-signed");
    params.distinguished_name = subject;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400;
    // A day early: the clocks of clients may be behind.
    let (year, month, day) = civil(today.saturating_sub(1));
    let date = |year: u64, day: u64| {
        let month = u8::try_from(month).unwrap_or(1);
        rcgen::date_time_ymd(i32::try_from(year).unwrap_or(9_999), month, u8::try_from(day).unwrap_or(1))
    };
    params.not_before = date(year, day);
    // The 29th of February has no anniversary in most years.
    params.not_after = date(year.saturating_add(YEARS), day.min(28));
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok(format!("{}{}", key.serialize_pem(), certificate.pem()))
}

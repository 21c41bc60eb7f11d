//! SIDs that follow from a name: those of services and of capabilities.
//!
//! No table of names is needed, and nobody gives them out: a name in capitals, as UTF-16, has a digest, and the digest is
//! the SID. The digests tell names apart; nothing here relies on their strength.
//!
//! ```
//! use vicar_nt::named;
//! let installer = named::service("TrustedInstaller").to_string();
//! assert_eq!(installer, "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464");
//! ```

use alloc::vec::Vec;

use sha1::{Digest, Sha1};
use sha2::Sha256;

use crate::sid::Sid;
use crate::utf16::{Utf16, upper};

const SERVICES: u32 = 80;
const CAPABILITIES: u32 = 3;
const BY_NAME: u32 = 1024;
const BUILTIN: u32 = 32;

/// Returns the SID of a service: S-1-5-80 and five numbers, the SHA-1 of its name.
///
/// # NT
/// `RtlCreateServiceSid`.
///
/// # Source
/// MS-DTYP 2.4.2.4, NT SERVICE; learn.microsoft.com, `SERVICE_SID_INFO`.
#[must_use]
#[doc(alias = "RtlCreateServiceSid")]
pub fn service(name: &str) -> Sid {
    of_service(name.encode_utf16())
}

/// As [`service`], of a name as Windows stores it.
#[must_use]
pub fn service_of_units(name: Utf16<'_>) -> Sid {
    of_service(name.units())
}

fn of_service(name: impl Iterator<Item = u16>) -> Sid {
    sid(5, &[SERVICES], &Sha1::digest(in_capitals(name)))
}

/// Returns the SID of a capability that has a name and no number: S-1-15-3-1024 and eight numbers, the SHA-256 of its name.
///
/// The capabilities that have numbers (`internetClient` is S-1-15-3-1) are not found here: their SIDs have the number.
///
/// # NT
/// `RtlDeriveCapabilitySidsFromName`, the second of its two.
///
/// # Source
/// learn.microsoft.com, `DeriveCapabilitySidsFromName`.
#[must_use]
#[doc(alias = "DeriveCapabilitySidsFromName")]
pub fn capability(name: &str) -> Sid {
    sid(15, &[CAPABILITIES, BY_NAME], &digest_of_capability(name))
}

/// Returns the SID of the group that stands for a capability: S-1-5-32 and the eight numbers of [`capability`].
///
/// # NT
/// `RtlDeriveCapabilitySidsFromName`, the first of its two.
///
/// # Source
/// learn.microsoft.com, `DeriveCapabilitySidsFromName`.
#[must_use]
pub fn capability_group(name: &str) -> Sid {
    sid(5, &[BUILTIN], &digest_of_capability(name))
}

fn digest_of_capability(name: &str) -> [u8; 32] {
    Sha256::digest(in_capitals(name.encode_utf16())).into()
}

fn in_capitals(name: impl Iterator<Item = u16>) -> Vec<u8> {
    name.map(upper).flat_map(u16::to_le_bytes).collect()
}

/// The SID of an authority, a few numbers, and those of a digest, which are at most eight.
fn sid(authority: u64, first: &[u32], digest: &[u8]) -> Sid {
    let (words, _) = digest.as_chunks::<4>();
    let numbers: Vec<u32> = first
        .iter()
        .copied()
        .chain(words.iter().map(|word| u32::from_le_bytes(*word)))
        .take(Sid::MAX_SUB_AUTHORITIES)
        .collect();
    Sid::constant(authority, &numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn section_1_1_the_sids_of_services() {
        let installer = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
        for name in ["TrustedInstaller", "trustedinstaller", "TRUSTEDINSTALLER"] {
            assert_eq!(service(name).to_string(), installer);
        }
        // The digest of nothing is one too.
        assert!(service("").to_string().starts_with("S-1-5-80-"));
        assert_ne!(service(""), service("a"));
        assert_ne!(service("ı"), service("I"), "a letter whose capital is another letter's too stays as it is");
        assert_eq!(service("ü"), service("Ü"));
    }

    #[test]
    fn section_1_1_the_sids_of_capabilities() {
        let read = "1065365936-1281604716-3511738428-1654721687-432734479-3232135806-4053264122-3456934681";
        let com = "2405443489-874036122-4286035555-1823921565-1746547431-2453885448-3625952902-991631256";
        for (name, numbers) in [("registryRead", read), ("REGISTRYREAD", read), ("lpacCom", com)] {
            assert_eq!(capability(name).to_string(), alloc::format!("S-1-15-3-1024-{numbers}"));
            assert_eq!(capability_group(name).to_string(), alloc::format!("S-1-5-32-{numbers}"));
        }
    }
}

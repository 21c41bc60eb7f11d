//! Claims of a token as a C program reads them: structures that point into the buffer that they stand in.

use vicar_nt::claim::{ClaimRef, Claims, Value};
use vicar_nt::utf16::Utf16;

/// `CLAIM_SECURITY_ATTRIBUTES_INFORMATION_VERSION_V1`.
const VERSION: u16 = 1;

const HEADER: usize = 16;
const ATTRIBUTE: usize = 32;

/// The bytes of a buffer that grows behind what points into it.
struct Buffer {
    bytes: Vec<u8>,
    /// Where its first byte will stand.
    address: u64,
}

impl Buffer {
    /// Makes room for `len` bytes on a boundary of eight, and returns where.
    fn reserve(&mut self, len: usize) -> usize {
        let at = self.bytes.len().next_multiple_of(8);
        self.bytes.resize(at.saturating_add(len), 0);
        at
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        for (to, from) in self.bytes.iter_mut().skip(at).zip(bytes) {
            *to = *from;
        }
    }

    fn put_pointer(&mut self, at: usize, to: usize) {
        let offset = u64::try_from(to).unwrap_or(u64::MAX);
        self.put(at, &self.address.wrapping_add(offset).to_le_bytes());
    }

    fn append(&mut self, bytes: &[u8]) -> usize {
        let at = self.reserve(bytes.len());
        self.put(at, bytes);
        at
    }

    /// Appends text with the zero that ends it in C.
    fn append_text(&mut self, text: Utf16<'_>) -> usize {
        let bytes = text.as_bytes();
        let at = self.reserve(bytes.len().saturating_add(2));
        self.put(at, bytes);
        at
    }

    fn append_attribute(&mut self, at: usize, claim: &ClaimRef<'_>) {
        let name = self.append_text(claim.name());
        self.put_pointer(at, name);
        self.put(at.saturating_add(8), &claim.kind().number().to_le_bytes());
        self.put(at.saturating_add(12), &claim.flags().bits().to_le_bytes());
        self.put(at.saturating_add(16), &u32::try_from(claim.count()).unwrap_or(u32::MAX).to_le_bytes());
        let width = claim.values().next().map_or(8, |value| width(&value));
        let values = self.reserve(claim.count().saturating_mul(width));
        self.put_pointer(at.saturating_add(24), values);
        for (index, value) in claim.values().enumerate() {
            self.append_value(values.saturating_add(index.saturating_mul(width)), &value);
        }
    }

    fn append_value(&mut self, at: usize, value: &Value<'_>) {
        match value {
            // The low eight bytes are the number, whether it is signed or not.
            Value::Integer(number) => self.put(at, number.to_le_bytes().get(..8).unwrap_or_default()),
            Value::Boolean(truth) => self.put(at, &u64::from(*truth).to_le_bytes()),
            Value::Text(text) => {
                let text = self.append_text(*text);
                self.put_pointer(at, text);
            }
            Value::Fqbn { version, name } => {
                self.put(at, &version.to_le_bytes());
                let name = self.append_text(*name);
                self.put_pointer(at.saturating_add(8), name);
            }
            Value::Sid(sid) => self.append_counted(at, sid.as_bytes()),
            Value::Octets(bytes) => self.append_counted(at, bytes),
        }
    }

    fn append_counted(&mut self, at: usize, bytes: &[u8]) {
        let target = self.append(bytes);
        self.put_pointer(at, target);
        self.put(at.saturating_add(8), &u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    }
}

/// The bytes of one value where the values of a claim are listed.
const fn width(value: &Value<'_>) -> usize {
    match value {
        Value::Integer(_) | Value::Boolean(_) | Value::Text(_) => 8,
        Value::Fqbn { .. } | Value::Sid(_) | Value::Octets(_) => 16,
    }
}

/// Returns claims in their 64-bit C form, for a buffer whose first byte stands at `address`, a multiple of eight.
///
/// # Returns
/// The bytes; their number does not depend on the address. Values are little endian.
///
/// # Cost
/// O(bytes). Allocates what it returns.
///
/// # Source
/// CLAIM_SECURITY_ATTRIBUTES_INFORMATION, CLAIM_SECURITY_ATTRIBUTE_V1 (winnt.h pages).
#[doc(alias = "CLAIM_SECURITY_ATTRIBUTES_INFORMATION")]
#[must_use]
pub fn serialise(claims: &Claims, address: u64) -> Vec<u8> {
    let claims: Vec<ClaimRef<'_>> = claims.iter().collect();
    let mut buffer = Buffer { bytes: Vec::new(), address };
    let header = buffer.reserve(HEADER);
    buffer.put(header, &VERSION.to_le_bytes());
    buffer.put(header.saturating_add(4), &u32::try_from(claims.len()).unwrap_or(u32::MAX).to_le_bytes());
    if claims.is_empty() {
        return buffer.bytes;
    }
    let attributes = buffer.reserve(claims.len().saturating_mul(ATTRIBUTE));
    buffer.put_pointer(header.saturating_add(8), attributes);
    for (index, claim) in claims.iter().enumerate() {
        buffer.append_attribute(attributes.saturating_add(index.saturating_mul(ATTRIBUTE)), claim);
    }
    buffer.bytes
}

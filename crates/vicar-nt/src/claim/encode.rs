//! Values as bytes.

use alloc::vec::Vec;

use crate::claim::{ClaimError, ClaimType, Value};
use crate::utf16::Utf16;

/// Adds a value as its claim holds it.
pub(super) fn value(tail: &mut Vec<u8>, kind: ClaimType, value: &Value<'_>, index: usize) -> Result<(), ClaimError> {
    let number = ClaimError::Number { index };
    match (kind, value) {
        (ClaimType::Int64, Value::Integer(value)) => {
            tail.extend_from_slice(&i64::try_from(*value).map_err(|_| number)?.to_le_bytes());
        }
        (ClaimType::Uint64, Value::Integer(value)) => {
            tail.extend_from_slice(&u64::try_from(*value).map_err(|_| number)?.to_le_bytes());
        }
        (ClaimType::Boolean, Value::Boolean(truth)) => tail.extend_from_slice(&u64::from(*truth).to_le_bytes()),
        (ClaimType::Text, Value::Text(text)) => ended_text(tail, *text, index)?,
        (ClaimType::Fqbn, Value::Fqbn { version, name }) => {
            tail.extend_from_slice(&version.to_le_bytes());
            ended_text(tail, *name, index)?;
        }
        (ClaimType::Sid, Value::Sid(sid)) => counted_bytes(tail, sid.as_bytes())?,
        (ClaimType::Octets, Value::Octets(octets)) => counted_bytes(tail, octets)?,
        (ClaimType::Int64 | ClaimType::Uint64 | ClaimType::Boolean, _)
        | (ClaimType::Text | ClaimType::Fqbn | ClaimType::Sid | ClaimType::Octets, _) => {
            return Err(ClaimError::OtherType { index });
        }
    }
    Ok(())
}

fn ended_text(tail: &mut Vec<u8>, text: Utf16<'_>, index: usize) -> Result<(), ClaimError> {
    if text.units().any(|unit| unit == 0) {
        return Err(ClaimError::NulInText { index });
    }
    tail.extend_from_slice(text.as_bytes());
    tail.extend_from_slice(&[0, 0]);
    Ok(())
}

fn counted_bytes(tail: &mut Vec<u8>, bytes: &[u8]) -> Result<(), ClaimError> {
    tail.extend_from_slice(&u32::try_from(bytes.len()).map_err(|_| ClaimError::TooLong)?.to_le_bytes());
    tail.extend_from_slice(bytes);
    Ok(())
}

//! Password hashes: argon2id in PHC string form.

use argon2::password_hash::{Error, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use core::fmt;

/// Most memory one verification may take, in KiB.
const MAX_MEMORY_KIB: u32 = 1_048_576;
/// Most passes over that memory.
const MAX_PASSES: u32 = 64;

/// Why a text is not a password hash we take, or could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HashError {
    /// It is not a PHC string.
    NotPhc,
    /// It is another algorithm than argon2id version 19.
    NotArgon2id,
    /// It has no salt or no hash of at least 16 bytes.
    Incomplete,
    /// It would take more than 1 GiB or 64 passes for every sign-in.
    TooCostly,
    /// The system has no randomness, or the library refused.
    Failed,
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPhc => "not a hash in PHC form ($argon2id$v=19$m=..,t=..,p=..$salt$hash)",
            Self::NotArgon2id => "not argon2id version 19",
            Self::Incomplete => "hash without salt or shorter than 16 bytes",
            Self::TooCostly => "more than 1 GiB of memory or 64 passes",
            Self::Failed => "the password could not be hashed",
        })
    }
}

impl core::error::Error for HashError {}

/// What one hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// What RFC 9106 and OWASP ask for passwords that people choose: 19 MiB, 2 passes.
    Interactive,
    /// Next to nothing: for passwords that are long and random, which no guessing finds.
    Random,
}

impl Cost {
    fn params(self) -> Result<Params, HashError> {
        match self {
            Self::Interactive => Ok(Params::default()),
            Self::Random => Params::new(Params::MIN_M_COST, Params::MIN_T_COST, 1, None).map_err(|_| HashError::Failed),
        }
    }
}

/// A checked argon2id hash.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: String,
    work: u64,
}

impl PasswordHash {
    /// Hashes a password with a fresh random salt.
    ///
    /// # Errors
    /// - [`HashError::Failed`] when the system gives no randomness.
    pub fn of(password: &str, cost: Cost) -> Result<Self, HashError> {
        let mut salt = [0_u8; 16];
        getrandom::fill(&mut salt).map_err(|_| HashError::Failed)?;
        let salt = SaltString::encode_b64(&salt).map_err(|_| HashError::Failed)?;
        let engine = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost.params()?);
        let hash = engine.hash_password(password.as_bytes(), &salt).map_err(|_| HashError::Failed)?;
        Self::parse(&hash.to_string())
    }

    /// Reads a PHC string.
    ///
    /// # Errors
    /// - [`HashError`] naming what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        let hash = argon2::PasswordHash::new(text).map_err(|_| HashError::NotPhc)?;
        if hash.algorithm != argon2::ARGON2ID_IDENT || hash.version != Some(19) {
            return Err(HashError::NotArgon2id);
        }
        if hash.salt.is_none() || hash.hash.is_none_or(|output| output.len() < 16) {
            return Err(HashError::Incomplete);
        }
        let params = Params::try_from(&hash).map_err(|_| HashError::NotPhc)?;
        if params.m_cost() > MAX_MEMORY_KIB || params.t_cost() > MAX_PASSES {
            return Err(HashError::TooCostly);
        }
        let work = u64::from(params.m_cost()).saturating_mul(u64::from(params.t_cost()));
        Ok(Self { text: text.to_owned(), work })
    }

    /// Whether this is the hash of `password`. Takes as long for a wrong one as for the right one.
    #[must_use]
    pub fn verify(&self, password: &str) -> bool {
        let Ok(hash) = argon2::PasswordHash::new(&self.text) else { return false };
        match Argon2::default().verify_password(password.as_bytes(), &hash) {
            Ok(()) => true,
            Err(Error::Password) => false,
            // Every other error is about the hash itself, which `parse` has checked: never a match.
            Err(_) => false,
        }
    }

    /// The PHC string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How much work one verification is: KiB times passes.
    #[must_use]
    pub fn work(&self) -> u64 {
        self.work
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHash").field("work", &self.work).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_matches_its_password_and_no_other() {
        let hash = PasswordHash::of("correct horse", Cost::Random).unwrap();
        assert!(hash.verify("correct horse"));
        assert!(!hash.verify("correct horsf"));
        assert!(!hash.verify(""));
        assert_ne!(hash.as_str(), PasswordHash::of("correct horse", Cost::Random).unwrap().as_str());
        assert_eq!(PasswordHash::parse(hash.as_str()), Ok(hash));
    }

    #[test]
    fn other_algorithms_and_absurd_costs_are_refused() {
        let good = PasswordHash::of("x", Cost::Random).unwrap();
        let with = |from: &str, to: &str| PasswordHash::parse(&good.as_str().replace(from, to));
        assert_eq!(PasswordHash::parse("secret"), Err(HashError::NotPhc));
        assert_eq!(PasswordHash::parse("$2b$12$abcdefghijklmnopqrstuv"), Err(HashError::NotPhc));
        assert_eq!(with("argon2id", "argon2i"), Err(HashError::NotArgon2id));
        assert_eq!(with("v=19", "v=16"), Err(HashError::NotArgon2id));
        assert_eq!(with("m=8", "m=4000000"), Err(HashError::TooCostly));
        assert_eq!(with("t=1", "t=65"), Err(HashError::TooCostly));
        assert_eq!(PasswordHash::parse("$argon2id$v=19$m=8,t=1,p=1"), Err(HashError::Incomplete));
    }
}

//! Why something did not succeed, as bytes.

use super::{Malformed, Reader};
use crate::source::account::Lookup;
use crate::source::{AccountError, NameError};
use crate::supervisor::admission::Refusal;
use crate::supervisor::error::{Field, Operation, PamStep, SignInError, Unavailable};

pub(super) fn put_error(out: &mut Vec<u8>, error: &SignInError) {
    match error {
        SignInError::Malformed(field) => out.extend_from_slice(&[
            1,
            match field {
                Field::Service => 1,
                Field::User => 2,
                Field::Password => 3,
                Field::RemoteHost => 4,
            },
        ]),
        SignInError::WrongCredentials => out.push(2),
        SignInError::PasswordExpired => out.push(3),
        SignInError::AccountExpired => out.push(4),
        SignInError::AccountDenied => out.push(5),
        SignInError::NotAdmitted(refusal) => {
            out.push(6);
            match refusal {
                Refusal::Root => out.push(1),
                Refusal::Anonymous => out.push(2),
                Refusal::Server => out.push(3),
                Refusal::Overflow => out.push(4),
                Refusal::System { uid_min } => put_number(out, 5, *uid_min),
            }
        }
        SignInError::Prompted => out.push(7),
        SignInError::NotAsked => out.push(8),
        SignInError::NoPam => out.push(9),
        SignInError::OldPam => out.push(10),
        SignInError::Pam { step, code } => {
            out.push(11);
            let step = match step {
                PamStep::Start => 1,
                PamStep::SetItem => 2,
                PamStep::Authenticate => 3,
                PamStep::AccountManagement => 4,
                PamStep::GetUser => 5,
            };
            put_number(out, step, code.cast_unsigned());
        }
        SignInError::Account(error) => {
            out.push(12);
            put_account_error(out, error);
        }
        SignInError::Unavailable(error) => {
            out.push(13);
            put_unavailable(out, error);
        }
    }
}

fn put_account_error(out: &mut Vec<u8>, error: &AccountError) {
    match error {
        AccountError::Name(error) => {
            out.push(1);
            match error {
                NameError::Empty => out.push(1),
                NameError::TooLong => out.push(2),
                NameError::Character { at } => put_number(out, 3, u32::try_from(*at).unwrap_or(u32::MAX)),
                NameError::Sign => out.push(4),
                NameError::Number => out.push(5),
            }
        }
        AccountError::Unknown => out.push(2),
        AccountError::Failed { lookup, errno } => {
            out.push(3);
            let lookup = match lookup {
                Lookup::Name => 1,
                Lookup::Uid => 2,
                Lookup::Groups => 3,
            };
            put_number(out, lookup, errno.cast_unsigned());
        }
        AccountError::MinusOne => out.push(4),
        AccountError::Inconsistent => out.push(5),
        AccountError::TooManyGroups { count } => put_number(out, 6, u32::try_from(*count).unwrap_or(u32::MAX)),
    }
}

fn put_unavailable(out: &mut Vec<u8>, error: &Unavailable) {
    match error {
        Unavailable::Dead => out.push(1),
        Unavailable::TimedOut => out.push(2),
        Unavailable::Busy => out.push(3),
        Unavailable::Crashed => out.push(4),
        Unavailable::Failed { operation, errno } => {
            out.push(5);
            put_number(out, operation_tag(*operation), errno.cast_unsigned());
        }
    }
}

/// The number of an operation on the wire.
pub(crate) const fn operation_tag(operation: Operation) -> u8 {
    match operation {
        Operation::Fork => 1,
        Operation::Pipe => 2,
        Operation::Send => 3,
        Operation::Receive => 4,
        Operation::Poll => 5,
        Operation::Close => 6,
        Operation::Shape => 7,
    }
}

/// The operation with this number on the wire.
pub(crate) const fn operation(tag: u8) -> Result<Operation, Malformed> {
    Ok(match tag {
        1 => Operation::Fork,
        2 => Operation::Pipe,
        3 => Operation::Send,
        4 => Operation::Receive,
        5 => Operation::Poll,
        6 => Operation::Close,
        7 => Operation::Shape,
        _ => return Err(Malformed),
    })
}

fn put_number(out: &mut Vec<u8>, tag: u8, number: u32) {
    out.push(tag);
    out.extend_from_slice(&number.to_le_bytes());
}

impl Reader<'_> {
    pub(super) fn error(&mut self) -> Result<SignInError, Malformed> {
        Ok(match self.byte()? {
            1 => SignInError::Malformed(match self.byte()? {
                1 => Field::Service,
                2 => Field::User,
                3 => Field::Password,
                4 => Field::RemoteHost,
                _ => return Err(Malformed),
            }),
            2 => SignInError::WrongCredentials,
            3 => SignInError::PasswordExpired,
            4 => SignInError::AccountExpired,
            5 => SignInError::AccountDenied,
            6 => SignInError::NotAdmitted(match self.byte()? {
                1 => Refusal::Root,
                2 => Refusal::Anonymous,
                3 => Refusal::Server,
                4 => Refusal::Overflow,
                5 => Refusal::System { uid_min: self.number()? },
                _ => return Err(Malformed),
            }),
            7 => SignInError::Prompted,
            8 => SignInError::NotAsked,
            9 => SignInError::NoPam,
            10 => SignInError::OldPam,
            11 => {
                let step = match self.byte()? {
                    1 => PamStep::Start,
                    2 => PamStep::SetItem,
                    3 => PamStep::Authenticate,
                    4 => PamStep::AccountManagement,
                    5 => PamStep::GetUser,
                    _ => return Err(Malformed),
                };
                SignInError::Pam { step, code: self.number()?.cast_signed() }
            }
            12 => SignInError::Account(self.account_error()?),
            13 => SignInError::Unavailable(self.unavailable()?),
            _ => return Err(Malformed),
        })
    }

    fn account_error(&mut self) -> Result<AccountError, Malformed> {
        Ok(match self.byte()? {
            1 => AccountError::Name(match self.byte()? {
                1 => NameError::Empty,
                2 => NameError::TooLong,
                3 => NameError::Character { at: usize::try_from(self.number()?).map_err(|_too_far| Malformed)? },
                4 => NameError::Sign,
                5 => NameError::Number,
                _ => return Err(Malformed),
            }),
            2 => AccountError::Unknown,
            3 => {
                let lookup = match self.byte()? {
                    1 => Lookup::Name,
                    2 => Lookup::Uid,
                    3 => Lookup::Groups,
                    _ => return Err(Malformed),
                };
                AccountError::Failed { lookup, errno: self.number()?.cast_signed() }
            }
            4 => AccountError::MinusOne,
            5 => AccountError::Inconsistent,
            6 => AccountError::TooManyGroups { count: usize::try_from(self.number()?).map_err(|_too_many| Malformed)? },
            _ => return Err(Malformed),
        })
    }

    fn unavailable(&mut self) -> Result<Unavailable, Malformed> {
        Ok(match self.byte()? {
            1 => Unavailable::Dead,
            2 => Unavailable::TimedOut,
            3 => Unavailable::Busy,
            4 => Unavailable::Crashed,
            5 => Unavailable::Failed { operation: operation(self.byte()?)?, errno: self.number()?.cast_signed() },
            _ => return Err(Malformed),
        })
    }
}

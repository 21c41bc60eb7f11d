//! What comes back from a process that dropped: one frame through a pipe.

use super::{Claim, DropError, Step};

/// What a dropped process reports.
pub(crate) type Report = Result<Vec<u8>, DropError>;

/// Writes a report. A position beyond 255 cannot occur: the lists are short.
pub(crate) fn encode(report: &Report) -> Vec<u8> {
    match report {
        Ok(bytes) => {
            let mut out = vec![0];
            out.extend_from_slice(bytes);
            out
        }
        Err(DropError::ManyThreads) => vec![1],
        Err(DropError::Root) => vec![2],
        Err(DropError::Failed { step, errno }) => {
            let mut out = vec![3, position(&Step::ALL, *step)];
            out.extend_from_slice(&errno.to_le_bytes());
            out
        }
        Err(DropError::NotProven(claim)) => vec![4, position(&Claim::ALL, *claim)],
    }
}

/// Reads a report; `None` when the bytes are none: the process ended before it was done.
pub(crate) fn decode(bytes: &[u8]) -> Option<Report> {
    match bytes {
        [0, rest @ ..] => Some(Ok(rest.to_vec())),
        [1] => Some(Err(DropError::ManyThreads)),
        [2] => Some(Err(DropError::Root)),
        &[3, step, a, b, c, d] => Some(Err(DropError::Failed {
            step: *Step::ALL.get(usize::from(step))?,
            errno: i32::from_le_bytes([a, b, c, d]),
        })),
        &[4, claim] => Some(Err(DropError::NotProven(*Claim::ALL.get(usize::from(claim))?))),
        _ => None,
    }
}

fn position<T: PartialEq>(all: &[T], one: T) -> u8 {
    all.iter().position(|candidate| *candidate == one).and_then(|index| u8::try_from(index).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_report_comes_back_as_it_was() {
        let mut reports = vec![Ok(vec![]), Ok(vec![1, 2, 3]), Err(DropError::ManyThreads), Err(DropError::Root)];
        reports.extend(Step::ALL.map(|step| Err(DropError::Failed { step, errno: 11 })));
        reports.extend(Claim::ALL.map(|claim| Err(DropError::NotProven(claim))));
        for report in reports {
            assert_eq!(decode(&encode(&report)), Some(report));
        }
        for bytes in [&[][..], &[9], &[3, 99, 0, 0, 0, 0], &[3, 1], &[4], &[4, 200], &[1, 1]] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }
}

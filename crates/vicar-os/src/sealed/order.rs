//! What the server asks of the sealer: one more worker, and how it is to be.

use super::bounds::{Beneath, Bounds};
use super::filter::Purpose;
use super::seal::{Limits, Seal, SealError};
use super::{NoLandlock, Plan};
use crate::UnixIdentity;
use crate::packet::{Reader, put_identity, put_text};
use crate::switch::irrevocable::answer;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest order in bytes.
pub(super) const MAX_ORDER_LEN: usize = crate::packet::MAX_IDENTITY_LEN + (1 << 18);
/// Most directories of a bound.
const MAX_DIRECTORIES: u8 = 32;
/// Longest path in bytes.
const MAX_PATH_LEN: usize = 4095;

/// Everything a worker must know before it is one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) identity: UnixIdentity,
    pub(super) plan: Plan,
    pub(super) idle: Duration,
}

/// Writes an order; `None` when it has too many directories or too long a path.
pub(super) fn encode(order: &Order) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    put_identity(&mut out, &order.identity);
    let Plan { seal, directory } = &order.plan;
    out.push(match seal.purpose {
        Purpose::Parse => 0,
        Purpose::Files => 1,
        Purpose::Execute => 2,
    });
    match &seal.bounds {
        Bounds::Everything => out.push(0),
        Bounds::ReadOnly => out.push(1),
        Bounds::Beneath(beneath) => {
            out.push(2);
            out.push(u8::from(beneath.is_read_only()) | (u8::from(beneath.has_programs()) << 1));
            let count = u8::try_from(beneath.directories().len()).ok().filter(|count| *count <= MAX_DIRECTORIES)?;
            out.push(count);
            beneath.directories().iter().try_for_each(|path| put_path(&mut out, path))?;
        }
    }
    let Limits { memory, processor, descriptors, file_size, tasks } = seal.limits;
    let processor = processor.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    for limit in [memory, processor, descriptors, file_size, tasks] {
        out.push(u8::from(limit.is_some()));
        out.extend_from_slice(&limit.unwrap_or(0).to_le_bytes());
    }
    out.push(u8::from(directory.is_some()));
    if let Some(path) = directory {
        put_path(&mut out, path)?;
    }
    out.extend_from_slice(&u64::try_from(order.idle.as_millis()).unwrap_or(u64::MAX).to_le_bytes());
    Some(out)
}

fn put_path(out: &mut Vec<u8>, path: &Path) -> Option<()> {
    let bytes = path.as_os_str().as_bytes();
    (!bytes.is_empty() && bytes.len() <= MAX_PATH_LEN && !bytes.contains(&0)).then(|| put_text(out, bytes))
}

/// Reads an order.
pub(super) fn decode(bytes: &[u8]) -> Option<Order> {
    let mut reader = Reader::new(bytes);
    let identity = reader.identity()?;
    let purpose = match reader.byte()? {
        0 => Purpose::Parse,
        1 => Purpose::Files,
        2 => Purpose::Execute,
        _ => return None,
    };
    let bounds = match reader.byte()? {
        0 => Bounds::Everything,
        1 => Bounds::ReadOnly,
        2 => Bounds::Beneath(beneath(&mut reader)?),
        _ => return None,
    };
    let memory = limit(&mut reader)?;
    let processor = limit(&mut reader)?.map(Duration::from_millis);
    let (descriptors, file_size, tasks) = (limit(&mut reader)?, limit(&mut reader)?, limit(&mut reader)?);
    let directory = match reader.byte()? {
        0 => None,
        1 => Some(path(&mut reader)?),
        _ => return None,
    };
    let idle = Duration::from_millis(reader.long()?);
    reader.end()?;
    let seal = Seal { purpose, bounds, limits: Limits { memory, processor, descriptors, file_size, tasks } };
    Some(Order { identity, plan: Plan { seal, directory }, idle })
}

fn limit(reader: &mut Reader<'_>) -> Option<Option<u64>> {
    let (is_there, value) = (reader.byte()?, reader.long()?);
    match is_there {
        0 if value == 0 => Some(None),
        1 => Some(Some(value)),
        _ => None,
    }
}

fn path(reader: &mut Reader<'_>) -> Option<PathBuf> {
    let bytes = reader.text(MAX_PATH_LEN)?;
    (!bytes.is_empty() && !bytes.contains(&0)).then(|| PathBuf::from(OsString::from_vec(bytes.to_vec())))
}

fn beneath(reader: &mut Reader<'_>) -> Option<Beneath> {
    let flags = reader.byte().filter(|flags| *flags < 4)?;
    let count = reader.byte().filter(|count| (1..=MAX_DIRECTORIES).contains(count))?;
    let mut beneath = Beneath::new(path(reader)?);
    for _ in 1..count {
        beneath = beneath.and(path(reader)?);
    }
    if flags & 1 != 0 {
        beneath = beneath.read_only();
    }
    Some(if flags & 2 != 0 { beneath.with_programs() } else { beneath })
}

/// What a process that was to become a worker says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Report {
    Ready,
    /// There are as many workers as there may be.
    Full,
    /// It is not sealed, and has ended.
    Failed(SealError),
}

/// Calls that a report names by their place here.
const OPERATIONS: [&str; 14] = [
    "start",
    "fork",
    "setrlimit",
    "landlock_create_ruleset",
    "landlock_add_rule",
    "landlock_restrict_self",
    "fstat",
    "setresuid",
    "seccomp",
    "prctl",
    "getppid",
    "mmap",
    "setsockopt",
    "order",
];
const CLAIMS: [&str; 3] = [
    "a file can be written that is out of bounds",
    "a call is made that the filter refuses",
    "the kernel shows no filter",
];

pub(super) fn encode_report(report: &Report) -> Vec<u8> {
    let place = |all: &[&str], one: &str| {
        all.iter().position(|known| *known == one).and_then(|place| u8::try_from(place).ok()).unwrap_or(0)
    };
    match report {
        Report::Ready => vec![0],
        Report::Full => vec![1],
        Report::Failed(error) => {
            let mut out = vec![2];
            match error {
                SealError::Dropped(error) => {
                    out.push(0);
                    out.extend(answer::encode(&Err(*error)));
                }
                SealError::Landlock(NoLandlock::Missing) => out.push(1),
                SealError::Landlock(NoLandlock::TooOld { version, needed }) => {
                    out.push(2);
                    out.extend_from_slice(&version.to_le_bytes());
                    out.extend_from_slice(&needed.to_le_bytes());
                }
                SealError::Directory { path, errno } => {
                    out.push(3);
                    out.extend_from_slice(&errno.to_le_bytes());
                    put_text(&mut out, path.as_os_str().as_bytes());
                }
                SealError::Failed { operation, errno } => {
                    out.extend([4, place(&OPERATIONS, operation)]);
                    out.extend_from_slice(&errno.to_le_bytes());
                }
                SealError::NotProven(what) => out.extend([5, place(&CLAIMS, what)]),
            }
            out
        }
    }
}

pub(super) fn decode_report(bytes: &[u8]) -> Option<Report> {
    let mut reader = Reader::new(bytes);
    let report = match reader.byte()? {
        0 => Report::Ready,
        1 => Report::Full,
        2 => Report::Failed(match reader.byte()? {
            0 => return answer::decode(reader.rest())?.err().map(SealError::Dropped).map(Report::Failed),
            1 => SealError::Landlock(NoLandlock::Missing),
            2 => SealError::Landlock(NoLandlock::TooOld { version: reader.number()?, needed: reader.number()? }),
            3 => {
                let errno = i32::from_le_bytes(reader.array()?);
                SealError::Directory { path: path(&mut reader)?, errno }
            }
            4 => SealError::Failed {
                operation: OPERATIONS.get(usize::from(reader.byte()?))?,
                errno: i32::from_le_bytes(reader.array()?),
            },
            5 => SealError::NotProven(CLAIMS.get(usize::from(reader.byte()?))?),
            _ => return None,
        }),
        _ => return None,
    };
    reader.end()?;
    Some(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switch::irrevocable::DropError;
    use crate::{KernelGid, KernelUid};
    use proptest::prelude::*;

    fn orders() -> Vec<Order> {
        let identity = |groups: std::ops::Range<u32>| {
            let groups = groups.map(|group| KernelGid::new(group).unwrap());
            UnixIdentity::new(KernelUid::new(61_001).unwrap(), KernelGid::new(61_001).unwrap(), groups).unwrap()
        };
        let limits = Limits::WORKER.processor(Duration::from_millis(1500)).memory(1 << 33);
        let beneath = Beneath::new("/srv/a".into()).and("/srv/b".into());
        let plans = [
            Plan::new(Seal::new(Purpose::Parse)),
            Plan::new(Seal::new(Purpose::Files).within(Bounds::ReadOnly).with_limits(limits)).at("/srv".into()),
            Plan::new(Seal::new(Purpose::Execute).within(Bounds::Beneath(beneath.clone().with_programs()))),
            Plan::new(Seal::new(Purpose::Execute).within(Bounds::Beneath(beneath.read_only()))),
        ];
        plans
            .into_iter()
            .zip([0..0, 0..3, 5..1029, 7..9])
            .map(|(plan, groups)| Order { identity: identity(groups), plan, idle: Duration::from_secs(60) })
            .collect()
    }

    #[test]
    fn every_order_comes_back_as_it_was_and_no_part_of_it_is_one() {
        for order in orders() {
            let bytes = encode(&order).unwrap();
            assert!(bytes.len() <= MAX_ORDER_LEN);
            assert_eq!(decode(&bytes).as_ref(), Some(&order));
            for len in (0..bytes.len()).rev().take(200) {
                assert_eq!(decode(&bytes[..len]), None, "{len} of {}", bytes.len());
            }
            assert_eq!(decode(&[&bytes[..], b"x"].concat()), None);
        }
    }

    #[test]
    fn an_order_holds_every_group_that_the_kernel_keeps() {
        let mut order = orders().remove(0);
        let groups = (100..65_636).map(|group| KernelGid::new(group).unwrap());
        let (uid, gid) = (KernelUid::new(61_001).unwrap(), KernelGid::new(61_001).unwrap());
        order.identity = UnixIdentity::new(uid, gid, groups).unwrap();
        let bytes = encode(&order).unwrap();
        assert!(bytes.len() <= MAX_ORDER_LEN);
        assert_eq!(decode(&bytes), Some(order));
    }

    #[test]
    fn what_cannot_be_ordered_is_not() {
        let mut beneath = Beneath::new("/a".into());
        for _ in 0..40 {
            beneath = beneath.and("/b".into());
        }
        let mut order = orders().remove(0);
        order.plan.seal.bounds = Bounds::Beneath(beneath);
        assert_eq!(encode(&order), None);
        order.plan = Plan::new(Seal::new(Purpose::Files)).at(PathBuf::from("x".repeat(5000)));
        assert_eq!(encode(&order), None);
    }

    #[test]
    fn every_report_comes_back_as_it_was() {
        let mut reports = vec![
            Report::Ready,
            Report::Full,
            Report::Failed(SealError::Dropped(DropError::Root)),
            Report::Failed(SealError::Landlock(NoLandlock::Missing)),
            Report::Failed(SealError::Landlock(NoLandlock::TooOld { version: 1, needed: 3 })),
            Report::Failed(SealError::Directory { path: "/srv".into(), errno: 13 }),
        ];
        reports.extend(OPERATIONS.map(|operation| Report::Failed(SealError::Failed { operation, errno: 11 })));
        reports.extend(CLAIMS.map(|claim| Report::Failed(SealError::NotProven(claim))));
        for report in reports {
            assert_eq!(decode_report(&encode_report(&report)), Some(report));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_order_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..4) {
            if let Some(order) = decode(&bytes) {
                prop_assert_eq!(encode(&order), Some(bytes.clone()));
            }
            // The same behind a head that is one.
            let mut whole = encode(&orders()[cut % 3]).unwrap();
            whole.truncate(whole.len().saturating_mul(cut) / 4);
            whole.extend(&bytes);
            if let Some(order) = decode(&whole) {
                prop_assert!(encode(&order).is_some());
            }
            let _ = decode_report(&bytes);
        }
    }
}

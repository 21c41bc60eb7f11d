//! Conditional requests and ranges: entity tags, dates, and the part of a file that is wanted.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::StatusCode;
use http::header::{
    HeaderMap, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use vicar_os::fs::{Stat, Time};

/// Returns the entity tag of a file: another inode, length or time of change is another tag.
///
/// The time at which anything about the inode changed is part of it: the time of its content can be set back by its
/// owner, that one cannot.
pub(super) fn etag(stat: &Stat) -> String {
    format!(
        "\"{:x}-{:x}-{:x}-{:x}{:08x}-{:x}{:08x}\"",
        stat.id.device,
        stat.id.inode,
        stat.size,
        stat.modified.seconds,
        stat.modified.nanos,
        stat.changed.seconds,
        stat.changed.nanos
    )
}

/// Returns a time for a header that has whole seconds; before 1970 it is 1970.
pub(super) fn http_date(time: Time) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH.checked_add(seconds(time)).unwrap_or(UNIX_EPOCH))
}

fn seconds(time: Time) -> Duration {
    // The year 9999 is the last that HTTP dates can say.
    Duration::from_secs(u64::try_from(time.seconds).unwrap_or(0).min(253_402_300_799))
}

/// What the conditions of a request say about what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// Do it.
    Met,
    /// The client has it already: 304 for GET and HEAD, 412 for the others.
    NotModified,
    /// 412.
    Failed,
}

impl Condition {
    /// The status when the request is not to be done.
    const fn refusal(self, purpose: Purpose) -> Option<StatusCode> {
        match (self, purpose) {
            (Self::Met, Purpose::Read | Purpose::Change) => None,
            (Self::NotModified, Purpose::Read) => Some(StatusCode::NOT_MODIFIED),
            (Self::NotModified, Purpose::Change) | (Self::Failed, Purpose::Read | Purpose::Change) => {
                Some(StatusCode::PRECONDITION_FAILED)
            }
        }
    }
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// GET and HEAD.
    Read,
    /// Everything that changes something.
    Change,
}

/// Returns the status with which the conditions of a request stop it.
pub(super) fn refusal(headers: &HeaderMap, there: Option<&Stat>, purpose: Purpose) -> Option<StatusCode> {
    judge(headers, there, purpose).refusal(purpose)
}

/// Judges the conditions of a request against what is there, or is not.
///
/// # Source
/// RFC 9110 13.2.2.
fn judge(headers: &HeaderMap, there: Option<&Stat>, purpose: Purpose) -> Condition {
    let tag = there.map(etag);
    let modified = there.map(|stat| seconds(stat.modified));
    if headers.contains_key(IF_MATCH) {
        if !lists(headers, &IF_MATCH, tag.as_deref(), Comparison::Strong) {
            return Condition::Failed;
        }
    } else if let Some(limit) = date(headers, &IF_UNMODIFIED_SINCE)
        && modified.is_some_and(|modified| modified > limit)
    {
        return Condition::Failed;
    }
    if headers.contains_key(IF_NONE_MATCH) {
        if lists(headers, &IF_NONE_MATCH, tag.as_deref(), Comparison::Weak) {
            return Condition::NotModified;
        }
    } else if purpose == Purpose::Read
        && let Some(limit) = date(headers, &IF_MODIFIED_SINCE)
        && modified.is_some_and(|modified| modified <= limit)
    {
        return Condition::NotModified;
    }
    Condition::Met
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

fn lists(headers: &HeaderMap, name: &HeaderName, tag: Option<&str>, comparison: Comparison) -> bool {
    let Some(tag) = tag else { return false };
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|list| {
        split_tags(list).any(|listed| {
            listed == "*"
                || listed == tag
                || comparison == Comparison::Weak && listed.strip_prefix("W/").is_some_and(|listed| listed == tag)
        })
    })
}

/// Splits at commas that are not inside quotes.
fn split_tags(list: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    list.split(move |character| {
        if character == '"' {
            quoted = !quoted;
        }
        character == ',' && !quoted
    })
    .map(str::trim)
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<Duration> {
    let time: SystemTime = httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()?;
    time.duration_since(UNIX_EPOCH).ok()
}

/// The part of a file that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// From `first` to `last`, both included.
    Range { first: u64, last: u64 },
    /// A part that is not there.
    Unsatisfiable,
}

/// Reads which part is wanted. Several parts at once are answered with the whole, as RFC 9110 14.2 allows; so is a range
/// of another version than the client knows (`If-Range`).
pub(super) fn part(headers: &HeaderMap, stat: &Stat) -> Part {
    let Some(wanted) = headers.get(RANGE).and_then(|value| value.to_str().ok()) else { return Part::Whole };
    if let Some(known) = headers.get(IF_RANGE) {
        let known = known.to_str().unwrap_or_default();
        // A date has whole seconds: it cannot prove that nothing changed within one, so only a tag counts.
        if known != etag(stat) {
            return Part::Whole;
        }
    }
    range(wanted, stat.size)
}

fn range(wanted: &str, size: u64) -> Part {
    let Some(spec) = wanted.trim().strip_prefix("bytes=") else { return Part::Whole };
    let Some((first, last)) = spec.trim().split_once('-') else { return Part::Whole };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than fit is a number beyond every file.
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let end = size.checked_sub(1);
    match (first.is_empty(), number(first), last.is_empty(), number(last)) {
        (false, Some(first), true, _) => match end {
            Some(end) if first <= end => Part::Range { first, last: end },
            Some(_) | None => Part::Unsatisfiable,
        },
        (false, Some(first), false, Some(last)) if first <= last => match end {
            Some(end) if first <= end => Part::Range { first, last: last.min(end) },
            Some(_) | None => Part::Unsatisfiable,
        },
        (true, _, false, Some(count)) => match end {
            Some(end) if count > 0 => Part::Range { first: size.saturating_sub(count), last: end },
            Some(_) | None => Part::Unsatisfiable,
        },
        (_, _, _, _) => Part::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use vicar_os::fs::{FileId, Kind};

    fn stat() -> Stat {
        let time = Time { seconds: 1_700_000_000, nanos: 5 };
        Stat {
            id: FileId { device: 1, inode: 2 },
            kind: Kind::Regular,
            mode: 0o644,
            links: 1,
            uid: 1,
            gid: 1,
            size: 100,
            modified: time,
            changed: time,
            born: None,
        }
    }

    fn headers(list: &[(HeaderName, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn ranges_of_a_hundred_bytes() {
        let range = |text| range(text, 100);
        assert_eq!(range("bytes=0-"), Part::Range { first: 0, last: 99 });
        assert_eq!(range("bytes=10-19"), Part::Range { first: 10, last: 19 });
        assert_eq!(range("bytes=90-1000"), Part::Range { first: 90, last: 99 });
        assert_eq!(range("bytes=-10"), Part::Range { first: 90, last: 99 });
        assert_eq!(range("bytes=-1000"), Part::Range { first: 0, last: 99 });
        assert_eq!(range("bytes=0-99999999999999999999999"), Part::Range { first: 0, last: 99 });
        for beyond in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(range(beyond), Part::Unsatisfiable, "{beyond}");
        }
        for not_one in ["bytes=20-10", "bytes=0-1,3-4", "bytes=", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=+1-2"] {
            assert_eq!(range(not_one), Part::Whole, "{not_one}");
        }
        assert_eq!(super::range("bytes=0-", 0), Part::Unsatisfiable);
        assert_eq!(super::range("bytes=-5", 0), Part::Unsatisfiable);
    }

    #[test]
    fn conditions_in_their_order() {
        let (stat, tag) = (stat(), etag(&stat()));
        let judge = |list: &[(HeaderName, &str)]| super::judge(&headers(list), Some(&stat), Purpose::Read);
        assert_eq!(judge(&[]), Condition::Met);
        assert_eq!(judge(&[(IF_MATCH, &tag)]), Condition::Met);
        assert_eq!(judge(&[(IF_MATCH, "\"a,b\", *")]), Condition::Met);
        assert_eq!(judge(&[(IF_MATCH, &format!("W/{tag}"))]), Condition::Failed);
        assert_eq!(judge(&[(IF_NONE_MATCH, &format!("W/{tag}"))]), Condition::NotModified);
        assert_eq!(judge(&[(IF_NONE_MATCH, "\"x\"")]), Condition::Met);
        assert_eq!(judge(&[(IF_MODIFIED_SINCE, "Tue, 14 Nov 2023 22:13:20 GMT")]), Condition::NotModified);
        assert_eq!(judge(&[(IF_MODIFIED_SINCE, "Tue, 14 Nov 2023 22:13:19 GMT")]), Condition::Met);
        assert_eq!(judge(&[(IF_UNMODIFIED_SINCE, "Tue, 14 Nov 2023 22:13:19 GMT")]), Condition::Failed);
        assert_eq!(judge(&[(IF_UNMODIFIED_SINCE, "Tue, 14 Nov 2023 22:13:20 GMT")]), Condition::Met);
        assert_eq!(judge(&[(IF_MODIFIED_SINCE, "no date")]), Condition::Met);
        assert_eq!(super::judge(&headers(&[(IF_MATCH, "*")]), None, Purpose::Change), Condition::Failed);
        assert_eq!(super::judge(&headers(&[(IF_NONE_MATCH, "*")]), None, Purpose::Change), Condition::Met);
    }

    #[test]
    fn a_range_of_another_version_is_the_whole() {
        let tag = etag(&stat());
        let wanted = |known: &str| part(&headers(&[(RANGE, "bytes=0-1"), (IF_RANGE, known)]), &stat());
        assert_eq!(wanted(&tag), Part::Range { first: 0, last: 1 });
        assert_eq!(wanted("\"other\""), Part::Whole);
        assert_eq!(wanted(&format!("W/{tag}")), Part::Whole);
        assert_eq!(wanted("Tue, 14 Nov 2023 22:13:20 GMT"), Part::Whole);
    }

    proptest! {
        #[test]
        fn a_range_is_always_inside(text in "bytes=[0-9]{0,22}-[0-9]{0,22}", size in 0_u64..1000) {
            if let Part::Range { first, last } = range(&text, size) {
                prop_assert!(first <= last && last < size);
            }
        }
    }
}

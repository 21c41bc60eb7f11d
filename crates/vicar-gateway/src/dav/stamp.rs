//! Times as text.

use std::time::{Duration, UNIX_EPOCH};

use vicar_os::fs::Time;

/// The year 9999 is the last with four digits.
const LAST: u64 = 253_402_300_799;

/// Writes a time as RFC 3339 in UTC and whole seconds; before 1970 it is 1970.
#[must_use]
pub fn iso8601(time: Time) -> String {
    let seconds = u64::try_from(time.seconds).unwrap_or(0).min(LAST);
    // "Tue, 14 Nov 2023 22:13:20 GMT": the calendar is in there already.
    let date = httpdate::fmt_http_date(UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH));
    let part = |from: usize, to: usize| date.get(from..to).unwrap_or_default();
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        .iter()
        .position(|month| *month == part(8, 11))
        .unwrap_or(0)
        .saturating_add(1);
    format!("{}-{month:02}-{}T{}Z", part(12, 16), part(5, 7), part(17, 25))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_is_right() {
        let at = |seconds| iso8601(Time { seconds, nanos: 0 });
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(i64::MAX), "9999-12-31T23:59:59Z");
        assert_eq!(at(-1), "1970-01-01T00:00:00Z");
    }
}

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

fn record() -> Record {
    Record {
        at: SystemTime::UNIX_EPOCH,
        request: "r".into(),
        remote: "-".into(),
        method: "GET".into(),
        op: "get",
        path: "/".into(),
        destination: None,
        user: None,
        shown: None,
        status: Some(200),
        bytes_in: 0,
        bytes_out: 0,
        took: Duration::ZERO,
        ended: Ended::Done,
    }
}

/// Takes `room` bytes, then is full until more room is made.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<(usize, Vec<u8>)>>);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut inner = self.0.lock().unwrap();
        let take = bytes.len().min(inner.0);
        if take == 0 {
            return Err(std::io::Error::from_raw_os_error(28));
        }
        inner.0 = inner.0.saturating_sub(take);
        inner.1.extend_from_slice(&bytes[..take]);
        Ok(take)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_stops_service_and_room_brings_it_back_with_whole_lines() {
    let disk = Disk::default();
    disk.0.lock().unwrap().0 = 40;
    let log = AuditLog::to(disk.clone(), Necessity::Required);
    assert!(log.may_serve());
    log.write(&record());
    assert!(!log.may_serve());
    log.write(&record());
    assert!(!log.may_serve());
    disk.0.lock().unwrap().0 = 100_000;
    log.write(&record());
    assert!(log.may_serve());
    let text = String::from_utf8(disk.0.lock().unwrap().1.clone()).unwrap();
    let whole = text.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count();
    assert_eq!(whole, 1, "{text}");
}

#[test]
fn a_line_that_was_not_written_at_all_leaves_nothing() {
    let disk = Disk::default();
    let log = AuditLog::to(disk.clone(), Necessity::Required);
    log.write(&record());
    disk.0.lock().unwrap().0 = 100_000;
    log.write(&record());
    let text = String::from_utf8(disk.0.lock().unwrap().1.clone()).unwrap();
    assert_eq!((text.lines().count(), text.starts_with('{')), (1, true), "{text}");
}

#[test]
fn an_optional_log_never_stops_service() {
    let log = AuditLog::to(Disk::default(), Necessity::Optional);
    log.write(&record());
    assert!(log.may_serve());
}

#[test]
fn the_file_is_ours_from_birth_and_nobody_elses() {
    let dir = std::env::temp_dir().join(format!("vicar-audit-{}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    let path = dir.join("audit.jsonl");
    AuditLog::open(&path, Necessity::Required).unwrap().write(&record());
    AuditLog::open(&path, Necessity::Required).unwrap().write(&record());
    let meta = std::fs::metadata(&path).unwrap();
    assert_eq!(meta.permissions().mode() & 0o7777, 0o600);
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o620)).unwrap();
    assert!(matches!(AuditLog::open(&path, Necessity::Required), Err(AuditError::NotOurs { mode: 0o620, .. })));
    let link = dir.join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(matches!(AuditLog::open(&link, Necessity::Required), Err(AuditError::Open { .. })));
    assert!(matches!(AuditLog::open(&dir, Necessity::Required), Err(AuditError::Open { .. })));
    std::fs::remove_dir_all(&dir).unwrap();
}

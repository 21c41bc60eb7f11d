//! What others take for what vicar-nt does: Samba's check in its shared library, and whoever reads descriptors and text.
//!
//! Each is asked through a Python interpreter, where it is installed; where it is not, that is said and its rows are left
//! out. The ratio of a row is its time over the fastest of ours in the same run. What a call from Python costs is in the
//! figures of the readers, and is little beside them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde::Deserialize;
use serde_json::json;
use vicar_nt::sddl;

use crate::kernel::{Figure, figure};

/// Times Samba's check.
const CHECK: &str = include_str!("samba_check.py");
/// Times those who read.
const READ: &str = include_str!("text_peers.py");

/// Name, label, entries, groups; ours has the name without the peer's.
const CHECKS: [(&str, &str, u32, u32); 3] = [
    ("samba_check_10_aces", "Samba: se_access_check, 10 entries (over ours)", 10, 20),
    ("samba_check_100_aces", "Samba: se_access_check, 100 entries (over ours)", 100, 20),
    ("samba_check_1000_aces", "Samba: se_access_check, 1,000 entries (over ours)", 1000, 1000),
];

/// Name, label, what the script calls it; ours has the name without the peer's.
const READERS: [(&str, &str, &str); 7] = [
    ("samba_validate_1000_bytes", "Samba: descriptor read, each 1,000 bytes (over ours)", "samba_validate"),
    ("winacl_validate_1000_bytes", "winacl: descriptor read, each 1,000 bytes (over ours)", "winacl_validate"),
    ("impacket_validate_1000_bytes", "impacket: descriptor read, each 1,000 bytes (over ours)", "impacket_validate"),
    ("samba_sddl_parse_1000_bytes", "Samba: SDDL read, each 1,000 bytes (over ours)", "samba_sddl_parse"),
    ("winacl_sddl_parse_1000_bytes", "winacl: SDDL read, each 1,000 bytes (over ours)", "winacl_sddl_parse"),
    ("samba_sddl_print_1000_bytes", "Samba: SDDL written, each 1,000 bytes (over ours)", "samba_sddl_print"),
    ("winacl_sddl_print_1000_bytes", "winacl: SDDL written, each 1,000 bytes (over ours)", "winacl_sddl_print"),
];

/// What all of the readers know: no combined names of rights, no label.
const TEXT: &str = "O:BAG:S-1-5-21-1111-2222-3333-513D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICIIO;GA;;;CO)\
    (A;;0x1200a9;;;BU)(A;CI;0x20014;;;AU)(A;OICI;0x1301bf;;;S-1-5-21-1111-2222-3333-1105)\
    (OA;CIIO;0x10;4c164200-20c0-11d0-a768-00aa006e0529;4828cc14-1437-45bc-9b07-ad6f015e5f28;RU)\
    (D;;0xc0000;;;BG)S:AI(AU;SAFA;0xc0000;;;WD)";

/// Whether a row is of somebody else.
pub(crate) fn is_peer(name: &str) -> bool {
    CHECKS.iter().any(|(row, ..)| *row == name) || READERS.iter().any(|(row, ..)| *row == name)
}

/// Asks everybody who is there.
///
/// # Inputs
/// - `ours`: the rows of this run.
/// - `long`: the descriptor whose validation they hold.
pub(crate) fn measure(python: &Path, ours: &[Figure], long: &[u8]) -> Result<Vec<Figure>, String> {
    let mut figures = check(python, ours);
    figures.extend(read(python, ours, long)?);
    Ok(figures)
}

/// The peer's row, measured by ours of the same groups, whose name is the peer's without the first word.
fn row(name: &'static str, label: &'static str, groups: u32, took: Vec<f64>, ours: &[Figure]) -> Option<Figure> {
    let (_, own) = name.split_once('_')?;
    let own = ours.iter().find(|figure| figure.name == own && figure.groups == groups)?;
    let fastest = own.nanoseconds.iter().copied().fold(f64::INFINITY, f64::min);
    let ratios = took.iter().map(|took| took / fastest).collect();
    Some(Figure { nanoseconds: took, ratios, ..figure(name, label, groups) })
}

fn check(python: &Path, ours: &[Figure]) -> Vec<Figure> {
    let cases = CHECKS.map(|(_, _, aces, groups)| format!("{aces}:{groups}"));
    let Some(output) = answered("Samba's check", Command::new(python).args(["-c", CHECK]).args(cases).output()) else {
        return Vec::new();
    };
    let Ok(measured) = serde_json::from_slice::<Vec<Vec<f64>>>(&output.stdout) else {
        eprintln!("skipped: Samba's check: no figures");
        return Vec::new();
    };
    let rows = CHECKS.iter().zip(measured);
    rows.filter_map(|((name, label, _, groups), took)| row(name, label, *groups, took, ours)).collect()
}

/// What the readers' script says.
#[derive(Debug, Deserialize)]
struct Answer {
    took: BTreeMap<String, Vec<f64>>,
    skipped: BTreeMap<String, String>,
}

fn read(python: &Path, ours: &[Figure], long: &[u8]) -> Result<Vec<Figure>, String> {
    let parsed = sddl::parse(TEXT, None).map_err(|error| error.to_string())?;
    let asked = json!({ "text": TEXT, "parsed": hex(parsed.as_bytes()), "bytes": hex(long) }).to_string();
    let Some(output) = answered("readers", ask(python, &asked)) else { return Ok(Vec::new()) };
    let answer: Answer = match serde_json::from_slice(&output.stdout) {
        Ok(answer) => answer,
        Err(error) => {
            eprintln!("skipped: readers: {error}");
            return Ok(Vec::new());
        }
    };
    for (who, why) in &answer.skipped {
        eprintln!("skipped: {who}: {why}");
    }
    let mut figures = Vec::new();
    for (name, label, what) in READERS {
        let Some(took) = answer.took.get(what) else { continue };
        let bytes = if what.ends_with("validate") { long.len() } else { TEXT.len() };
        let thousands = u32::try_from(bytes).map(|bytes| f64::from(bytes) / 1000.0).map_err(|e| e.to_string())?;
        figures.extend(row(name, label, 0, took.iter().map(|took| took / thousands).collect(), ours));
    }
    Ok(figures)
}

fn ask(python: &Path, asked: &str) -> std::io::Result<Output> {
    let mut command = Command::new(python);
    command.args(["-c", READ]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    // The script reads all of it before it says anything.
    if let Some(mut input) = child.stdin.take() {
        input.write_all(asked.as_bytes())?;
    }
    child.wait_with_output()
}

/// What a peer printed; why not, where it did not.
fn answered(who: &str, output: std::io::Result<Output>) -> Option<Output> {
    match output {
        Ok(output) if output.status.success() => return Some(output),
        Ok(output) => {
            eprintln!("skipped: {who}: {} {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        Err(error) => eprintln!("skipped: {who}: Python: {error}"),
    }
    None
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

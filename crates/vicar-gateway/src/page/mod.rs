//! The page a browser gets for a directory: plain HTML, one style sheet inside, no script, nothing from elsewhere.
//!
//! Pure functions that write text. Names are shown as far as they are UTF-8 and linked exactly as they are.

mod style;

use core::fmt::Write as _;

use vicar_os::fs::{BeneathPath, Name, Stat};

use crate::dav::{href, stamp};
use style::STYLE;
pub use style::policy;

/// Who looks at the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// The user id; files that belong to it are shown as belonging to `name`.
    pub uid: u32,
    /// The name the reader signed in with.
    pub name: String,
}

/// What ends the page.
pub const CLOSE: &str = "</tbody></table></main></body></html>\n";

/// Writes the page up to the first row.
pub fn write_head(path: &BeneathPath, reader: &Reader, entries: usize, out: &mut String) {
    let title = path.components().last().map_or_else(|| String::from("/"), |name| shown(name).to_string());
    out.push_str("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>");
    escape_into(&title, out);
    out.push_str("</title><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    out.push_str("<meta name=\"color-scheme\" content=\"light dark\"><style>");
    out.push_str(STYLE);
    out.push_str("</style></head><body><header><nav aria-label=\"Path\"><a href=\"/\">/</a>");
    let mut so_far: Vec<u8> = Vec::new();
    for name in path.components() {
        so_far.push(b'/');
        so_far.extend_from_slice(name);
        out.push_str("<a href=\"");
        href_into(&so_far, out);
        out.push_str("/\">");
        escape_into(&shown(name), out);
        out.push_str("</a><span>/</span>");
    }
    out.push_str("</nav><p>signed in as <b>");
    escape_into(&reader.name, out);
    out.push_str("</b></p></header><main><table><thead><tr><th scope=\"col\">Name</th><th scope=\"col\">Size</th>");
    out.push_str("<th scope=\"col\">Changed (UTC)</th><th scope=\"col\">Owner</th><th scope=\"col\">Mode</th></tr></thead><tbody>");
    if !path.is_here() {
        out.push_str("<tr class=\"d\"><td><a href=\"../\">..</a></td><td></td><td></td><td></td><td></td></tr>\n");
    }
    if entries == 0 {
        out.push_str("<tr><td class=\"none\" colspan=\"5\">Nothing here that you can see.</td></tr>\n");
    }
}

/// Writes one row.
pub fn write_row(name: &Name, stat: &Stat, reader: &Reader, out: &mut String) {
    let directory = stat.is_directory();
    let slash = if directory { "/" } else { "" };
    // "./" keeps a name with a colon from being read as a scheme.
    out.push_str(if directory { "<tr class=\"d\"><td><a href=\"./" } else { "<tr><td><a href=\"./" });
    href_into(name.as_bytes(), out);
    out.push_str(slash);
    out.push_str("\">");
    escape_into(&shown(name.as_bytes()), out);
    let _ = write!(out, "{slash}</a></td><td>");
    if !directory {
        let _ = write!(out, "<span title=\"{} bytes\">{}</span>", stat.size, size(stat.size));
    }
    let when = stamp::iso8601(stat.modified);
    let minute = when.get(..16).unwrap_or_default().replace('T', " ");
    let _ = write!(out, "</td><td><time datetime=\"{when}\">{minute}</time></td><td>");
    if stat.uid == reader.uid {
        escape_into(&reader.name, out);
    } else if stat.uid == 0 {
        out.push_str("root");
    } else {
        let _ = write!(out, "{}", stat.uid);
    }
    let _ = writeln!(out, "</td><td><code>{}</code></td></tr>", mode(stat));
}

/// A name for eyes: UTF-8 as it is, U+FFFD for the rest, and nothing that turns the text around.
fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name)
        .chars()
        .map(|character| match character {
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}' => '\u{fffd}',
            other if other.is_control() => '\u{fffd}',
            other => other,
        })
        .collect()
}

fn href_into(bytes: &[u8], out: &mut String) {
    // Percent-encoding leaves no byte that means anything in an attribute.
    href::encode_into(bytes, out);
}

fn escape_into(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
}

/// Three digits and a unit.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes.saturating_mul(10).checked_div(1024).unwrap_or(0);
    if bytes > u64::MAX / 16 {
        tenths = (bytes / 1024).saturating_mul(10);
    }
    let mut unit = UNITS.iter();
    let mut name = unit.next().copied().unwrap_or_default();
    while tenths >= 10_240
        && let Some(next) = unit.next()
    {
        tenths /= 1024;
        name = next;
    }
    if tenths < 1000 { format!("{}.{} {name}", tenths / 10, tenths % 10) } else { format!("{} {name}", tenths / 10) }
}

/// As `ls -l` writes it.
fn mode(stat: &Stat) -> String {
    let mut out = String::from(if stat.is_directory() { "d" } else { "-" });
    for (index, letter) in "rwxrwxrwx".chars().enumerate() {
        let bit = 8_usize.saturating_sub(index);
        out.push(if stat.mode >> bit & 1 == 1 { letter } else { '-' });
    }
    for (bit, at, set) in [(0o4000, 3, 's'), (0o2000, 6, 's'), (0o1000, 9, 't')] {
        if stat.mode & bit != 0 {
            let executable = out.get(at..=at) == Some("x");
            let letter = if executable { set } else { set.to_ascii_uppercase() };
            out.replace_range(at..=at, letter.encode_utf8(&mut [0; 4]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use vicar_os::fs::{FileId, Kind, Time};

    fn stat(kind: Kind, mode: u32, size: u64) -> Stat {
        let time = Time { seconds: 1_700_000_000, nanos: 0 };
        Stat {
            id: FileId { device: 1, inode: 1 },
            kind,
            mode,
            links: 1,
            uid: 7,
            gid: 7,
            size,
            modified: time,
            changed: time,
            born: None,
        }
    }

    fn row(name: &[u8]) -> String {
        let mut out = String::new();
        let reader = Reader { uid: 7, name: "<me>".into() };
        write_row(&Name::parse(name).unwrap(), &stat(Kind::Regular, 0o640, 1536), &reader, &mut out);
        out
    }

    #[test]
    fn names_are_never_markup() {
        let row = row(b"<script>'\"&.txt");
        assert!(row.contains("href=\"./%3Cscript%3E%27%22%26.txt\""), "{row}");
        assert!(row.contains("&lt;script&gt;&#39;&quot;&amp;.txt"), "{row}");
        assert!(row.contains("&lt;me&gt;") && !row.contains("<script"), "{row}");
    }

    #[test]
    fn strange_names_are_linked_exactly_and_shown_harmlessly() {
        let row = row("a\u{202e}\n\u{7f}b".as_bytes());
        assert!(row.contains("./a%E2%80%AE%0A%7Fb"), "{row}");
        assert!(row.contains(">a\u{fffd}\u{fffd}\u{fffd}b<"), "{row}");
        let raw = super::tests::row(b"\xff:x");
        assert!(raw.contains("./%FF%3Ax") && raw.contains(">\u{fffd}:x<"), "{raw}");
    }

    #[test]
    fn sizes_and_modes_read_well() {
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(1 << 20), "1.0 MiB");
        assert_eq!(size(250 << 20), "250 MiB");
        assert_eq!(size(u64::MAX), "15.9 EiB");
        assert_eq!(mode(&stat(Kind::Directory, 0o3775, 0)), "drwxrwsr-t");
        assert_eq!(mode(&stat(Kind::Regular, 0o4644, 0)), "-rwSr--r--");
    }

    #[test]
    fn the_way_back_is_linked() {
        let mut out = String::new();
        let reader = Reader { uid: 7, name: "me".into() };
        write_head(&BeneathPath::parse(b"a b/c").unwrap(), &reader, 0, &mut out);
        assert!(out.contains("<a href=\"/a%20b/\">a b</a>") && out.contains("<a href=\"/a%20b/c/\">c</a>"), "{out}");
        assert!(out.contains("href=\"../\""));
    }
}

//! Media types by the end of a name, and which of them a browser may show in place.

use http::HeaderValue;

/// How a file is given to a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Media {
    /// Its type.
    pub(super) content_type: &'static str,
    /// Whether it is shown in place or saved: what can act is saved.
    pub(super) place: Place,
}

/// Where a browser puts a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Shown,
    Saved,
}

pub(super) const ATTACHMENT: HeaderValue = HeaderValue::from_static("attachment");

const TEXT: &str = "text/plain; charset=utf-8";
const OCTETS: &str = "application/octet-stream";

impl Media {
    /// Guesses from a name.
    pub(super) fn of(name: &[u8]) -> Self {
        let extension = match name.iter().rposition(|&byte| byte == b'.') {
            Some(dot) if dot > 0 => name.get(dot.saturating_add(1)..).unwrap_or_default(),
            Some(_) | None => b"",
        };
        let extension = String::from_utf8_lossy(extension).to_ascii_lowercase();
        let (content_type, place) = match extension.as_str() {
            "txt" | "log" | "md" | "rst" | "csv" | "tsv" | "ini" | "conf" | "cfg" | "toml" | "yaml" | "yml" | "c"
            | "h" | "cc" | "cpp" | "hpp" | "rs" | "py" | "go" | "java" | "sh" | "pl" | "rb" | "lua" | "tex"
            | "diff" | "patch" | "sql" | "f90" | "jl" | "r" => (TEXT, Place::Shown),
            "json" => ("application/json", Place::Shown),
            "png" => ("image/png", Place::Shown),
            "jpg" | "jpeg" => ("image/jpeg", Place::Shown),
            "gif" => ("image/gif", Place::Shown),
            "webp" => ("image/webp", Place::Shown),
            "avif" => ("image/avif", Place::Shown),
            "bmp" => ("image/bmp", Place::Shown),
            "ico" => ("image/x-icon", Place::Shown),
            "mp4" | "m4v" => ("video/mp4", Place::Shown),
            "webm" => ("video/webm", Place::Shown),
            "ogv" => ("video/ogg", Place::Shown),
            "mp3" => ("audio/mpeg", Place::Shown),
            "ogg" | "oga" | "opus" => ("audio/ogg", Place::Shown),
            "wav" => ("audio/wav", Place::Shown),
            "flac" => ("audio/flac", Place::Shown),
            "m4a" => ("audio/mp4", Place::Shown),
            "html" | "htm" => ("text/html", Place::Saved),
            "xhtml" => ("application/xhtml+xml", Place::Saved),
            "xml" | "xsl" | "rss" | "atom" => ("application/xml", Place::Saved),
            "svg" | "svgz" => ("image/svg+xml", Place::Saved),
            "js" | "mjs" => ("text/javascript", Place::Saved),
            "css" => ("text/css", Place::Saved),
            "wasm" => ("application/wasm", Place::Saved),
            "pdf" => ("application/pdf", Place::Saved),
            "zip" => ("application/zip", Place::Saved),
            "gz" | "tgz" => ("application/gzip", Place::Saved),
            "tar" => ("application/x-tar", Place::Saved),
            "doc" => ("application/msword", Place::Saved),
            "docx" => ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", Place::Saved),
            "xlsx" => ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Place::Saved),
            "pptx" => ("application/vnd.openxmlformats-officedocument.presentationml.presentation", Place::Saved),
            "odt" => ("application/vnd.oasis.opendocument.text", Place::Saved),
            "ods" => ("application/vnd.oasis.opendocument.spreadsheet", Place::Saved),
            "odp" => ("application/vnd.oasis.opendocument.presentation", Place::Saved),
            _ => (OCTETS, Place::Saved),
        };
        Self { content_type, place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_act_is_saved() {
        for name in
            ["a.html", "a.HTM", "a.svg", "a.xml", "a.xhtml", "a.pdf", "a.js", "a", "a.unknown", ".html", "a.mjs"]
        {
            assert_eq!(Media::of(name.as_bytes()).place, Place::Saved, "{name}");
        }
        assert_eq!(Media::of(b"a.b.TXT"), Media { content_type: TEXT, place: Place::Shown });
        assert_eq!(Media::of(b"\xff.png").content_type, "image/png");
    }
}

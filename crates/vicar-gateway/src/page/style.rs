//! The style sheet of the page, and the policy that allows it and nothing else.

use std::sync::LazyLock;

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

pub(super) const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2430;--dim:#667085;--line:#e4e7ec;--back:#fff;--lift:#f5f7fa;--link:#0b57d0}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--dim:#98a2b3;--line:#2b323d;--back:#14181f;--lift:#1c222c;--link:#8ab4f8}}\
*{box-sizing:border-box}\
body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}\
header{display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;align-items:baseline;justify-content:space-between;padding:.9rem 1.5rem;\
border-bottom:1px solid var(--line);position:sticky;top:0;background:var(--back)}\
header p{margin:0;color:var(--dim);font-size:.87rem}header b{color:var(--ink);font-weight:600}\
nav{font-weight:600;overflow-wrap:anywhere}nav span{color:var(--dim);padding:0 .15rem}nav a{padding:.1rem .2rem}\
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}\
a:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:3px}\
main{padding:.5rem 1.5rem 3rem;max-width:76rem;margin:0 auto}\
table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}\
th{font-size:.78rem;font-weight:600;color:var(--dim);text-align:left;padding:.55rem .6rem}\
td{padding:.42rem .6rem;border-top:1px solid var(--line);color:var(--dim);white-space:nowrap}\
td:first-child{width:100%;white-space:normal;overflow-wrap:anywhere}\
td:nth-child(2),th:nth-child(2){text-align:right}\
tbody tr:hover{background:var(--lift)}\
tr.d td:first-child a{font-weight:600}\
td.none{padding:2.5rem .6rem;text-align:center}\
code{font:.86em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}\
@media(max-width:46rem){header,main{padding-left:.9rem;padding-right:.9rem}\
th:nth-child(n+4),td:nth-child(n+4){display:none}}\
@media(max-width:30rem){th:nth-child(3),td:nth-child(3){display:none}}";

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// Returns the content security policy of the page: its own style sheet, known by its hash, and nothing else.
#[must_use]
pub fn policy() -> &'static str {
    &POLICY
}

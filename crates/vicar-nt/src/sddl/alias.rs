//! Two-letter names of SIDs.
//!
//! # Source
//! MS-DTYP 2.5.1.1.

use crate::sddl::pair::Pairs;
use crate::sid::{Sid, SidRef};

/// What an alias stands for.
#[derive(Clone, Copy)]
pub(super) enum Alias {
    Fixed(Sid),
    /// A relative identifier in the domain.
    Domain(u32),
}

const fn fixed(authority: u64, subs: &[u32]) -> Alias {
    Alias::Fixed(Sid::constant(authority, subs))
}

const fn builtin(rid: u32) -> Alias {
    fixed(5, &[32, rid])
}

const fn nt(sub: u32) -> Alias {
    fixed(5, &[sub])
}

const fn level(rid: u32) -> Alias {
    fixed(16, &[rid])
}

static TABLE: &[(&str, Alias)] = &[
    ("WD", fixed(1, &[0])),
    ("CO", fixed(3, &[0])),
    ("CG", fixed(3, &[1])),
    ("OW", fixed(3, &[4])),
    ("NU", nt(2)),
    ("IU", nt(4)),
    ("SU", nt(6)),
    ("AN", nt(7)),
    ("ED", nt(9)),
    ("PS", nt(10)),
    ("AU", nt(11)),
    ("RC", nt(12)),
    ("SY", nt(18)),
    ("LS", nt(19)),
    ("NS", nt(20)),
    ("WR", nt(33)),
    ("UD", fixed(5, &[84, 0, 0, 0, 0, 0])),
    ("AC", fixed(15, &[2, 1])),
    ("AS", fixed(18, &[1])),
    ("SS", fixed(18, &[2])),
    ("LW", level(4096)),
    ("ME", level(8192)),
    ("MP", level(8448)),
    ("HI", level(12288)),
    ("SI", level(16384)),
    ("BA", builtin(544)),
    ("BU", builtin(545)),
    ("BG", builtin(546)),
    ("PU", builtin(547)),
    ("AO", builtin(548)),
    ("SO", builtin(549)),
    ("PO", builtin(550)),
    ("BO", builtin(551)),
    ("RE", builtin(552)),
    ("RU", builtin(554)),
    ("RD", builtin(555)),
    ("NO", builtin(556)),
    ("MU", builtin(558)),
    ("LU", builtin(559)),
    ("IS", builtin(568)),
    ("CY", builtin(569)),
    ("ER", builtin(573)),
    ("CD", builtin(574)),
    ("RA", builtin(575)),
    ("ES", builtin(576)),
    ("MS", builtin(577)),
    ("HA", builtin(578)),
    ("AA", builtin(579)),
    ("RM", builtin(580)),
    ("HO", builtin(584)),
    ("SH", builtin(585)),
    ("RO", Alias::Domain(498)),
    ("LA", Alias::Domain(500)),
    ("LG", Alias::Domain(501)),
    ("DA", Alias::Domain(512)),
    ("DU", Alias::Domain(513)),
    ("DG", Alias::Domain(514)),
    ("DC", Alias::Domain(515)),
    ("DD", Alias::Domain(516)),
    ("CA", Alias::Domain(517)),
    ("SA", Alias::Domain(518)),
    ("EA", Alias::Domain(519)),
    ("PA", Alias::Domain(520)),
    ("CN", Alias::Domain(522)),
    ("AP", Alias::Domain(525)),
    ("KA", Alias::Domain(526)),
    ("EK", Alias::Domain(527)),
    ("RS", Alias::Domain(553)),
];

static PLACES: Pairs = Pairs::of(TABLE);

/// Finds what a name stands for, without regard to case.
pub(super) fn find(name: &str) -> Option<Alias> {
    let [first, second] = *name.as_bytes() else { return None };
    TABLE.get(PLACES.find(first, second)?).map(|(_, alias)| *alias)
}

/// Finds the name of a SID.
pub(super) fn name_of(sid: SidRef<'_>, domain: Option<&Sid>) -> Option<&'static str> {
    let is_local = domain.is_some_and(|domain| domain.is_domain_of(sid));
    let fits = |alias: &Alias| match alias {
        Alias::Fixed(known) => sid == *known,
        Alias::Domain(rid) => is_local && sid.rid() == Some(*rid),
    };
    TABLE.iter().find(|(_, alias)| fits(alias)).map(|(name, _)| *name)
}

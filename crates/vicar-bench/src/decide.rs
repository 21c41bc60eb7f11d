//! What vicar-nt costs: checks, batches, validating, text.
//!
//! The measure of a check is the floor, one comparison of memory for each entry: whoever reads a list has to compare the
//! SIDs in it with something. Every entry but the last is about somebody else and mentions everything that is asked for,
//! so that all are read. Explaining is measured by deciding. Validating is measured by comparing the same bytes with a
//! copy, text by copying it. What others take is measured by ours.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use vicar_nt::acl::{AceFlags, Acl};
use vicar_nt::batch::{PreparedSubject, PreparedToken, Question, each_descriptor};
use vicar_nt::check::{AccessRequest, Subject, decide, explain};
use vicar_nt::descriptor::{Descriptor, DescriptorRef};
use vicar_nt::token::TokenState;
use vicar_nt::{GenericMapping, Group, GroupAttributes, RequestedMask, Sid, sddl, well_known};

use crate::beside;
use crate::kernel::{Figure, Job, best, figure, pin};

/// Descriptors of a column; different bytes each.
const COLUMN: u32 = 64;
const MAPPING: GenericMapping = GenericMapping::FILE;
const DESIRED: RequestedMask = RequestedMask(0x12_0089);

/// A list of so many entries, checked for a token with so many groups.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Case {
    name: &'static str,
    label: &'static str,
    aces: u32,
    groups: u32,
}

const fn case(name: &'static str, label: &'static str, aces: u32, groups: u32) -> Case {
    Case { name, label, aces, groups }
}

const CHECKS: [Case; 6] = [
    case("check_1_ace", "vicar-nt: check, 1 entry", 1, 20),
    case("check_10_aces", "vicar-nt: check, 10 entries", 10, 20),
    case("check_100_aces", "vicar-nt: check, 100 entries", 100, 20),
    case("check_10_aces", "vicar-nt: check, 10 entries", 10, 1000),
    case("check_100_aces", "vicar-nt: check, 100 entries", 100, 1000),
    case("check_1000_aces", "vicar-nt: check, 1,000 entries", 1000, 1000),
];
const BATCHES: [Case; 2] = [
    case("batch_10_aces", "vicar-nt: batch, each of a column, 10 entries", 10, 20),
    case("batch_10_aces", "vicar-nt: batch, each of a column, 10 entries", 10, 1000),
];
const EXPLAINED: [Case; 2] = [
    case("explain_10_aces", "vicar-nt: explain, 10 entries (over check)", 10, 20),
    case("explain_100_aces", "vicar-nt: explain, 100 entries (over check)", 100, 20),
];

/// A figure to be, its job, and the job it is measured by.
struct Row<'a> {
    figure: Figure,
    job: Job<'a>,
    measure: Job<'a>,
    /// How many operations one of the job is.
    each: f64,
}

/// Measures everything `rounds` times, and the others, through an interpreter of Python, once with several windows.
pub(crate) fn measure(rounds: u32, window: Duration, python: &Path) -> Result<Vec<Figure>, String> {
    let scenes = Scenes::new()?;
    let processor = rustix::thread::sched_getaffinity(None).ok();
    pin(0);
    let mut rows = scenes.rows()?;
    for _ in 0..rounds {
        for row in &mut rows {
            let before = best(&mut row.measure, window);
            let took = best(&mut row.job, window);
            let measure = f64::midpoint(before, best(&mut row.measure, window));
            row.figure.nanoseconds.push(took / row.each);
            row.figure.ratios.push(took / measure);
        }
    }
    let mut figures: Vec<Figure> = rows.into_iter().map(|row| row.figure).collect();
    figures.extend(beside::measure(python, &figures, scenes.long()?.as_bytes())?);
    if let Some(before) = processor {
        let _ = rustix::thread::sched_setaffinity(None, &before);
    }
    Ok(figures)
}

fn account(number: u32) -> Result<Sid, String> {
    Sid::new(5, &[21, 1111, 2222, 3333, number]).ok_or_else(|| "a SID".to_owned())
}

fn token(groups: u32) -> Result<TokenState, String> {
    let group = |n: u32| account(n.saturating_add(2000)).map(|sid| Group::new(sid, GroupAttributes::ALWAYS_ENABLED));
    let groups = (0..groups).map(group).collect::<Result<Vec<_>, _>>()?;
    TokenState::builder(account(1000)?).groups(groups).build().map_err(|error| format!("token: {error}"))
}

/// An object whose entries are about others, except the last.
fn object(aces: u32, number: u32) -> Result<Descriptor, String> {
    let all = RequestedMask(0x1F_01FF);
    let mut dacl = Acl::builder();
    for ace in 1..aces {
        let other = number.saturating_mul(1000).saturating_add(ace).saturating_add(500_000);
        dacl = dacl.allow(&account(other)?, all, AceFlags::empty());
    }
    let dacl = dacl.allow(&account(2003)?, all, AceFlags::empty()).build().map_err(|error| error.to_string())?;
    let system = well_known::LOCAL_SYSTEM;
    Descriptor::builder().owner(system).group(system).dacl(dacl).build().map_err(|error| error.to_string())
}

/// What is checked, kept for as long as it is measured.
struct Scenes {
    tokens: [(u32, TokenState, PreparedToken); 2],
    columns: Vec<(u32, Vec<Descriptor>)>,
    text: String,
    parsed: Descriptor,
}

/// As Windows writes such descriptors: of a directory, inherited in part.
const TEXT: &str = "O:BAG:S-1-5-21-1111-2222-3333-513D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICIIO;GA;;;CO)\
    (A;;0x1200a9;;;BU)(A;CI;LCRPLORC;;;AU)(A;OICI;0x1301bf;;;S-1-5-21-1111-2222-3333-1105)\
    (OA;CIIO;RP;4c164200-20c0-11d0-a768-00aa006e0529;4828cc14-1437-45bc-9b07-ad6f015e5f28;RU)\
    (D;;WDWO;;;BG)S:AI(AU;SAFA;WDWO;;;WD)(ML;;NW;;;HI)";

impl Scenes {
    fn new() -> Result<Self, String> {
        let prepared = |groups| {
            let token = token(groups)?;
            let prepared = PreparedToken::new(&token);
            Ok::<_, String>((groups, token, prepared))
        };
        let column = |aces| {
            // A column of long lists would measure the memory they come from.
            let column = (0..if aces > 100 { 1 } else { COLUMN })
                .map(|number| object(aces, number))
                .collect::<Result<Vec<_>, _>>()?;
            Ok::<_, String>((aces, column))
        };
        let parsed = sddl::parse(TEXT, None).map_err(|error| error.to_string())?;
        Ok(Self {
            tokens: [prepared(20)?, prepared(1000)?],
            columns: [1, 10, 100, 1000].into_iter().map(column).collect::<Result<_, String>>()?,
            text: sddl::print(parsed.as_ref(), None).map_err(|error| error.to_string())?,
            parsed,
        })
    }

    fn parts(&self, case: Case) -> Result<(&TokenState, &PreparedToken, &[Descriptor]), String> {
        let token = self.tokens.iter().find(|(groups, ..)| *groups == case.groups);
        let column = self.columns.iter().find(|(aces, _)| *aces == case.aces);
        match (token, column) {
            (Some((_, token, prepared)), Some((_, column))) => Ok((token, prepared, column)),
            _ => Err(format!("nothing to measure {} on", case.name)),
        }
    }

    fn request(&self, case: Case) -> Result<AccessRequest<'_>, String> {
        let (token, _, column) = self.parts(case)?;
        let descriptor = column.first().ok_or("an empty column")?.as_ref();
        let request = AccessRequest::new(Subject::itself(token), descriptor, DESIRED, MAPPING);
        let _grant = decide(&request).map_err(|denial| format!("{}: {:?}", case.name, denial.by))?;
        Ok(request)
    }

    fn rows(&self) -> Result<Vec<Row<'_>>, String> {
        let mut rows = Vec::new();
        for case in CHECKS {
            let request = self.request(case)?;
            let job: Job<'_> = Box::new(move |count| {
                for _ in 0..count {
                    let _ = black_box(decide(black_box(&request)));
                }
            });
            rows.push(row(case, job, floor(case.aces)?, 1.0));
        }
        for case in BATCHES {
            rows.push(row(case, self.batch(case)?, floor(case.aces.saturating_mul(COLUMN))?, f64::from(COLUMN)));
        }
        for case in EXPLAINED {
            let request = self.request(case)?;
            let job: Job<'_> = Box::new(move |count| {
                for _ in 0..count {
                    let _ = black_box(explain(black_box(&request)));
                }
            });
            let measure: Job<'_> = Box::new(move |count| {
                for _ in 0..count {
                    let _ = black_box(decide(black_box(&request)));
                }
            });
            rows.push(row(case, job, measure, 1.0));
        }
        rows.extend(self.bytes_and_text()?);
        Ok(rows)
    }

    fn batch(&self, case: Case) -> Result<Job<'_>, String> {
        let (_, prepared, column) = self.parts(case)?;
        let question = Question::new(DESIRED, MAPPING);
        Ok(Box::new(move |count| {
            for _ in 0..count {
                let column = column.iter().map(Descriptor::as_ref);
                let answers = each_descriptor(PreparedSubject::itself(prepared), black_box(&question), column);
                black_box(answers.filter(Result::is_ok).count());
            }
        }))
    }

    /// The descriptor that is validated.
    fn long(&self) -> Result<&Descriptor, String> {
        let (_, _, column) = self.parts(case("validate", "", 1000, 20))?;
        column.first().ok_or_else(|| "an empty column".to_owned())
    }

    /// Per 1,000 bytes.
    fn bytes_and_text(&self) -> Result<[Row<'_>; 3], String> {
        let bytes = self.long()?.as_bytes();
        let copy = bytes.to_vec();
        let validate: Job<'_> = Box::new(move |count| {
            for _ in 0..count {
                let _ = black_box(DescriptorRef::parse(black_box(bytes)));
            }
        });
        let compare: Job<'_> = Box::new(move |count| {
            for _ in 0..count {
                black_box(black_box(bytes) == black_box(&copy[..]));
            }
        });
        let copied = || -> Job<'_> {
            Box::new(|count| {
                for _ in 0..count {
                    black_box(black_box(&self.text).clone());
                }
            })
        };
        let parse: Job<'_> = Box::new(|count| {
            for _ in 0..count {
                let _ = black_box(sddl::parse(black_box(&self.text), None));
            }
        });
        let print: Job<'_> = Box::new(|count| {
            for _ in 0..count {
                let _ = black_box(sddl::print(black_box(self.parsed.as_ref()), None));
            }
        });
        let of_bytes = thousands(bytes.len())?;
        let of_text = thousands(self.text.len())?;
        Ok([
            row(
                case("validate_1000_bytes", "vicar-nt: descriptor validated, each 1,000 bytes", 0, 0),
                validate,
                compare,
                of_bytes,
            ),
            row(case("sddl_parse_1000_bytes", "vicar-nt: SDDL read, each 1,000 bytes", 0, 0), parse, copied(), of_text),
            row(
                case("sddl_print_1000_bytes", "vicar-nt: SDDL written, each 1,000 bytes", 0, 0),
                print,
                copied(),
                of_text,
            ),
        ])
    }
}

fn thousands(len: usize) -> Result<f64, String> {
    u32::try_from(len).map(|len| f64::from(len) / 1000.0).map_err(|error| error.to_string())
}

fn row<'a>(case: Case, job: Job<'a>, measure: Job<'a>, each: f64) -> Row<'a> {
    Row { figure: figure(case.name, case.label, case.groups), job, measure, each }
}

/// One comparison for each entry: its SID with another of the same domain, through the C library as slices are.
fn floor(aces: u32) -> Result<Job<'static>, String> {
    let (one, other) = (account(500_000)?, account(2003)?);
    Ok(Box::new(move |count| {
        for _ in 0..count {
            for _ in 0..aces {
                black_box(black_box(one.as_bytes()) == black_box(other.as_bytes()));
            }
        }
    }))
}

//! Rows: collected round by round, printed as a table or as JSON.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::beside;
use crate::child;
use crate::decide;
use crate::kernel;
use crate::layer;
use crate::method::Method;
use crate::op::Op;

/// One line of the result.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    op: &'static str,
    groups: u32,
    median_ns: f64,
    ratio: f64,
    rounds: usize,
    peer: bool,
    #[serde(skip)]
    label: &'static str,
}

impl Row {
    fn of(op: &'static str, figure: kernel::Figure) -> Self {
        Self {
            name: figure.name,
            op,
            groups: figure.groups,
            rounds: figure.ratios.len(),
            median_ns: tenths(median(figure.nanoseconds)),
            ratio: (median(figure.ratios) * 1000.0).round() / 1000.0,
            peer: beside::is_peer(figure.name),
            label: figure.label,
        }
    }
}

/// Everything that one run measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

/// What is measured in one place of the list.
#[derive(Debug)]
struct Series {
    method: Method,
    op: Op,
    groups: u32,
    nanoseconds: Vec<f64>,
    ratios: Vec<f64>,
}

const QUICK: &[Method] = &[
    Method::Plain,
    Method::RunAs,
    Method::Sticky,
    Method::Alternate,
    Method::Pool,
    Method::PoolBatch,
    Method::Sealed,
    Method::SealedBatch,
    Method::Ring,
    Method::Ring8,
    Method::Ring32,
    Method::Naive,
    Method::Libc16,
    Method::Setfsuid,
    Method::Fork,
];

/// What is done with each operation: the number of the client's groups, ways of doing it.
type Columns = (Op, &'static [u32], &'static [Method]);

/// What the first column of the whole table says of small and of large clients.
const QUICK_COLUMNS: &[Columns] = &[(Op::OpenClose, &[3, 64], QUICK)];

/// The whole table. The last two are no columns of their own: they say what an opening costs a server that looks at what
/// it opened, and one that reads a file once.
const FULL_COLUMNS: &[Columns] = &[
    (Op::OpenClose, GROUPS, EVERY),
    (Op::Statx, GROUPS, EVERY),
    (Op::Read, GROUPS, EVERY),
    (Op::OpenStat, &[3], OURS),
    (Op::OpenRead, &[3], OURS),
];
const GROUPS: &[u32] = &[0, 3, 64, 1024];
const OURS: &[Method] = &[
    Method::Plain,
    Method::Sticky,
    Method::Sticky90,
    Method::PoolBatch,
    Method::Pool90Ten,
    Method::SealedBatch,
    Method::Ring,
    Method::Ring8,
    Method::Ring32,
];
const EVERY: &[Method] = &[
    Method::Plain,
    Method::RunAs,
    Method::Sticky,
    Method::Sticky90,
    Method::Alternate,
    Method::Pool,
    Method::Pool90,
    Method::Pool90Ten,
    Method::PoolBatch,
    Method::Sealed,
    Method::SealedBatch,
    Method::Ring,
    Method::Ring8,
    Method::Ring32,
    Method::Naive,
    Method::Libc1,
    Method::Libc16,
    Method::Libc128,
    Method::Setfsuid,
    Method::Fork,
];

impl Report {
    /// Goes through the list `rounds` times and folds what it saw.
    pub(crate) fn collect(
        full: bool,
        rounds: u32,
        window: Duration,
        scratch: &Path,
        python: &Path,
    ) -> Result<Self, String> {
        let mut list = Vec::new();
        for &(op, counts, methods) in if full { FULL_COLUMNS } else { QUICK_COLUMNS } {
            for &method in methods.iter().filter(|method| method.does(op)) {
                for &groups in if method.knows_groups() { counts } else { &[0] } {
                    list.push(Series { method, op, groups, nanoseconds: Vec::new(), ratios: Vec::new() });
                }
            }
        }
        for _ in 0..rounds {
            let mut before: Option<(Op, f64)> = None;
            for series in &mut list {
                let plain = |op| child::spawn(Method::Plain, op, 0, window, scratch);
                let first = match before {
                    Some((op, plain)) if op == series.op => plain,
                    Some(_) | None => plain(series.op)?,
                };
                let took = child::spawn(series.method, series.op, series.groups, window, scratch)?;
                let second = plain(series.op)?;
                before = Some((series.op, second));
                series.nanoseconds.push(took);
                series.ratios.push(took / f64::midpoint(first, second));
            }
        }
        let rows = list
            .into_iter()
            .map(|series| Row {
                name: series.method.name(),
                op: series.op.name(),
                groups: series.groups,
                rounds: series.ratios.len(),
                median_ns: tenths(median(series.nanoseconds)),
                ratio: (median(series.ratios) * 1000.0).round() / 1000.0,
                peer: series.method.is_peer(),
                label: series.method.label(),
            })
            .collect();
        let mut report = Self { rows };
        report.rows.extend(layer::measure(rounds, window)?.into_iter().map(|figure| Row::of("request", figure)));
        report.rows.extend(Self::of_kernel(rounds, window)?.rows);
        report.rows.extend(Self::of_checks(rounds, window, python)?.rows);
        Ok(report)
    }

    /// Measures vicar-kernel by itself.
    pub(crate) fn of_kernel(rounds: u32, window: Duration) -> Result<Self, String> {
        Ok(Self {
            rows: kernel::measure(rounds, window)?.into_iter().map(|figure| Row::of("kernel", figure)).collect(),
        })
    }

    /// Measures vicar-nt by itself, and others who do the same where they are installed.
    pub(crate) fn of_checks(rounds: u32, window: Duration, python: &Path) -> Result<Self, String> {
        Ok(Self {
            rows: decide::measure(rounds, window, python)?.into_iter().map(|figure| Row::of("nt", figure)).collect(),
        })
    }

    pub(crate) fn print_json(&self) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| format!("JSON: {error}"))?;
        println!("{text}");
        Ok(())
    }

    /// Prints one row a line, each a JSON object.
    pub(crate) fn print_lines(&self) -> Result<(), String> {
        for row in &self.rows {
            println!("{}", serde_json::to_string(row).map_err(|error| format!("JSON: {error}"))?);
        }
        Ok(())
    }

    /// Prints a table for each operation: a line a way, two columns a number of groups.
    pub(crate) fn print_table(&self) -> Result<(), String> {
        let wide = self.rows.iter().map(|row| row.label.len()).max().unwrap_or(0);
        let (mut ops, mut ways) = (Vec::new(), Vec::new());
        for row in &self.rows {
            if !ops.contains(&row.op) {
                ops.push(row.op);
            }
            if !ways.contains(&(row.op, row.label)) {
                ways.push((row.op, row.label));
            }
        }
        for op in ops {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| row.op == op).collect();
            let counts: BTreeSet<u32> = rows.iter().map(|row| row.groups).collect();
            print!("{op:<wide$}");
            for count in &counts {
                print!("{:>23}", format!("{count} groups"));
            }
            println!();
            for (_, label) in ways.iter().filter(|(of, _)| *of == op) {
                print!("{label:<wide$}");
                for count in &counts {
                    let row = rows.iter().find(|row| row.label == *label && row.groups == *count);
                    print!(
                        "{:>23}",
                        row.map_or(String::new(), |row| format!("{:.0} ns {:>7.2}x", row.median_ns, row.ratio))
                    );
                }
                println!();
            }
            println!();
        }
        let rounds = self.rows.first().map_or(0, |row| row.rounds);
        println!(
            "one processor; medians of {rounds} rounds; each ratio against the plain calls right before and after"
        );
        Ok(())
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The middle value; of an even number of values the lower of the two middle ones, and not a number of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_a_value_that_was_seen() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]).total_cmp(&2.0), std::cmp::Ordering::Equal);
        assert_eq!(median(vec![9.0, 1.0, 2.0, 7.0]).total_cmp(&2.0), std::cmp::Ordering::Equal);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn every_method_is_called_by_the_name_it_reports() {
        use clap::ValueEnum;
        for method in Method::value_variants() {
            assert_eq!(method.to_possible_value().unwrap().get_name(), method.name());
        }
        for op in Op::value_variants() {
            assert_eq!(op.to_possible_value().unwrap().get_name(), op.name());
        }
    }
}

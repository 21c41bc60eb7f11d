//! The rules that a command reads the other way.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use vicar_nt::Readings;

/// The flag that names them.
#[derive(Debug, clap::Args)]
pub(crate) struct ReadingArgs {
    /// An uncertain rule that is read the other way; may be repeated. What each name means stands in the documentation of
    /// vicar_nt::Readings.
    #[arg(long = "reading", value_name = "NAME", value_parser = names(), ignore_case = true)]
    readings: Vec<Readings>,
}

impl ReadingArgs {
    /// Returns all that were named.
    pub(crate) fn read(&self) -> Readings {
        self.readings.iter().copied().fold(Readings::empty(), Readings::union)
    }
}

fn names() -> impl TypedValueParser<Value = Readings> {
    let names = Readings::all().iter_names().map(|(name, _)| name);
    PossibleValuesParser::new(names).try_map(|given| {
        let mut all = Readings::all().iter_names();
        let found = all.find(|(name, _)| name.eq_ignore_ascii_case(&given));
        found.map(|(_, reading)| reading).ok_or("no such rule")
    })
}

//! `vicar sddl`.

use crate::exit::Exit;

/// Arguments of `vicar sddl`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: Args) -> Exit {
    eprintln!("vicar sddl: not built");
    Exit::CannotRun
}

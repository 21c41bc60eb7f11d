//! `vicar check`.

use crate::exit::Exit;

/// Arguments of `vicar check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: Args) -> Exit {
    eprintln!("vicar check: not built");
    Exit::CannotRun
}

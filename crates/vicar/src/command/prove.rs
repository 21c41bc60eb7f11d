//! `vicar prove`.

use crate::exit::Exit;

/// Arguments of `vicar prove`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: Args) -> Exit {
    eprintln!("vicar prove: not built");
    Exit::CannotRun
}

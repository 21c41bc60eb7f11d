//! `vicar run`.

use crate::exit::Exit;

/// Arguments of `vicar run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: Args) -> Exit {
    eprintln!("vicar run: not built");
    Exit::CannotRun
}

//! `vicar serve`.

use crate::exit::Exit;

/// Arguments of `vicar serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: Args) -> Exit {
    eprintln!("vicar serve: not built");
    Exit::CannotRun
}

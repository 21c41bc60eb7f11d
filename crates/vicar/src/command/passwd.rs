//! `vicar passwd`.

use crate::exit::Exit;

/// Arguments of `vicar passwd`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: Args) -> Exit {
    eprintln!("vicar passwd: not built");
    Exit::CannotRun
}

//! `vicar whoami`.

use crate::exit::Exit;

/// Arguments of `vicar whoami`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: Args) -> Exit {
    eprintln!("vicar whoami: not built");
    Exit::CannotRun
}

//! `vicar demo`.

use crate::exit::Exit;

/// Arguments of `vicar demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: Args) -> Exit {
    eprintln!("vicar demo: not built");
    Exit::CannotRun
}

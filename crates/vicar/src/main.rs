//! The `vicar` command: lets a server act as its client, and as nothing more.
#![forbid(unsafe_code)]

mod command;
mod demo;
mod exit;
mod prove;
mod serve;

use clap::{Parser, Subcommand};
use exit::Exit;

/// Lets a server act as its client, and as nothing more.
#[derive(Debug, Parser)]
#[command(name = "vicar", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the whole thing on scratch files: three people, one server, and what the kernel said.
    Demo(command::demo::Args),
    /// Serves a directory over HTTP and WebDAV as whoever signs in.
    Serve(Box<command::serve::Args>),
    /// Runs the confused-deputy test against any WebDAV server.
    Prove(command::prove::Args),
    /// Writes a line of a password file; the password comes from standard input.
    Passwd(command::passwd::Args),
    /// Runs a command as a user, irrevocably.
    Run(command::run::Args),
    /// Shows what this machine allows and tries each way of acting as a client.
    Doctor(command::doctor::Args),
    /// Shows the caller's token and what it is on this system.
    Whoami(command::whoami::Args),
    /// Decides who may do what with an object, and says why.
    Check(Box<command::check::Args>),
    /// Translates security descriptors between text (SDDL) and bytes.
    Sddl(command::sddl::Args),
    /// Puts together the security descriptor of a new object.
    Assign(Box<command::assign::Args>),
}

impl Command {
    /// Whether it reads or writes files, or serves, with the rights of whoever it runs as.
    const fn uses_its_rights(&self) -> bool {
        match self {
            Self::Demo(_) | Self::Serve(_) | Self::Prove(_) | Self::Passwd(_) | Self::Run(_) | Self::Doctor(_) => true,
            Self::Whoami(_) | Self::Check(_) | Self::Sddl(_) | Self::Assign(_) => false,
        }
    }
}

/// Whether this program runs with other ids than the one who started it has.
fn is_set_id() -> bool {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    getuid() != geteuid() || getgid() != getegid()
}

fn main() -> Exit {
    let command = Cli::parse().command;
    // Before anything is read or made: the arguments are another's than the rights.
    if command.uses_its_rights() && is_set_id() {
        eprintln!("vicar: refuses to work as a set-user-ID or set-group-ID program");
        return Exit::CannotRun;
    }
    match command {
        Command::Demo(args) => command::demo::run(args),
        Command::Serve(args) => command::serve::run(*args),
        Command::Prove(args) => command::prove::run(args),
        Command::Passwd(args) => command::passwd::run(args),
        Command::Run(args) => command::run::run(args),
        Command::Doctor(args) => command::doctor::run(args),
        Command::Whoami(args) => command::whoami::run(args),
        Command::Check(args) => command::check::run(*args),
        Command::Sddl(args) => command::sddl::run(args),
        Command::Assign(args) => command::assign::run(*args),
    }
}

//! `vicar passwd`.

use crate::exit::Exit;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use vicar_gateway::signin::file::{Person, Who};
use vicar_gateway::signin::hash::{Cost, PasswordHash};
use vicar_gateway::signin::write::{Written, put_line};
use vicar_os::source::account::{AccountError, by_name};

/// Longest password in bytes, as the server takes it.
const MAX_PASSWORD: usize = vicar_gateway::signin::basic::MAX_PASSWORD;

/// Arguments of `vicar passwd`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A terminal is asked for the password twice; otherwise the first line of standard input is the password.\n\
The file is made with mode 0600 if there is none; a line with the same name is replaced, everything else is kept."
)]
pub(crate) struct Args {
    /// The password file.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Who signs in: an account of this system, or a name with its own ids (its groups are the GIDs named).
    #[arg(value_name = "NAME[@UID:GID[,GROUP...]]", value_parser = parse_person)]
    person: Person,
}

fn parse_person(text: &str) -> Result<Person, String> {
    let person = Person::parse(text).map_err(|problem| problem.to_string())?;
    // Accounts of directories may be called name@realm, but none is called name@61001.
    match person.name.rsplit_once('@') {
        Some((_, id)) if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(format!("expected a group id after {text}: {text}:GID"))
        }
        _ => Ok(person),
    }
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Exit {
    match write(&args) {
        Ok(written) => {
            let word = match written {
                Written::Added => "added",
                Written::Replaced => "replaced",
            };
            let name = &args.person.name;
            let _ = writeln!(std::io::stdout(), "{word} {name} in {}", args.file.display());
            // The file may be meant for another machine, or the account may be made later.
            if matches!(args.person.who, Who::System) && by_name(name) == Err(AccountError::Unknown) {
                let _ = writeln!(
                    std::io::stderr(),
                    "vicar passwd: warning: this system has no account {name}, who cannot sign in before it has"
                );
            }
            Exit::Right
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "vicar passwd: {error}");
            Exit::CannotRun
        }
    }
}

fn write(args: &Args) -> Result<Written, String> {
    let password = if std::io::stdin().is_terminal() { ask(&args.person.name)? } else { read_line()? };
    if password.is_empty() {
        return Err("the password is empty".to_owned());
    }
    if password.len() > MAX_PASSWORD {
        return Err(format!("the password is longer than {MAX_PASSWORD} bytes"));
    }
    if password.chars().any(char::is_control) {
        return Err("the password has a control character, which HTTP Basic cannot carry".to_owned());
    }
    let hash = PasswordHash::of(&password, Cost::Interactive).map_err(|error| error.to_string())?;
    put_line(&args.file, &args.person, &hash).map_err(|error| error.to_string())
}

fn ask(name: &str) -> Result<String, String> {
    let prompt = |text: String| rpassword::prompt_password(text).map_err(|error| format!("no password: {error}"));
    let first = prompt(format!("Password for {name}: "))?;
    let second = prompt("The same again: ".to_owned())?;
    if first == second { Ok(first) } else { Err("the two passwords differ".to_owned()) }
}

/// The first line of standard input, without its end.
fn read_line() -> Result<String, String> {
    let most = u64::try_from(MAX_PASSWORD).unwrap_or(u64::MAX).saturating_add(3);
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(|error| format!("no password: {error}"))?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8(line.to_vec()).map_err(|_| "the password is not UTF-8".to_owned())
}

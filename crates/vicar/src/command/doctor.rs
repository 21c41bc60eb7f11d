//! `vicar doctor`.

use crate::exit::Exit;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use vicar_os::machine::{self, IoUring, Machine};
use vicar_os::ring::{Ring, RingOptions};
use vicar_os::sealed::{SealedWorkers, Sealer, SealerOptions, WorkerOptions, landlock_version};
use vicar_os::{ClientThreadOptions, SelfTest, Server, StartError, StartOptions, Starting, TrialError};

/// Arguments of `vicar doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Changes nothing but itself: it gives up its powers as a server does, and tries each way of acting as a client with two \
throw-away ids (65518 and 65519); the sealed workers need files with names, in a temporary directory that is removed.\n\n\
A road is open when it passed its trial, closed when it does not work here, untried when its trial could not be made, so that \
nothing is known of it, and WRONG when it gave a wrong answer.\n\n\
Exit: 0 every road that is open passed its trial, 1 a road gave a wrong answer and must not be used, 2 cannot run, \
3 a road could not be tried, or none is open because this process cannot change identities.")]
pub(crate) struct Args {
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,

    /// Says what is special about the file system this directory lies on.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// A way of acting as a client here.
#[derive(Debug, Serialize)]
struct Road {
    name: &'static str,
    state: State,
    /// Identities that took turns and answers of the kernel that were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    trial: Option<Trial>,
    /// Why it is closed, untried or wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Open,
    Closed,
    Untried,
    Wrong,
}

#[derive(Debug, Serialize)]
struct Trial {
    identities: u32,
    checks: u32,
    microseconds: u64,
}

impl Road {
    fn of(name: &'static str, tried: Result<SelfTest, TrialError>) -> Self {
        match tried {
            Ok(SelfTest { identities, checks, took }) => {
                let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                Self { name, state: State::Open, trial: Some(Trial { identities, checks, microseconds }), why: None }
            }
            Err(TrialError::Refused(why)) => Self::closed(name, why),
            Err(error @ TrialError::Wrong(_)) => Self::not_open(name, State::Wrong, error),
            // Also what a later version may say.
            Err(error) => Self::not_open(name, State::Untried, error),
        }
    }

    fn closed(name: &'static str, why: impl ToString) -> Self {
        Self::not_open(name, State::Closed, why)
    }

    fn not_open(name: &'static str, state: State, why: impl ToString) -> Self {
        Self { name, state, trial: None, why: Some(why.to_string()) }
    }
}

const ROADS: [&str; 5] = ["this thread", "client threads", "io_uring", "mailbox", "sealed workers"];

/// Runs the command.
pub(crate) fn run(args: Args) -> Exit {
    match examine(&args) {
        Ok((text, exit)) => {
            // Whoever reads may have closed its end.
            let _ = std::io::stdout().write_all(text.as_bytes());
            exit
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "vicar doctor: {error}");
            Exit::CannotRun
        }
    }
}

fn examine(args: &Args) -> Result<(String, Exit), String> {
    let directory = args.directory.as_ref();
    let directory = directory
        .map(|path| path.canonicalize().map_err(|error| format!("{}: {error}", path.display())))
        .transpose()?;
    // Before powers are given up, as they are what is shown.
    let machine = machine::look();
    let mut starting = Starting::begin(StartOptions::default()).map_err(|error| error.to_string())?;
    // Before there is a second thread, and while there are rights for it to have.
    let sealer = starting.fork_sealer(SealerOptions::default(), &[]);
    let server = starting.finish().map_err(|error| error.to_string())?;
    let roads = roads(&server, sealer);
    let exit = verdict(&roads);
    let facts = facts(&machine, directory.as_deref());
    Ok((if args.json { json(&facts, &roads)? } else { table(&facts, &roads) }, exit))
}

fn verdict(roads: &[Road]) -> Exit {
    let any = |state| roads.iter().any(|road| road.state == state);
    if any(State::Wrong) {
        Exit::Wrong
    } else if any(State::Untried) || !any(State::Open) {
        Exit::CannotJudge
    } else {
        Exit::Right
    }
}

fn roads(server: &Server, sealer: Result<Sealer, StartError>) -> Vec<Road> {
    if let Some(powerless) = server.report().powerless {
        return ROADS.map(|name| Road::closed(name, powerless)).into();
    }
    let threads = match server.client_threads(ClientThreadOptions::default()) {
        Ok(threads) => Road::of("client threads", server.try_threads(&threads)),
        Err(error) => Road::closed("client threads", error),
    };
    let ring = match Ring::start(server, &RingOptions::default()) {
        Ok(ring) => Road::of("io_uring", server.try_ring(&ring)),
        Err(why) => Road::closed("io_uring", why),
    };
    let sealed = match sealer {
        Ok(sealer) => {
            let workers = SealedWorkers::new(server, sealer, WorkerOptions::default());
            Road::of("sealed workers", server.try_sealed(&workers))
        }
        Err(error) => Road::closed("sealed workers", error),
    };
    vec![Road::of("this thread", server.try_scoped()), threads, ring, Road::of("mailbox", server.try_mailbox()), sealed]
}

/// What is worth knowing of a machine, each with its name.
fn facts(machine: &Machine, directory: Option<&std::path::Path>) -> Vec<(&'static str, String)> {
    let process = &machine.process;
    let held = match process.effective.len() {
        0 => "no capabilities".to_owned(),
        count @ 1..=4 => format!("{} ({count})", process.effective.join(" ")),
        count => {
            format!("{count} capabilities, {} SETUID and SETGID", if process.can_switch() { "with" } else { "without" })
        }
    };
    let mut limits = Vec::new();
    for (holds, what) in [
        (process.no_new_privileges, "no new privileges"),
        (process.is_filtered, "system calls are filtered"),
        (process.groups_denied, "setgroups is denied in this user namespace"),
    ] {
        limits.extend(holds.then_some(what));
    }
    let limits = if limits.is_empty() { String::new() } else { format!("; {}", limits.join(", ")) };
    let spaces = &machine.namespaces;
    let first = if spaces.is_first { "in the first one" } else { "in another than the first" };
    let more = match (spaces.most, spaces.restricted_by) {
        (0, _) => "; none can be made (max_user_namespaces is 0)".to_owned(),
        (_, Some(switch)) => format!("; none without capabilities ({switch})"),
        (_, None) => String::new(),
    };
    let mut facts = vec![
        ("kernel", format!("Linux {}", machine.kernel)),
        ("process", format!("uid {}, {held}{limits}", process.uid)),
        ("user namespaces", format!("{first}{more}; {} uids and {} gids lent", spaces.lent.0, spaces.lent.1)),
        (
            "io_uring",
            match machine.io_uring {
                IoUring::Allowed => "allowed",
                IoUring::Privileged => "for CAP_SYS_ADMIN only (kernel.io_uring_disabled is 1)",
                IoUring::Disabled => "disabled (kernel.io_uring_disabled is 2)",
                IoUring::NoSwitch => "the kernel has no switch for it",
            }
            .to_owned(),
        ),
        ("Landlock", landlock_version().map_or_else(|why| why.to_string(), |version| format!("version {version}"))),
        (
            "security modules",
            machine.modules.as_ref().map_or("unknown (securityfs is not mounted)".to_owned(), |names| names.join(" ")),
        ),
        (
            "peer process",
            if machine.peer_process {
                "a socket gives the very process (SO_PEERPIDFD)"
            } else {
                "a socket gives a number only, which may be reused"
            }
            .to_owned(),
        ),
    ];
    let shown = |mount: &machine::Mount| format!("{} ({}): {}", mount.at.display(), mount.kind, mount.caveat);
    match directory {
        Some(path) => facts.push((
            "directory",
            machine::caveat_of(machine, path).map_or_else(
                || format!("{}: this kernel alone decides", path.display()),
                |mount| format!("{} is on {}", path.display(), shown(mount)),
            ),
        )),
        None => facts.extend(machine.mounts.iter().map(|mount| ("mount", shown(mount)))),
    }
    facts
}

fn table(facts: &[(&str, String)], roads: &[Road]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    for (name, value) in facts {
        let _ = writeln!(text, "{name:<18}{value}");
    }
    let _ = writeln!(text, "\n{:<18}{:<9}trial", "road", "state");
    for Road { name, state, trial, why } in roads {
        let state = match state {
            State::Open => "open",
            State::Closed => "closed",
            State::Untried => "untried",
            State::Wrong => "WRONG",
        };
        let told = match (trial, why) {
            (Some(Trial { identities, checks, microseconds }), _) => {
                format!("{identities} identities took turns, {checks} answers were right, {microseconds} us")
            }
            (None, Some(why)) => why.clone(),
            (None, None) => String::new(),
        };
        let _ = writeln!(text, "{name:<18}{state:<9}{told}");
    }
    text
}

fn json(facts: &[(&str, String)], roads: &[Road]) -> Result<String, String> {
    let mounts: Vec<&str> =
        facts.iter().filter(|(name, _)| *name == "mount").map(|(_, value)| value.as_str()).collect();
    let others = facts.iter().filter(|(name, _)| *name != "mount");
    let mut machine: serde_json::Map<_, _> =
        others.map(|(name, value)| (name.replace(' ', "_"), value.as_str().into())).collect();
    machine.insert("mounts".to_owned(), mounts.into());
    let object = serde_json::json!({ "machine": machine, "roads": roads });
    serde_json::to_string(&object).map(|line| line + "\n").map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use vicar_os::Refused;

    #[test]
    fn what_could_not_be_tried_is_neither_wrong_nor_right() {
        let took = std::time::Duration::from_micros(7);
        let right = || Road::of("a", Ok(SelfTest { identities: 2, checks: 9, took }));
        let refused = || Road::of("b", Err(TrialError::Refused(Refused::NoId(7))));
        let broken = || Road::of("c", Err(TrialError::Broken { what: "fchmod", errno: 5 }));
        let wrong = || Road::of("d", Err(TrialError::Wrong("a client opened a file that is not for it")));
        let states = [right(), refused(), broken(), wrong()].map(|road| road.state);
        assert_eq!(states, [State::Open, State::Closed, State::Untried, State::Wrong]);
        assert_eq!(verdict(&[right(), refused()]), Exit::Right);
        assert_eq!(verdict(&[right(), broken()]), Exit::CannotJudge);
        assert_eq!(verdict(&[refused(), refused()]), Exit::CannotJudge);
        assert_eq!(verdict(&[right(), broken(), wrong()]), Exit::Wrong);
        let text = table(&[], &[broken()]);
        assert!(text.ends_with("c                 untried  fchmod: Input/output error (os error 5)\n"), "{text}");
        let line = json(&[], &[broken()]).unwrap();
        assert!(line.contains("\"state\":\"untried\",\"why\":\"fchmod: "), "{line}");
    }
}

//! `vicar prove`.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;
use crate::prove::client::{Client, Target};
use crate::prove::person::{Line, Password, Person, slug};
use crate::prove::scene::real_root;
use crate::prove::tls::{Trust, parse_fingerprint};
use crate::prove::{NoProof, Proof, Stage, oracle, report};

/// Arguments of `vicar prove`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Lays files for each person below one random directory of DIR, has the kernel say (through children that have become \
that person for good) who may do what with them, asks the server for the same, and removes everything again.\n\n\
Exit: 0 nothing leaked and nothing was wrongly refused; 1 something was; 2 cannot run; 3 cannot judge.",
    after_long_help = None::<&str>
)]
pub(crate) struct Args {
    /// The address at which a server serves DIR; the server may be any that speaks HTTP or WebDAV.
    #[arg(required_unless_present = "oracle")]
    url: Option<String>,

    /// A person to sign in as; split at the first ':' and the last '@'. '-' asks for the password. Ids are looked up when not given.
    #[arg(long = "as", value_name = "NAME:PASSWORD[@UID:GID[,GROUP...]]")]
    people: Vec<String>,

    /// A file of such lines; '#' begins a comment. Keeps passwords out of the process list.
    #[arg(long, value_name = "FILE")]
    as_file: Option<PathBuf>,

    /// The directory that the server serves.
    #[arg(long, value_name = "DIR", required_unless_present = "oracle")]
    root: Option<PathBuf>,

    /// Prints one JSON object instead of the table.
    #[arg(long)]
    json: bool,

    /// Believes exactly the certificate with this SHA-256 fingerprint, self-signed or not (`vicar serve` prints its own).
    #[arg(long, value_name = "HEX", conflicts_with = "insecure_tls", value_parser = parse_fingerprint)]
    tls_fingerprint: Option<[u8; 32]>,

    /// Believes any certificate. The passwords go to whoever answers.
    #[arg(long)]
    insecure_tls: bool,

    /// Answers one batch of questions from standard input as somebody else, for good; what `vicar prove` starts itself as.
    #[arg(long, hide = true, exclusive = true)]
    oracle: bool,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Exit {
    if args.oracle {
        return match oracle::serve() {
            Ok(()) => Exit::Right,
            Err(error) => {
                say(&error);
                Exit::CannotRun
            }
        };
    }
    match prepare(args) {
        Ok(task) => task.run(),
        Err(error) => {
            for line in error.lines() {
                say(line);
            }
            Exit::CannotRun
        }
    }
}

fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "vicar prove: {line}");
}

/// Everything that is known before anything is done.
struct Task {
    client: Client,
    root: PathBuf,
    people: Vec<Person>,
    json: bool,
}

fn prepare(args: Args) -> Result<Task, String> {
    let url = args.url.ok_or("no URL")?;
    let target = Target::parse(&url).map_err(|error| error.to_string())?;
    let root = args.root.ok_or("no --root")?;
    let mut lines = Vec::new();
    for text in &args.people {
        lines.push(Line::parse(text).map_err(|error| format!("--as: {error}"))?);
    }
    if let Some(file) = &args.as_file {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                let number = number.saturating_add(1);
                lines.push(Line::parse(line).map_err(|error| format!("{}:{number}: {error}", file.display()))?);
            }
        }
    }
    if lines.is_empty() {
        return Err("nobody to sign in as; name at least one person with --as or --as-file".to_owned());
    }
    if !rustix::process::geteuid().is_root() {
        return Err("needs root: it lays files that belong to other people, and asks the kernel as them.\n\
                    Run it as root on the machine that has the directory (the server may run as anybody)."
            .to_owned());
    }
    let people = identify(lines)?;
    let root = real_root(&root).map_err(|error| error.to_string())?;
    let trust = match args.tls_fingerprint {
        Some(wanted) => Trust::Fingerprint(wanted),
        None if args.insecure_tls => Trust::Anybody,
        None => Trust::System,
    };
    Ok(Task { client: Client::new(target, trust), root, people, json: args.json })
}

/// Looks up ids and asks for passwords where they are not given.
fn identify(lines: Vec<Line>) -> Result<Vec<Person>, String> {
    let mut people: Vec<Person> = Vec::new();
    let mut taken: Vec<String> = Vec::new();
    for (number, line) in lines.into_iter().enumerate() {
        let identity = match line.identity {
            Some(identity) => identity,
            None => {
                vicar_os::source::account::by_name(&line.name)
                    .map_err(|error| format!("{}: {error}; give the ids as NAME:PASSWORD@UID:GID", line.name))?
                    .identity
            }
        };
        if identity.uid().is_root() {
            return Err(format!("{}: uid 0 may read everything, so nothing can be proved for it", line.name));
        }
        if let Some(twin) =
            people.iter().find(|person| person.name == line.name || person.identity.uid() == identity.uid())
        {
            return Err(format!("{} and {} are the same person", twin.name, line.name));
        }
        let password = match line.password {
            Password::Given(password) => password,
            Password::Ask => ask_password(&line.name)?,
        };
        let slug = slug(&line.name, number.saturating_add(1), &taken);
        taken.push(slug.clone());
        people.push(Person { name: line.name, password, identity, slug });
    }
    Ok(people)
}

fn ask_password(name: &str) -> Result<String, String> {
    if !std::io::stdin().is_terminal() {
        return Err(format!("{name}: '-' asks for the password on the terminal, and there is none"));
    }
    rpassword::prompt_password(format!("password of {name}: ")).map_err(|error| format!("{name}: {error}"))
}

/// The signals that end the run early; installed before the first file is laid.
struct Stop {
    signals: Vec<Signal>,
}

impl Stop {
    fn install() -> std::io::Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
        Ok(Self { signals: kinds.into_iter().map(signal).collect::<Result<_, _>>()? })
    }

    async fn wait(&mut self) {
        std::future::poll_fn(|context| {
            if self.signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready()) {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
    }
}

impl Task {
    fn run(self) -> Exit {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                say(&error.to_string());
                return Exit::CannotRun;
            }
        };
        runtime.block_on(self.prove())
    }

    async fn prove(mut self) -> Exit {
        let mut stop = match Stop::install() {
            Ok(stop) => stop,
            Err(error) => {
                say(&error.to_string());
                return Exit::CannotRun;
            }
        };
        let stage = match Stage::set(&self.root, self.people) {
            Ok(stage) => stage,
            Err(error) => return give_up(&error),
        };
        let outcome = tokio::select! {
            biased;
            () = stop.wait() => None,
            outcome = stage.ask_the_server(&mut self.client) => Some(outcome),
        };
        let struck = stage.strike();
        let exit = match outcome {
            Some(Ok(proof)) => show(&proof, self.json),
            Some(Err(error)) => give_up(&error),
            None => {
                say("interrupted; what was laid is removed");
                Exit::CannotJudge
            }
        };
        match struck {
            Ok(()) => exit,
            Err(left) => {
                say(&left);
                if exit == Exit::Right { Exit::CannotRun } else { exit }
            }
        }
    }
}

fn give_up(error: &NoProof) -> Exit {
    say(&error.to_string());
    match error {
        NoProof::Scene(_) => Exit::CannotRun,
        NoProof::Judge(_) | NoProof::Server(_) => {
            say("cannot judge");
            Exit::CannotJudge
        }
    }
}

fn show(proof: &Proof, json: bool) -> Exit {
    let mut out = std::io::stdout().lock();
    let written = if json { report::json(proof, &mut out) } else { report::table(proof, &mut out) };
    if let Err(error) = written.and_then(|()| out.flush()) {
        say(&format!("cannot print: {error}"));
        return Exit::CannotRun;
    }
    if proof.is_ok() {
        Exit::Right
    } else if proof.is_wrong() {
        Exit::Wrong
    } else {
        Exit::CannotJudge
    }
}

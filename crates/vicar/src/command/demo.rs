//! `vicar demo`.

use crate::demo::keeper::{self, Keeper, SHARE};
use crate::demo::people::Cast;
use crate::demo::table::{self, Answer, Verdict};
use crate::exit::Exit;
use crate::prove::client::{Ask, Client, SignIn, Target};
use crate::prove::tls::Trust;
use crate::serve::{Passwords, Plan, start};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use vicar_gateway::audit::{AuditLog, Necessity};
use vicar_gateway::limit::Limits;
use vicar_gateway::origin::Names;
use vicar_gateway::serve::{Listener, Stopper, Transport};
use vicar_gateway::share::ShareLimits;
use vicar_gateway::signin::SignInLimits;
use vicar_gateway::signin::file::{PasswordFile, Person, Root};
use vicar_gateway::signin::hash::{Cost, PasswordHash};
use vicar_gateway::signin::write::put_line;
use vicar_os::{ClientThreadOptions, KernelGid, KernelUid, UnixIdentity, switch};

/// Arguments of `vicar demo`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Lays a few files for three throw-away people below the directory for temporary files, serves them with the real \
gateway on loopback in plain HTTP, asks for each file as each person, and prints what came of it. Everything is removed at the end, \
however it comes.\n\n\
Needs root, or a range of ids in /etc/subuid and /etc/subgid and the package uidmap.\n\
Exit: 0 every verdict is right, 1 one is wrong, 2 cannot run here."
)]
pub(crate) struct Args {
    /// Ends after the table instead of serving until Ctrl-C.
    #[arg(long)]
    once: bool,

    /// Prints one JSON object instead of the table.
    #[arg(long)]
    json: bool,

    /// The port to listen on; 0 takes any that is free.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,

    /// Lays and removes the files; what the demonstration starts itself as.
    #[arg(long, hide = true, exclusive = true)]
    keeper: bool,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Exit {
    let result = if args.keeper { keeper::run().map(|()| Exit::Right) } else { demo(&args) };
    result.unwrap_or_else(|error| {
        for line in error.lines() {
            let _ = writeln!(std::io::stderr(), "vicar demo: {line}");
        }
        Exit::CannotRun
    })
}

fn demo(args: &Args) -> Result<Exit, String> {
    if !rustix::process::geteuid().is_root() {
        switch::userns::become_root_of_own().map_err(|error| {
            format!("needs root, or ids of its own that this user has been lent: {error}\nrun it with sudo, or add a line for this user to /etc/subuid and /etc/subgid (USER:100000:65536) and install uidmap")
        })?;
    }
    let cast = Cast::find()?;
    let mut keeper = Keeper::start(&cast)?;
    let result = serve_and_ask(args, &cast, &mut keeper);
    let removed = keeper.dismiss();
    let is_right = result?;
    removed?;
    Ok(if is_right { Exit::Right } else { Exit::Wrong })
}

fn serve_and_ask(args: &Args, cast: &Cast, keeper: &mut Keeper) -> Result<bool, String> {
    let plan = prepare(args, cast, &keeper.scratch)?;
    let ready = start(plan)?;
    let url = ready.banner.url.clone();
    let ending = ready.run(|stopper| perform(args, cast, keeper, url, stopper))?;
    match ending.beside {
        Some(result) => result,
        None => Err("stopped before every question was asked".to_owned()),
    }
}

/// Step 1 of start-up, with the files that the keeper has laid.
fn prepare(args: &Args, cast: &Cast, scratch: &Path) -> Result<Plan, String> {
    let directory = scratch.join(SHARE);
    let passwords = write_passwords(&scratch.join("passwords"), cast)?;
    let file = PasswordFile::read(&passwords, &directory, Root::Refused).map_err(|error| error.to_string())?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let listener = Listener::tcp(address, Transport::Plain).map_err(|error| error.to_string())?;
    let audit_path = scratch.join("audit.jsonl");
    let audit = AuditLog::open(&audit_path, Necessity::Required).map_err(|error| error.to_string())?;
    Ok(Plan {
        spool: directory.clone(),
        directory,
        listeners: vec![listener],
        passwords: Passwords::File { path: passwords, file },
        audit,
        audit_path,
        names: Names::default(),
        limits: Limits { drain: Duration::from_secs(5), ..Limits::USUAL },
        share_limits: ShareLimits::default(),
        sign_in_limits: SignInLimits { parallel: 2, waiting: 64 },
        allowed: BTreeSet::new(),
        allow_root: false,
        threads: ClientThreadOptions { threads: 4, per_client: 2, ..ClientThreadOptions::default() },
        warnings: Vec::new(),
    })
}

fn write_passwords(path: &Path, cast: &Cast) -> Result<PathBuf, String> {
    for (who, person) in cast.people.iter().enumerate() {
        let (uid, gid) = KernelUid::new(person.id).zip(KernelGid::new(person.id)).ok_or("an id is none")?;
        let team = KernelGid::new(cast.team).filter(|_| who == 0);
        let identity = UnixIdentity::new(uid, gid, team).map_err(|error| error.to_string())?;
        let line = format!(
            "{}@{}:{}{}",
            person.name,
            identity.uid(),
            identity.gid(),
            team.map_or_else(String::new, |team| format!(",{team}"))
        );
        let line = Person::parse(&line).map_err(|problem| problem.to_string())?;
        let hash = PasswordHash::of(&person.password, Cost::Random).map_err(|error| error.to_string())?;
        put_line(path, &line, &hash).map_err(|error| error.to_string())?;
    }
    Ok(path.to_owned())
}

/// Asks every question, prints what came of it, and ends the server if it was to be asked once.
async fn perform(args: &Args, cast: &Cast, keeper: &mut Keeper, url: String, stopper: Stopper) -> Result<bool, String> {
    let asked = ask_all(cast, keeper, &url).await;
    let printed = asked.and_then(|verdicts| {
        let mut out = std::io::stdout().lock();
        let on = (!args.once).then_some((url.as_str(), cast));
        if args.json {
            table::json(&verdicts, on, &mut out).map_err(|error| error.to_string())?;
        } else {
            table::text(cast, &verdicts, &mut out).map_err(|error| error.to_string())?;
            if let Some((url, cast)) = on {
                tell(url, cast, &mut out).map_err(|error| error.to_string())?;
            }
        }
        Ok(verdicts.iter().all(Verdict::is_right))
    });
    if args.once || printed.is_err() {
        stopper.drain();
    }
    printed
}

fn tell(url: &str, cast: &Cast, out: &mut impl std::io::Write) -> std::io::Result<()> {
    writeln!(out)?;
    writeln!(out, "Serving {url} until Ctrl-C. Sign in as")?;
    for person in &cast.people {
        writeln!(out, "  {:<6} {}", person.name, person.password)?;
    }
    let [alice, bob, _] = &cast.people;
    writeln!(out, "try:  curl -u {}:{} {url}{}/b.txt", alice.name, alice.password, bob.name)?;
    out.flush()
}

/// Asks as everybody in turn on one kept connection: a server that remembers the wrong person is found out.
async fn ask_all(cast: &Cast, keeper: &mut Keeper, url: &str) -> Result<Vec<Verdict>, String> {
    let target = Target::parse(url).map_err(|error| error.to_string())?;
    let mut client = Client::new(target, Trust::Anybody);
    let mut verdicts = Vec::new();
    for question in cast.questions() {
        let person = cast.people.get(question.who).ok_or("a question has nobody to ask it")?;
        let ask = Ask {
            method: question.op,
            path: question.path.clone(),
            to: None,
            body: question.body.clone(),
            sign_in: Some(SignIn { name: person.name, password: &person.password }),
        };
        let answer = match client.ask(&ask).await {
            Ok(response) => Answer { http: Some(response.status.as_u16()), body: response.body },
            Err(_) => Answer { http: None, body: Vec::new() },
        };
        let seen = keeper.look(&question.path)?;
        verdicts.push(Verdict::new(person.name, &question, &answer, seen.as_ref()));
    }
    Ok(verdicts)
}

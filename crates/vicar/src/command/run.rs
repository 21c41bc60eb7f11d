//! `vicar run`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use vicar_kernel::{
    ClientContext, Locality, LogonKind, Outcome, Pending, Policy, Process, Profile, Qos, Reach, System, Thread,
    TokenKind, TokenSpec, Tracking,
};
use vicar_nt::{ImpersonationLevel, NtStatus};
use vicar_os::sealed::{Beneath, Bounds, Limits, Purpose, Seal, landlock_version, seal};
use vicar_os::source::account::{self, Account, AccountError};
use vicar_os::source::own::{Own, own};
use vicar_os::source::token;
use vicar_os::switch::irrevocable::{Terminal, close_from, leave_terminal};
use vicar_os::{KernelGid, KernelUid, Projection, RootClients, UnixIdentity, capability, project};

use crate::exit::Exit;

/// Arguments of `vicar run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The command has the user's identity and all its groups, no capability, and no way to gain any: set-user-ID programs such as \
sudo do not work in it. Its environment is HOME, USER, LOGNAME, SHELL, PATH, TERM and LANG, it starts in the user's home \
directory, and it has no controlling terminal. A system call filter refuses tracing, keyrings, mounts, namespaces, io_uring, \
BPF and changes of identity to it and to everything it starts.\n\n\
--read-only and --beneath are enforced by Landlock (Linux 6.2 or later) and refused where it is missing. They are about \
the contents and names of files and about modes, owners, attributes and times; within them, modes, owners and attributes \
cannot be changed by name, so chmod and cp -p fail. What the command reaches through a socket is not restricted.\n\n\
Only root can run a command as somebody else; anybody can run one as themselves.\n\n\
Exit: the command's own code, or 1 denied, 2 cannot run.")]
pub(crate) struct Args {
    /// The user.
    #[arg(long = "as", value_name = "NAME")]
    user: String,

    /// How far to go in acting as the user; below impersonation nothing runs.
    #[arg(long, value_enum, default_value_t = Level::Impersonation)]
    level: Level,

    /// Let the command change no file anywhere; what it was started with, such as standard output, stays open.
    #[arg(long)]
    read_only: bool,

    /// Let the command read and change files beneath DIR only, and read and execute the system's programs in /usr, /bin,
    /// /sbin, /lib and /etc. May be given several times.
    #[arg(long, value_name = "DIR")]
    beneath: Vec<PathBuf>,

    /// Most processes and threads that the user may have on this machine, those outside of the command included: while there
    /// are more, the command cannot make another.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(1..))]
    tasks: u64,

    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Level {
    /// Nobody.
    Anonymous,
    /// May be named, not acted as.
    Identification,
    /// Acts as the user on this machine.
    Impersonation,
    /// Acts as the user towards other machines as well.
    Delegation,
}

impl Level {
    const fn to_nt(self) -> ImpersonationLevel {
        match self {
            Self::Anonymous => ImpersonationLevel::Anonymous,
            Self::Identification => ImpersonationLevel::Identification,
            Self::Impersonation => ImpersonationLevel::Impersonation,
            Self::Delegation => ImpersonationLevel::Delegation,
        }
    }
}

/// Why no command runs.
enum NoRun {
    /// The request was understood and refused.
    Denied(String),
    /// It cannot be done here.
    Cannot(String),
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Exit {
    match become_and_execute(&args) {
        // The command has run in another process and has ended: its code is ours.
        Ok(code) => std::process::exit(code),
        Err(NoRun::Denied(why)) => {
            eprintln!("vicar run: denied: {why}");
            Exit::Wrong
        }
        Err(NoRun::Cannot(why)) => {
            eprintln!("vicar run: {why}");
            Exit::CannotRun
        }
    }
}

fn cannot(error: impl ToString) -> NoRun {
    NoRun::Cannot(error.to_string())
}

/// Becomes the user and executes the command; returns only if that happened in another process.
fn become_and_execute(args: &Args) -> Result<i32, NoRun> {
    let own = own().map_err(cannot)?;
    if !own.is_plain {
        return Err(NoRun::Cannot("refuses to work as a set-user-ID or set-group-ID program".to_owned()));
    }
    let account = account::by_name(&args.user).map_err(|error| cannot(format!("{}: {error}", args.user)))?;
    let wanted = wanted(&account, &own);
    let pending = prepare(&wanted, &own, args.level.to_nt())?;
    let identity = project(&pending.token().state(), &rules()?).map_err(|error| NoRun::Denied(error.to_string()))?;
    if identity != wanted {
        return Err(NoRun::Denied("the token is not exactly the user on this system".to_owned()));
    }
    let sealing = Seal::new(Purpose::Execute).within(bounds(args)?).with_limits(Limits::NONE.tasks(args.tasks));
    let parent = match leave_terminal().map_err(cannot)? {
        Terminal::Ended(code) => return Ok(code),
        Terminal::LeftInChild(parent) => Some(parent),
        Terminal::None | Terminal::Left => None,
    };
    seal(&identity, &sealing).map_err(cannot)?;
    let _outcome = pending.commit();
    if let Some(parent) = parent {
        parent.bind().map_err(cannot)?;
    }
    Err(execute(&account, &args.command))
}

/// What the command may reach of what the user may reach.
fn bounds(args: &Args) -> Result<Bounds, NoRun> {
    let bounds = match args.beneath.split_first() {
        None if args.read_only => Bounds::ReadOnly,
        None => return Ok(Bounds::Everything),
        Some((first, more)) => {
            let absolute = |path: &PathBuf| std::path::absolute(path).map_err(cannot);
            let mut beneath = Beneath::new(absolute(first)?).with_programs();
            for directory in more {
                beneath = beneath.and(absolute(directory)?);
            }
            Bounds::Beneath(if args.read_only { beneath.read_only() } else { beneath })
        }
    };
    landlock_version().map_err(|error| cannot(format!("cannot restrict the command: {error}")))?;
    Ok(bounds)
}

/// The identity to run as: what the databases say, or this process's own when it is the same user and cannot change.
fn wanted(account: &Account, own: &Own) -> UnixIdentity {
    let is_self = account.identity.uid() == own.identity.uid();
    if is_self && own.effective.is_empty() { own.identity.clone() } else { account.identity.clone() }
}

/// Asks the gate, as a server that captured the user's token at `level`.
fn prepare(user: &UnixIdentity, own: &Own, level: ImpersonationLevel) -> Result<Pending, NoRun> {
    let status = |status: NtStatus| NoRun::Denied(status.to_string());
    let system = System::new(Profile::V4, Policy::strict());
    let token = |state, kind| {
        let session = system.logon(LogonKind::Interactive, None)?;
        session.create_token(TokenSpec { state, kind, source: *b"VicarRun", origin: session.id() })
    };
    let server = token::of_own(own, LogonKind::Interactive, capability::namespace_here()).map_err(status)?;
    let server = token(server, TokenKind::Primary).map_err(status)?;
    let process = Process::new(&system, server).map_err(status)?;
    let client = token::of_identity(user, LogonKind::Interactive).map_err(status)?;
    // What an account of this machine proves: enough for local work, nothing to show to another machine.
    let client = token(client, TokenKind::Impersonation(ImpersonationLevel::Impersonation)).map_err(status)?;
    let qos = Qos { level, tracking: Tracking::Static, reach: Reach::EffectiveOnly };
    let context = ClientContext::from_token(&client, qos, Locality::Local).map_err(|error| {
        NoRun::Denied(format!("{error}: an account of this machine cannot be captured at level {level}"))
    })?;
    let pending = Thread::new(&process).prepare(&context).map_err(status)?;
    if pending.level().may_act_locally() {
        return Ok(pending);
    }
    Err(NoRun::Denied(match pending.outcome() {
        Outcome::AsRequested => format!("level {} was asked for, and a command needs impersonation", pending.level()),
        Outcome::Downgraded { step } => format!(
            "level {} is all this process gets (gate step {step}): only root may act as somebody else",
            pending.level()
        ),
    }))
}

/// What a token may be here: never user 0, never nobody.
fn rules() -> Result<Projection, NoRun> {
    let anonymous = match account::by_name("vicar-anon") {
        Ok(account) => account.identity,
        Err(AccountError::Unknown) => {
            let (Some(uid), Some(gid)) = (KernelUid::new(65_520), KernelGid::new(65_520)) else {
                return Err(NoRun::Cannot("no anonymous identity".to_owned()));
            };
            UnixIdentity::new(uid, gid, []).map_err(cannot)?
        }
        Err(error) => return Err(cannot(format!("vicar-anon: {error}"))),
    };
    Ok(Projection { anonymous, root: RootClients::Refused })
}

/// Executes the command as whoever this process is now; returns only when that failed.
fn execute(account: &Account, words: &[OsString]) -> NoRun {
    let Some((program, arguments)) = words.split_first() else { return NoRun::Cannot("no command".to_owned()) };
    let home = account.home.clone().unwrap_or_else(|| PathBuf::from("/"));
    // As the user: a home directory that only the user may enter is entered, another's is not.
    if std::env::set_current_dir(&home).is_err()
        && let Err(error) = std::env::set_current_dir("/")
    {
        return cannot(format!("/: {error}"));
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let mut command = std::process::Command::new(program);
    command.args(arguments).env_clear();
    command.env("HOME", &home).env("USER", &account.name).env("LOGNAME", &account.name);
    command.env("SHELL", account.shell.as_deref().unwrap_or_else(|| Path::new("/bin/sh")));
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    for name in ["TERM", "LANG"] {
        if let Some(value) = std::env::var_os(name).filter(|value| is_plain(value)) {
            command.env(name, value);
        }
    }
    if let Err(error) = close_from(3) {
        return cannot(error);
    }
    cannot(format!("{}: {}", program.display(), command.exec()))
}

/// Whether a value names something and is no path: libraries open files that these variables name.
fn is_plain(value: &OsStr) -> bool {
    value.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@' | b'+'))
}

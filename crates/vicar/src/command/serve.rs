//! `vicar serve`.

use crate::exit::Exit;
use crate::serve::{Passwords, Plan, start};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use vicar_gateway::audit::{AuditLog, Necessity};
use vicar_gateway::limit::Limits;
use vicar_gateway::origin::Names;
use vicar_gateway::serve::{Listener, Stopped, Transport, state};
use vicar_gateway::share::ShareLimits;
use vicar_gateway::signin::SignInLimits;
use vicar_gateway::signin::file::{PasswordFile, Root};
use vicar_gateway::tls;
use vicar_os::ClientThreadOptions;

/// Where a server listens unless it is told otherwise.
const USUAL_ADDRESS: &str = "127.0.0.1:8443";

/// Arguments of `vicar serve`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "chmod, setfacl and group membership are the configuration: every request runs as the user who signed in.\n\
Started as root it serves everybody; started as somebody else it can only serve that user.\n\n\
SIGTERM and SIGINT let running requests end; a second one ends at once.\n\
Exit: 0 ended by a signal, 2 cannot run."
)]
pub(crate) struct Args {
    /// The directory to serve.
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// Listens on this address; may be given several times [default: 127.0.0.1:8443, or none with --unix].
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Vec<SocketAddr>,

    /// Listens on this Unix socket, in plain text, for a proxy in front.
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,

    /// Speaks plain HTTP; only on a loopback address and a port below 1024, which no other user can take.
    #[arg(long, conflicts_with_all = ["tls_cert", "insecure_http"])]
    plain_http: bool,

    /// Speaks plain HTTP anywhere: whoever can listen in, or take the port of a stopped server, learns passwords.
    #[arg(long, conflicts_with = "tls_cert")]
    insecure_http: bool,

    /// The TLS certificate chain (PEM); without it a self-signed one is made on the first run.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The TLS key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// A host name this server answers to, besides localhost and its numeric addresses; may be given several times.
    #[arg(long, value_name = "NAME[:PORT]")]
    name: Vec<String>,

    /// Where the self-signed certificate and the audit log are [default: /var/lib/vicar; for others than root ~/.local/state/vicar].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Signs people in by this file (see `vicar passwd`) instead of the system's accounts.
    #[arg(long, value_name = "FILE", conflicts_with = "pam_service")]
    password_file: Option<PathBuf>,

    /// The PAM service [default: vicar if /etc/pam.d/vicar exists, else login].
    #[arg(long, value_name = "NAME")]
    pam_service: Option<String>,

    /// A directory with PAM service files to use instead of the system's.
    #[arg(long, value_name = "DIR", conflicts_with = "password_file")]
    pam_confdir: Option<PathBuf>,

    /// Lets an account sign in that is refused otherwise: below UID_MIN, nobody, the server's own; may be given several times.
    #[arg(long, value_name = "NAME")]
    allow_user: Vec<String>,

    /// Lets root sign in, as root.
    #[arg(long)]
    allow_root: bool,

    /// Threads that act as clients.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = parse_count)]
    threads: usize,

    /// Most of them that act as one user at the same time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = parse_count)]
    threads_per_client: usize,

    /// The umask of new files.
    #[arg(long, value_name = "OCTAL", default_value = "022", value_parser = parse_umask)]
    umask: u32,

    /// The audit log [default: audit.jsonl in the state directory].
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,

    /// Serves on while the audit log cannot be written.
    #[arg(long)]
    audit_optional: bool,

    /// Where uploads wait that cannot wait beside their file; every client must be able to make files there.
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    spool: PathBuf,

    /// Prints what the server says at start as one JSON object.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    limits: LimitArgs,
}

/// The limits.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
struct LimitArgs {
    /// From the first byte of a request's head to its last (408).
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    header_time: Duration,

    /// Bytes of a request's head, at least 8K (431).
    #[arg(long, value_name = "BYTES", default_value = "32K", value_parser = parse_size)]
    header_bytes: u64,

    /// Header fields of a request (431).
    #[arg(long, value_name = "N", default_value_t = Limits::USUAL.header_fields, value_parser = parse_count)]
    header_fields: usize,

    /// Between two pieces of a body (408), and for a client to take a piece of a reply.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = parse_seconds)]
    body_idle: Duration,

    /// Bytes of a request's body (413).
    #[arg(long, value_name = "BYTES", default_value = "64G", value_parser = parse_size)]
    body_bytes: u64,

    /// Between two requests of a connection.
    #[arg(long, value_name = "SECONDS", default_value = "75", value_parser = parse_seconds)]
    idle_time: Duration,

    /// Connections in all.
    #[arg(long, value_name = "N", default_value_t = Limits::USUAL.connections, value_parser = parse_count)]
    connections: usize,

    /// Connections of one address (503).
    #[arg(long, value_name = "N", default_value_t = Limits::USUAL.connections_per_address, value_parser = parse_count)]
    connections_per_address: usize,

    /// Requests of one user at the same time (429).
    #[arg(long, value_name = "N", default_value_t = Limits::USUAL.requests_per_user, value_parser = parse_count)]
    requests_per_user: usize,

    /// Jobs of one client that wait for a thread (503).
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = parse_count)]
    jobs_per_client: usize,

    /// Passwords that are checked at the same time; 64 more wait (503).
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = parse_count)]
    sign_ins: usize,

    /// Entries of one listing (507).
    #[arg(long, value_name = "N", default_value_t = ShareLimits::default().listing_entries)]
    listing_entries: usize,

    /// Listings of more than 1,024 entries that one user is sent at the same time (429).
    #[arg(long, value_name = "N", default_value_t = ShareLimits::default().listings_per_user, value_parser = parse_count)]
    listings_per_user: usize,

    /// Entries of one copy or delete, or of a move to another file system (507).
    #[arg(long, value_name = "N", default_value_t = ShareLimits::default().tree_entries)]
    tree_entries: usize,

    /// Directories inside each other of one copy, move or delete (507).
    #[arg(long, value_name = "N", default_value_t = ShareLimits::default().tree_depth)]
    tree_depth: usize,

    /// Bytes of an upload that waits in the spool (507).
    #[arg(long, value_name = "BYTES", default_value = "1G", value_parser = parse_size)]
    spool_bytes: u64,

    /// Locks of one user (507).
    #[arg(long, value_name = "N", default_value_t = ShareLimits::default().locks_per_user)]
    locks_per_user: usize,

    /// Longest life of a lock.
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = parse_seconds)]
    lock_time: Duration,

    /// How long a stopping server waits for requests to end.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = parse_seconds)]
    drain_time: Duration,
}

/// A number of things without which nothing could be served.
fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a number of at least 1".to_owned()),
        Ok(count) => Ok(count),
    }
}

fn parse_umask(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(umask) if umask <= 0o777 => Ok(umask),
        Ok(_) | Err(_) => Err("expected an octal number from 0 to 777".to_owned()),
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.001..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        Ok(_) | Err(_) => Err("expected seconds from 0.001 to 86400".to_owned()),
    }
}

fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.strip_suffix(['K', 'M', 'G', 'T']) {
        None => (text, 0),
        Some(digits) if text.ends_with('K') => (digits, 10),
        Some(digits) if text.ends_with('M') => (digits, 20),
        Some(digits) if text.ends_with('G') => (digits, 30),
        Some(digits) => (digits, 40),
    };
    let size = digits.parse::<u64>().ok().and_then(|size| size.checked_mul(1_u64.checked_shl(shift)?));
    size.filter(|size| *size > 0).ok_or_else(|| "expected a number of bytes such as 100, 32K or 4G".to_owned())
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Exit {
    match serve(args) {
        Ok(()) => Exit::Right,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "vicar serve: {error}");
            Exit::CannotRun
        }
    }
}

fn serve(args: Args) -> Result<(), String> {
    let json = args.json;
    let ready = start(prepare(args)?)?;
    let mut banner = Vec::new();
    let written = if json { ready.banner.json(&mut banner) } else { ready.banner.text(&mut banner) };
    written.map_err(|error| error.to_string())?;
    let ending = ready.run(|_stopper| async move {
        // Whoever started us may have closed its end; that is no reason to stop serving.
        let _ = std::io::stdout().write_all(&banner).and_then(|()| std::io::stdout().flush());
    })?;
    if ending.stopped == Stopped::Cut {
        let _ = writeln!(std::io::stderr(), "vicar serve: some requests were cut; the audit log has them");
    }
    Ok(())
}

/// Step 1: reads, binds and opens everything, with the rights the process was started with.
fn prepare(args: Args) -> Result<Plan, String> {
    let directory = args.directory.canonicalize().map_err(|error| format!("{}: {error}", args.directory.display()))?;
    if !directory.is_dir() {
        return Err(format!("{} is not a directory", directory.display()));
    }
    let root = if args.allow_root { Root::Allowed } else { Root::Refused };
    let passwords = match &args.password_file {
        Some(path) => {
            let file = PasswordFile::read(path, &directory, root).map_err(|error| error.to_string())?;
            if file.is_empty() {
                return Err(format!("{} names nobody: add people with `vicar passwd`", path.display()));
            }
            Passwords::File { path: path.clone(), file }
        }
        None => {
            let service = pam_service(args.pam_service.clone());
            find_pam_service(&service, args.pam_confdir.as_deref())?;
            Passwords::Pam { service, confdir: args.pam_confdir.clone() }
        }
    };
    let state_path = args.state.clone().map_or_else(usual_state, Ok)?;
    let state = state::open(&state_path, &directory).map_err(|error| error.to_string())?;
    let transport = transport(&args, &state)?;
    let listeners = bind(&args, &transport)?;
    let audit_path = args.audit.clone().unwrap_or_else(|| state.join("audit.jsonl"));
    let necessity = if args.audit_optional { Necessity::Optional } else { Necessity::Required };
    // Looked at before it is opened, so that nothing is made in the share.
    let beside = audit_path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if beside.canonicalize().is_ok_and(|real| real.starts_with(&directory)) {
        return Err(format!("audit log {} lies inside the directory that is served", audit_path.display()));
    }
    let audit = AuditLog::open(&audit_path, necessity).map_err(|error| error.to_string())?;
    let mut warnings = Vec::new();
    warnings.extend(closed_above(&directory));
    if let Transport::Tls(identity) = &transport
        && !identity.unnamed().is_empty()
    {
        let certificate = state.join(tls::SELF_SIGNED);
        warnings.push(format!(
            "the certificate is not for {}; remove {} and start again to have a new one made",
            identity.unnamed().join(", "),
            certificate.display()
        ));
    }
    let names = Names::new(args.name.iter().map(String::as_str)).map_err(|error| error.to_string())?;
    raise_descriptor_limit();
    let limits = &args.limits;
    Ok(Plan {
        directory,
        spool: args.spool,
        listeners,
        passwords,
        audit,
        audit_path,
        names,
        limits: Limits {
            header_time: limits.header_time,
            header_bytes: usize::try_from(limits.header_bytes).unwrap_or(usize::MAX).clamp(8_192, 1 << 20),
            header_fields: limits.header_fields,
            body_idle: limits.body_idle,
            body_bytes: limits.body_bytes,
            idle: limits.idle_time,
            connections: limits.connections,
            connections_per_address: limits.connections_per_address,
            requests_per_user: limits.requests_per_user,
            drain: limits.drain_time,
        },
        share_limits: ShareLimits {
            listing_entries: limits.listing_entries,
            listings_per_user: limits.listings_per_user,
            tree_entries: limits.tree_entries,
            tree_depth: limits.tree_depth,
            spool_bytes: limits.spool_bytes,
            locks_per_user: limits.locks_per_user,
            lock_life: limits.lock_time,
        },
        sign_in_limits: SignInLimits { parallel: limits.sign_ins, waiting: limits.sign_ins.saturating_add(64) },
        allowed: args.allow_user.iter().cloned().collect::<BTreeSet<_>>(),
        allow_root: args.allow_root,
        threads: ClientThreadOptions {
            threads: args.threads,
            per_client: args.threads_per_client,
            queued_per_client: limits.jobs_per_client,
            umask: args.umask,
            ..ClientThreadOptions::default()
        },
        warnings,
    })
}

/// What keeps others than its owner and group out of the directory: every request is made as its client, from `/`.
fn closed_above(directory: &Path) -> Option<String> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let mut ways: Vec<&Path> = directory.ancestors().collect();
    ways.reverse();
    ways.into_iter().find_map(|way| {
        let metadata = std::fs::metadata(way).ok()?;
        let mode = metadata.permissions().mode() & 0o7777;
        (mode & 0o001 == 0).then(|| {
            format!(
                "{} has mode {mode:04o}: whoever is not its owner (uid {}), of its group (gid {}) or let in by an ACL gets 403 for everything",
                way.display(),
                metadata.uid(),
                metadata.gid()
            )
        })
    })
}

fn pam_service(given: Option<String>) -> String {
    let usual = if Path::new("/etc/pam.d/vicar").exists() { "vicar" } else { "login" };
    given.unwrap_or_else(|| usual.to_owned())
}

/// Makes sure that there is such a service: for one that is not there PAM takes the service `other` without a word.
fn find_pam_service(service: &str, confdir: Option<&Path>) -> Result<(), String> {
    if service.is_empty() || service.starts_with('.') || service.contains('/') {
        return Err(format!("\"{}\" is no name of a PAM service", service.escape_default()));
    }
    let usual = ["/etc/pam.d", "/usr/lib/pam.d", "/usr/share/pam.d", "/usr/etc/pam.d"];
    let is_there = match confdir {
        Some(directory) => directory.join(service).is_file(),
        // Without its directories PAM reads one file for all services.
        None => {
            let has_none = !usual.iter().any(|directory| Path::new(directory).is_dir());
            has_none || usual.iter().any(|directory| Path::new(directory).join(service).is_file())
        }
    };
    if is_there { Ok(()) } else { Err(format!("there is no PAM service \"{service}\" on this system")) }
}

fn usual_state() -> Result<PathBuf, String> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/vicar"));
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|base| base.join("vicar"))
        .ok_or_else(|| "no state directory: set HOME or give --state".to_owned())
}

fn transport(args: &Args, state: &Path) -> Result<Transport, String> {
    if args.plain_http || args.insecure_http || only_unix(args) {
        return Ok(Transport::Plain);
    }
    let identity = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => tls::Identity::from_files(certificate, key),
        (_, _) => {
            // A port is no part of what a certificate is for.
            let host = |name: &String| name.split(':').next().unwrap_or_default().to_owned();
            let mut names: Vec<String> = args.name.iter().map(host).collect();
            names.extend(args.listen.iter().filter(|to| !to.ip().is_unspecified()).map(|to| to.ip().to_string()));
            tls::Identity::self_signed(state, &names)
        }
    };
    identity.map(Transport::Tls).map_err(|error| error.to_string())
}

fn only_unix(args: &Args) -> bool {
    args.unix.is_some() && args.listen.is_empty()
}

fn bind(args: &Args, transport: &Transport) -> Result<Vec<Listener>, String> {
    let mut addresses = args.listen.clone();
    if addresses.is_empty() && args.unix.is_none() {
        addresses.push(USUAL_ADDRESS.parse().map_err(|_| "the usual address cannot be read".to_owned())?);
    }
    let mut listeners = Vec::new();
    for address in addresses {
        // Port 0 becomes a high one.
        if args.plain_http && (address.port() == 0 || address.port() >= 1024 || !address.ip().is_loopback()) {
            return Err(format!(
                "{address}: plain HTTP needs a loopback address and a port below 1024, or --insecure-http"
            ));
        }
        listeners.push(Listener::tcp(address, transport.clone()).map_err(|error| error.to_string())?);
    }
    if let Some(path) = &args.unix {
        listeners.push(Listener::unix(path).map_err(|error| error.to_string())?);
    }
    Ok(listeners)
}

/// Connections and open files are descriptors; the usual limit of 1,024 is for programs that use select(2).
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    // Without it there are fewer connections, and the accept loop waits for descriptors.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: now.maximum, maximum: now.maximum });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_seconds_masks_and_services_are_read_or_refused() {
        for (text, expected) in [
            ("100", Some(100)),
            ("32K", Some(32_768)),
            ("1M", Some(1 << 20)),
            ("2T", Some(2 << 40)),
            ("0", None),
            ("", None),
            ("K", None),
            ("-1", None),
            ("99999999999T", None),
            ("1k", None),
        ] {
            assert_eq!(parse_size(text).ok(), expected, "{text}");
        }
        assert_eq!(parse_seconds("0.25"), Ok(Duration::from_millis(250)));
        for text in ["0", "-1", "nan", "inf", "x", "100000"] {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
        for service in ["", "..", "../x", "/etc/passwd"] {
            assert!(find_pam_service(service, None).is_err(), "{service}");
        }
        assert!(find_pam_service("no-such-service", Some(Path::new("/"))).is_err());
        assert_eq!(parse_umask("027"), Ok(0o27));
        assert!(parse_umask("1000").is_err() && parse_umask("8").is_err());
    }
}

//! Where the roads are tried: the test is started again there.

use crate::roads::{self, Road};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Set in the process that is in the environment: what the machine lacks.
const INNER: &str = "VICAR_TEST_INNER";
/// And which of a test's environments it is.
const WHICH: &str = "VICAR_TEST_WHICH";

/// An environment.
pub(crate) enum Place {
    AsItIs,
    /// User 61000 with these capabilities, which it keeps over exec.
    Service {
        capabilities: &'static str,
    },
    /// User 0 of a user namespace that has every id.
    Namespace {
        denies_groups: bool,
    },
    /// One system call fails, if this argument is this.
    Filtered {
        call: libc::c_long,
        argument: Option<(u8, u32)>,
        errno: i32,
    },
}

/// What a road is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Works,
    /// What it needs, or how that begins.
    Why(&'static str),
}

/// Installs a filter and executes a program; what is left of the call's name is its number.
const FILTER: &str = r#"
my ($prctl, $call, $argument, $value, $errno, @program) = @ARGV;
sub step { pack("S C C L", @_) }
my @check = $argument eq "" ? () : (step(0x20, 0, 0, 16 + 8 * $argument), step(0x15, 0, 1, $value));
my $filter = join "", step(0x20, 0, 0, 0), step(0x15, 0, 1 + @check, $call), @check,
    step(0x06, 0, 0, 0x50000 | $errno), step(0x06, 0, 0, 0x7fff0000);
my $all = pack("S x6 P", length($filter) / 8, $filter);
syscall($prctl + 0, 38, 1, 0, 0, 0) == 0 or die "no_new_privs: $!";
syscall($prctl + 0, 22, 2, $all, 0, 0) == 0 or die "seccomp: $!";
exec { $program[0] } @program or die "$program[0]: $!";
"#;

impl Place {
    fn command(&self) -> Command {
        let exe = std::env::current_exe().unwrap();
        let mut command = match self {
            Self::AsItIs => return Command::new(exe),
            Self::Service { capabilities } => {
                let mut command = Command::new("setpriv");
                let list = if capabilities.is_empty() { "-all".to_owned() } else { format!("-all,{capabilities}") };
                command.args(["--reuid=61000", "--regid=61000", "--clear-groups"]).args([
                    format!("--inh-caps={list}"),
                    format!("--ambient-caps={list}"),
                    format!("--bounding-set={list}"),
                ]);
                command
            }
            Self::Namespace { .. } => {
                let mut command = Command::new("unshare");
                command.args(["--user", "sh", "-c", "echo; read -r _; exec \"$0\""]);
                command.stdin(Stdio::piped()).stdout(Stdio::piped());
                command
            }
            Self::Filtered { call, argument, errno } => {
                let (place, value) =
                    argument.map_or_else(Default::default, |(place, value)| (place.to_string(), value.to_string()));
                let mut command = Command::new("perl");
                command.args(["-e", FILTER, &libc::SYS_prctl.to_string(), &call.to_string(), &place, &value]);
                command.arg(errno.to_string());
                command
            }
        };
        command.arg(exe);
        command
    }

    /// What tells this place from another of the same test.
    fn name(&self) -> String {
        match self {
            Self::Filtered { errno, .. } => errno.to_string(),
            Self::AsItIs | Self::Service { .. } | Self::Namespace { .. } => String::new(),
        }
    }

    /// Starts the test again there; `true` in that process.
    fn is_here(&self) -> bool {
        if let Some(which) = std::env::var_os(WHICH) {
            return which == *self.name();
        }
        if matches!(self, Self::Service { .. }) && !is_in_reach(&std::env::current_exe().unwrap()) {
            println!("skipped: this program is where others cannot get");
            return false;
        }
        let mut command = self.command();
        let mut child = match command.env(INNER, roads::there_is()).env(WHICH, self.name()).spawn() {
            Ok(child) => child,
            Err(error) => {
                println!("skipped: {}: {error}", command.get_program().display());
                return false;
            }
        };
        if let Self::Namespace { denies_groups } = self {
            let mut said = BufReader::new(child.stdout.take().unwrap());
            if said.read_line(&mut String::new()).unwrap() == 0 {
                let _ = child.wait();
                println!("skipped: no user namespace can be made here");
                return false;
            }
            let write = |name: &str, text: &str| std::fs::write(format!("/proc/{}/{name}", child.id()), text).unwrap();
            if *denies_groups {
                write("setgroups", "deny");
            }
            write("uid_map", "0 0 65536");
            write("gid_map", "0 0 65536");
            child.stdin.take().unwrap().write_all(b"\n").unwrap();
            for line in said.lines() {
                println!("{}", line.unwrap());
            }
        }
        let status = child.wait().unwrap();
        assert!(status.success(), "{status}");
        false
    }
}

/// Whether everybody may execute a file and get to it.
fn is_in_reach(file: &Path) -> bool {
    file.ancestors().all(|at| std::fs::metadata(at).is_ok_and(|there| there.permissions().mode() & 0o001 != 0))
}

/// Tries every road in a place and compares what each says. A test that names several places is started again for each.
pub(crate) fn expect(place: &Place, expected: &[(Road, Said)]) {
    if !place.is_here() {
        return;
    }
    let there_is = std::env::var(INNER).unwrap();
    let found = roads::try_all(expected.iter().map(|(road, _)| *road));
    for ((road, said), (_, expected)) in found.iter().zip(expected) {
        let what = match expected {
            Said::Works if there_is.contains(&format!("no {road:?};")) => {
                println!("skipped: {road:?} does not work on this machine: {said}");
                continue;
            }
            Said::Works => "works",
            Said::Why(why) => why,
        };
        assert!(said.starts_with(what), "{road:?}: {said}, not {what}\n{found:#?}");
    }
}

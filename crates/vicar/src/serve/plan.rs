//! Everything a gateway needs, read and opened while the process still has its rights.

use std::collections::BTreeSet;
use std::path::PathBuf;
use vicar_gateway::audit::AuditLog;
use vicar_gateway::limit::Limits;
use vicar_gateway::origin::Names;
use vicar_gateway::serve::Listener;
use vicar_gateway::share::ShareLimits;
use vicar_gateway::signin::SignInLimits;
use vicar_gateway::signin::file::PasswordFile;
use vicar_os::ClientThreadOptions;

/// How people sign in.
#[derive(Debug)]
pub(crate) enum Passwords {
    /// By this file.
    File {
        /// Where it was read from.
        path: PathBuf,
        /// What it says.
        file: PasswordFile,
    },
    /// By the system's accounts.
    Pam {
        /// The PAM service.
        service: String,
        /// A directory with service files instead of the system's.
        confdir: Option<PathBuf>,
    },
}

/// A gateway that can be started.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What is served, links resolved.
    pub(crate) directory: PathBuf,
    /// Where uploads wait that cannot wait beside their file.
    pub(crate) spool: PathBuf,
    /// Bound sockets.
    pub(crate) listeners: Vec<Listener>,
    /// How people sign in.
    pub(crate) passwords: Passwords,
    /// The open audit log.
    pub(crate) audit: AuditLog,
    /// Where it is.
    pub(crate) audit_path: PathBuf,
    /// The names the server answers to.
    pub(crate) names: Names,
    /// The front's limits.
    pub(crate) limits: Limits,
    /// The share's limits.
    pub(crate) share_limits: ShareLimits,
    /// Sign-in's limits.
    pub(crate) sign_in_limits: SignInLimits,
    /// Accounts that may sign in although a rule would refuse them.
    pub(crate) allowed: BTreeSet<String>,
    /// Whether uid 0 may be a client.
    pub(crate) allow_root: bool,
    /// The client threads.
    pub(crate) threads: ClientThreadOptions,
    /// What the administrator should hear at start although nothing is refused.
    pub(crate) warnings: Vec<String>,
}

//! Start-up, in the order that leaves no thread with rights it should not have.

use super::banner::Banner;
use super::plan::{Passwords, Plan};
use std::sync::Arc;
use vicar_gateway::serve::{Listener, Parts};
use vicar_gateway::share::{Share, ShareOptions};
use vicar_gateway::signin::account::Accounts;
use vicar_gateway::signin::{Method, SignIn};
use vicar_os::supervisor::admission::{self, Policy, Root};
use vicar_os::supervisor::{Supervisor, SupervisorOptions};
use vicar_os::{ClientContext, ClientThreads, KernelUid, RootClients, Server, StartOptions, Starting, source};

/// A server that has given its powers up and waits for the runtime.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(super) parts: Parts<ClientContext>,
    pub(super) listeners: Vec<Listener>,
    pub(super) server: Server,
    pub(super) threads: ClientThreads,
    pub(super) supervisor: Supervisor,
    /// What to tell the administrator.
    pub(crate) banner: Banner,
}

/// Forks the supervisor, drops the powers, tests what is left, and starts the client threads.
///
/// The process must have one thread. After an error it must end: it may have dropped its powers already.
pub(crate) fn start(plan: Plan) -> Result<Ready, String> {
    let root = if plan.allow_root { RootClients::NamedByAdministrator } else { RootClients::Refused };
    let starting = Starting::begin(StartOptions { root }).map_err(|error| error.to_string())?;
    let anonymous = starting.anonymous().uid();
    if let Passwords::File { path, file } = &plan.passwords
        && let Some((name, _)) = file.numeric().find(|(_, identity)| identity.uid() == anonymous)
    {
        return Err(format!("{}: {name} has uid {anonymous}, which must be nobody's", path.display()));
    }
    let supervisor = fork_supervisor(&plan, anonymous)?;
    let server = starting.finish().map_err(|error| error.to_string())?;
    let mut banner = Banner::new(&plan, &server);
    open_nothing_while_acting();
    let threads = server.client_threads(plan.threads).map_err(|error| error.to_string())?;
    if server.report().powerless.is_none() {
        // The very threads that will serve; `vicar doctor` makes the same trial.
        let tried = server.try_threads(&threads).map_err(|error| format!("trial of the client threads: {error}"))?;
        banner.note_trial(tried);
    }
    let options = ShareOptions { limits: plan.share_limits, spool: plan.spool, ..ShareOptions::new(plan.directory) };
    let share = Share::open(options, threads.clone()).map_err(|error| error.to_string())?;
    let method = match plan.passwords {
        Passwords::File { file, .. } => Method::File(file),
        Passwords::Pam { service, .. } => Method::Pam { service },
    };
    let accounts: Box<dyn Accounts> = Box::new(supervisor.clone());
    let sign_in = SignIn::new(method, Some(accounts), Box::new(server.clone()), plan.sign_in_limits)
        .ok_or("the system gives no randomness")?;
    let parts = Parts { handler: Arc::new(share), sign_in, audit: plan.audit, names: plan.names, limits: plan.limits };
    Ok(Ready { parts, listeners: plan.listeners, server, threads, supervisor, banner })
}

fn fork_supervisor(plan: &Plan, anonymous: KernelUid) -> Result<Supervisor, String> {
    let own = KernelUid::new(rustix::process::geteuid().as_raw()).ok_or("this process has no user id")?;
    let mut policy = Policy::strict(admission::uid_min_here(), own, anonymous);
    policy.named = plan.allowed.clone();
    if plan.allow_root {
        policy.root = Root::IfNamed;
        policy.named.insert("root".to_owned());
    }
    if let Passwords::File { file, .. } = &plan.passwords {
        // Whom the administrator wrote into the file is named by the administrator.
        policy.named.extend(file.system_accounts().map(str::to_owned));
    }
    if !own.is_root()
        && let Ok(account) = source::account::by_uid(own.raw())
    {
        // A server without powers serves its own user and nobody else.
        policy.named.insert(account.name);
    }
    let mut options = SupervisorOptions::new(policy);
    if let Passwords::Pam { confdir, .. } = &plan.passwords {
        options.confdir.clone_from(confdir);
    }
    options.conversations = plan.sign_in_limits.parallel.max(1);
    Supervisor::fork(options).map_err(|error| format!("cannot start the supervisor: {error}"))
}

/// What `Server` knows, for the banner.
pub(super) fn anonymous_of(server: &Server) -> (u32, u32) {
    (server.anonymous().uid().raw(), server.anonymous().gid().raw())
}

/// Keeps the panic hook from opening files, for a backtrace, on a thread that acts as a client.
fn open_nothing_while_acting() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if vicar_os::acts_as_client() {
            eprintln!("vicar: a client's job {panic}");
        } else {
            usual(panic);
        }
    }));
}

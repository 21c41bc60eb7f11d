//! Capabilities as privileges, with the kernel's own word for what is held; and what a client's token leaves to be enabled.

use crate::scratch::{client, identity, server};
use crate::{NONE, TWO, status};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use std::collections::BTreeSet;
use std::process::Command;
use vicar_kernel::{OpenAs, Outcome, Process, Thread, TokenKind, TokenRef, TokenSpec};
use vicar_nt::privilege::{LuidAndAttributes, PrivilegeAttributes, PrivilegeState};
use vicar_nt::token::{GroupChange, TokenState};
use vicar_nt::{GroupAttributes, IntegrityLevel, Luid, Privilege, RequestedMask, well_known};
use vicar_os::capability::{Namespace, Need, namespace_here, need};
use vicar_os::switch::irrevocable;
use vicar_os::{ClientContext, ImpersonationLevel, LogonKind, Qos, Reach, Server, Tracking, source};

const INNER: &str = "VICAR_TEST_POWERS";

/// The privileges that this thread's capabilities amount to: present, and `+` in front when enabled.
fn held(namespace: Namespace) -> BTreeSet<String> {
    let state = source::token::of_own(&source::own::own().unwrap(), LogonKind::Service, namespace).unwrap();
    let set = state.privileges();
    set.present().iter().map(|it| format!("{}{}", if set.is_enabled(it) { "+" } else { "" }, it.name())).collect()
}

/// Each capability of a set by itself; bits that stand for none are left out.
fn named(set: CapabilitySet) -> impl Iterator<Item = CapabilitySet> {
    set.iter_names().map(|(_, one)| one)
}

fn set_effective(effective: CapabilitySet) -> Result<(), rustix::io::Errno> {
    let permitted = capabilities(None).unwrap().permitted;
    set_capabilities(None, CapabilitySets { effective, permitted, inheritable: CapabilitySet::empty() })
}

/// Starts this test again as user 61000 with these capabilities and no other, and returns what it prints.
fn as_holder_of(set: CapabilitySet) -> Option<String> {
    let list = named(set).fold("-all".to_owned(), |list, one| format!("{list},+cap_{}", one.bits().trailing_zeros()));
    let mut command = Command::new("setpriv");
    command.args(["--reuid=61000", "--regid=61000", "--clear-groups"]);
    command.args(["inh-caps", "ambient-caps", "bounding-set"].map(|what| format!("--{what}={list}")));
    match command.arg(std::env::current_exe().unwrap()).env(INNER, "1").output() {
        Ok(output) => {
            assert!(output.status.success(), "{list}: {}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8(output.stdout).unwrap())
        }
        Err(error) => {
            println!("skipped: setpriv: {error}");
            None
        }
    }
}

/// Each privilege, in a process that holds exactly what it needs, and in one that holds one capability less.
pub(crate) fn each_privilege_is_what_the_kernel_shows_of_its_capabilities() {
    if std::env::var_os(INNER).is_some() {
        // As started: effective. Then put aside: permitted only.
        println!("{:?}", held(Namespace::First));
        set_effective(CapabilitySet::empty()).unwrap();
        return println!("{:?}", held(Namespace::First));
    }
    let says = |line: &str, name: &str, is_enabled: bool| {
        line.contains(&format!("\"{}{name}\"", if is_enabled { "+" } else { "" }))
    };
    let permitted = capabilities(None).unwrap().permitted;
    let mut tried = 0;
    for privilege in Privilege::ALL {
        let name = privilege.name();
        let (sets, less) = match need(privilege) {
            Need::All(all) => (vec![all], named(all).map(|one| all.difference(one)).collect::<Vec<_>>()),
            Need::Any(any) => (named(any).collect(), vec![CapabilitySet::empty()]),
            Need::Nothing => (vec![CapabilitySet::empty()], vec![]),
            Need::NoCapability => continue,
        };
        for set in sets {
            if !permitted.contains(set) {
                // A machine may keep some from its own root.
                println!("skipped: {name}: no {:?} here", set.difference(permitted));
                continue;
            }
            let Some(text) = as_holder_of(set) else { return };
            let lines: Vec<&str> = text.lines().collect();
            let is_everybodys = need(privilege) == Need::Nothing;
            assert!(says(lines[0], name, true), "{privilege:?} with {set:?}: {text}");
            assert!(says(lines[1], name, is_everybodys), "{privilege:?} put aside: {text}");
            tried += 1;
        }
        for set in less.into_iter().filter(|set| permitted.contains(*set)) {
            let Some(text) = as_holder_of(set) else { return };
            assert!(!text.contains(&format!("{name}\"")), "{privilege:?} with {set:?} only: {text}");
            tried += 1;
        }
    }
    assert!(tried >= 40, "{tried} processes");
}

/// A server of the fast lane holds two capabilities: four privileges, of which none is enabled while it acts.
pub(crate) fn two_capabilities_are_four_privileges() {
    let two = CapabilitySet::SETUID | CapabilitySet::SETGID;
    if std::env::var_os(INNER).is_none() {
        let _ = as_holder_of(two);
        return;
    }
    let expected = |sign: &str| -> BTreeSet<String> {
        let own = ["SeImpersonatePrivilege", "SeAssignPrimaryTokenPrivilege"].map(|name| format!("{sign}{name}"));
        own.into_iter()
            .chain(["+SeIncreaseWorkingSetPrivilege".into(), "+SeCreateSymbolicLinkPrivilege".into()])
            .collect()
    };
    let server = server();
    assert_eq!(namespace_here(), Namespace::First);
    assert_eq!(held(Namespace::First), expected("+"));
    assert_eq!(server.report().powers.kept().collect::<Vec<_>>(), ["CAP_SETGID", "CAP_SETUID"]);
    let alice = client(&server, 61_001, &[61_300]);
    assert_eq!(server.run_as(&alice, |_| held(Namespace::First)), Ok(expected("")));
    assert_eq!(held(Namespace::First), expected("+"));
    // Nothing that a service of root's would hold can be raised, before and while acting.
    let raised = move || -> Vec<CapabilitySet> {
        named(CapabilitySet::all().difference(two)).filter(|one| set_effective(*one).is_ok()).collect()
    };
    assert_eq!(raised(), []);
    assert_eq!(server.run_as(&alice, |_| raised()), Ok(vec![]));
    let pool = server.client_threads(vicar_os::ClientThreadOptions::default()).unwrap();
    assert_eq!(pool.run_blocking(&alice, move |_| (raised(), status("CapEff"))), Ok((vec![], NONE.to_owned())));
    assert_eq!([status("CapPrm"), status("CapEff")], [TWO, TWO]);
}

/// A token with a privilege and a group that its owner has switched off.
fn with_something_disabled(server: &Server) -> TokenRef {
    let own = well_known::unix_group(61_001);
    let state = TokenState::builder(well_known::unix_user(61_001))
        .integrity(IntegrityLevel::HIGH)
        .group(own, GroupAttributes::ALWAYS_ENABLED)
        .group(well_known::unix_group(61_300), GroupAttributes::empty())
        .primary_group(own)
        .privilege(Privilege::Backup, PrivilegeState::Disabled)
        .privilege(Privilege::Impersonate, PrivilegeState::EnabledByDefault)
        .build()
        .unwrap();
    let session = server.system().logon(LogonKind::Network, None).unwrap();
    let kind = TokenKind::Impersonation(ImpersonationLevel::Impersonation);
    session.create_token(TokenSpec { state, kind, source: *b"test\0\0\0\0", origin: Luid::from_u64(0) }).unwrap()
}

fn captured(server: &Server, token: &TokenRef, reach: Reach) -> ClientContext {
    let qos = Qos { level: ImpersonationLevel::Impersonation, tracking: Tracking::Static, reach };
    server.context_from_token(token, qos).unwrap()
}

/// Wears the client on a thread of the portable kernel and tries to enable everything, through the token that it can open.
fn enables(server: &Server, client: &ClientContext) -> (bool, bool) {
    let state = (*client.kernel().token().state()).state().clone();
    let session = server.system().logon(LogonKind::Service, None).unwrap();
    let spec = TokenSpec { state, kind: TokenKind::Primary, source: *b"test\0\0\0\0", origin: Luid::from_u64(0) };
    let thread = Thread::new(&Process::new(server.system(), session.create_token(spec).unwrap()).unwrap());
    assert_eq!(thread.prepare(client.kernel()).unwrap().commit(), Outcome::AsRequested);
    let handle = thread.open_token(&thread, RequestedMask::MAXIMUM_ALLOWED, OpenAs::Kernel).unwrap();
    let backup = LuidAndAttributes::new(Privilege::Backup, PrivilegeAttributes::ENABLED);
    let privilege = handle.adjust_privileges(&[backup]).unwrap().all_assigned;
    let group = handle.adjust_groups(&[(well_known::unix_group(61_300), GroupChange::Enable)]);
    (privilege, group.is_ok_and(|adjusted| adjusted.changed))
}

pub(crate) fn effective_only_leaves_nothing_to_enable() {
    // For good, and so before there is a server: nothing is permitted, so nothing can be raised.
    let raised = irrevocable::ask(&identity(61_001, &[]), || {
        let raised = named(CapabilitySet::all()).filter(|one| set_effective(*one).is_ok()).count();
        format!("{raised} {} {}", status("CapPrm"), status("CapEff")).into_bytes()
    });
    assert_eq!(raised, Ok(format!("0 {NONE} {NONE}").into_bytes()));
    let server = server();
    let token = with_something_disabled(&server);
    let (all, effective) = (captured(&server, &token, Reach::AllHeld), captured(&server, &token, Reach::EffectiveOnly));
    // The other reach shows that the attempt can succeed.
    assert_eq!(enables(&server, &all), (true, true));
    assert_eq!(enables(&server, &effective), (false, false));
    // Enabled or not, a client's privilege is no capability of any thread.
    let enabled = client(&server, 61_001, &[]);
    let more = LuidAndAttributes::new(Privilege::Backup, PrivilegeAttributes::ENABLED);
    assert!(!enabled.kernel().token().adjust_privileges(&[more]).all_assigned);
    for client in [&all, &effective, &enabled] {
        let seen = server.run_restricted(client, |_| {
            let beyond = CapabilitySet::all().difference(CapabilitySet::SETUID | CapabilitySet::SETGID);
            let raised = named(beyond).filter(|one| set_effective(*one).is_ok()).count();
            (status("CapEff"), raised)
        });
        assert_eq!(seen, Ok((NONE.to_owned(), 0)));
    }
}

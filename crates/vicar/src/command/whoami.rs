//! `vicar whoami`.

use serde_json::{Value, json};
use vicar_kernel::LogonKind;
use vicar_nt::token::TokenState;
use vicar_nt::{Group, GroupAttributes, IntegrityLevel, Sid, well_known};
use vicar_os::source::account;
use vicar_os::source::own::{Own, own};
use vicar_os::source::token;
use vicar_os::{capability, sidmap};

use crate::exit::Exit;

/// Arguments of `vicar whoami`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Privileges stand for Linux capabilities: present if permitted, enabled if effective. Names that begin with Linux have no NT \
counterpart. A primary token has no impersonation level.\n\nExit: 0 shown, 2 cannot run.")]
pub(crate) struct Args {
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Exit {
    let own = match own() {
        Ok(own) => own,
        Err(error) => {
            eprintln!("vicar whoami: {error}");
            return Exit::CannotRun;
        }
    };
    let state = match token::of_own(&own, LogonKind::Interactive, capability::namespace_here()) {
        Ok(state) => state,
        Err(status) => {
            eprintln!("vicar whoami: {status}");
            return Exit::CannotRun;
        }
    };
    if args.json {
        println!("{}", as_json(&own, &state));
    } else {
        print!("{}", as_text(&own, &state));
    }
    Exit::Right
}

/// The name of a SID: an account's, a group's, or the one NT gives it.
fn name(sid: &Sid) -> Option<String> {
    if let Some(uid) = sidmap::resolve_user(sid) {
        return account::by_uid(uid.raw()).ok().map(|account| account.name);
    }
    if let Some(gid) = sidmap::resolve_group(sid) {
        return account::group_name(gid);
    }
    let known = [
        (well_known::EVERYONE, "Everyone"),
        (well_known::AUTHENTICATED_USERS, "Authenticated Users"),
        (well_known::INTERACTIVE, "Interactive"),
    ];
    known.iter().find(|(candidate, _)| candidate == sid).map(|(_, name)| (*name).to_owned())
}

/// The words for a group's attributes, as NT tools print them.
fn attributes(group: &Group) -> Vec<&'static str> {
    let words = [
        (GroupAttributes::MANDATORY, "mandatory"),
        (GroupAttributes::ENABLED_BY_DEFAULT, "enabled by default"),
        (GroupAttributes::ENABLED, "enabled"),
        (GroupAttributes::OWNER, "owner"),
        (GroupAttributes::USE_FOR_DENY_ONLY, "deny only"),
        (GroupAttributes::RESOURCE, "resource"),
        (GroupAttributes::LOGON_ID, "logon"),
    ];
    words.into_iter().filter(|(flag, _)| group.attributes.contains(*flag)).map(|(_, word)| word).collect()
}

const fn integrity_name(level: IntegrityLevel) -> &'static str {
    match level {
        IntegrityLevel::UNTRUSTED => "untrusted",
        IntegrityLevel::LOW => "low",
        IntegrityLevel::MEDIUM => "medium",
        IntegrityLevel::MEDIUM_PLUS => "medium plus",
        IntegrityLevel::HIGH => "high",
        IntegrityLevel::SYSTEM => "system",
        IntegrityLevel::PROTECTED => "protected",
        IntegrityLevel(_) => "another",
    }
}

/// Each privilege and whether it is enabled, the ones without an NT name last.
fn privileges(own: &Own, state: &TokenState) -> Vec<(&'static str, bool)> {
    let set = state.privileges();
    let known = set.present().iter().map(|privilege| (privilege.name(), set.is_enabled(privilege)));
    let enabled: Vec<&str> = capability::without_nt_name(own.effective).collect();
    known.chain(capability::without_nt_name(own.permitted).map(|name| (name, enabled.contains(&name)))).collect()
}

fn as_json(own: &Own, state: &TokenState) -> Value {
    let sid = |sid: &Sid| json!({ "sid": sid.to_string(), "name": name(sid) });
    let identity = &own.identity;
    json!({
        "user": sid(&state.user().sid),
        "groups": state.groups().iter().map(|group| json!({
            "sid": group.sid.to_string(),
            "name": name(&group.sid),
            "attributes": attributes(group),
        })).collect::<Vec<_>>(),
        "privileges": privileges(own, state).into_iter()
            .map(|(name, is_enabled)| json!({ "name": name, "enabled": is_enabled }))
            .collect::<Vec<_>>(),
        "integrity": state.integrity().map(|level| json!({
            "sid": level.to_sid().to_string(),
            "name": integrity_name(level),
        })),
        "type": "primary",
        "level": Value::Null,
        "unix": {
            "uid": identity.uid().raw(),
            "user": name(&state.user().sid),
            "gid": identity.gid().raw(),
            "group": account::group_name(identity.gid()),
            "groups": identity.groups().iter()
                .map(|gid| json!({ "gid": gid.raw(), "name": account::group_name(*gid) }))
                .collect::<Vec<_>>(),
        },
    })
}

fn as_text(own: &Own, state: &TokenState) -> String {
    let named = |sid: &Sid| name(sid).map_or_else(|| sid.to_string(), |name| format!("{sid}  {name}"));
    let mut lines = vec![format!("user       {}", named(&state.user().sid))];
    for group in state.groups() {
        lines.push(format!("group      {}  ({})", named(&group.sid), attributes(group).join(", ")));
    }
    for (name, is_enabled) in privileges(own, state) {
        lines.push(format!("privilege  {name}  ({})", if is_enabled { "enabled" } else { "disabled" }));
    }
    if let Some(level) = state.integrity() {
        lines.push(format!("integrity  {}  {}", level.to_sid(), integrity_name(level)));
    }
    lines.push("token      primary, so without an impersonation level".to_owned());
    lines.push(format!("unix       {}", own.identity));
    lines.push(String::new());
    lines.join("\n")
}

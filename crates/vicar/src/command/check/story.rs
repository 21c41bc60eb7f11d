//! The steps of a check, in words.

use vicar_nt::check::{AccessMode, AceOutcome, Api, Basis, CallerRule, IntegrityOutcome, Pass, Refusal, Remedy, Step};
use vicar_nt::condition::Truth;
use vicar_nt::{AccessMask, GenericMapping, IntegrityLevel, RequestedMask, Sid, SidRef, sddl, well_known};

/// One row of the table.
#[derive(Debug)]
pub(super) struct Row {
    /// Which step.
    pub(super) step: String,
    /// What it looked at.
    pub(super) what: String,
    /// What came of it.
    pub(super) result: String,
}

fn row(step: &str, what: String, result: String) -> Row {
    Row { step: step.to_owned(), what, result }
}

/// Tells one step.
pub(super) fn tell(step: &Step<'_>, mapping: &GenericMapping) -> Option<Row> {
    let rights = |mask: AccessMask| name_rights(mask, mapping);
    Some(match step {
        Step::Mode(AccessMode::User) => return None,
        Step::Mode(AccessMode::Kernel) => row("mode", "kernel".to_owned(), "nothing is checked".to_owned()),
        Step::Level { level, is_enough } => {
            let what = level.map_or("a process's own token".to_owned(), |level| level.to_string());
            row("level", what, verdict(*is_enough, "ok", "too low"))
        }
        Step::Mapped { desired, asked, previous, wants_maximum } => {
            let maximum = if *wants_maximum { " and as much as allowed" } else { "" };
            let before = match previous.is_empty() {
                true => String::new(),
                false => format!(", granted before: {}", rights(*previous)),
            };
            row("want", format!("{}{maximum}{before}", rights(*asked)), format!("asked as {desired}"))
        }
        Step::TrustLabel { label, dominates, allowed } => {
            row("trust", name_sid(*label), limit(*dominates, *allowed, mapping))
        }
        Step::AccessFilter { index, truth, allowed } => row(
            "filter",
            format!("SACL entry {index}: {}", name_truth(*truth)),
            limit(*truth == Truth::True, *allowed, mapping),
        ),
        Step::Integrity { subject, object, policy, outcome, allowed } => {
            let subject = subject.map_or("none".to_owned(), |level| level.to_string());
            let object = object.map_or("malformed".to_owned(), |level| level.to_string());
            let what = format!("subject {subject}, object {object}, {}", name_policy(*policy));
            let result = match outcome {
                IntegrityOutcome::PolicyOff => "token's policy is off".to_owned(),
                IntegrityOutcome::Dominates => "ok".to_owned(),
                IntegrityOutcome::Waived => "waived for a package".to_owned(),
                IntegrityOutcome::Below => limit(false, *allowed, mapping),
            };
            row("label", what, result)
        }
        Step::Caller { api, rule, holds, by_the_other } => {
            let (own, other) = match api {
                Api::SeAccessCheck => ("kernel", "user"),
                Api::NtAccessCheck => ("user", "kernel"),
            };
            let answer = |holds: bool| if holds { "passes" } else { "refused" };
            let result = format!("{} by {own} rules; {} by {other} rules", answer(*holds), answer(*by_the_other));
            row("caller", name_rule(*rule), result)
        }
        Step::Privilege { privilege, is_held, right } => {
            let result = verdict(*is_held, &format!("gives {}", rights(*right)), "not enabled");
            row("privilege", privilege.to_string(), result)
        }
        Step::Owner { is_owner, has_owner_rights_ace, moved } => {
            let what = match (is_owner, has_owner_rights_ace) {
                (true, true) => "yes, but the DACL says what owners may do",
                (true, false) => "yes",
                (false, _) => "no",
            };
            row("owner", what.to_owned(), gives(*moved, mapping))
        }
        Step::NoDacl { pass, granted } => row(name_pass(*pass), "no DACL".to_owned(), gives(*granted, mapping)),
        Step::Ace { pass, index, kind, sid, mask, outcome } => {
            let whom = sid.map_or("unknown type".to_owned(), name_sid);
            let what = format!("{kind:?} {whom}: {}", rights(*mask));
            let step = match pass {
                Pass::Normal => format!("ace {index}"),
                Pass::Restricted => format!("restricted {index}"),
            };
            Row { step, what, result: name_outcome(*outcome, mapping) }
        }
        Step::PassEnd { pass, granted } => {
            row(name_pass(*pass), "end of the DACL".to_owned(), gives(*granted, mapping))
        }
        Step::Package { granted } => row("package", "what the package may do".to_owned(), rights(*granted)),
        Step::CentralRule { index, applies } => {
            row("policy", format!("central rule {index}"), verdict(*applies, "applies", "does not apply"))
        }
        Step::End { granted, denial } => match denial {
            None => row("end", format!("granted {}", rights(*granted)), format!("{granted}")),
            Some(denial) => {
                let what = format!("denied: {}, missing {}", name_refusal(denial.by), rights(denial.missing));
                row("end", what, denial.status().to_string())
            }
        },
    })
}

fn verdict(is_good: bool, good: &str, bad: &str) -> String {
    if is_good { good } else { bad }.to_owned()
}

fn gives(mask: AccessMask, mapping: &GenericMapping) -> String {
    if mask.is_empty() { "-".to_owned() } else { format!("gives {}", name_rights(mask, mapping)) }
}

fn limit(is_free: bool, allowed: AccessMask, mapping: &GenericMapping) -> String {
    if is_free { "ok".to_owned() } else { format!("at most {}", name_rights(allowed, mapping)) }
}

fn name_rule(rule: CallerRule) -> String {
    match rule {
        CallerRule::RightsAreMapped => "generic rights, which user rules want mapped".to_owned(),
        CallerRule::TokenIsImpersonated => "a process's own token, which user rules do not take".to_owned(),
        CallerRule::LevelIsEnough(level) => format!("level {level}, and user rules want identification only"),
        CallerRule::DescriptorIsComplete => "no owner or no group, which user rules want".to_owned(),
    }
}

fn name_pass(pass: Pass) -> &'static str {
    match pass {
        Pass::Normal => "dacl",
        Pass::Restricted => "restricted",
    }
}

fn name_truth(truth: Truth) -> &'static str {
    match truth {
        Truth::True => "true",
        Truth::False => "false",
        Truth::Unknown => "unknown",
    }
}

fn name_policy(policy: u32) -> String {
    let names = [(1, "no-write-up"), (2, "no-read-up"), (4, "no-execute-up")];
    let names: Vec<&str> = names.into_iter().filter(|(bit, _)| policy & bit != 0).map(|(_, name)| name).collect();
    if names.is_empty() { "no policy".to_owned() } else { names.join(" ") }
}

fn name_outcome(outcome: AceOutcome, mapping: &GenericMapping) -> String {
    match outcome {
        AceOutcome::InheritOnly => "inherit-only".to_owned(),
        AceOutcome::NotForDacl => "takes no part".to_owned(),
        AceOutcome::NoMatch => "somebody else".to_owned(),
        AceOutcome::Condition(truth) => format!("condition is {}", name_truth(truth)),
        AceOutcome::TypeNotListed => "another object type".to_owned(),
        AceOutcome::Granted { moved } => gives(moved, mapping),
        AceOutcome::GrantedToPackage { moved } => format!("package: {}", gives(moved, mapping)),
        AceOutcome::Denied { denied } if denied.is_empty() => "-".to_owned(),
        AceOutcome::Denied { denied } => format!("refuses {}", name_rights(denied, mapping)),
    }
}

/// Says which step refused.
pub(super) fn name_refusal(refusal: Refusal) -> String {
    match refusal {
        Refusal::GenericNotMapped => "generic rights must be mapped by the caller".to_owned(),
        Refusal::ImpersonationTokenRequired => "an impersonation token is needed".to_owned(),
        Refusal::LevelTooLow(level) => format!("level {level} is too low"),
        Refusal::NoDescriptor => "there is no descriptor".to_owned(),
        Refusal::IncompleteDescriptor => "the descriptor has no owner or no group".to_owned(),
        Refusal::ObjectTypeList => "the object types are not a tree".to_owned(),
        Refusal::NothingDesired => "nothing was asked for".to_owned(),
        Refusal::TrustLabel => "the trust label forbids it".to_owned(),
        Refusal::AccessFilter => "an access filter forbids it".to_owned(),
        Refusal::Integrity => "the integrity label forbids it".to_owned(),
        Refusal::PrivilegeNotHeld(privilege) => format!("{privilege} is not enabled"),
        Refusal::UnknownAce { index } => format!("entry {index} is of an unknown type"),
        Refusal::DenyAce { pass, index } => format!("entry {index} refuses ({})", name_pass(pass)),
        Refusal::NotGranted { pass } => format!("no entry grants ({})", name_pass(pass)),
        Refusal::Package => "the package may not".to_owned(),
        Refusal::CentralRule { index } => format!("central rule {index} does not grant"),
        Refusal::NothingAllowed => "nothing is allowed".to_owned(),
    }
}

/// What rights are called, for files; else in SDDL.
fn name_rights(mask: AccessMask, mapping: &GenericMapping) -> String {
    const FILE: [(u32, &str); 14] = [
        (0x1, "read"),
        (0x2, "write"),
        (0x4, "append"),
        (0x8, "read-ea"),
        (0x10, "write-ea"),
        (0x20, "execute"),
        (0x40, "delete-child"),
        (0x80, "read-attributes"),
        (0x100, "write-attributes"),
        (0x1_0000, "delete"),
        (0x2_0000, "read-control"),
        (0x4_0000, "write-dac"),
        (0x8_0000, "write-owner"),
        (0x10_0000, "synchronize"),
    ];
    let whole = sddl::print_rights(RequestedMask::from(mask));
    let letters = match whole.as_str() {
        "" => return "nothing".to_owned(),
        "FA" => return "full control (FA)".to_owned(),
        "FR" => return "file read (FR)".to_owned(),
        "FW" => return "file write (FW)".to_owned(),
        "FX" => return "file execute (FX)".to_owned(),
        letters => letters.to_owned(),
    };
    let left = FILE.iter().fold(mask.bits(), |left, (bit, _)| left & !bit);
    if *mapping != GenericMapping::FILE || left != 0 {
        return letters;
    }
    let names = FILE.iter().filter(|(bit, _)| mask.bits() & bit != 0).map(|(_, name)| *name);
    names.collect::<Vec<_>>().join("+")
}

/// What a SID is called.
fn name_sid(sid: SidRef<'_>) -> String {
    let known = [
        (well_known::EVERYONE, "Everyone"),
        (well_known::CREATOR_OWNER, "Creator Owner"),
        (well_known::OWNER_RIGHTS, "Owner Rights"),
        (well_known::NETWORK, "Network"),
        (well_known::INTERACTIVE, "Interactive"),
        (well_known::SERVICE, "Service"),
        (well_known::ANONYMOUS, "Anonymous"),
        (well_known::PRINCIPAL_SELF, "Principal Self"),
        (well_known::AUTHENTICATED_USERS, "Authenticated Users"),
        (well_known::RESTRICTED_CODE, "Restricted Code"),
        (well_known::LOCAL_SYSTEM, "System"),
        (well_known::LOCAL_SERVICE, "Local Service"),
        (well_known::NETWORK_SERVICE, "Network Service"),
        (well_known::WRITE_RESTRICTED, "Write Restricted"),
        (well_known::ADMINISTRATORS, "Administrators"),
        (well_known::USERS, "Users"),
        (well_known::GUESTS, "Guests"),
        (well_known::ALL_APPLICATION_PACKAGES, "All Application Packages"),
        (well_known::ALL_RESTRICTED_APPLICATION_PACKAGES, "All Restricted Application Packages"),
    ];
    if let Some((_, name)) = known.iter().find(|(known, _)| *known == sid) {
        return (*name).to_owned();
    }
    let subs: Vec<u32> = sid.sub_authorities().collect();
    let named = |names: &[(u32, &str)], rid: u32| {
        names.iter().find(|(known, _)| *known == rid).map(|(_, name)| (*name).to_owned())
    };
    let name = match (sid.authority(), &subs[..]) {
        (22, [1, uid]) => Some(format!("Unix user {uid}")),
        (22, [2, gid]) => Some(format!("Unix group {gid}")),
        (5, [32, rid]) => named(&BUILTIN, *rid),
        (5, [21, _, _, _, rid]) => named(&OF_A_DOMAIN, *rid).map(|name| format!("{name} ({sid})")),
        (16, [level]) => Some(format!("integrity {}", IntegrityLevel(*level))),
        (15, [3, ..]) => Some(format!("capability {sid}")),
        (15, [2, _, _, ..]) => Some(format!("package {sid}")),
        _ => None,
    };
    name.unwrap_or_else(|| sddl::print_sid(sid, None))
}

/// Groups that every machine has: S-1-5-32-x.
const BUILTIN: [(u32, &str); 24] = [
    (547, "Power Users"),
    (548, "Account Operators"),
    (549, "Server Operators"),
    (550, "Print Operators"),
    (551, "Backup Operators"),
    (552, "Replicator"),
    (554, "Pre-Windows 2000 Compatible Access"),
    (555, "Remote Desktop Users"),
    (556, "Network Configuration Operators"),
    (557, "Incoming Forest Trust Builders"),
    (558, "Performance Monitor Users"),
    (559, "Performance Log Users"),
    (560, "Windows Authorization Access Group"),
    (561, "Terminal Server License Servers"),
    (562, "Distributed COM Users"),
    (568, "IIS Users"),
    (569, "Cryptographic Operators"),
    (573, "Event Log Readers"),
    (574, "Certificate Service DCOM Access"),
    (575, "RDS Remote Access Servers"),
    (576, "RDS Endpoint Servers"),
    (577, "RDS Management Servers"),
    (578, "Hyper-V Administrators"),
    (580, "Remote Management Users"),
];

/// Accounts and groups that every domain has: S-1-5-21-x-y-z-rid.
const OF_A_DOMAIN: [(u32, &str); 12] = [
    (500, "Administrator"),
    (501, "Guest"),
    (512, "Domain Admins"),
    (513, "Domain Users"),
    (514, "Domain Guests"),
    (515, "Domain Computers"),
    (516, "Domain Controllers"),
    (517, "Cert Publishers"),
    (518, "Schema Admins"),
    (519, "Enterprise Admins"),
    (520, "Group Policy Creator Owners"),
    (525, "Protected Users"),
];

/// Says what would change the answer, in words.
pub(super) fn name_remedy(remedy: &Remedy, mapping: &GenericMapping) -> String {
    let name = |sid: &Sid| name_sid(sid.as_ref());
    match remedy {
        Remedy::AskForLess { granted } => format!("asking for no more than {}", gives(*granted, mapping)),
        Remedy::MapGenericRights => "mapping generic rights before asking".to_owned(),
        Remedy::Level(level) => format!("a client at level {level}"),
        Remedy::Privilege { privilege, is_present: true } => format!("enabling {privilege}"),
        Remedy::Privilege { privilege, is_present: false } => format!("holding {privilege}"),
        Remedy::Integrity(level) => format!("integrity {level}"),
        Remedy::Trust(sid) => format!("process trust {}", name(sid)),
        Remedy::Membership { sid, is_present, basis } => {
            let how = if *is_present { "an enabled membership in" } else { "being, or being in," };
            let why = match basis {
                Basis::Ace(index) => format!("entry {index}"),
                Basis::Owner => "the owner".to_owned(),
            };
            format!("{how} {} ({why})", name(sid))
        }
        Remedy::NoMembership { sid, index } => format!("not being in {} (entry {index})", name(sid)),
        Remedy::RestrictingSid { sid, index } => format!("the restricting SID {} (entry {index})", name(sid)),
        Remedy::Capability { sid, index } => format!("the capability {} (entry {index})", name(sid)),
        Remedy::Condition { index, holds: true } => format!("the condition of entry {index}, if it held"),
        Remedy::Condition { index, holds: false } => format!("the condition of entry {index}, if it did not hold"),
    }
}

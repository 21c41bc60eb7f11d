//! What a server says when it starts.

use super::plan::{Passwords, Plan};
use super::start::anonymous_of;
use serde::Serialize;
use std::io::Write;
use vicar_gateway::serve::{Listener, Transport};
use vicar_gateway::tls::Issuer;
use vicar_os::Server;

/// Everything worth saying, for people and for programs.
#[derive(Debug, Serialize)]
pub(crate) struct Banner {
    version: &'static str,
    kernel: String,
    directory: String,
    /// The first listener's.
    pub(crate) url: String,
    urls: Vec<String>,
    names: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls>,
    sign_in: SignIn,
    privileges_kept: Vec<String>,
    privileges_dropped: Vec<String>,
    bounding_set_cut: bool,
    anonymous_uid: u32,
    anonymous_gid: u32,
    self_test: Option<SelfTest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    powerless: Option<String>,
    audit: String,
    /// What the administrator will want to mend.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Tls {
    self_signed: bool,
    fingerprint_sha256: String,
}

#[derive(Debug, Serialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
enum SignIn {
    PasswordFile { file: String, people: usize },
    Pam { service: String, uid_min: u32 },
}

#[derive(Debug, Serialize)]
struct SelfTest {
    identities: u32,
    checks: u32,
    milliseconds: u64,
}

impl Banner {
    pub(super) fn new(plan: &Plan, server: &Server) -> Self {
        let report = server.report();
        let urls: Vec<String> = plan.listeners.iter().map(Listener::url).collect();
        let (anonymous_uid, anonymous_gid) = anonymous_of(server);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            kernel: report.kernel.clone(),
            directory: plan.directory.display().to_string(),
            url: urls.first().cloned().unwrap_or_default(),
            urls,
            names: plan.names.iter().map(ToString::to_string).collect(),
            tls: plan.listeners.iter().find_map(|listener| match listener {
                Listener::Tcp { transport: Transport::Tls(identity), .. } => Some(Tls {
                    self_signed: identity.issuer() == Issuer::SelfSigned,
                    fingerprint_sha256: identity.fingerprint().to_string(),
                }),
                Listener::Tcp { transport: Transport::Plain, .. } | Listener::Unix { .. } => None,
            }),
            sign_in: match &plan.passwords {
                Passwords::File { path, file } => {
                    SignIn::PasswordFile { file: path.display().to_string(), people: file.len() }
                }
                Passwords::Pam { service, .. } => {
                    SignIn::Pam { service: service.clone(), uid_min: vicar_os::supervisor::admission::uid_min_here() }
                }
            },
            privileges_kept: report.powers.kept().collect(),
            privileges_dropped: report.powers.dropped().collect(),
            bounding_set_cut: report.powers.bounding_is_cut(),
            anonymous_uid,
            anonymous_gid,
            self_test: report.self_test.map(|done| SelfTest {
                identities: done.identities,
                checks: done.checks,
                milliseconds: u64::try_from(done.took.as_millis()).unwrap_or(u64::MAX),
            }),
            powerless: report.powerless.map(|why| why.to_string()),
            audit: plan.audit_path.display().to_string(),
            warnings: plan.warnings.clone(),
        }
    }

    /// Adds what the trial of the client threads did.
    pub(super) fn note_trial(&mut self, done: vicar_os::SelfTest) {
        if let Some(test) = &mut self.self_test {
            test.identities = test.identities.saturating_add(done.identities);
            test.checks = test.checks.saturating_add(done.checks);
            let more = u64::try_from(done.took.as_millis()).unwrap_or(u64::MAX);
            test.milliseconds = test.milliseconds.saturating_add(more);
        }
    }

    /// One JSON object on one line.
    pub(crate) fn json(&self, out: &mut impl Write) -> std::io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        writeln!(out)?;
        out.flush()
    }

    /// A few lines for people.
    pub(crate) fn text(&self, out: &mut impl Write) -> std::io::Result<()> {
        let Self { version, kernel, directory, .. } = self;
        writeln!(out, "vicar {version}  serving {directory} as whoever signs in          kernel {kernel}")?;
        let secured = match &self.tls {
            Some(Tls { self_signed: true, fingerprint_sha256 }) => {
                format!("   (self-signed; SHA-256 fingerprint {fingerprint_sha256})")
            }
            Some(Tls { self_signed: false, fingerprint_sha256 }) => {
                format!("   (SHA-256 fingerprint {fingerprint_sha256})")
            }
            None => "   (plain text)".to_owned(),
        };
        for url in &self.urls {
            writeln!(out, "  browser + WebDAV   {url}{secured}")?;
        }
        let names = self.names.iter().map(|name| format!(", {name}")).collect::<String>();
        writeln!(out, "  answers to         localhost, its numeric addresses{names}")?;
        match &self.sign_in {
            SignIn::PasswordFile { file, people } => {
                let noun = if *people == 1 { "person" } else { "people" };
                writeln!(out, "  sign in with       password file {file} ({people} {noun})")?;
            }
            SignIn::Pam { service, uid_min } => {
                writeln!(out, "  sign in with       Linux accounts (PAM service \"{service}\"), uid >= {uid_min}")?;
            }
        }
        let kept = if self.privileges_kept.is_empty() { "none".to_owned() } else { self.privileges_kept.join(" ") };
        let dropped = match (self.privileges_dropped.len(), self.bounding_set_cut) {
            (0, _) => "there was nothing to drop".to_owned(),
            (count, true) => format!("dropped for good: the other {count}"),
            (count, false) => format!("dropped: the other {count}"),
        };
        writeln!(out, "  privileges kept    {kept}, {dropped}")?;
        match &self.powerless {
            // Without powers no thread is anybody but whoever started the server.
            Some(_) => writeln!(out, "  idle threads are   this server's own user")?,
            None => {
                writeln!(out, "  idle threads are   nobody (uid {}, gid {})", self.anonymous_uid, self.anonymous_gid)?;
            }
        }
        match (&self.self_test, &self.powerless) {
            (Some(SelfTest { identities, checks, milliseconds }), _) => writeln!(
                out,
                "  self-test          identity switch, groups, revert: ok ({identities} identities, {checks} checks, {milliseconds} ms)"
            )?,
            (None, Some(why)) => writeln!(out, "  self-test          {why}")?,
            (None, None) => {}
        }
        writeln!(out, "  audit log          {}", self.audit)?;
        for warning in &self.warnings {
            writeln!(out, "  warning            {warning}")?;
        }
        writeln!(out, "try:  {}", self.example())?;
        out.flush()
    }

    fn example(&self) -> String {
        let insecure = if self.tls.as_ref().is_some_and(|tls| tls.self_signed) { "k" } else { "" };
        match self.url.strip_prefix("unix:") {
            Some(path) => format!("curl --unix-socket {path} -u NAME http://localhost/"),
            None => format!("curl -{insecure}u NAME {}", self.url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(powerless: Option<&str>) -> String {
        let banner = Banner {
            version: "0",
            kernel: "6".into(),
            directory: "/srv".into(),
            url: "https://127.0.0.1:1/".into(),
            urls: Vec::new(),
            names: Vec::new(),
            tls: None,
            sign_in: SignIn::PasswordFile { file: "p".into(), people: 1 },
            privileges_kept: Vec::new(),
            privileges_dropped: Vec::new(),
            bounding_set_cut: false,
            anonymous_uid: 65_520,
            anonymous_gid: 65_521,
            self_test: None,
            powerless: powerless.map(str::to_owned),
            audit: "/a".into(),
            warnings: vec!["mend this".into()],
        };
        let mut text = Vec::new();
        banner.text(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn idle_threads_are_said_to_be_nobody_only_where_they_can_be() {
        assert!(told(None).contains("nobody (uid 65520, gid 65521)"));
        assert!(told(None).contains("  warning            mend this\n"));
        let text = told(Some("no powers"));
        assert!(text.contains("this server's own user") && !text.contains("nobody"), "{text}");
    }
}

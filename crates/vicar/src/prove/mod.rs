//! The confused-deputy test: does a server give people what the kernel gives them, and nothing else?
//!
//! Files are laid below one random directory of what the server serves ([`scene`]), fully dropped children find out what the kernel
//! allows each person ([`oracle`]), the server is asked for the same over HTTP ([`client`]), and what it did is read from the files
//! and the answers, not from its word ([`verdict`]). It never looks at how the server is built or configured.

pub(crate) mod client;
pub(crate) mod oracle;
pub(crate) mod person;
pub(crate) mod question;
pub(crate) mod remove;
pub(crate) mod report;
pub(crate) mod scene;
pub(crate) mod tls;
pub(crate) mod verdict;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use client::{Ask, Client, ClientError, Response, SignIn};
use oracle::{Answer, Item};
use person::Person;
use question::{Act, Asker, Pair, Question};
use scene::{ASKED, Cast, JUDGED, Owner, SEEN, Scene, SceneError, Seen};
use verdict::{Evidence, Tally, Verdict};

/// How long a server that said yes may take, all questions together, until the files show it.
const SETTLE: Duration = Duration::from_secs(5);

/// The verdicts and what to say beside them.
#[derive(Debug)]
pub(crate) struct Proof {
    /// One line about each person.
    pub(crate) people: Vec<String>,
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) notes: Vec<String>,
}

impl Proof {
    /// Whether nothing leaked, nothing was wrongly refused and every file has its right owner.
    pub(crate) fn is_ok(&self) -> bool {
        Tally::of(&self.verdicts).is_ok(&self.verdicts)
    }

    /// Whether the server is known to be wrong, as opposed to silent.
    pub(crate) fn is_wrong(&self) -> bool {
        self.verdicts.iter().any(|verdict| verdict.class.is_wrong())
    }
}

/// Why there are no verdicts.
#[derive(Debug)]
pub(crate) enum NoProof {
    /// The files cannot be laid.
    Scene(SceneError),
    /// The kernel cannot be asked, or says that somebody cannot get there.
    Judge(String),
    /// The server cannot be asked.
    Server(String),
}

impl fmt::Display for NoProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scene(error) => write!(f, "{error}"),
            Self::Judge(words) | Self::Server(words) => f.write_str(words),
        }
    }
}

/// A scene laid for people, with what the kernel said about it.
#[derive(Debug)]
pub(crate) struct Stage {
    scene: Scene,
    people: Vec<Person>,
    questions: Vec<(Question, Answer)>,
}

/// Bytes of randomness as hexadecimal digits.
pub(crate) fn nonce() -> Result<String, String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Ids that nobody in the test has, below 62,000 so that a user namespace has them too.
fn strange_ids(people: &[Person]) -> Result<(Owner, u32), String> {
    let mut bytes = [0_u8; 2];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    let start = u32::from(u16::from_ne_bytes(bytes)).checked_rem(800).unwrap_or(0).saturating_add(61_100);
    let is_free = |id: &u32| {
        people.iter().all(|person| {
            person.identity.uid().raw() != *id && person.identity.groups().iter().all(|group| group.raw() != *id)
        })
    };
    let mut free = (start..u32::MAX).filter(is_free);
    match (free.next(), free.next()) {
        (Some(someone), Some(group)) => Ok((Owner { uid: someone, gid: someone }, group)),
        _ => Err("no free ids".to_owned()),
    }
}

impl Stage {
    /// Lays the files and asks the kernel. Everything is removed again when this fails or is dropped.
    pub(crate) fn set(root: &Path, people: Vec<Person>) -> Result<Self, NoProof> {
        let nonce = nonce().map_err(NoProof::Judge)?;
        let (someone, foreign_group) = strange_ids(&people).map_err(NoProof::Judge)?;
        let scene = Scene::begin(root, &nonce).map_err(NoProof::Scene)?;
        let cast = Cast { people: &people, someone, foreign_group };
        scene.lay(&cast).map_err(NoProof::Scene)?;
        let mut questions = Vec::new();
        for (number, person) in people.iter().enumerate() {
            let (other, _) = cast.other_of(number);
            let pair = Pair { number, own: &person.slug, other };
            let asked = question::all_of(pair, &nonce);
            for (question, answer) in asked.iter().zip(ask_the_kernel(&scene, person, &asked)?) {
                questions.push((question.clone(), answer));
            }
        }
        if let Some(first) = people.first() {
            // Whoever does not sign in is nobody to the kernel, so the answer is no.
            questions.push((question::of_nobody(&first.slug), Answer::Denied { errno: 0 }));
        }
        // Question by question, everybody in turn: the same connection changes hands all the time.
        questions.sort_by_key(|(question, _)| place_in_turn(question));
        Ok(Self { scene, people, questions })
    }

    /// Removes the files; the error says what is left.
    pub(crate) fn strike(mut self) -> Result<(), String> {
        self.scene.remove().map_err(|left| left.to_string())
    }

    /// Asks the server everything.
    pub(crate) async fn ask_the_server(&self, client: &mut Client) -> Result<Proof, NoProof> {
        let first = self.people.first().ok_or_else(|| NoProof::Judge("nobody to ask for".to_owned()))?;
        self.see(client, first).await?;
        for person in &self.people {
            self.see(client, person).await?;
        }
        let mut verdicts = Vec::new();
        let mut patience = SETTLE;
        for (question, expected) in &self.questions {
            verdicts.push(self.put(client, question, expected, &mut patience).await?);
        }
        verdicts.sort_by_key(|verdict| {
            self.people.iter().position(|person| person.name == verdict.who).unwrap_or(usize::MAX)
        });
        Ok(Proof { people: self.people.iter().map(introduce).collect(), verdicts, notes: self.notes() })
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for person in self.people.iter().filter(|person| !person.has_supplementary_group()) {
            notes.push(format!("{} has no supplementary group; the group questions used the primary one", person.name));
        }
        notes
    }

    /// Whether the server lets this person in and shows the files at all.
    async fn see(&self, client: &mut Client, person: &Person) -> Result<(), NoProof> {
        let path = format!("{}/{ASKED}/{SEEN}", self.scene.name());
        let ask = Ask { method: "GET", path, to: None, body: String::new(), sign_in: Some(sign_in(person)) };
        let response = client.ask(&ask).await.map_err(|error| NoProof::Server(error.to_string()))?;
        let is_shown = contains(&response.body, self.scene.marker(SEEN).as_bytes());
        let status = response.status.as_u16();
        match (status, is_shown) {
            (200, true) => Ok(()),
            (401, _) => Err(NoProof::Server(refused_sign_in(person, &response))),
            (200, false) => Err(NoProof::Server(
                "the URL answers, but not with the files of the directory; is --root what the server serves at this URL?".to_owned(),
            )),
            _ => Err(NoProof::Server(format!(
                "{} cannot see the files through the URL (HTTP {status}), although the kernel lets {} read them; is --root what the \
                 server serves at this URL, and does it look again (rclone: --dir-cache-time 0)?",
                person.name, person.name
            ))),
        }
    }

    async fn put(
        &self,
        client: &mut Client,
        question: &Question,
        expected: &Answer,
        patience: &mut Duration,
    ) -> Result<Verdict, NoProof> {
        let person = match question.who {
            Asker::Person(number) => self.people.get(number),
            Asker::Nobody => None,
        };
        let prefix = format!("{}/{ASKED}", self.scene.name());
        let body = match question.act {
            Act::Create | Act::Overwrite => self.scene.marker(&format!("{} sent", question.path)),
            Act::Read | Act::List | Act::Delete | Act::MakeDirectory | Act::Copy | Act::Move => String::new(),
        };
        let ask = Ask {
            method: question.act.method(),
            path: format!("{prefix}/{}", question.path),
            to: question.to.as_ref().map(|to| format!("{prefix}/{to}")),
            body,
            sign_in: person.map(sign_in),
        };
        let response = match client.ask(&ask).await {
            Ok(response) => Some(response),
            Err(ClientError::Connect(error)) => return Err(NoProof::Server(format!("the server is gone: {error}"))),
            Err(ClientError::Tls(_) | ClientError::Http(_) | ClientError::Request(_) | ClientError::Slow) => None,
        };
        let mut evidence = self.evidence(question, response.as_ref()).map_err(NoProof::Scene)?;
        let who = person.map_or_else(|| "(nobody)".to_owned(), |person| person.name.clone());
        let mut verdict = verdict::judge(who.clone(), question, expected, &evidence);
        // A server that writes behind says yes first.
        while verdict.is_late() && !patience.is_zero() {
            let pause = Duration::from_millis(100);
            tokio::time::sleep(pause).await;
            *patience = patience.saturating_sub(pause);
            evidence = self.evidence(question, response.as_ref()).map_err(NoProof::Scene)?;
            verdict = verdict::judge(who.clone(), question, expected, &evidence);
        }
        Ok(verdict)
    }

    fn evidence(&self, question: &Question, response: Option<&Response>) -> Result<Evidence, SceneError> {
        let secret = match question.act {
            Act::List => question::deep_name(self.scene.nonce()),
            Act::Read if question.path.ends_with("/link-outside.txt") => self.scene.marker("outside"),
            Act::Read if question.path.ends_with("/link-to-other.txt") => {
                self.scene.marker(&self.link_target(question))
            }
            Act::Read | Act::Create | Act::Overwrite | Act::Delete | Act::MakeDirectory | Act::Copy | Act::Move => {
                self.scene.marker(&question.path)
            }
        };
        Ok(Evidence {
            http: response.map(|response| response.status.as_u16()),
            shows_secret: response.is_some_and(|response| contains(&response.body, secret.trim_end().as_bytes())),
            path: self.scene.look(&question.path)?,
            to: question.to.as_deref().map_or(Ok(Seen::Missing), |to| self.scene.look(to))?,
            before: self.scene.marker(&question.path),
        })
    }

    /// What the asker's link to the other leads to.
    fn link_target(&self, question: &Question) -> String {
        let number = match question.who {
            Asker::Person(number) => number,
            Asker::Nobody => 0,
        };
        let other = number.checked_add(1).and_then(|next| self.people.get(next)).or_else(|| self.people.first());
        match other {
            Some(person) if self.people.len() > 1 => format!("{}/own.txt", person.slug),
            Some(_) | None => "someone/own.txt".to_owned(),
        }
    }
}

/// Where a question comes among all: those of one kind together, people in turn.
fn place_in_turn(question: &Question) -> (usize, usize) {
    match question.who {
        Asker::Person(number) => (question.rank, number),
        Asker::Nobody => (usize::MAX, 0),
    }
}

fn sign_in(person: &Person) -> SignIn<'_> {
    SignIn { name: &person.name, password: &person.password }
}

fn introduce(person: &Person) -> String {
    let identity = &person.identity;
    let groups: Vec<String> =
        identity.groups().iter().filter(|group| **group != identity.gid()).map(ToString::to_string).collect();
    let groups = if groups.is_empty() { String::new() } else { format!(", groups {}", groups.join(" ")) };
    format!("{} is uid {} gid {}{groups}", person.name, identity.uid(), identity.gid())
}

fn refused_sign_in(person: &Person, response: &Response) -> String {
    let offers = |scheme: &str| response.challenges.iter().any(|offered| offered.eq_ignore_ascii_case(scheme));
    if response.challenges.is_empty() || offers("basic") {
        format!("the server does not let {} sign in (HTTP 401)", person.name)
    } else {
        format!("the server offers {} and not Basic (HTTP 401)", response.challenges.join(", "))
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|window| window == needle)
}

/// Has a dropped child reach its place in the asked tree, then do everything in the judged one.
fn ask_the_kernel(scene: &Scene, person: &Person, questions: &[Question]) -> Result<Vec<Answer>, NoProof> {
    let absolute = |tree: &str, path: &str| {
        let path = scene.absolute(tree, path);
        path.to_str().map(str::to_owned).ok_or_else(|| NoProof::Judge("the directory's name is not UTF-8".to_owned()))
    };
    let mut items = vec![Item { act: Act::Read, path: absolute(ASKED, SEEN)?, to: None, body: String::new() }];
    for question in questions {
        let to = question.to.as_deref().map(|to| absolute(JUDGED, to)).transpose()?;
        items.push(Item {
            act: question.act,
            path: absolute(JUDGED, &question.path)?,
            to,
            body: "judged\n".to_owned(),
        });
    }
    let mut answers =
        oracle::ask(&person.identity, items).map_err(|error| NoProof::Judge(error.to_string()))?.into_iter();
    match answers.next() {
        Some(Answer::Allowed { .. }) => {}
        Some(Answer::Denied { errno } | Answer::Failed { errno }) => {
            let error = std::io::Error::from_raw_os_error(errno);
            return Err(NoProof::Judge(format!(
                "{} cannot even get to {}: {error}",
                person.name,
                scene.absolute("", "").display()
            )));
        }
        None => return Err(NoProof::Judge("a child said nothing".to_owned())),
    }
    let answers: Vec<Answer> = answers.collect();
    for (question, answer) in questions.iter().zip(&answers) {
        if let Answer::Failed { errno } = answer {
            let error = std::io::Error::from_raw_os_error(*errno);
            return Err(NoProof::Judge(format!("the kernel could not say about {}: {error}", question.about)));
        }
    }
    Ok(answers)
}

//! `vicar assign`: puts together the security descriptor of a new object.

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use vicar_nt::assign::{AssignFlags, NewObject, ObjectKind, assign_by};
use vicar_nt::descriptor::Descriptor;
use vicar_nt::token::TokenState;
use vicar_nt::{GenericMapping, Guid, NtStatus, Readings, Sid, sddl};

use crate::command::check::{
    CaseError, MappingName, Mask, TokenCase, object, only_object, read_hex, read_mapping, read_mask, read_object_type,
    read_sddl, read_sid,
};
use crate::command::readings::ReadingArgs;
use crate::command::sddl::{answer_lines, to_hex};
use crate::command::strict_json;
use crate::exit::Exit;

/// What stands below the options in `--help`.
const HELP: &str = "\
A question of --jsonl is {id, parent_hex?, creator_hex?, token, is_container, mapping, flags,
object_type?}. `parent` and `creator` may stand instead, as text, with `domain` for aliases such as
DA. The answer is {id, hex}, {id, status}, or {id, error} for a line that is no question. The token
is that of `vicar check`, with what else matters to a creator:
  owner          who owns what it creates; the user, if it is not named
  primary_group  the group of what it creates; if it is not named, the users of the user's domain
                 (513), or the user if that is of no domain
  default_dacl   the DACL of what nobody gives one, as text or in hexadecimal, null for none; if it
                 is not named, D:(A;;GA;;;SY)(A;;GR;;;BA)
  owner_groups   enabled groups that may be made owners

Exit codes: 0 made (with --jsonl: all lines were answered), 1 refused, with its status, 2 wrong
arguments, or it cannot run.";

/// Arguments of `vicar assign`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("question").required(true).args(["user", "token", "jsonl"])))]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// Answer one JSON question a line from standard input instead.
    #[arg(long)]
    jsonl: bool,
    /// The user of the token, which has nothing else.
    #[arg(long, value_name = "SID")]
    user: Option<String>,
    /// The whole token, as in a line of --jsonl.
    #[arg(long, value_name = "JSON")]
    token: Option<String>,
    /// The descriptor of what the object is created in, as text or in hexadecimal.
    #[arg(long, value_name = "TEXT")]
    parent: Option<String>,
    /// The descriptor the creator asks for, as text or in hexadecimal.
    #[arg(long, value_name = "TEXT")]
    creator: Option<String>,
    /// The object is a container.
    #[arg(long)]
    container: bool,
    /// What generic rights mean: none, file, registry, mutant, process, directory, ds, test, or four numbers.
    #[arg(long, default_value = "file")]
    mapping: String,
    /// The SEF flags, as a number: 1 and 2 let DACL and SACL keep track of what they inherit.
    #[arg(long, value_name = "NUMBER", default_value = "0")]
    flags: String,
    /// A type of the object; may be repeated.
    #[arg(long = "object-type", value_name = "GUID")]
    object_types: Vec<String>,
    /// The domain that aliases such as DA belong to.
    #[arg(long, value_name = "SID")]
    domain: Option<String>,
    /// Print bytes in hexadecimal instead of text.
    #[arg(long)]
    hex: bool,
    #[command(flatten)]
    readings: ReadingArgs,
}

/// A question as it stands in a line. What is not named here is notes, and ignored.
#[derive(Debug, Deserialize)]
struct Line {
    #[serde(default)]
    parent_hex: Option<String>,
    #[serde(default)]
    creator_hex: Option<String>,
    #[serde(default)]
    parent: Option<String>,
    #[serde(default)]
    creator: Option<String>,
    #[serde(default)]
    domain: Option<String>,
    #[serde(deserialize_with = "only_object")]
    token: TokenCase,
    is_container: bool,
    mapping: MappingName,
    flags: Mask,
    #[serde(default)]
    object_type: Option<Types>,
}

/// One type, or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Types {
    One(String),
    Several(Vec<String>),
}

/// A question that owns what it asks about.
#[derive(Debug)]
struct Question {
    parent: Option<Descriptor>,
    creator: Option<Descriptor>,
    token: TokenState,
    kind: ObjectKind,
    mapping: GenericMapping,
    flags: AssignFlags,
    object_types: Vec<Guid>,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Exit {
    if args.jsonl {
        let readings = args.readings.read();
        return answer_lines("vicar assign", |line| answer_line(line, readings));
    }
    match args.answer() {
        Ok(Ok(text)) => {
            println!("{text}");
            Exit::Right
        }
        Ok(Err(status)) => {
            println!("{status}");
            Exit::Wrong
        }
        Err(error) => error.show("vicar assign"),
    }
}

impl Args {
    /// Returns the descriptor as it is printed, or the status.
    fn answer(&self) -> Result<Result<String, NtStatus>, CaseError> {
        let domain = self.domain.as_deref().map(|text| read_sid("--domain", text, None)).transpose()?;
        let (domain, readings) = (domain.as_ref(), self.readings.read());
        let token = match (&self.token, &self.user) {
            (Some(json), _) => {
                let json = strict_json::read(json.as_bytes()).map_err(|error| CaseError::wrong("--token", error))?;
                TokenCase::deserialize(&json).map_err(|error| CaseError::wrong("--token", error))?
            }
            (None, user) => TokenCase::of(user.as_deref().unwrap_or(""))?,
        };
        let question = Question {
            parent: self
                .parent
                .as_deref()
                .map(|text| read_descriptor("--parent", text, domain, readings))
                .transpose()?,
            creator: self
                .creator
                .as_deref()
                .map(|text| read_descriptor("--creator", text, domain, readings))
                .transpose()?,
            token: token.read_creator(domain)?,
            kind: kind(self.container),
            mapping: read_mapping(&self.mapping)?,
            flags: read_flags(read_mask("--flags", &self.flags)?.0)?,
            object_types: self.object_types.iter().map(|text| read_guid(text)).collect::<Result<_, _>>()?,
        };
        let descriptor = match question.answer(readings) {
            Ok(descriptor) => descriptor,
            Err(status) => return Ok(Err(status)),
        };
        let text = match sddl::print_by(descriptor.as_ref(), domain, readings) {
            Ok(text) if !self.hex => text,
            // What has no text is still bytes.
            Ok(_) | Err(_) => to_hex(descriptor.as_bytes()),
        };
        Ok(Ok(text))
    }
}

impl Question {
    fn from_line(line: &Line, readings: Readings) -> Result<Self, CaseError> {
        let domain = line.domain.as_deref().map(|text| read_sid("domain", text, None)).transpose()?;
        let domain = domain.as_ref();
        let descriptor = |what: &str, hex: &Option<String>, text: &Option<String>| match (hex, text) {
            (Some(hex), _) => Descriptor::parse(&read_hex(what, hex)?).map(Some).map_err(CaseError::Malformed),
            (None, Some(text)) => read_descriptor(what, text, domain, readings).map(Some),
            (None, None) => Ok(None),
        };
        let types: &[String] = match &line.object_type {
            None => &[],
            Some(Types::One(text)) => std::slice::from_ref(text),
            Some(Types::Several(texts)) => texts,
        };
        Ok(Self {
            parent: descriptor("parent_hex", &line.parent_hex, &line.parent)?,
            creator: descriptor("creator_hex", &line.creator_hex, &line.creator)?,
            token: line.token.read_creator(domain)?,
            kind: kind(line.is_container),
            mapping: line.mapping.read()?,
            flags: read_flags(line.flags.read("flags")?.0)?,
            object_types: types.iter().map(|text| read_guid(text)).collect::<Result<_, _>>()?,
        })
    }

    fn answer(&self, readings: Readings) -> Result<Descriptor, NtStatus> {
        let object = NewObject {
            parent: self.parent.as_ref().map(Descriptor::as_ref),
            creator: self.creator.as_ref().map(Descriptor::as_ref),
            token: &self.token,
            kind: self.kind,
            flags: self.flags,
            object_types: &self.object_types,
            mapping: self.mapping,
            server: None,
        };
        assign_by(&object, readings)
    }
}

/// Answers one line.
fn answer_line(line: &Json, readings: Readings) -> Map<String, Json> {
    let line = Line::deserialize(line).map_err(|error| CaseError::Wrong(error.to_string()));
    match line.and_then(|line| Question::from_line(&line, readings)) {
        Ok(question) => match question.answer(readings) {
            Ok(descriptor) => object([("hex", json!(to_hex(descriptor.as_bytes())))]),
            Err(status) => object([("status", json!(status.to_string()))]),
        },
        Err(error) => match error.status() {
            Some(status) => object([("status", json!(status.to_string())), ("detail", json!(error.to_string()))]),
            None => object([("error", json!(error.to_string()))]),
        },
    }
}

const fn kind(is_container: bool) -> ObjectKind {
    if is_container { ObjectKind::Container } else { ObjectKind::Leaf }
}

fn read_flags(bits: u32) -> Result<AssignFlags, CaseError> {
    AssignFlags::from_bits(bits).ok_or(CaseError::wrong("flags", "an unknown flag is set"))
}

fn read_guid(text: &str) -> Result<Guid, CaseError> {
    read_object_type(0, text).map(|node| node.guid)
}

/// Reads a descriptor as text, or in hexadecimal, which starts with its revision.
fn read_descriptor(what: &str, text: &str, domain: Option<&Sid>, readings: Readings) -> Result<Descriptor, CaseError> {
    if text.starts_with("01") {
        return Descriptor::parse(&read_hex(what, text)?).map_err(CaseError::Malformed);
    }
    read_sddl(what, text, domain, readings)
}

//! `vicar check`: decides who may do what with an object, and says why.

mod case;
mod claim;
mod story;
mod token;

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use vicar_nt::check::{Api, ObjectType, decide, decide_each, explain, remedies};
use vicar_nt::descriptor::Descriptor;
use vicar_nt::privilege::PrivilegeState;
use vicar_nt::token::TokenState;
use vicar_nt::{GroupAttributes, Readings, Sid};

use crate::command::readings::ReadingArgs;
use crate::command::strict_json;
use crate::exit::Exit;
use case::{Case, CaseLine, Parts};
pub(super) use case::{
    CaseError, MappingName, Mask, read_hex, read_mapping, read_mask, read_object_type, read_sddl, read_sid,
};
use token::{Attributes, LevelName, read_level, read_privilege};
pub(super) use token::{TokenCase, only_object};

/// What stands below the options in `--help`.
const HELP: &str = "\
A question of --jsonl, or of --case, is {id, sddl | sd_hex, desired, mapping?, api?, previous?,
object_types?, result_list?, self_sid?, caps?, domain?, token}. The token is {user, user_attrs?,
groups?, privileges?, restricted?, write_restricted?, appcontainer?, capabilities?, lpac?, il?,
mandatory_policy?, trust?, level?, type?, user_claims?, device_claims?, local_claims?,
device_groups?}. A claim is a value, a list of values, or {type, flags?, values}; a SID is written
\"SID(S-1-..)\", bytes as pairs of digits, and a value of type 4 {version, name}.
The answer is {id, granted}, {id, status}, {id, results} with result_list, or {id, error} for a line
that is no question.

Exit codes: 0 granted (with --jsonl: all lines were answered), 1 denied, 2 wrong arguments, or it
cannot run.";

/// Arguments of `vicar check`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("object").required(true).args(["sddl", "sd_hex", "case", "jsonl"])))]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// The object's security descriptor, as text.
    #[arg(long, value_name = "TEXT")]
    sddl: Option<String>,
    /// The object's security descriptor, as bytes in hexadecimal.
    #[arg(long, value_name = "HEX")]
    sd_hex: Option<String>,
    /// The whole question, as in a line of --jsonl.
    #[arg(long, value_name = "JSON", conflicts_with_all = ["desired", "user"])]
    case: Option<String>,
    /// Answer one JSON question a line from standard input instead.
    #[arg(long, conflicts_with_all = ["explain", "json", "desired", "user"])]
    jsonl: bool,
    /// What is asked for: a number, or rights as in SDDL ("FR", "GRGW").
    #[arg(long, value_name = "MASK", required_unless_present_any = ["jsonl", "case"])]
    desired: Option<String>,
    /// What generic rights mean: none, file, registry, mutant, process, directory, ds, test, or four numbers.
    #[arg(long, default_value = "file")]
    mapping: String,
    /// Judge the question as a server asks about its own objects, not as the system does.
    #[arg(long)]
    user_api: bool,
    /// What was granted before.
    #[arg(long, value_name = "MASK")]
    previous: Option<String>,
    /// A node of an object type list, in order; may be repeated.
    #[arg(long = "object-type", value_name = "LEVEL:GUID")]
    object_types: Vec<String>,
    /// Who the object is, when it is a principal.
    #[arg(long, value_name = "SID")]
    self_sid: Option<String>,
    /// The domain that aliases such as DA belong to.
    #[arg(long, value_name = "SID")]
    domain: Option<String>,
    /// The user of the token.
    #[arg(long, value_name = "SID", required_unless_present_any = ["jsonl", "case"])]
    user: Option<String>,
    /// The user counts for deny entries only.
    #[arg(long)]
    user_deny_only: bool,
    /// A group of the token, with ":deny_only" or ":disabled" behind it if it is; may be repeated.
    #[arg(long = "group", value_name = "SID")]
    groups: Vec<String>,
    /// An enabled privilege of the token; may be repeated.
    #[arg(long = "privilege", value_name = "NAME")]
    privileges: Vec<String>,
    /// A restricting SID of the token; may be repeated.
    #[arg(long = "restricted", value_name = "SID")]
    restricted: Vec<String>,
    /// The restricting SIDs count for writing only.
    #[arg(long)]
    write_restricted: bool,
    /// The package the token is confined to.
    #[arg(long, value_name = "SID")]
    appcontainer: Option<String>,
    /// A capability of the package; may be repeated.
    #[arg(long = "capability", value_name = "SID")]
    capabilities: Vec<String>,
    /// The package is less privileged.
    #[arg(long)]
    lpac: bool,
    /// The integrity level of the token.
    #[arg(long, value_name = "SID", default_value = "ME")]
    il: String,
    /// The mandatory policy of the token.
    #[arg(long, default_value_t = 1)]
    mandatory_policy: u32,
    /// The trust SID of the token.
    #[arg(long, value_name = "SID")]
    trust: Option<String>,
    /// At which level the token is impersonated.
    #[arg(long, value_enum, default_value = "impersonation")]
    level: LevelName,
    /// The token is a process's own; nobody is impersonated.
    #[arg(long, conflicts_with = "level")]
    primary: bool,
    /// Show every step.
    #[arg(long)]
    explain: bool,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    readings: ReadingArgs,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Exit {
    if args.jsonl {
        return stream(args.readings.read());
    }
    match args.case() {
        Ok(case) => answer(&case, args.explain, args.json),
        Err(error) => error.show("vicar check"),
    }
}

impl Args {
    fn case(&self) -> Result<Case, CaseError> {
        if let Some(json) = &self.case {
            let line = strict_json::read(json.as_bytes()).map_err(|error| CaseError::wrong("--case", error))?;
            let line = CaseLine::deserialize(&line).map_err(|error| CaseError::wrong("--case", error))?;
            return Case::from_line(line, self.readings.read());
        }
        let domain = self.domain.as_deref().map(|text| read_sid("--domain", text, None)).transpose()?;
        let domain = domain.as_ref();
        let descriptor = match (&self.sddl, &self.sd_hex) {
            (Some(text), _) => read_sddl("--sddl", text, domain, self.readings.read())?,
            (None, Some(hex)) => Descriptor::parse(&read_hex("--sd-hex", hex)?).map_err(CaseError::Malformed)?,
            (None, None) => return Err(CaseError::Wrong("give --sddl or --sd-hex".to_owned())),
        };
        let object_types = self.object_types.iter().map(|text| split_object_type(text));
        Case::from_parts(Parts {
            descriptor,
            desired: read_mask("--desired", self.desired.as_deref().unwrap_or("0"))?,
            mapping: read_mapping(&self.mapping)?,
            api: if self.user_api { Api::NtAccessCheck } else { Api::SeAccessCheck },
            previous: read_mask("--previous", self.previous.as_deref().unwrap_or("0"))?,
            object_types: object_types.collect::<Result<_, CaseError>>()?,
            self_sid: self.self_sid.as_deref().map(|text| read_sid("--self-sid", text, domain)).transpose()?,
            token: self.token(domain)?,
            level: (!self.primary).then(|| self.level.level()),
            readings: self.readings.read(),
        })
    }

    fn token(&self, domain: Option<&Sid>) -> Result<TokenState, CaseError> {
        let sid = |what: &str, text: &str| read_sid(what, text, domain);
        let user = sid("--user", self.user.as_deref().unwrap_or(""))?;
        let mut token =
            TokenState::builder(user).mandatory_policy(self.mandatory_policy).integrity(read_level(&self.il)?);
        if self.user_deny_only {
            token = token.user_deny_only();
        }
        for text in &self.groups {
            let (text, attributes) = split_group(text)?;
            token = token.group(sid("--group", text)?, attributes);
        }
        for name in &self.privileges {
            token = token.privilege(read_privilege(name)?, PrivilegeState::Enabled);
        }
        for text in &self.restricted {
            token = token.restricting(sid("--restricted", text)?);
        }
        if self.write_restricted {
            token = token.write_restricted();
        }
        if let Some(text) = &self.appcontainer {
            token = token.app_container(sid("--appcontainer", text)?);
        }
        for text in &self.capabilities {
            token = token.capability(sid("--capability", text)?);
        }
        if self.lpac {
            token = token.less_privileged();
        }
        if let Some(text) = &self.trust {
            token = token.trust(sid("--trust", text)?);
        }
        token.build().map_err(|error| CaseError::wrong("token", error))
    }
}

fn split_group(text: &str) -> Result<(&str, GroupAttributes), CaseError> {
    let Some((sid, attributes)) = text.split_once(':') else { return Ok((text, GroupAttributes::ALWAYS_ENABLED)) };
    let attributes = <Attributes as clap::ValueEnum>::from_str(attributes, false);
    let attributes = attributes.map_err(|_| CaseError::wrong("--group", "expected enabled, deny_only or disabled"))?;
    Ok((sid, attributes.attributes()))
}

fn split_object_type(text: &str) -> Result<ObjectType, CaseError> {
    let wrong = || CaseError::wrong("--object-type", "expected LEVEL:GUID");
    let (level, guid) = text.split_once(':').ok_or_else(wrong)?;
    read_object_type(level.parse().map_err(|_| wrong())?, guid)
}

/// Answers one question for people, or as one JSON object.
fn answer(case: &Case, wants_steps: bool, wants_json: bool) -> Exit {
    let (verdict, rows) = case.ask(|request| {
        let (answer, steps) = explain(request);
        let rows = steps.iter().filter(|_| wants_steps).filter_map(|step| story::tell(step, &case.mapping));
        (answer.map(|grant| grant.mask()), rows.collect::<Vec<story::Row>>())
    });
    let found = if wants_steps { case.ask(remedies) } else { Vec::new() };
    let found: Vec<String> = found.iter().map(|remedy| story::name_remedy(remedy, &case.mapping)).collect();
    if wants_json {
        let mut out = match &verdict {
            Ok(mask) => json!({ "granted": mask.to_string() }),
            Err(denial) => {
                let why = story::name_refusal(denial.by);
                json!({ "status": denial.status().to_string(), "missing": denial.missing.to_string(), "why": why })
            }
        };
        if let (true, Some(out)) = (wants_steps, out.as_object_mut()) {
            let steps = rows.iter().map(|row| json!({ "step": row.step, "what": row.what, "result": row.result }));
            out.insert("steps".to_owned(), steps.collect());
            out.insert("would_help".to_owned(), json!(found));
        }
        println!("{out}");
    } else {
        let width = |text: fn(&story::Row) -> &str| rows.iter().map(|row| text(row).chars().count()).max().unwrap_or(0);
        let (step_width, what_width) = (width(|row| &row.step), width(|row| &row.what));
        for row in &rows {
            println!("{:<step_width$}  {:<what_width$}  {}", row.step, row.what, row.result);
        }
        for remedy in &found {
            println!("would help: {remedy}");
        }
        match &verdict {
            Ok(mask) if !wants_steps => println!("granted {mask}"),
            Err(denial) if !wants_steps => {
                println!("{}: {}", denial.status(), story::name_refusal(denial.by));
            }
            Ok(_) | Err(_) => {}
        }
    }
    if verdict.is_ok() { Exit::Right } else { Exit::Wrong }
}

/// Answers questions line by line.
fn stream(readings: Readings) -> Exit {
    crate::command::sddl::answer_lines("vicar check", |line| answer_line(line, readings))
}

/// Answers one line.
fn answer_line(line: &Json, readings: Readings) -> Map<String, Json> {
    let case = CaseLine::deserialize(line).map_err(|error| CaseError::Wrong(error.to_string()));
    match case.and_then(|case| Case::from_line(case, readings)) {
        Ok(case) => answer_case(&case),
        Err(error) => match error.status() {
            Some(status) => object([("status", json!(status.to_string())), ("detail", json!(error.to_string()))]),
            None => object([("error", json!(error.to_string()))]),
        },
    }
}

fn answer_case(case: &Case) -> Map<String, Json> {
    case.ask(|request| {
        if case.wants_each {
            return match decide_each(request) {
                Ok(nodes) => {
                    let nodes = nodes.iter().map(|node| json!([node.status.to_string(), node.granted.to_string()]));
                    object([("results", nodes.collect())])
                }
                Err(denial) => object([("status", json!(denial.status().to_string()))]),
            };
        }
        match decide(request) {
            Ok(grant) => object([("granted", json!(grant.mask().to_string()))]),
            Err(denial) => object([("status", json!(denial.status().to_string()))]),
        }
    })
}

pub(super) fn object<const N: usize>(fields: [(&str, Json); N]) -> Map<String, Json> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

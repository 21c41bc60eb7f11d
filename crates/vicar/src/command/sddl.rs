//! `vicar sddl`: translates security descriptors between text and bytes.

use std::io::{BufRead, BufReader, Write};

use ariadne::{Config, IndexType, Label, Report, ReportKind, Source};
use serde_json::{Map, Value as Json, json};
use vicar_nt::descriptor::Descriptor;
use vicar_nt::{Readings, Sid, sddl};

use crate::command::readings::ReadingArgs;
use crate::command::strict_json;
use crate::exit::Exit;

/// What stands below the options in `--help`.
const HELP: &str = "\
A line of --jsonl is {id, sddl, domain?} and answered {id, hex}, or {id, error, at} with the byte at
which the text is wrong; or it is {id, hex, domain?} and answered {id, sddl}, or {id, error, at?}.

Exit codes: 0 translated (with --jsonl: all lines were answered), 2 not a security descriptor, or
wrong arguments.";

/// Arguments of `vicar sddl`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
#[command(group(clap::ArgGroup::new("input").required(true).args(["text", "hex", "jsonl"])))]
pub(crate) struct Args {
    /// A security descriptor as text; its bytes are printed in hexadecimal.
    text: Option<String>,
    /// A security descriptor as bytes in hexadecimal; its text is printed.
    #[arg(long)]
    hex: Option<String>,
    /// Answer one JSON question a line from standard input instead.
    #[arg(long)]
    jsonl: bool,
    /// Print the canonical text of TEXT instead of its bytes.
    #[arg(long, conflicts_with_all = ["hex", "jsonl"])]
    canonical: bool,
    /// The domain that aliases such as DA belong to.
    #[arg(long, value_name = "SID", conflicts_with = "jsonl")]
    domain: Option<String>,
    #[command(flatten)]
    readings: ReadingArgs,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Exit {
    if args.jsonl {
        let readings = args.readings.read();
        return answer_lines("vicar sddl", |line| answer_line(line, readings));
    }
    let domain = match args.domain.as_deref().map(|text| sddl::parse_sid(text, None)).transpose() {
        Ok(domain) => domain,
        Err(error) => {
            eprintln!("vicar sddl: --domain: {error}");
            return Exit::CannotRun;
        }
    };
    let readings = args.readings.read();
    match (&args.text, &args.hex) {
        (Some(text), _) => match sddl::parse_by(text, domain.as_ref(), readings) {
            Ok(descriptor) if args.canonical => print_text(&descriptor, domain.as_ref(), readings),
            Ok(descriptor) => {
                println!("{}", to_hex(descriptor.as_bytes()));
                Exit::Right
            }
            Err(error) => {
                point_at(text, &error);
                Exit::CannotRun
            }
        },
        (None, Some(hex)) => match from_hex(hex).map(|bytes| Descriptor::parse(&bytes)) {
            Some(Ok(descriptor)) => print_text(&descriptor, domain.as_ref(), readings),
            Some(Err(error)) => {
                eprintln!("vicar sddl: {error} ({})", error.status());
                Exit::CannotRun
            }
            None => {
                eprintln!("vicar sddl: --hex: expected pairs of hexadecimal digits");
                Exit::CannotRun
            }
        },
        (None, None) => Exit::CannotRun,
    }
}

fn print_text(descriptor: &Descriptor, domain: Option<&Sid>, readings: Readings) -> Exit {
    match sddl::print_by(descriptor.as_ref(), domain, readings) {
        Ok(text) => {
            println!("{text}");
            Exit::Right
        }
        Err(error) => {
            eprintln!("vicar sddl: {error}");
            Exit::CannotRun
        }
    }
}

/// Shows a text with a mark where it is wrong.
pub(crate) fn point_at(text: &str, error: &sddl::SddlError) {
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let config = Config::default().with_index_type(IndexType::Byte).with_color(is_terminal);
    let end = text.get(error.at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    let span = error.at..error.at.saturating_add(end);
    let report = Report::build(ReportKind::Error, span.clone())
        .with_config(config)
        .with_message("not a security descriptor")
        .with_label(Label::new(span).with_message(error.problem));
    if report.finish().eprint(Source::from(text)).is_err() {
        eprintln!("vicar sddl: {error}");
    }
}

fn answer_line(line: &Json, readings: Readings) -> Map<String, Json> {
    let mut out = Map::new();
    let mut fail = |error: String, at: Option<usize>| {
        out.insert("error".to_owned(), json!(error));
        if let Some(at) = at {
            out.insert("at".to_owned(), json!(at));
        }
    };
    let text_of = |name: &str| match line.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(format!("{name}: expected text")),
    };
    let fields = text_of("sddl").and_then(|text| Ok((text, text_of("hex")?, text_of("domain")?)));
    let (text, hex, domain) = match fields {
        Ok(fields) => fields,
        Err(error) => {
            fail(error, None);
            return out;
        }
    };
    let domain = match domain.map(|text| sddl::parse_sid(text, None)).transpose() {
        Ok(domain) => domain,
        Err(error) => {
            fail(format!("domain: {error}"), None);
            return out;
        }
    };
    match (text, hex) {
        (Some(text), _) => match sddl::parse_by(text, domain.as_ref(), readings) {
            Ok(descriptor) => {
                out.insert("hex".to_owned(), json!(to_hex(descriptor.as_bytes())));
            }
            Err(error) => fail(error.problem.to_string(), Some(error.at)),
        },
        (None, Some(hex)) => match from_hex(hex).map(|bytes| Descriptor::parse(&bytes)) {
            Some(Ok(descriptor)) => match sddl::print_by(descriptor.as_ref(), domain.as_ref(), readings) {
                Ok(text) => {
                    out.insert("sddl".to_owned(), json!(text));
                }
                Err(error) => fail(error.to_string(), None),
            },
            Some(Err(error)) => fail(error.to_string(), Some(error.at_byte())),
            None => fail("hex: expected pairs of hexadecimal digits".to_owned(), None),
        },
        (None, None) => fail("neither sddl nor hex".to_owned(), None),
    }
    out
}

/// Reads standard input line by line and answers every line in order; the answer starts with the line's id.
///
/// A line that is not JSON is answered with an error and the next one is read.
pub(crate) fn answer_lines(program: &str, answer: impl Fn(&Json) -> Map<String, Json>) -> Exit {
    let mut input = BufReader::new(std::io::stdin().lock());
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        match input.read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                eprintln!("{program}: standard input: {error}");
                return Exit::CannotRun;
            }
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let fields = match strict_json::read(&line) {
            Ok(line) => answer(&line),
            Err(error) => Map::from_iter([("error".to_owned(), json!(error))]),
        };
        let fields = Json::Object(fields).to_string();
        let fields = fields.strip_prefix('{').unwrap_or("}");
        let id = strict_json::id_of(&line);
        let is_waiting = input.buffer().is_empty();
        let written = writeln!(output, "{{\"id\":{id},{fields}");
        let written = written.and_then(|()| if is_waiting { output.flush() } else { Ok(()) });
        if written.is_err() {
            // Nobody reads on.
            return Exit::CannotRun;
        }
    }
    if output.flush().is_ok() { Exit::Right } else { Exit::CannotRun }
}

/// Writes bytes as pairs of digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte.wrapping_shr(4)), digit(byte & 0xF)]).collect()
}

/// Reads pairs of digits; white space may stand anywhere.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: char| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let nibbles = text.chars().filter(|c| !c.is_whitespace()).map(digit).collect::<Option<Vec<u8>>>()?;
    let (pairs, rest) = nibbles.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high.wrapping_shl(4) | low).collect())
}

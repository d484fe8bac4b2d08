use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aplomb::policy::{Errors, Finding, NotLoaded, PolicyFile, human, lint, sheet};
use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::output::print;
use crate::paint::Paint;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The policy file
    #[arg(default_value = "aplomb.toml")]
    file: PathBuf,
    /// How findings are written
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Prints the decision sheet of each operation instead: its six answers, its numbers, its
    /// worst cases, its findings
    #[arg(long, value_enum, value_name = "AS", conflicts_with = "format", num_args = 0..=1, default_missing_value = "text")]
    print: Option<Sheet>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table, eighty columns wide
    Human,
    /// One object
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sheet {
    /// Plain text, a form feed between two sheets
    Text,
    /// One page of HTML, which prints a sheet a page
    Html,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let file = match PolicyFile::load(&args.file) {
        Ok(file) => file,
        Err(NotLoaded::Unreadable(error)) => {
            return Err(Failure::file(&args.file, "read", &error));
        }
        Err(NotLoaded::Wrong(errors)) if args.format == Format::Json => {
            print(&pretty(&wrong(&args.file, &errors))?)?;
            return Ok(ExitCode::from(UNREADABLE));
        }
        Err(other) => return Err(Failure::Environment(other.to_string())),
    };
    let findings = lint(&file);
    match (args.print, args.format) {
        (Some(Sheet::Text), _) => print(&sheet::text(&file))?,
        (Some(Sheet::Html), _) => print(&sheet::html(&file))?,
        (None, Format::Human) => print(&Paint::for_stdout().findings(&human(&findings)))?,
        (None, Format::Json) => print(&pretty(&report(&args.file, &findings))?)?,
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) })
}

fn report(file: &Path, findings: &[Finding]) -> Value {
    let findings: Vec<Value> = findings.iter().map(one).collect();
    json!({ "file": file.to_string_lossy(), "clean": findings.is_empty(), "findings": findings })
}

fn one(finding: &Finding) -> Value {
    let numbers: Map<String, Value> =
        finding.numbers.iter().map(|(name, number)| ((*name).to_owned(), json!(number))).collect();
    json!({
        "code": finding.code.as_str(),
        "severity": finding.severity.as_str(),
        "dependency": finding.dependency.as_deref(),
        "operation": finding.operation.as_deref(),
        "line": finding.at.map(|at| at.line),
        "column": finding.at.map(|at| at.column),
        "message": finding.what,
        "mend": finding.mend,
        "page": finding.code.page(),
        "numbers": numbers,
    })
}

fn wrong(file: &Path, errors: &Errors) -> Value {
    let faults = errors.faults().iter().map(|fault| {
        json!({
            "line": fault.at.line,
            "column": fault.at.column,
            "message": fault.what,
            "mend": fault.mend,
        })
    });
    let faults: Vec<Value> = faults.collect();
    json!({
        "file": file.to_string_lossy(),
        "clean": false,
        "errors": faults,
        "errors_left_out": errors.more(),
    })
}

fn pretty(value: &Value) -> Result<String, Failure> {
    let json = serde_json::to_string_pretty(value);
    let json = json.map_err(|error| Failure::Environment(format!("cannot write JSON: {error}")))?;
    Ok(json + "\n")
}

pub(crate) const EXIT_CODES: &str = "\
Exits 0 when the lint finds nothing, 1 when it finds something, 2 on wrong usage, 3 when the file \
cannot be read or is no policy file.";

const FINDINGS: u8 = 1;
const UNREADABLE: u8 = 3;

//! `residue config`: what is in force, and whether it can be used.

use std::fmt::Write as _;
use std::path::PathBuf;

use toml::Value;

use crate::args::{CheckArgs, ConfigArgs, ConfigCommand, ConfigFileArgs, LookArgs};
use crate::baseline::Baseline;
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::settings::Settings;
use crate::terminal::Terminal;
use crate::{engine, output, paths};

/// The JSON schema of the file, as published in `docs/schema`.
const SCHEMA: &str = include_str!("../../../../docs/schema/residue.schema.json");

pub(crate) fn run(args: ConfigArgs, terminal: &Terminal) -> Result<Exit, Error> {
    match args.command {
        ConfigCommand::Check(file) => check(file, terminal),
        ConfigCommand::Print(file) => print(file),
        ConfigCommand::Schema => output::stdout(|out| out.write_all(SCHEMA.as_bytes())).map(|()| Exit::Clean),
    }
}

fn read(file: Option<&PathBuf>) -> Result<Config, Error> {
    match file {
        Some(path) => Config::read(path),
        None => Config::find(&std::env::current_dir().unwrap_or_default()),
    }
}

fn check(args: ConfigFileArgs, terminal: &Terminal) -> Result<Exit, Error> {
    let config = read(args.file.as_ref())?;
    let Some(path) = config.path.clone() else {
        terminal.note("there is no .residue.toml here or above: the defaults are in force");
        return Ok(Exit::Clean);
    };
    let look = LookArgs { config: args.file.or(Some(path.clone())), ..LookArgs::default() };
    let settings = Settings::resolve(CheckArgs { look, ..CheckArgs::default() })?;
    engine::models(&engine::model_texts(&settings)?)?;
    config.baseline.as_deref().map(Baseline::read_or_start).transpose()?;
    terminal.note(&format!("{} is fine", paths::shown(&path, &settings.dir)));
    Ok(Exit::Clean)
}

/// Every setting in the form in which a configuration has it, so that the output is one.
fn print(args: ConfigFileArgs) -> Result<Exit, Error> {
    let config = read(args.file.as_ref())?;
    let look = LookArgs { config: args.file, ..LookArgs::default() };
    let settings = Settings::resolve(CheckArgs { look, ..CheckArgs::default() })?;
    let path = config.path.as_deref().map(|path| paths::shown(path, &settings.dir));
    let mut text = match &path {
        Some(path) => format!("# From {}, defaults where it says nothing.\n", residue_report::shown(path)),
        None => "# Defaults: there is no .residue.toml here or above.\n".to_owned(),
    };
    let list = |items: Vec<String>| Value::from(items);
    // What the file names it names relative to itself.
    let relative = |named: &PathBuf| match config.dir() {
        Some(dir) => paths::shown(named, dir),
        None => paths::slashed(named),
    };
    let codes = |rules: Vec<&'static str>| list(rules.into_iter().map(str::to_owned).collect());
    for (key, value) in [
        ("exclude", Some(list(config.exclude.iter().map(|(glob, _)| glob.clone()).collect()))),
        ("fail-on", Some(Value::from(settings.fail_on.to_string()))),
        ("strict", Some(Value::from(settings.strict))),
        ("tests", Some(Value::from(settings.tests))),
        ("include-vendor", Some(Value::from(settings.include_vendor))),
        ("tags", Some(list(settings.tags.clone()))),
        ("platforms", Some(list(settings.platforms.iter().map(ToString::to_string).collect()))),
        ("models", Some(list(settings.models.iter().map(relative).collect()))),
        ("baseline", config.baseline.as_ref().map(|path| Value::from(relative(path)))),
    ] {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{key} = {value}");
        }
    }
    let enabled = settings.rules.iter().filter(|rule| !rule.default_on).map(|rule| rule.code.as_str()).collect();
    let disabled = config.disable.iter().map(|(rule, _)| rule.code.as_str()).collect();
    let _ = write!(text, "\n[rules]\nenable = {}\ndisable = {}\n", codes(enabled), codes(disabled));
    for ignored in &config.ignore {
        let rules = ignored.rules.iter().map(|rule| rule.code.as_str()).collect();
        let _ = write!(text, "\n[[ignore]]\npaths = {}\n", list(ignored.patterns.clone()));
        let _ = writeln!(text, "rules = {}", codes(rules));
        if let Some(until) = ignored.until {
            let _ = writeln!(text, "until = {until}");
        }
        let _ = writeln!(text, "why = {}", Value::from(ignored.why.clone()));
    }
    output::stdout(|out| out.write_all(text.as_bytes()))?;
    Ok(Exit::Clean)
}

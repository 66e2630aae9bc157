//! `residue rules`: what there is to find.

use std::fmt::Write as _;

use crate::args::{ListFormat, RulesArgs};
use crate::error::{Error, Exit};
use crate::terminal::Terminal;
use crate::{engine, output};

pub(crate) fn run(args: &RulesArgs, terminal: &Terminal) -> Result<Exit, Error> {
    match args.format {
        ListFormat::Json => {
            output::stdout(|out| residue_report::write_rules_json(engine::rules(), engine::tool(), out))?;
        }
        ListFormat::Text => {
            let table = table();
            output::stdout(|out| out.write_all(table.as_bytes()))?;
            terminal.hint("`residue explain CODE` says why it leaks, and how to fix it");
        }
    }
    Ok(Exit::Clean)
}

fn table() -> String {
    let rules = engine::rules();
    let name_width = rules.iter().map(|rule| rule.name.len()).max().unwrap_or(0).max("name".len());
    let mut table = format!("code  {:name_width$}  severity  confidence  default  finds\n", "name");
    for rule in rules {
        let default = if rule.default_on { "on" } else { "off" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "{}  {:name_width$}  {:8}  {:10}  {default:7}  {}",
            rule.code, rule.name, rule.severity, rule.confidence, rule.summary
        );
    }
    table
}

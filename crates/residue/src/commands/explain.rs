//! `residue explain`: a rule's page.

use std::fmt::Write as _;

use crate::args::ExplainArgs;
use crate::error::{Error, Exit};
use crate::terminal::Terminal;
use crate::{engine, markdown, output};

const WIDTH: usize = 100;

pub(crate) fn run(args: &ExplainArgs, terminal: &Terminal) -> Result<Exit, Error> {
    let rules = args.rules.iter().map(|name| {
        engine::find_rule(name).map_err(|hint| Error::usage(format!("there is no rule `{name}`")).hint(hint))
    });
    let rules = rules.collect::<Result<Vec<_>, _>>()?;
    output::stdout(|out| {
        for (index, rule) in rules.iter().enumerate() {
            let mut cwe = String::new();
            for number in rule.cwe {
                // Writing to a string cannot fail.
                let _ = write!(cwe, ", CWE-{number}");
            }
            let default = if rule.default_on { "on" } else { "off (`--rule`, or `enable` in .residue.toml)" };
            let page = format!(
                "# {} {}\n{}\n\nSeverity {}, confidence {}{cwe}, by default {default}.\n\n{}",
                rule.code,
                rule.name,
                rule.summary,
                rule.severity,
                rule.confidence,
                rule.page(),
            );
            let separator = if index > 0 { "\n" } else { "" };
            write!(out, "{separator}{}", markdown::render(&page, WIDTH, terminal.out().colour))?;
        }
        Ok(())
    })?;
    Ok(Exit::Clean)
}

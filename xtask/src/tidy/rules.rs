//! That every rule is documented, named for its defect, and tried on code that has it and code that has not.

use std::path::Path;

use residue_finding::{DOC_HEADINGS, Family, RuleMeta};

use crate::new_rule::{FIXTURES, RULES, UNWRITTEN, is_kebab};

/// Where the rules are that no source is looked at for: programs of the lab and recordings are their fixtures.
const PROCESS_RULES: &str = "crates/residue/src/commands/inspect/rules";
const KERNEL_RULES: &str = "crates/residue-fd/src/rules";

pub(super) fn problems(root: &Path) -> Vec<String> {
    let rules = residue_cli::rules();
    let mut problems: Vec<String> = rules.iter().flat_map(|rule| of_rule(rule)).collect();
    for pair in rules.windows(2) {
        if pair[0].code >= pair[1].code || pair[0].name == pair[1].name {
            problems.push(format!("{} and {}: out of order, or the same", pair[0].code, pair[1].code));
        }
    }
    for rule in rules {
        let folder = match rule.family {
            Family::Kernel => KERNEL_RULES,
            Family::Process => PROCESS_RULES,
            _ => RULES,
        };
        let file = format!("{folder}/{}.rs", rule.code.as_str().to_ascii_lowercase());
        if !root.join(&file).is_file() {
            problems.push(format!("{}: {file} is not there; a rule is one file", rule.code));
        }
        if !matches!(rule.family, Family::Kernel | Family::Process) {
            problems.extend(fixtures(root, rule));
        }
    }
    problems
}

pub(crate) fn of_rule(rule: &RuleMeta) -> Vec<String> {
    let mut problems = Vec::new();
    let mut problem = |what: &str| problems.push(format!("{}: {what}", rule.code));
    if !is_kebab(rule.name) {
        problem("its name is not in kebab-case");
    }
    if !rule.code.as_str().starts_with(rule.family.letter()) {
        problem("its code does not open with the letter of its family");
    }
    if rule.summary.is_empty() || rule.summary.ends_with('.') || rule.summary.len() > 80 {
        problem("its summary is not a line without a full stop");
    }
    if rule.cwe.is_empty() && rule.family != Family::Directives {
        problem("it names no CWE");
    }
    if rule.summary.contains(UNWRITTEN) || rule.docs.contains(UNWRITTEN) {
        problem("its summary or documentation is still to be written");
    }
    let (intro, sections) = rule.sections();
    if intro.is_empty() {
        problem("its documentation opens with a heading");
    }
    let headings: Vec<&str> = sections.iter().map(|section| section.heading.as_str()).collect();
    if headings != DOC_HEADINGS {
        problem(&format!("its headings are {headings:?}, not {DOC_HEADINGS:?}"));
    }
    for section in &sections {
        if section.body.is_empty() {
            problem(&format!("nothing stands under `{}`", section.heading));
        }
        if matches!(section.heading.as_str(), "Example" | "Fix") && !section.body.contains("```go\n") {
            problem(&format!("no Go code stands under `{}`", section.heading));
        }
    }
    problems
}

/// A rule's folder of fixtures has files in which it is wanted, and files in which nothing is. What the comments say is
/// compared with what the rule says by the tests of the crate.
fn fixtures(root: &Path, rule: &RuleMeta) -> Vec<String> {
    let folder = match rule.family {
        Family::Directives => format!("{FIXTURES}/suppress"),
        Family::Failure | Family::Kernel | Family::Process | Family::Resources => format!("{FIXTURES}/{}", rule.code),
    };
    let entries = match std::fs::read_dir(root.join(&folder)) {
        Ok(entries) => entries,
        Err(error) => return vec![format!("{}: {folder}: {error}", rule.code)],
    };
    let texts: Vec<String> = entries.flatten().filter_map(|entry| std::fs::read_to_string(entry.path()).ok()).collect();
    let code = format!(" {} ", rule.code);
    let wanted = |text: &&String| text.lines().any(|line| line.contains(" want ") && line.contains(&code));
    let mut problems = Vec::new();
    if texts.iter().filter(wanted).count() == 0 {
        problems.push(format!("{}: no file of {folder} has a `want{code}`", rule.code));
    }
    if texts.iter().filter(wanted).count() == texts.len() {
        problems.push(format!("{}: no file of {folder} is clean", rule.code));
    }
    problems
}

#[cfg(test)]
mod tests {
    use residue_finding::{Confidence, RuleCode, Severity};

    use super::*;

    #[test]
    fn a_careless_rule_is_refused() {
        let careless = RuleMeta {
            code: RuleCode::new("X201"),
            name: "Never_closed",
            summary: "Finds it.",
            family: Family::Resources,
            cwe: &[],
            severity: Severity::Warning,
            confidence: Confidence::High,
            default_on: true,
            joins: &[],
            docs: "//! ## Example\n",
        };
        let problems = of_rule(&careless);
        assert_eq!(problems.len(), 8, "{problems:#?}");
        for rule in residue_cli::rules() {
            assert_eq!(of_rule(rule), [""; 0]);
        }
    }
}

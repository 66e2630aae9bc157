//! Starts a rule: its file with the headings of its documentation, its entries in `rules/mod.rs`, its fixtures.
//!
//! What is made builds, and finds nothing: the tests of residue-check fail for the new code until it does, and tidy
//! until the documentation is written.

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr as _;

use residue_finding::{DOC_HEADINGS, Family, RuleCode};

/// Stands wherever the author has something to say; tidy doesn't let it through.
pub(crate) const UNWRITTEN: &str = "(to be written)";

pub(crate) const RULES: &str = "crates/residue-check/src/rules";
pub(crate) const FIXTURES: &str = "crates/residue-check/tests/fixtures";

/// Arguments of `new-rule`.
#[derive(Debug, clap::Args)]
pub(crate) struct NewRuleArgs {
    /// The code: the letter of a family and three digits, as R210
    code: String,
    /// The defect in kebab-case, as cancel-function-lost
    name: String,
}

/// Writes the files of a new rule, and tells what comes next. Nothing is written where anything is wrong with the code
/// or the name, or where `rules/mod.rs` doesn't read as it should.
pub(crate) fn run(args: &NewRuleArgs, root: &Path) -> Result<String, Box<dyn Error>> {
    let family = checked(&args.code, &args.name)?;
    let module = args.code.to_ascii_lowercase();
    let rule = root.join(RULES).join(format!("{module}.rs"));
    let fixtures = root.join(FIXTURES).join(&args.code);
    if let Some(taken) = [&rule, &fixtures].into_iter().find(|path| path.exists()) {
        return Err(format!("{} is taken: {} is there", args.code, taken.display()).into());
    }
    let list = root.join(RULES).join("mod.rs");
    let rules = fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
    let source = source(&rules, &args.code, &args.name, family)?;
    let files: Vec<(PathBuf, String)> = vec![
        (rule, formatted(root, &source)?),
        (fixtures.join("reported.go"), reported(&args.code)),
        (fixtures.join("clean.go"), clean(&args.code)),
        (list, formatted(root, &listed(&rules, &args.code)?)?),
    ];
    fs::create_dir_all(&fixtures)?;
    for (path, text) in &files {
        fs::write(path, text)?;
    }
    Ok(next_steps(&args.code))
}

/// The family of a code that is free, for a name that is.
fn checked(code: &str, name: &str) -> Result<Family, Box<dyn Error>> {
    let parsed = RuleCode::from_str(code)
        .map_err(|_| format!("`{code}` is not a rule's code: a capital letter and three digits, as R210"))?;
    if !is_kebab(name) {
        return Err(format!("`{name}` is not in kebab-case, as cancel-function-lost").into());
    }
    let rules = residue_cli::rules();
    if let Some(taken) = rules.iter().find(|rule| rule.code == parsed || rule.name == name) {
        return Err(format!("{} {} is taken: {}", taken.code, taken.name, taken.summary).into());
    }
    let family = rules.iter().map(|rule| rule.family).find(|family| code.starts_with(family.letter()));
    match family {
        Some(Family::Kernel) => Err("rules on what the kernel keeps look at no source; start from k101.rs".into()),
        Some(Family::Process) => Err("rules on what a program keeps look at no source; start from p301.rs".into()),
        Some(Family::Directives) => {
            Err("rules on residue's own comments are no rules over code; start from rules/x001.rs".into())
        }
        Some(family) => Ok(family),
        None => {
            let mut letters: Vec<char> = rules.iter().map(|rule| rule.family.letter()).collect();
            letters.dedup();
            Err(format!("`{code}` opens with the letter of no family; there are {letters:?}").into())
        }
    }
}

/// Whether a name is lower-case words with hyphens between them.
pub(crate) fn is_kebab(name: &str) -> bool {
    name.split('-').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()))
}

/// The rule's file. Its `check` has the signature that the trait has in `rules/mod.rs`.
fn source(rules: &str, code: &str, name: &str, family: Family) -> Result<String, Box<dyn Error>> {
    let module = code.to_ascii_lowercase();
    let signature = rules
        .split_once("trait Rule")
        .and_then(|(_, rest)| rest.split_once("fn check("))
        .and_then(|(_, rest)| rest.split_once(");"))
        .ok_or("rules/mod.rs: there is no `fn check` in a trait Rule")?
        .0;
    // Nothing is used yet.
    let unused = |param: &str| match param.split_once(": ") {
        Some((name, _)) if !name.starts_with('_') && !name.contains('<') => format!("_{param}"),
        _ => param.to_owned(),
    };
    let params: Vec<String> = signature.split(',').map(str::trim).filter(|p| !p.is_empty()).map(unused).collect();
    let mut imports: Vec<&str> = rules.lines().filter(|line| line.starts_with("use crate::")).collect();
    imports.push("use crate::rules::Rule;");
    imports.sort_unstable();
    Ok(format!(
        "{docs}
use residue_finding::{{Confidence, Family, Finding, RuleCode, RuleMeta, Severity, module_docs}};

{imports}

pub(super) static META: RuleMeta = RuleMeta {{
    code: RuleCode::new(\"{code}\"),
    name: \"{name}\",
    summary: \"{UNWRITTEN}\",
    family: Family::{family:?},
    cwe: &[],
    severity: Severity::Warning,
    confidence: Confidence::Medium,
    default_on: false,
    joins: &[],
    docs: module_docs(include_str!(\"{module}.rs\")),
}};

pub(super) struct {code};

impl Rule for {code} {{
    fn meta(&self) -> &'static RuleMeta {{
        &META
    }}

    fn check({params}) {{}}
}}
",
        docs = docs(),
        imports = imports.join("\n"),
        params = params.join(", "),
    ))
}

/// The comment that opens the file: every heading, and code where code has to stand.
fn docs() -> String {
    let mut docs = format!("//! {UNWRITTEN}\n");
    for heading in DOC_HEADINGS {
        docs.push_str(&format!("//!\n//! ## {heading}\n//!\n//! {UNWRITTEN}\n"));
        let code = match heading {
            "Example" => LEAKY,
            "Fix" => CORRECTED,
            _ => continue,
        };
        docs.push_str("//!\n//! ```go\n");
        for line in code.lines() {
            docs.push_str(format!("//! {line}").trim_end());
            docs.push('\n');
        }
        docs.push_str("//! ```\n");
    }
    docs
}

/// Go code that has the defect, until there is some.
const LEAKY: &str = "func leaks() {\n\tacquire()\n}\n\nfunc acquire() {}\n";
/// Go code that hasn't.
const CORRECTED: &str = "func leaksNothing() {}\n";

fn reported(code: &str) -> String {
    let wanted = LEAKY.replacen("acquire()\n", &format!("acquire() // want {code} \"{UNWRITTEN}\"\n"), 1);
    format!("// What {code} reports.\npackage p\n\n{wanted}")
}

fn clean(code: &str) -> String {
    format!("// What {code} does not report.\npackage p\n\n{CORRECTED}")
}

/// `rules/mod.rs` with the new rule in it.
fn listed(rules: &str, code: &str) -> Result<String, Box<dyn Error>> {
    let module = code.to_ascii_lowercase();
    let declared = rules.find("\nmod ").ok_or("rules/mod.rs: no module is declared")? + 1;
    let mut listed = rules.to_owned();
    listed.insert_str(declared, &format!("mod {module};\n"));
    let listed = with_entry(&listed, "RULES: &[&dyn Rule] = &[", &format!("&{module}::{code}"))?;
    with_entry(&listed, "ALL: &[&RuleMeta] = &[", &format!("&{module}::META"))
}

/// Adds an entry to a sorted list, which rustfmt may have moved to a line of its own.
fn with_entry(text: &str, opening: &str, entry: &str) -> Result<String, Box<dyn Error>> {
    let moved = opening.replacen("= &[", "=\n    &[", 1);
    let text = &text.replacen(&moved, opening, 1);
    let parts = text.split_once(opening).and_then(|(before, rest)| Some((before, rest.split_once("];")?)));
    let Some((before, (list, after))) = parts.filter(|(_, (list, _))| !list.contains("//")) else {
        return Err(format!("rules/mod.rs: there is no plain list that opens with `{opening}`").into());
    };
    let mut entries: Vec<&str> = list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
    entries.push(entry);
    entries.sort_unstable();
    Ok(format!("{before}{opening}{}];{after}", entries.join(", ")))
}

/// Rust source as rustfmt has it: modules sorted, long lists broken.
fn formatted(root: &Path, source: &str) -> Result<String, Box<dyn Error>> {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("rustfmt: {error}"))?;
    if let Some(mut stdin) = rustfmt.stdin.take() {
        stdin.write_all(source.as_bytes())?;
    }
    let output = rustfmt.wait_with_output()?;
    if !output.status.success() {
        return Err("rustfmt does not accept what was made of rules/mod.rs".into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn next_steps(code: &str) -> String {
    let module = code.to_ascii_lowercase();
    format!(
        "{code} is there, and finds nothing. What is left says `{UNWRITTEN}`:
  1. {FIXTURES}/{code}: code that has the defect in reported.go, code that hasn't in clean.go
  2. {RULES}/{module}.rs: the rule; `cargo test -p residue-check` fails until it finds what reported.go and the
     example want
  3. the same file: documentation, summary, CWE, severity, confidence; `cargo xtask tidy` fails until they are there
  4. cargo xtask docs
  5. run it on real code, read every finding, and switch it on (default_on) if it never cries wolf"
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use residue_finding::module_docs;
    use residue_syntax::{Bodies, parse};

    use super::*;

    fn args(code: &str, name: &str) -> NewRuleArgs {
        NewRuleArgs { code: code.to_owned(), name: name.to_owned() }
    }

    /// A copy of what cargo needs to check the rules.
    fn workspace() -> PathBuf {
        let (root, copy) = (crate::root(), crate::conformance::target_dir().join("new-rule/workspace"));
        let _ = fs::remove_dir_all(&copy);
        let files = crate::tidy::tracked(&root).expect("git lists the files");
        let needed = |file: &&String| {
            let top = file.split('/').next().unwrap_or_default();
            ["crates", "xtask", "bench", ".cargo"].contains(&top) || !file.contains('/')
        };
        for file in files.iter().filter(needed) {
            let to = copy.join(file);
            fs::create_dir_all(to.parent().expect("it has a folder")).expect("it can be made");
            fs::copy(root.join(file), to).expect("it can be copied");
        }
        copy
    }

    #[test]
    fn a_started_rule_builds_and_is_known_to_be_unfinished() {
        let copy = workspace();
        let said = run(&args("R299", "thing-left-behind"), &copy).expect("the code is free");
        assert!(said.contains("cargo xtask docs"), "{said}");
        let again = run(&args("R299", "thing-left-behind"), &copy).expect_err("now it is taken");
        assert!(again.to_string().starts_with("R299 is taken: "), "{again}");

        let read = |path: &str| fs::read_to_string(copy.join(path)).expect("it was written");
        let rules = read(&format!("{RULES}/mod.rs"));
        assert!(rules.contains("\nmod r299;\n"), "{rules}");
        assert!(rules.contains("&r299::R299") && rules.contains("&r299::META"), "it is in both lists\n{rules}");
        let reported = read(&format!("{FIXTURES}/R299/reported.go"));
        assert!(reported.contains("// want R299 "), "{reported}");
        for source in [&reported, &read(&format!("{FIXTURES}/R299/clean.go"))] {
            assert_eq!(parse(Arc::from(source.as_bytes()), Bodies::Keep).errors, [], "{source}");
        }

        let source = String::leak(read(&format!("{RULES}/r299.rs")));
        let made = residue_finding::RuleMeta {
            docs: module_docs(source),
            code: RuleCode::new("R299"),
            summary: UNWRITTEN,
            name: "thing-left-behind",
            cwe: &[],
            family: Family::Resources,
            ..*residue_cli::rules()[0]
        };
        let problems = crate::tidy::rules::of_rule(&made);
        assert_eq!(
            problems,
            ["R299: it names no CWE", "R299: its summary or documentation is still to be written"],
            "headings and code are there"
        );

        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let checked = Command::new(cargo)
            .args(["check", "--offline", "--locked", "--package", "residue-check", "--target-dir", "../target"])
            .current_dir(&copy)
            .output()
            .expect("cargo starts");
        let text = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success() && !text.contains("r299"), "{text}");
    }

    #[test]
    fn codes_and_names_that_will_not_do_are_refused() {
        let nowhere = Path::new("does/not/exist");
        for (code, name, why) in [
            ("r210", "a-b", "`r210` is not a rule's code: a capital letter and three digits, as R210"),
            ("R21", "a-b", "`R21` is not a rule's code"),
            ("R2100", "a-b", "`R2100` is not a rule's code"),
            ("../R", "a-b", "`../R` is not a rule's code"),
            ("R298", "NotKebab", "`NotKebab` is not in kebab-case"),
            ("R298", "a--b", "`a--b` is not in kebab-case"),
            ("R209", "a-b", "R209 cancel-function-lost is taken"),
            ("R298", "cancel-function-lost", "R209 cancel-function-lost is taken"),
            ("Q100", "a-b", "`Q100` opens with the letter of no family; there are ["),
            ("X003", "a-b", "rules on residue's own comments"),
            ("R298", "a-b", "does/not/exist/crates/residue-check/src/rules/mod.rs: "),
        ] {
            let error = run(&args(code, name), nowhere).expect_err(code).to_string();
            assert!(error.starts_with(why), "{error}");
        }
    }

    #[test]
    fn lists_that_read_otherwise_are_left_alone() {
        let list = "mod a;\nconst RULES: &[&dyn Rule] = &[&r201::R201, &r301::R301];\nconst ALL: &[&RuleMeta] = &[&r201::META];\n";
        let listed = listed(&format!("//! Rules.\n\n{list}"), "R205").expect("both lists are there");
        assert!(listed.contains("&[&r201::R201, &r205::R205, &r301::R301]"), "{listed}");
        assert!(listed.contains("&[&r201::META, &r205::META]"), "{listed}");
        for other in ["", "\nmod a;\n", "\nmod a;\nRULES: &[&dyn Rule] = &[\n// first\n&r201::R201];\n"] {
            assert!(super::listed(other, "R205").is_err(), "{other}");
        }
        assert!(source("trait Rule { fn look(); }", "R205", "a", Family::Resources).is_err());
    }
}

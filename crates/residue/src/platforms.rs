//! Several builds of one tree: what is asked for, and one outcome made of theirs.
//!
//! A finding that every build has is reported once, as if there were one build; one that only some have says which. A
//! suppression is unused when it is in all builds that read it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use residue_finding::{Diagnostic, Finding, Missing, Outcome, RuleCode, Site, Suppressed, SuppressedBy};

/// A build: `linux/amd64`, or `linux/amd64,netgo` with build tags of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    pub(crate) goos: String,
    pub(crate) goarch: String,
    pub(crate) tags: Vec<String>,
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.');
        let (platform, tags) = text.split_once(',').map_or((text, None), |(platform, tags)| (platform, Some(tags)));
        let tags: Vec<&str> = tags.into_iter().flat_map(|tags| tags.split(',')).collect();
        match platform.split_once('/') {
            Some((goos, goarch)) if [goos, goarch].iter().chain(&tags).all(|part| word(part)) => Ok(Self {
                goos: goos.to_owned(),
                goarch: goarch.to_owned(),
                tags: tags.into_iter().map(str::to_owned).collect(),
            }),
            _ => Err("expected GOOS/GOARCH such as linux/amd64, and build tags after commas if you like".to_owned()),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.goos, self.goarch)?;
        self.tags.iter().try_for_each(|tag| write!(f, ",{tag}"))
    }
}

/// What one build gives.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// What the platform is called.
    pub(crate) platform: String,
    /// Finished.
    pub(crate) outcome: Outcome,
    /// The packages analysed.
    pub(crate) packages: BTreeSet<String>,
    /// Their files.
    pub(crate) files: BTreeSet<String>,
    /// What is said of directories without any file for this platform.
    pub(crate) left_out: Vec<Diagnostic>,
}

/// One outcome of several.
pub(crate) fn merge(parts: Vec<Part>) -> Outcome {
    let mut merged = Outcome::default();
    let builds = parts.len();
    let used = used_suppressions(&parts);
    let mut findings = Findings::default();
    let mut suppressed = BTreeMap::new();
    let mut missing: BTreeMap<(String, Option<String>), Missing> = BTreeMap::new();
    let mut left_out: BTreeMap<Option<String>, Vec<Diagnostic>> = BTreeMap::new();
    let (mut packages, mut files) = (BTreeSet::new(), BTreeSet::new());
    for part in parts {
        let Outcome { findings: found, suppressed: held, summary } = part.outcome;
        findings.add(
            &part.platform,
            found.into_iter().filter(|finding| !Unused::of(finding).is_some_and(|it| used.contains(&it))),
        );
        let mut repeated = Repeated::default();
        for held in held {
            suppressed.entry((repeated.key(&held.finding), held.by.clone())).or_insert(held);
        }
        for one in summary.missing {
            let known = missing.entry((one.path.clone(), one.version.clone())).or_insert_with(|| one.clone());
            known.importers = known.importers.max(one.importers);
            known.packages.extend(one.packages);
        }
        for diagnostic in part.left_out {
            left_out.entry(diagnostic.path.clone()).or_default().push(diagnostic);
        }
        merged.summary.platforms.extend(summary.platforms);
        merged.summary.diagnostics.extend(summary.diagnostics);
        merged.summary.disabled.extend(summary.disabled);
        merged.summary.bodies += summary.bodies;
        merged.summary.executed += summary.executed;
        merged.summary.opened += summary.opened;
        merged.summary.given_up += summary.given_up;
        packages.extend(part.packages);
        files.extend(part.files);
    }
    merged.findings = findings.finish(builds);
    merged.suppressed = suppressed.into_values().collect();
    merged.summary.missing = missing.into_values().map(distinct).collect();
    for said in left_out.into_values().filter(|said| said.len() == builds) {
        merged.summary.diagnostics.extend(in_no_build(said));
    }
    (merged.summary.packages, merged.summary.files) = (packages.len(), files.len());
    merged.finish();
    merged
}

fn distinct(mut missing: Missing) -> Missing {
    missing.packages.sort();
    missing.packages.dedup();
    missing
}

/// A directory without files for any of the platforms; it counts for as little as in the build where it counts least.
fn in_no_build(said: Vec<Diagnostic>) -> Option<Diagnostic> {
    let builds = said.len();
    let mut least = said.into_iter().min_by_key(|diagnostic| diagnostic.severity)?;
    if builds == 1 {
        return Some(least);
    }
    least.message = format!("build constraints leave out all Go files for each of the {builds} platforms");
    Some(least)
}

/// What makes a finding the same in two builds: rule, place, subject, and how many of these came before it.
type Key = (RuleCode, Site, String, usize);

/// Tells equal findings of one build apart.
#[derive(Default)]
struct Repeated(BTreeMap<(RuleCode, Site, String), usize>);

impl Repeated {
    fn key(&mut self, finding: &Finding) -> Key {
        let (rule, site, subject) = (finding.rule, finding.site.clone(), finding.subject.clone());
        let count = self.0.entry((rule, site.clone(), subject.clone())).or_default();
        *count += 1;
        (rule, site, subject, *count)
    }
}

/// Findings with the platforms that have them.
#[derive(Default)]
struct Findings(BTreeMap<Key, (Finding, Vec<String>)>);

impl Findings {
    fn add(&mut self, platform: &str, found: impl Iterator<Item = Finding>) {
        let mut repeated = Repeated::default();
        for finding in found {
            let (_, platforms) = self.0.entry(repeated.key(&finding)).or_insert_with(|| (finding, Vec::new()));
            platforms.push(platform.to_owned());
        }
    }

    fn finish(self, builds: usize) -> Vec<Finding> {
        let noted = self.0.into_values().map(|(mut finding, platforms)| {
            if platforms.len() < builds {
                finding.notes.push(format!("only when built for {}", platforms.join(", ")));
            }
            finding
        });
        noted.collect()
    }
}

/// The rule about suppressions that suppress nothing.
const UNUSED: RuleCode = RuleCode::new("X001");

/// A code of a suppression comment.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Unused {
    path: String,
    line: u32,
    code: String,
}

impl Unused {
    /// What a finding about an unused suppression speaks of.
    fn of(finding: &Finding) -> Option<Self> {
        let about = finding.rule == UNUSED;
        about.then(|| Self {
            path: finding.site.path.clone(),
            line: finding.site.start.line,
            code: finding.subject.clone(),
        })
    }
}

/// The suppressions that hold something back in some build.
fn used_suppressions(parts: &[Part]) -> BTreeSet<Unused> {
    let held = parts.iter().flat_map(|part| &part.outcome.suppressed);
    held.filter_map(|Suppressed { finding, by }| match by {
        SuppressedBy::Comment { line, .. } => {
            Some(Unused { path: finding.site.path.clone(), line: *line, code: finding.rule.to_string() })
        }
        _ => None,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use residue_finding::{RuleMeta, Severity, Span};

    use super::*;
    use crate::engine;

    fn rule(code: &str) -> &'static RuleMeta {
        engine::find_rule(code).expect("the rule exists")
    }

    fn finding(code: &str, path: &str, line: u32, subject: &str) -> Finding {
        let site = Site { path: path.to_owned(), span: Span { start: line, end: line + 1 }, ..Site::default() };
        let mut finding = Finding::new(rule(code), "left behind", site);
        finding.site.start.line = line;
        finding.subject = subject.to_owned();
        finding
    }

    fn part(platform: &str, findings: Vec<Finding>) -> Part {
        let mut outcome = Outcome { findings, ..Outcome::default() };
        outcome.finish();
        Part { platform: platform.to_owned(), outcome, ..Part::default() }
    }

    fn shown(outcome: &Outcome) -> Vec<String> {
        let show = |f: &Finding| format!("{} {}:{} {}", f.rule, f.site.path, f.site.start.line, f.notes.join("; "));
        outcome.findings.iter().map(show).collect()
    }

    #[test]
    fn platforms_are_read_and_shown_alike() {
        for text in ["linux/amd64", "windows/arm64,netgo,a.b_c"] {
            assert_eq!(text.parse::<Platform>().map(|platform| platform.to_string()).as_deref(), Ok(text));
        }
        for text in
            ["", "linux", "linux/", "/amd64", "linux/amd64/v2", "linux/amd64,", "linux/amd64,a b", "linux amd64"]
        {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_only_some_builds_have_says_so() {
        let both = || finding("R201", "a.go", 3, "x()");
        let parts = || {
            vec![
                part("linux/amd64", vec![both(), finding("R201", "a_linux.go", 1, "x()")]),
                part("windows/amd64", vec![both()]),
                part("linux/arm64", vec![finding("R201", "a_linux.go", 1, "x()"), both()]),
            ]
        };
        let merged = merge(parts());
        assert_eq!(shown(&merged), ["R201 a.go:3 ", "R201 a_linux.go:1 only when built for linux/amd64, linux/arm64"]);
        assert_ne!(merged.findings[0].fingerprint, merged.findings[1].fingerprint);
        assert_eq!(merged, merge(parts()));
    }

    #[test]
    fn one_build_is_left_as_it_is() {
        let alone = part("", vec![finding("R201", "a.go", 3, "x()"), finding("R201", "a.go", 3, "x()")]);
        assert_eq!(merge(vec![Part { outcome: alone.outcome.clone(), ..Part::default() }]), alone.outcome);
    }

    #[test]
    fn equal_findings_of_one_build_stay_apart() {
        let twice = || vec![finding("R209", "a.go", 3, "x()"), { finding("R201", "a.go", 3, "x()") }];
        assert_eq!(shown(&merge(vec![part("a/b", twice()), part("c/d", twice())])), ["R201 a.go:3 ", "R209 a.go:3 "]);
    }

    #[test]
    fn a_suppression_is_unused_where_no_build_uses_it() {
        assert_eq!(rule("suppression-unused").code, UNUSED);
        let unused = |line| finding("X001", "a.go", line, "R201");
        let mut uses = part("windows/amd64", vec![unused(9)]);
        let by = SuppressedBy::Comment { line: 5, until: None, why: String::new() };
        uses.outcome.suppressed = vec![Suppressed { finding: finding("R201", "a.go", 6, "x()"), by }];
        let merged = merge(vec![part("linux/amd64", vec![unused(5), unused(9)]), uses]);
        assert_eq!((shown(&merged), merged.suppressed.len()), (vec!["X001 a.go:9 ".to_owned()], 1));
    }

    #[test]
    fn a_directory_is_left_out_when_all_builds_leave_it_out() {
        let left_out = |path: &str, severity| Diagnostic {
            severity,
            path: Some(path.to_owned()),
            position: None,
            message: "build constraints leave out all Go files for one".to_owned(),
            hint: None,
        };
        let mut linux = part("linux/amd64", Vec::new());
        linux.left_out = vec![left_out("plan9", Severity::Note), left_out("win", Severity::Note)];
        let mut windows = part("windows/amd64", Vec::new());
        windows.left_out = vec![left_out("plan9", Severity::Error)];
        let merged = merge(vec![linux, windows]);
        let said: Vec<_> = merged.summary.diagnostics.iter().map(|d| (d.severity, d.path.as_deref())).collect();
        assert_eq!(said, [(Severity::Note, Some("plan9"))]);
        assert!(merged.summary.diagnostics[0].message.ends_with("for each of the 2 platforms"));
    }

    #[test]
    fn what_is_missing_is_said_once() {
        let missing = |packages: &[&str], importers| Missing {
            path: "x.org/x".to_owned(),
            version: Some("v1.0.0".to_owned()),
            packages: packages.iter().map(|&path| path.to_owned()).collect(),
            importers,
            hint: None,
        };
        let with = |missing| {
            let mut part = part("p/q", Vec::new());
            part.outcome.summary.missing = vec![missing];
            part
        };
        let merged = merge(vec![with(missing(&["x.org/x/b"], 1)), with(missing(&["x.org/x/a", "x.org/x/b"], 3))]);
        assert_eq!(merged.summary.missing, [missing(&["x.org/x/a", "x.org/x/b"], 3)]);
    }
}

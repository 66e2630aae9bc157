//! Findings for programs: one JSON object, or one a line.
//!
//! The shape is documented in `docs/json.md` and described by
//! `docs/schema/check.schema.json`, against which the tests check it. Fields
//! may be added under the same [`SCHEMA_VERSION`]; a field that changes its
//! meaning or goes away raises it.

use std::io;

use residue_finding::{
    AcquireSite, Diagnostic, DisabledRule, Finding, LeftOut, Missing, Position, RuleMeta, Severity, Site, Stats,
    Suppressed, SuppressedBy,
};
use serde::Serialize;

use crate::source::SourceCache;
use crate::text::clean;
use crate::{Report, Tool, mask, shown_name as name, visible};

/// The version of the JSON shapes.
pub const SCHEMA_VERSION: u32 = 1;

/// Writes a run as one JSON object.
pub fn write_json(report: &Report<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let shapes = Shapes::new(report);
    let document = Document {
        header: shapes.header(),
        findings: shapes.findings().collect(),
        suppressed: shapes.suppressed().collect(),
        rules: shapes.rules(),
        disabled_rules: shapes.disabled().collect(),
        left_out: shapes.left_out().collect(),
        missing: shapes.missing().collect(),
        diagnostics: shapes.diagnostics().collect(),
        summary: shapes.summary(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
}

/// Writes a run as JSON lines: a `run` line, then everything there is to say,
/// then a `summary` line. A reader that sees no `summary` has lost the end.
pub fn write_json_lines(report: &Report<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let shapes = Shapes::new(report);
    let mut line = |line: &Line<'_>| -> io::Result<()> {
        serde_json::to_writer(&mut *out, line)?;
        out.write_all(b"\n")
    };
    line(&Line::Run(shapes.header()))?;
    for finding in shapes.findings() {
        line(&Line::Finding(Box::new(finding)))?;
    }
    for suppressed in shapes.suppressed() {
        line(&Line::Suppressed(Box::new(suppressed)))?;
    }
    for rule in shapes.rules() {
        line(&Line::Rule(rule))?;
    }
    for disabled in shapes.disabled() {
        line(&Line::DisabledRule(disabled))?;
    }
    for left_out in shapes.left_out() {
        line(&Line::LeftOut(left_out))?;
    }
    for missing in shapes.missing() {
        line(&Line::Missing(missing))?;
    }
    for diagnostic in shapes.diagnostics() {
        line(&Line::Diagnostic(diagnostic))?;
    }
    line(&Line::Summary(shapes.summary()))
}

/// Writes the rules there are as one JSON object.
pub fn write_rules_json(rules: &[&'static RuleMeta], tool: Tool<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let document = RuleList { header: header(tool), rules: rules.iter().map(|rule| rule_shape(rule)).collect() };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    header: HeaderShape<'a>,
    findings: Vec<FindingShape<'a>>,
    suppressed: Vec<SuppressedShape<'a>>,
    rules: Vec<RuleShape>,
    disabled_rules: Vec<DisabledShape>,
    left_out: Vec<LeftOutShape>,
    missing: Vec<MissingShape>,
    diagnostics: Vec<DiagnosticShape>,
    summary: SummaryShape,
}

#[derive(Serialize)]
struct RuleList<'a> {
    #[serde(flatten)]
    header: HeaderShape<'a>,
    rules: Vec<RuleShape>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Run(HeaderShape<'a>),
    Finding(Box<FindingShape<'a>>),
    Suppressed(Box<SuppressedShape<'a>>),
    Rule(RuleShape),
    DisabledRule(DisabledShape),
    LeftOut(LeftOutShape),
    Missing(MissingShape),
    Diagnostic(DiagnosticShape),
    Summary(SummaryShape),
}

#[derive(Serialize)]
struct HeaderShape<'a> {
    schema_version: u32,
    tool: ToolShape<'a>,
}

#[derive(Serialize)]
struct ToolShape<'a> {
    name: &'static str,
    version: &'a str,
    std_version: &'a str,
}

#[derive(Serialize)]
struct FindingShape<'a> {
    rule: String,
    name: &'a str,
    severity: &'static str,
    confidence: &'static str,
    message: String,
    site: SiteShape,
    label: String,
    steps: Vec<StepShape>,
    notes: Vec<String>,
    help: Option<HelpShape>,
    resource: String,
    acquire_site: Option<AcquireShape>,
    in_test: bool,
    fingerprint: String,
}

#[derive(Serialize)]
struct StepShape {
    role: &'static str,
    message: String,
    site: SiteShape,
}

#[derive(Serialize)]
struct HelpShape {
    message: String,
    edits: Vec<EditShape>,
}

#[derive(Serialize)]
struct EditShape {
    path: String,
    bytes: [u32; 2],
    replacement: String,
}

#[derive(Serialize)]
struct SiteShape {
    path: String,
    start: PositionShape,
    end: PositionShape,
    bytes: [u32; 2],
    import_path: String,
    declaration: String,
    excerpt: Option<String>,
}

#[derive(Serialize)]
struct PositionShape {
    line: u32,
    column: u32,
}

#[derive(Serialize)]
struct AcquireShape {
    import_path: String,
    file: String,
    line: u32,
    declaration: String,
}

#[derive(Serialize)]
struct SuppressedShape<'a> {
    by: ByShape,
    finding: FindingShape<'a>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum ByShape {
    Comment { line: u32, until: Option<String>, why: String },
    Generated,
    Config { by: String, why: String },
    Baseline { why: String },
    OutsideChange,
}

#[derive(Serialize)]
struct RuleShape {
    code: &'static str,
    name: &'static str,
    summary: &'static str,
    family: &'static str,
    severity: &'static str,
    confidence: &'static str,
    cwe: &'static [u32],
    default_on: bool,
    joins: Vec<&'static str>,
}

#[derive(Serialize)]
struct DisabledShape {
    code: String,
    by: String,
}

#[derive(Serialize)]
struct LeftOutShape {
    pattern: String,
    by: String,
}

#[derive(Serialize)]
struct BaselineShape {
    path: String,
    matched: usize,
    stale: Vec<StaleShape>,
}

#[derive(Serialize)]
struct StaleShape {
    fingerprint: String,
    rule: String,
    path: String,
    message: String,
}

#[derive(Serialize)]
struct ChangeShape {
    from: String,
    outside: usize,
}

#[derive(Serialize)]
struct MissingShape {
    path: String,
    version: Option<String>,
    packages: Vec<String>,
    importers: usize,
    hint: Option<String>,
}

#[derive(Serialize)]
struct DiagnosticShape {
    severity: &'static str,
    path: Option<String>,
    position: Option<PositionShape>,
    message: String,
    hint: Option<String>,
}

#[derive(Serialize)]
struct SummaryShape {
    complete: bool,
    platforms: Vec<String>,
    packages: usize,
    files: usize,
    errors: usize,
    warnings: usize,
    notes: usize,
    suppressed: usize,
    baseline: Option<BaselineShape>,
    change: Option<ChangeShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<StatsShape>,
}

#[derive(Serialize)]
struct StatsShape {
    phases: Vec<PhaseShape>,
    counters: Vec<CounterShape>,
}

#[derive(Serialize)]
struct PhaseShape {
    name: &'static str,
    wall_us: u64,
}

#[derive(Serialize)]
struct CounterShape {
    name: &'static str,
    value: u64,
}

/// Makes the shapes of a report.
struct Shapes<'a> {
    report: &'a Report<'a>,
    sources: SourceCache<'a>,
}

impl<'a> Shapes<'a> {
    fn new(report: &'a Report<'a>) -> Self {
        Self { report, sources: SourceCache::new(report.sources) }
    }

    fn header(&self) -> HeaderShape<'a> {
        header(self.report.tool)
    }

    fn findings(&self) -> impl Iterator<Item = FindingShape<'a>> {
        self.report.outcome.findings.iter().map(|f| self.finding(f))
    }

    fn suppressed(&self) -> impl Iterator<Item = SuppressedShape<'a>> {
        let suppressed = self.report.outcome.suppressed.iter().filter(|_| self.report.suppressed);
        suppressed.map(|Suppressed { finding, by }| SuppressedShape {
            by: match by {
                SuppressedBy::Comment { line, until, why } => {
                    ByShape::Comment { line: *line, until: until.map(|until| until.to_string()), why: clean(why) }
                }
                SuppressedBy::Generated => ByShape::Generated,
                SuppressedBy::Config { by, why } => ByShape::Config { by: clean(by), why: clean(why) },
                SuppressedBy::Baseline { why } => ByShape::Baseline { why: clean(why) },
                SuppressedBy::OutsideChange => ByShape::OutsideChange,
            },
            finding: self.finding(finding),
        })
    }

    /// The rules that found something.
    fn rules(&self) -> Vec<RuleShape> {
        let outcome = self.report.outcome;
        let found = |rule: &RuleMeta| {
            let suppressed = outcome.suppressed.iter().map(|s| &s.finding);
            outcome.findings.iter().chain(suppressed).any(|f| f.rule == rule.code)
        };
        let rules = self.report.rules.iter();
        rules.filter(|rule| found(rule)).map(|rule| rule_shape(rule)).collect()
    }

    fn disabled(&self) -> impl Iterator<Item = DisabledShape> {
        let disabled = self.report.outcome.summary.disabled.iter();
        disabled.map(|DisabledRule { code, by }| DisabledShape { code: code.to_string(), by: clean(by) })
    }

    fn left_out(&self) -> impl Iterator<Item = LeftOutShape> {
        let left_out = self.report.outcome.summary.left_out.iter();
        left_out.map(|LeftOut { pattern, by }| LeftOutShape { pattern: name(pattern), by: clean(by) })
    }

    fn missing(&self) -> impl Iterator<Item = MissingShape> {
        let missing = self.report.outcome.summary.missing.iter();
        missing.map(|missing: &Missing| MissingShape {
            path: name(&missing.path),
            version: missing.version.as_deref().map(name),
            packages: missing.packages.iter().map(|path| name(path)).collect(),
            importers: missing.importers,
            hint: missing.hint.as_deref().map(clean),
        })
    }

    fn diagnostics(&self) -> impl Iterator<Item = DiagnosticShape> {
        let diagnostics = self.report.outcome.summary.diagnostics.iter();
        diagnostics.map(|diagnostic: &Diagnostic| DiagnosticShape {
            severity: diagnostic.severity.as_str(),
            path: diagnostic.path.as_deref().map(name),
            position: diagnostic.position.map(position),
            message: clean(&diagnostic.message),
            hint: diagnostic.hint.as_deref().map(clean),
        })
    }

    fn summary(&self) -> SummaryShape {
        let outcome = self.report.outcome;
        SummaryShape {
            complete: outcome.summary.complete(),
            platforms: outcome.summary.platforms.iter().map(|platform| name(platform)).collect(),
            packages: outcome.summary.packages,
            files: outcome.summary.files,
            errors: outcome.count(Severity::Error),
            warnings: outcome.count(Severity::Warning),
            notes: outcome.count(Severity::Note),
            suppressed: outcome.suppressed.len(),
            baseline: self.baseline(),
            change: outcome.summary.change.as_deref().map(|from| ChangeShape {
                from: name(from),
                outside: self.held(|by| matches!(by, SuppressedBy::OutsideChange)),
            }),
            stats: outcome.summary.stats.as_ref().map(stats),
        }
    }

    fn baseline(&self) -> Option<BaselineShape> {
        let used = self.report.outcome.summary.baseline.as_ref()?;
        Some(BaselineShape {
            path: name(&used.path),
            matched: self.held(|by| matches!(by, SuppressedBy::Baseline { .. })),
            stale: used
                .stale
                .iter()
                .map(|entry| StaleShape {
                    fingerprint: entry.fingerprint.to_string(),
                    rule: entry.rule.to_string(),
                    path: name(&entry.path),
                    message: clean(&entry.message),
                })
                .collect(),
        })
    }

    /// How many findings are held back for a kind of reason.
    fn held(&self, kind: impl Fn(&SuppressedBy) -> bool) -> usize {
        self.report.outcome.suppressed.iter().filter(|held| kind(&held.by)).count()
    }

    fn finding(&self, finding: &Finding) -> FindingShape<'a> {
        FindingShape {
            rule: finding.rule.to_string(),
            name: self.report.rule_name(finding.rule),
            severity: finding.severity.as_str(),
            confidence: finding.confidence.as_str(),
            message: clean(&finding.message),
            site: self.site(&finding.site),
            label: clean(&finding.label),
            steps: finding
                .steps
                .iter()
                .map(|step| StepShape {
                    role: step.role.as_str(),
                    message: clean(&step.message),
                    site: self.site(&step.site),
                })
                .collect(),
            notes: finding.notes.iter().map(|note| clean(note)).collect(),
            help: finding.help.as_ref().map(|help| HelpShape {
                message: clean(&help.message),
                edits: help
                    .edits
                    .iter()
                    .map(|edit| EditShape {
                        path: name(&edit.path),
                        bytes: [edit.span.start, edit.span.end],
                        replacement: mask::text(&visible::text(&edit.replacement)),
                    })
                    .collect(),
            }),
            resource: clean(&finding.resource),
            acquire_site: finding.acquire.as_ref().map(acquire),
            in_test: finding.in_test,
            fingerprint: finding.fingerprint.to_string(),
        }
    }

    fn site(&self, site: &Site) -> SiteShape {
        SiteShape {
            path: name(&site.path),
            start: position(site.start),
            end: position(site.end),
            bytes: [site.span.start, site.span.end],
            import_path: name(&site.import_path),
            declaration: name(&site.declaration),
            excerpt: self.sources.excerpt(site),
        }
    }
}

fn header(tool: Tool<'_>) -> HeaderShape<'_> {
    HeaderShape {
        schema_version: SCHEMA_VERSION,
        tool: ToolShape { name: "residue", version: tool.version, std_version: tool.std_version },
    }
}

fn position(position: Position) -> PositionShape {
    PositionShape { line: position.line, column: position.column }
}

fn acquire(site: &AcquireSite) -> AcquireShape {
    AcquireShape {
        import_path: name(&site.import_path),
        file: name(&site.file),
        line: site.line,
        declaration: name(&site.declaration),
    }
}

fn rule_shape(rule: &'static RuleMeta) -> RuleShape {
    RuleShape {
        code: rule.code.as_str(),
        name: rule.name,
        summary: rule.summary,
        family: rule.family.title(),
        severity: rule.severity.as_str(),
        confidence: rule.confidence.as_str(),
        cwe: rule.cwe,
        default_on: rule.default_on,
        joins: rule.joins.iter().map(|join| join.as_str()).collect(),
    }
}

fn stats(stats: &Stats) -> StatsShape {
    StatsShape {
        phases: stats
            .phases
            .iter()
            .map(|phase| PhaseShape {
                name: phase.name,
                wall_us: u64::try_from(phase.wall.as_micros()).unwrap_or(u64::MAX),
            })
            .collect(),
        counters: stats
            .counters
            .iter()
            .map(|counter| CounterShape { name: counter.name, value: counter.value })
            .collect(),
    }
}

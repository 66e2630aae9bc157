//! Findings for people: excerpts as rustc shows them, at most 100 columns wide.

use std::io;

use annotate_snippets::renderer::Renderer;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Patch, Snippet};
use residue_finding::{Edit, Finding, Help, Severity, Site, Span};

use crate::source::SourceCache;
use crate::{Report, mask, visible};

/// No line of a report is wider, unless one word is.
const WIDTH_MAX: usize = 100;

/// How a text report looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextStyle {
    /// With terminal colours. Nothing is said by colour alone.
    pub colour: bool,
}

/// Writes the findings of a run, one block each, with a blank line between.
pub fn write_text(report: &Report<'_>, style: TextStyle, out: &mut dyn io::Write) -> io::Result<()> {
    let sources = SourceCache::new(report.sources);
    for finding in &report.outcome.findings {
        let block = render(finding, &sources, style);
        writeln!(out, "{}\n", block.trim_end())?;
    }
    Ok(())
}

/// One finding. Labels that would pass the right edge are written below the
/// excerpt instead.
pub(crate) fn render(finding: &Finding, sources: &SourceCache<'_>, style: TextStyle) -> String {
    let renderer = |style: TextStyle| {
        let renderer = if style.colour { Renderer::styled() } else { Renderer::plain() };
        renderer.term_width(WIDTH_MAX)
    };
    for labels in [Labels::Beside, Labels::Below] {
        let block = Block::new(finding, sources, labels);
        let plain = renderer(TextStyle::default()).render(&block.groups());
        if labels == Labels::Beside && plain.lines().any(|line| width(line) > WIDTH_MAX) {
            continue;
        }
        if !style.colour {
            return block.place(plain);
        }
        return block.place(renderer(style).render(&block.groups()));
    }
    unreachable!("labels below the excerpt are always accepted")
}

/// Where the words about a span go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Labels {
    /// Beside the underline.
    Beside,
    /// Numbered, and written out below the excerpt where they are long.
    Below,
}

/// What the renderer borrows from while it works.
struct Block {
    severity: Severity,
    title: String,
    code: String,
    excerpts: Vec<Excerpt>,
    notes: Vec<String>,
    help: Option<(String, Vec<Change>)>,
}

/// Spans of one file.
struct Excerpt {
    path: String,
    line: usize,
    column: usize,
    /// The line and column as counted in what is shown.
    shown: (usize, usize),
    /// The text and its first line; none when the source isn't known.
    window: Option<(usize, String)>,
    marks: Vec<Mark>,
}

struct Mark {
    primary: bool,
    span: std::ops::Range<usize>,
    label: String,
}

/// An edit, with the lines around it.
struct Change {
    path: String,
    first_line: usize,
    text: String,
    patch: (std::ops::Range<usize>, String),
}

/// A span with what is said about it.
struct Marked<'a> {
    site: &'a Site,
    primary: bool,
    label: String,
}

impl Block {
    fn new(finding: &Finding, sources: &SourceCache<'_>, labels: Labels) -> Self {
        let mut notes = Vec::new();
        let mut marked = vec![Marked { site: &finding.site, primary: true, label: clean(&finding.label) }];
        marked.extend(finding.steps.iter().map(|step| Marked {
            site: &step.site,
            primary: false,
            label: clean(&step.message),
        }));
        let excerpts = excerpts(marked, sources, labels, &mut notes);
        notes.extend(finding.notes.iter().map(|note| wrap(&clean(note), 6)));
        let indent = finding.severity.as_str().len() + "[R201]: ".len();
        Self {
            severity: finding.severity,
            title: wrap(&clean(&finding.message), indent),
            code: finding.rule.to_string(),
            excerpts,
            notes,
            help: finding.help.as_ref().map(|help| {
                let title = wrap(&clean(&help.message), "help: ".len());
                (title, changes(help, sources))
            }),
        }
    }

    /// The renderer counts columns in the text it shows; masked literals and
    /// characters beyond ASCII make that differ from the file.
    fn place(&self, mut rendered: String) -> String {
        for excerpt in &self.excerpts {
            let (line, column) = excerpt.shown;
            if excerpt.window.is_some() && excerpt.column != column {
                let shown = format!("{}:{line}:{column}", excerpt.path);
                let real = format!("{}:{}:{}", excerpt.path, excerpt.line, excerpt.column);
                rendered = rendered.replacen(&shown, &real, 1);
            }
        }
        rendered
    }

    fn groups(&self) -> Vec<Group<'_>> {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let title = level.primary_title(&self.title).id(&self.code);
        let mut group = Group::with_title(title);
        for excerpt in &self.excerpts {
            group = excerpt.add_to(group);
        }
        for note in &self.notes {
            group = group.element(Level::NOTE.no_name().message(note));
        }
        let mut groups = vec![group];
        if let Some((message, changes)) = &self.help {
            let mut help = Group::with_title(Level::HELP.secondary_title(message));
            for change in changes {
                let (span, new) = &change.patch;
                let snippet = Snippet::source(&change.text).path(&change.path).line_start(change.first_line);
                help = help.element(snippet.patch(Patch::new(span.clone(), new)));
            }
            groups.push(help);
        }
        groups
    }
}

impl Excerpt {
    fn add_to<'a>(&'a self, group: Group<'a>) -> Group<'a> {
        let Some((first_line, text)) = &self.window else {
            let origin = Origin::path(&self.path);
            // What isn't source has no lines.
            return match self.line {
                0 => group.element(origin),
                line => group.element(origin.line(line).char_column(self.column)),
            };
        };
        let marks = self.marks.iter().map(|mark| {
            let kind = if mark.primary { AnnotationKind::Primary } else { AnnotationKind::Context };
            let label = (!mark.label.is_empty()).then_some(mark.label.as_str());
            kind.span(mark.span.clone()).label(label)
        });
        group.element(Snippet::source(text).path(&self.path).line_start(*first_line).annotations(marks))
    }
}

/// One excerpt a file, the file of the finding first.
fn excerpts(
    marked: Vec<Marked<'_>>,
    sources: &SourceCache<'_>,
    labels: Labels,
    notes: &mut Vec<String>,
) -> Vec<Excerpt> {
    let mut files: Vec<(&str, Vec<Marked<'_>>)> = Vec::new();
    for mark in marked {
        match files.iter_mut().find(|(path, _)| *path == mark.site.path) {
            Some((_, marks)) => marks.push(mark),
            None => files.push((&mark.site.path, vec![mark])),
        }
    }
    let mut excerpts = Vec::with_capacity(files.len());
    for (path, marks) in files {
        let start = marks[0].site.start;
        let mut excerpt = Excerpt {
            path: visible::line(path).into_owned(),
            line: start.line as usize,
            column: start.column as usize,
            shown: (0, 0),
            window: None,
            marks: Vec::new(),
        };
        if let Some(source) = sources.get(path) {
            let spans: Vec<Span> = marks.iter().map(|mark| mark.site.span).collect();
            let window = source.window(&spans);
            // The place in the header is that of the primary span, or else of
            // the first one.
            let first = (0..marks.len()).min_by_key(|at| (!marks[*at].primary, window.spans[*at].start)).unwrap_or(0);
            let start = marks[first].site.start;
            excerpt.line = start.line as usize;
            excerpt.column = start.column as usize;
            let before = &window.text[..window.spans[first].start];
            excerpt.shown = (
                window.first_line + before.matches('\n').count(),
                before.chars().rev().take_while(|c| *c != '\n').count() + 1,
            );
            for (mut mark, span) in marks.into_iter().zip(window.spans) {
                if labels == Labels::Below {
                    shorten(&mut mark, room(&window.text, span.end), notes);
                }
                excerpt.marks.push(Mark { primary: mark.primary, span, label: mark.label });
            }
            excerpt.window = Some((window.first_line, window.text));
        } else {
            let place = |mark: &Marked<'_>| format!("line {}: {}", mark.site.start.line, mark.label);
            let labelled = marks.iter().filter(|mark| !mark.label.is_empty() && mark.site.start.line > 0);
            notes.extend(labelled.map(|mark| wrap(&place(mark), 6)));
        }
        excerpts.push(excerpt);
    }
    excerpts
}

/// How many columns are left beside an underline that ends at `end`.
fn room(text: &str, end: usize) -> usize {
    /// Line numbers, the bar, and the blanks around them.
    const GUTTER: usize = 8;
    let start = text[..end].rfind('\n').map_or(0, |at| at + 1);
    // Tabs are shown as four blanks.
    let columns = |text: &str| text.chars().map(|c| if c == '\t' { 4 } else { 1 }).sum::<usize>();
    let line = text[start..].lines().next().unwrap_or_default();
    if columns(line) + GUTTER > WIDTH_MAX {
        // The renderer cuts such a line, and where isn't known.
        return 28;
    }
    WIDTH_MAX.saturating_sub(GUTTER + columns(&text[start..end]))
}

/// Moves a label into the notes when it has no room.
fn shorten(mark: &mut Marked<'_>, room: usize, notes: &mut Vec<String>) {
    if width(&mark.label) <= room {
        return;
    }
    let place = format!("line {}: {}", mark.site.start.line, mark.label);
    notes.push(wrap(&place, 6));
    let cut = mark.label.char_indices().map(|(at, _)| at).nth(room.saturating_sub(1)).unwrap_or(0);
    let words = mark.label[..cut].rfind(' ').unwrap_or(cut);
    mark.label.truncate(words);
    mark.label.push('…');
}

/// The edits of a help, each with the lines it is about.
fn changes(help: &Help, sources: &SourceCache<'_>) -> Vec<Change> {
    let mut edits: Vec<_> = help.edits.iter().collect();
    edits.sort_by_key(|edit| (&edit.path, edit.span));
    let change = |edit: &&Edit| {
        let window = sources.get(&edit.path)?.window(&[edit.span]);
        let new = mask::text(&visible::text(&edit.replacement));
        Some(Change {
            path: visible::line(&edit.path).into_owned(),
            first_line: window.first_line,
            text: window.text,
            patch: (window.spans.into_iter().next()?, new),
        })
    };
    edits.iter().filter_map(change).collect()
}

/// A message as it may be shown: on one line, masked, without hidden characters.
pub(crate) fn clean(message: &str) -> String {
    mask::text(&visible::line(message))
}

/// Columns on a terminal. Wide characters are counted as one: a line that is a
/// little too long does no harm.
fn width(line: &str) -> usize {
    line.chars().count()
}

/// Breaks a text between words, given the columns its lines are indented by.
fn wrap(text: &str, indent: usize) -> String {
    let room = WIDTH_MAX.saturating_sub(indent).max(40);
    let mut out = String::with_capacity(text.len() + 8);
    let mut used = 0;
    for word in text.split(' ') {
        let len = width(word);
        if used > 0 && used + 1 + len > room {
            out.push('\n');
            used = 0;
        } else if used > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += len;
    }
    out
}

//! What pages say: what the views print, with each line that names an object, a goroutine or a type leading there.

use std::io;

use residue_report::{plural, shown_name as visible};
use residue_runtime::heap::{Heap, Retained};
use residue_runtime::{Frame, Goroutine, Report};

use super::super::{Answer, Shown, View, fds, finalizers, heap, object, panics, rules, text, why};
use super::browser::{Choices, Page, Place, Row, TABS};
use crate::figures::{bytes, grouped};

/// Functions that begin so say how a goroutine waits, not what it does.
const WAITING: [&str; 5] = ["runtime.", "internal/", "sync.", "syscall.", "time.Sleep"];
/// Columns of a state; longer ones move what is behind them.
const STATE_WIDTH: usize = 26;

/// Lines fit a terminal of 80 columns.
const HELP: &str = "\
↑ ↓  k j             one line
PgUp PgDn  space     one page
Home End  G          to the first, to the last
Enter → l            open what the line leads to (marked ›)
Esc ← h Backspace    back
1 … 7  Tab           to a page
/  n  N              search on the page; the next one, the one before
f                    only lines with a text; Esc shows all again
w                    why is the object of this line alive?
g                    goroutines: by stack, or one by one
s                    goroutines: the runtime's own too
d                    heap: what each type retains (takes a while)
r                    read the process again
q  Ctrl-C            quit

The process was stopped once, for as long as the first line says, and runs
now. Pages are of that moment, but for objects: what they lead to is read
when it is shown. Texts are shown by length and digest.";

/// What was read.
pub(super) struct Snapshot<'a> {
    /// What is shown of it, but for the heap.
    pub(super) shown: Shown<'a>,
    pub(super) heap: Heap<'a>,
    /// As the user wrote it.
    pub(super) name: &'a str,
    /// Made when the page is opened for the first time.
    pub(super) summary: Option<Answer>,
    pub(super) retained: Option<Retained>,
}

impl Snapshot<'_> {
    /// Makes a page, or says why it can't.
    pub(super) fn page(&mut self, place: &Place, choices: Choices) -> Result<Page, String> {
        (self.shown.system, self.shown.group) = (choices.system, choices.group);
        let title = TABS.iter().find(|(tab, _)| tab == place).map_or("", |(_, name)| name);
        let mut page = match place {
            Place::Summary => self.summary()?,
            Place::Goroutines => self.goroutines(),
            Place::Defers => self.written(|shown, _, out| text::write(shown, View::Defers, "", out))?,
            Place::Panics => {
                // One by one: grouped ones don't say where they are.
                self.shown.group = false;
                self.written(|shown, _, out| panics::write(shown, out))?
            }
            Place::Heap => self.heap(choices.retained),
            Place::Finalizers => self.written(finalizers::text)?,
            Place::Descriptors => {
                let table = fds::ask(self.shown.target, &mut self.heap).map_err(|error| error.message().to_owned())?;
                let table = table.with_pins();
                self.written(|_, _, out| fds::text(&table, usize::MAX, out))?
            }
            Place::Help => Page {
                title: "Keys".to_owned(),
                rows: HELP.lines().map(|line| Row { text: line.to_owned(), to: None }).collect(),
            },
            Place::Goroutine(id) => self.goroutine(*id)?,
            Place::Alike(id) => self.alike(*id)?,
            Place::Why(what) => {
                let why = why::ask(&mut self.heap, self.shown.report, Some(what)).map_err(|error| said(&error))?;
                let mut page = self.written(|_, _, out| why::text(&why, out))?;
                page.title = format!("why is {} alive?", visible(what));
                page
            }
            Place::Object(address) => {
                let what = format!("{address:#x}");
                let object = object::ask(&mut self.heap, Some(&what)).map_err(|error| said(&error))?;
                let mut page = self.written(|_, _, out| object::text(&object, out))?;
                page.title = format!("object {what}");
                // Not to itself, but to what keeps it.
                if let Some(first) = page.rows.first_mut() {
                    first.to = Some(Place::Why(what.clone()));
                    first.text += "  why is it alive?";
                }
                page
            }
        };
        if page.title.is_empty() {
            title.clone_into(&mut page.title);
        }
        // An object that is named where the question is why it is there.
        if matches!(place, Place::Finalizers | Place::Descriptors) {
            for row in &mut page.rows {
                if let Some(Place::Object(address)) = row.to {
                    row.to = Some(Place::Why(format!("{address:#x}")));
                }
            }
        }
        Ok(page)
    }

    /// What a view prints.
    fn written(
        &self,
        write: impl FnOnce(&Shown<'_>, &Heap<'_>, &mut dyn io::Write) -> io::Result<()>,
    ) -> Result<Page, String> {
        let mut out = Vec::new();
        write(&self.shown, &self.heap, &mut out).map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&out);
        let line = |line: &str| Row { text: line.to_owned(), to: leads_to(line, self.shown.report) };
        let rows = text.trim_start_matches('\n').lines().map(line).collect();
        Ok(Page { title: String::new(), rows })
    }

    fn summary(&mut self) -> Result<Page, String> {
        if self.summary.is_none() {
            let table = fds::ask(self.shown.target, &mut self.heap).map_err(|error| error.message().to_owned())?;
            let findings = rules::find(&self.shown, &mut self.heap, &table);
            self.summary = Some(Answer::Summary(table, findings));
        }
        let shown =
            Shown { heap: Some(&self.heap), answer: self.summary.as_ref().unwrap_or(&Answer::None), ..self.shown };
        let mut page = self.written(|_, _, out| text::write(&shown, View::Summary, self.name, out))?;
        for row in &mut page.rows {
            if row.to.is_none() {
                row.to = tab_of(&row.text);
            }
        }
        Ok(page)
    }

    fn goroutines(&self) -> Page {
        let report = self.shown.report;
        let line = |count: Option<usize>, goroutine: &Goroutine, state: &str| {
            let first = match count {
                Some(count) => format!("{:>7} ×", grouped(count)),
                None => format!("{:>9}", goroutine.id),
            };
            let place = doing(report, goroutine).map(|frame| {
                let file = text::place(frame);
                format!("{}  {}", text::function_name(&frame.function), file.rsplit('/').next().unwrap_or_default())
            });
            format!("{first}  {state:<STATE_WIDTH$}  {}", place.unwrap_or_default())
        };
        let rows = if self.shown.group {
            let row = |group: Vec<&Goroutine>| Row {
                text: line(Some(group.len()), group[0], &text::group_state(&group)),
                to: Some(if group.len() == 1 { Place::Goroutine(group[0].id) } else { Place::Alike(group[0].id) }),
            };
            text::groups(&self.shown).into_iter().map(row).collect()
        } else {
            let row = |goroutine: &Goroutine| Row {
                text: line(None, goroutine, &text::state(goroutine)),
                to: Some(Place::Goroutine(goroutine.id)),
            };
            self.shown.goroutines().map(row).collect()
        };
        let how = if self.shown.group { "by stack" } else { "one by one" };
        let whose = if self.shown.system { "the runtime's own too" } else { "the program's" };
        Page { title: format!("Goroutines, {how}, {whose}"), rows }
    }

    fn goroutine(&self, id: u64) -> Result<Page, String> {
        let found = self.shown.report.goroutines.iter().find(|goroutine| goroutine.id == id);
        let goroutine = found.ok_or_else(|| format!("there is no goroutine {id}"))?;
        let mut page = self.written(|shown, _, out| {
            text::one(shown, goroutine, out)?;
            if text::has_deferred(goroutine) {
                writeln!(out, "\ndeferred calls and panics")?;
                text::defers_of(shown, goroutine, out)?;
            }
            Ok(())
        })?;
        for row in &mut page.rows {
            if row.to == Some(Place::Goroutine(id)) {
                row.to = None;
            }
        }
        page.title = format!("goroutine {id}");
        Ok(page)
    }

    /// Goroutines that are grouped with this one: their stack, then each of them.
    fn alike(&self, id: u64) -> Result<Page, String> {
        let group = text::groups(&self.shown).into_iter().find(|group| group[0].id == id);
        let group = group.ok_or_else(|| format!("there is no goroutine {id}"))?;
        let mut page = self.written(|shown, _, out| {
            text::one(shown, group[0], out)?;
            writeln!(out, "\n{} like this one", plural(group.len() - 1, "other goroutine"))
        })?;
        page.rows.extend(group.iter().map(|goroutine| Row {
            text: format!("  goroutine {}  {}", goroutine.id, text::state(goroutine)),
            to: Some(Place::Goroutine(goroutine.id)),
        }));
        page.title = plural(group.len(), "goroutine");
        Ok(page)
    }

    fn heap(&mut self, retained: bool) -> Page {
        if retained && self.retained.is_none() {
            self.retained = Some(self.heap.retained());
        }
        let retained = self.retained.as_ref().filter(|_| retained);
        let mut out = Vec::new();
        // Writing to memory cannot fail.
        let _ = heap::overview(&self.heap, &mut out);
        let plain = |line: &str| Row { text: line.to_owned(), to: None };
        let mut rows: Vec<Row> = String::from_utf8_lossy(&out).lines().map(plain).collect();
        let column = |text: &str| if retained.is_some() { format!("{text:>12} ") } else { String::new() };
        rows.push(Row::default());
        rows.push(plain(&format!("{}{:>12} {:>12}  type", column("retained"), "bytes", "objects")));
        rows.extend(self.heap.kinds(retained).into_iter().map(|kind| {
            let kept = column(&bytes(kind.retained.unwrap_or(0)));
            let shown = kind.name.as_deref().map_or_else(|| "(unknown)".to_owned(), visible);
            Row {
                text: format!("{kept}{:>12} {:>12}  {shown}", bytes(kind.bytes), grouped(kind.objects as usize)),
                to: kind.name.map(Place::Why),
            }
        }));
        Page { title: String::new(), rows }
    }
}

/// An error with its hints, in a line.
fn said(error: &crate::error::Error) -> String {
    let hints = error.hints().iter().map(|hint| format!("; {hint}"));
    visible(&format!("{}{}", error.message(), hints.collect::<String>()))
}

/// The call that says what a goroutine does: the innermost one that is not a way of waiting, or else the innermost.
fn doing<'r>(report: &'r Report, goroutine: &'r Goroutine) -> Option<&'r Frame> {
    let waits = |frame: &&Frame| WAITING.iter().any(|start| frame.function.starts_with(start));
    report.stack(goroutine).find(|frame| !waits(frame)).or_else(|| report.stack(goroutine).next())
}

/// Where a line of a view leads: to what it proposes to ask, the last object that it names, or a goroutine.
fn leads_to(line: &str, report: &Report) -> Option<Place> {
    if let Some((_, what)) = line.split_once(" why ").filter(|(before, _)| before.contains("residue inspect")) {
        let what = what.split_whitespace().next()?.trim_matches(|char| matches!(char, '`' | '\'' | '"'));
        return Some(Place::Why(what.to_owned()));
    }
    let address = line.match_indices("0x").filter_map(|(at, _)| {
        let begins = !line[..at].ends_with(|char: char| char.is_alphanumeric() || char == '+');
        let digits = &line[at + 2..];
        let end = digits.find(|char: char| !char.is_ascii_hexdigit()).unwrap_or(digits.len());
        u64::from_str_radix(&digits[..end], 16).ok().filter(|_| begins)
    });
    if let Some(address) = address.last() {
        return Some(Place::Object(address));
    }
    let goroutine = line.match_indices("goroutine ").find_map(|(at, word)| {
        let digits = &line[at + word.len()..];
        let end = digits.find(|char: char| !char.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse::<u64>().ok()
    })?;
    let known = report.goroutines.binary_search_by_key(&goroutine, |known| known.id).is_ok();
    known.then_some(Place::Goroutine(goroutine))
}

/// The page of which a line of the summary tells in short.
fn tab_of(line: &str) -> Option<Place> {
    let word = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '))?;
    let place = match word.split("  ").next()? {
        "goroutines" | "waiting for" => Place::Goroutines,
        "deferred" | "in deferred" => Place::Defers,
        "panics" => Place::Panics,
        "heap" => Place::Heap,
        "finalizers" => Place::Finalizers,
        "descriptors" => Place::Descriptors,
        _ => return None,
    };
    Some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_fits_a_terminal() {
        assert!(HELP.lines().all(|line| line.chars().count() <= 78) && HELP.lines().count() <= 20);
    }

    #[test]
    fn lines_lead_to_what_they_name() {
        let goroutine = |id| Goroutine {
            id,
            status: residue_runtime::Status::Waiting,
            wait_reason: None,
            waiting: None,
            parent: 0,
            created_at: None,
            entry: None,
            role: residue_runtime::Role::User,
            cgo: false,
            locked: false,
            stack: Vec::new(),
            stack_cut: None,
            phase: residue_runtime::Phase::Running,
            in_deferred: None,
            deferred: Vec::new(),
            deferred_cut: None,
            panics: Vec::new(),
            labels: Vec::new().into(),
        };
        let report = Report {
            version: String::new(),
            basis: residue_gobin::Basis::Table,
            mode: residue_runtime::Freeze::None,
            frozen: None,
            goroutines: vec![goroutine(1), goroutine(17)],
            dead: 0,
            frames: std::collections::BTreeMap::new(),
            inconsistencies: std::collections::BTreeMap::new(),
        };
        for (line, to) in [
            ("goroutine 17  waiting", Some(Place::Goroutine(17))),
            ("  created in main.main  by goroutine 1", Some(Place::Goroutine(1))),
            ("goroutine 18 is not there", None),
            ("    .fd+0x8 → sys.FD  0xc000012340", Some(Place::Object(0xc0_0001_2340))),
            ("    +0x10 → 24 B of unknown type", None),
            ("  package variable at bss+0x120", None),
            ("  help: residue inspect 7 why fd:5    see one", Some(Place::Why("fd:5".to_owned()))),
            ("  why not a question", None),
            ("0x", None),
            ("goroutine 99999999999999999999", None),
        ] {
            assert_eq!(leads_to(line, &report), to, "{line}");
        }
    }

    #[test]
    fn lines_of_the_summary_lead_to_pages() {
        assert_eq!(tab_of("  in deferred  9        5 panicking"), Some(Place::Defers));
        assert_eq!(tab_of("  descriptors  16       9 socket"), Some(Place::Descriptors));
        assert_eq!(tab_of("    path  heap"), None);
    }
}

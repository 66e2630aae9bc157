//! Where one is: pages visited, the row that is pointed at, what is searched for. Knows nothing of terminals or targets.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A page that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Summary,
    Goroutines,
    Defers,
    Panics,
    Heap,
    Finalizers,
    Descriptors,
    Help,
    /// One goroutine, by its number.
    Goroutine(u64),
    /// Goroutines with the same stack as this one.
    Alike(u64),
    /// Why something is alive: what `why` takes.
    Why(String),
    /// The object at an address.
    Object(u64),
}

/// Pages that digits lead to.
pub(super) const TABS: [(Place, &str); 7] = [
    (Place::Summary, "Summary"),
    (Place::Goroutines, "Goroutines"),
    (Place::Defers, "Defers"),
    (Place::Panics, "Panics"),
    (Place::Heap, "Heap"),
    (Place::Finalizers, "Finalizers"),
    (Place::Descriptors, "Fds"),
];

/// A line of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) text: String,
    /// Where it leads.
    pub(super) to: Option<Place>,
}

/// What is shown at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) title: String,
    pub(super) rows: Vec<Row>,
}

/// A page that was opened, and where in it one is.
#[derive(Debug)]
struct Visit {
    place: Place,
    /// None when it has to be made again.
    page: Option<Page>,
    /// Rows that the filter leaves, by number.
    rows: Vec<usize>,
    /// Places among these rows.
    selected: usize,
    top: usize,
    filter: String,
}

/// What is typed into the last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typing {
    Search,
    Filter,
}

/// How goroutines and types are to be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Choices {
    /// Goroutines with equal stacks together.
    pub(super) group: bool,
    /// The runtime's own goroutines too.
    pub(super) system: bool,
    /// What types retain.
    pub(super) retained: bool,
}

/// What a key asks for that only who has the target can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Nothing,
    Quit,
    Reread,
    /// The page that is open has to be made.
    Make,
}

#[derive(Debug)]
pub(super) struct Browser {
    /// The page that is open comes last; there is always one.
    visits: Vec<Visit>,
    pub(super) choices: Choices,
    typing: Option<(Typing, String)>,
    search: String,
    /// What is said in the last line until the next key.
    pub(super) message: String,
}

impl Browser {
    pub(super) fn new() -> Self {
        Self {
            visits: vec![Visit::new(Place::Summary)],
            choices: Choices { group: true, ..Choices::default() },
            typing: None,
            search: String::new(),
            message: String::new(),
        }
    }

    fn visit(&self) -> &Visit {
        &self.visits[self.visits.len() - 1]
    }

    fn visit_mut(&mut self) -> &mut Visit {
        let last = self.visits.len() - 1;
        &mut self.visits[last]
    }

    pub(super) fn place(&self) -> &Place {
        &self.visit().place
    }

    /// The page, unless it has to be made.
    pub(super) fn page(&self) -> Option<&Page> {
        self.visit().page.as_ref()
    }

    /// The tab that one came from.
    pub(super) fn tab(&self) -> &Place {
        &self.visits[0].place
    }

    pub(super) fn typing(&self) -> Option<(Typing, &str)> {
        self.typing.as_ref().map(|(typing, text)| (*typing, text.as_str()))
    }

    /// The filter of the page.
    pub(super) fn filter(&self) -> &str {
        &self.visit().filter
    }

    /// The place among rows that is pointed at, and how many there are.
    pub(super) fn position(&self) -> (usize, usize) {
        (self.visit().selected, self.visit().rows.len())
    }

    /// The row that is pointed at.
    pub(super) fn selected(&self) -> Option<&Row> {
        let visit = self.visit();
        visit.page.as_ref()?.rows.get(*visit.rows.get(visit.selected)?)
    }

    /// Rows to be shown on so many lines, with whether one is pointed at. Scrolls as little as it takes to have that one among them.
    pub(super) fn window(&mut self, height: usize) -> impl Iterator<Item = (&Row, bool)> {
        let visit = self.visit_mut();
        let last = visit.rows.len().saturating_sub(height.max(1));
        visit.top = visit.top.min(visit.selected).max((visit.selected + 1).saturating_sub(height.max(1))).min(last);
        let (top, selected) = (visit.top, visit.selected);
        let rows = visit.page.as_ref().map_or(&[][..], |page| &page.rows);
        let numbers = visit.rows.iter().enumerate().skip(top).take(height);
        numbers.filter_map(move |(at, number)| Some((rows.get(*number)?, at == selected)))
    }

    /// Takes what was made for the open page.
    pub(super) fn made(&mut self, made: Result<Page, String>) {
        match made {
            Ok(page) => {
                self.visit_mut().page = Some(page);
                self.visit_mut().choose();
            }
            Err(why) => {
                self.message = why;
                if self.visits.len() > 1 {
                    self.visits.pop();
                } else {
                    self.visit_mut().page = Some(Page::default());
                    self.visit_mut().choose();
                }
            }
        }
    }

    /// All pages have to be made again.
    pub(super) fn forget(&mut self) {
        for visit in &mut self.visits {
            visit.page = None;
        }
    }

    /// Takes a key; `height` is how many rows are shown.
    pub(super) fn key(&mut self, key: KeyEvent, height: usize) -> Wish {
        self.message.clear();
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Wish::Quit;
        }
        if self.typing.is_some() {
            self.typed(key.code);
            return Wish::Nothing;
        }
        let page = height.saturating_sub(1).max(1) as isize;
        match key.code {
            KeyCode::Char('q') => return Wish::Quit,
            KeyCode::Char('r') => return Wish::Reread,
            KeyCode::Up | KeyCode::Char('k') => self.visit_mut().by(-1),
            KeyCode::Down | KeyCode::Char('j') => self.visit_mut().by(1),
            KeyCode::PageUp => self.visit_mut().by(-page),
            KeyCode::PageDown | KeyCode::Char(' ') => self.visit_mut().by(page),
            KeyCode::Home => self.visit_mut().by(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.visit_mut().by(isize::MAX),
            KeyCode::Enter | KeyCode::Right | KeyCode::Char('l') => {
                if let Some(to) = self.selected().and_then(|row| row.to.clone()) {
                    return self.open(to);
                }
                "nothing to open in this line".clone_into(&mut self.message);
            }
            KeyCode::Esc | KeyCode::Backspace | KeyCode::Left | KeyCode::Char('h') => return self.back(),
            KeyCode::Tab => return self.beside(1),
            KeyCode::BackTab => return self.beside(TABS.len() - 1),
            KeyCode::Char('/') => self.typing = Some((Typing::Search, String::new())),
            KeyCode::Char('f') => self.typing = Some((Typing::Filter, self.visit().filter.clone())),
            KeyCode::Char('n') => self.next(true),
            KeyCode::Char('N') => self.next(false),
            KeyCode::Char('g') => return self.choose(|choices| choices.group = !choices.group, &Place::Goroutines),
            KeyCode::Char('s') => return self.choose(|choices| choices.system = !choices.system, &Place::Goroutines),
            KeyCode::Char('d') => return self.choose(|choices| choices.retained = !choices.retained, &Place::Heap),
            KeyCode::Char('w') => match self.selected().and_then(|row| row.to.clone()) {
                Some(Place::Object(address)) => return self.open(Place::Why(format!("{address:#x}"))),
                Some(why @ Place::Why(_)) => return self.open(why),
                _ => "no object in this line".clone_into(&mut self.message),
            },
            KeyCode::Char('?') | KeyCode::F(1) if *self.place() != Place::Help => return self.open(Place::Help),
            KeyCode::Char(digit @ '1'..='9') => {
                if let Some((place, _)) = TABS.get(digit as usize - '1' as usize) {
                    return self.tab_to(place.clone());
                }
            }
            _ => {}
        }
        Wish::Nothing
    }

    fn typed(&mut self, code: KeyCode) {
        let Some((typing, text)) = &mut self.typing else { return };
        match code {
            KeyCode::Char(char) => text.push(char),
            KeyCode::Backspace => {
                text.pop();
            }
            KeyCode::Esc => {
                if *typing == Typing::Filter {
                    self.filter_by(String::new());
                }
                self.typing = None;
                return;
            }
            KeyCode::Enter => {
                let (typing, text) = (*typing, std::mem::take(text));
                self.typing = None;
                if typing == Typing::Search {
                    self.search = text.to_lowercase();
                    self.next(true);
                }
                return;
            }
            _ => return,
        }
        if *typing == Typing::Filter {
            let text = text.clone();
            self.filter_by(text);
        }
    }

    fn filter_by(&mut self, text: String) {
        self.visit_mut().filter = text;
        self.visit_mut().choose();
    }

    /// Goes to the next row with what is searched for, or the one before.
    fn next(&mut self, forward: bool) {
        let visit = &self.visits[self.visits.len() - 1];
        let count = visit.rows.len();
        if self.search.is_empty() || count == 0 {
            "/ searches".clone_into(&mut self.message);
            return;
        }
        let has = |at: &usize| {
            let row = visit.page.as_ref().and_then(|page| page.rows.get(visit.rows[*at]));
            row.is_some_and(|row| row.text.to_lowercase().contains(&self.search))
        };
        let step = |by: usize| (visit.selected + if forward { by } else { count - by }) % count;
        match (1..=count).map(step).find(has) {
            Some(at) => self.visit_mut().selected = at,
            None => self.message = format!("{:?} is not on this page", self.search),
        }
    }

    fn choose(&mut self, change: impl Fn(&mut Choices), of: &Place) -> Wish {
        if self.place() != of {
            self.message = match of {
                Place::Heap => "that is for the page of the heap (5)".to_owned(),
                _ => "that is for the list of goroutines (2)".to_owned(),
            };
            return Wish::Nothing;
        }
        change(&mut self.choices);
        self.visits.truncate(1);
        let visit = self.visit_mut();
        (visit.selected, visit.top, visit.page) = (0, 0, None);
        Wish::Make
    }

    pub(super) fn open(&mut self, place: Place) -> Wish {
        self.visits.push(Visit::new(place));
        Wish::Make
    }

    fn back(&mut self) -> Wish {
        if !self.visit().filter.is_empty() {
            self.filter_by(String::new());
            return Wish::Nothing;
        }
        if self.visits.len() == 1 {
            "q quits".clone_into(&mut self.message);
            return Wish::Nothing;
        }
        self.visits.pop();
        if self.visit().page.is_none() { Wish::Make } else { Wish::Nothing }
    }

    fn tab_to(&mut self, place: Place) -> Wish {
        self.visits = vec![Visit::new(place)];
        Wish::Make
    }

    fn beside(&mut self, by: usize) -> Wish {
        let at = TABS.iter().position(|(place, _)| place == self.tab()).unwrap_or(0);
        self.tab_to(TABS[(at + by) % TABS.len()].0.clone())
    }
}

impl Visit {
    fn new(place: Place) -> Self {
        Self { place, page: None, rows: Vec::new(), selected: 0, top: 0, filter: String::new() }
    }

    /// Takes the rows that the filter leaves; the row that is pointed at stays so, if it is among them.
    fn choose(&mut self) {
        let before = self.rows.get(self.selected).copied().unwrap_or(self.selected);
        let wanted = self.filter.to_lowercase();
        let rows = self.page.as_ref().map_or(&[][..], |page| &page.rows);
        let fits = |row: &Row| wanted.is_empty() || row.text.to_lowercase().contains(&wanted);
        self.rows = (0..rows.len()).filter(|number| fits(&rows[*number])).collect();
        self.selected = self.rows.partition_point(|number| *number < before).min(self.rows.len().saturating_sub(1));
    }

    fn by(&mut self, rows: isize) {
        self.selected = self.selected.saturating_add_signed(rows).min(self.rows.len().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(count: usize) -> Page {
        let row = |number| Row { text: format!("Row {number}"), to: Some(Place::Object(number as u64)) };
        Page { title: "a page".to_owned(), rows: (0..count).map(row).collect() }
    }

    fn press(browser: &mut Browser, keys: &str) -> Wish {
        let mut wish = Wish::Nothing;
        for char in keys.chars() {
            let code = match char {
                '\n' => KeyCode::Enter,
                '\u{1b}' => KeyCode::Esc,
                '\u{8}' => KeyCode::Backspace,
                '\t' => KeyCode::Tab,
                char => KeyCode::Char(char),
            };
            wish = browser.key(KeyEvent::new(code, KeyModifiers::NONE), 10);
            if wish == Wish::Make {
                browser.made(Ok(page(100)));
            }
        }
        wish
    }

    fn shown(browser: &mut Browser, height: usize) -> Vec<String> {
        browser.window(height).map(|(row, is)| format!("{}{}", if is { ">" } else { "" }, row.text)).collect()
    }

    #[test]
    fn a_page_scrolls_with_what_is_pointed_at() {
        let mut browser = Browser::new();
        browser.made(Ok(page(100)));
        assert_eq!(shown(&mut browser, 2), [">Row 0", "Row 1"]);
        press(&mut browser, "jjj");
        assert_eq!(shown(&mut browser, 2), ["Row 2", ">Row 3"]);
        press(&mut browser, "k");
        assert_eq!(shown(&mut browser, 2), [">Row 2", "Row 3"]);
        press(&mut browser, "G");
        assert_eq!(shown(&mut browser, 3), ["Row 97", "Row 98", ">Row 99"]);
        // A window that grows shows as much as there is.
        assert_eq!(shown(&mut browser, 4)[0], "Row 96");
        assert_eq!(shown(&mut browser, 1000).len(), 100);
        assert_eq!(shown(&mut browser, 0).len(), 0);
    }

    #[test]
    fn a_filter_leaves_what_fits_and_goes_again() {
        let mut browser = Browser::new();
        browser.made(Ok(page(100)));
        press(&mut browser, "frow 9");
        assert_eq!(browser.position(), (0, 11));
        press(&mut browser, "\njj");
        assert_eq!(browser.selected().map(|row| row.text.clone()), Some("Row 91".to_owned()));
        // First the filter goes, and what was pointed at is still.
        press(&mut browser, "\u{1b}");
        assert_eq!((browser.position(), browser.filter()), ((91, 100), ""));
        press(&mut browser, "fnothing\n");
        assert_eq!((browser.position(), browser.selected()), ((0, 0), None));
        assert_eq!(shown(&mut browser, 5).len(), 0);
        press(&mut browser, "jkGn\n");
    }

    #[test]
    fn a_search_goes_round() {
        let mut browser = Browser::new();
        browser.made(Ok(page(100)));
        press(&mut browser, "/ROW 5\n");
        assert_eq!(browser.position().0, 5);
        press(&mut browser, "nn");
        assert_eq!(browser.position().0, 51);
        press(&mut browser, "NNN");
        assert_eq!(browser.position().0, 59);
        press(&mut browser, "/elsewhere\n");
        assert_eq!((browser.position().0, browser.message.is_empty()), (59, false));
    }

    #[test]
    fn pages_lead_on_and_back() {
        let mut browser = Browser::new();
        browser.made(Ok(page(100)));
        press(&mut browser, "jj\n");
        assert_eq!(*browser.place(), Place::Object(2));
        press(&mut browser, "w");
        assert_eq!(*browser.place(), Place::Why("0x0".to_owned()));
        press(&mut browser, "\u{1b}\u{1b}");
        assert_eq!((browser.place(), browser.position().0), (&Place::Summary, 2));
        assert_eq!(press(&mut browser, "\u{1b}"), Wish::Nothing);
        press(&mut browser, "5");
        assert_eq!(*browser.tab(), Place::Heap);
        press(&mut browser, "d\t");
        assert_eq!((browser.tab(), browser.choices.retained), (&Place::Finalizers, true));
        assert_eq!(press(&mut browser, "g"), Wish::Nothing);
        // What can't be made leaves one where one was.
        browser.open(Place::Object(7));
        browser.made(Err("no such object".to_owned()));
        assert_eq!((browser.place(), &*browser.message), (&Place::Finalizers, "no such object"));
        assert_eq!(press(&mut browser, "r"), Wish::Reread);
        browser.forget();
        assert!(browser.page().is_none());
        assert_eq!(press(&mut browser, "q"), Wish::Quit);
    }
}

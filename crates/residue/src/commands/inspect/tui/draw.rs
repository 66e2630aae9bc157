//! What a page looks like: what is looked at, the tabs, rows, and in the last line keys or a message. All of it reads without
//! colour.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::browser::{Browser, Place, TABS, Typing};

/// Below this nothing sensible can be shown.
const WIDTH_MIN: u16 = 24;
const HEIGHT_MIN: u16 = 6;
/// Lines that the row that is pointed at may take in full.
const WHOLE_MAX: u16 = 4;
/// Lines that are no rows: what is looked at, tabs, title, last line.
const AROUND: usize = 4;

const KEYS: &str = "? help  q quit  Enter open  Esc back  / search  f filter  r read again";

/// How many rows fit.
pub(super) fn rows(height: usize) -> usize {
    height.saturating_sub(AROUND)
}

/// Draws the page that is open; `identity` is what is looked at.
pub(super) fn draw(frame: &mut Frame<'_>, browser: &mut Browser, identity: &str) {
    let area = frame.area();
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        frame.render_widget(Paragraph::new(format!("needs {WIDTH_MIN}×{HEIGHT_MIN}")), area);
        return;
    }
    let line = |y: u16| Rect { y: area.y + y, height: 1, ..area };
    frame.render_widget(Line::styled(identity, Modifier::BOLD), line(0));
    frame.render_widget(tabs(browser, area.width), line(1));
    let (at, count) = browser.position();
    let title = browser.page().map_or("", |page| &page.title);
    let filter = if browser.filter().is_empty() { String::new() } else { format!("  with {:?}", browser.filter()) };
    let position = format!("{}/{count}", (at + 1).min(count));
    frame.render_widget(Line::styled(format!("{title}{filter}  {position}"), Modifier::DIM), line(2));

    let mut height = area.height - AROUND as u16;
    // The row that is pointed at, in full, if it is cut.
    let whole = browser.selected().map(|row| row.text.trim().to_owned());
    let cut = browser.selected().is_some_and(|row| Span::raw(&row.text).width() + 2 > area.width.into());
    if let Some(whole) = whole.filter(|_| cut) {
        let lines = (Span::raw(&whole).width().div_ceil(usize::from(area.width)) as u16 + 1).min(WHOLE_MAX);
        if height > 2 * lines {
            height -= lines;
            let place = Rect { y: area.y + 3 + height, height: lines, ..area };
            let style = Style::new().add_modifier(Modifier::BOLD);
            frame.render_widget(Paragraph::new(whole).wrap(Wrap { trim: false }).style(style), place);
        }
    }
    for (y, (row, is_selected)) in browser.window(height.into()).enumerate() {
        let mark = if row.to.is_some() { "› " } else { "  " };
        let style = if is_selected { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        let spans = vec![Span::styled(mark, Modifier::DIM), Span::raw(row.text.as_str())];
        let place = Rect { y: area.y + 3 + y as u16, height: 1, ..area };
        frame.buffer_mut().set_style(place, style);
        frame.render_widget(Line::from(spans), place);
    }
    frame.render_widget(last_line(browser), line(area.height - 1));
}

/// Draws why there is no page.
pub(super) fn failure(frame: &mut Frame<'_>, why: &str) {
    let text = format!("{}\n\nr reads again  q quits", residue_report::shown(why));
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }), frame.area());
}

/// The tabs, by what fits: names, or the beginnings of them.
fn tabs(browser: &Browser, width: u16) -> Line<'static> {
    let full: usize = TABS.iter().map(|(_, name)| name.len() + 4).sum();
    let letters = if full <= usize::from(width) { usize::MAX } else { 4 };
    let mut spans = Vec::new();
    for (number, (place, name)) in TABS.iter().enumerate() {
        let name: String = name.chars().take(letters).collect();
        let is_open = place == browser.tab();
        let style = if is_open { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        spans.push(Span::styled(format!(" {} {name} ", number + 1), style));
    }
    Line::from(spans)
}

fn last_line(browser: &Browser) -> Line<'static> {
    if let Some((typing, text)) = browser.typing() {
        let what = match typing {
            Typing::Search => "/",
            Typing::Filter => "only rows with: ",
        };
        return Line::from(vec![
            Span::raw(format!("{what}{text}")),
            Span::styled(" ", Modifier::REVERSED),
            Span::styled("  Enter takes it, Esc doesn't", Modifier::DIM),
        ]);
    }
    if !browser.message.is_empty() {
        return Line::styled(browser.message.clone(), Modifier::BOLD);
    }
    let own = match browser.place() {
        Place::Goroutines => "g group  s runtime's own  ",
        Place::Heap => "d retained  ",
        _ => "",
    };
    Line::styled(format!("{own}{KEYS}"), Modifier::DIM)
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::browser::{Page, Row};
    use super::*;

    fn shown(browser: &mut Browser, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("memory");
        terminal.draw(|frame| draw(frame, browser, "held  pid 7  go1.27.3")).expect("memory");
        let buffer = terminal.backend().buffer();
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..height).map(line).collect()
    }

    fn page() -> Page {
        let mut rows: Vec<Row> = (0..50).map(|number| Row { text: format!("row {number}"), to: None }).collect();
        rows[1] = Row { text: format!("{} ü 例 end", "word ".repeat(40)), to: Some(Place::Help) };
        Page { title: "all".to_owned(), rows }
    }

    #[test]
    fn a_page_fits_eighty_columns() {
        let mut browser = Browser::new();
        browser.made(Ok(page()));
        let lines = shown(&mut browser, 80, 24);
        assert_eq!(lines[0], "held  pid 7  go1.27.3");
        assert!(lines[1].contains(" 1 Summary  2 Goroutines ") && lines[1].contains("7 Fds"), "{lines:#?}");
        assert_eq!(lines[2], "all  1/50");
        assert_eq!((&*lines[3], &*lines[22]), ("  row 0", "  row 19"));
        assert!(lines[4].starts_with("› word word"));
        assert_eq!(lines[23], KEYS);
        // What is cut is shown in full while it is pointed at.
        browser.key(crossterm::event::KeyCode::Down.into(), rows(24));
        let lines = shown(&mut browser, 80, 24);
        assert!(lines[19..23].join(" ").contains("end"), "{lines:#?}");
    }

    #[test]
    fn any_size_can_be_drawn() {
        let mut browser = Browser::new();
        for has_page in [false, true] {
            if has_page {
                browser.made(Ok(page()));
                browser.key(crossterm::event::KeyCode::Down.into(), 3);
            }
            for (width, height) in (1..40).flat_map(|width| (1..20).map(move |height| (width, height))) {
                assert_eq!(shown(&mut browser, width, height).len(), usize::from(height));
            }
        }
        assert!(shown(&mut browser, 40, 10)[1].contains(" 1 Summ  2 Goro "));
    }
}

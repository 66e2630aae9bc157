//! `inspect tui`: a walk through goroutines, deferred calls, the heap and what keeps objects.
//!
//! The target is stopped for one read and runs on; pages are made from what was read. `r` reads again.

mod browser;
mod draw;
mod pages;
mod screen;

use std::io::IsTerminal as _;

use crossterm::event::{self, Event, KeyCode, KeyEventKind};
use residue_target::{Kind, Target};

use self::browser::{Browser, Wish};
use self::pages::Snapshot;
use self::screen::Screen;
use super::{Answer, Format, InspectArgs, Shown, text};
use crate::error::{Error, Exit};

pub(super) fn run(args: &InspectArgs) -> Result<Exit, Error> {
    if args.format != Format::Text || args.save.is_some() {
        return Err(Error::usage("`tui` shows; --format and --save belong to the other views"));
    }
    if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        return Err(Error::usage("`tui` needs a terminal").hint("the other views write text and JSON"));
    }
    let mut browser = Browser::new();
    browser.choices.system = args.system;
    let mut target = super::open(args)?;
    // The terminal is left alone until there is something to show: a target that can't be read says so as ever.
    let mut screen = None;
    loop {
        let next = (|| {
            let binary = super::program(&target)?;
            let failed = |error| super::failure(&target, error);
            let options = super::options(args, &target)?;
            let layouts = residue_runtime::heap::Layouts::of(&binary).map_err(failed)?;
            let (report, heap) =
                residue_runtime::heap::Heap::read(&target, &binary, &layouts, &options).map_err(failed)?;
            let mut snapshot = Snapshot {
                shown: Shown {
                    answer: &Answer::None,
                    target: &target,
                    binary: &binary,
                    report: &report,
                    heap: None,
                    filter: &args.filter,
                    group: true,
                    system: args.system,
                },
                heap,
                name: &args.target,
                summary: None,
                retained: None,
            };
            if screen.is_none() {
                screen = Some(Screen::take().map_err(|error| no_terminal(&error))?);
            }
            let Some(screen) = &mut screen else { return Err(Error::bug("the terminal was not taken")) };
            browse(screen, &mut browser, &mut snapshot, args)
        })();
        target = match (next, &mut screen) {
            (Ok(None), _) => return Ok(Exit::Clean),
            (Ok(Some(target)), _) => target,
            // It may have ended while it was read.
            (Err(error), Some(screen)) => retry(screen, error, args)?,
            (Err(error), None) => return Err(error),
        };
        browser.forget();
        "it was read again".clone_into(&mut browser.message);
    }
}

/// Says why there is nothing to show until the target can be opened again, or that is given up.
fn retry(screen: &mut Screen, mut error: Error, args: &InspectArgs) -> Result<Target, Error> {
    loop {
        screen.draw(|frame| draw::failure(frame, error.message())).map_err(|error| no_terminal(&error))?;
        let Event::Key(key) = event::read().map_err(|error| no_terminal(&error))? else { continue };
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Err(error),
            KeyCode::Char('r') => match super::open(args) {
                Ok(target) => return Ok(target),
                Err(again) => error = again,
            },
            _ => {}
        }
    }
}

fn no_terminal(error: &std::io::Error) -> Error {
    Error::failed(format!("the terminal can't be used: {error}"))
}

/// Shows pages of one snapshot until there is to be one of the target that this gives, or none any more.
fn browse(
    screen: &mut Screen,
    browser: &mut Browser,
    snapshot: &mut Snapshot<'_>,
    args: &InspectArgs,
) -> Result<Option<Target>, Error> {
    let identity = text::identity(&snapshot.shown);
    let mut wish = Wish::Make;
    loop {
        match wish {
            Wish::Nothing => {}
            Wish::Quit => return Ok(None),
            Wish::Reread if snapshot.shown.target.kind == Kind::Core => {
                "a core stays as it is".clone_into(&mut browser.message);
            }
            Wish::Reread => match super::open(args) {
                Ok(target) => {
                    browser.message = format!("reading {} …", args.target);
                    screen.draw(|frame| draw::draw(frame, browser, &identity)).map_err(|error| no_terminal(&error))?;
                    browser.message.clear();
                    return Ok(Some(target));
                }
                // What was read is there still.
                Err(error) => error.message().clone_into(&mut browser.message),
            },
            Wish::Make => {
                let said = std::mem::replace(&mut browser.message, "…".to_owned());
                screen.draw(|frame| draw::draw(frame, browser, &identity)).map_err(|error| no_terminal(&error))?;
                browser.message = said;
                let made = snapshot.page(&browser.place().clone(), browser.choices);
                browser.made(made);
                // A page that could not be made leaves another one open, which may have to be made again as well.
                if browser.page().is_none() {
                    wish = Wish::Make;
                    continue;
                }
            }
        }
        screen.draw(|frame| draw::draw(frame, browser, &identity)).map_err(|error| no_terminal(&error))?;
        wish = match event::read().map_err(|error| no_terminal(&error))? {
            // So that tests can see that the terminal is given back.
            Event::Key(key) if cfg!(debug_assertions) && key.code == KeyCode::F(12) => panic!("F12 was pressed"),
            Event::Key(key) if key.kind != KeyEventKind::Release => browser.key(key, draw::rows(screen.height())),
            _ => Wish::Nothing,
        };
    }
}

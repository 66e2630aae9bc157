//! The terminal: taken, drawn to, and given back however this ends.

use std::io::{self, Stdout};
use std::sync::{Mutex, Once, PoisonError};

use crossterm::cursor::Show;
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

/// Held while something is drawn, so that nothing is drawn after the terminal was given back.
static DRAWING: Mutex<()> = Mutex::new(());

/// The terminal while it is ours. It is given back when this goes, when a thread panics, and when a signal ends the process.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    pub(super) fn take() -> io::Result<Self> {
        static ONCE: Once = Once::new();
        let mut watched = Ok(());
        ONCE.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                before(panic);
            }));
            watched = signals::watch();
        });
        watched?;
        enable_raw_mode()?;
        // From here on the terminal is given back when this goes.
        let screen = Self { terminal: Terminal::new(CrosstermBackend::new(io::stdout()))? };
        signals::keep_interrupt()?;
        execute!(io::stdout(), EnterAlternateScreen)?;
        Ok(screen)
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut ratatui::Frame<'_>)) -> io::Result<()> {
        let _drawing = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
        self.terminal.draw(draw).map(|_| ())
    }

    /// How many lines there are.
    pub(super) fn height(&self) -> usize {
        self.terminal.size().map_or(0, |size| size.height.into())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Nothing is left to be done about a terminal that can't be written to.
fn give_back() {
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

#[cfg(unix)]
mod signals {
    use std::io;
    use std::time::{Duration, Instant};

    use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    /// How long something may be drawn when a signal comes.
    const DRAWN_MAX: Duration = Duration::from_millis(200);

    /// Gives the terminal back when a signal ends this process, also while it reads a target for long.
    pub(super) fn watch() -> io::Result<()> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        std::thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                let since = Instant::now();
                let mut drawing = super::DRAWING.try_lock();
                while drawing.is_err() && since.elapsed() < DRAWN_MAX {
                    std::thread::sleep(Duration::from_millis(1));
                    drawing = super::DRAWING.try_lock();
                }
                super::give_back();
                let _ = emulate_default_handler(signal);
            }
        });
        Ok(())
    }

    /// Has Ctrl-C send a signal, as it does outside of raw mode: what reads a target looks at no keys. The other keys that
    /// send signals send none.
    pub(super) fn keep_interrupt() -> io::Result<()> {
        let stdin = io::stdin();
        let mut modes = tcgetattr(&stdin)?;
        modes.local_modes |= LocalModes::ISIG;
        for code in [SpecialCodeIndex::VSUSP, SpecialCodeIndex::VQUIT] {
            // Disabled: `_POSIX_VDISABLE` of Linux.
            modes.special_codes[code] = 0;
        }
        Ok(tcsetattr(&stdin, OptionalActions::Now, &modes)?)
    }
}

#[cfg(not(unix))]
mod signals {
    use std::io;

    #[allow(clippy::unnecessary_wraps, reason = "as where there are signals")]
    pub(super) fn watch() -> io::Result<()> {
        Ok(())
    }

    #[allow(clippy::unnecessary_wraps, reason = "as where there are signals")]
    pub(super) fn keep_interrupt() -> io::Result<()> {
        Ok(())
    }
}

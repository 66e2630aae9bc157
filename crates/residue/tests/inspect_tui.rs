//! `inspect tui` in a real terminal: tmux types keys and says what is on the screen. Left out where there is no tmux.
#![cfg(target_os = "linux")]
#![allow(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test that cannot set up fails"
)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use residue_testkit::go::{Running, releases};

const PROGRAM: &str = r#"package main

import (
	"fmt"
	"os"
	"runtime"
)

type session struct {
	file *os.File
	pad  [100]uint64
}

var sessions = map[string]*session{}

func hold(wait chan int) {
	defer fmt.Println("held")
	<-wait
}

func raise(wait chan int) {
	defer func() { <-wait }()
	panic("do not print this either")
}

func main() {
	for i := 0; i < 80; i++ {
		file, _ := os.Open("/dev/null")
		sessions[fmt.Sprint("do not print this ", i)] = &session{file: file}
	}
	for i := 0; i < 30; i++ {
		go hold(make(chan int))
	}
	go raise(make(chan int))
	for runtime.NumGoroutine() < 32 {
		runtime.Gosched()
	}
	runtime.GC()
	fmt.Println("ready")
	fmt.Scanln()
	fmt.Println(len(sessions))
}
"#;

/// How long the screen may take to show something, on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// A terminal with a shell in it.
struct Terminal {
    socket: String,
}

impl Terminal {
    /// None where there is no tmux.
    fn start(name: &str) -> Option<Self> {
        let there = Command::new("tmux").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            eprintln!("left out: there is no tmux");
            return None;
        }
        let terminal = Self { socket: format!("residue-{name}-{}", std::process::id()) };
        // A shell without a history or settings of anybody.
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "env", "PS1=$ ", "ENV=", "sh"]);
        terminal.wait("$");
        Some(terminal)
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = Command::new("tmux").args(["-L", &self.socket]).args(args).env_remove("TMUX").output();
        let output = output.expect("tmux runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Types keys, by their names in tmux.
    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys", "-t", "0"], keys].concat());
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-t", "0"])
    }

    /// The screen as soon as it has a text.
    fn wait(&self, text: &str) -> String {
        let since = Instant::now();
        loop {
            let screen = self.screen();
            if screen.contains(text) {
                return screen;
            }
            assert!(since.elapsed() < PATIENCE, "{text:?} does not come:\n{screen}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Starts the program, and waits for the first page.
    fn open(&self, pid: u32) {
        let residue = env!("CARGO_BIN_EXE_residue");
        self.keys(&[&format!("clear; {residue} inspect {pid} tui"), "Enter"]);
        let screen = self.wait("3 Defers");
        assert!(screen.starts_with("held  pid "), "{screen}");
    }

    /// The terminal is as it was: the shell's screen, lines that are edited, typing that is seen, a cursor.
    fn is_given_back(&self, code: i32) {
        let state = || self.tmux(&["display-message", "-p", "-t", "0", "#{alternate_on} #{cursor_flag}"]);
        let since = Instant::now();
        while state().trim() != "0 1" {
            assert!(since.elapsed() < PATIENCE, "{}:\n{}", state(), self.screen());
            std::thread::sleep(Duration::from_millis(30));
        }
        self.keys(&["echo ended $?", "Enter"]);
        self.wait(&format!("ended {code}"));
        let modes = "stty -a | tr ' ;' '\\n\\n' | grep -x -e icanon -e echo -e isig | sort | tr '\\n' .";
        self.keys(&[&format!("clear; {modes}"), "Enter"]);
        self.wait("echo.icanon.isig.");
    }

    /// The process that the shell runs.
    fn child(&self) -> String {
        let shell = self.tmux(&["display-message", "-p", "-t", "0", "#{pane_pid}"]);
        let shell = shell.trim();
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).expect("a shell");
        children.trim().to_owned()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.socket, "kill-server"]).stderr(Stdio::null()).status();
    }
}

fn start(folder: &Path) -> Running {
    let source = folder.join("main.go");
    std::fs::write(&source, PROGRAM).expect("a directory for the test");
    let program = folder.join("held");
    releases().pop().expect("a release").build(&source, &[], &program);
    let mut running = Running::start(&mut Command::new(&program));
    running.lines_until("ready");
    running
}

#[test]
fn one_walks_from_goroutines_to_objects_and_back() {
    let Some(terminal) = Terminal::start("walk") else { return };
    let folder = tempfile::tempdir().expect("a directory for the test");
    let mut running = start(folder.path());
    let pid = running.pid();
    terminal.open(pid);
    let mut seen = vec![terminal.wait("warning[P301]")];
    // What is looked at runs, and nobody traces it.
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    assert!(status.contains("\nTracerPid:\t0\n") && !status.contains("(tracing stop)"), "{status}");

    terminal.keys(&["2"]);
    seen.push(terminal.wait("›      30 ×  waiting: chan receive"));
    terminal.keys(&["Enter"]);
    seen.push(terminal.wait("30 goroutines  1/"));
    terminal.keys(&["/", "main.hold", "Enter"]);
    terminal.keys(&["/", "like this one", "Enter", "Down", "Enter"]);
    let goroutine = terminal.wait("deferred calls and panics");
    assert!(goroutine.contains("main.hold") && goroutine.contains("pending  main.hold.deferwrap1"), "{goroutine}");
    seen.push(goroutine);
    terminal.keys(&["Escape"]);
    terminal.wait("30 goroutines  ");
    terminal.keys(&["BSpace", "g"]);
    terminal.wait("Goroutines, one by one, the program's  1/32");
    terminal.keys(&["f", "main.raise", "Enter"]);
    terminal.wait("with \"main.raise\"  1/1");
    terminal.keys(&["Enter"]);
    seen.push(terminal.wait("panic    string (text of 24 bytes #"));
    terminal.keys(&["4"]);
    seen.push(terminal.wait("raised at   main.raise"));

    terminal.keys(&["5"]);
    terminal.wait("type");
    terminal.keys(&["/", "  main.session", "Enter", "Enter"]);
    let why = terminal.wait("why is main.session alive?");
    assert!(why.contains("80 objects") && why.contains("package variable main.sessions"), "{why}");
    seen.push(why);
    terminal.keys(&["/", "→ main.session", "Enter", "Enter"]);
    let object = terminal.wait("leads to");
    assert!(object.contains("main.session") && object.contains(".file → os.File"), "{object}");
    terminal.keys(&["/", ".file", "Enter", "w"]);
    seen.push(terminal.wait("package variable main.sessions"));
    terminal.keys(&["7"]);
    seen.push(terminal.wait("80 device"));
    terminal.keys(&["6"]);
    seen.push(terminal.wait("finalizers  os.file"));
    terminal.keys(&["?"]);
    terminal.wait("by stack, or one by one");

    // Smaller, larger, and as it was.
    for (width, height) in [("40", "8"), ("20", "4"), ("140", "50"), ("80", "24")] {
        terminal.tmux(&["resize-window", "-t", "0", "-x", width, "-y", height]);
        let shows = if width == "20" { "needs 24" } else { "held  pid " };
        let screen = terminal.wait(shows);
        assert_eq!(screen.lines().count().max(1), screen.lines().count());
    }
    terminal.wait("? help  q quit");

    // Read again, and when it has gone what was read is there still.
    terminal.keys(&["1", "r"]);
    terminal.wait("it was read again");
    terminal.wait("warning[P301]");
    drop(running.stdin());
    assert_eq!(running.code(), Some(0));
    terminal.keys(&["2"]);
    terminal.wait("one by one");
    terminal.keys(&["r"]);
    terminal.wait(&format!("no process {pid}"));
    seen.push(terminal.wait("main.hold"));
    terminal.keys(&["q"]);
    terminal.is_given_back(0);
    for screen in seen {
        assert!(!screen.contains("do not print this"), "{screen}");
    }
}

#[test]
fn the_terminal_is_given_back_however_it_ends() {
    let Some(terminal) = Terminal::start("ends") else { return };
    let folder = tempfile::tempdir().expect("a directory for the test");
    let running = start(folder.path());
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        terminal.open(running.pid());
        let killed = Command::new("kill").args([&format!("-{signal}"), &terminal.child()]).status();
        assert!(killed.expect("kill runs").success());
        terminal.is_given_back(code);
    }
    terminal.open(running.pid());
    terminal.keys(&["C-c"]);
    terminal.is_given_back(130);
    // In programs built for tests a key panics.
    if cfg!(debug_assertions) {
        terminal.open(running.pid());
        terminal.keys(&["F12"]);
        terminal.is_given_back(3);
    }
}

#[test]
fn what_is_no_terminal_is_refused() {
    let folder = tempfile::tempdir().expect("a directory for the test");
    let running = start(folder.path());
    let inspect = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_residue"));
        let output = command.args(["inspect", &running.pid().to_string(), "tui"]).args(args).stdin(Stdio::null());
        let output = output.output().expect("residue runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = inspect(&[]);
    assert_eq!((code, said.contains("`tui` needs a terminal")), (Some(2), true), "{said}");
    let (code, said) = inspect(&["--format", "json"]);
    assert_eq!((code, said.contains("belong to the other views")), (Some(2), true), "{said}");
}

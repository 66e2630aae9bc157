//! Go programs for tests: built by each release at hand, run under a guard.
//!
//! The releases are the `go` on PATH and those whose GOROOTs `RESIDUE_TEST_GOROOTS` lists, as PATH does. `./test` sets it.

#![allow(clippy::disallowed_methods, reason = "the releases to test with come from the environment")]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A release of Go.
#[derive(Clone, Debug)]
pub struct Go {
    /// Its GOROOT.
    pub root: PathBuf,
    /// `go1.26.6`.
    pub version: String,
}

/// The releases to test with, at least one.
///
/// # Panics
/// When there is no Go: tests that need one fail without it.
pub fn releases() -> Vec<Go> {
    let listed = std::env::var_os("RESIDUE_TEST_GOROOTS").unwrap_or_default();
    let mut roots: Vec<PathBuf> = std::env::split_paths(&listed).filter(|root| root.is_absolute()).collect();
    if roots.is_empty() {
        let output = Command::new("go").args(["env", "GOROOT"]).output().expect("`go` on PATH");
        roots.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    let read = |root: PathBuf| {
        let version = std::fs::read_to_string(root.join("VERSION")).expect("a GOROOT has its version");
        let version = version.lines().next().unwrap_or_default().to_owned();
        Go { root, version }
    };
    roots.into_iter().map(read).collect()
}

/// The tag of files with C in them.
pub const WITH_C: &str = "-tags=withc";

/// Whether programs built with `flags` have C in them.
pub fn uses_c(flags: &[&str]) -> bool {
    flags.iter().any(|flag| [WITH_C, "-race"].contains(flag))
}

/// The ways programs are built that what is read of them is compared with what they say.
pub const BUILDS: &[&[&str]] = &[
    &["-ldflags=-s -w"],
    &[],
    &["-ldflags=-s -w", "-buildmode=pie", "-trimpath"],
    &[WITH_C],
    &[WITH_C, "-ldflags=-s -w", "-buildmode=pie"],
    &["-race"],
    &["-race", "-ldflags=-s -w"],
];

/// What programs are built for, as Go names it.
pub const HOST: &str = if cfg!(target_arch = "x86_64") { "amd64" } else { ARM };
/// What [`emulated`] programs are built for.
pub const ARM: &str = "arm64";

/// How long it may take until a core is written.
const CORE_WAIT: Duration = Duration::from_secs(30);
/// How long a program may take to come to rest, and how often in a row it has to be seen so.
const SETTLE_WAIT: Duration = Duration::from_secs(20);
const SETTLED: usize = 5;
/// Bytes at the start of a core that have all of its headers.
const HEADER_BYTES_MAX: u64 = 4 << 20;

/// Whether a core has all of the segments that its headers name.
fn is_whole(core: &Path) -> bool {
    let Ok(file) = File::open(core) else { return false };
    let len = file.metadata().map_or(0, |metadata| metadata.len());
    let mut bytes = Vec::new();
    if file.take(HEADER_BYTES_MAX).read_to_end(&mut bytes).is_err() {
        return false;
    }
    let number = |at: usize, len: usize| {
        let bytes = bytes.get(at..at.checked_add(len)?)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    };
    // `e_phoff` and `e_phnum`; `p_offset` and `p_filesz` of headers of 56 bytes.
    let (Some(headers), Some(count)) = (number(32, 8), number(56, 2)) else { return false };
    let end = |index: u64| {
        let header = usize::try_from(headers.checked_add(56 * index)?).ok()?;
        number(header + 8, 8)?.checked_add(number(header + 32, 8)?)
    };
    count > 0 && (0..count).all(|index| end(index).is_some_and(|end| end <= len))
}

/// What runs programs of 64-bit Arm on other machines, of the package qemu-user.
const EMULATOR: &str = "qemu-aarch64";

/// Whether programs of 64-bit Arm can be run here. Where not, it is said how many `what` are left out for it.
#[allow(clippy::print_stderr, reason = "what is left out is said where tests are run")]
pub fn has_emulator(count: usize, what: &str) -> bool {
    let found = Command::new(EMULATOR).arg("--version").stdout(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("left out: {count} {what}, because {EMULATOR} (package qemu-user) isn't here");
    }
    found
}

/// A command that runs a program of 64-bit Arm in `folder`, where its core is to lie.
pub fn emulated(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\"", EMULATOR]).arg(program).current_dir(folder);
    command
}

impl Go {
    /// A command of this release: `build`, `tool nm`.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.root.join("bin/go"));
        command.args(args).env("GOROOT", &self.root).env("GOTOOLCHAIN", "local").env("GOFLAGS", "");
        command.env("GO111MODULE", "off");
        command
    }

    /// Builds the program in `source` (a file, or a folder's files), with `flags` for `go build`.
    ///
    /// # Panics
    /// When it doesn't build.
    pub fn build(&self, source: &Path, flags: &[&str], program: &Path) {
        let mut command = self.command(&["build"]);
        command.args(flags).arg("-o").arg(program).arg(source);
        self.run(&mut command, flags, source);
    }

    /// Builds a program of `files` as the module `name`, so that their build constraints count, for an architecture. The
    /// module lies beside the program.
    ///
    /// # Panics
    /// When it doesn't build.
    pub fn build_module(&self, name: &str, files: &[PathBuf], flags: &[&str], arch: &str, program: &Path) {
        let source = program.with_file_name(format!("source-{}", name.replace('/', "-")));
        std::fs::create_dir_all(&source).expect("a folder for the module");
        for file in files {
            std::fs::copy(file, source.join(file.file_name().unwrap_or_default())).expect("the file is there");
        }
        let module = format!("module {name}\n\ngo 1.{}\n", self.minor());
        std::fs::write(source.join("go.mod"), module).expect("the folder is there");
        let mut command = self.command(&["build"]);
        command.args(flags).arg("-o").arg(program).arg(".").current_dir(&source);
        self.run(command.env("GO111MODULE", "on").env("GOARCH", arch), flags, &source);
    }

    fn run(&self, build: &mut Command, flags: &[&str], source: &Path) {
        let output = build.env("CGO_ENABLED", if uses_c(flags) { "1" } else { "0" }).output();
        let output = output.expect("the go command runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} doesn't build {}: {said}", self.version, source.display());
    }

    /// The minor number: 26 of `go1.26.6`.
    pub fn minor(&self) -> u32 {
        self.version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0)
    }
}

/// A program that runs until it is dropped.
pub struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Running {
    /// Starts a program with its output in a pipe.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, out }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line it prints; none when it has ended.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.out.read_line(&mut line).unwrap_or(0);
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// Its lines up to one that is `end`.
    ///
    /// # Panics
    /// When it ends before.
    pub fn lines_until(&mut self, end: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.line() {
                Some(line) if line == end => return lines,
                Some(line) => lines.push(line),
                None => panic!("the program ended before it said {end:?}: {lines:?}"),
            }
        }
    }

    /// Waits until all its threads sleep: what it did after its last line is over then.
    ///
    /// # Panics
    /// When it doesn't come to rest.
    pub fn settle(&self) {
        let deadline = Instant::now() + SETTLE_WAIT;
        let mut at_rest = 0;
        while at_rest < SETTLED {
            assert!(Instant::now() < deadline, "it doesn't come to rest");
            at_rest = if sleeps(self.pid()) { at_rest + 1 } else { 0 };
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What it reads.
    ///
    /// # Panics
    /// When asked twice.
    pub fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("not taken before")
    }

    /// Waits until it ends; its exit code.
    pub fn code(&mut self) -> Option<i32> {
        self.child.wait().ok().and_then(|status| status.code())
    }

    /// A core of it in `folder`, written by gdb; it runs on.
    ///
    /// # Panics
    /// When there is no gdb, or it can't.
    pub fn core(&self, folder: &Path) -> PathBuf {
        let pid = self.pid().to_string();
        let made = Command::new("gcore").arg("-o").arg(folder.join("core")).arg(&pid).output();
        let made = made.expect("gcore, of the package gdb");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        folder.join(format!("core.{pid}"))
    }

    /// Ends a program that was [`emulated`] in `folder`, and doesn't handle SIGQUIT, for a core: the emulator writes one of
    /// what it emulates.
    ///
    /// # Panics
    /// When there is no core after, or only a part of one.
    pub fn emulated_core(&mut self, folder: &Path) -> PathBuf {
        let killed = Command::new("kill").args(["-QUIT", &self.pid().to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()), "it lives");
        // Waiting closes what it reads, and the signal comes a while later: it would go on until then.
        let _stdin = self.child.stdin.take();
        self.code();
        let entries = std::fs::read_dir(folder).expect("the folder is there").flatten().map(|entry| entry.path());
        let is_core = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("qemu_") && name.ends_with(".core")
        };
        let core = entries.into_iter().find(is_core).expect("the emulator has written a core");
        let deadline = Instant::now() + CORE_WAIT;
        while !is_whole(&core) {
            assert!(Instant::now() < deadline, "the emulator's core ends before its last segment does");
            std::thread::sleep(Duration::from_millis(20));
        }
        core
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

/// Whether all threads of a process sleep.
fn sleeps(pid: u32) -> bool {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    let states = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
    let mut states = states.peekable();
    // One that has ended has no threads.
    states.peek().is_some() && states.all(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S')))
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

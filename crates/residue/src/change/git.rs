//! What git says has changed, asked in a way that runs nothing that the repository names.
//!
//! A repository can be made to have git run programs: by its configuration (hooks, file system monitor, filters, external
//! diffs, text conversions, pagers, transports) and, where that names a driver, by `.gitattributes`. It can also hide a
//! change, by calling a file binary or of another encoding. So everything of the first kind is switched off, files are
//! compared as text, and those that git would convert count as new.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::patch::{self, Lines};
use super::{BYTES_MAX, Change, below};
use crate::error::Error;

/// Settings that win over those of the repository.
const SETTINGS: &[&str] = &[
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.pager=cat",
    "core.attributesFile=/dev/null",
    "core.quotePath=false",
    "core.sshCommand=false",
    "credential.helper=",
    "diff.external=",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
];

/// The only protocol that may be used: one that can't be. In the environment it wins over `protocol.*.allow` of the
/// repository, and versions of git that do not know `GIT_NO_LAZY_FETCH` fetch nothing that a partial clone lacks.
const PROTOCOL: &str = "/";

/// What changed in the working tree since the commit from which the revision and HEAD went apart.
pub(super) fn since(revision: &str, root: &Path) -> Result<Change, Error> {
    let git = Git::new(root)?;
    if revision.is_empty() || revision.starts_with('-') {
        return Err(Error::usage(format!("`{revision}` is no revision"))
            .hint("a branch, a tag or a commit is expected, or a file that ends in .patch or .diff"));
    }
    let Some(head) = git.commit("HEAD")? else {
        if revision == "HEAD" {
            // The first commit is being made.
            return Ok(Change::default());
        }
        return Err(Error::usage(format!("cannot compare with `{revision}`: there is no commit yet")));
    };
    let shallow = git.text(&["rev-parse", "--is-shallow-repository"])?.as_deref() == Some("true");
    let Some(commit) = git.commit(revision)? else {
        let hint = if shallow {
            // A clone of one branch has a name for that branch only.
            let name = revision.strip_prefix("origin/").unwrap_or(revision);
            format!("this is a shallow clone; `git fetch --depth=1 origin {name}` gets it as FETCH_HEAD")
        } else {
            "`git branch --all` and `git tag` list what there is".to_owned()
        };
        return Err(Error::usage(format!("there is no revision `{revision}`")).hint(hint));
    };
    let mut change = Change::default();
    let base = match git.text(&["merge-base", &commit, &head])? {
        Some(base) => base,
        None => {
            let why = if shallow { "in this shallow clone" } else { "at all" };
            let message =
                format!("HEAD and `{revision}` have no commit in common {why}: they are compared as they are");
            let hint = "what changed on the other side counts too; with more history it would not \
                        (`git fetch --unshallow`, or `fetch-depth: 0` of actions/checkout)";
            change.warning = Some((message, hint.to_owned()));
            commit
        }
    };
    let mut files = git.diff(&base).map_err(|what| {
        let hint = format!(
            "`git diff --merge-base {revision}` in {} may say more, and fetches what a partial clone lacks",
            root.display()
        );
        Error::failed(format!("git cannot tell what changed: {what}")).hint(hint)
    })?;
    files.extend(git.new_files()?);
    change.files = Some(files);
    Ok(change)
}

/// Git in a repository.
struct Git {
    program: PathBuf,
    root: PathBuf,
    /// Filters that the repository names, to be emptied.
    filters: Vec<(String, &'static str)>,
}

impl Git {
    fn new(root: &Path) -> Result<Self, Error> {
        let program = program().ok_or_else(|| {
            Error::failed("`--diff REV` needs git, which is not on PATH").hint("a .patch file can be given instead")
        })?;
        if !root.join(".git").exists() {
            return Err(Error::usage(format!("{} is in no git repository", root.display()))
                .hint("`--diff` also takes a .patch file, or `-` for one on stdin"));
        }
        let mut git = Self { program, root: root.to_owned(), filters: Vec::new() };
        let names = ["config", "--null", "--name-only", "--get-regexp", "^filter\\."];
        // No match is a failure to git.
        let names = git.run(&names)?.unwrap_or_default();
        for name in names.split('\0').filter(|name| !name.is_empty()) {
            let value = if name.ends_with(".required") { "false" } else { "" };
            git.filters.push((name.to_owned(), value));
        }
        Ok(git)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.root).stdin(Stdio::null());
        command.args(["--no-pager", "--no-optional-locks", "--no-replace-objects"]);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        // Filters go by the environment: their names may hold what `-c` would misread.
        let known: usize = std::env::var("GIT_CONFIG_COUNT").ok().and_then(|count| count.parse().ok()).unwrap_or(0);
        for (at, (name, value)) in (known..).zip(&self.filters) {
            command.env(format!("GIT_CONFIG_KEY_{at}"), name).env(format!("GIT_CONFIG_VALUE_{at}"), value);
        }
        command.env("GIT_CONFIG_COUNT", (known + self.filters.len()).to_string());
        command.env("GIT_NO_LAZY_FETCH", "1").env("GIT_TERMINAL_PROMPT", "0").env("GIT_ALLOW_PROTOCOL", PROTOCOL);
        command.env("LC_ALL", "C").env_remove("GIT_EXTERNAL_DIFF");
        // `core.worktree` would have it look elsewhere.
        let mut work_tree = OsString::from("--work-tree=");
        work_tree.push(&self.root);
        command.arg(work_tree).args(args);
        command
    }

    /// What a command says; none where it fails without a word, as git does for "no".
    fn run(&self, args: &[&str]) -> Result<Option<String>, Error> {
        let output = self.command(args).output().map_err(|error| Error::failed(format!("cannot run git: {error}")))?;
        if output.status.success() {
            return Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        match complaint(&said) {
            None => Ok(None),
            Some(line) => {
                // A container often runs as somebody else than who checked the tree out.
                let owned = line.contains("dubious ownership");
                let hint = format!("`git config --global --add safe.directory {}` trusts it", self.root.display());
                Err(Error::failed(format!("git: {line}")).maybe_hint(owned.then_some(hint)))
            }
        }
    }

    /// The first line of what a command says.
    fn text(&self, args: &[&str]) -> Result<Option<String>, Error> {
        Ok(self.run(args)?.and_then(|text| text.lines().next().map(str::to_owned)))
    }

    /// The commit that a revision names.
    fn commit(&self, revision: &str) -> Result<Option<String>, Error> {
        let wanted = format!("{revision}^{{commit}}");
        let commit = self.text(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])?;
        Ok(commit.filter(|commit| commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit())))
    }

    /// What differs between a commit and the working tree; or why that can't be told.
    fn diff(&self, commit: &str) -> Result<BTreeMap<PathBuf, Lines>, String> {
        let args = [
            "diff",
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            "--no-relative",
            "--text",
            "--find-renames",
            "--ignore-submodules=all",
            "--submodule=short",
            "--unified=0",
            "--inter-hunk-context=0",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            "-O/dev/null",
            commit,
            "--",
        ];
        let said = |error: std::io::Error| error.to_string();
        let mut child = self.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(said)?;
        let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
            return Err("no output".to_owned());
        };
        // Both at once: git waits for whoever does not read.
        let errors = std::thread::spawn(move || first_of(errors));
        let mut output = BufReader::new(output.take(BYTES_MAX));
        let patch = patch::read(&mut output);
        let whole = output.get_ref().limit() > 0;
        // Closes the pipe, so that git ends even where reading stopped early.
        drop(output);
        let status = child.wait().map_err(said)?;
        let errors = errors.join().unwrap_or_default();
        if !whole {
            return Err(format!("the change is larger than {} GiB", BYTES_MAX >> 30));
        }
        let patch = patch.map_err(said);
        // A patch that is cut off is so because git failed.
        if !status.success() && (patch.is_ok() || complaint(&errors).is_some()) {
            return Err(complaint(&errors).map_or_else(|| status.to_string(), str::to_owned));
        }
        Ok(below(&self.root, patch?))
    }

    /// Files that are new as a whole: those that nobody has added yet and that are not ignored, and those that git compares
    /// in another encoding than the one they are in, so that its lines are not theirs. Go has only one encoding.
    fn new_files(&self) -> Result<BTreeMap<PathBuf, Lines>, Error> {
        let untracked: &[&str] = &["ls-files", "-z", "--others", "--exclude-standard"];
        let encoded: &[&str] = &["ls-files", "-z", "--", ":(exclude,attr:!working-tree-encoding)"];
        let mut files = BTreeMap::new();
        for args in [untracked, encoded] {
            let list = self.run(args)?.unwrap_or_default();
            let paths = list.split('\0').filter(|path| !path.is_empty());
            files.extend(paths.map(|path| (self.root.join(path), Lines::all())));
        }
        Ok(files)
    }
}

/// The line by which git says why it failed, which need not be its first: it warns on the way.
fn complaint(said: &str) -> Option<&str> {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let fails = |line: &&str| line.starts_with("fatal:") || line.starts_with("error:");
    lines().find(fails).or_else(|| lines().next())
}

/// The beginning of a text; the rest is read and forgotten.
fn first_of(mut input: impl Read) -> String {
    let mut first = Vec::new();
    // Where reading fails, that is all there is.
    let _ = input.by_ref().take(64 << 10).read_to_end(&mut first);
    let _ = std::io::copy(&mut input, &mut std::io::sink());
    String::from_utf8_lossy(&first).into_owned()
}

/// Git on PATH. Relative entries of it would have the analysed tree supply the program.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = std::env::split_paths(&path).filter(|dir| dir.is_absolute());
    let mut files = names.map(|dir| dir.join(format!("git{}", std::env::consts::EXE_SUFFIX)));
    files.find(|file| file.is_file())
}

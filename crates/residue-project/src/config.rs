//! What to load, for which build set, in which environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::FileSystem;
use crate::guard::read_small;

/// What to load.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Config {
    /// The working directory, absolute: patterns and displayed paths are relative to it.
    pub dir: PathBuf,
    /// Directories, `./...`, `dir/...`, or import paths of the main module; none means `.`.
    pub patterns: Vec<String>,
    /// Whether a directory means the whole tree below it, as for other linters; where false its package alone, as for
    /// the go command.
    pub trees: bool,
    /// Whether `_test.go` files are loaded.
    pub tests: bool,
    /// Whether packages below `vendor` are roots.
    pub include_vendor: bool,
    /// Globs of paths that are not reported on, relative to `dir`, as in `.gitignore`: directories are no roots, files
    /// are marked [`crate::SourceFile::excluded`].
    pub exclude: Vec<String>,
    /// Directories, relative to `dir` or absolute, that may be read beside the repository that holds a module: what
    /// `replace` and `use` lines and links lead to must lie in one or the other.
    pub allow_paths: Vec<PathBuf>,
    /// Build tags beside those of `GOFLAGS`.
    pub tags: Vec<String>,
    /// Target operating system; none follows `GOOS`, then the host.
    pub goos: Option<String>,
    /// Target architecture; none follows `GOARCH`, then the host.
    pub goarch: Option<String>,
    /// Whether cgo files are built; none follows `CGO_ENABLED`, then whether the target is the host.
    pub cgo: Option<bool>,
    /// Whether packages that are not roots keep their bodies too.
    pub all_bodies: bool,
    /// Declarations of packages that models know, used where a package is found nowhere else.
    pub stubs: Vec<StubPackage>,
    /// Larger files are reported and left out.
    pub max_file_bytes: u64,
    /// The environment.
    pub env: Env,
}

impl Config {
    /// The default of [`Config::max_file_bytes`].
    pub const MAX_FILE_BYTES: u64 = 32 << 20;

    /// `./...` of a directory, for the host.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            patterns: vec!["./...".to_owned()],
            trees: true,
            tests: false,
            include_vendor: false,
            exclude: Vec::new(),
            allow_paths: Vec::new(),
            tags: Vec::new(),
            goos: None,
            goarch: None,
            cgo: None,
            all_bodies: false,
            stubs: Vec::new(),
            max_file_bytes: Self::MAX_FILE_BYTES,
            env: Env::default(),
        }
    }
}

/// A package that a model declares.
#[derive(Clone, Debug)]
pub struct StubPackage {
    /// Import path.
    pub import_path: Arc<str>,
    /// Go source with a package clause; bodies are not needed.
    pub source: Arc<[u8]>,
    /// How its file is displayed.
    pub path: Arc<str>,
}

/// The environment variables that matter, and nothing else of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env {
    vars: BTreeMap<String, String>,
}

impl Env {
    /// The variables that loading looks at.
    pub const NAMES: &'static [&'static str] = &[
        "APPDATA",
        "CGO_ENABLED",
        "GO386",
        "GOAMD64",
        "GOARCH",
        "GOARM",
        "GOARM64",
        "GOENV",
        "GOEXPERIMENT",
        "GOFLAGS",
        "GOMIPS",
        "GOMIPS64",
        "GOMODCACHE",
        "GOOS",
        "GOPATH",
        "GOPPC64",
        "GORISCV64",
        "GOROOT",
        "GOTOOLCHAIN",
        "GOWORK",
        "HOME",
        "PATH",
        "USERPROFILE",
        "XDG_CONFIG_HOME",
    ];

    /// Keeps the variables of [`Env::NAMES`].
    pub fn from_vars<K: Into<String>, V: Into<String>>(vars: impl IntoIterator<Item = (K, V)>) -> Self {
        let vars = vars.into_iter().map(|(k, v)| (k.into(), v.into()));
        Self { vars: vars.filter(|(k, _)| Self::NAMES.contains(&k.as_str())).collect() }
    }

    /// The value of a variable; an empty one counts as unset, as for the go command.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.vars.insert(name.to_owned(), value.to_owned());
    }

    /// Completes the environment with the file that `go env -w` writes, then with the defaults in `go.env` of the
    /// installed Go; what is set already wins.
    pub(crate) fn with_go_env_files(&self, fs: &dyn FileSystem) -> Self {
        let mut env = self.clone();
        env.complete(fs, env.go_env_file().as_deref());
        env.complete(fs, env.goroot(fs).map(|root| root.join("go.env")).as_deref());
        env
    }

    /// The file that `go env -w` writes.
    fn go_env_file(&self) -> Option<PathBuf> {
        match self.get("GOENV") {
            Some("off") => None,
            Some(path) => Some(PathBuf::from(path)),
            None => self.user_config_dir().map(|dir| dir.join("go").join("env")),
        }
    }

    /// Sets what a file of `NAME=value` lines sets and the environment does not.
    fn complete(&mut self, fs: &dyn FileSystem, path: Option<&Path>) {
        let Some(text) = path.and_then(|path| read_small(fs, path).ok()) else { return };
        for line in String::from_utf8_lossy(&text).lines() {
            if let Some((name, value)) = line.split_once('=')
                && Self::NAMES.contains(&name.trim())
                && self.get(name.trim()).is_none()
            {
                self.set(name.trim(), value);
            }
        }
    }

    /// Where Go keeps a user's configuration on the machine that this program was built for.
    fn user_config_dir(&self) -> Option<PathBuf> {
        if cfg!(windows) {
            return self.get("APPDATA").map(PathBuf::from);
        }
        if cfg!(target_os = "macos") {
            return self.get("HOME").map(|home| Path::new(home).join("Library/Application Support"));
        }
        let xdg = self.get("XDG_CONFIG_HOME").map(PathBuf::from);
        xdg.or_else(|| self.get("HOME").map(|home| Path::new(home).join(".config")))
    }

    /// The home directory.
    fn home(&self) -> Option<&str> {
        self.get("HOME").or_else(|| self.get("USERPROFILE"))
    }

    /// The first directory of `GOPATH`.
    pub(crate) fn gopath(&self) -> Option<PathBuf> {
        match self.get("GOPATH") {
            Some(list) => list.split(LIST_SEPARATOR).next().map(PathBuf::from),
            None => Some(Path::new(self.home()?).join("go")),
        }
    }

    /// The module cache.
    pub(crate) fn module_cache(&self) -> Option<PathBuf> {
        let own = self.get("GOMODCACHE").map(PathBuf::from);
        own.or_else(|| Some(self.gopath()?.join("pkg").join("mod")))
    }

    /// The installed Go: `GOROOT`, else what `go` on `PATH` belongs to, links followed.
    pub(crate) fn goroot(&self, fs: &dyn FileSystem) -> Option<PathBuf> {
        if let Some(root) = self.get("GOROOT") {
            return Some(PathBuf::from(root));
        }
        let name = if cfg!(windows) { "go.exe" } else { "go" };
        let dirs = self.get("PATH")?.split(LIST_SEPARATOR).filter(|dir| !dir.is_empty());
        let program = dirs.map(|dir| Path::new(dir).join(name)).find_map(|path| fs.canonicalize(&path).ok())?;
        let root = program.parent()?.parent()?;
        fs.metadata(&root.join("src").join("fmt")).ok().map(|_| root.to_path_buf())
    }

    /// The value of `-name=value` in `GOFLAGS`; the last one counts.
    pub(crate) fn goflag(&self, name: &str) -> Option<String> {
        let flags = split_quoted(self.get("GOFLAGS")?);
        flags.iter().rev().find_map(|flag| {
            let flag = flag.strip_prefix("--").or_else(|| flag.strip_prefix('-'))?;
            Some(flag.strip_prefix(name)?.strip_prefix('=')?.to_owned())
        })
    }
}

/// What separates the directories of `PATH` and `GOPATH`.
const LIST_SEPARATOR: char = if cfg!(windows) { ';' } else { ':' };

/// Splits at blanks; a word may be put in single or double quotes, as in `GOFLAGS`.
fn split_quoted(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, tail) = match first {
            '\'' | '"' => rest[1..].split_once(first).unwrap_or((&rest[1..], "")),
            _ => rest.split_once([' ', '\t', '\n', '\r']).unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = tail.trim_start();
    }
    words
}

/// One build set: the operating system, architecture and tags that select files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `GOOS`
    pub goos: String,
    /// `GOARCH`
    pub goarch: String,
    /// Whether cgo files are built.
    pub cgo: bool,
    /// Custom tags, sorted.
    pub tags: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::Env;
    use crate::fs::MemoryFileSystem;
    use std::path::Path;

    #[test]
    fn keeps_only_what_matters() {
        let env = Env::from_vars([("GOFLAGS", ""), ("AWS_SECRET_ACCESS_KEY", "x"), ("GOOS", "plan9")]);
        assert_eq!(env, Env::from_vars([("GOFLAGS", ""), ("GOOS", "plan9")]));
        assert_eq!(env.get("GOFLAGS"), None);
    }

    #[test]
    fn reads_goflags() {
        let env = Env::from_vars([("GOFLAGS", " -mod=mod  '-tags=a b' --tags=c \"-ldflags=-X y=z")]);
        assert_eq!(env.goflag("mod").as_deref(), Some("mod"));
        assert_eq!(env.goflag("tags").as_deref(), Some("c"));
        assert_eq!(env.goflag("ldflags").as_deref(), Some("-X y=z"));
        assert_eq!(env.goflag("mo"), None);
    }

    #[test]
    fn finds_the_module_cache() {
        let cache = |vars: &[(&str, &str)]| Env::from_vars(vars.iter().copied()).module_cache();
        assert_eq!(cache(&[("GOMODCACHE", "/c"), ("GOPATH", "/g")]).as_deref(), Some(Path::new("/c")));
        assert_eq!(cache(&[("GOPATH", "/g"), ("HOME", "/h")]).as_deref(), Some(Path::new("/g/pkg/mod")));
        assert_eq!(cache(&[("HOME", "/h")]).as_deref(), Some(Path::new("/h/go/pkg/mod")));
        assert_eq!(cache(&[]), None);
    }

    #[test]
    fn finds_the_installed_go_through_links() {
        let mut fs =
            MemoryFileSystem::new([("/opt/go/bin/go", ""), ("/opt/go/src/fmt/print.go", ""), ("/odd/bin/go", "")]);
        fs.link("/usr/bin/go", "/etc/alternatives/go");
        fs.link("/etc/alternatives/go", "../../opt/go/bin/go");
        let goroot = |vars: &[(&str, &str)]| Env::from_vars(vars.iter().copied()).goroot(&fs);
        assert_eq!(goroot(&[("PATH", "/bin::/usr/bin")]).as_deref(), Some(Path::new("/opt/go")));
        assert_eq!(goroot(&[("PATH", "/usr/bin"), ("GOROOT", "/x")]).as_deref(), Some(Path::new("/x")));
        assert_eq!(goroot(&[("PATH", "/odd/bin:/usr/bin")]), None);
        assert_eq!(goroot(&[]), None);
    }

    #[test]
    fn reads_the_go_env_file() {
        let fs = MemoryFileSystem::new([("/e", "GOOS=plan9\nGOARCH=arm\nnonsense\nHTTP_PROXY=x\n")]);
        let env = Env::from_vars([("GOENV", "/e"), ("GOARCH", "amd64")]).with_go_env_files(&fs);
        assert_eq!((env.get("GOOS"), env.get("GOARCH"), env.get("HTTP_PROXY")), (Some("plan9"), Some("amd64"), None));
        let off = Env::from_vars([("GOENV", "off")]).with_go_env_files(&fs);
        assert_eq!(off.get("GOOS"), None);
    }

    #[test]
    fn the_installed_go_has_defaults() {
        let files = [("/go/go.env", "# Defaults\nGOTOOLCHAIN=local\nGOFLAGS=-mod=mod\n"), ("/e", "GOFLAGS=-tags=x\n")];
        let env = Env::from_vars([("GOENV", "/e"), ("GOROOT", "/go")]).with_go_env_files(&MemoryFileSystem::new(files));
        assert_eq!((env.get("GOTOOLCHAIN"), env.get("GOFLAGS")), (Some("local"), Some("-tags=x")));
    }
}

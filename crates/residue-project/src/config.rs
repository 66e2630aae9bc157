//! What to load, for which build set, in which environment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// What to load.
#[derive(Clone, Debug)]
pub struct Config {
    /// The working directory, absolute: patterns and displayed paths are relative to it.
    pub dir: PathBuf,
    /// Directories, `./...`, `dir/...`, or import paths of the main module; none means `.`.
    pub patterns: Vec<String>,
    /// Whether `_test.go` files are loaded.
    pub tests: bool,
    /// Whether packages below `vendor` are roots.
    pub include_vendor: bool,
    /// Globs of paths that are never roots, relative to `dir`, as in `.gitignore`.
    pub exclude: Vec<String>,
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
    pub const MAX_FILE_BYTES: u64 = 64 << 20;

    /// `./...` of a directory, for the host.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            patterns: vec!["./...".to_owned()],
            tests: false,
            include_vendor: false,
            exclude: Vec::new(),
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
        "CGO_ENABLED",
        "GO111MODULE",
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
        "GOWASM",
        "GOWORK",
        "HOME",
        "PATH",
        "USERPROFILE",
        "XDG_CONFIG_HOME",
    ];

    /// Keeps the variables of [`Env::NAMES`].
    pub fn from_vars<K: Into<String>, V: Into<String>>(
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let vars = vars.into_iter().map(|(k, v)| (k.into(), v.into()));
        Self {
            vars: vars
                .filter(|(k, _)| Self::NAMES.contains(&k.as_str()))
                .collect(),
        }
    }

    /// The value of a variable; an empty one counts as unset, as for the go command.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.vars
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.vars.insert(name.to_owned(), value.to_owned());
    }
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

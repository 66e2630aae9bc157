//! The build set: which files of a directory belong to the package for one operating system, architecture and tags.

use std::collections::BTreeSet;

use crate::config::{Config, Env, Target};
use crate::constraint::{Constraints, Expr};
use crate::{Diagnostic, GoVersion, Problem, Severity};

/// Every `GOOS` that was or is; file names are matched against these.
const OSES: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
    "zos",
];

/// The `GOOS` values that the `unix` tag covers.
const UNIX: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "linux",
    "netbsd",
    "openbsd",
    "solaris",
];

/// Every `GOARCH` that was or is.
const ARCHES: &[&str] = &[
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "arm64",
    "arm64be",
    "armbe",
    "loong64",
    "mips",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "mipsle",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

/// The targets that the embedded standard library covers.
const STD_OSES: &[&str] = &["darwin", "freebsd", "linux", "windows"];
const STD_ARCHES: &[&str] = &["amd64", "arm64"];

/// The tags by which programs choose between implementations in the standard library.
const STD_TAGS: &[&str] = &["netcgo", "netgo", "osusergo", "purego", "timetzdata"];

/// Experiments that are on by default in the Go release whose standard library is embedded, besides those that depend
/// on the target.
const EXPERIMENTS: &[&str] = &["greenteagc", "jsonv2", "randomizedheapbase64", "sizespecializedmalloc"];

/// The tags of one build set.
#[derive(Clone, Debug)]
pub(crate) struct BuildSet {
    pub(crate) goos: String,
    pub(crate) goarch: String,
    pub(crate) cgo: bool,
    /// Custom tags, as given.
    custom: BTreeSet<String>,
    /// Tags that the tool chain sets: `goexperiment.x`, `amd64.v1`.
    tool: BTreeSet<String>,
    /// `go1.1` … `go1.N` are set.
    release: u16,
}

impl BuildSet {
    /// The build set of a configuration; `release` is the Go version that is built for.
    pub(crate) fn new(config: &Config, env: &Env, release: GoVersion, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let (host_os, host_arch) = host();
        let pick = |flag: &Option<String>, name: &str, host: &str| {
            flag.as_deref().or_else(|| env.get(name)).unwrap_or(host).to_owned()
        };
        let goos = pick(&config.goos, "GOOS", host_os);
        let goarch = pick(&config.goarch, "GOARCH", host_arch);
        for (what, value, known) in [("GOOS", &goos, OSES), ("GOARCH", &goarch, ARCHES)] {
            if !known.contains(&value.as_str()) {
                diagnostics.push(Diagnostic {
                    place: None,
                    severity: Severity::Warning,
                    problem: Problem::Environment,
                    message: format!("{what}={value} is not a value that Go knows"),
                    hint: Some(format!("known values are {}", known.join(", "))),
                });
            }
        }
        let cgo = config.cgo.unwrap_or_else(|| match env.get("CGO_ENABLED") {
            Some("1") => true,
            Some("0") => false,
            _ => goos == host_os && goarch == host_arch,
        });
        let mut custom: BTreeSet<String> = flag_tags(env).into_iter().collect();
        custom.extend(config.tags.iter().flat_map(|tags| split_tags(tags)).map(str::to_owned));
        let mut tool: BTreeSet<String> = arch_tags(&goarch, env).into_iter().collect();
        tool.extend(experiments(&goos, &goarch, env).into_iter().map(|name| format!("goexperiment.{name}")));
        Self { goos, goarch, cgo, custom, tool, release: release.minor }
    }

    /// The build set by which the embedded standard library is read: the nearest target that it covers, default
    /// experiments and feature levels, and of the custom tags those that it knows.
    pub(crate) fn for_std(&self, release: GoVersion) -> Self {
        let covered = |value: &str, all: &[&'static str], other: &'static str| {
            all.iter().find(|known| **known == value).copied().unwrap_or(other).to_owned()
        };
        let nearest_os = match self.goos.as_str() {
            "ios" => "darwin",
            "dragonfly" | "netbsd" | "openbsd" => "freebsd",
            _ => "linux",
        };
        Self::plain(
            covered(&self.goos, STD_OSES, nearest_os),
            covered(&self.goarch, STD_ARCHES, "amd64"),
            self.cgo,
            self.custom.iter().filter(|tag| STD_TAGS.contains(&tag.as_str())).cloned().collect(),
            release,
        )
    }

    /// A build set without influence of the environment.
    fn plain(goos: String, goarch: String, cgo: bool, custom: BTreeSet<String>, release: GoVersion) -> Self {
        let env = Env::default();
        let mut tool: BTreeSet<String> = arch_tags(&goarch, &env).into_iter().collect();
        tool.extend(experiments(&goos, &goarch, &env).into_iter().map(|name| format!("goexperiment.{name}")));
        Self { goos, goarch, cgo, custom, tool, release: release.minor }
    }

    /// The public description.
    pub(crate) fn target(&self) -> Target {
        Target {
            goos: self.goos.clone(),
            goarch: self.goarch.clone(),
            cgo: self.cgo,
            tags: self.custom.iter().cloned().collect(),
        }
    }

    /// Whether a tag is set.
    pub(crate) fn has(&self, tag: &str) -> bool {
        if tag == self.goos || tag == self.goarch || tag == "gc" {
            return true;
        }
        match tag {
            "cgo" if self.cgo => return true,
            "linux" if self.goos == "android" => return true,
            "solaris" if self.goos == "illumos" => return true,
            "darwin" if self.goos == "ios" => return true,
            "unix" if UNIX.contains(&self.goos.as_str()) => return true,
            _ => {}
        }
        let tag = if tag == "boringcrypto" { "goexperiment.boringcrypto" } else { tag };
        if self.custom.contains(tag) || self.tool.contains(tag) {
            return true;
        }
        tag.strip_prefix("go1.")
            .filter(|digits| !digits.starts_with(['0', '+']))
            .and_then(|digits| digits.parse::<u16>().ok())
            .is_some_and(|minor| minor <= self.release)
    }

    /// Whether a constraint holds.
    pub(crate) fn holds(&self, expr: &Expr) -> bool {
        expr.eval(&|tag| self.has(tag))
    }

    /// Whether the endings of a file's name, `_linux`, `_arm64`, `_linux_arm64`, allow it.
    pub(crate) fn name_matches(&self, name: &str) -> bool {
        name_tags(name).into_iter().flatten().all(|tag| self.has(tag))
    }
}

/// Whether a file of the standard library is built for some target that the embedded archive covers.
pub(crate) fn builds_for_std(name: &str, src: &[u8], release: GoVersion) -> bool {
    let expr = Constraints::of(src).expr;
    let targets = STD_OSES.iter().flat_map(|os| STD_ARCHES.iter().map(move |arch| (*os, *arch)));
    targets.into_iter().any(|(os, arch)| {
        let set = BuildSet::plain(os.to_owned(), arch.to_owned(), false, BTreeSet::new(), release);
        let decided = |tag: &str| (tag != "cgo" && !STD_TAGS.contains(&tag)).then(|| set.has(tag));
        set.name_matches(name) && expr.as_ref().is_none_or(|expr| expr.satisfiable(&decided))
    })
}

/// The operating system and architecture that a file's name asks for.
pub(crate) fn name_tags(name: &str) -> [Option<&str>; 2] {
    let stem = name.split('.').next().unwrap_or_default();
    // What stands before the first `_` is never a constraint: `linux.go` is built everywhere.
    let Some((_, tail)) = stem.split_once('_') else { return [None, None] };
    let tail = match tail.rsplit_once('_') {
        Some((front, "test")) => front,
        None if tail == "test" => return [None, None],
        _ => tail,
    };
    let (front, last) = tail.rsplit_once('_').map_or((None, tail), |(front, last)| (Some(front), last));
    let before = front.map(|front| front.rsplit_once('_').map_or(front, |(_, before)| before));
    let is_arch = ARCHES.contains(&last);
    if is_arch && let Some(os) = before.filter(|os| OSES.contains(os)) {
        return [Some(os), Some(last)];
    }
    [(is_arch || OSES.contains(&last)).then_some(last), None]
}

/// The machine that this program was built for, in Go's words.
fn host() -> (&'static str, &'static str) {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        os => os,
    };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "loongarch64" => "loong64",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "powerpc64" => "ppc64",
        arch => arch,
    };
    (os, arch)
}

/// Splits `a,b` (and the older `a b`).
fn split_tags(tags: &str) -> impl Iterator<Item = &str> {
    tags.split([',', ' ']).filter(|tag| !tag.is_empty())
}

/// The tags of `GOFLAGS`.
fn flag_tags(env: &Env) -> Vec<String> {
    env.goflag("tags").map(|tags| split_tags(&tags).map(str::to_owned).collect()).unwrap_or_default()
}

/// The tags for the feature level of an architecture.
fn arch_tags(goarch: &str, env: &Env) -> Vec<String> {
    let levels = |name: &str, prefix: &str, from: u32, default: u32| -> Vec<String> {
        let level = env.get(name).and_then(|value| value.strip_prefix(prefix)).and_then(|n| n.parse().ok());
        (from..=level.unwrap_or(default).min(99)).map(|n| format!("{goarch}.{prefix}{n}")).collect()
    };
    match goarch {
        "386" => vec![format!("386.{}", env.get("GO386").unwrap_or("sse2"))],
        "amd64" => levels("GOAMD64", "v", 1, 1),
        "arm" => {
            let version = env.get("GOARM").and_then(|value| value.split(',').next()).and_then(|n| n.parse().ok());
            (5..=version.unwrap_or(7u32).min(99)).map(|n| format!("arm.{n}")).collect()
        }
        "arm64" => {
            let level = env.get("GOARM64").and_then(|value| value.split(',').next()).unwrap_or("v8.0");
            let (major, minor) = match level.strip_prefix('v').and_then(|level| level.split_once('.')) {
                Some((major @ ("8" | "9"), minor)) => (major, minor.parse::<u32>().unwrap_or(0).min(9)),
                _ => ("8", 0),
            };
            let mut tags: Vec<String> = (0..=minor).map(|n| format!("arm64.v{major}.{n}")).collect();
            if major == "9" {
                // v9.N includes v8.(N+5).
                tags.extend((0..=(minor + 5).min(9)).map(|n| format!("arm64.v8.{n}")));
            }
            tags
        }
        "mips" | "mipsle" => vec![format!("{goarch}.{}", env.get("GOMIPS").unwrap_or("hardfloat"))],
        "mips64" | "mips64le" => vec![format!("{goarch}.{}", env.get("GOMIPS64").unwrap_or("hardfloat"))],
        "ppc64" | "ppc64le" => levels("GOPPC64", "power", 8, 8),
        "riscv64" => {
            let profile = env.get("GORISCV64").unwrap_or("rva20u64");
            let all = ["rva20u64", "rva22u64", "rva23u64"];
            let count = all.iter().position(|&name| name == profile).unwrap_or(0) + 1;
            all[..count].iter().map(|name| format!("riscv64.{name}")).collect()
        }
        "wasm" => vec!["wasm.satconv".to_owned(), "wasm.signext".to_owned()],
        _ => Vec::new(),
    }
}

/// The experiments that are on: the default ones, changed by `GOEXPERIMENT`.
fn experiments(goos: &str, goarch: &str, env: &Env) -> BTreeSet<String> {
    let regabi = matches!(goarch, "amd64" | "arm64" | "loong64" | "ppc64le" | "ppc64" | "riscv64" | "s390x");
    let mut on: BTreeSet<String> = EXPERIMENTS.iter().map(|&name| name.to_owned()).collect();
    if regabi {
        on.extend(["regabiwrappers".to_owned(), "regabiargs".to_owned()]);
    }
    if !matches!(goos, "darwin" | "ios" | "aix") {
        on.insert("dwarf5".to_owned());
    }
    for name in env.get("GOEXPERIMENT").into_iter().flat_map(|list| list.split(',')).filter(|name| !name.is_empty()) {
        if name == "none" {
            on.clear();
        } else if let Some(name) = name.strip_prefix("no") {
            on.remove(name);
        } else {
            on.insert(name.to_owned());
        }
    }
    on
}

#[cfg(test)]
mod tests {
    use super::{BuildSet, name_tags};
    use crate::{Config, GoVersion};

    fn set(os: &str, arch: &str, edit: impl FnOnce(&mut Config)) -> BuildSet {
        let mut config = Config::new("/");
        config.goos = Some(os.to_owned());
        config.goarch = Some(arch.to_owned());
        config.cgo = Some(false);
        edit(&mut config);
        let mut diagnostics = Vec::new();
        let set = BuildSet::new(&config, &config.env, GoVersion::new(1, 27), &mut diagnostics);
        assert!(diagnostics.is_empty());
        set
    }

    #[test]
    fn matches_file_names_as_go_does() {
        let linux = set("linux", "amd64", |_| {});
        for (name, want) in [
            ("a.go", true),
            ("linux.go", true),
            ("windows.go", true),
            ("a_linux.go", true),
            ("a_windows.go", false),
            ("a_arm64.go", false),
            ("a_amd64.go", true),
            ("a_linux_amd64.go", true),
            ("a_linux_arm64.go", false),
            ("a_windows_amd64.go", false),
            ("a_amd64_linux.go", true),
            ("a_windows_test.go", false),
            ("a_linux_amd64_test.go", true),
            ("windows_test.go", true),
            ("a_windows_b.go", true),
            ("_windows.go", false),
            ("a_unix.go", true),
            ("a_windows.pb.go", false),
            ("a.pb_windows.go", true),
            ("windows_amd64.go", true),
            ("linux_arm64.go", false),
        ] {
            assert_eq!(linux.name_matches(name), want, "{name}");
        }
        assert!(!set("windows", "amd64", |_| {}).name_matches("a_linux.go"));
        assert!(set("android", "arm64", |_| {}).name_matches("a_linux.go"));
        assert_eq!(name_tags("x_windows_amd64_test.go"), [Some("windows"), Some("amd64")]);
    }

    #[test]
    fn knows_the_tags_of_the_tool_chain() {
        let linux = set("linux", "amd64", |config| {
            config.tags = vec!["e2e,slow".to_owned()];
            config.env.set("GOFLAGS", "-mod=mod '-tags=x y'");
            config.env.set("GOAMD64", "v2");
        });
        for tag in ["linux", "unix", "amd64", "gc", "go1.1", "go1.27", "e2e", "slow", "x", "y", "amd64.v2", "dwarf5"] {
            let tag = if tag == "dwarf5" { "goexperiment.dwarf5" } else { tag };
            assert!(linux.has(tag), "{tag}");
        }
        for tag in ["windows", "cgo", "go1.28", "go1.0x", "go1.", "ignore", "amd64.v3", "race", "boringcrypto"] {
            assert!(!linux.has(tag), "{tag}");
        }
        assert!(set("linux", "amd64", |config| config.cgo = Some(true)).has("cgo"));
        assert!(set("linux", "amd64", |config| config.env.set("GOEXPERIMENT", "boringcrypto")).has("boringcrypto"));
        assert!(!set("windows", "amd64", |_| {}).has("unix"));
        assert!(set("ios", "arm64", |_| {}).has("darwin"));
        assert!(set("plan9", "arm", |_| {}).has("arm.7"));
        assert!(set("linux", "arm64", |config| config.env.set("GOARM64", "v9.1")).has("arm64.v8.6"));
    }
}

//! Which Go release a build is for: it decides which `go1.N` build tags hold.
//!
//! The go command runs the newest of three tool chains: the installed one, the one of the `go` lines, and the one of
//! the `toolchain` lines; `GOTOOLCHAIN` changes the choice. We choose alike, with one difference: the installed tool
//! chain is taken to be the release whose standard library is embedded, so that a machine without Go gives the same
//! answer as one with any Go.

use crate::config::Env;
use crate::fs::FileSystem;
use crate::guard::read_small;
use crate::modules::{BuildList, Layout};
use crate::{Diagnostic, GoVersion, Problem, Severity};

/// The release that build lists are built with; `installed` stands for the installed one.
pub(crate) fn release(
    fs: &dyn FileSystem,
    env: &Env,
    lists: &[BuildList],
    installed: GoVersion,
    problems: &mut Vec<Diagnostic>,
) -> GoVersion {
    let choice = env.get("GOTOOLCHAIN").map_or(Some(Choice::AUTO), Choice::parse).unwrap_or_else(|| {
        problems.push(Diagnostic {
            place: None,
            severity: Severity::Warning,
            problem: Problem::Environment,
            message: format!("GOTOOLCHAIN={} is not a value that Go knows", env.get("GOTOOLCHAIN").unwrap_or_default()),
            hint: Some("it was read as `auto`; write `local`, `go1.22.1`, `go1.22.1+auto`".to_owned()),
        });
        Choice::AUTO
    });
    let start = choice.start.unwrap_or(installed);
    let wanted = |list: &BuildList| match list.layout {
        // A Go tree is built with itself.
        Layout::Std | Layout::Cmd => of_tree(fs, list).or(list.go),
        Layout::Modules | Layout::AdHoc if choice.switches => list.go.max(list.toolchain),
        // Go would refuse a module that asks for more than it is given; we analyse it as what it is written in.
        Layout::Modules | Layout::AdHoc if choice.start.is_none() => list.go,
        Layout::Modules | Layout::AdHoc => None,
    };
    lists.iter().filter_map(wanted).max().map_or(start, |wanted| wanted.max(start))
}

/// What `GOTOOLCHAIN` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Choice {
    /// The tool chain to start from; none is the installed one.
    start: Option<GoVersion>,
    /// Whether `go` and `toolchain` lines may ask for a newer one.
    switches: bool,
}

impl Choice {
    const AUTO: Self = Self { start: None, switches: true };

    /// Reads `auto`, `path`, `local`, `NAME`, `NAME+auto` and `NAME+path`.
    fn parse(text: &str) -> Option<Self> {
        let (name, mode) = text.split_once('+').map_or((text, None), |(name, mode)| (name, Some(mode)));
        let switches = match (name, mode) {
            (_, Some("auto" | "path")) => true,
            (_, Some(_)) => return None,
            (name, None) => matches!(name, "auto" | "path"),
        };
        match name {
            "auto" | "path" if mode.is_some() => None,
            "auto" | "path" | "local" => Some(Self { start: None, switches }),
            name => Some(Self { start: Some(GoVersion::of_toolchain(name)?), switches }),
        }
    }
}

/// The release of a Go tree, as its `VERSION` file has it.
fn of_tree(fs: &dyn FileSystem, list: &BuildList) -> Option<GoVersion> {
    let dir = &list.mains.first()?.info.dir;
    let text = dir.ancestors().find_map(|dir| read_small(fs, &dir.join("VERSION")).ok())?;
    GoVersion::parse(String::from_utf8_lossy(&text).lines().next()?.trim())
}

#[cfg(test)]
mod tests {
    use super::Choice;
    use crate::GoVersion;

    #[test]
    fn reads_gotoolchain() {
        let choice = |start: Option<u16>, switches| {
            Some(Choice { start: start.map(|minor| GoVersion::new(1, minor)), switches })
        };
        for (text, want) in [
            ("auto", choice(None, true)),
            ("path", choice(None, true)),
            ("local", choice(None, false)),
            ("local+auto", choice(None, true)),
            ("go1.22.1", choice(Some(22), false)),
            ("go1.22.1+auto", choice(Some(22), true)),
            ("go1.22rc1+path", choice(Some(22), true)),
            ("go1.22.1-x+auto", choice(Some(22), true)),
            ("go1.22.1+local", None),
            ("auto+auto", None),
            ("1.22.1", None),
            ("newest", None),
        ] {
            assert_eq!(Choice::parse(text), want, "{text}");
        }
    }
}

//! What a run of `check` does, once flags, environment and configuration agree.

use std::path::{Component, Path, PathBuf};

use residue_finding::{DisabledRule, LeftOut, RuleMeta};

use crate::args::{CheckArgs, FailOn, Format, FormatKind};
use crate::cache::Cache;
use crate::config::{Config, IgnoredPaths};
use crate::engine;
use crate::error::Error;
use crate::paths;
use crate::platforms::Platform;

/// A resolved `check`.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The working directory: displayed paths are relative to it.
    pub(crate) dir: PathBuf,
    /// The repository around it.
    pub(crate) root: PathBuf,
    /// The repository of the first pattern, or the same.
    pub(crate) start_root: PathBuf,
    pub(crate) patterns: Vec<String>,
    /// Whether a directory stands for all below it.
    pub(crate) trees: bool,
    pub(crate) rules: Vec<&'static RuleMeta>,
    pub(crate) disabled: Vec<DisabledRule>,
    pub(crate) models: Vec<PathBuf>,
    pub(crate) exclude: Vec<String>,
    /// What of it a configuration says.
    pub(crate) left_out: Vec<LeftOut>,
    /// Paths with findings that a configuration accepts.
    pub(crate) ignored: Vec<Ignored>,
    /// The baseline that was asked for.
    pub(crate) baseline: Option<PathBuf>,
    pub(crate) prune_baseline: bool,
    pub(crate) diff: Option<String>,
    pub(crate) tests: bool,
    pub(crate) include_vendor: bool,
    pub(crate) tags: Vec<String>,
    pub(crate) goos: Option<String>,
    pub(crate) goarch: Option<String>,
    /// Builds to look at; none is the one that `goos` and `goarch` name.
    pub(crate) platforms: Vec<Platform>,
    /// Directories that may be read beside the repository.
    pub(crate) allow_paths: Vec<PathBuf>,
    pub(crate) formats: Vec<Format>,
    pub(crate) omit_suppressed: bool,
    pub(crate) fail_on: FailOn,
    /// The configuration that lets more pass than is usual.
    pub(crate) lenient: Option<String>,
    pub(crate) strict: bool,
    pub(crate) stats: bool,
    pub(crate) jobs: Option<u16>,
    pub(crate) cache: Cache,
}

/// An `[[ignore]]` of a configuration.
#[derive(Debug)]
pub(crate) struct Ignored {
    /// The directory that its patterns are relative to.
    pub(crate) base: PathBuf,
    pub(crate) entry: IgnoredPaths,
    /// The file with the line.
    pub(crate) by: String,
}

impl Settings {
    /// Flags win over the environment (clap sees to that), both over the configuration.
    pub(crate) fn resolve(args: CheckArgs) -> Result<Self, Error> {
        let dir = std::env::current_dir()
            .map_err(|error| Error::failed(format!("cannot tell the working directory: {error}")))?;
        Self::resolve_in(args, dir)
    }

    /// The same for a run in another directory than the working directory.
    pub(crate) fn resolve_in(args: CheckArgs, dir: PathBuf) -> Result<Self, Error> {
        let look = args.look;
        let start = start(&look.patterns, &dir);
        let config = match &look.config {
            Some(path) => Config::read(path)?,
            None => Config::find(&start)?,
        };
        let path = config.path.clone().unwrap_or_default();
        let base = config.dir().unwrap_or(&dir).to_owned();
        let shown_path = paths::shown(&path, &dir);
        let by = |line: usize| format!("{shown_path}:{line}");
        let (rules, disabled) = select_rules(&look.rule, &config, by)?;
        let left_out = config.exclude.iter().map(|(pattern, line)| LeftOut { pattern: pattern.clone(), by: by(*line) });
        let left_out = left_out.collect();
        let mut exclude: Vec<String> =
            config.exclude.iter().filter_map(|(glob, _)| rebase(glob, &base, &dir)).collect();
        exclude.extend(look.exclude);
        let (root, start_root) = (paths::repository(&dir), paths::repository(&start));
        let cache = if look.no_cache {
            Cache::off()
        } else {
            let starts = look.patterns.iter().map(|pattern| paths::repository(&self::start([pattern], &dir)));
            let trees: Vec<PathBuf> =
                starts.chain([root.clone(), start_root.clone()]).chain(look.allow_path.clone()).collect();
            Cache::find(look.cache_dir.as_deref(), &trees, &dir)?
        };
        let ignored = config.ignore.into_iter().map(|entry| Ignored { base: base.clone(), by: by(entry.line), entry });
        Ok(Self {
            patterns: patterns(&look.patterns, &dir)?,
            trees: true,
            rules,
            disabled,
            models: config.models.into_iter().chain(look.model).collect(),
            exclude,
            left_out,
            ignored: ignored.collect(),
            baseline: look.baseline.or(config.baseline),
            prune_baseline: args.prune_baseline,
            diff: args.diff,
            tests: !look.no_tests && (look.tests || config.tests),
            include_vendor: look.include_vendor || config.include_vendor,
            tags: if look.tags.is_empty() { config.tags } else { look.tags },
            platforms: platforms(look.platform, config.platforms, look.goos.is_some() || look.goarch.is_some()),
            allow_paths: look.allow_path,
            goos: look.goos,
            goarch: look.goarch,
            formats: formats(args.format)?,
            lenient: config.fail_on.filter(|fail_on| args.fail_on.is_none() && fail_on.lets_pass()).map(|_| shown_path),
            fail_on: args.fail_on.or(config.fail_on).unwrap_or_default(),
            strict: args.strict || config.strict,
            stats: args.stats,
            jobs: look.jobs,
            omit_suppressed: args.omit_suppressed,
            root,
            start_root,
            cache,
            dir,
        })
    }
}

/// Where the search for a configuration starts: the first pattern that is a path, else the working directory.
fn start<'p>(patterns: impl IntoIterator<Item = &'p String>, dir: &Path) -> PathBuf {
    let paths = patterns.into_iter().map(|pattern| {
        let stem = pattern.strip_suffix("...").unwrap_or(pattern);
        // Without the `.` that patterns start with.
        dir.join(stem).components().collect::<PathBuf>()
    });
    let mut existing = paths.filter(|path| path.exists());
    let start = existing.next().unwrap_or_else(|| dir.to_owned());
    // `a/..` lies in `a` only as it is spelt.
    if start.components().any(|part| part == Component::ParentDir) {
        return start.canonicalize().unwrap_or(start);
    }
    start
}

/// A directory stands for everything below it; Go patterns stay as they are.
fn patterns(typed: &[String], dir: &Path) -> Result<Vec<String>, Error> {
    if typed.is_empty() {
        return Ok(vec!["./...".to_owned()]);
    }
    let expand = |pattern: &String| {
        let path = dir.join(pattern);
        let is_path = pattern.starts_with(['.', '/']) || Path::new(pattern).is_absolute();
        if pattern.ends_with("...") {
            return Ok(pattern.clone());
        }
        if path.is_dir() {
            let slash = if pattern.ends_with('/') { "" } else { "/" };
            let dot = if is_path { "" } else { "./" };
            return Ok(format!("{dot}{pattern}{slash}..."));
        }
        if path.is_file() {
            return Err(Error::usage(format!("{pattern} is a file; packages are checked as a whole"))
                .hint("name its directory"));
        }
        if is_path {
            return Err(Error::usage(format!("there is no directory {pattern}")));
        }
        Ok(pattern.clone())
    };
    typed.iter().map(expand).collect()
}

/// Flags win over the configuration, which speaks of several builds where flags ask for one.
fn platforms(typed: Vec<Platform>, configured: Vec<Platform>, one: bool) -> Vec<Platform> {
    let wanted = match typed.is_empty() {
        true if one => Vec::new(),
        true => configured,
        false => typed,
    };
    let mut distinct: Vec<Platform> = Vec::new();
    for platform in wanted {
        if !distinct.contains(&platform) {
            distinct.push(platform);
        }
    }
    distinct
}

/// The rules to run, and those that the configuration switched off.
fn select_rules(
    wanted: &[String],
    config: &Config,
    by: impl Fn(usize) -> String,
) -> Result<(Vec<&'static RuleMeta>, Vec<DisabledRule>), Error> {
    let all = residue_check::rules::ALL;
    if !wanted.is_empty() {
        let mut rules = Vec::new();
        for name in wanted {
            if name == "all" {
                rules.extend(all);
                continue;
            }
            let unknown = |hint| Error::usage(format!("there is no rule `{name}`")).hint(hint);
            let rule = engine::find_rule(name).map_err(unknown)?;
            if !all.iter().any(|known| known.code == rule.code) {
                let wrong = format!("{} is no rule over source", rule.code);
                return Err(Error::usage(wrong).hint("`residue trace` and `residue bpf` look for it in the kernel"));
            }
            rules.push(rule);
        }
        rules.sort_by_key(|rule| rule.code);
        rules.dedup_by_key(|rule| rule.code);
        return Ok((rules, Vec::new()));
    }
    let named = |list: &[&'static RuleMeta], rule: &RuleMeta| list.iter().any(|named| named.code == rule.code);
    let mut rules = Vec::new();
    let mut disabled = Vec::new();
    for &rule in all {
        let line = config.disable.iter().find(|(named, _)| named.code == rule.code).map(|(_, line)| line);
        match line {
            Some(line) if rule.default_on => {
                disabled.push(DisabledRule { code: rule.code, by: by(*line) });
            }
            None if rule.default_on || named(&config.enable, rule) => rules.push(rule),
            _ => {}
        }
    }
    Ok((rules, disabled))
}

/// At most one report goes to stdout; text does when nothing else is said.
fn formats(typed: Vec<Format>) -> Result<Vec<Format>, Error> {
    if typed.is_empty() {
        return Ok(vec![Format { kind: FormatKind::Text, path: None }]);
    }
    if typed.iter().filter(|format| format.path.is_none()).count() > 1 {
        return Err(
            Error::usage("only one report can go to stdout").hint("write the others to files: --format json=FILE")
        );
    }
    Ok(typed)
}

/// One glob of a configuration, which is relative to its directory `base`, moved to the working directory `dir`; none when it can't match below `dir`, or would match all of it.
fn rebase(glob: &str, base: &Path, dir: &Path) -> Option<String> {
    let (not, body) = glob.strip_prefix('!').map_or(("", glob), |body| ("!", body));
    let anchored = body.trim_end_matches('/').contains('/');
    if let Ok(down) = dir.strip_prefix(base) {
        if !anchored || down.as_os_str().is_empty() {
            return Some(glob.to_owned());
        }
        let mut parts = body.trim_start_matches("./").trim_start_matches('/').split('/').peekable();
        for component in down.components() {
            match parts.peek() {
                Some(&"**") => break,
                Some(&"*") => {}
                Some(part) if Component::Normal(part.as_ref()) == component => {}
                _ => return None,
            }
            parts.next();
        }
        let rest: Vec<&str> = parts.collect();
        return (!rest.is_empty()).then(|| format!("{not}/{}", rest.join("/")));
    }
    let prefix = base.strip_prefix(dir).unwrap_or(base);
    let mut escaped = String::new();
    for c in prefix.to_string_lossy().chars() {
        match c {
            '*' | '?' | '[' => escaped.extend(['[', c, ']']),
            _ => escaped.push(c),
        }
    }
    let between = if anchored { "/" } else { "/**/" };
    let body = body.trim_start_matches("./").trim_start_matches('/');
    Some(format!("{not}/{}{between}{body}", escaped.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_follow_the_working_directory() {
        let rebase = |glob, base: &str, dir: &str| rebase(glob, Path::new(base), Path::new(dir));
        for (glob, base, dir, want) in [
            ("gen/**", "/r", "/r", Some("gen/**")),
            ("*.pb.go", "/r", "/r/a/b", Some("*.pb.go")),
            ("gen/", "/r", "/r/a", Some("gen/")),
            ("a/gen/*.go", "/r", "/r/a", Some("/gen/*.go")),
            ("/a/gen", "/r", "/r/a", Some("/gen")),
            ("*/gen/x", "/r", "/r/a", Some("/gen/x")),
            ("**/gen/x", "/r", "/r/a", Some("/**/gen/x")),
            ("!a/gen", "/r", "/r/a", Some("!/gen")),
            ("b/gen", "/r", "/r/a", None),
            ("a/b", "/r", "/r/a/b", None),
            ("gen/x", "/r/sub", "/r", Some("/sub/gen/x")),
            ("*.pb.go", "/r/sub", "/r", Some("/sub/**/*.pb.go")),
            ("gen/x", "/other/[y]", "/r", Some("/other/[[]y]/gen/x")),
        ] {
            assert_eq!(rebase(glob, base, dir).as_deref(), want, "{glob} of {base} in {dir}");
        }
    }

    #[test]
    fn one_report_goes_to_stdout() {
        let parse = |list: &[&str]| formats(list.iter().map(|text| text.parse().expect("a format")).collect());
        assert_eq!(parse(&[]).expect("the default").len(), 1);
        assert!(parse(&["json", "text=a"]).is_ok());
        assert!(parse(&["json", "text"]).is_err());
        assert!("json=".parse::<Format>().is_err() && "xml".parse::<Format>().is_err());
    }
}

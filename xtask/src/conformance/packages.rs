//! Compares which files make which packages with what `go list` says.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use residue_project::{Config, Env, ModuleKind, OsFileSystem, Project, Variant, load};

use super::Go;

/// Arguments of `conformance packages`.
#[derive(clap::Args, Debug)]
pub(crate) struct PackagesArgs {
    /// Go command of the release whose standard library is embedded [default: `$RESIDUE_GO`, or go]
    #[arg(long)]
    pub(super) go: Option<PathBuf>,
    /// Targets, as GOOS/GOARCH
    #[arg(long, default_values_t = ["linux/amd64".to_owned(), "windows/amd64".to_owned(), "darwin/arm64".to_owned()])]
    target: Vec<String>,
    /// Files that differ to show, at most
    #[arg(long, default_value_t = 20)]
    show: usize,
    /// Directories of modules whose dependencies are in the module cache
    #[arg(required = true)]
    dirs: Vec<PathBuf>,
}

/// What `go list` prints for each package: its path, whether it is of the standard library, its files.
const FORMAT: &str = "{{.ImportPath}}\t{{.Standard}}\t{{range .GoFiles}}{{.}} {{end}}{{range .CgoFiles}}{{.}} {{end}}";

/// Compares all packages of some modules and what they import, tests included.
pub(super) fn run(args: &PackagesArgs, go: &Go) -> Result<bool, Box<dyn Error>> {
    let mut out = std::io::stdout();
    writeln!(out, "residue-project beside go list of {}", go.output(&["env", "GOVERSION"])?)?;
    let mut agree = true;
    for dir in &args.dirs {
        for target in &args.target {
            let (goos, goarch) = target.split_once('/').ok_or_else(|| format!("`{target}` is not GOOS/GOARCH"))?;
            let project = ours(go, dir, goos, goarch)?;
            let in_go_tree = is_go_tree(&project);
            let ours = files(&project, in_go_tree);
            let theirs = listed(go, dir, goos, goarch, in_go_tree, &ours)?;
            let differing: Vec<_> = ours.symmetric_difference(&theirs).collect();
            let [files, missing] = [theirs.len(), project.missing.len()];
            let differ = differing.len();
            writeln!(
                out,
                "{} {target}: {files} files of packages, {differ} differ, {missing} imports missing",
                dir.display()
            )?;
            for file in differing.iter().take(args.show) {
                let who = if ours.contains(*file) { "residue" } else { "go list" };
                writeln!(out, "  only {who}: {} {}", file.0, file.1)?;
            }
            agree &= differing.is_empty();
        }
    }
    Ok(agree)
}

/// A package's name with its variant, and a file's name.
type PackageFile = (String, String);

fn ours(go: &Go, dir: &Path, goos: &str, goarch: &str) -> Result<Project, Box<dyn Error>> {
    let mut config = Config::new(std::path::absolute(dir)?);
    config.tests = true;
    config.goos = Some(goos.to_owned());
    config.goarch = Some(goarch.to_owned());
    config.cgo = Some(false);
    config.env = Env::from_vars([("GOMODCACHE", go.output(&["env", "GOMODCACHE"])?), ("GOENV", "off".to_owned())]);
    Ok(load(&OsFileSystem, &config)?)
}

/// Whether the standard library itself is analysed, and not the embedded one beside it.
fn is_go_tree(project: &Project) -> bool {
    let mut modules = project.modules.iter().filter(|module| module.kind == ModuleKind::Main);
    modules.any(|module| matches!(&*module.path, "std" | "cmd"))
}

fn files(project: &Project, in_go_tree: bool) -> BTreeSet<PackageFile> {
    let of_std = |kind: ModuleKind| kind == ModuleKind::Std;
    let wanted = project.packages.iter().filter(|package| {
        let std = package.module.is_some_and(|module| of_std(project[module].kind));
        let rebuilt = matches!(package.variant, Variant::Rebuilt { .. });
        if in_go_tree { !rebuilt } else { !std }
    });
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    wanted.flat_map(|package| package.files.iter().map(move |file| (package.to_string(), name(&file.path)))).collect()
}

/// What `go list` says, as far as we want to say the same: without the generated test mains and what they alone
/// import, and without the plain variant of a package where only its tests use it. In a Go tree test mains and profiles
/// rebuild much of the standard library; rebuilt packages are left out there.
fn listed(
    go: &Go,
    dir: &Path,
    goos: &str,
    goarch: &str,
    in_go_tree: bool,
    ours: &BTreeSet<PackageFile>,
) -> Result<BTreeSet<PackageFile>, Box<dyn Error>> {
    let output = Command::new(&go.command)
        .args(["list", "-e", "-deps", "-test", "-f", FORMAT, "./..."])
        .current_dir(dir)
        .envs([("GOOS", goos), ("GOARCH", goarch), ("CGO_ENABLED", "0")])
        .envs([("GOTOOLCHAIN", "local"), ("GOFLAGS", "-mod=readonly"), ("GOPROXY", "off"), ("GOENV", "off")])
        .output()?;
    if output.stdout.is_empty() {
        return Err(format!("go list: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let packages: BTreeSet<&str> = ours.iter().map(|(package, _)| package.as_str()).collect();
    let mut listed = BTreeSet::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let [path, standard, files] = line.splitn(3, '\t').collect::<Vec<_>>()[..] else { continue };
        let name = path.split_once(' ').filter(|(name, _)| name.ends_with("_test")).map_or(path, |(name, _)| name);
        let only_for_main = in_go_tree && matches!(path, "testing/internal/testdeps" | "internal/fuzz" | "unsafe");
        let variant = name.split_once(" [").map(|(package, variant)| variant != format!("{package}.test]"));
        let rebuilt = in_go_tree && variant == Some(true);
        let unused_plain = !packages.contains(name) && packages.contains(format!("{name} [{name}.test]").as_str());
        let unwanted = name.strip_suffix(".test").is_some()
            || unused_plain
            || rebuilt
            || only_for_main && !packages.contains(name);
        if !unwanted && (in_go_tree || standard == "false") {
            listed.extend(files.split_whitespace().map(|file| (name.to_owned(), file.to_owned())));
        }
    }
    Ok(listed)
}

//! Compares the exported API of the embedded standard library with the Go tree it was made from, by `go/types`.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use residue_project::stdlib::embedded;

use super::Go;

/// Arguments of `conformance stdlib`.
#[derive(clap::Args, Debug)]
pub(crate) struct StdlibArgs {
    /// Go command of the release whose standard library is embedded [default: `$RESIDUE_GO`, or go]
    #[arg(long)]
    pub(super) go: Option<PathBuf>,
}

/// The targets that the archive covers.
const TARGETS: &[(&str, &[&str])] = &[
    ("linux", &["amd64", "arm64"]),
    ("darwin", &["amd64", "arm64"]),
    ("windows", &["amd64", "arm64"]),
    ("freebsd", &["amd64", "arm64"]),
];

/// Unpacks the archive and has both trees compared for every target, with and without cgo.
pub(super) fn run(go: &Go, target: &Path) -> Result<bool, Box<dyn Error>> {
    let archive = embedded()?;
    let version = go.output(&["env", "GOVERSION"])?;
    if version != archive.version() {
        return Err(format!("the embedded library is of {}, the go command of {version}", archive.version()).into());
    }
    let root = target.join("conformance-std-tree");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    for path in archive.import_paths() {
        let dir = root.join("src").join(path);
        fs::create_dir_all(&dir)?;
        for (name, text) in archive.files(path).ok_or_else(|| format!("package {path} is damaged"))? {
            fs::write(dir.join(name), text)?;
        }
    }
    let oracle = go.build_oracle("stdlib")?;
    let goroot = go.output(&["env", "GOROOT"])?;
    let mut out = std::io::stdout();
    let mut agree = true;
    for (goos, arches) in TARGETS {
        for (goarch, cgo) in arches.iter().flat_map(|arch| [(arch, "0"), (arch, "1")]) {
            let output = Command::new(&oracle).arg(&goroot).arg(&root).args([goos, goarch, cgo]).output()?;
            out.write_all(&output.stdout)?;
            out.write_all(&output.stderr)?;
            agree &= output.status.success();
        }
    }
    Ok(agree)
}

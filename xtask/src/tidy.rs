//! Checks what the compiler doesn't: who may import whom, that files and rules are documented, licences, and that
//! nothing says where it was written. An ordinary test, and `cargo xtask tidy`.

mod files;
mod imports;
mod licences;
pub(crate) mod rules;

use std::path::Path;
use std::process::Command;

/// Everything that is wrong, one message each, in a fixed order.
pub(crate) fn problems(root: &Path) -> Vec<String> {
    let files = match tracked(root) {
        Ok(files) => files,
        Err(error) => return vec![format!("cannot list the files of the repository: {error}")],
    };
    let mut problems = imports::problems(root);
    problems.extend(files::problems(root, &files));
    problems.extend(rules::problems(root));
    problems.extend(licences::problems(root));
    problems.extend(crate::docs::problems(root));
    problems
}

/// Files under version control and new ones that will be, relative to the root.
pub(crate) fn tracked(root: &Path) -> Result<Vec<String>, String> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let output = Command::new("git").args(list).current_dir(root).output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let text = String::from_utf8(output.stdout).map_err(|error| error.to_string())?;
    let mut files: Vec<String> = text.split_terminator('\0').map(str::to_owned).collect();
    files.retain(|file| root.join(file).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_repository_is_tidy() {
        let problems = super::problems(&crate::root());
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}

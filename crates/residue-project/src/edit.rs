//! A project after an edit, without loading it again.

use std::sync::Arc;

use residue_syntax::ast::File;
use residue_syntax::{Bodies, parse};

use crate::constraint::Constraints;
use crate::source::{imports, is_generated};
use crate::{Origin, Package, Project, SourceFile};

impl Project {
    /// The project with another text in one of its files, given by its displayed path: what loading again would give.
    ///
    /// None where it takes that to know: for a file that is no root package's, or is in none because of its build
    /// constraints; and where the edit changes more than the file, since it imports something else, belongs to another
    /// package, or counts for other builds. The text must not be longer than [`crate::Config::max_file_bytes`].
    pub fn with_text(&self, path: &str, text: &Arc<[u8]>) -> Option<Self> {
        let holds = |package: &Package| package.files.iter().position(|file| &*file.path == path);
        // Variants of a package share their files.
        let mut found = self.packages().filter_map(|(id, package)| Some((id, holds(package)?)));
        let (first, at) = found.next()?;
        let package = &self[first];
        let old = Arc::clone(&package.files[at]);
        if package.origin != Origin::Root {
            return None;
        }
        let new = Arc::new(edited(&old, package, text)?);
        let mut project = self.clone();
        for (id, at) in std::iter::once((first, at)).chain(found) {
            if !Arc::ptr_eq(&self[id].files[at], &old) {
                return None;
            }
            project.packages[id.index()].files[at] = Arc::clone(&new);
        }
        let (before, after) = (old.file.src().len() as u64, text.len() as u64);
        for bytes in [&mut project.stats.bytes, &mut project.stats.root_bytes] {
            *bytes = (*bytes + after).saturating_sub(before);
        }
        Some(project)
    }
}

/// A file with another text, where its package and its imports stay what and where they were.
fn edited(old: &SourceFile, package: &Package, text: &Arc<[u8]>) -> Option<SourceFile> {
    let (before, after) = (Constraints::of(old.file.src()), Constraints::of(text));
    if after.error.is_some() || before.expr != after.expr {
        return None;
    }
    let parsed = parse(Arc::clone(text), Bodies::Keep);
    let shape = |file: &File| {
        let name = file.package().map(|name| file.ident_text(name).to_owned())?;
        Some((name, file.line_col(file.package_pos()), imports(file, &old.path), is_generated(file)))
    };
    if shape(&parsed.file)? != shape(&old.file)? {
        return None;
    }
    let go_version = after.go_version().map(|version| version.max(crate::GoVersion::FIRST_PER_FILE));
    Some(SourceFile {
        path: Arc::clone(&old.path),
        generated: old.generated,
        excluded: old.excluded,
        test: old.test,
        cgo: old.cgo,
        go_version: go_version.unwrap_or(package.go_version),
        file: parsed.file,
        errors: parsed.errors,
    })
}

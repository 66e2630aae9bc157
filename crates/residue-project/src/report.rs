//! Collects problems from all threads.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::paths::display;
use crate::{Diagnostic, Place, Problem, Severity};

/// Where diagnostics go; they come out sorted and without repetitions.
#[derive(Debug)]
pub(crate) struct Reporter {
    dir: PathBuf,
    list: Mutex<Vec<Diagnostic>>,
}

impl Reporter {
    /// Shows paths relative to `dir`.
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_path_buf(), list: Mutex::default() }
    }

    /// A path as it is shown.
    pub(crate) fn display(&self, path: &Path) -> Arc<str> {
        display(path, &self.dir)
    }

    /// A line of a file, or a whole file where `line` is 0.
    pub(crate) fn place(&self, path: &Path, line: u32, column: u32) -> Place {
        Place { path: self.display(path), line, column }
    }

    /// Adds a diagnostic.
    pub(crate) fn push(&self, diagnostic: Diagnostic) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push(diagnostic);
    }

    /// Adds a diagnostic about a file or directory.
    pub(crate) fn file(
        &self,
        severity: Severity,
        problem: Problem,
        path: &Path,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        self.push(Diagnostic { place: Some(self.place(path, 0, 0)), severity, problem, message: message.into(), hint });
    }

    /// A file or directory that cannot be read.
    pub(crate) fn unreadable(&self, severity: Severity, path: &Path, error: &std::io::Error) {
        let what = error.to_string();
        let hint = if error.kind() == std::io::ErrorKind::PermissionDenied { "check its permissions" } else { "" };
        self.file(severity, Problem::Unreadable, path, format!("cannot read: {what}"), hint);
    }

    /// All diagnostics, by place.
    pub(crate) fn finish(self) -> Vec<Diagnostic> {
        let mut list = self.list.into_inner().unwrap_or_else(PoisonError::into_inner);
        list.sort();
        list.dedup();
        list
    }
}

//! What could not be read or understood while loading, and what is missing.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// How much a [`Diagnostic`] means for the answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Worth knowing; the answer is whole.
    Note,
    /// Something small was left out or guessed.
    Warning,
    /// Code that should have been analysed was not.
    Error,
}

/// What kind of problem a [`Diagnostic`] describes; stable, for machines.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Problem {
    /// A pattern that matches nothing.
    NoMatch,
    /// A directory without Go files.
    NoGoFiles,
    /// All Go files of a directory are left out by build constraints.
    AllExcluded,
    /// A file or directory that cannot be read.
    Unreadable,
    /// A file above [`crate::Config::max_file_bytes`].
    TooLarge,
    /// A symbolic link that loops or leads out of the tree.
    Symlink,
    /// A malformed line of `go.mod`, `go.work` or `vendor/modules.txt`.
    ModFile,
    /// A `replace` or `use` that leads out of the repository.
    OutsideTree,
    /// A nested module that the pattern does not cover.
    NestedModule,
    /// No `go.mod` was found.
    NoModule,
    /// Files of one directory that name different packages.
    PackageNames,
    /// A file without a usable package clause.
    PackageClause,
    /// A malformed build constraint.
    BuildConstraint,
    /// Packages that import each other.
    ImportCycle,
    /// An import of a package in an `internal` directory that is not the importer's.
    Internal,
    /// An environment variable or flag with a value that Go does not know.
    Environment,
    /// `vendor/modules.txt` disagrees with `go.mod`.
    Vendor,
}

/// A place in a file, as displayed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// Path as displayed: relative to the working directory where it lies below it.
    pub path: Arc<str>,
    /// 1-based line; 0 where the whole file or directory is meant.
    pub line: u32,
    /// 1-based column in bytes; 0 where the whole line is meant.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        Ok(())
    }
}

/// A problem met while loading; what it does not name was loaded all the same.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Diagnostic {
    /// Where.
    pub place: Option<Place>,
    /// How much it means.
    pub severity: Severity,
    /// Its kind.
    pub problem: Problem,
    /// One sentence without full stop and without place.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// A module or package that is imported and found nowhere; its importers see `unknown`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Missing {
    /// The module that should hold it, with the selected version, as far as `go.mod` tells.
    pub module: Option<(Arc<str>, Arc<str>)>,
    /// The import paths that were looked for, sorted: all of the module's where the module is missing.
    pub import_paths: Vec<Arc<str>>,
    /// How many packages import them.
    pub importers: usize,
    /// What to do about it: `go mod download example.com/x@v1.2.3`.
    pub hint: String,
}

/// Why nothing could be loaded at all.
#[derive(Debug)]
pub enum LoadError {
    /// The working directory cannot be read.
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// An `--exclude` glob that is malformed.
    Exclude {
        /// The glob.
        glob: String,
        /// What is wrong with it.
        message: String,
    },
    /// The embedded standard library cannot be read: the program is damaged.
    Std {
        /// What is wrong with it.
        message: String,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory { path, error } => {
                write!(f, "cannot read directory {}: {error}", path.display())
            }
            Self::Exclude { glob, message } => write!(f, "bad exclude pattern `{glob}`: {message}"),
            Self::Std { message } => write!(f, "embedded standard library is damaged: {message}"),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Directory { error, .. } => Some(error),
            Self::Exclude { .. } | Self::Std { .. } => None,
        }
    }
}

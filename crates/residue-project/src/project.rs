//! What [`crate::load`] returns.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Index;
use std::sync::Arc;

use residue_syntax::ast;

use crate::{Diagnostic, GoVersion, Missing, Target};

/// Index of a package in [`Project::packages`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PackageId(pub u32);

impl PackageId {
    /// The index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Index of a module in [`Project::modules`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ModuleId(pub u32);

impl ModuleId {
    /// The index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// All packages that a run looks at.
#[derive(Clone, Debug)]
pub struct Project {
    /// Packages, imports before importers; equal input gives an equal order.
    pub packages: Vec<Package>,
    /// Modules that hold a loaded package.
    pub modules: Vec<Module>,
    /// Problems met, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
    /// Imports that were found nowhere, sorted.
    pub missing: Vec<Missing>,
    /// The build set that was looked at.
    pub target: Target,
    /// The Go version of the standard library's declarations, `go1.27.3`.
    pub std_version: Arc<str>,
    /// What loading cost.
    pub stats: LoadStats,
}

impl Index<PackageId> for Project {
    type Output = Package;
    fn index(&self, id: PackageId) -> &Package {
        &self.packages[id.index()]
    }
}

impl Index<ModuleId> for Project {
    type Output = Module;
    fn index(&self, id: ModuleId) -> &Module {
        &self.modules[id.index()]
    }
}

impl Project {
    /// Packages with their ids, imports before importers.
    pub fn packages(&self) -> impl DoubleEndedIterator<Item = (PackageId, &Package)> + ExactSizeIterator {
        self.packages.iter().enumerate().map(|(i, package)| (PackageId(i as u32), package))
    }

    /// Packages whose bodies are to be analysed and reported on.
    pub fn roots(&self) -> impl Iterator<Item = (PackageId, &Package)> {
        self.packages().filter(|(_, package)| package.analyse)
    }
}

/// What loading cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LoadStats {
    /// Files parsed.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files parsed with their bodies.
    pub root_files: usize,
    /// Their bytes.
    pub root_bytes: u64,
}

/// What a module is to the run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ModuleKind {
    /// The analysed module, or one of a `go.work`, or a `replace` target inside the tree.
    Main,
    /// A module of the module cache or of `vendor`.
    Dependency,
    /// A directory without `go.mod`.
    AdHoc,
    /// The standard library.
    Std,
}

/// A module that holds a loaded package.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Module {
    /// Module path; empty for a directory without `go.mod`.
    pub path: Arc<str>,
    /// Selected version; empty for main modules and replacements by a directory.
    pub version: Arc<str>,
    /// What it is to the run.
    pub kind: ModuleKind,
    /// Its directory as displayed.
    pub dir: Arc<str>,
    /// Language version of its `go` line.
    pub go_version: GoVersion,
}

/// Where a package's source comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Origin {
    /// Matched by a pattern.
    Root,
    /// In an analysed module, not matched by a pattern.
    Local,
    /// A module of the module cache or of `vendor`.
    Dependency,
    /// The standard library.
    Std,
    /// Declared by a model, found nowhere else.
    Model,
}

/// Which of the packages that Go builds from one directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Variant {
    /// `p`, as importers see it.
    Plain,
    /// `p [p.test]`: with the `_test.go` files of the package itself.
    Tests,
    /// `p_test`: the `_test.go` files of the external test package.
    ExternalTests,
    /// `q [p.test]`: a package that `p_test` imports and that itself imports `p`, seen again over [`Variant::Tests`]
    /// of `p`. Shares its files with the plain `q`; bodies are not analysed again.
    Rebuilt {
        /// `p`'s import path.
        for_tests_of: Arc<str>,
    },
}

/// One Go package: the files of a directory that are built together.
#[derive(Clone, Debug)]
pub struct Package {
    /// What import declarations write, after `vendor` resolution; `p_test` for external tests of `p`.
    pub import_path: Arc<str>,
    /// Name of the package clause; that of most files where they differ, empty where none has one.
    pub name: Arc<str>,
    /// Which of the packages of its directory.
    pub variant: Variant,
    /// Where its source comes from.
    pub origin: Origin,
    /// Its module; none for models.
    pub module: Option<ModuleId>,
    /// Its directory as displayed.
    pub dir: Arc<str>,
    /// Language version of its module; files may differ.
    pub go_version: GoVersion,
    /// Whether function bodies are to be analysed: true for the richest variant of each root package only. Where
    /// false, bodies may be absent from the trees, or present because the files are shared or somebody asked for them;
    /// no finding is made in them.
    pub analyse: bool,
    /// Files in order of their names. Variants share them.
    pub files: Vec<Arc<SourceFile>>,
    /// Each import path as written in `files`, with the package it means; none where it is missing. `"C"` and
    /// `"unsafe"` are not listed: no package stands for them.
    pub imports: BTreeMap<Arc<str>, Option<PackageId>>,
    /// Whether files were left out because they could not be read or parsed as Go at all.
    pub incomplete: bool,
}

impl Package {
    /// The package that an import path means in this package's files.
    pub fn import(&self, path: &str) -> Option<PackageId> {
        self.imports.get(path).copied().flatten()
    }

    /// Whether it belongs to the standard library.
    pub fn is_std(&self) -> bool {
        self.origin == Origin::Std
    }
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.variant {
            Variant::Plain | Variant::ExternalTests => f.write_str(&self.import_path),
            Variant::Tests => write!(f, "{0} [{0}.test]", self.import_path),
            Variant::Rebuilt { for_tests_of } => {
                write!(f, "{} [{for_tests_of}.test]", self.import_path)
            }
        }
    }
}

/// One parsed file.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts about a file")]
pub struct SourceFile {
    /// Path as displayed: relative to the working directory where it lies below it, `$GOROOT/src/…` for the embedded
    /// standard library, `/` between its parts.
    pub path: Arc<str>,
    /// Its tree.
    pub file: ast::File,
    /// Its syntax errors.
    pub errors: Vec<ast::SyntaxError>,
    /// Whether it says `// Code generated … DO NOT EDIT.`
    pub generated: bool,
    /// Whether a pattern of [`crate::Config::exclude`] matches it: analysed, not reported on.
    pub excluded: bool,
    /// Whether its name ends in `_test.go`.
    pub test: bool,
    /// Whether it imports `"C"`.
    pub cgo: bool,
    /// Language version of this file, after `//go:build go1.N`.
    pub go_version: GoVersion,
}

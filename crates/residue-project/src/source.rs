//! From a package's directory to parsed files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use residue_syntax::ast::{Decl, Expr, File, GenKind, Spec};
use residue_syntax::{Bodies, literal, parse};

use crate::build::BuildSet;
use crate::cache::{Key, ParseCache, Trust};
use crate::constraint::{Constraints, Expr as Constraint};
use crate::fs::{FileSystem, Kind};
use crate::glob::Globs;
use crate::guard::Boundary;
use crate::modules::GoFile;
use crate::report::Reporter;
use crate::{Diagnostic, GoVersion, Place, Problem, Severity, SourceFile};

/// What reading needs to know of the run.
pub(crate) struct Reader<'a> {
    pub(crate) fs: &'a dyn FileSystem,
    pub(crate) reporter: &'a Reporter,
    pub(crate) set: &'a BuildSet,
    pub(crate) excludes: &'a Globs,
    pub(crate) max_file_bytes: u64,
    pub(crate) cache: Option<&'a ParseCache>,
}

/// What reading needs to know of a package.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) go_version: GoVersion,
    pub(crate) bodies: Bodies<'a>,
    /// Whether `_test.go` files are wanted.
    pub(crate) tests: bool,
    /// Whether it was asked for by name or pattern: its problems weigh more.
    pub(crate) root: bool,
    /// Links that lead out of here are not followed.
    pub(crate) boundary: &'a Boundary,
}

/// Which of a directory's packages a file belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Part {
    Plain,
    Tests,
    External,
}

/// The packages of a directory.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) name: Arc<str>,
    /// Files, by [`Part`].
    pub(crate) files: [Vec<Arc<SourceFile>>; 3],
    /// What the files of each part import, with the first place.
    pub(crate) imports: [BTreeMap<Arc<str>, Place>; 3],
    /// Whether files were left out for other reasons than build constraints.
    pub(crate) incomplete: bool,
    /// Whether build constraints left files out that are no tests.
    pub(crate) constrained: bool,
    pub(crate) parsed_files: usize,
    pub(crate) parsed_bytes: u64,
}

/// A file that was read, or why it does not count.
enum Outcome {
    File(Arc<ReadFile>),
    /// Left out by build constraints, as `package documentation`, or as an unwanted test.
    Unwanted {
        constrained: bool,
    },
    /// Could not be used; a diagnostic says why.
    Broken,
}

/// A file with a package clause, whatever the build set says of it.
#[derive(Debug)]
pub(crate) struct ReadFile {
    file: Arc<SourceFile>,
    /// What its build constraints ask for.
    constraint: Option<Constraint>,
    part: Part,
    /// Its package's name, without `_test` for external tests.
    name: String,
    imports: Vec<(Arc<str>, Place)>,
    bytes: u64,
}

impl Reader<'_> {
    /// Reads the files of a directory.
    pub(crate) fn directory(&self, dir: &Path, files: &[GoFile], request: &Request<'_>) -> Content {
        let outcomes: Vec<Outcome> = files.par_iter().map(|file| self.file(dir, file, request)).collect();
        self.assemble(outcomes, request)
    }

    /// Reads files that are in memory: their displayed paths and contents.
    pub(crate) fn memory(&self, files: Vec<(Arc<str>, Arc<[u8]>)>, request: &Request<'_>) -> Content {
        let outcomes: Vec<Outcome> = files
            .into_par_iter()
            .map(|(path, src)| {
                let name = path.rsplit('/').next().unwrap_or_default().to_owned();
                if !self.set.name_matches(&name) {
                    return Outcome::Unwanted { constrained: true };
                }
                match self.known(&path, request) {
                    Some((known, _)) => self.select(known),
                    None => self.parse(&name, path, src, request),
                }
            })
            .collect();
        self.assemble(outcomes, request)
    }

    fn severity(request: &Request<'_>) -> Severity {
        if request.root { Severity::Error } else { Severity::Warning }
    }

    fn file(&self, dir: &Path, file: &GoFile, request: &Request<'_>) -> Outcome {
        let is_test = file.name.ends_with("_test.go");
        if is_test && !request.tests {
            return Outcome::Unwanted { constrained: false };
        }
        if !self.set.name_matches(&file.name) {
            return Outcome::Unwanted { constrained: !is_test };
        }
        let path = dir.join(&file.name);
        let shown = self.reporter.display(&path);
        let known = self.known(&shown, request);
        if let Some((known, Trust::Full)) = known {
            return self.select(known);
        }
        let severity = Self::severity(request);
        if file.symlink && !self.follows(&path, severity, request.boundary) {
            return Outcome::Broken;
        }
        let meta = match self.fs.metadata(&path) {
            Ok(meta) => meta,
            Err(error) => {
                self.reporter.unreadable(severity, &path, &error);
                return Outcome::Broken;
            }
        };
        if meta.kind != Kind::File {
            return Outcome::Unwanted { constrained: false };
        }
        if meta.len > self.max_file_bytes.min(u64::from(u32::MAX)) {
            let message = format!("file of {} MB left out: above {} MB", meta.len >> 20, self.max_file_bytes >> 20);
            let hint = "exclude it, or split what generates it";
            self.reporter.file(severity, Problem::TooLarge, &path, message, hint);
            return Outcome::Broken;
        }
        match self.fs.read(&path) {
            Ok(src) => match known {
                Some((known, _)) if *src == **known.file.file.src() => {
                    if let Some(cache) = self.cache {
                        cache.insert(Key::new(&shown, request), &known);
                    }
                    self.select(known)
                }
                _ => self.parse(&file.name, shown, src.into(), request),
            },
            Err(error) => {
                self.reporter.unreadable(severity, &path, &error);
                Outcome::Broken
            }
        }
    }

    /// Whether a link to a file may be followed; says so where not.
    fn follows(&self, path: &Path, severity: Severity, boundary: &Boundary) -> bool {
        let problem = |message: String, hint: &str| {
            self.reporter.file(severity, Problem::Symlink, path, message, hint);
            false
        };
        match self.fs.canonicalize(path) {
            Ok(real) if boundary.contains(&real) => true,
            Ok(_) => problem(
                "symbolic link leads out of the tree, not followed".to_owned(),
                "allow where it leads with `--allow-path DIR`, or replace the link by the file",
            ),
            Err(error) => problem(format!("symbolic link cannot be followed: {error}"), "remove or repair the link"),
        }
    }

    /// A file that was parsed before, or for another build set.
    fn known(&self, path: &Arc<str>, request: &Request<'_>) -> Option<(Arc<ReadFile>, Trust)> {
        self.cache?.get(&Key::new(path, request))
    }

    /// Whether the build set takes a parsed file.
    fn select(&self, read: Arc<ReadFile>) -> Outcome {
        let file = &read.file;
        let unwanted = Outcome::Unwanted { constrained: !file.test };
        if read.constraint.as_ref().is_some_and(|constraint| !self.set.holds(constraint)) {
            return unwanted;
        }
        if read.name == "documentation" && read.part != Part::External {
            return Outcome::Unwanted { constrained: file.cgo && !file.test };
        }
        if file.cgo && !self.set.cgo {
            return unwanted;
        }
        Outcome::File(read)
    }

    fn parse(&self, name: &str, path: Arc<str>, src: Arc<[u8]>, request: &Request<'_>) -> Outcome {
        let severity = Self::severity(request);
        let problem = |problem, line, column, message: String, hint: &str| {
            self.reporter.push(Diagnostic {
                place: Some(Place { path: path.clone(), line, column }),
                severity,
                problem,
                message,
                hint: Some(hint.to_owned()),
            });
        };
        let test = name.ends_with("_test.go");
        let constraints = Constraints::of(&src);
        if let Some((message, line)) = &constraints.error {
            problem(
                Problem::BuildConstraint,
                *line,
                0,
                message.clone(),
                "the file was left out; the go command refuses it",
            );
            return Outcome::Broken;
        }
        if constraints.expr.as_ref().is_some_and(|expr| !self.set.holds(expr)) {
            return Outcome::Unwanted { constrained: !test };
        }
        let bytes = src.len() as u64;
        let parsed = parse(src, request.bodies);
        let file = parsed.file;
        let Some(package) = file.package().map(|name| file.ident_text(name).to_owned()) else {
            let at = file.line_col(file.package_pos());
            let message = parsed.errors.first().map_or_else(|| "no package clause".to_owned(), |e| e.message.clone());
            problem(Problem::PackageClause, at.line, at.column, message, "the file was left out");
            return Outcome::Broken;
        };
        let imports = imports(&file, &path);
        let cgo = imports.iter().any(|(path, _)| &**path == "C");
        let (part, base) = match package.strip_suffix("_test") {
            Some(base) if test => (Part::External, base),
            _ => (if test { Part::Tests } else { Part::Plain }, package.as_str()),
        };
        let go_version = constraints.go_version().map(|version| version.max(GoVersion::FIRST_PER_FILE));
        let key = self.cache.map(|cache| (cache, Key::new(&path, request)));
        let file = SourceFile {
            generated: is_generated(&file),
            excluded: request.root && self.excludes.excludes(&path, false),
            test,
            cgo,
            go_version: go_version.unwrap_or(request.go_version),
            path,
            file,
            errors: parsed.errors,
        };
        let (file, name, constraint) = (Arc::new(file), base.to_owned(), constraints.expr);
        let read = Arc::new(ReadFile { file, constraint, part, name, imports, bytes });
        if let Some((cache, key)) = key {
            cache.insert(key, &read);
        }
        self.select(read)
    }

    fn assemble(&self, outcomes: Vec<Outcome>, request: &Request<'_>) -> Content {
        let mut content = Content::default();
        let name = package_name(&outcomes);
        for outcome in outcomes {
            match outcome {
                Outcome::Broken => content.incomplete = true,
                Outcome::Unwanted { constrained } => content.constrained |= constrained,
                Outcome::File(read) => {
                    content.parsed_files += 1;
                    content.parsed_bytes += read.bytes;
                    if read.name != name {
                        self.other_package(&read.file, &read.name, &name, request);
                        content.incomplete = true;
                        continue;
                    }
                    for (path, place) in &read.imports {
                        if !matches!(&**path, "C" | "unsafe") {
                            content.imports[read.part as usize].entry(path.clone()).or_insert_with(|| place.clone());
                        }
                    }
                    content.files[read.part as usize].push(read.file.clone());
                }
            }
        }
        content.name = name.into();
        content
    }

    fn other_package(&self, file: &SourceFile, own: &str, name: &str, request: &Request<'_>) {
        let at = file.file.line_col(file.file.package_pos());
        self.reporter.push(Diagnostic {
            place: Some(Place { path: file.path.clone(), line: at.line, column: at.column }),
            severity: Self::severity(request),
            problem: Problem::PackageNames,
            message: format!("package {own} in a directory of package {name}"),
            hint: Some("the file was left out; a directory holds one package, and its tests".to_owned()),
        });
    }
}

/// The name that most files have; those that are no tests count first, then the alphabet decides.
fn package_name(outcomes: &[Outcome]) -> String {
    let mut votes: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for outcome in outcomes {
        if let Outcome::File(read) = outcome {
            let vote = votes.entry(&read.name).or_default();
            *(if read.part == Part::Plain { &mut vote.0 } else { &mut vote.1 }) += 1;
        }
    }
    let winner = votes.into_iter().rev().max_by_key(|&(_, votes)| votes);
    winner.map(|(name, _)| name.to_owned()).unwrap_or_default()
}

/// What a file imports, with places; malformed literals are left to the syntax errors.
pub(crate) fn imports(file: &File, path: &Arc<str>) -> Vec<(Arc<str>, Place)> {
    let mut imports = Vec::new();
    for decl in file.list(file.top_decls()) {
        let Decl::Gen { kind: GenKind::Import, specs, .. } = file.decl(decl) else { break };
        for spec in file.list(specs) {
            let Spec::Import { path: literal, .. } = file.spec(spec) else { break };
            if !matches!(file.expr(literal), Expr::BasicLit(_)) {
                continue;
            }
            let span = file.expr_span(literal);
            let text = file.text(span);
            let Some(value) = literal::string_value(&text) else { continue };
            let at = file.line_col(span.start);
            let import = String::from_utf8_lossy(&value).into_owned();
            imports.push((import.into(), Place { path: path.clone(), line: at.line, column: at.column }));
        }
    }
    imports
}

/// Whether a comment before the package clause says that the file is generated, as `go/ast.IsGenerated` has it.
pub(crate) fn is_generated(file: &File) -> bool {
    let before = file.comments().iter().take_while(|comment| comment.span.start < file.package_pos());
    before.into_iter().any(|comment| {
        let text = file.text(comment.span);
        let says = |line: &str| {
            line.trim_end_matches('\r')
                .strip_prefix("// Code generated ")
                .is_some_and(|rest| rest.ends_with(" DO NOT EDIT."))
        };
        text.split('\n').any(says)
    })
}

/// A directory's files, for packages whose reading is put off.
#[derive(Debug)]
pub(crate) enum Source {
    /// A directory.
    Dir { dir: PathBuf, files: Vec<GoFile>, boundary: Boundary },
    /// A package of the embedded standard library.
    Std(Arc<str>),
    /// A model's declaration, by its index.
    Stub(usize),
}

//! Models: what library functions do with resources, as data.
//!
//! A model file is TOML. `[[resource]]` tables say what a kind of resource is and what releases it; `[[package]]`
//! tables say what the functions of a package do: acquire, release, borrow, never return, and so on. A package that is
//! not part of the standard library comes with `declarations`, Go source without bodies, which also serve as the
//! package where its source is not found.
//!
//! ```toml
//! [[resource]]
//! kind = "os-file"                  # how packages refer to it
//! name = "file"                     # how messages call it
//! types = ["*os.File"]              # which results of an acquiring function are it; empty: the first
//! field = "Body"                    # it is this field of the result (optional)
//! release = ["Close"]               # its methods that release it
//! exhaust = ["Next"]                # its methods that release it when they come to the end (optional)
//! verb = "closed"                   # what releasing it is called
//! cost = "each time: one descriptor until the garbage collector finds the file"
//! drained = "it is read to its end"  # why it costs little where it was read to its end (optional): then a note
//! untouched = "it may be empty"     # why it may cost nothing where a test never looks at it (optional): then a note
//! without = ["HEAD"]                # constants with which the acquiring call gives none (optional)
//! settled = ["Handshake"]           # its methods that can't fail on what was acquired (optional)
//! nothing_if = ["StatusCode 204"]   # numbers in fields of what holds it that say that there is nothing (optional)
//! maker_release = ["Wait"]          # methods of what it was acquired from that release it (optional)
//! maker_fails = ["Start"]           # such methods that release it where they fail (optional)
//! twice = "the number may be another file's by then"   # what a second release does (optional): then R205 looks for it
//! severity = "warning"              # error, warning, note
//! confidence = "high"               # high, medium, low
//! cwe = [775, 772]
//!
//! [[package]]
//! path = "os"
//! acquire.os-file = ["Open", "(*Root).Open"]   # functions, methods, and methods of interfaces as `TB.Fatal`
//! release.raw-fd = ["Close"]        # functions that release an argument
//! until_cancelled = ["BeginTx"]     # what is acquired is released when the context is cancelled
//! drains = ["ReadAll"]              # reads an argument to its end
//! borrows = ["*"]                   # leave the arguments to the caller; `*`: all functions of the package
//! runs = ["(*Once).Do"]             # calls the function literals it is given, now or later
//! leaves = ["raw-fd"]               # all its functions leave these kinds to the caller, but those that speak of closing
//! keeps = ["SetOutput"]             # keep an argument, and what that writes to, for as long as the process lives
//! wraps = ["NewReader"]             # the result uses the argument, which is still the caller's to release
//! owns = ["Client"]                 # releasing the result releases the argument
//! options = ["XDPOptions"]          # struct types that only carry arguments into a call
//! command_fields = ["Command.RunE"] # fields of structs: a failure of the function in it ends the process
//! commands = ["(*CmdClause).Action"] # a failure of a function that it is given ends the process
//! handlers = ["UnaryHandler"]       # function types that interceptors get as their last parameter
//! cancels = ["WithCancel"]          # one result is a function that must be called
//! root_context = ["Background"]     # the result is a context that is never cancelled
//! no_return.exit = ["Exit"]         # also panic, goexit, never
//! acquire_if.raw-fd = ["Syscall 321 7"]   # acquires the kind where its first arguments are these constants
//! ends = ["(*Request).Context"]     # the result is a context that is cancelled without the caller's doing
//! panics = ["MustCompile"]          # panics on arguments that are not right
//! makes_error = ["Errorf"]          # the result is an error, never nil
//! never_fails = ["Read"]            # the error that it gives is always nil
//! outlives = ["RemoveAll"]          # undoes or writes something that the end of the process does not
//! tests_prefix = ["HasPrefix"]      # whether its first argument begins with its second; also tests_suffix
//! test_fails = ["(*common).Errorf"] # a path through it is a failed test
//! expects_error = ["Error"]         # goes on as the test wants only if an error came
//! expects_success = ["NoError"]     # goes on as the test wants only if no error came
//! declarations = "package os"
//! ```

mod declared;
mod raw;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use residue_finding::{Confidence, Severity};
use residue_flow::Stop;
use residue_project::StubPackage;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::state::sym::Affix;
use declared::Declared;

/// A kind of resource; an index into [`Models::resources`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ResourceId(u32);

impl ResourceId {
    /// The number that stands for it among the same models.
    pub(crate) fn number(self) -> u32 {
        self.0
    }
}

/// What a kind of resource is, what releases it and what losing it costs.
#[derive(Clone, Debug)]
pub struct Resource {
    /// How packages refer to it.
    pub kind: String,
    /// How messages call it.
    pub name: String,
    /// Which results of an acquiring function are it; empty: the first.
    pub types: Vec<TypeRef>,
    /// The field of the result that it is.
    pub field: Option<String>,
    /// Its methods that release it.
    pub release: Vec<String>,
    /// Its methods that release it when they come to the end.
    pub exhaust: Vec<String>,
    /// What releasing it is called: `closed`.
    pub verb: String,
    /// What is lost each time, as a sentence without full stop.
    pub cost: String,
    /// Why it costs little where it was read to its end.
    pub drained: Option<String>,
    /// Why it may cost nothing where a test never looks at it.
    pub untouched: Option<String>,
    /// Constants among the arguments with which the acquiring call gives none.
    pub without: Vec<String>,
    /// Its methods that can't fail on what was acquired: that has been done.
    pub settled: Vec<String>,
    /// Fields of what holds it, each with a number that says that there is nothing to release.
    pub nothing_if: Vec<(String, i64)>,
    /// Methods of what it was acquired from that release it.
    pub maker_release: Vec<String>,
    /// Such methods that release it where they fail.
    pub maker_fails: Vec<String>,
    /// What releasing it twice does, where that harms.
    pub twice: Option<String>,
    /// How bad that is.
    pub severity: Severity,
    /// How sure the model is.
    pub confidence: Confidence,
    /// CWE numbers, the closest first.
    pub cwe: Vec<u32>,
}

/// `*path.Name`, `path.Name` or a predeclared type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypeRef {
    /// Whether a pointer to it.
    pub pointer: bool,
    /// Import path; empty for a predeclared type.
    pub package: String,
    /// Name.
    pub name: String,
}

impl TypeRef {
    fn parse(text: &str) -> Option<Self> {
        let (pointer, rest) = match text.strip_prefix('*') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (package, name) = rest.rsplit_once('.').unwrap_or(("", rest));
        let ok = is_name(name) && (rest.len() == name.len() || !package.is_empty());
        ok.then(|| Self { pointer, package: package.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for TypeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.pointer { "*" } else { "" };
        match self.package.rsplit('/').next() {
            Some(last) if !last.is_empty() => write!(f, "{star}{last}.{}", self.name),
            _ => write!(f, "{star}{}", self.name),
        }
    }
}

/// What a function does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "roles are independent of each other, as in the files")]
pub struct Roles {
    /// It acquires a resource.
    pub acquire: Option<ResourceId>,
    /// It acquires a resource where its first arguments are these constants.
    pub acquire_if: Vec<(Vec<i64>, ResourceId)>,
    /// Its result is a context that is cancelled without the caller's doing.
    pub ends: bool,
    /// It panics on arguments that are not right.
    pub panics: bool,
    /// It releases these kinds of resources, given as argument or receiver.
    pub release: Vec<ResourceId>,
    /// What it acquires is released when the context among its arguments is cancelled.
    pub until_cancelled: bool,
    /// It reads an argument to its end.
    pub drains: bool,
    /// It never returns.
    pub no_return: Option<Stop>,
    /// Its result is an error that is never nil.
    pub makes_error: bool,
    /// The error that it gives is always nil.
    pub never_fails: bool,
    /// It undoes or writes something that the end of the process does not.
    pub outlives: bool,
    /// It leaves its arguments to the caller.
    pub borrows: bool,
    /// It calls the functions that it is given, now or later, and keeps nothing else of them.
    pub runs: bool,
    /// Its result uses its arguments, which are still the caller's to release.
    pub wraps: bool,
    /// Releasing its result releases its arguments.
    pub owns: bool,
    /// One of its results is a function that must be called.
    pub cancels: bool,
    /// A failure of a function that it is given ends the process: it is a command of a command line.
    pub commands: bool,
    /// It keeps its arguments, and what they use, for as long as the process lives.
    pub keeps: bool,
    /// Its result is a context that is never cancelled.
    pub root_context: bool,
    /// It tells whether its first argument begins, or ends, with its second.
    pub(crate) tests_end: Option<Affix>,
    /// A path through it is a failed test.
    pub test_fails: bool,
    /// Goes on as the test wants only if an error came.
    pub expects_error: bool,
    /// Goes on as the test wants only if no error came.
    pub expects_success: bool,
}

#[derive(Clone, Debug, Default)]
struct PackageModel {
    /// By receiver type (empty for functions), then by name.
    functions: FxHashMap<String, FxHashMap<String, Roles>>,
    /// What functions that are not listed do.
    default: Roles,
    options: FxHashSet<String>,
    /// By struct type, the fields that hold commands of a command line.
    commands: FxHashMap<String, FxHashSet<String>>,
    /// Function types that interceptors get as their last parameter.
    handlers: FxHashSet<String>,
    /// Kinds that some of its functions acquire or release.
    kinds: Vec<ResourceId>,
    /// Kinds that some of its functions give until their context is cancelled.
    ends_when_cancelled: Vec<ResourceId>,
    /// Kinds that all functions leave to the caller.
    leaves: Vec<ResourceId>,
    /// The stub source with the place of its file, for messages.
    stub: Option<StubPackage>,
}

/// Words in names that say what a function is for, in lower case.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// A function with one in its name decides about access.
    pub decides: Vec<String>,
    /// So does one that begins with such a word and goes on with a capital.
    pub decides_modal: Vec<String>,
    /// So does one that begins with such a word and has one of the next after it.
    pub decides_verb: Vec<String>,
    /// What is decided about.
    pub decides_about: Vec<String>,
    /// Of a function with one in its name true is a refusal.
    pub refuses: Vec<String>,
    /// A function parameter with one in its name, or in that of its type, is what a wrapper passes on to.
    pub passes_on: Vec<String>,
}

impl Words {
    /// Whether a name speaks of permission or proof.
    pub fn decides(&self, name: &str) -> bool {
        let lower = name.to_ascii_lowercase();
        let after = |word: &String| lower.strip_prefix(word.as_str());
        let modal = |word: &String| {
            after(word).is_some() && name.get(word.len()..).is_some_and(|rest| rest.starts_with(char::is_uppercase))
        };
        let verb = |word: &String| {
            after(word).is_some_and(|rest| self.decides_about.iter().any(|about| rest.contains(about.as_str())))
        };
        has(&self.decides, &lower) || self.decides_modal.iter().any(modal) || self.decides_verb.iter().any(verb)
    }

    /// Whether a name says that true is a refusal.
    pub fn refuses(&self, name: &str) -> bool {
        has(&self.refuses, &name.to_ascii_lowercase())
    }

    /// Whether a name is that of a handler.
    pub fn passes_on(&self, name: &str) -> bool {
        has(&self.passes_on, &name.to_ascii_lowercase())
    }
}

/// Whether one of the words is in a name in lower case.
fn has(words: &[String], lower: &str) -> bool {
    words.iter().any(|word| lower.contains(word.as_str()))
}

/// All models of a run.
#[derive(Clone, Debug, Default)]
pub struct Models {
    resources: Vec<Resource>,
    /// The methods that release some resource.
    release_names: FxHashSet<String>,
    packages: BTreeMap<String, PackageModel>,
    words: Words,
    unchecked: Unresolved,
}

/// Names still to be found in the declarations of the standard library.
#[derive(Clone, Debug, Default)]
struct Unresolved(Vec<Unchecked>);

impl Unresolved {
    fn clear(&mut self) {
        self.0.clear();
    }

    /// What the embedded standard library does not declare.
    fn check_std(self) -> Vec<ModelError> {
        let mut known: BTreeMap<String, Option<Declared>> = BTreeMap::new();
        let mut errors = Vec::new();
        for unchecked in self.0 {
            let package = &*unchecked.package;
            let declared = known.entry(package.to_owned()).or_insert_with(|| declared::of_std(package));
            let message = match declared {
                Some(declared) => match declared.missing(package, &unchecked.name) {
                    Some(message) => message,
                    None => continue,
                },
                None => format!("package {package} is not part of the standard library: give its `declarations`"),
            };
            errors.push(unchecked.place.error(message));
        }
        errors
    }
}

/// A name that a model gives a role, with its place.
#[derive(Clone, Debug)]
struct Unchecked {
    package: String,
    name: RoleName,
    place: Place,
}

/// What a role name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RoleName {
    /// A function, or a method of a type.
    Function { recv: String, name: String },
    /// A type.
    Type(String),
}

#[derive(Clone, Debug)]
struct Place {
    file: Arc<str>,
    line: u32,
    column: u32,
}

/// Something wrong with a model file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ModelError {
    /// The file, as it was named.
    pub file: String,
    /// 1-based line.
    pub line: u32,
    /// 1-based column in bytes.
    pub column: u32,
    /// What is wrong, in one line without full stop.
    pub message: String,
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl std::error::Error for ModelError {}

/// The embedded model files: name and text.
pub const EMBEDDED: &[(&str, &str)] = &[
    ("cgo.toml", include_str!("../../models/cgo.toml")),
    ("cilium-ebpf.toml", include_str!("../../models/cilium-ebpf.toml")),
    ("commands.toml", include_str!("../../models/commands.toml")),
    ("grpc.toml", include_str!("../../models/grpc.toml")),
    ("libbpfgo.toml", include_str!("../../models/libbpfgo.toml")),
    ("raw-fd.toml", include_str!("../../models/raw-fd.toml")),
    ("std-io.toml", include_str!("../../models/std-io.toml")),
    ("std-net.toml", include_str!("../../models/std-net.toml")),
    ("std-os.toml", include_str!("../../models/std-os.toml")),
    ("std-run.toml", include_str!("../../models/std-run.toml")),
    ("std-sql.toml", include_str!("../../models/std-sql.toml")),
    ("third-party.toml", include_str!("../../models/third-party.toml")),
    ("words.toml", include_str!("../../models/words.toml")),
];

/// How the embedded files are displayed.
const EMBEDDED_PREFIX: &str = "<embedded>/models/";

static EMBEDDED_MODELS: LazyLock<Result<Models, Vec<ModelError>>> = LazyLock::new(|| {
    let named: Vec<_> = EMBEDDED.iter().map(|(name, text)| (format!("{EMBEDDED_PREFIX}{name}"), *text)).collect();
    let mut models = Models::default();
    let errors = raw::add(&mut models, named.iter().map(|(name, text)| (name.as_str(), *text)));
    // A test checks the rest: what the standard library declares.
    models.unchecked.clear();
    if errors.is_empty() { Ok(models) } else { Err(errors) }
});

impl Models {
    /// No models at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// The models that come with the program. An error here is a mistake of its authors; a test excludes it.
    pub fn embedded() -> Result<Self, Vec<ModelError>> {
        EMBEDDED_MODELS.clone()
    }

    /// Adds model files, each a displayed name and its text. Files may refer to resources of each other and of models
    /// added before. Functions of packages that come without `declarations` must be declared by the embedded standard
    /// library. On errors, all of them are returned and nothing is added.
    pub fn add_all<'a>(&mut self, files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<(), Vec<ModelError>> {
        let mut next = self.clone();
        let mut errors = raw::add(&mut next, files);
        errors.extend(std::mem::take(&mut next.unchecked).check_std());
        errors.sort();
        errors.dedup();
        if errors.is_empty() {
            *self = next;
            Ok(())
        } else {
            Err(errors)
        }
    }

    /// The packages that models declare, for use where their source is not found.
    pub fn stubs(&self) -> Vec<StubPackage> {
        self.packages.values().filter_map(|package| package.stub.clone()).collect()
    }

    /// The packages that models speak of, sorted.
    pub fn packages(&self) -> impl Iterator<Item = &str> {
        self.packages.keys().map(String::as_str)
    }

    /// All kinds of resources.
    pub fn resources(&self) -> impl Iterator<Item = (ResourceId, &Resource)> {
        self.resources.iter().enumerate().map(|(i, resource)| (ResourceId(i as u32), resource))
    }

    /// A kind of resource.
    pub fn resource(&self, id: ResourceId) -> &Resource {
        &self.resources[id.0 as usize]
    }

    /// The kind of a number, if there are as many.
    pub(crate) fn numbered(&self, number: u32) -> Option<ResourceId> {
        ((number as usize) < self.resources.len()).then_some(ResourceId(number))
    }

    /// Whether a method of this name releases some kind of resource, or a type that holds one.
    pub fn is_release_name(&self, method: &str) -> bool {
        self.release_names.contains(method)
    }

    /// Whether functions of a package acquire or release a kind of resource: what it is handed to there uses it.
    pub fn deals_with(&self, package: &str, kind: ResourceId) -> bool {
        self.packages.get(package).is_some_and(|package| package.kinds.contains(&kind))
    }

    /// What a function does. `recv` is the name of the type that declares a method, empty for a function.
    pub fn roles(&self, package: &str, recv: &str, name: &str) -> Option<&Roles> {
        let package = self.packages.get(package)?;
        let listed = package.functions.get(recv).and_then(|functions| functions.get(name));
        let listed = listed.or_else(|| recv.is_empty().then_some(&package.default));
        // A role that says nothing is none: the body may be there to be looked into.
        listed.filter(|roles| **roles != Roles::default())
    }

    /// Whether a function that no model speaks of leaves a kind of resource to its caller, because all functions of the
    /// package do. One whose name speaks of opening or closing may not.
    pub fn leaves(&self, package: &str, name: &str, kind: ResourceId) -> bool {
        let name = name.to_ascii_lowercase();
        self.packages.get(package).is_some_and(|package| package.leaves.contains(&kind))
            && !["close", "open"].iter().any(|word| name.contains(word))
    }

    /// Whether some function's resources of a kind are released when the context that it is given is cancelled.
    pub fn ends_when_cancelled(&self, kind: ResourceId) -> bool {
        self.packages.values().any(|package| package.ends_when_cancelled.contains(&kind))
    }

    /// Words that say what a function is for.
    pub fn words(&self) -> &Words {
        &self.words
    }

    /// Whether a function type is what interceptors get as their last parameter.
    pub fn is_handler(&self, package: &str, type_name: &str) -> bool {
        self.packages.get(package).is_some_and(|package| package.handlers.contains(type_name))
    }

    /// The fields of a struct type that hold commands of a command line, a failure of which ends the process.
    pub(crate) fn commands(&self, package: &str, type_name: &str) -> Option<&FxHashSet<String>> {
        self.packages.get(package)?.commands.get(type_name)
    }

    /// Whether a struct type only carries arguments into a call.
    pub fn is_options(&self, package: &str, type_name: &str) -> bool {
        self.packages.get(package).is_some_and(|package| package.options.contains(type_name))
    }
}

impl Place {
    fn error(&self, message: impl Into<String>) -> ModelError {
        ModelError { file: self.file.to_string(), line: self.line, column: self.column, message: message.into() }
    }
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_') && chars.all(|c| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests;

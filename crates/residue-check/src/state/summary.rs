//! What callers know of a function without looking into it.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use residue_flow::Stop;
use residue_types::{Declarations, ObjId, Objects, PkgId, Program, Symbol};
use rustc_hash::FxHashMap;

use crate::model::ResourceId;

/// What a function does with what it is given, and what it gives.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Summary {
    /// What becomes of each parameter, the receiver first.
    pub(crate) params: Vec<Effect>,
    /// The parts of parameters that it releases.
    pub(crate) releases: Vec<Release>,
    /// The resources that its results are or hold, and that the caller has to release.
    pub(crate) owned: Vec<Owned>,
    /// The parameters that a result is or refers to: parameter, result.
    pub(crate) passes: Vec<(usize, usize)>,
    /// Why it can panic, where nothing in it recovers.
    pub(crate) panics: Option<Panics>,
    /// How it ends if it never returns.
    pub(crate) stops: Option<Stop>,
    /// Whether it calls `recover` itself, so that it recovers for a function that defers it.
    pub(crate) recovers: bool,
    /// Whether it returns a literal that calls `recover` itself.
    pub(crate) makes_recoverer: bool,
    /// Parameters that are functions which it calls, and does nothing else with; a bit each.
    pub(crate) called: u64,
    /// Parameters that it reads to their end whenever it returns; a bit each.
    pub(crate) drains: u64,
    /// Interfaces among its parameters with which it may panic: a recovered value that it is given is not the end of the
    /// panic. A bit each.
    pub(crate) repanics: u64,
    /// Whether the error it returns is never nil.
    pub(crate) makes_error: bool,
    /// The call in it that undoes or writes something that the end of the process does not.
    pub(crate) outlives: Option<String>,
}

impl Summary {
    /// What becomes of a parameter, the receiver first.
    pub(crate) fn effect(&self, param: usize) -> Effect {
        self.params.get(param).copied().unwrap_or_default()
    }
}

/// What becomes of a parameter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) enum Effect {
    /// It stays the caller's.
    Borrowed,
    /// It is released on each path: [`Summary::releases`] has it.
    Released,
    /// It is stored, passed on, released on some paths only; or not understood.
    #[default]
    Escaped,
}

/// A release of a parameter, or of a field of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Release {
    pub(crate) param: usize,
    /// Fields from the parameter to what is released.
    pub(crate) path: Vec<Symbol>,
    /// On which returns.
    pub(crate) when: When,
    /// The kind whose release it is, where a model says so and a second one harms.
    pub(crate) kind: Option<ResourceId>,
    /// Whether the function also sets a field: the one it releases may say then that it is gone.
    pub(crate) sets_field: bool,
    /// Whether it sees to it that nobody does so again: it takes the finalizer away, or goes through a `sync.Once`.
    pub(crate) guarded: bool,
}

/// On which returns something holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum When {
    Always,
    /// Where the error it returns is nil.
    Success,
    /// Where the error it returns is not nil.
    Failure,
    /// Where the error it returns is nil, and on some of the other returns.
    SuccessPerhapsFailure,
}

/// A resource that a result is or holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Owned {
    pub(crate) result: usize,
    /// Fields from the result to the resource.
    pub(crate) path: Vec<Symbol>,
    pub(crate) kind: ResourceId,
    /// The boolean result that says whether there is one.
    pub(crate) ok: Option<usize>,
    /// The call that acquires it, as `os.Open`.
    pub(crate) made_by: String,
}

/// Why a function can panic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Panics {
    /// What panics: `panic`, or the reason of an operation, in a few words.
    pub(crate) what: &'static str,
    /// Where, for people: `parse.go:12`.
    pub(crate) place: String,
    /// The functions called on the way there, the nearest first.
    pub(crate) through: Vec<String>,
}

/// The summaries of all functions whose bodies were seen, by package.
#[derive(Debug)]
pub(crate) struct Summaries {
    packages: Vec<OnceLock<Known>>,
}

/// What is known of the functions of a package, by their full names.
pub(crate) type Learnt = BTreeMap<String, Arc<Summary>>;

/// How much is known of a package's functions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Extent {
    /// Nothing: its bodies were not seen.
    Nothing,
    /// What some of them do, that were asked for.
    Some,
    /// What all of them do.
    All,
}

/// What is known of a package's functions.
#[derive(Debug)]
struct Known {
    /// Variants of a package share them.
    by_name: Arc<Learnt>,
    /// The same by what declares them, once somebody asks.
    by_id: OnceLock<FxHashMap<ObjId, Arc<Summary>>>,
    /// Whether all its bodies were seen, or only some that were asked for.
    whole: bool,
}

impl Summaries {
    pub(crate) fn new(packages: usize) -> Self {
        Self { packages: (0..packages).map(|_| OnceLock::new()).collect() }
    }

    fn known(&self, package: PkgId) -> Option<&Known> {
        self.packages.get(package.index())?.get()
    }

    /// What is known of a function.
    pub(crate) fn get(&self, program: &Program, function: ObjId) -> Option<Arc<Summary>> {
        let known = self.known(function.pkg)?;
        let by_id = known.by_id.get_or_init(|| {
            let declared = program.declarations(function.pkg).into_iter().flat_map(Declarations::objects);
            let functions = declared.enumerate().filter(|(_, object)| object.func().is_some());
            let named = functions.filter_map(|(index, _)| {
                let id = ObjId { pkg: function.pkg, index: index as u32 };
                Some((id, Arc::clone(known.by_name.get(&program.func_name(id))?)))
            });
            named.collect()
        });
        by_id.get(&function).cloned()
    }

    /// What is known of a package's function of this full name.
    pub(crate) fn named(&self, package: PkgId, name: &str) -> Option<&Summary> {
        self.known(package)?.by_name.get(name).map(|summary| &**summary)
    }

    /// What is known of a package's functions, by their full names.
    pub(crate) fn of(&self, package: PkgId) -> Option<&Arc<Learnt>> {
        Some(&self.known(package)?.by_name)
    }

    /// How much is known of a package's functions.
    pub(crate) fn extent(&self, package: PkgId) -> Extent {
        match self.known(package) {
            None => Extent::Nothing,
            Some(known) if known.whole => Extent::All,
            Some(_) => Extent::Some,
        }
    }

    /// Files a package's summaries, once. `whole` says whether all its bodies were seen.
    pub(crate) fn set(&self, package: PkgId, by_name: Arc<Learnt>, whole: bool) {
        if let Some(slot) = self.packages.get(package.index()) {
            let _ = slot.set(Known { by_name, by_id: OnceLock::new(), whole });
        }
    }
}

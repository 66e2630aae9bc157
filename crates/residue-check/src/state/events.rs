//! What executing a function brings to light, for rules and summaries to read.

use residue_flow::ir::{self, At};
use residue_syntax::ast::ExprId;
use residue_types::ObjId;
use rustc_hash::FxHashSet;
use std::rc::Rc;

use super::store::{Deferred, Map, SiteId, State, Trail};
use super::summary::{Owned, Panics};
use super::sym::{Place, Sym};
use crate::model::ResourceId;

/// Ways to return that are kept; a function with more is given up.
const EXITS_MAX: usize = 600;
/// Events of one kind that are kept.
const KEPT_MAX: usize = 64;

/// A resource that is followed.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) origin: Origin,
    /// What it is; none for what a caller may hand in.
    pub(crate) kind: Option<ResourceId>,
    pub(crate) sym: Sym,
    /// The error that came with it.
    pub(crate) error: Option<Sym>,
    /// Where some path releases it.
    pub(crate) released: Option<Place>,
    /// Whether some path leaves it with somebody else before it ends, if it does.
    pub(crate) handed_on: bool,
    /// The kind as which it is released, where a second release of such harms.
    pub(crate) twice: Option<ResourceId>,
}

/// Where a resource comes from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// A call that acquires it.
    Call { expr: ExprId, result: usize },
    /// A call of a function whose result is or holds it.
    Made { expr: ExprId, owned: Owned },
    /// A call that makes a context: the function that cancels it, until somebody looks at it.
    Cancel { expr: ExprId, result: usize },
    /// A parameter.
    Param(ObjId),
    /// A field of a parameter.
    ParamField(ObjId, Vec<residue_types::Symbol>),
}

/// A return.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) state: State,
    pub(crate) results: Vec<Sym>,
    pub(crate) at: At,
}

/// Why an instruction panics.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    /// By itself.
    Here(&'static str),
    /// The function it calls can.
    Callee { name: String, panics: Panics },
    /// It calls a function that it was given.
    Callback,
    /// Anything that is called can panic.
    Any,
}

impl Why {
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Here(_) => 0,
            Self::Callee { .. } => 1,
            Self::Callback => 2,
            Self::Any => 3,
        }
    }
}

/// A panic that leaves a resource open.
#[derive(Debug)]
pub(crate) struct Unwind {
    pub(crate) site: SiteId,
    pub(crate) place: Place,
    pub(crate) why: Why,
    /// Whether a deferred call of this function, or of a literal that it calls, recovers.
    pub(crate) recovered: bool,
    /// Which body recovers: 0 for the function, else a literal, after which the function goes on.
    pub(crate) body: u16,
    pub(crate) trail: Option<Rc<Trail>>,
}

/// A panic that this function recovers from, and returns.
#[derive(Debug)]
pub(crate) struct Recovery {
    pub(crate) state: State,
    /// The results as they stand, zero values as nil.
    pub(crate) results: Vec<Sym>,
    pub(crate) place: Place,
}

/// A resource that is touched after its release.
#[derive(Debug)]
pub(crate) struct Again {
    pub(crate) site: SiteId,
    /// The release before.
    pub(crate) first: Place,
    pub(crate) second: Place,
    /// What the second is.
    pub(crate) kind: Second,
    pub(crate) trail: Option<Rc<Trail>>,
}

/// What touches a resource after its release.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Second {
    /// A release.
    Release,
    /// A use.
    Use,
    /// A release of what an object owns, whose finalizer releases it too.
    Owner,
    /// A finalizer: the first is the release that this function makes.
    Finalizer,
}

/// A resource that the next round of a loop loses.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) site: SiteId,
    pub(crate) trail: Option<Rc<Trail>>,
    pub(crate) drained: bool,
    pub(crate) touched: bool,
}

/// A resource that a goroutine was given and releases on some of its paths only.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) site: SiteId,
    /// The `go` statement.
    pub(crate) place: Place,
    /// Where the goroutine ends without having released it.
    pub(crate) at: At,
    pub(crate) trail: Option<Rc<Trail>>,
}

/// The process ends while deferred calls wait.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) place: Place,
    pub(crate) defers: Rc<Deferred>,
    /// The calls that this path made itself before, as [`State::outlived`] has them.
    pub(crate) made: Map<u64, ()>,
}

#[derive(Debug, Default)]
pub(crate) struct Events {
    pub(crate) sites: Vec<Site>,
    pub(crate) exits: Vec<Exit>,
    pub(crate) unwinds: Vec<Unwind>,
    pub(crate) recoveries: Vec<Recovery>,
    pub(crate) again: Vec<Again>,
    pub(crate) lost: Vec<Lost>,
    pub(crate) left: Vec<Left>,
    /// Resources that are touched, or passed on, where the call that gives them failed.
    pub(crate) used_failed: FxHashSet<SiteId>,
    pub(crate) ended: Vec<Ended>,
    /// Cancel functions that nobody looked at before their variable was set again, and where that is.
    pub(crate) replaced: Vec<(SiteId, Place)>,
    /// Resources that a call gives anew while the one of an earlier round is open, and was not read to its end.
    pub(crate) undrained: FxHashSet<SiteId>,
    /// What there was too much of, so that some paths were not looked at.
    pub(crate) gave_up: Option<&'static str>,
}

impl Events {
    /// Whether there are too many ways to return to go on.
    pub(super) fn is_full(exits: &[Exit]) -> bool {
        exits.len() >= EXITS_MAX
    }

    fn of_panic(&mut self, state: &State, place: Place, why: &Why, recovered: bool, body: u16) {
        if *why == Why::Any {
            return;
        }
        for site in state.open() {
            if self.sites[site.0 as usize].kind.is_none() {
                continue;
            }
            let known = self
                .unwinds
                .iter_mut()
                .find(|unwind| unwind.site == site && unwind.recovered == recovered && unwind.body == body);
            let new = || Unwind { site, place, why: why.clone(), recovered, body, trail: state.trail.clone() };
            match known {
                Some(known) if why.rank() < known.why.rank() => *known = new(),
                Some(_) => {}
                None => self.unwinds.push(new()),
            }
        }
    }

    /// A literal that was called recovered: what it would have released itself is open.
    pub(super) fn recovered_inside(&mut self, state: &State, place: Place, why: &Why, body: u16) {
        self.of_panic(state, place, why, true, body);
    }

    pub(super) fn unwound(&mut self, state: &State, place: Place, why: &Why) {
        self.of_panic(state, place, why, false, 0);
    }

    pub(super) fn recovered(&mut self, state: State, results: Vec<Sym>, place: Place, why: &Why) {
        self.of_panic(&state, place, why, true, 0);
        if self.recoveries.len() < KEPT_MAX {
            self.recoveries.push(Recovery { state, results, place });
        }
    }

    pub(super) fn again(&mut self, again: Again) {
        let known = self.again.iter().any(|a| a.site == again.site && a.second == again.second);
        if !known && self.again.len() < KEPT_MAX {
            self.again.push(again);
        }
    }

    pub(super) fn lost(&mut self, state: &State, site: SiteId) {
        if self.lost.iter().all(|lost| lost.site != site) {
            let resource = state.resource(site);
            let (drained, touched) = (resource.drained, resource.touched);
            self.lost.push(Lost { site, trail: state.trail.clone(), drained, touched });
        }
    }

    pub(super) fn left(&mut self, left: Left) {
        if self.left.iter().all(|known| known.site != left.site) {
            self.left.push(left);
        }
    }

    pub(super) fn ended(&mut self, state: &State, place: Place) {
        if let Some(defers) = &state.defers
            && self.ended.len() < KEPT_MAX
            && self.ended.iter().all(|ended| ended.place != place)
        {
            self.ended.push(Ended { place, defers: Rc::clone(defers), made: state.outlived.clone() });
        }
    }
}

/// What panics, in a few words, where an operation that can panic is worth speaking of: what every other line does, as
/// following a pointer or indexing, is not.
pub(crate) fn strong(reason: ir::Panic) -> Option<&'static str> {
    match reason {
        ir::Panic::Explicit => Some("panic"),
        ir::Panic::Assertion => Some("a type assertion without a second result"),
        ir::Panic::Division => Some("a division by what may be zero"),
        ir::Panic::CloseChannel => Some("the close of a channel that may be closed"),
        _ => None,
    }
}

//! What is kept of a package, and its form.

use std::sync::Arc;

use residue_cache::shape::{DiagnosticShape, FindingShape, SiteShape};
use residue_cache::{Digest, decode, encode};
use residue_flow::Stop;
use residue_types::Symbol;
use serde::{Deserialize, Serialize};

use super::asked::AskedShape;
use crate::ends::After;
use crate::engine::Look;
use crate::model::{Models, ResourceId};
use crate::reach::{Calls, Key, Shield};
use crate::rules::pending::{If, Pending};
use crate::state::summary::{Effect, Learnt, Owned, Panics, Release, Summary, When};

/// What looking at a package gave, and what it was told of others.
#[derive(Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) asked: AskedShape,
    look: LookShape,
    /// What is known of the package's functions, by their full names.
    learnt: Vec<(String, SummaryShape)>,
}

impl Kept {
    pub(crate) fn new(asked: AskedShape, look: &Look, learnt: &Learnt) -> Self {
        let learnt = learnt.iter().map(|(name, summary)| (name.clone(), SummaryShape::of(summary)));
        Self { asked, look: LookShape::of(look), learnt: learnt.collect() }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        decode(bytes)
    }

    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        encode(self)
    }

    /// What looking at the package gave.
    pub(crate) fn open(self, models: &Models) -> Option<(Look, Learnt)> {
        let learnt = self.learnt.into_iter().map(|(name, summary)| Some((name, Arc::new(summary.open(models)?))));
        Some((self.look.open()?, learnt.collect::<Option<_>>()?))
    }
}

/// The digest of what is known of a function.
pub(super) fn digest(summary: &Summary) -> Option<Digest> {
    Some(Digest::of(&encode(&SummaryShape::of(summary))?))
}

/// What was found in a file, and what is one only if the functions above a function are of a kind.
type FileShape = (Vec<FindingShape>, Vec<(FindingShape, u64, IfShape)>);

#[derive(Serialize, Deserialize)]
enum IfShape {
    Recovered,
    LivesOn,
}

#[derive(Serialize, Deserialize)]
enum AfterShape {
    Ends,
    Passed(u64),
    LivesOn,
}

#[derive(Serialize, Deserialize)]
struct LookShape {
    files: Vec<FileShape>,
    calls: CallsShape,
    bodies: usize,
    executed: usize,
    given_up: usize,
    diagnostics: Vec<DiagnosticShape>,
}

impl LookShape {
    fn of(look: &Look) -> Self {
        let Look { files, calls, bodies, executed, given_up, diagnostics } = look;
        let pending = |Pending { finding, function, holds }: &Pending| {
            let holds = match holds {
                If::Recovered => IfShape::Recovered,
                If::LivesOn => IfShape::LivesOn,
            };
            (FindingShape::of(finding), function.0, holds)
        };
        let files = files
            .iter()
            .map(|(found, open)| (found.iter().map(FindingShape::of).collect(), open.iter().map(pending).collect()));
        Self {
            files: files.collect(),
            calls: CallsShape::of(calls),
            bodies: *bodies,
            executed: *executed,
            given_up: *given_up,
            diagnostics: diagnostics.iter().map(DiagnosticShape::of).collect(),
        }
    }

    fn open(self) -> Option<Look> {
        let pending = |(finding, function, holds): (FindingShape, u64, IfShape)| {
            let holds = match holds {
                IfShape::Recovered => If::Recovered,
                IfShape::LivesOn => If::LivesOn,
            };
            Some(Pending { finding: finding.open()?, function: Key(function), holds })
        };
        let files = self.files.into_iter().map(|(found, open)| {
            let found = found.into_iter().map(FindingShape::open).collect::<Option<_>>()?;
            Some((found, open.into_iter().map(pending).collect::<Option<_>>()?))
        });
        Some(Look {
            files: files.collect::<Option<_>>()?,
            calls: Arc::new(self.calls.open()),
            bodies: self.bodies,
            executed: self.executed,
            given_up: self.given_up,
            diagnostics: self.diagnostics.into_iter().map(DiagnosticShape::open).collect::<Option<_>>()?,
        })
    }
}

/// Who recovers, and where.
type ShieldShape = (String, Option<SiteShape>);

fn shield_of(Shield { who, site }: &Shield) -> ShieldShape {
    (who.clone(), site.as_ref().map(SiteShape::of))
}

fn shield((who, site): ShieldShape) -> Shield {
    Shield { who, site: site.map(SiteShape::open) }
}

#[derive(Serialize, Deserialize)]
struct CallsShape {
    edges: Vec<(u64, u64)>,
    through: Vec<(u64, String)>,
    methods: Vec<(String, u64)>,
    shields: Vec<(u64, ShieldShape)>,
    shielded: Vec<(u64, ShieldShape)>,
    services: Vec<(String, u64)>,
    of_servers: Vec<String>,
    interceptor: Option<ShieldShape>,
    failures: Vec<(u64, AfterShape)>,
}

impl CallsShape {
    fn of(calls: &Calls) -> Self {
        let Calls { edges, through, methods, shields, shielded, services, of_servers, interceptor, failures } = calls;
        let after = |after: After| match after {
            After::Ends => AfterShape::Ends,
            After::Passed(caller) => AfterShape::Passed(caller.0),
            After::LivesOn => AfterShape::LivesOn,
        };
        let named = |list: &[(Symbol, Key)]| list.iter().map(|(name, key)| (name.to_string(), key.0)).collect();
        let shields_of = |list: &[(Key, Shield)]| list.iter().map(|(key, shield)| (key.0, shield_of(shield))).collect();
        Self {
            edges: edges.iter().map(|(from, to)| (from.0, to.0)).collect(),
            through: through.iter().map(|(from, name)| (from.0, name.to_string())).collect(),
            methods: named(methods),
            shields: shields_of(shields),
            shielded: shields_of(shielded),
            services: named(services),
            of_servers: of_servers.iter().map(ToString::to_string).collect(),
            interceptor: interceptor.as_ref().map(shield_of),
            failures: failures.iter().map(|&(function, then)| (function.0, after(then))).collect(),
        }
    }

    fn open(self) -> Calls {
        let named = |list: Vec<(String, u64)>| list.into_iter().map(|(name, key)| (Symbol::new(&name), Key(key)));
        let after = |after: AfterShape| match after {
            AfterShape::Ends => After::Ends,
            AfterShape::Passed(caller) => After::Passed(Key(caller)),
            AfterShape::LivesOn => After::LivesOn,
        };
        let shields = |list: Vec<(u64, ShieldShape)>| list.into_iter().map(|(key, by)| (Key(key), shield(by)));
        Calls {
            edges: self.edges.into_iter().map(|(from, to)| (Key(from), Key(to))).collect(),
            through: self.through.into_iter().map(|(from, name)| (Key(from), Symbol::new(&name))).collect(),
            methods: named(self.methods).collect(),
            shields: shields(self.shields).collect(),
            shielded: shields(self.shielded).collect(),
            services: named(self.services).collect(),
            of_servers: self.of_servers.iter().map(|name| Symbol::new(name)).collect(),
            interceptor: self.interceptor.map(shield),
            failures: self.failures.into_iter().map(|(function, then)| (Key(function), after(then))).collect(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct SummaryShape {
    params: Vec<EffectShape>,
    releases: Vec<ReleaseShape>,
    owned: Vec<OwnedShape>,
    passes: Vec<(usize, usize)>,
    panics: Option<(String, String, Vec<String>)>,
    stops: Option<StopShape>,
    recovers: bool,
    makes_recoverer: bool,
    called: u64,
    drains: u64,
    repanics: u64,
    makes_error: bool,
    outlives: Option<String>,
}

#[derive(Serialize, Deserialize)]
enum EffectShape {
    Borrowed,
    Released,
    Escaped,
}

#[derive(Serialize, Deserialize)]
enum StopShape {
    Panic,
    Exit,
    Goexit,
    Never,
}

#[derive(Serialize, Deserialize)]
enum WhenShape {
    Always,
    Success,
    Failure,
    SuccessPerhapsFailure,
}

#[derive(Serialize, Deserialize)]
struct ReleaseShape {
    param: usize,
    path: Vec<String>,
    when: WhenShape,
    kind: Option<u32>,
    sets_field: bool,
    guarded: bool,
}

#[derive(Serialize, Deserialize)]
struct OwnedShape {
    result: usize,
    path: Vec<String>,
    kind: u32,
    ok: Option<usize>,
    made_by: String,
}

fn texts(path: &[Symbol]) -> Vec<String> {
    path.iter().map(ToString::to_string).collect()
}

fn symbols(path: &[String]) -> Vec<Symbol> {
    path.iter().map(|name| Symbol::new(name)).collect()
}

impl SummaryShape {
    fn of(summary: &Summary) -> Self {
        let Summary {
            params,
            releases,
            owned,
            passes,
            panics,
            stops,
            recovers,
            makes_recoverer,
            called,
            drains,
            repanics,
            makes_error,
            outlives,
        } = summary;
        let effect = |effect: &Effect| match effect {
            Effect::Borrowed => EffectShape::Borrowed,
            Effect::Released => EffectShape::Released,
            Effect::Escaped => EffectShape::Escaped,
        };
        let stop = |stop: Stop| match stop {
            Stop::Panic => StopShape::Panic,
            Stop::Exit => StopShape::Exit,
            Stop::Goexit => StopShape::Goexit,
            Stop::Never => StopShape::Never,
        };
        let panics = panics.as_ref().map(|Panics { what, place, through }| {
            let what: &str = what;
            (what.to_owned(), place.clone(), through.clone())
        });
        Self {
            params: params.iter().map(effect).collect(),
            releases: releases.iter().map(ReleaseShape::of).collect(),
            owned: owned.iter().map(OwnedShape::of).collect(),
            passes: passes.clone(),
            panics,
            stops: stops.map(stop),
            recovers: *recovers,
            makes_recoverer: *makes_recoverer,
            called: *called,
            drains: *drains,
            repanics: *repanics,
            makes_error: *makes_error,
            outlives: outlives.clone(),
        }
    }

    fn open(self, models: &Models) -> Option<Summary> {
        let effect = |effect: EffectShape| match effect {
            EffectShape::Borrowed => Effect::Borrowed,
            EffectShape::Released => Effect::Released,
            EffectShape::Escaped => Effect::Escaped,
        };
        let stop = |stop: StopShape| match stop {
            StopShape::Panic => Stop::Panic,
            StopShape::Exit => Stop::Exit,
            StopShape::Goexit => Stop::Goexit,
            StopShape::Never => Stop::Never,
        };
        // One of a few words; their store lends them out for good.
        let panics =
            self.panics.map(|(what, place, through)| Panics { what: Symbol::new(&what).as_str(), place, through });
        Some(Summary {
            params: self.params.into_iter().map(effect).collect(),
            releases: self.releases.into_iter().map(|release| release.open(models)).collect::<Option<_>>()?,
            owned: self.owned.into_iter().map(|owned| owned.open(models)).collect::<Option<_>>()?,
            passes: self.passes,
            panics,
            stops: self.stops.map(stop),
            recovers: self.recovers,
            makes_recoverer: self.makes_recoverer,
            called: self.called,
            drains: self.drains,
            repanics: self.repanics,
            makes_error: self.makes_error,
            outlives: self.outlives,
        })
    }
}

impl ReleaseShape {
    fn of(release: &Release) -> Self {
        let Release { param, path, when, kind, sets_field, guarded } = release;
        Self {
            param: *param,
            path: texts(path),
            when: match when {
                When::Always => WhenShape::Always,
                When::Success => WhenShape::Success,
                When::Failure => WhenShape::Failure,
                When::SuccessPerhapsFailure => WhenShape::SuccessPerhapsFailure,
            },
            kind: kind.map(ResourceId::number),
            sets_field: *sets_field,
            guarded: *guarded,
        }
    }

    fn open(self, models: &Models) -> Option<Release> {
        Some(Release {
            param: self.param,
            path: symbols(&self.path),
            when: match self.when {
                WhenShape::Always => When::Always,
                WhenShape::Success => When::Success,
                WhenShape::Failure => When::Failure,
                WhenShape::SuccessPerhapsFailure => When::SuccessPerhapsFailure,
            },
            kind: match self.kind {
                Some(number) => Some(models.numbered(number)?),
                None => None,
            },
            sets_field: self.sets_field,
            guarded: self.guarded,
        })
    }
}

impl OwnedShape {
    fn of(owned: &Owned) -> Self {
        let Owned { result, path, kind, ok, made_by } = owned;
        Self { result: *result, path: texts(path), kind: kind.number(), ok: *ok, made_by: made_by.clone() }
    }

    fn open(self, models: &Models) -> Option<Owned> {
        Some(Owned {
            result: self.result,
            path: symbols(&self.path),
            kind: models.numbered(self.kind)?,
            ok: self.ok,
            made_by: self.made_by,
        })
    }
}

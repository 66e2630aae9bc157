//! What the analysis of a package asked about others, and whether it would be told the same again.

use residue_cache::Digest;
use residue_project::PackageId;
use residue_types::{ObjId, Objects as _, PkgId, Program, Symbol, Type};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::kept::digest;
use super::key::Keys;
use crate::context::Asked;
use crate::state::dispatch::Hierarchy;
use crate::state::summary::{Extent, Summaries};

/// What was asked, with the answers. Packages are spoken of by their number in a list of names.
#[derive(Serialize, Deserialize)]
pub(crate) struct AskedShape {
    names: Vec<String>,
    /// How much is known of a package's functions.
    extents: Vec<(u32, ExtentShape)>,
    /// What is known of functions: package, full name, the digest of what is known.
    functions: Vec<(u32, String, Option<Digest>)>,
    methods: Vec<MethodsShape>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum ExtentShape {
    Nothing,
    Some,
    All,
}

impl ExtentShape {
    fn of(extent: Extent) -> Self {
        match extent {
            Extent::Nothing => Self::Nothing,
            Extent::Some => Self::Some,
            Extent::All => Self::All,
        }
    }
}

/// To which methods a call through an interface leads.
#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct MethodsShape {
    /// The interface: its package and name; none is `error`.
    interface: Option<(u32, String)>,
    method: String,
    in_test: bool,
    /// Packages and full names; none where it is not known.
    leads_to: Option<Vec<(u32, String)>>,
}

impl AskedShape {
    /// What was asked; none where it can't be said in a way that means the same in another run.
    pub(crate) fn of(
        asked: &Asked,
        keys: &Keys<'_>,
        program: &Program,
        own: PackageId,
        summaries: &Summaries,
    ) -> Option<Self> {
        let mut names = Names { keys, own, list: Vec::new(), numbers: FxHashMap::default() };
        let mut extents = Vec::with_capacity(asked.packages.len());
        // Predeclared things belong to no package, and nothing is known of them.
        for (&id, &extent) in asked.packages.iter().filter(|(id, _)| program.declarations(**id).is_some()) {
            extents.push((names.number(id)?, ExtentShape::of(extent)));
        }
        let mut functions = Vec::with_capacity(asked.functions.len());
        for id in &asked.functions {
            let name = program.func_name(*id);
            let known = summaries.named(id.pkg, &name).and_then(digest);
            functions.push((names.number(id.pkg)?, name, known));
        }
        let mut methods = Vec::with_capacity(asked.methods.len());
        #[allow(clippy::disallowed_methods, clippy::iter_over_hash_type, reason = "sorted below; numbers are names")]
        for ((interface, method, in_test), leads_to) in &asked.methods {
            let Type::Named(id) = interface else { continue };
            let interface = if *interface == residue_types::error_type() {
                None
            } else {
                // Of one that is declared inside of a function the answer is always the same.
                let Some(object) = program.object(*id) else { continue };
                let declared = program.declarations(id.pkg)?.lookup(object.name) == Some(*id);
                Some((names.number(id.pkg).filter(|_| declared)?, object.name.to_string()))
            };
            let mut named = |id: &ObjId| Some((names.number(id.pkg)?, program.func_name(*id)));
            let leads_to = match leads_to {
                Some(ids) => Some(ids.iter().map(&mut named).collect::<Option<Vec<_>>>()?),
                None => None,
            };
            methods.push(MethodsShape { interface, method: method.to_string(), in_test: *in_test, leads_to });
        }
        methods.sort_unstable();
        Some(Self { names: names.list, extents, functions, methods })
    }

    /// Whether all answers are the same for a package that is about to be looked at: the packages that were asked, then.
    pub(crate) fn holds(
        &self,
        keys: &Keys<'_>,
        program: &Program,
        own: PackageId,
        summaries: &Summaries,
        hierarchy: &Hierarchy,
    ) -> Option<Vec<PkgId>> {
        let packages: Vec<PkgId> = self.names.iter().map(|name| keys.named(own, name)).collect::<Option<_>>()?;
        let package = |number: u32| packages.get(number as usize).copied();
        for (number, extent) in &self.extents {
            if ExtentShape::of(summaries.extent(package(*number)?)) != *extent {
                return None;
            }
        }
        for (number, name, known) in &self.functions {
            if summaries.named(package(*number)?, name).and_then(digest) != *known {
                return None;
            }
        }
        for MethodsShape { interface, method, in_test, leads_to } in &self.methods {
            let interface = match interface {
                Some((number, name)) => {
                    Type::Named(program.declarations(package(*number)?)?.lookup(Symbol::new(name))?)
                }
                None => residue_types::error_type(),
            };
            let found = hierarchy.methods(program, program.id(own), *in_test, &interface, Symbol::new(method));
            let same = match (&found, leads_to) {
                (Some(found), Some(known)) => {
                    let same = |(id, (number, name)): (&ObjId, &(u32, String))| {
                        package(*number) == Some(id.pkg) && program.func_name(*id) == *name
                    };
                    found.len() == known.len() && found.iter().zip(known).all(same)
                }
                (None, None) => true,
                _ => false,
            };
            if !same {
                return None;
            }
        }
        self.extents.iter().map(|(number, _)| package(*number)).collect()
    }

    /// Whether it was asked where calls through interfaces lead.
    pub(crate) fn asked_methods(&self) -> bool {
        !self.methods.is_empty()
    }
}

/// Gives packages numbers.
struct Names<'a> {
    keys: &'a Keys<'a>,
    own: PackageId,
    list: Vec<String>,
    numbers: FxHashMap<PkgId, u32>,
}

impl Names<'_> {
    /// The number of a package; none where it can't be told by its name.
    fn number(&mut self, id: PkgId) -> Option<u32> {
        if let Some(&known) = self.numbers.get(&id) {
            return Some(known);
        }
        let name = self.keys.name(self.own, id)?;
        let number = self.list.len() as u32;
        self.list.push(name);
        self.numbers.insert(id, number);
        Some(number)
    }
}

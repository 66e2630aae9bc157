//! From read directories to packages: test variants, broken cycles, imports before importers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::load::{Node, Scope};
use crate::modules::ModuleInfo;
use crate::report::Reporter;
use crate::source::Part;
use crate::{Diagnostic, Module, ModuleId, Package, PackageId, Problem, Severity, Variant};

/// Read directories, and what their imports lead to.
pub(crate) struct Graph<'a> {
    pub(crate) nodes: Vec<Node>,
    pub(crate) target: &'a dyn Fn(Scope, &Arc<str>) -> Option<usize>,
    pub(crate) reporter: &'a Reporter,
}

/// The end of loading.
pub(crate) struct Linked {
    pub(crate) packages: Vec<Package>,
    pub(crate) modules: Vec<Module>,
}

/// A package to be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Unit {
    node: usize,
    kind: UnitKind,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum UnitKind {
    Plain,
    Tests,
    External,
    /// Over the tests of another node.
    Rebuilt(usize),
}

/// Makes packages of directories.
pub(crate) fn link(graph: &Graph<'_>) -> Linked {
    let edges = Edges::new(graph);
    let units = edges.units(graph);
    let order = topological(&units, &|unit| is_analysed(graph, unit));
    let ids: HashMap<Unit, PackageId> =
        order.iter().enumerate().map(|(i, unit)| (*unit, PackageId(i as u32))).collect();
    let infos: BTreeSet<&ModuleInfo> =
        order.iter().filter_map(|unit| graph.nodes[unit.node].module.as_deref()).collect();
    let module_ids: BTreeMap<&ModuleInfo, ModuleId> =
        infos.iter().enumerate().map(|(i, info)| (*info, ModuleId(i as u32))).collect();
    let modules = infos.iter().map(|info| module(info, graph.reporter)).collect();
    let packages = order
        .iter()
        .map(|unit| {
            let node = &graph.nodes[unit.node];
            let imports = units[unit]
                .iter()
                .map(|(path, target)| (path.clone(), target.and_then(|unit| ids.get(&unit).copied())));
            let imports = imports.collect();
            package(graph, *unit, imports, node.module.as_ref().and_then(|info| module_ids.get(&**info).copied()))
        })
        .collect();
    Linked { packages, modules }
}

fn module(info: &ModuleInfo, reporter: &Reporter) -> Module {
    Module {
        path: info.path.clone(),
        version: info.version.clone(),
        kind: info.kind,
        dir: reporter.display(&info.dir),
        go_version: info.go_version,
    }
}

fn package(
    graph: &Graph<'_>,
    unit: Unit,
    imports: BTreeMap<Arc<str>, Option<PackageId>>,
    module: Option<ModuleId>,
) -> Package {
    let node = &graph.nodes[unit.node];
    let files = |part: Part| node.content.files[part as usize].iter().cloned();
    let external = unit.kind == UnitKind::External;
    let mut all = match unit.kind {
        UnitKind::Plain | UnitKind::Rebuilt(_) => files(Part::Plain).collect(),
        UnitKind::Tests => files(Part::Plain).chain(files(Part::Tests)).collect::<Vec<_>>(),
        UnitKind::External => files(Part::External).collect(),
    };
    all.sort_by(|a, b| a.path.cmp(&b.path));
    Package {
        import_path: if external { format!("{}_test", node.import_path).into() } else { node.import_path.clone() },
        name: if external { format!("{}_test", node.content.name).into() } else { node.content.name.clone() },
        variant: match unit.kind {
            UnitKind::Plain => Variant::Plain,
            UnitKind::Tests => Variant::Tests,
            UnitKind::External => Variant::ExternalTests,
            UnitKind::Rebuilt(tested) => Variant::Rebuilt { for_tests_of: graph.nodes[tested].import_path.clone() },
        },
        origin: node.origin,
        module,
        dir: node.dir.clone(),
        go_version: node.go_version,
        analyse: is_analysed(graph, unit),
        files: all,
        imports,
        incomplete: node.content.incomplete,
    }
}

/// Whether it is the richest variant of a root package.
fn is_analysed(graph: &Graph<'_>, unit: Unit) -> bool {
    let node = &graph.nodes[unit.node];
    node.is_root()
        && match unit.kind {
            UnitKind::Plain => node.content.files[Part::Tests as usize].is_empty(),
            UnitKind::Tests | UnitKind::External => true,
            UnitKind::Rebuilt(_) => false,
        }
}

/// Imports by part, resolved to nodes.
type Imports = BTreeMap<Arc<str>, Option<usize>>;

struct Edges {
    /// By node, then by [`Part`].
    imports: Vec<[Imports; 3]>,
    /// The nodes whose plain part imports a node's.
    importers: Vec<Vec<usize>>,
}

impl Edges {
    fn new(graph: &Graph<'_>) -> Self {
        let resolve = |node: &Node, part: Part| -> Imports {
            let paths = node.content.imports[part as usize].keys();
            paths.map(|path| (path.clone(), (graph.target)(node.scope, path))).collect()
        };
        let parts = [Part::Plain, Part::Tests, Part::External];
        let imports = graph.nodes.iter().map(|node| parts.map(|part| resolve(node, part))).collect();
        let mut edges = Self { imports, importers: Vec::new() };
        edges.break_cycles(graph);
        edges.importers = vec![Vec::new(); graph.nodes.len()];
        for (node, [plain, ..]) in edges.imports.iter().enumerate() {
            for target in plain.values().flatten() {
                edges.importers[*target].push(node);
            }
        }
        edges
    }

    /// Removes one import of each cycle among packages without their tests, and reports it.
    fn break_cycles(&mut self, graph: &Graph<'_>) {
        const NEW: u8 = 0;
        const OPEN: u8 = 1;
        const DONE: u8 = 2;
        let mut state = vec![NEW; self.imports.len()];
        for start in 0..self.imports.len() {
            if state[start] != NEW {
                continue;
            }
            // The path from `start`, each with its imports yet to be followed.
            let mut path = vec![(start, self.plain_targets(start))];
            state[start] = OPEN;
            while let Some((node, todo)) = path.last_mut() {
                let node = *node;
                let Some((import, target)) = todo.pop() else {
                    state[node] = DONE;
                    path.pop();
                    continue;
                };
                match state[target] {
                    NEW => {
                        state[target] = OPEN;
                        path.push((target, self.plain_targets(target)));
                    }
                    OPEN => {
                        self.imports[node][Part::Plain as usize].insert(import.clone(), None);
                        let first = path.iter().position(|(on_path, _)| *on_path == target).unwrap_or(0);
                        let names: Vec<&str> =
                            path[first..].iter().map(|(on_path, _)| &*graph.nodes[*on_path].import_path).collect();
                        report_cycle(graph, node, &import, Part::Plain, &names);
                    }
                    _ => {}
                }
            }
        }
    }

    /// What a node's plain part imports, last first.
    fn plain_targets(&self, node: usize) -> Vec<(Arc<str>, usize)> {
        let targets = self.imports[node][Part::Plain as usize].iter();
        targets.filter_map(|(path, target)| Some((path.clone(), (*target)?))).rev().collect()
    }

    /// The packages to be, and what each imports.
    fn units(&self, graph: &Graph<'_>) -> BTreeMap<Unit, BTreeMap<Arc<str>, Option<Unit>>> {
        let mut imported = vec![false; graph.nodes.len()];
        for (node, parts) in self.imports.iter().enumerate() {
            for target in parts.iter().flat_map(BTreeMap::values).flatten() {
                imported[*target] |= *target != node;
            }
        }
        let mut units = BTreeMap::new();
        for (node, content) in graph.nodes.iter().map(|node| &node.content).enumerate() {
            let [has_plain, has_tests, has_external] = [0, 1, 2].map(|part| !content.files[part].is_empty());
            let [plain, tests, external] = &self.imports[node];
            let to_plain = |imports: &Imports| -> BTreeMap<Arc<str>, Option<Unit>> {
                let unit = |target: usize| (target != node).then_some(Unit { node: target, kind: UnitKind::Plain });
                imports.iter().map(|(path, target)| (path.clone(), target.and_then(unit))).collect()
            };
            if (has_plain && !has_tests) || imported[node] {
                units.insert(Unit { node, kind: UnitKind::Plain }, to_plain(plain));
            }
            let importers = if has_tests { self.all_importers(node) } else { BTreeSet::new() };
            if has_tests {
                let mut imports = to_plain(tests);
                imports.extend(to_plain(plain));
                units.insert(Unit { node, kind: UnitKind::Tests }, imports);
                for (path, target) in tests.iter().filter_map(|(path, target)| Some((path, (*target)?))) {
                    if importers.contains(&target) {
                        let names = [&*graph.nodes[node].import_path, &*graph.nodes[target].import_path];
                        report_cycle(graph, node, path, Part::Tests, &names);
                    }
                }
            }
            if has_external {
                let rebuilt = self.rebuilt(external, node, &importers);
                let tested = if has_tests { UnitKind::Tests } else { UnitKind::Plain };
                let unit = |target: usize| match target {
                    _ if target == node => (has_plain || has_tests).then_some(Unit { node, kind: tested }),
                    _ if rebuilt.contains(&target) => Some(Unit { node: target, kind: UnitKind::Rebuilt(node) }),
                    _ => Some(Unit { node: target, kind: UnitKind::Plain }),
                };
                let resolve = |imports: &Imports| -> BTreeMap<Arc<str>, Option<Unit>> {
                    imports.iter().map(|(path, target)| (path.clone(), target.and_then(unit))).collect()
                };
                units.insert(Unit { node, kind: UnitKind::External }, resolve(external));
                for &between in &rebuilt {
                    let imports = resolve(&self.imports[between][Part::Plain as usize]);
                    units.insert(Unit { node: between, kind: UnitKind::Rebuilt(node) }, imports);
                }
            }
        }
        units
    }

    /// The nodes that import a node, however indirectly.
    fn all_importers(&self, node: usize) -> BTreeSet<usize> {
        let mut seen = BTreeSet::new();
        let mut todo = vec![node];
        while let Some(at) = todo.pop() {
            todo.extend(self.importers[at].iter().filter(|importer| seen.insert(**importer)));
        }
        seen
    }

    /// The packages between the external tests of a node and the node itself.
    fn rebuilt(&self, external: &Imports, node: usize, importers: &BTreeSet<usize>) -> BTreeSet<usize> {
        let between = |target: &usize| importers.contains(target) && *target != node;
        let mut rebuilt = BTreeSet::new();
        let mut todo: Vec<usize> = external.values().flatten().copied().filter(between).collect();
        while let Some(at) = todo.pop() {
            if rebuilt.insert(at) {
                todo.extend(self.imports[at][Part::Plain as usize].values().flatten().copied().filter(between));
            }
        }
        rebuilt
    }
}

fn report_cycle(graph: &Graph<'_>, node: usize, import: &Arc<str>, part: Part, names: &[&str]) {
    const NAMES_MAX: usize = 8;
    let node = &graph.nodes[node];
    let mut shown = names.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(" → ");
    if names.len() > NAMES_MAX {
        shown += " → …";
    }
    shown = format!("{shown} → {}", names.first().copied().unwrap_or_default());
    graph.reporter.push(Diagnostic {
        place: node.content.imports[part as usize].get(import).cloned(),
        severity: if node.is_root() { Severity::Error } else { Severity::Warning },
        problem: Problem::ImportCycle,
        message: format!("import cycle: {shown}"),
        hint: Some(match part {
            Part::Plain => "this import counts as missing".to_owned(),
            Part::Tests | Part::External => "move the test to the external test package".to_owned(),
        }),
    });
}

/// What the units that are wanted need, imports before importers; among equals in order of units. A plain package that
/// only its own external tests would import is not needed: they import the one rebuilt for them.
fn topological(
    units: &BTreeMap<Unit, BTreeMap<Arc<str>, Option<Unit>>>,
    is_wanted: &dyn Fn(Unit) -> bool,
) -> Vec<Unit> {
    let mut order = Vec::with_capacity(units.len());
    let mut seen: BTreeSet<Unit> = BTreeSet::new();
    for &start in units.keys() {
        if !is_wanted(start) || !seen.insert(start) {
            continue;
        }
        let imports = |unit: Unit| units[&unit].values().flatten().rev().copied().collect::<Vec<_>>();
        let mut path = vec![(start, imports(start))];
        while let Some((unit, todo)) = path.last_mut() {
            match todo.pop() {
                Some(next) if units.contains_key(&next) && seen.insert(next) => {
                    let todo = imports(next);
                    path.push((next, todo));
                }
                Some(_) => {}
                None => {
                    order.push(*unit);
                    path.pop();
                }
            }
        }
    }
    order
}

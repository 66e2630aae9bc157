//! The order in which a package's variables get their initial values.
//!
//! The specification's "Package initialization": of the variables that are ready, the one declared first comes next; a
//! variable is ready once all that its initial value refers to, directly or through functions and methods, are
//! initialised. As in the compiler, and `go/types` (`Info.InitOrder`), a method of a generic type is not followed.
//!
//! Functions may call each other in circles. So what matters is the strongly connected components of the code
//! (Tarjan, "Depth-first search and linear graph algorithms", 1972): one is passed once every variable and component
//! that it refers to is. All of it takes time linear in the references, but for the heap of those that are ready.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use residue_syntax::ast::{Decl, Expr, ExprId, GenKind, Spec};
use residue_syntax::walk::Node;
use rustc_hash::FxHashMap;

use crate::info::Res;
use crate::lookup::Objects;
use crate::object::{Func, ObjId, Object};
use crate::program::Bodies;

/// References followed to break cycles as `go/types` does; after that, the variable declared first breaks one.
const CYCLE_STEPS_MAX: usize = 1 << 22;

/// Variables that get a value, and the value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Initializer {
    /// Index of the file in its package.
    pub file: usize,
    /// The variables, in order; several where a call gives several values.
    pub vars: Vec<ObjId>,
    /// The value.
    pub value: ExprId,
}

impl Bodies<'_> {
    /// The package's initialisers in the order in which they run.
    ///
    /// Variables that refer to themselves by way of others are an error of the program; of them, the one that waits
    /// for the fewest comes first.
    pub fn init_order(&self) -> Vec<Initializer> {
        Graph::of(self).order()
    }
}

/// What code refers to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Ref {
    Var(usize),
    Code(usize),
}

/// A package variable.
struct Var {
    /// The code of its type and of its initial value.
    code: [Option<usize>; 2],
    /// Its initialiser.
    init: Option<usize>,
}

/// Variables in the order of their declaration, and code: bodies of functions, initial values, types of variables.
#[derive(Default)]
struct Graph {
    vars: Vec<Var>,
    /// What each piece of code refers to, sorted.
    code: Vec<Vec<Ref>>,
    initializers: Vec<Initializer>,
}

impl Graph {
    fn of(bodies: &Bodies<'_>) -> Self {
        let mut graph = Self::default();
        let mut code: Vec<(usize, Node)> = Vec::new();
        let mut known: FxHashMap<ObjId, Ref> = FxHashMap::default();
        let sources = bodies.sources();
        let mut files: Vec<usize> = (0..bodies.file_count()).collect();
        // As the go command gives files to the compiler.
        files.sort_by_key(|&file| (sources[file].cgo, sources[file].test));
        for file in files {
            let tree = bodies.syntax(file);
            for decl in tree.list(tree.top_decls()) {
                match tree.decl(decl) {
                    Decl::Func(func) => {
                        if let (Some(body), Some(id)) = (func.body, bodies.file(file).object(func.name))
                            && !is_generic_method(bodies, id)
                        {
                            known.insert(id, Ref::Code(code.len()));
                            code.push((file, Node::Block(body)));
                        }
                    }
                    Decl::Gen { kind: GenKind::Var, specs, .. } => {
                        for spec in tree.list(specs) {
                            graph.declare(bodies, file, tree.spec(spec), &mut code, &mut known);
                        }
                    }
                    Decl::Gen { .. } | Decl::Bad => {}
                }
            }
        }
        graph.code = code.into_iter().map(|(file, node)| references(bodies, file, node, &known)).collect();
        graph
    }

    /// Adds the variables of a specification.
    fn declare(
        &mut self,
        bodies: &Bodies<'_>,
        file: usize,
        spec: Spec,
        code: &mut Vec<(usize, Node)>,
        known: &mut FxHashMap<ObjId, Ref>,
    ) {
        let Spec::Value { names, ty, values, .. } = spec else { return };
        let tree = bodies.syntax(file);
        let mut add = |expr: ExprId| {
            code.push((file, Node::Expr(expr)));
            code.len() - 1
        };
        let ty = ty.map(&mut add);
        let shared = (values.len() == 1).then(|| tree.list_get(values, 0)).flatten().map(|value| (value, add(value)));
        for (i, name) in tree.list(names).enumerate() {
            let Some(id) = bodies.file(file).object(name) else { continue };
            let value = shared.or_else(|| tree.list_get(values, i).map(|value| (value, add(value))));
            let init = value.map(|(value, _)| match self.initializers.last_mut() {
                Some(last) if shared.is_some() && (last.file, last.value) == (file, value) => {
                    last.vars.push(id);
                    self.initializers.len() - 1
                }
                _ => {
                    self.initializers.push(Initializer { file, vars: vec![id], value });
                    self.initializers.len() - 1
                }
            });
            known.insert(id, Ref::Var(self.vars.len()));
            self.vars.push(Var { code: [ty, value.map(|(_, code)| code)], init });
        }
    }

    fn order(mut self) -> Vec<Initializer> {
        let mut state = Waiting::new(&self);
        let mut order: Vec<usize> = Vec::with_capacity(self.initializers.len());
        let mut emitted = vec![false; self.initializers.len()];
        let mut steps_left = CYCLE_STEPS_MAX;
        while let Some(var) = state.next(&self, &mut steps_left) {
            if let Some(init) = self.vars[var].init.filter(|&init| !emitted[init]) {
                emitted[init] = true;
                order.push(init);
            }
            state.finish(var);
        }
        let mut initializers: Vec<Option<Initializer>> = self.initializers.drain(..).map(Some).collect();
        order.into_iter().filter_map(|init| initializers[init].take()).collect()
    }

    /// The component of each piece of code, and how many there are.
    fn components(&self) -> (Vec<usize>, usize) {
        const NONE: usize = usize::MAX;
        let count = self.code.len();
        let (mut component, mut components) = (vec![NONE; count], 0);
        // When each was met, the earliest that is reached from it, and those that have no component yet.
        let (mut met, mut low, mut time, mut open) = (vec![NONE; count], vec![NONE; count], 0, Vec::new());
        for root in 0..count {
            let mut path = if met[root] == NONE { vec![(root, 0)] } else { Vec::new() };
            while let Some((at, next)) = path.last_mut() {
                let at = *at;
                if *next == 0 {
                    (met[at], low[at]) = (time, time);
                    time += 1;
                    open.push(at);
                }
                let reference = self.code[at].get(*next);
                *next += 1;
                match reference {
                    Some(&Ref::Code(to)) if met[to] == NONE => path.push((to, 0)),
                    Some(&Ref::Code(to)) if component[to] == NONE => low[at] = low[at].min(met[to]),
                    Some(_) => {}
                    None => {
                        path.pop();
                        if let Some(&(from, _)) = path.last() {
                            low[from] = low[from].min(low[at]);
                        }
                        if low[at] == met[at] {
                            while let Some(member) = open.pop() {
                                component[member] = components;
                                if member == at {
                                    break;
                                }
                            }
                            components += 1;
                        }
                    }
                }
            }
        }
        (component, components)
    }
}

/// What is not initialised yet. Nodes are the variables, then the components of the code.
struct Waiting {
    /// How many references of each node are to nodes that are not done.
    waits: Vec<usize>,
    /// Who refers to each node, as often as it does.
    users: Vec<Vec<usize>>,
    done: Vec<bool>,
    /// All variables before this one are done.
    first: usize,
    ready: BinaryHeap<Reverse<usize>>,
}

impl Waiting {
    fn new(graph: &Graph) -> Self {
        let (component, components) = graph.components();
        let vars = graph.vars.len();
        let nodes = vars + components;
        let mut waiting = Self {
            waits: vec![0; nodes],
            users: vec![Vec::new(); nodes],
            done: vec![false; vars],
            first: 0,
            ready: BinaryHeap::new(),
        };
        let mut refer = |from: usize, to: usize| {
            if from != to {
                waiting.waits[from] += 1;
                waiting.users[to].push(from);
            }
        };
        for (i, var) in graph.vars.iter().enumerate() {
            var.code.iter().flatten().for_each(|&code| refer(i, vars + component[code]));
        }
        for (code, references) in graph.code.iter().enumerate() {
            for reference in references {
                let to = match *reference {
                    Ref::Var(var) => var,
                    Ref::Code(to) => vars + component[to],
                };
                refer(vars + component[code], to);
            }
        }
        let free = (0..nodes).filter(|&node| waiting.waits[node] == 0).collect();
        waiting.free(free);
        waiting
    }

    /// A variable has its value.
    fn finish(&mut self, var: usize) {
        self.done[var] = true;
        let free = self.released_by(var);
        self.free(free);
    }

    /// These wait for nothing any more: variables are ready, code is passed.
    fn free(&mut self, mut nodes: Vec<usize>) {
        while let Some(node) = nodes.pop() {
            if node < self.done.len() {
                self.ready.push(Reverse(node));
            } else {
                nodes.extend(self.released_by(node));
            }
        }
    }

    /// Those that waited for this node last.
    fn released_by(&mut self, node: usize) -> Vec<usize> {
        let mut users = std::mem::take(&mut self.users[node]);
        users.retain(|&user| {
            self.waits[user] -= 1;
            self.waits[user] == 0
        });
        users
    }

    /// The variable to initialise next.
    fn next(&mut self, graph: &Graph, steps_left: &mut usize) -> Option<usize> {
        while let Some(Reverse(var)) = self.ready.pop() {
            if !self.done[var] {
                return Some(var);
            }
        }
        // Those that are left wait for each other.
        self.first += self.done[self.first..].iter().take_while(|&&done| done).count();
        let mut left = (self.first..self.done.len()).filter(|&var| !self.done[var]);
        if *steps_left == 0 {
            return left.next();
        }
        left.min_by_key(|&var| (self.outstanding(graph, var, steps_left), var))
    }

    /// How many variables one still waits for, directly or through functions; the same number for all once too many
    /// references were followed.
    fn outstanding(&self, graph: &Graph, var: usize, steps_left: &mut usize) -> usize {
        let mut seen = rustc_hash::FxHashSet::default();
        let mut todo: Vec<usize> = graph.vars[var].code.into_iter().flatten().collect();
        let mut count = 0;
        while let Some(code) = todo.pop() {
            for &reference in &graph.code[code] {
                if *steps_left == 0 {
                    return usize::MAX;
                }
                *steps_left -= 1;
                match reference {
                    Ref::Var(to) if !self.done[to] && seen.insert(reference) => count += 1,
                    Ref::Code(to) if seen.insert(reference) => todo.push(to),
                    _ => {}
                }
            }
        }
        count
    }
}

fn is_generic_method(bodies: &Bodies<'_>, id: ObjId) -> bool {
    let base = bodies.object(id).and_then(Object::func).and_then(Func::recv);
    base.and_then(|base| bodies.object(base)).is_some_and(|base| !base.type_params().is_empty())
}

/// What a piece of code refers to, of what is known: each once.
fn references(bodies: &Bodies<'_>, file: usize, root: Node, known: &FxHashMap<ObjId, Ref>) -> Vec<Ref> {
    let (tree, info) = (bodies.syntax(file), bodies.file(file));
    let mut found = Vec::new();
    tree.walk_from(root, |node| {
        let ident = match node {
            Node::Ident(ident) => ident,
            Node::Expr(expr) => match tree.expr(expr) {
                Expr::Ident(ident) => ident,
                _ => return true,
            },
            _ => return true,
        };
        if let Res::Use(id) = info.res(ident) {
            found.extend(known.get(&id));
        }
        true
    });
    found.sort_unstable();
    found.dedup();
    found
}

//! Ways from roots as a picture: what `why` tells, as nodes and edges, for Graphviz and as SVG.
//!
//! Of the walk that finds ways each object has one parent, so that ways with common objects make a tree below each root.

mod dot;
mod svg;

use std::collections::HashMap;

use residue_report::{plural, shown_name as visible};
use residue_runtime::heap::{Holding, Why};

use super::why::visible_steps;
use crate::figures::{bytes, grouped};

pub(super) use dot::write as dot;
pub(super) use svg::write as svg;

/// What is drawn. Texts are such that a terminal may see them; each format has to escape what it gives a meaning.
struct Picture {
    /// What was asked, of what, and how sure it is: a line each.
    caption: Vec<String>,
    /// Parents come before their children.
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Root,
    Object,
    /// Some of what was asked for.
    Asked,
    /// Objects of a long way that are left out.
    LeftOut,
}

struct Node {
    role: Role,
    /// A root's name or an object's type, then what else is known.
    lines: Vec<String>,
    /// What it hangs on.
    edge: Option<Edge>,
}

struct Edge {
    /// The number of the node that keeps this one.
    from: usize,
    /// Which part of it does.
    field: String,
    precise: bool,
}

impl Edge {
    /// How sure it is, in a word.
    fn sure(&self) -> &'static str {
        if self.precise { "precise" } else { "conservative" }
    }
}

impl Picture {
    fn new(why: &Why, what: &str, how: &str) -> Self {
        let mut caption = vec![format!("why {}", visible(what)), how.replace("  ", " · ")];
        caption.push(format!("{}, {}", plural(why.objects as usize, "object"), bytes(why.bytes)));
        if why.unreachable > 0 {
            let count = grouped(why.unreachable as usize);
            caption.push(format!("{count} of them: nothing leads there any more; the next collection finds them"));
        }
        if why.more > 0 {
            caption.push(format!("{} kept in other ways, not drawn", grouped(why.more)));
        }
        let mut picture = Self { caption, nodes: Vec::new() };
        let (mut roots, mut objects) = (HashMap::new(), HashMap::new());
        for holding in &why.holdings {
            picture.add(holding, &mut roots, &mut objects);
        }
        picture
    }

    fn add<'w>(
        &mut self,
        holding: &'w Holding,
        roots: &mut HashMap<&'w str, usize>,
        objects: &mut HashMap<(usize, u64), usize>,
    ) {
        let path = &holding.path;
        let mut at = *roots.entry(&path.root).or_insert_with(|| {
            let kind = path.root_type.as_deref().map(visible);
            self.push(Role::Root, [Some(visible(&path.root)), kind], None)
        });
        let steps = visible_steps(path);
        let cut = (path.left_out > 0).then_some(path.steps.len() / 2);
        let mut precise = path.root_precise;
        let mut nodes = Vec::new();
        for step in &steps {
            if let Some(cut) = cut.filter(|cut| step.index >= *cut && nodes.iter().all(|(index, _)| index < cut)) {
                let sure = path.steps[..cut].iter().all(|step| step.precise);
                let left_out = format!("… {} more", grouped(path.left_out));
                let edge = Edge { from: at, field: String::new(), precise: sure };
                at = self.push(Role::LeftOut, [Some(left_out), None], Some(edge));
            }
            let edge = Edge { from: at, field: visible(&step.field), precise: precise && step.precise };
            // What the root's word is counts for the first step only.
            precise = true;
            let place = format!("{:#x} · {}", step.object.address, bytes(step.object.bytes));
            at = *objects
                .entry((at, step.object.address))
                .or_insert_with(|| self.push(Role::Object, [Some(step.name()), Some(place)], Some(edge)));
            nodes.push((step.index, at));
        }
        self.nodes[at].role = Role::Asked;
        let count = plural(holding.objects as usize, "object");
        let mut kept = format!("{count}, {} kept like this", bytes(holding.bytes));
        if holding.goroutines > 1 {
            kept += &format!(", from {} goroutines", grouped(holding.goroutines));
        }
        self.nodes[at].lines.push(kept);
        let container = holding.container.and_then(|at| nodes.iter().rev().find(|(index, _)| *index <= at));
        if let Some((_, node)) = container.filter(|_| holding.objects > 1) {
            self.nodes[*node].lines.push(format!("contains all {}", grouped(holding.objects as usize)));
        }
    }

    fn push(&mut self, role: Role, lines: [Option<String>; 2], edge: Option<Edge>) -> usize {
        self.nodes.push(Node { role, lines: lines.into_iter().flatten().collect(), edge });
        self.nodes.len() - 1
    }
}

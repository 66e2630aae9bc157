//! The picture as a graph for Graphviz.

use std::io::{self, Write};

use residue_runtime::heap::Why;

use super::{Picture, Role};
use crate::graphviz::quoted;

/// Writes the graph: arrows lead from what keeps to what is kept, dashed where a pointer is guessed.
pub(in super::super) fn write(why: &Why, what: &str, how: &str, out: &mut dyn Write) -> io::Result<()> {
    let picture = Picture::new(why, what, how);
    let caption = quoted(&picture.caption.join("\n"));
    writeln!(out, "digraph why {{\n  graph [label={caption}, labelloc=t, fontname=\"sans-serif\", fontsize=11];")?;
    writeln!(out, "  node [shape=box, fontname=\"sans-serif\", fontsize=10];")?;
    writeln!(out, "  edge [fontname=\"sans-serif\", fontsize=9];")?;
    for (number, node) in picture.nodes.iter().enumerate() {
        let shape = match node.role {
            Role::Root => ", shape=ellipse",
            Role::Object => "",
            Role::Asked => ", peripheries=2",
            Role::LeftOut => ", shape=plaintext",
        };
        writeln!(out, "  n{number} [label={}{shape}];", quoted(&node.lines.join("\n")))?;
        if let Some(edge) = &node.edge {
            let label =
                if edge.field.is_empty() { edge.sure().to_owned() } else { format!("{}\n{}", edge.field, edge.sure()) };
            let style = if edge.precise { "" } else { ", style=dashed" };
            writeln!(out, "  n{} -> n{number} [label={}{style}];", edge.from, quoted(&label))?;
        }
    }
    writeln!(out, "}}")
}

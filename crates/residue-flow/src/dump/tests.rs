//! Dumps for people.

use super::{graphviz, text};
use crate::build::tests::{graph, parsed};

#[test]
fn graphviz_escapes_what_the_source_holds() {
    let file = parsed("if x == \"a\\n\" { b() }\nreturn\nc()");
    let dot = graphviz(&file, &graph(&file), "p.\"f\"");
    assert!(dot.starts_with("digraph \"p.\\\"f\\\"\" {\n"), "{dot}");
    assert!(dot.contains("if x == \\\"a\\\\n\\\"\\l"), "{dot}");
    assert!(dot.contains("b0 -> b3 [label=\"true\"];"), "{dot}");
    assert!(dot.contains("style=dashed"), "unreachable code is dashed: {dot}");
    assert!(dot.ends_with("}\n"));
}

#[test]
fn long_nodes_are_cut() {
    let file = parsed(&format!("f({})", "é, ".repeat(200)));
    let dump = text(&file, &graph(&file));
    let line = dump.lines().nth(1).expect("the call is there");
    assert!(line.ends_with('…') && line.chars().count() < 70, "{line}");
}

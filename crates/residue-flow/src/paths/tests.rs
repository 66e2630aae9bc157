//! Searches for paths.

use super::{Step, search};
use crate::build::tests::{graph, parsed};
use crate::cfg::{Cfg, EdgeKind, Node, Point};
use crate::dump::describe;
use residue_syntax::ast::File;

fn find(file: &File, cfg: &Cfg, text: &str) -> Point {
    cfg.nodes().find(|(_, node)| describe(file, *node) == text).expect("the node is there").0
}

/// The text of the node that a search from `from` hits which stops at calls of `use`.
fn escape(body: &str, from: &str) -> Option<(String, Vec<EdgeKind>)> {
    let file = parsed(body);
    let cfg = graph(&file);
    let path = search(
        &cfg,
        find(&file, &cfg, from),
        |_, node| match describe(&file, node).as_str() {
            "use()" => Step::Stop,
            "return" | "implicit return" => Step::Hit,
            _ => Step::Pass,
        },
        |_, _| true,
    )?;
    let hit = describe(&file, cfg.node(path.hit).expect("a hit is a node"));
    Some((hit, path.edges.iter().map(|edge| edge.1).collect()))
}

#[test]
fn a_path_that_avoids_all_uses_is_found() {
    assert_eq!(escape("a()\nuse()", "a()"), None);
    assert_eq!(escape("a()\nif b { use() }", "a()"), Some(("implicit return".into(), vec![EdgeKind::False])));
    assert_eq!(escape("a()\nif b { return }\nuse()", "a()"), Some(("return".into(), vec![EdgeKind::True])));
    assert_eq!(escape("a()\nif b { panic(0) }\nuse()", "a()"), None);
    assert_eq!(escape("a()\nfor { b() }", "a()"), None);
}

#[test]
fn what_stands_before_the_start_counts_only_when_reached_again() {
    assert_eq!(escape("use()\na()", "a()"), Some(("implicit return".into(), vec![])));
    assert_eq!(escape("for { use(); a() }", "a()"), None);
    let (_, edges) = escape("for b { a() }", "a()").expect("the loop ends");
    assert_eq!(edges, [EdgeKind::Next, EdgeKind::False]);
}

#[test]
fn edges_can_be_ruled_out() {
    let file = parsed("a()\nif err != nil { return }\nuse()");
    let cfg = graph(&file);
    let found = search(
        &cfg,
        find(&file, &cfg, "a()"),
        |_, node| match node {
            Node::Stmt(_) if describe(&file, node) == "use()" => Step::Stop,
            Node::Stmt(_) if describe(&file, node) == "return" => Step::Hit,
            _ => Step::Pass,
        },
        |_, edge| edge.kind != EdgeKind::True,
    );
    assert_eq!(found, None);
}

#[test]
fn a_start_is_reached_again_over_a_cycle() {
    let file = parsed("for { a(); b() }");
    let cfg = graph(&file);
    let start = find(&file, &cfg, "a()");
    let found = search(&cfg, start, |point, _| if point == start { Step::Hit } else { Step::Pass }, |_, _| true);
    assert_eq!(found.map(|path| path.hit), Some(start));
}

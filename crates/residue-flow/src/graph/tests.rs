//! Order, cycles, dominators.

use super::{Dominators, leads_to, reverse_postorder};
use crate::build::tests::{graph, parsed};
use crate::cfg::{BlockId, BlockKind, Cfg};

fn block(cfg: &Cfg, kind: BlockKind) -> BlockId {
    cfg.blocks().find(|(_, b)| b.kind == kind).expect("a block of the kind is there").0
}

#[test]
fn reverse_postorder_puts_blocks_before_their_successors() {
    let file = parsed("if a { b() } else { c() }\nd()\nreturn\ne()");
    let cfg = graph(&file);
    let order = reverse_postorder(&cfg);
    assert_eq!(order.len(), cfg.blocks().filter(|(_, b)| b.live).count());
    let at = |id: BlockId| order.iter().position(|&b| b == id);
    for &id in &order {
        for edge in &cfg.block(id).succs {
            assert!(at(id) < at(edge.to), "no cycle here");
        }
    }
}

#[test]
fn dominators_of_a_diamond_in_a_loop() {
    let file = parsed("for a { if b { c() } else { d() }; e() }");
    let cfg = graph(&file);
    let dom = Dominators::new(&cfg);
    let (head, body, done) =
        (block(&cfg, BlockKind::ForHead), block(&cfg, BlockKind::ForBody), block(&cfg, BlockKind::ForDone));
    let (yes, no, join) = (block(&cfg, BlockKind::Then), block(&cfg, BlockKind::Else), block(&cfg, BlockKind::IfDone));
    assert_eq!(dom.immediate(join), Some(body));
    assert_eq!(dom.immediate(done), Some(head));
    assert!(dom.dominates(head, join) && dom.dominates(body, yes) && dom.dominates(cfg.entry(), cfg.exit()));
    assert!(!dom.dominates(yes, join) && !dom.dominates(no, join) && !dom.dominates(body, done));
    assert_eq!(dom.immediate(cfg.entry()), None);
}

#[test]
fn a_cycle_with_two_entries_repeats() {
    let file = parsed("if a { goto two }\none: b()\ntwo: c()\nif d { goto one }");
    let cfg = graph(&file);
    assert_eq!(cfg.blocks().filter(|(_, b)| b.kind == BlockKind::Label).count(), 2);
    for (id, b) in cfg.blocks() {
        if b.kind == BlockKind::Label {
            assert!(cfg.repeats(id));
        }
    }
}

#[test]
fn unreachable_blocks_have_no_dominator() {
    let file = parsed("return\nfor { a() }");
    let cfg = graph(&file);
    let dom = Dominators::new(&cfg);
    let dead = block(&cfg, BlockKind::ForBody);
    assert_eq!(dom.immediate(dead), None);
    assert!(cfg.repeats(dead), "unreachable code is looked at too");
}

#[test]
fn a_loop_that_never_ends_leads_nowhere() {
    let file = parsed("if x { for { a() } }");
    let cfg = graph(&file);
    let body = block(&cfg, BlockKind::ForBody);
    assert!(leads_to(&cfg, cfg.entry(), body) && leads_to(&cfg, body, body));
    assert!(leads_to(&cfg, cfg.entry(), cfg.exit()) && !leads_to(&cfg, body, cfg.exit()));
}

//! Graphs of bodies, as dumps.

use std::sync::Arc;

use residue_syntax::ast::{Decl, Expr, ExprId, File};
use residue_syntax::{Bodies, parse};

use super::{Oracle, Stop, build};
use crate::cfg::{BlockKind, Cfg, End, Node};
use crate::dump;

/// Guesses from the spelling alone: `panic`, `true` and `false` mean what they mean where nobody shadows them.
#[derive(Clone, Copy, Debug)]
struct Syntactic<'a>(&'a File);

impl Syntactic<'_> {
    fn spelled(&self, expr: ExprId) -> Option<&str> {
        match self.0.expr(expr) {
            Expr::Ident(ident) => Some(self.0.ident_text(ident)),
            _ => None,
        }
    }
}

impl Oracle for Syntactic<'_> {
    fn stops(&self, call: ExprId) -> Option<Stop> {
        match self.0.expr(call) {
            Expr::Call { fun, .. } if self.spelled(fun) == Some("panic") => Some(Stop::Panic),
            _ => None,
        }
    }

    fn constant_bool(&self, expr: ExprId) -> Option<bool> {
        match self.spelled(expr)? {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }
}

pub(crate) fn parsed(body: &str) -> File {
    let src = format!("package p\nfunc f() {{\n{body}\n}}\n");
    parse(Arc::from(src.as_bytes()), Bodies::Keep).file
}

pub(crate) fn graph(file: &File) -> Cfg {
    graph_with(file, &Syntactic(file))
}

fn graph_with(file: &File, oracle: &dyn Oracle) -> Cfg {
    let body = file.list(file.top_decls()).find_map(|decl| match file.decl(decl) {
        Decl::Func(func) => func.body,
        _ => None,
    });
    build(file, body.expect("the file has a function"), oracle)
}

/// Checks the dump of a body's graph, without the indentation of `want`.
#[track_caller]
fn check(body: &str, want: &str) {
    let file = parsed(body);
    let got = dump::text(&file, &graph(&file));
    let want = want.trim_start_matches('\n');
    let indent = want.len() - want.trim_start().len();
    let want: Vec<_> = want.lines().map(|line| line.get(indent..).unwrap_or_default().trim_end()).collect();
    let want = want.join("\n");
    assert_eq!(got.trim_end(), want.trim_end(), "the graph is\n{got}");
}

#[test]
fn straight_line() {
    check(
        "a()\nb := 1",
        "
        b0 Entry:
          a()
          b := 1
          implicit return
          -> b1 return
        b1 Exit:",
    );
}

#[test]
fn conditions_are_branches() {
    check(
        "if a && !(b || c) { x() } else if d { return }\ny()",
        "
        b0 Entry:
          if a
          -> b5 true
          -> b4 false
        b1 Exit:
        b2 IfDone:
          y()
          implicit return
          -> b1 return
        b3 Then:
          x()
          -> b2
        b4 Else:
          if d
          -> b7 true
          -> b2 false
        b5 Logic:
          if b
          -> b4 true
          -> b6 false
        b6 Logic:
          if c
          -> b4 true
          -> b3 false
        b7 Then:
          return
          -> b1 return",
    );
}

#[test]
fn short_circuit_values_with_effects_are_branches_too() {
    check(
        "x := a && f()\ny := a && b",
        "
        b0 Entry:
          if a
          -> b3 true
          -> b2 false
        b1 Exit:
        b2 Logic:
          x := a && f()
          y := a && b
          implicit return
          -> b1 return
        b3 Logic:
          if f()
          -> b2 true
          -> b2 false",
    );
}

#[test]
fn loops() {
    check(
        "for i := 0; i < 9; i++ { if i == 3 { continue }; if i == 5 { break }; a() }",
        "
        b0 Entry:
          i := 0
          -> b3
        b1 Exit:
        b2 ForDone:
          implicit return
          -> b1 return
        b3 ForHead, repeats:
          if i < 9
          -> b4 true
          -> b2 false
        b4 ForBody, repeats:
          if i == 3
          -> b7 true
          -> b6 false
        b5 ForPost, repeats:
          i++
          -> b3
        b6 IfDone, repeats:
          if i == 5
          -> b9 true
          -> b8 false
        b7 Then, repeats:
          -> b5
        b8 IfDone, repeats:
          a()
          -> b5
        b9 Then:
          -> b2",
    );
}

#[test]
fn a_loop_that_leaves_in_its_first_round_does_not_repeat() {
    let file = parsed("for { f(); if x { return }; break }\nfor range y { g(); return }");
    let cfg = graph(&file);
    assert!(cfg.blocks().all(|(id, _)| !cfg.repeats(id)));
    let file = parsed("for { if x { continue }; f(); return }");
    let cfg = graph(&file);
    let call = cfg.nodes().find(|(_, node)| dump::describe(&file, *node) == "f()").expect("the call is there").0;
    assert!(!cfg.repeats(call.block), "f runs once: only the round before can be repeated");
}

#[test]
fn range_sets_its_variables_in_each_round() {
    check(
        "L: for k, v := range m() { for { continue L } }",
        "
        b0 Entry:
          -> b2
        b1 Exit:
        b2 Label:
          eval m()
          -> b4
        b3 RangeDone:
          implicit return
          -> b1 return
        b4 RangeHead, repeats:
          next for k, v := range m()
          -> b5 each
          -> b3 done
        b5 RangeBody, repeats:
          set for k, v := range m()
          -> b7
        b6 ForDone, unreachable:
          -> b4
        b7 ForHead, repeats:
          -> b8
        b8 ForBody, repeats:
          -> b4",
    );
}

#[test]
fn switch_tests_case_after_case() {
    check(
        "switch x := f(); x { case 1, 2: a(); fallthrough; case 3: b(); default: c() }",
        "
        b0 Entry:
          x := f()
          eval x
          case 1
          -> b3 true
          -> b6 false
        b1 Exit:
        b2 SwitchDone:
          implicit return
          -> b1 return
        b3 CaseBody:
          a()
          -> b4
        b4 CaseBody:
          b()
          -> b2
        b5 CaseBody:
          c()
          -> b2
        b6 CaseTest:
          case 2
          -> b3 true
          -> b7 false
        b7 CaseTest:
          case 3
          -> b4 true
          -> b8 false
        b8 CaseTest:
          -> b5",
    );
}

#[test]
fn type_switch_binds_in_the_clause() {
    check(
        "switch v := x.(type) { case int, nil: a(v); default: b(v) }",
        "
        b0 Entry:
          eval x
          type case int
          -> b3 true
          -> b5 false
        b1 Exit:
        b2 SwitchDone:
          implicit return
          -> b1 return
        b3 CaseBody:
          bind v := x.(type)
          a(v)
          -> b2
        b4 CaseBody:
          bind v := x.(type)
          b(v)
          -> b2
        b5 CaseTest:
          type case nil
          -> b3 true
          -> b6 false
        b6 CaseTest:
          -> b4",
    );
}

#[test]
fn select_evaluates_operands_before_it_chooses() {
    check(
        "select { case v := <-c(): a(v); case d <- e(): default: return }",
        "
        b0 Entry:
          eval c()
          eval d
          eval e()
          -> b3 case v := <-c()
          -> b4 case d <- e()
          -> b5 default
        b1 Exit:
        b2 SelectDone:
          implicit return
          -> b1 return
        b3 CommBody:
          comm v := <-c()
          a(v)
          -> b2
        b4 CommBody:
          comm d <- e()
          -> b2
        b5 CommBody:
          return
          -> b1 return",
    );
    let file = parsed("select {}");
    let cfg = graph(&file);
    assert_eq!(cfg.block(cfg.entry()).end, End::Blocked);
    assert!(!cfg.returns());
}

#[test]
fn goto_makes_cycles_and_skips() {
    check(
        "goto in\nagain: a()\nin: if b() { goto again }",
        "
        b0 Entry:
          -> b2
        b1 Exit:
        b2 Label, repeats:
          if b()
          -> b5 true
          -> b4 false
        b3 Label, repeats:
          a()
          -> b2
        b4 IfDone:
          implicit return
          -> b1 return
        b5 Then, repeats:
          -> b3",
    );
}

#[test]
fn calls_that_do_not_return_end_the_path() {
    check(
        "if bad { panic(1) }\nfor true { }\nunreachable()",
        "
        b0 Entry:
          if bad
          -> b3 true
          -> b2 false
        b1 Exit, unreachable:
        b2 IfDone:
          -> b5
        b3 Then:
          panic(1)
          stops: Panic
        b4 ForDone, unreachable:
          unreachable()
          implicit return
          -> b1 return
        b5 ForHead, repeats:
          if true
          -> b6 true
        b6 ForBody, repeats:
          -> b5",
    );
}

#[test]
fn deferred_and_started_calls_do_not_stop_here() {
    let file = parsed("defer panic(1)\ngo panic(2)\na(panic(3))\nb()");
    let cfg = graph(&file);
    let entry = cfg.block(cfg.entry());
    assert_eq!(entry.nodes.len(), 3);
    assert!(matches!(entry.end, End::Stop(Stop::Panic, _)));
    assert!(!cfg.returns());
}

#[test]
fn the_oracle_decides() {
    struct Exits<'a>(&'a File);
    impl Oracle for Exits<'_> {
        fn stops(&self, call: ExprId) -> Option<Stop> {
            let Expr::Call { fun, .. } = self.0.expr(call) else { return None };
            (self.0.text(self.0.expr_span(fun)) == "os.Exit").then_some(Stop::Exit)
        }
        fn constant_bool(&self, _: ExprId) -> Option<bool> {
            Some(false)
        }
    }
    let file = parsed("if debug { os.Exit(1) }\nos.Exit(2)");
    let cfg = graph_with(&file, &Exits(&file));
    let stops: Vec<_> = cfg.blocks().filter(|(_, b)| matches!(b.end, End::Stop(Stop::Exit, _))).collect();
    assert_eq!(stops.len(), 2);
    assert_eq!(stops.iter().filter(|(_, b)| b.live).count(), 1, "the branch on a false constant is unreachable");
}

#[test]
fn what_is_unreachable_is_kept() {
    check(
        "return\na()",
        "
        b0 Entry:
          return
          -> b1 return
        b1 Exit:
        b2 Unreachable, unreachable:
          a()
          implicit return
          -> b1 return",
    );
}

#[test]
fn broken_bodies_have_graphs() {
    for body in [
        "break",
        "continue L",
        "goto nowhere",
        "fallthrough",
        "switch { case 1: fallthrough }",
        "if",
        "for ; ; {",
        "select { case x: }",
        "switch x := y; z.(type) { case: }",
        "x := && b",
        "L: L: a()",
        "defer",
        "go func() { break }",
    ] {
        let file = parsed(body);
        let cfg = graph(&file);
        let _ = dump::text(&file, &cfg);
        let _ = dump::graphviz(&file, &cfg, "f");
        assert_eq!(cfg.block(cfg.exit()).kind, BlockKind::Exit, "{body}");
    }
    let file = parsed("break");
    assert_eq!(graph(&file).block(graph(&file).entry()).end, End::Broken);
    let file = parsed("goto nowhere");
    let cfg = graph(&file);
    assert!(cfg.blocks().any(|(_, b)| b.kind == BlockKind::Label && b.end == End::Broken));
}

#[test]
fn long_chains_do_not_recurse() {
    // As long as the parser lets one be.
    const LINKS: usize = residue_syntax::MAX_CHAIN as usize;
    let and = vec!["a"; LINKS].join(" && ");
    let plus = vec!["a()"; LINKS].join(" + ");
    let file = parsed(&format!("if {and} {{ b() }}\nx := {plus}\ny := {and} && f()"));
    let cfg = graph(&file);
    assert!(cfg.len() > 2 * LINKS);
    let (point, node) = cfg
        .nodes()
        .find(|(_, node)| matches!(node, Node::Stmt(_)) && dump::describe(&file, *node).starts_with("x :="))
        .expect("the sum is there");
    assert!(cfg.block(point.block).live);
    let mut calls = 0;
    crate::walk::evaluated(&file, &cfg, node, &mut |expr| {
        calls += usize::from(matches!(file.expr(expr), Expr::Call { .. }));
        true
    });
    assert_eq!(calls, LINKS);
}

#[test]
fn a_split_value_is_not_evaluated_twice() {
    let file = parsed("x := g(a() && !b(), c())");
    let cfg = graph(&file);
    let mut calls = Vec::new();
    for (_, node) in cfg.nodes() {
        crate::walk::evaluated(&file, &cfg, node, &mut |expr| {
            if matches!(file.expr(expr), Expr::Call { .. }) {
                calls.push(file.text(file.expr_span(expr)).into_owned());
            }
            true
        });
    }
    calls.sort();
    assert_eq!(calls, ["a()", "b()", "c()", "g(a() && !b(), c())"]);
}

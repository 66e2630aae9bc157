//! Graphs as text and as Graphviz input, for people.

use std::fmt::Write as _;

use residue_syntax::ast::{File, Span, Stmt};

use crate::cfg::{Block, BlockId, Cfg, EdgeKind, End, Node};

mod ir;

pub use ir::{ir_graphviz, ir_text};

/// The longest excerpt of a node, in characters.
const EXCERPT_MAX: usize = 60;

/// The graph as text: a paragraph for each block, its nodes as written, its edges.
pub fn text(file: &File, cfg: &Cfg) -> String {
    let mut out = String::new();
    for (id, block) in cfg.blocks() {
        let _ = write!(out, "b{} {}", id.index(), title(cfg, id, block));
        out.push_str(":\n");
        for &node in &block.nodes {
            let _ = writeln!(out, "  {}", describe(file, node));
        }
        if let Some(end) = ending(block) {
            let _ = writeln!(out, "  {end}");
        }
        for edge in &block.succs {
            let _ = writeln!(out, "  -> b{}{}", edge.to.index(), label(file, edge.kind));
        }
    }
    out
}

/// The graph in Graphviz' language.
pub fn graphviz(file: &File, cfg: &Cfg, name: &str) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "digraph \"{}\" {{", escape(name));
    out.push_str("  node [shape=box, fontname=monospace];\n");
    for (id, block) in cfg.blocks() {
        let mut lines = format!("b{} {}\\l", id.index(), title(cfg, id, block));
        for &node in &block.nodes {
            let _ = write!(lines, "{}\\l", escape(&describe(file, node)));
        }
        if let Some(end) = ending(block) {
            let _ = write!(lines, "{end}\\l");
        }
        let style = if block.live { "" } else { ", style=dashed" };
        let _ = writeln!(out, "  b{} [label=\"{lines}\"{style}];", id.index());
        for edge in &block.succs {
            let label = label(file, edge.kind);
            let _ = writeln!(out, "  b{} -> b{} [label=\"{}\"];", id.index(), edge.to.index(), escape(label.trim()));
        }
    }
    out.push_str("}\n");
    out
}

fn title(cfg: &Cfg, id: BlockId, block: &Block) -> String {
    let mut title = format!("{:?}", block.kind);
    if cfg.repeats(id) {
        title.push_str(", repeats");
    }
    if !block.live {
        title.push_str(", unreachable");
    }
    title
}

fn ending(block: &Block) -> Option<String> {
    match block.end {
        End::Edges | End::Exit => None,
        End::Stop(how, _) => Some(format!("stops: {how:?}")),
        End::Blocked => Some("blocks for ever".to_owned()),
        End::Broken => Some("broken".to_owned()),
    }
}

fn label(file: &File, kind: EdgeKind) -> String {
    match kind {
        EdgeKind::Next => String::new(),
        EdgeKind::True => " true".to_owned(),
        EdgeKind::False => " false".to_owned(),
        EdgeKind::Each => " each".to_owned(),
        EdgeKind::Done => " done".to_owned(),
        EdgeKind::Return => " return".to_owned(),
        EdgeKind::Comm(clause) => {
            let data = file.clause(clause);
            format!(" {}", excerpt(file, Span::new(data.span.start, data.colon)))
        }
    }
}

/// A node in one line: what it is where its text alone does not say, and its text.
pub fn describe(file: &File, node: Node) -> String {
    match node {
        Node::Stmt(stmt) => excerpt(file, file.stmt_span(stmt)),
        Node::Eval(expr) => format!("eval {}", excerpt(file, file.expr_span(expr))),
        Node::Cond(expr) => format!("if {}", excerpt(file, file.expr_span(expr))),
        Node::Case { value, .. } => format!("case {}", excerpt(file, file.expr_span(value))),
        Node::TypeCase { ty, .. } => format!("type case {}", excerpt(file, file.expr_span(ty))),
        Node::Bind { switch, .. } => match file.stmt(switch) {
            Stmt::TypeSwitch { guard, .. } => format!("bind {}", excerpt(file, file.stmt_span(guard))),
            _ => "bind".to_owned(),
        },
        Node::Comm(comm) => format!("comm {}", excerpt(file, file.stmt_span(comm))),
        Node::RangeNext(stmt) => format!("next {}", range_head(file, stmt)),
        Node::RangeBind(stmt) => format!("set {}", range_head(file, stmt)),
        Node::ImplicitReturn(_) => "implicit return".to_owned(),
    }
}

fn range_head(file: &File, stmt: residue_syntax::ast::StmtId) -> String {
    match file.stmt(stmt) {
        Stmt::Range { x, .. } => {
            let start = file.stmt_span(stmt).start;
            excerpt(file, Span::new(start, file.expr_span(x).end))
        }
        _ => excerpt(file, file.stmt_span(stmt)),
    }
}

fn excerpt(file: &File, span: Span) -> String {
    let text = file.text(span);
    let mut out = String::new();
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
        if out.chars().count() > EXCERPT_MAX {
            out = out.chars().take(EXCERPT_MAX).collect();
            out.push('…');
            break;
        }
    }
    out
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests;

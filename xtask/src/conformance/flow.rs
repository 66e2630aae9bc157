//! Lowers every function body of some trees, checks the code, and counts.

use std::collections::HashSet;
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use residue_flow::dump::ir_text;
use residue_flow::ir::{At, Body, Op, Value};
use residue_flow::lower::{captured, lower};
use residue_flow::{Node, Parent, Typed, functions, walk};
use residue_project::{Config, Env, Origin, OsFileSystem, Variant, load};
use residue_syntax::ast::{Expr, ExprId, File, Stmt, StmtId, UnaryOp};
use residue_types::{Bodies, Builtin, Callee, Mode, Program};

/// Arguments of `conformance flow`.
#[derive(clap::Args, Debug)]
pub(crate) struct FlowArgs {
    /// Lower test files too
    #[arg(long)]
    tests: bool,
    /// Look below vendor directories too
    #[arg(long)]
    vendor: bool,
    /// Lower what the modules import too, but for the standard library
    #[arg(long)]
    dependencies: bool,
    /// Ill-formed bodies and expressions that are not understood to show, at most of each
    #[arg(long, default_value_t = 5)]
    show: usize,
    /// Do not check the code: lowering alone is timed
    #[arg(long)]
    unchecked: bool,
    /// Modules
    #[arg(required = true)]
    dirs: Vec<PathBuf>,
}

#[derive(Default)]
struct Counts {
    packages: usize,
    files: usize,
    lines: usize,
    bodies: usize,
    blocks: usize,
    instrs: usize,
    opaque: usize,
    captured: usize,
    broken: usize,
    /// CPU time of typing the bodies, and of lowering them.
    typing: Duration,
    lowering: Duration,
}

/// Lowers everything on one thread, and says whether all of it is well-formed.
pub(super) fn run(args: &FlowArgs) -> Result<bool, Box<dyn Error>> {
    let mut out = std::io::stdout();
    let mut good = true;
    for dir in &args.dirs {
        let dir = dir.canonicalize()?;
        let config = Config {
            tests: args.tests,
            include_vendor: args.vendor,
            all_bodies: args.dependencies,
            env: Env::from_vars(std::env::vars()),
            max_file_bytes: u64::MAX,
            ..Config::new(&dir)
        };
        let project = Arc::new(load(&OsFileSystem, &config)?);
        let program = Program::new(Arc::clone(&project));
        let mut counts = Counts::default();
        for (id, package) in project.packages() {
            // Packages rebuilt for tests share their files with the plain ones.
            let once = !matches!(package.variant, Variant::Rebuilt { .. });
            if !(package.analyse || args.dependencies && once && package.origin == Origin::Dependency) {
                continue;
            }
            let start = cpu_time();
            let bodies = program.bodies(id);
            let typed = cpu_time();
            let mut lowered = Vec::new();
            for file in 0..bodies.file_count() {
                let oracle = Typed { bodies: &bodies, file };
                for function in functions(bodies.syntax(file)) {
                    let parent = function.key();
                    lowered.extend(lower(&bodies, file, parent, &oracle).map(|body| (file, body)));
                }
            }
            counts.typing += typed.saturating_sub(start);
            counts.lowering += cpu_time().saturating_sub(typed);
            counts.packages += 1;
            counts.files += bodies.file_count();
            counts.lines += package.files.iter().map(|file| file.file.line_count()).sum::<usize>();
            counts.bodies += lowered.len();
            for (file, body) in &lowered {
                counts.blocks += body.cfg.len();
                counts.instrs += body.len();
                if args.unchecked {
                    continue;
                }
                for place in not_understood(bodies.syntax(*file), body) {
                    counts.opaque += 1;
                    if counts.opaque <= args.show {
                        writeln!(out, "{}:{place}", package.files[*file].path)?;
                    }
                }
                if let Parent::Expr(lit) = body.function {
                    counts.captured += captured(&bodies, *file, lit).len();
                }
                if let Err(error) = body.validate().and_then(|()| every_call_once(&bodies, *file, body)) {
                    counts.broken += 1;
                    if counts.broken <= args.show {
                        writeln!(out, "{}: {error}\n{}", package.files[*file].path, ir_text(&bodies, *file, body))?;
                    }
                }
            }
        }
        good &= counts.broken == 0;
        report(&mut out, &dir, &counts, args.unchecked)?;
    }
    Ok(good)
}

fn report(out: &mut dyn Write, dir: &std::path::Path, counts: &Counts, unchecked: bool) -> std::io::Result<()> {
    let Counts { packages, files, lines, bodies, blocks, instrs, opaque, captured, broken, typing, lowering } = counts;
    writeln!(out, "{}", dir.display())?;
    writeln!(out, "  {packages:>9} packages, {files} files, {lines} lines")?;
    writeln!(out, "  {bodies:>9} bodies, {blocks} blocks, {instrs} instructions")?;
    if !unchecked {
        writeln!(out, "  {opaque:>9} not understood, {captured} variables captured by literals")?;
        writeln!(out, "  {broken:>9} ill-formed")?;
    }
    let rate = *instrs as f64 / lowering.as_secs_f64().max(1e-9);
    writeln!(
        out,
        "  {:>9.2} s CPU for typing bodies, {:.2} s for lowering them: {:.1} million instructions a second",
        typing.as_secs_f64(),
        lowering.as_secs_f64(),
        rate / 1e6
    )
}

/// Checks that each call, receive and function literal that is evaluated has code, and none twice.
fn every_call_once(bodies: &Bodies<'_>, file: usize, body: &Body) -> Result<(), String> {
    let (tree, info) = (bodies.syntax(file), bodies.file(file));
    let mut left = HashSet::new();
    let mut unread = HashSet::new();
    for (_, node) in body.cfg.nodes() {
        if let Node::Stmt(stmt) = node
            && let Stmt::Go(call) | Stmt::Defer(call) = tree.stmt(stmt)
        {
            left.insert(walk::unparen(tree, call));
        }
        // What a select receives from is evaluated before, and chosen here.
        if let Node::Comm(stmt) = node
            && let Some(received) = received(tree, stmt)
        {
            left.insert(received);
        }
        walk::evaluated(tree, &body.cfg, node, &mut |expr| {
            match (tree.expr(expr), info.expr(expr).mode) {
                (_, Mode::Constant | Mode::Type) => return false,
                (Expr::Call { args, .. }, _) => match bodies.callee(file, expr) {
                    Callee::Conversion(_) => {}
                    Callee::Builtin(Builtin::UnsafeSizeof | Builtin::UnsafeAlignof | Builtin::UnsafeOffsetof) => {
                        // Only the type of the argument matters.
                        unread.extend(tree.list(args));
                        left.insert(expr);
                    }
                    Callee::Builtin(Builtin::New) if tree.list(args).all(|arg| info.expr(arg).mode != Mode::Type) => {}
                    _ => _ = left.insert(expr),
                },
                (Expr::FuncLit { .. } | Expr::Unary { op: UnaryOp::Recv, .. }, _) => _ = left.insert(expr),
                _ => {}
            }
            !unread.contains(&expr)
        });
    }
    let text = |expr: ExprId| format!("line {}", tree.line_col(tree.expr_span(expr).start).line);
    for (id, _) in body.cfg.blocks() {
        for (_, instr) in body.instrs(id) {
            let expr = match (instr.op, instr.at) {
                (Op::Call(call) | Op::Go(call) | Op::Defer(call), _) => body.call(call).expr,
                (Op::Closure(lit), _) => lit,
                (Op::Recv { .. }, At::Expr(expr)) => expr,
                _ => continue,
            };
            if !left.remove(&expr) {
                return Err(format!("{}: evaluated twice, or not at all", text(expr)));
            }
        }
    }
    left.into_iter().min().map_or(Ok(()), |expr| Err(format!("{}: not evaluated", text(expr))))
}

/// The receive of a select's case.
fn received(tree: &File, comm: StmtId) -> Option<ExprId> {
    let received = match tree.stmt(comm) {
        Stmt::Expr(x) => x,
        Stmt::Assign { rhs, .. } => tree.list_get(rhs, 0)?,
        _ => return None,
    };
    Some(walk::unparen(tree, received))
}

/// Lines and text of what has no code of its own. The operand of a range that is not evaluated is no such thing.
fn not_understood<'a>(tree: &'a File, body: &'a Body) -> impl Iterator<Item = String> + 'a {
    let all = body.cfg.blocks().flat_map(|(id, _)| body.instrs(id)).collect::<Vec<_>>();
    let ranged: HashSet<Value> = all
        .iter()
        .filter_map(|(_, instr)| match instr.op {
            Op::RangeNext(x) => Some(x),
            _ => None,
        })
        .collect();
    all.into_iter().filter_map(move |(value, instr)| {
        let span = match instr.at {
            At::Expr(expr) => tree.expr_span(expr),
            At::Stmt(stmt) => tree.stmt_span(stmt),
            At::Clause(_) | At::Pos(_) => return None,
        };
        let opaque = matches!(instr.op, Op::Opaque(_)) && !ranged.contains(&value);
        opaque.then(|| format!("{}: {}", tree.line_col(span.start).line, tree.text(span)))
    })
}

/// CPU time of this thread where the system tells, else the time that passed.
fn cpu_time() -> Duration {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = stat.and_then(|stat| stat.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

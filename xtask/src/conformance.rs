//! Compares our reading of Go with Go's own.
//!
//! `parse` reads every `.go` file of some trees with `residue-syntax` and with `go/parser`, by way of the program in
//! `conformance/parse`. Both tell whether they accept the file, and give a hash of its nodes; where they differ, the
//! first differing node is shown.

mod flow;
mod labels;
mod mutants;
mod packages;
mod stdlib;
mod types;

use std::collections::VecDeque;
use std::error::Error;
use std::fmt::Write as _;
use std::hash::Hasher;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use residue_syntax::ast::{
    AssignOp, BranchKind, ChanDir, ClauseKind, Decl, Expr, File, GenKind, LitKind, Spec, Stmt, UnaryOp,
};
use residue_syntax::walk::Node;
use residue_syntax::{Bodies, parse};

/// What to compare.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Conformance {
    /// Compare the parser with go/parser
    Parse(ParseArgs),
    /// Compare the files of packages with go list
    Packages(packages::PackagesArgs),
    /// Compare the embedded standard library with the Go tree
    Stdlib(stdlib::StdlibArgs),
    /// Compare the type checker with go/types
    Types(types::TypesArgs),
    /// Lower all function bodies of some trees and check the code
    Flow(flow::FlowArgs),
    /// Compare findings with the labels that other tools' test data carries
    Labels(labels::LabelsArgs),
}

/// Arguments of `conformance parse`.
#[derive(clap::Args, Debug)]
pub(crate) struct ParseArgs {
    /// Go command of release 1.27, whose go/parser is the reference [default: `$RESIDUE_GO`, or go]
    #[arg(long)]
    go: Option<PathBuf>,
    /// Compare so many broken variants of each file, instead of the files
    #[arg(long, default_value_t = 0)]
    mutants: usize,
    /// Files that differ to show, at most
    #[arg(long, default_value_t = 20)]
    show: usize,
    /// Trees to read [default: GOROOT and GOMODCACHE of the Go command]
    dirs: Vec<PathBuf>,
}

/// Runs a comparison, and says whether both agree on everything.
pub(crate) fn run(what: &Conformance) -> Result<bool, Box<dyn Error>> {
    let args = match what {
        Conformance::Parse(args) => args,
        Conformance::Packages(args) => return packages::run(args, &Go::new(args.go.as_deref())),
        Conformance::Stdlib(args) => return stdlib::run(&Go::new(args.go.as_deref()), &target_dir()),
        Conformance::Types(args) => return types::run(args),
        Conformance::Flow(args) => return flow::run(args),
        Conformance::Labels(args) => return labels::run(args),
    };
    let go = Go::new(args.go.as_deref());
    let version = go.output(&["env", "GOVERSION"])?;
    let oracle = go.build_oracle("parse")?;
    let mut dirs = args.dirs.clone();
    if dirs.is_empty() {
        dirs = go.output(&["env", "GOROOT", "GOMODCACHE"])?.lines().map(PathBuf::from).collect();
    }
    let mut out = std::io::stdout();
    writeln!(out, "residue-syntax beside go/parser of {version}")?;
    let mut agree = true;
    for dir in &dirs {
        let start = Instant::now();
        let mut files = go_files(dir)?;
        if args.mutants > 0 {
            files = mutants::write(&files, args.mutants, &mutants_dir())?;
        }
        let report = compare(&oracle, &files)?;
        writeln!(out, "\n{}", dir.display())?;
        writeln!(out, "  {:>8} files, {:.1} MB", report.files, report.bytes as f64 / 1e6)?;
        writeln!(out, "  {:>8} accepted by both, {} nodes", report.accepted, report.nodes)?;
        writeln!(out, "  {:>8} refused by both", report.refused)?;
        writeln!(out, "  {:>8} differ", report.differ.len())?;
        for path in report.differ.iter().take(args.show) {
            writeln!(out, "    {}: {}", path.display(), first_difference(&oracle, path)?)?;
        }
        writeln!(out, "  {:.1} s", start.elapsed().as_secs_f64())?;
        agree &= report.differ.is_empty();
    }
    Ok(agree)
}

/// A Go command.
struct Go {
    command: PathBuf,
}

impl Go {
    /// The given command, else `$RESIDUE_GO`, else `go`.
    fn new(command: Option<&Path>) -> Self {
        let from_env = || std::env::var_os("RESIDUE_GO").map_or_else(|| "go".into(), PathBuf::from);
        Self { command: command.map_or_else(from_env, Path::to_owned) }
    }

    fn output(&self, args: &[&str]) -> Result<String, Box<dyn Error>> {
        let output = Command::new(&self.command).args(args).env("GOTOOLCHAIN", "local").output()?;
        if !output.status.success() {
            return Err(format!("go {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Builds the program in `conformance/NAME`.
    fn build_oracle(&self, name: &str) -> Result<PathBuf, Box<dyn Error>> {
        let binary = std::path::absolute(target_dir().join(format!("conformance-{name}")))?;
        let status = Command::new(&self.command)
            .args(["build", "-o"])
            .arg(&binary)
            .arg(".")
            .current_dir(workspace().join("conformance").join(name))
            .env("GOTOOLCHAIN", "local")
            .status()?;
        if status.success() { Ok(binary) } else { Err(format!("cannot build conformance/{name}").into()) }
    }
}

/// Where programs and unpacked trees go.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Where variants are written, over those of the last time.
fn mutants_dir() -> PathBuf {
    std::env::temp_dir().join("residue-mutants")
}

/// What came of a tree.
#[derive(Default)]
struct Report {
    files: usize,
    bytes: usize,
    accepted: usize,
    refused: usize,
    nodes: usize,
    differ: Vec<PathBuf>,
}

fn compare(oracle: &Path, files: &[PathBuf]) -> Result<Report, Box<dyn Error>> {
    let mut child = Command::new(oracle).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("no pipe to the reference".into());
    };
    let mut report = Report { files: files.len(), ..Report::default() };
    thread::scope(|scope| {
        scope.spawn(|| {
            // An oracle that died is noticed by its missing answers.
            for path in files {
                if writeln!(stdin, "{}", path.display()).is_err() {
                    break;
                }
            }
            drop(stdin);
        });
        let mut answers = BufReader::new(stdout).lines();
        for path in files {
            let src: Arc<[u8]> = std::fs::read(path)?.into();
            report.bytes += src.len();
            let parsed = parse(src, Bodies::Keep);
            let ours = if parsed.errors.is_empty() {
                let (nodes, hash) = hash(&parsed.file);
                format!("1 {nodes} {hash:x}")
            } else {
                "0 0 0".to_owned()
            };
            let theirs = answers.next().ok_or("the reference ended early")??;
            match (ours == theirs, parsed.errors.is_empty()) {
                (false, _) => report.differ.push(path.clone()),
                (true, false) => report.refused += 1,
                (true, true) => {
                    report.accepted += 1;
                    report.nodes += theirs.split(' ').nth(1).and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
                }
            }
        }
        Ok::<_, Box<dyn Error>>(())
    })?;
    child.wait()?;
    Ok(report)
}

/// All Go files below a directory, in order. Links are not followed.
fn go_files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut dirs = VecDeque::from([dir.to_owned()]);
    while let Some(dir) = dirs.pop_front() {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                dirs.push_back(entry.path());
            } else if kind.is_file() && entry.path().extension().is_some_and(|ext| ext == "go") {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// How our reading of a file differs from the reference's.
fn first_difference(oracle: &Path, path: &Path) -> Result<String, Box<dyn Error>> {
    let output = Command::new(oracle).arg("-dump").arg(path).output()?;
    let theirs = String::from_utf8_lossy(&output.stdout);
    let parsed = parse(std::fs::read(path)?.into(), Bodies::Keep);
    let place = |pos: u32| {
        let place = parsed.file.line_col(pos);
        format!("{}:{}", place.line, place.column)
    };
    if let Some(error) = parsed.errors.first() {
        return Ok(match theirs.strip_prefix("refused: ") {
            Some(_) => "refused by both now".to_owned(),
            None => format!("only we refuse it: {}: {}", place(error.pos), error.message),
        });
    }
    if let Some(error) = theirs.strip_prefix("refused: ") {
        return Ok(format!("only we accept it: {}", error.trim()));
    }
    let mut ours = Vec::new();
    each_node(&parsed.file, |line| ours.push(line.to_owned()));
    let mut theirs = theirs.lines();
    for our in &ours {
        let their = theirs.next();
        if their != Some(our) {
            let pos = our.split(' ').nth(1).and_then(|pos| pos.parse().ok()).unwrap_or(0);
            return Ok(format!("{}: ours is {our:?}, theirs {their:?}", place(pos)));
        }
    }
    Ok(format!("theirs has more: {:?}", theirs.next()))
}

/// Number and hash of a file's nodes.
fn hash(file: &File) -> (usize, u64) {
    /// Fowler, Noll and Vo's hash, 1a, 64 bits.
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, bytes: &[u8]) {
            for &b in bytes {
                self.0 = (self.0 ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    let mut count = 0;
    each_node(file, |line| {
        hasher.write(line.as_bytes());
        hasher.write(b"\n");
        count += 1;
    });
    (count, hasher.finish())
}

/// Writes every node of a file as a line, as `conformance/parse` does.
fn each_node(file: &File, mut each: impl FnMut(&str)) {
    let mut line = String::new();
    if let Some(name) = file.package() {
        let _ = write!(line, "Package {} {} {}", file.package_pos(), file.ident_span(name).end, file.ident_text(name));
        each(&line);
    }
    for comment in file.comments() {
        let start = comment.span.start;
        line.clear();
        let marker = &file.src()[start as usize..start as usize + 2];
        let _ = write!(line, "Comment {start} {} {}", start + 2, String::from_utf8_lossy(marker));
        each(&line);
    }
    file.walk(|node| {
        line.clear();
        let span = file.node_span(node);
        let (kind, detail) = describe(file, node);
        let _ = write!(line, "{kind} {} {} {detail}", span.start, span.end);
        each(&line);
        true
    });
}

fn describe(file: &File, node: Node) -> (&'static str, String) {
    match node {
        Node::Decl(id) => match file.decl(id) {
            Decl::Bad => ("Bad", String::new()),
            Decl::Gen { kind, paren, .. } => {
                let keyword = match kind {
                    GenKind::Import => "import",
                    GenKind::Const => "const",
                    GenKind::Type => "type",
                    GenKind::Var => "var",
                };
                ("Gen", format!("{keyword} {paren}"))
            }
            Decl::Func(func) => ("Func", format!("{} {}", func.has_recv, func.body.is_some())),
        },
        Node::Spec(id) => match file.spec(id) {
            Spec::Import { name, .. } => ("Import", name.is_some().to_string()),
            Spec::Value { names, ty, values, .. } => {
                ("Value", format!("{} {} {}", names.len(), ty.is_some(), values.len()))
            }
            Spec::Type { alias, .. } => ("Type", alias.to_string()),
        },
        Node::Field(id) => {
            let field = file.field(id);
            ("Field", format!("{} {}", field.names.len(), field.tag.is_some()))
        }
        Node::Ident(id) => ("Ident", file.ident_text(id).to_owned()),
        Node::FuncType(_) => ("FuncType", String::new()),
        Node::Block(_) => ("Block", String::new()),
        Node::Clause(id) => {
            let clause = file.clause(id);
            let (kind, has_guard) = match clause.kind {
                ClauseKind::Case(_) => ("Case", true),
                ClauseKind::Comm(_) => ("Comm", true),
                ClauseKind::Default => ("Default", false),
            };
            (kind, format!("{} {has_guard} {}", clause.colon, clause.body.len()))
        }
        Node::Expr(id) => describe_expr(file, file.expr(id)),
        Node::Stmt(id) => describe_stmt(file.stmt(id)),
    }
}

fn describe_expr(file: &File, expr: Expr) -> (&'static str, String) {
    let detail = match expr {
        Expr::Ident(id) => file.ident_text(id).to_owned(),
        Expr::BasicLit(kind) => match kind {
            LitKind::Int => "INT",
            LitKind::Float => "FLOAT",
            LitKind::Imag => "IMAG",
            LitKind::Char => "CHAR",
            LitKind::String => "STRING",
        }
        .to_owned(),
        Expr::CompositeLit { lbrace, .. } => lbrace.to_string(),
        Expr::Slice { lo, hi, max, .. } => format!("{} {} {}", lo.is_some(), hi.is_some(), max.is_some()),
        Expr::TypeAssert { ty, .. } => ty.is_some().to_string(),
        Expr::Call { ellipsis, .. } => ellipsis.to_string(),
        Expr::Unary { op, .. } => match op {
            UnaryOp::Plus => "+",
            UnaryOp::Minus => "-",
            UnaryOp::Not => "!",
            UnaryOp::Xor => "^",
            UnaryOp::Addr => "&",
            UnaryOp::Recv => "<-",
            UnaryOp::Tilde => "~",
        }
        .to_owned(),
        Expr::Binary { op, op_pos, .. } => format!("{} {op_pos}", op.as_str()),
        Expr::ArrayType { len, .. } => len.is_some().to_string(),
        Expr::ChanType { dir, .. } => match dir {
            ChanDir::Both => "both",
            ChanDir::Send => "send",
            ChanDir::Recv => "recv",
        }
        .to_owned(),
        _ => String::new(),
    };
    let kind = match expr {
        Expr::Bad => "Bad",
        Expr::Ident(_) => "Ident",
        Expr::BasicLit(_) => "BasicLit",
        Expr::CompositeLit { .. } => "CompositeLit",
        Expr::FuncLit { .. } => "FuncLit",
        Expr::Paren(_) => "Paren",
        Expr::Selector { .. } => "Selector",
        Expr::Index { .. } => "Index",
        Expr::Slice { .. } => "Slice",
        Expr::TypeAssert { .. } => "TypeAssert",
        Expr::Call { .. } => "Call",
        Expr::Star(_) => "Star",
        Expr::Unary { .. } => "Unary",
        Expr::Binary { .. } => "Binary",
        Expr::KeyValue { .. } => "KeyValue",
        Expr::ArrayType { .. } => "ArrayType",
        Expr::Ellipsis(_) => "Ellipsis",
        Expr::StructType { .. } => "StructType",
        Expr::FuncType(_) => "FuncType",
        Expr::InterfaceType { .. } => "InterfaceType",
        Expr::MapType { .. } => "MapType",
        Expr::ChanType { .. } => "ChanType",
    };
    (kind, detail)
}

fn describe_stmt(stmt: Stmt) -> (&'static str, String) {
    let none = String::new();
    match stmt {
        Stmt::Bad => ("Bad", none),
        Stmt::Empty => ("Empty", none),
        Stmt::Decl(_) => ("DeclStmt", none),
        Stmt::Labeled { .. } => ("Labeled", none),
        Stmt::Expr(_) => ("ExprStmt", none),
        Stmt::Send { .. } => ("Send", none),
        Stmt::IncDec { inc, .. } => ("IncDec", if inc { "++" } else { "--" }.to_owned()),
        Stmt::Assign { lhs, op, op_pos, .. } => {
            let op = match op {
                AssignOp::Assign => "=".to_owned(),
                AssignOp::Define => ":=".to_owned(),
                AssignOp::Op(op) => format!("{}=", op.as_str()),
            };
            ("Assign", format!("{op} {op_pos} {}", lhs.len()))
        }
        Stmt::Go(_) => ("Go", none),
        Stmt::Defer(_) => ("Defer", none),
        Stmt::Return(results) => ("Return", results.len().to_string()),
        Stmt::Branch { kind, .. } => {
            let keyword = match kind {
                BranchKind::Break => "break",
                BranchKind::Continue => "continue",
                BranchKind::Goto => "goto",
                BranchKind::Fallthrough => "fallthrough",
            };
            ("Branch", keyword.to_owned())
        }
        Stmt::Block(_) => ("Block", none),
        Stmt::If { init, els, .. } => ("If", format!("{} {}", init.is_some(), els.is_some())),
        Stmt::Switch { init, tag, body, .. } => {
            ("Switch", format!("{} {} {} {}", init.is_some(), tag.is_some(), body.start, body.end))
        }
        Stmt::TypeSwitch { init, body, .. } => {
            ("TypeSwitch", format!("{} {} {}", init.is_some(), body.start, body.end))
        }
        Stmt::Select { body, .. } => ("Select", format!("{} {}", body.start, body.end)),
        Stmt::For { init, cond, post, .. } => {
            ("For", format!("{} {} {}", init.is_some(), cond.is_some(), post.is_some()))
        }
        Stmt::Range { key, value, define, .. } => ("Range", format!("{} {} {define}", key.is_some(), value.is_some())),
    }
}

//! Compares the types we find with those `go/types` finds.
//!
//! The program in `conformance/types` prints every fact it knows of a package; here each is looked up in what
//! `residue-types` made of the same file. A fact that is unknown to us is a disagreement.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use residue_project::{Config, Env, OsFileSystem, PackageId, Project, SourceFile, load};
use residue_syntax::ast::{Expr, ExprId, File, IdentId, LitKind};
use residue_types::{Bodies, Callee, Initializer, Mode, ObjId, ObjKind, Objects, Program, Res, SelectionKind};

/// Arguments of `conformance types`.
#[derive(clap::Args, Debug)]
pub(crate) struct TypesArgs {
    /// Go command of release 1.27, whose go/types is the reference [default: `$RESIDUE_GO`, or go]
    #[arg(long)]
    go: Option<PathBuf>,
    /// Disagreements of each kind to show, at most
    #[arg(long, default_value_t = 10)]
    show: usize,
    /// Type test files too
    #[arg(long)]
    tests: bool,
    /// Compare packages that import "C", as far as nothing depends on it
    #[arg(long)]
    cgo: bool,
    /// Target operating system
    #[arg(long)]
    goos: Option<String>,
    /// Target architecture
    #[arg(long)]
    goarch: Option<String>,
    /// Fail where the share of equal facts is lower, in parts of 100,000
    #[arg(long, default_value_t = 99_900)]
    floor: u64,
    /// Package patterns
    #[arg(long = "pattern", default_value = "./...")]
    patterns: Vec<String>,
    /// Modules, each compared by itself
    #[arg(required = true)]
    dirs: Vec<PathBuf>,
}

/// Counts of one kind of fact.
#[derive(Default)]
struct Tally {
    facts: u64,
    equal: u64,
    /// Pairs of what they say and we say, with an example each.
    examples: BTreeMap<String, (u64, String)>,
}

/// Runs the comparison, and says whether it came out above the floor.
pub(crate) fn run(args: &TypesArgs) -> Result<bool, Box<dyn Error>> {
    let from_env = || std::env::var_os("RESIDUE_GO").map_or_else(|| "go".into(), PathBuf::from);
    let go = super::Go { command: args.go.clone().unwrap_or_else(from_env) };
    let version = go.output(&["env", "GOVERSION"])?;
    let oracle = go.build_oracle("types")?;
    let goroot = go.output(&["env", "GOROOT"])?;
    let mut out = std::io::stdout();
    writeln!(out, "residue-types beside go/types of {version}")?;
    let mut good = true;
    for dir in &args.dirs {
        let dir = dir.canonicalize()?;
        let tallies = compare(args, &oracle, &dir, &goroot)?;
        writeln!(out, "\n{}", dir.display())?;
        for (kind, tally) in &tallies {
            let share = tally.equal as f64 * 100.0 / tally.facts.max(1) as f64;
            writeln!(
                out,
                "  {kind:<11} {:>10} facts  {share:>8.4} % equal, {} differ",
                tally.facts,
                tally.facts - tally.equal
            )?;
            good &= tally.equal * 100_000 >= tally.facts * args.floor;
            let mut examples: Vec<_> = tally.examples.iter().collect();
            examples.sort_by_key(|(what, (count, _))| (std::cmp::Reverse(*count), (*what).clone()));
            for (what, (count, example)) in examples.into_iter().take(args.show) {
                writeln!(out, "    {count:>7} × {what}\n              {example}")?;
            }
        }
    }
    Ok(good)
}

fn compare(
    args: &TypesArgs,
    oracle: &Path,
    dir: &Path,
    goroot: &str,
) -> Result<BTreeMap<&'static str, Tally>, Box<dyn Error>> {
    let mut vars: Vec<(String, String)> = std::env::vars().collect();
    vars.push(("CGO_ENABLED".into(), u8::from(args.cgo).to_string()));
    vars.push(("GOROOT".into(), goroot.into()));
    let config = Config {
        tests: args.tests,
        patterns: args.patterns.clone(),
        goos: args.goos.clone(),
        goarch: args.goarch.clone(),
        cgo: Some(args.cgo),
        env: Env::from_vars(vars),
        max_file_bytes: u64::MAX,
        ..Config::new(dir)
    };
    let project = Arc::new(load(&OsFileSystem, &config)?);
    let program = Program::new(Arc::clone(&project));
    let by_path: HashMap<String, PackageId> =
        project.roots().map(|(id, package)| (package.import_path.to_string(), id)).collect();

    let mut command = Command::new(oracle);
    command.args(args.tests.then_some("-tests")).args(args.cgo.then_some("-cgo")).args(&args.patterns).current_dir(dir);
    command.env("GOTOOLCHAIN", "local").env("GOROOT", goroot);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{goroot}/bin:{path}"));
    for (name, value) in [("GOOS", &args.goos), ("GOARCH", &args.goarch)] {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let Some(stdout) = child.stdout.take() else { return Err("no pipe to the reference".into()) };
    let mut tallies: BTreeMap<&'static str, Tally> = BTreeMap::new();
    let mut state: Option<(PackageId, Bodies<'_>)> = None;
    let mut file: Option<FileFacts<'_>> = None;
    let mut initializers = Vec::new().into_iter();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        let fields: Vec<&str> = line.split('\t').collect();
        match fields.as_slice() {
            ["P", path] => {
                file = None;
                state = by_path.get(*path).map(|&id| (id, program.bodies(id)));
                let order = state.as_ref().map(|(_, bodies)| bodies.init_order()).unwrap_or_default();
                initializers = order.into_iter();
                if state.is_none() {
                    count(&mut tallies, "packages", "known", "unknown", path);
                } else {
                    count(&mut tallies, "packages", "", "", path);
                }
            }
            ["F", path] => {
                file = state.as_ref().and_then(|(id, bodies)| FileFacts::of(&project, *id, bodies, dir, path));
                let known = if file.is_some() || state.is_none() { "" } else { "missing" };
                count(&mut tallies, "files", "", known, path);
            }
            ["O", want @ ..] => {
                if let Some((id, bodies)) = &state {
                    let got = initializers.next().map(|init| initializer(bodies, &project[*id].files, &init));
                    let got = got.unwrap_or_else(|| "end".to_owned());
                    count(&mut tallies, "initialisers", &want.join(" "), &got, &project[*id].import_path);
                }
            }
            _ => {
                if let Some(((_, bodies), file)) = state.as_ref().zip(file.as_ref()) {
                    let (kind, want, got, at) = file.fact(bodies, &fields);
                    let place = || format!("{}: {}", file.place(at), file.excerpt(at));
                    if want == got {
                        count(&mut tallies, kind, "", "", "");
                    } else {
                        count(&mut tallies, kind, &want, &got, &place());
                    }
                }
            }
        }
    }
    if !child.wait()?.success() {
        return Err("the reference failed".into());
    }
    Ok(tallies)
}

fn count(tallies: &mut BTreeMap<&'static str, Tally>, kind: &'static str, want: &str, got: &str, example: &str) {
    let tally = tallies.entry(kind).or_default();
    tally.facts += 1;
    if want == got {
        tally.equal += 1;
        return;
    }
    let shorten = |s: &str| s.chars().take(160).collect::<String>();
    let key = format!("{} → {}", shorten(want), shorten(got));
    let entry = tally.examples.entry(key).or_insert_with(|| (0, example.to_owned()));
    entry.0 += 1;
}

/// A file and how to find what lies where in it.
struct FileFacts<'a> {
    index: usize,
    tree: &'a File,
    path: String,
    exprs: HashMap<(u32, u32, &'static str), ExprId>,
    idents: HashMap<u32, IdentId>,
    /// Identifiers that name an embedded field; they are uses of the type as well.
    embedded: HashSet<IdentId>,
}

impl<'a> FileFacts<'a> {
    fn of(project: &'a Project, id: PackageId, bodies: &Bodies<'a>, dir: &Path, path: &str) -> Option<Self> {
        let files = &project[id].files;
        let index = files.iter().position(|f| {
            let own = dir.join(&*f.path);
            own == Path::new(path) || Path::new(path).ends_with(f.path.trim_start_matches("$GOROOT/"))
        })?;
        let tree = bodies.syntax(index);
        let mut exprs = HashMap::new();
        let mut embedded = HashSet::new();
        for i in 0..tree.expr_count() {
            let e = ExprId::new(i);
            let span = tree.expr_span(e);
            exprs.insert((span.start, span.end, kind(tree, e)), e);
            match tree.expr(e) {
                Expr::StructType { fields } => {
                    let unnamed = tree.list(fields).map(|f| tree.field(f)).filter(|f| f.names.is_empty());
                    embedded.extend(unnamed.filter_map(|f| type_name(tree, f.ty)));
                }
                Expr::FuncLit { ty, .. } => {
                    let span = tree.func_type(ty).span;
                    exprs.insert((span.start, span.end, "FuncType"), e);
                }
                _ => {}
            }
        }
        let idents = (0..tree.ident_count()).map(IdentId::new).map(|id| (tree.ident(id).pos, id)).collect();
        Some(Self { index, tree, path: files[index].path.to_string(), exprs, idents, embedded })
    }

    fn place(&self, pos: u32) -> String {
        let at = self.tree.line_col(pos);
        format!("{}:{}:{}", self.path, at.line, at.column)
    }

    fn excerpt(&self, pos: u32) -> String {
        let line = self.tree.line_col(pos).line;
        self.tree.line_span(line).map(|s| self.tree.text(s).trim().chars().take(100).collect()).unwrap_or_default()
    }

    /// Kind of a fact, what the reference says, what we say, and where.
    fn fact(&self, bodies: &Bodies<'_>, fields: &[&str]) -> (&'static str, String, String, u32) {
        let number = |i: usize| fields.get(i).and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
        let text = |i: usize| fields.get(i).copied().unwrap_or_default();
        let info = bodies.file(self.index);
        let at = number(1);
        let ident = self.idents.get(&at).copied();
        let (kind, want, got) = match text(0) {
            "T" => {
                let want = fields[4..].join(" ");
                let got = match self.lookup(at, number(2), text(3)) {
                    Some(e) => self.expression(bodies, e, text(3) == "FuncType"),
                    None => "no such expression".to_owned(),
                };
                ("types", want, got)
            }
            "D" | "U" => {
                let kind = if text(0) == "D" { "defs" } else { "uses" };
                let want = fields[2..].join(" ");
                let got = match ident {
                    None => "no such identifier".to_owned(),
                    Some(i) if kind == "defs" && self.embedded.contains(&i) => {
                        format!("field {}", self.tree.ident_text(i))
                    }
                    Some(i) => self.meaning(bodies, i),
                };
                // A method of an instance: its signature is compared as a selection.
                let method = |s: &str| s.starts_with("func (") || s.starts_with("func interface");
                if method(&want) && method(&got) {
                    let head = |s: &str| s.split(" func").next().unwrap_or_default().to_owned();
                    (kind, head(&want), head(&got))
                } else {
                    (kind, want, got)
                }
            }
            "S" => {
                let got = self.lookup(at, number(2), "SelectorExpr").and_then(|e| self.selection(bodies, e));
                ("selections", fields[3..].join(" "), got.unwrap_or_else(|| "none".to_owned()))
            }
            "I" => {
                let got = ident.and_then(|i| info.instances.get(&i)).map(|inst| {
                    let args: Vec<String> = inst.args.iter().map(|a| bodies.show(a).to_string()).collect();
                    format!("{} {}", args.join(","), bodies.show(&inst.ty))
                });
                ("instances", fields[2..].join(" "), got.unwrap_or_else(|| "none".to_owned()))
            }
            _ => {
                let got = self.lookup(at, number(2), "CallExpr").map(|e| self.callee(bodies, e));
                ("callees", text(3).to_owned(), got.unwrap_or_else(|| "no such call".to_owned()))
            }
        };
        (kind, want, got, at)
    }

    fn lookup(&self, start: u32, end: u32, kind: &str) -> Option<ExprId> {
        let kind = KINDS.iter().find(|k| **k == kind)?;
        self.exprs.get(&(start, end, *kind)).copied()
    }

    fn expression(&self, bodies: &Bodies<'_>, e: ExprId, func_type: bool) -> String {
        let what = bodies.file(self.index).expr(e);
        let mode = match what.mode {
            _ if func_type => "type",
            Mode::None => "none",
            Mode::NoValue => "novalue",
            Mode::Builtin => "builtin",
            Mode::Type => "type",
            Mode::Constant => "constant",
            Mode::Nil => "nil",
            Mode::Variable => "variable",
            Mode::Value | Mode::MapIndex | Mode::CommaOk => "value",
        };
        let ty = match what.mode {
            Mode::Builtin | Mode::NoValue => String::new(),
            _ => bodies.show(what.ty).to_string(),
        };
        let mut value = what.value.filter(|_| !func_type).map(go_value).unwrap_or_default();
        if value.len() > 200 {
            "long".clone_into(&mut value);
        }
        format!("{mode} {ty} {value}")
    }

    fn meaning(&self, bodies: &Bodies<'_>, ident: IdentId) -> String {
        let name = self.tree.ident_text(ident);
        match bodies.file(self.index).res(ident) {
            Res::None => "nothing".to_owned(),
            Res::Def(id) | Res::Use(id) => object(bodies, id),
            Res::Package(pkg) => format!("package {}", bodies.program().package_path(pkg)),
            Res::Field => format!("field {name}"),
            Res::InterfaceMethod => format!("func interface {name}"),
            Res::Label => format!("label {name}"),
        }
    }

    fn selection(&self, bodies: &Bodies<'_>, e: ExprId) -> Option<String> {
        let info = bodies.file(self.index);
        let selection = info.selections.get(&e)?;
        let method_expr = info.method_exprs.contains(&e);
        let kind = match selection.kind {
            _ if method_expr => "methodexpr",
            SelectionKind::Field => "field",
            _ => "method",
        };
        let ty = if method_expr { info.type_of(e) } else { &selection.ty };
        let path: Vec<String> = selection.path.iter().map(u32::to_string).collect();
        Some(format!("{kind} {} [{}] {}", selection.indirect, path.join(" "), bodies.show(ty)))
    }

    fn callee(&self, bodies: &Bodies<'_>, e: ExprId) -> String {
        match bodies.callee(self.index, e) {
            Callee::Func(id) => bodies.func_name(id),
            Callee::Interface { method, .. } => format!("interface {method}"),
            Callee::Builtin(builtin) => format!("builtin {}", builtin_name(builtin)),
            Callee::Conversion(_) => "conversion".to_owned(),
            Callee::Literal(_) | Callee::Dynamic => "dynamic".to_owned(),
            Callee::Unknown => "unknown".to_owned(),
        }
    }
}

/// File, offset of the value, and variables of an initialiser.
fn initializer(bodies: &Bodies<'_>, files: &[Arc<SourceFile>], init: &Initializer) -> String {
    let path = files.get(init.file).map(|file| &*file.path).unwrap_or_default();
    let vars: Vec<&str> = init.vars.iter().filter_map(|&id| bodies.object(id)).map(|o| o.name.as_str()).collect();
    let start = bodies.syntax(init.file).expr_span(init.value).start;
    format!("{} {start} {}", path.rsplit('/').next().unwrap_or(path), vars.join(","))
}

/// The identifier that names the type `*pkg.T[A]`.
fn type_name(tree: &File, ty: ExprId) -> Option<IdentId> {
    match tree.expr(ty) {
        Expr::Ident(ident) => Some(ident),
        Expr::Selector { sel, .. } => Some(sel),
        Expr::Star(x) | Expr::Paren(x) | Expr::Index { x, .. } => type_name(tree, x),
        _ => None,
    }
}

fn object(bodies: &Bodies<'_>, id: ObjId) -> String {
    let Some(object) = bodies.object(id) else { return "nothing".to_owned() };
    let path = bodies.program().package_path(id.pkg);
    let (name, ty) = (object.name, bodies.show(object.ty()));
    match &object.kind {
        ObjKind::Const(_) => format!("const {path}.{name} {ty}"),
        ObjKind::Type(_) | ObjKind::TypeParam { .. } => format!("type {path}.{name} {ty}"),
        ObjKind::Var(_) => format!("var {path}.{name} {ty}"),
        ObjKind::Func(_) => format!("func {} {ty}", bodies.func_name(id)),
        ObjKind::Builtin(builtin) => format!("builtin {}", builtin_name(*builtin)),
        ObjKind::Nil => "nil".to_owned(),
    }
}

fn builtin_name(builtin: residue_types::Builtin) -> String {
    let name = format!("{builtin:?}");
    name.strip_prefix("Unsafe").map_or_else(|| name.to_lowercase(), str::to_owned)
}

/// As `constant.Value.ExactString`, in the spelling of `strconv.Quote` for strings.
fn go_value(value: &residue_types::Const) -> String {
    match value {
        residue_types::Const::Str(text) => quote(text.bytes()),
        other => other.to_string(),
    }
}

/// As `strconv.QuoteToASCII`.
fn quote(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\x07' => out.push_str("\\a"),
                '\x08' => out.push_str("\\b"),
                '\x0b' => out.push_str("\\v"),
                '\x0c' => out.push_str("\\f"),
                c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
                c if c as u32 > 0xffff => out.push_str(&format!("\\U{:08x}", c as u32)),
                c if !c.is_ascii() => out.push_str(&format!("\\u{:04x}", c as u32)),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

const KINDS: &[&str] = &[
    "BadExpr",
    "Ident",
    "BasicLit",
    "CompositeLit",
    "FuncLit",
    "ParenExpr",
    "SelectorExpr",
    "IndexExpr",
    "IndexListExpr",
    "SliceExpr",
    "TypeAssertExpr",
    "CallExpr",
    "StarExpr",
    "UnaryExpr",
    "BinaryExpr",
    "KeyValueExpr",
    "ArrayType",
    "Ellipsis",
    "StructType",
    "FuncType",
    "InterfaceType",
    "MapType",
    "ChanType",
];

fn kind(tree: &File, e: ExprId) -> &'static str {
    match tree.expr(e) {
        Expr::Bad => "BadExpr",
        Expr::Ident(_) => "Ident",
        Expr::BasicLit(LitKind::Int | LitKind::Float | LitKind::Imag | LitKind::Char | LitKind::String) => "BasicLit",
        Expr::CompositeLit { .. } => "CompositeLit",
        Expr::FuncLit { .. } => "FuncLit",
        Expr::Paren(_) => "ParenExpr",
        Expr::Selector { .. } => "SelectorExpr",
        Expr::Index { indices, .. } if indices.len() > 1 => "IndexListExpr",
        Expr::Index { .. } => "IndexExpr",
        Expr::Slice { .. } => "SliceExpr",
        Expr::TypeAssert { .. } => "TypeAssertExpr",
        Expr::Call { .. } => "CallExpr",
        Expr::Star(_) => "StarExpr",
        Expr::Unary { .. } => "UnaryExpr",
        Expr::Binary { .. } => "BinaryExpr",
        Expr::KeyValue { .. } => "KeyValueExpr",
        Expr::ArrayType { .. } => "ArrayType",
        Expr::Ellipsis(_) => "Ellipsis",
        Expr::StructType { .. } => "StructType",
        Expr::FuncType(_) => "FuncType",
        Expr::InterfaceType { .. } => "InterfaceType",
        Expr::MapType { .. } => "MapType",
        Expr::ChanType { .. } => "ChanType",
    }
}

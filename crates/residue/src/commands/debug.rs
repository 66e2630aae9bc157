//! `residue debug`: what rules see of a function, for those who write them.

use std::path::Path;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use residue_check::Models;
use residue_flow::{Function, Oracle, build, dump, lower, names};
use residue_project::{Config, Env, OsFileSystem, Package, PackageId, Project};
use residue_types::{Bodies, Program};

use crate::error::{Error, Exit};
use crate::{output, paths, suggest};

/// Functions to list where none was named, at most.
const LISTED_MAX: usize = 12;

#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct DebugArgs {
    #[command(subcommand)]
    view: View,
}

#[derive(Debug, Subcommand)]
enum View {
    /// Show the code that a function is lowered to: order of evaluation, implicit steps, what can panic
    Ir(FunctionArgs),
    /// Show the control-flow graph of a function
    Cfg(FunctionArgs),
}

#[derive(Debug, Args)]
struct FunctionArgs {
    /// A function: `main.go:Run`, `pool.go:(*Pool).Close`, `pool.go:New.func1` for the first literal in it
    #[arg(value_name = "FILE:FUNC")]
    function: String,

    /// As text, or for Graphviz (`| dot -Tsvg`)
    #[arg(long, value_enum, default_value_t = DumpFormat::Text)]
    format: DumpFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DumpFormat {
    Text,
    Dot,
}

pub(crate) fn run(args: &DebugArgs) -> Result<Exit, Error> {
    let (View::Ir(which) | View::Cfg(which)) = &args.view;
    let (path, name) = match which.function.rsplit_once(':') {
        Some((path, name)) if !path.is_empty() => (Path::new(path), name),
        _ => (Path::new(&which.function), ""),
    };
    let models = Models::embedded().map_err(|_| Error::bug("an embedded model is malformed"))?;
    let project = Arc::new(load(path, &models)?);
    let program = Program::new(Arc::clone(&project));
    let (id, file) = find_file(&project, path)?;
    let bodies = program.bodies(id);
    let functions = names(bodies.syntax(file));
    let Some((name, function)) = functions.iter().find(|(known, _)| known == name) else {
        let known: Vec<&str> = functions.iter().map(|(name, _)| name.as_str()).collect();
        return Err(not_found(name, &path.display().to_string(), &known));
    };
    let view = |oracle: &dyn Oracle| show(&bodies, file, (name, *function), args, oracle);
    let text = residue_check::with_oracle(&project[id], &bodies, &models, file, view);
    output::stdout(|out| out.write_all(text.as_bytes()))?;
    Ok(Exit::Clean)
}

/// Loads the package of a file.
fn load(path: &Path, models: &Models) -> Result<Project, Error> {
    let dir = std::env::current_dir().map_err(|error| Error::failed(format!("no working directory: {error}")))?;
    if !dir.join(path).is_file() {
        return Err(Error::usage(format!("there is no file {}", path.display())).hint("write FILE:FUNC"));
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let pattern = paths::slashed(parent);
    let config = Config {
        // A relative directory would be an import path without the dot.
        patterns: vec![if parent.is_absolute() { pattern } else { format!("./{pattern}") }],
        trees: false,
        tests: path.to_string_lossy().ends_with("_test.go"),
        include_vendor: true,
        stubs: models.stubs(),
        env: Env::from_vars(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        ),
        ..Config::new(dir)
    };
    residue_project::load(&OsFileSystem, &config).map_err(|error| Error::failed(error.to_string()))
}

fn find_file(project: &Project, path: &Path) -> Result<(PackageId, usize), Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let here = |package: &Package| package.files.iter().position(|file| file.path.rsplit('/').next() == Some(&name));
    let found = project.roots().find_map(|(id, package)| Some((id, here(package)?)));
    found.ok_or_else(|| {
        let error = Error::usage(format!("{} is in no package of this build", path.display()));
        error.hint("its build constraints or its name may exclude it: GOOS and GOARCH choose the build")
    })
}

fn show(
    bodies: &Bodies<'_>,
    file: usize,
    (name, function): (&str, Function),
    args: &DebugArgs,
    oracle: &dyn Oracle,
) -> String {
    let tree = bodies.syntax(file);
    let parent = function.key();
    match &args.view {
        View::Cfg(which) => {
            let graph = build(tree, function.body, oracle);
            match which.format {
                DumpFormat::Text => dump::text(tree, &graph),
                DumpFormat::Dot => dump::graphviz(tree, &graph, name),
            }
        }
        View::Ir(which) => {
            let Some(body) = lower::lower(bodies, file, parent, oracle) else { return String::new() };
            match which.format {
                DumpFormat::Text => dump::ir_text(bodies, file, &body),
                DumpFormat::Dot => dump::ir_graphviz(bodies, file, &body, name),
            }
        }
    }
}

fn not_found(name: &str, file: &str, known: &[&str]) -> Error {
    let error = match name {
        "" => Error::usage(format!("which function of {file}?")),
        _ => Error::usage(format!("{file} has no function `{name}` with a body")),
    };
    // Methods are often named without their type, and `init` without its number.
    let part =
        known.iter().find(|known| known.rsplit('.').next() == Some(name) || known.split('.').next() == Some(name));
    if let Some(near) = part.copied().or_else(|| suggest::nearest(name, known.iter().copied())) {
        return error.hint(format!("did you mean `{file}:{near}`?"));
    }
    match known {
        [] => error.hint("it has none at all"),
        _ => {
            let mut list = known.iter().take(LISTED_MAX).copied().collect::<Vec<_>>().join(", ");
            if known.len() > LISTED_MAX {
                list += ", …";
            }
            error.hint(format!("it has {list}"))
        }
    }
}

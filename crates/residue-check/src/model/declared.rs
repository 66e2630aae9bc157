//! What a package declares, as far as models refer to it.

use std::collections::{BTreeMap, BTreeSet};

use residue_syntax::ast::{Decl, Expr, ExprId, File, GenKind, Spec};
use residue_syntax::{Bodies, parse};

use super::RoleName;

/// What a package of the embedded standard library declares.
pub(super) fn of_std(path: &str) -> Option<Declared> {
    let files = residue_project::stdlib::embedded().ok()?.files(path)?;
    let parsed: Vec<_> = files.into_iter().map(|(_, text)| parse(text, Bodies::Skip).file).collect();
    Some(Declared::new(&parsed))
}

/// The functions, methods and types that a package's files declare.
#[derive(Clone, Debug, Default)]
pub(super) struct Declared {
    functions: BTreeSet<String>,
    /// Types with their methods; those of an interface are the ones it lists itself.
    types: BTreeMap<String, BTreeSet<String>>,
    /// Methods of types that no file declares.
    orphans: Vec<(String, String)>,
}

impl Declared {
    /// Collects what files of one package declare.
    pub(super) fn new<'a>(files: impl IntoIterator<Item = &'a File>) -> Self {
        let mut this = Self::default();
        for file in files {
            for decl in file.list(file.top_decls()) {
                match file.decl(decl) {
                    Decl::Func(func) if func.has_recv => {
                        let recv = file.list_get(func.recv, 0).map(|field| file.field(field).ty);
                        if let Some(recv) = recv.and_then(|ty| receiver_type(file, ty)) {
                            this.orphans.push((recv, file.ident_text(func.name).to_owned()));
                        }
                    }
                    Decl::Func(func) => {
                        this.functions.insert(file.ident_text(func.name).to_owned());
                    }
                    Decl::Gen { kind: GenKind::Type, specs, .. } => {
                        for spec in file.list(specs) {
                            if let Spec::Type { name, ty, .. } = file.spec(spec) {
                                let methods = this.types.entry(file.ident_text(name).to_owned()).or_default();
                                methods.extend(interface_methods(file, ty));
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        this.orphans.retain(|(recv, name)| match this.types.get_mut(recv) {
            Some(methods) => {
                methods.insert(name.clone());
                false
            }
            None => true,
        });
        this
    }

    /// What is missing of a role name, as a message.
    pub(super) fn missing(&self, package: &str, name: &RoleName) -> Option<String> {
        match name {
            RoleName::Type(name) => {
                (!self.types.contains_key(name)).then(|| format!("package {package} declares no type {name}"))
            }
            RoleName::Function { recv, name } if recv.is_empty() => {
                (!self.functions.contains(name)).then(|| format!("package {package} declares no function {name}"))
            }
            RoleName::Function { recv, name } => match self.types.get(recv) {
                None => Some(format!("package {package} declares no type {recv}")),
                Some(methods) if !methods.contains(name) => {
                    Some(format!("type {recv} of package {package} declares no method {name}"))
                }
                Some(_) => None,
            },
        }
    }
}

/// `T` of a receiver type `T`, `*T`, `T[P]`.
fn receiver_type(file: &File, ty: ExprId) -> Option<String> {
    let mut ty = ty;
    loop {
        ty = match file.expr(ty) {
            Expr::Ident(name) => return Some(file.ident_text(name).to_owned()),
            Expr::Star(x) | Expr::Paren(x) | Expr::Index { x, .. } => x,
            _ => return None,
        };
    }
}

fn interface_methods(file: &File, ty: ExprId) -> Vec<String> {
    let Expr::InterfaceType { elems } = file.expr(ty) else { return Vec::new() };
    let names = file.list(elems).flat_map(|elem| file.list(file.field(elem).names));
    names.map(|name| file.ident_text(name).to_owned()).collect()
}

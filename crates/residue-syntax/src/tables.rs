//! The memory that files are built in.
//!
//! How many nodes a file has is not known before it is read. Tables that grow are copied again and again, and are too
//! large in the end. So each thread keeps one set of tables in which it builds one file after the other, and what is
//! built is copied out once, at its exact size.

use std::cell::Cell;
use std::sync::{Arc, OnceLock};

use crate::ast::{File, Ident, List, Names};
use crate::names::Interner;

/// Tables under construction.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) file: File,
    pub(crate) interner: Interner,
    /// Ids of lists under construction.
    pub(crate) scratch: Vec<u32>,
}

thread_local! {
    static SPARE: Cell<Option<Tables>> = const { Cell::new(None) };
}

/// A table with more entries is given away as it is: keeping it would waste memory, and so would a second copy.
const COPIED_LEN_MAX: usize = 1 << 18;

impl Tables {
    /// Empty tables for the file `src`.
    pub(crate) fn take(src: Arc<[u8]>) -> Self {
        let mut tables = SPARE.take().unwrap_or_else(|| Self {
            file: File::empty(Arc::default()),
            interner: Interner::new(),
            scratch: Vec::new(),
        });
        tables.file.src = src;
        tables
    }

    /// The file that has been built.
    pub(crate) fn finish(mut self) -> File {
        let file = &mut self.file;
        let built = File {
            src: std::mem::take(&mut file.src),
            package: file.package.take(),
            package_pos: std::mem::take(&mut file.package_pos),
            top: std::mem::take(&mut file.top),
            names: self.interner.finish(),
            idents: copy_out(&mut file.idents),
            exprs: copy_out(&mut file.exprs),
            expr_spans: copy_out(&mut file.expr_spans),
            stmts: copy_out(&mut file.stmts),
            stmt_spans: copy_out(&mut file.stmt_spans),
            blocks: copy_out(&mut file.blocks),
            clauses: copy_out(&mut file.clauses),
            decls: copy_out(&mut file.decls),
            decl_spans: copy_out(&mut file.decl_spans),
            specs: copy_out(&mut file.specs),
            spec_spans: copy_out(&mut file.spec_spans),
            fields: copy_out(&mut file.fields),
            func_types: copy_out(&mut file.func_types),
            lists: copy_out(&mut file.lists),
            comments: copy_out(&mut file.comments),
            line_starts: OnceLock::new(),
        };
        self.scratch.clear();
        SPARE.set(Some(self));
        built
    }
}

impl File {
    /// A file of which nothing has been read.
    fn empty(src: Arc<[u8]>) -> Self {
        Self {
            src,
            package: None,
            package_pos: 0,
            top: List::EMPTY,
            names: Names::default(),
            idents: Vec::<Ident>::new(),
            exprs: Vec::new(),
            expr_spans: Vec::new(),
            stmts: Vec::new(),
            stmt_spans: Vec::new(),
            blocks: Vec::new(),
            clauses: Vec::new(),
            decls: Vec::new(),
            decl_spans: Vec::new(),
            specs: Vec::new(),
            spec_spans: Vec::new(),
            fields: Vec::new(),
            func_types: Vec::new(),
            lists: Vec::new(),
            comments: Vec::new(),
            line_starts: OnceLock::new(),
        }
    }
}

/// What is in a table, at exactly the right size; the table is emptied but keeps its memory, unless it is large.
fn copy_out<T: Copy>(table: &mut Vec<T>) -> Vec<T> {
    if table.len() > COPIED_LEN_MAX {
        let mut taken = std::mem::take(table);
        taken.shrink_to_fit();
        return taken;
    }
    let copy = table.as_slice().to_vec();
    table.clear();
    copy
}

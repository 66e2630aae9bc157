//! Source text for excerpts: the files that the programs say they were built from, if they are here.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use residue_finding::{Finding, Site, Span};

/// A longer file is not shown.
const SOURCE_BYTES_MAX: u64 = 4 << 20;

/// Files that were read, by the path that sites name them by; none for those that are not here.
#[derive(Default)]
pub(super) struct Sources {
    files: BTreeMap<String, Option<Arc<[u8]>>>,
}

impl Sources {
    /// Finds the lines of the sites of a finding. Paths below the working directory are shortened.
    pub(super) fn place(&mut self, finding: &mut Finding, dir: &Path) {
        self.site(&mut finding.site, dir);
        for step in &mut finding.steps {
            self.site(&mut step.site, dir);
        }
    }

    fn site(&mut self, site: &mut Site, dir: &Path) {
        let path = Path::new(&site.path);
        let shown = path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned();
        let text = self.files.entry(shown.clone()).or_insert_with(|| read(path));
        site.path = shown;
        let Some(text) = text else { return };
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        let mut start = 0;
        for (number, line) in (1..).zip(lines) {
            if number == site.start.line {
                let indent = line.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                let end = line.trim_ascii_end().len().max(indent);
                site.span = Span::from(start + indent as u32..start + end as u32);
                site.start.column = indent as u32 + 1;
                site.end = residue_finding::Position { line: number, column: end as u32 + 1 };
                return;
            }
            start += line.len() as u32;
        }
    }
}

impl residue_report::Sources for Sources {
    fn source(&self, path: &str) -> Option<Arc<[u8]>> {
        self.files.get(path)?.clone()
    }
}

fn read(path: &Path) -> Option<Arc<[u8]>> {
    if path.extension().is_none_or(|extension| extension != "go") {
        return None;
    }
    let file = std::fs::File::open(path).ok()?;
    let told = file.metadata().ok()?;
    if !told.is_file() || told.len() > SOURCE_BYTES_MAX {
        return None;
    }
    let mut text = Vec::new();
    file.take(SOURCE_BYTES_MAX).read_to_end(&mut text).ok()?;
    Some(text.into())
}

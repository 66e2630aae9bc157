//! The rules, one file each, and what they have in common.

mod f301;
mod f302;
mod f304;
mod fix;
pub(crate) mod path;
pub(crate) mod pending;
pub(crate) mod r201;
pub(crate) mod r202;
mod r203;
mod r205;
mod r209;
mod x001;
mod x002;

use residue_finding::{Finding, RuleMeta};

use crate::context::FileCx;
use crate::state::Analysis;

pub(crate) use x001::unused;
pub(crate) use x002::malformed;

/// A rule over the files of a package.
pub(crate) trait Rule: Sync {
    /// What the rule is.
    fn meta(&self) -> &'static RuleMeta;

    /// Looks at a file. `analysis` knows what happens on the paths of its functions.
    fn check(&self, cx: FileCx<'_>, analysis: &Analysis<'_>, out: &mut Vec<Finding>);
}

/// The rules that look at code.
pub(crate) const RULES: &[&dyn Rule] =
    &[&f301::F301, &f302::F302, &f304::F304, &r201::R201, &r202::R202, &r203::R203, &r205::R205, &r209::R209];

/// All rules, sorted by code.
pub const ALL: &[&RuleMeta] = &[
    &f301::META,
    &f302::META,
    &f304::META,
    &r201::META,
    &r202::META,
    &r203::META,
    &r205::META,
    &r209::META,
    &x001::META,
    &x002::META,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole_and_sorted() {
        assert!(ALL.windows(2).all(|pair| pair[0].code < pair[1].code));
        for rule in RULES {
            assert!(ALL.iter().any(|meta| meta.code == rule.meta().code));
        }
    }

    #[test]
    fn every_rule_documents_itself() {
        for meta in ALL {
            let headings: Vec<_> = meta.sections().1.into_iter().map(|section| section.heading).collect();
            assert_eq!(headings, residue_finding::DOC_HEADINGS, "{}", meta.code);
            assert_eq!(meta.code.as_str().chars().next(), Some(meta.family.letter()));
        }
    }
}

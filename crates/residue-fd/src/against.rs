//! Findings of `check` beside what happened: which were confirmed, which only exercised, which never reached.
//!
//! The two lenses meet at the acquire site: import path, base name of the file, line. A stack belongs to the first frame,
//! from the leaf, that is an acquire site known from source.

use std::collections::BTreeMap;

use residue_finding::AcquireSite;

use crate::report::{Opener, Report};

/// What a run says of a finding of `check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// So many descriptors opened there leaked.
    Confirmed {
        /// Descriptors opened.
        opens: u64,
        /// Those left open.
        left: u64,
    },
    /// So many were opened there, and no leak was seen.
    Exercised {
        /// Descriptors opened.
        opens: u64,
    },
    /// None was opened there.
    NotReached,
}

impl Status {
    /// The word every format uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed { .. } => "confirmed",
            Self::Exercised { .. } => "exercised",
            Self::NotReached => "not-reached",
        }
    }
}

/// The findings of `check` and the openers of a run, joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// For each acquire site, in the order given.
    pub statuses: Vec<Status>,
    /// Openers that leak and belong to no finding, by their place in [`Report::openers`].
    pub missed: Vec<usize>,
}

/// Joins acquire sites with the openers of a report.
pub fn join(sites: &[AcquireSite], report: &Report) -> Joined {
    let mut by_place: BTreeMap<(&str, &str, u32), Vec<usize>> = BTreeMap::new();
    for (index, site) in sites.iter().enumerate() {
        by_place.entry((&site.import_path, &site.file, site.line)).or_default().push(index);
    }
    let mut sums = vec![(0, 0, false); sites.len()];
    let mut missed = Vec::new();
    for (index, opener) in report.openers.iter().enumerate() {
        let Some(found) = place(opener, &by_place, sites) else {
            if opener.leak.is_some() {
                missed.push(index);
            }
            continue;
        };
        for site in found {
            let (opens, left, leaks) = &mut sums[site];
            *opens += opener.opened;
            if opener.leak.is_some() {
                *left += opener.left();
                *leaks = true;
            }
        }
    }
    let status = |(opens, left, leaks): (u64, u64, bool)| match (leaks, opens) {
        (true, _) => Status::Confirmed { opens, left },
        (false, 0) => Status::NotReached,
        (false, _) => Status::Exercised { opens },
    };
    Joined { statuses: sums.into_iter().map(status).collect(), missed }
}

/// The acquire sites that an opener belongs to. Of several on one line, those of the frame's declaration if there are such.
fn place(
    opener: &Opener,
    by_place: &BTreeMap<(&str, &str, u32), Vec<usize>>,
    sites: &[AcquireSite],
) -> Option<Vec<usize>> {
    let frame_with = |frame: &crate::event::Frame| {
        let found = by_place.get(&(frame.package.as_str(), frame.base(), frame.line))?;
        let declaration = crate::rules::declaration(frame);
        let same: Vec<usize> = found.iter().copied().filter(|site| sites[*site].declaration == declaration).collect();
        Some(if same.is_empty() { found.clone() } else { same })
    };
    opener.site.frames.iter().find_map(frame_with)
}

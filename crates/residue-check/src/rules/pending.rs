//! Findings that depend on what is above their functions, which is known when all packages were looked at.

use residue_finding::{Finding, StepRole};

use crate::ends::Ends;
use crate::reach::{Key, Shield, Shields};

/// A finding that holds only if the functions above its own are of a kind.
#[derive(Clone)]
pub(crate) struct Pending {
    pub(crate) finding: Finding,
    pub(crate) function: Key,
    pub(crate) holds: If,
}

/// When a finding holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum If {
    /// Something above the function recovers.
    Recovered,
    /// The process outlives a failure of the function.
    LivesOn,
}

impl Pending {
    /// The finding, where it holds.
    pub(crate) fn settle(self, shields: &Shields, ends: &Ends) -> Option<Finding> {
        let Self { mut finding, function, holds } = self;
        match holds {
            If::LivesOn => (!ends.ends(function)).then_some(finding),
            If::Recovered => {
                let Shield { who, site } = shields.above(function)?.clone();
                match site {
                    Some(site) => finding.step(StepRole::Note, site, format!("{who}, and the process lives on")),
                    None => finding.notes.insert(0, format!("{who}: the process lives on")),
                }
                Some(finding)
            }
        }
    }
}

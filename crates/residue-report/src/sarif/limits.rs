//! What GitHub's code scanning takes; a file beyond that is refused as a whole.
//!
//! <https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/troubleshoot-sarif-uploads/results-exceed-limit>
//! and `file-too-large` beside it.

use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::{DataFormat, MZFlush};

/// Results in a run. Of these GitHub shows the 5,000 most severe.
pub(super) const RESULTS_MAX: usize = 25_000;

/// Related locations of a result, of which GitHub shows a hundred.
pub(super) const RELATED_MAX: usize = 100;

/// Steps of a result, of which GitHub shows a thousand.
pub(super) const STEPS_MAX: usize = 1_000;

/// Characters of a rule's short and full description.
pub(super) const DESCRIPTION_MAX: usize = 1_024;

/// Bytes of the file under gzip: 10 MB, less what the compressor still holds and another one may need more.
const COMPRESSED_MAX: usize = 9_500_000;

/// Said where results are left out.
pub(super) const REASON: &str = "GitHub takes 25,000 results and 10 MB under gzip; the most severe are here";

/// How much more fits. Text that is taken is compressed as gzip would, to see what it comes to.
pub(super) struct Budget {
    compressor: Box<CompressorOxide>,
    bytes: usize,
    bytes_max: usize,
    results: usize,
}

impl Budget {
    /// With this text, in which no result is, taken already.
    pub(super) fn new(document: &[u8]) -> Self {
        Self::with_max(document, COMPRESSED_MAX)
    }

    fn with_max(document: &[u8], bytes_max: usize) -> Self {
        let flags = create_comp_flags_from_zip_params(6, DataFormat::Raw.to_window_bits(), 0);
        let mut budget = Self { compressor: Box::new(CompressorOxide::new(flags)), bytes: 0, bytes_max, results: 0 };
        budget.compress(document);
        budget
    }

    /// Whether a result fits as well.
    pub(super) fn take(&mut self, result: &[u8]) -> bool {
        if self.results >= RESULTS_MAX {
            return false;
        }
        self.results += 1;
        self.compress(result);
        self.bytes <= self.bytes_max
    }

    fn compress(&mut self, mut input: &[u8]) {
        let mut output = [0; 16 << 10];
        while !input.is_empty() {
            let step = deflate(&mut self.compressor, input, &mut output, MZFlush::None);
            self.bytes += step.bytes_written;
            if step.status.is_err() || step.bytes_consumed == 0 && step.bytes_written == 0 {
                // Not to be had from this input; then what isn't known to fit doesn't.
                self.bytes = usize::MAX;
                return;
            }
            input = &input[step.bytes_consumed..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted() {
        let mut budget = Budget::new(b"{}");
        let taken = (0..RESULTS_MAX + 10).filter(|_| budget.take(b"{}")).count();
        assert_eq!(taken, RESULTS_MAX);
    }

    #[test]
    fn bytes_are_counted_as_compressed() {
        let noise = |seed: u64| -> Vec<u8> {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 32) as u8
            };
            (0..10_000).map(|_| next()).collect()
        };
        let mut budget = Budget::with_max(b"{}", 1_000_000);
        let taken = (1..1_000).filter(|seed| budget.take(&noise(*seed))).count();
        assert!((90..=110).contains(&taken), "{taken} times 10 kB of noise in 1 MB");
        let mut budget = Budget::with_max(b"{}", 1_000_000);
        let same = noise(7);
        assert_eq!((1..1_000).filter(|_| budget.take(&same)).count(), 999, "repetitions cost next to nothing");
    }
}

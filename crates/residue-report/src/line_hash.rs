//! The hash by which GitHub's code scanning follows a line from one upload to the next.
//!
//! Described in `src/fingerprints.ts` of github/codeql-action, which adds it to files that have none: of the line's first
//! hundred characters, counted on into the lines below, without blanks and tabs, with every line end as `\n`. The end of
//! the file counts as the character 65535, what would come after it as 0. Characters are UTF-16 code units; the hash is a
//! polynomial in 37 modulo 2⁶⁴. After a colon, the how-many-eth line of the file with that hash it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

const WINDOW: usize = 100;
const BASE: u64 = 37;
const END: u16 = u16::MAX;

/// Larger files are left to GitHub: their text is held in memory twice.
const BYTES_MAX: usize = 16 << 20;

/// The hashes of these lines (from 1), as far as the file has them.
pub(crate) fn line_hashes(source: &[u8], wanted: &BTreeSet<u32>) -> BTreeMap<u32, String> {
    let mut hashes = BTreeMap::new();
    let Some(&last) = wanted.last() else {
        return hashes;
    };
    if source.len() > BYTES_MAX {
        return hashes;
    }
    let (text, starts) = normalise(&String::from_utf8_lossy(source));
    let mut seen: HashMap<u64, u32> = HashMap::new();
    for (line, &start) in (1..=last).zip(&starts) {
        let rest = &text[start..];
        let padded = rest.iter().copied().chain(std::iter::repeat(0)).take(WINDOW);
        let hash = padded.fold(0_u64, |hash, unit| hash.wrapping_mul(BASE).wrapping_add(u64::from(unit)));
        let count = seen.entry(hash).or_insert(0);
        *count += 1;
        if wanted.contains(&line) {
            hashes.insert(line, format!("{hash:x}:{count}"));
        }
    }
    hashes
}

/// The characters that count, and where among them each line starts.
fn normalise(source: &str) -> (Vec<u16>, Vec<usize>) {
    let mut text = Vec::with_capacity(source.len());
    let mut starts = Vec::new();
    let (mut line_start, mut after_cr) = (true, false);
    for unit in source.encode_utf16().chain(std::iter::once(END)) {
        let unit = match char::from_u32(u32::from(unit)) {
            // A blank between the two halves of a line end makes them two.
            Some(' ' | '\t') => {
                after_cr = false;
                continue;
            }
            Some('\n') if after_cr => {
                after_cr = false;
                continue;
            }
            Some('\r') => {
                after_cr = true;
                u16::from(b'\n')
            }
            _ => {
                after_cr = false;
                unit
            }
        };
        if line_start {
            starts.push(text.len());
        }
        line_start = unit == u16::from(b'\n');
        text.push(unit);
    }
    (text, starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(source: &str) -> Vec<String> {
        line_hashes(source.as_bytes(), &(1..=99).collect()).into_values().collect()
    }

    // Made by running the original on these texts.
    #[test]
    fn lines_hash_as_on_github() {
        assert_eq!(hashes(""), ["c129715d7a2bc9a3:1"]);
        assert_eq!(hashes("package p\n"), ["cde080435e064ff1:1", "c129715d7a2bc9a3:1"]);
        assert_eq!(hashes("// größe 例 🦀\nvar x = 1\n")[..2], ["b798a8463de7f75c:1", "836af93fb4e2d8dc:1"]);
        let long = "x".repeat(250) + "\ny\n";
        assert_eq!(hashes(&long), ["52b56201ffb58620:1", "c33be7e0cf7c3ca:1", "c129715d7a2bc9a3:1"]);
    }

    #[test]
    fn line_ends_and_blanks_do_not_matter() {
        let want = [
            "c20dced4170748f0:1",
            "a9880d92e6416c1e:1",
            "8889d03548540dec:1",
            "22c808a7584bc1e8:1",
            "32dce9ccfdbc9d3e:1",
            "c129715d7a2bc9a3:1",
        ];
        assert_eq!(hashes("package p\n\nfunc f() {\n\tg()\n}\n"), want);
        assert_eq!(hashes("package p\r\n\r\nfunc f() {\r\n\tg( )\r\n}\r\n"), want);
        assert_eq!(hashes("x\rx\r"), ["8c072f39cc89b447:1", "828973aa50c68d6d:1", "c129715d7a2bc9a3:1"]);
        assert_eq!(hashes("a \r \nb"), ["67c066a59e652f5e:1", "cc4c43d77869440f:1", "8ee5a81e681643c1:1"]);
    }

    #[test]
    fn equal_lines_are_counted() {
        let found = hashes(&"\tresp.Body.Close()\n".repeat(12));
        assert_eq!(found[0], "3e0424c8aaf19e8d:1");
        assert_eq!(found[6], "3e0424c8aaf19e8d:7");
        assert_eq!(found[7..9], ["b400d2541523a998:1", "558abfa7d7f84b17:1"]);
        assert_eq!(found.len(), 13);
    }

    #[test]
    fn only_lines_that_are_there() {
        assert_eq!(line_hashes(b"a\nb\n", &BTreeSet::from([2, 9])).into_keys().collect::<Vec<_>>(), [2]);
        assert!(line_hashes(b"a", &BTreeSet::new()).is_empty());
        assert!(line_hashes(b"\xff\xfe\x00", &BTreeSet::from([1])).contains_key(&1));
    }
}

//! Exclusion patterns as in `.gitignore`.

/// A list of patterns; the last one that matches decides.
#[derive(Clone, Debug, Default)]
pub struct Globs {
    globs: Vec<Glob>,
}

#[derive(Clone, Debug)]
struct Glob {
    /// `!`: takes back what earlier patterns matched.
    negated: bool,
    /// Ends in `/`: only directories match.
    only_dirs: bool,
    /// One pattern a path element; `**` matches any number of elements.
    parts: Vec<Vec<Piece>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Char(char),
    Any,
    Star,
    /// `**` as a whole element.
    DoubleStar,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Globs {
    /// Reads patterns; says which is malformed and why.
    pub fn new(patterns: &[String]) -> Result<Self, (String, String)> {
        let globs = patterns.iter().map(|pattern| Glob::parse(pattern).map_err(|message| (pattern.clone(), message)));
        Ok(Self { globs: globs.collect::<Result<_, _>>()? })
    }

    /// Whether a file or one of the directories it lies in is matched. The path is relative to what the patterns are
    /// relative to, with `/` between its elements.
    pub fn cover(&self, path: &str) -> bool {
        let parents = path.match_indices('/').map(|(at, _)| &path[..at]).filter(|parent| !parent.is_empty());
        parents.into_iter().any(|parent| self.excludes(parent, true)) || self.excludes(path, false)
    }

    /// Whether a path relative to the working directory, `/` between its elements, is excluded. Its parents are to be
    /// asked first.
    pub(crate) fn excludes(&self, path: &str, is_dir: bool) -> bool {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let decides = |glob: &&Glob| (is_dir || !glob.only_dirs) && matches_parts(&glob.parts, &parts);
        self.globs.iter().rev().find(decides).is_some_and(|glob| !glob.negated)
    }
}

impl Glob {
    fn parse(pattern: &str) -> Result<Self, String> {
        let (negated, rest) = pattern.strip_prefix('!').map_or((false, pattern), |rest| (true, rest));
        let rest = rest.strip_prefix("./").map_or_else(|| rest.to_owned(), |rest| format!("/{rest}"));
        let only_dirs = rest.ends_with('/');
        let rest = rest.trim_end_matches('/');
        // A pattern with a slash that is not its last character is anchored; another matches at any depth.
        let (anchored, rest) = rest.strip_prefix('/').map_or((rest.contains('/'), rest), |rest| (true, rest));
        if rest.is_empty() {
            return Err("empty pattern".to_owned());
        }
        let mut parts = if anchored { Vec::new() } else { vec![vec![Piece::DoubleStar]] };
        for part in rest.split('/').filter(|part| !part.is_empty()) {
            parts.push(parse_part(part)?);
        }
        Ok(Self { negated, only_dirs, parts })
    }
}

fn parse_part(text: &str) -> Result<Vec<Piece>, String> {
    if text == "**" {
        return Ok(vec![Piece::DoubleStar]);
    }
    let mut pieces = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' if pieces.last() == Some(&Piece::Star) => {}
            '*' => pieces.push(Piece::Star),
            '?' => pieces.push(Piece::Any),
            '\\' => pieces.push(Piece::Char(chars.next().ok_or("a backslash at the end")?)),
            '[' => {
                let negated = chars.next_if(|&c| c == '!' || c == '^').is_some();
                let mut ranges = Vec::new();
                loop {
                    let low = match chars.next().ok_or("missing `]`")? {
                        ']' if !ranges.is_empty() => break,
                        '\\' => chars.next().ok_or("missing `]`")?,
                        c => c,
                    };
                    let mut high = low;
                    if chars.peek() == Some(&'-') {
                        let mut ahead = chars.clone();
                        ahead.next();
                        if let Some(end) = ahead.next().filter(|&c| c != ']') {
                            (high, chars) = (end, ahead);
                        }
                    }
                    ranges.push((low, high));
                }
                pieces.push(Piece::Class { negated, ranges });
            }
            c => pieces.push(Piece::Char(c)),
        }
    }
    Ok(pieces)
}

/// Matches elements; time is bounded by the product of the lengths.
fn matches_parts(glob: &[Vec<Piece>], path: &[&str]) -> bool {
    // `reach[j]`: the pattern up to here matches the first `j` elements.
    let mut reach = vec![false; path.len() + 1];
    reach[0] = true;
    for (i, part) in glob.iter().enumerate() {
        let mut next = vec![false; path.len() + 1];
        if part.as_slice() == [Piece::DoubleStar] {
            // `a/**` matches what is below `a`, not `a` itself.
            let least = usize::from(i + 1 == glob.len());
            let mut open = false;
            for j in 0..=path.len() {
                open |= j >= least && reach[j - least];
                next[j] = open;
            }
        } else {
            for j in 0..path.len() {
                next[j + 1] = reach[j] && matches_part(part, path[j]);
            }
        }
        reach = next;
    }
    reach[path.len()]
}

fn matches_part(glob: &[Piece], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut g, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        let one = match glob.get(g) {
            Some(Piece::Star) => {
                star = Some((g, t));
                g += 1;
                continue;
            }
            Some(Piece::Char(c)) => *c == text[t],
            Some(Piece::Any) => true,
            Some(Piece::Class { negated, ranges }) => {
                ranges.iter().any(|&(low, high)| (low..=high).contains(&text[t])) != *negated
            }
            Some(Piece::DoubleStar) | None => false,
        };
        if one {
            (g, t) = (g + 1, t + 1);
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (g, t) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    glob[g..].iter().all(|piece| *piece == Piece::Star)
}

#[cfg(test)]
mod tests {
    use super::Globs;

    #[test]
    fn matches_as_gitignore_does() {
        for (pattern, path, is_dir, want) in [
            ("gen", "gen", true, true),
            ("gen", "a/gen", true, true),
            ("gen", "a/gen.go", false, false),
            ("/gen", "a/gen", true, false),
            ("./gen", "gen", true, true),
            ("a/gen", "b/a/gen", true, false),
            ("gen/", "gen", false, false),
            ("gen/", "gen", true, true),
            ("*.pb.go", "a/b/x.pb.go", false, true),
            ("*.pb.go", "x.pb.gox", false, false),
            ("a/*/c", "a/b/c", false, true),
            ("a/*/c", "a/b/b/c", false, false),
            ("a/**/c", "a/b/b/c", false, true),
            ("a/**/c", "a/c", false, true),
            ("**/c", "c", false, true),
            ("a/**", "a", true, false),
            ("a/**", "a/b/c", false, true),
            ("x?.go", "x1.go", false, true),
            ("x[0-9a].go", "xa.go", false, true),
            ("x[!0-9].go", "x1.go", false, false),
            ("x[]].go", "x].go", false, true),
            ("x[a-]", "x-", false, true),
            ("\\*.go", "x.go", false, false),
            ("**", "a/b", false, true),
        ] {
            let globs = Globs::new(&[pattern.to_owned()]).expect(pattern);
            assert_eq!(globs.excludes(path, is_dir), want, "{pattern} {path}");
        }
    }

    #[test]
    fn what_lies_in_a_matched_directory_is_covered() {
        for (pattern, path, want) in [
            ("gen", "a/gen/b.go", true),
            ("gen/", "gen/a/b.go", true),
            ("a/*.go", "a/b.go", true),
            ("a", "b/c.go", false),
        ] {
            let globs = Globs::new(&[pattern.to_owned()]).expect(pattern);
            assert_eq!(globs.cover(path), want, "{pattern} {path}");
        }
    }

    #[test]
    fn the_last_match_decides() {
        let globs = Globs::new(&["*.go".to_owned(), "!keep.go".to_owned()]).expect("well-formed");
        assert!(globs.excludes("a.go", false));
        assert!(!globs.excludes("b/keep.go", false));
    }

    #[test]
    fn refuses_malformed_patterns_and_stays_fast() {
        for pattern in ["", "/", "!", "x[", "x[]", "x\\"] {
            assert!(Globs::new(&[pattern.to_owned()]).is_err(), "{pattern}");
        }
        let hostile = Globs::new(&["*a".repeat(500), "**/".repeat(200) + "z"]).expect("well-formed");
        assert!(!hostile.excludes(&"a".repeat(5000).replace("aaaaaaaaaa", "aaaaaaaab/"), false));
    }
}

//! Unified diffs: which lines of the new files they add, and where they remove some.
//!
//! The shape: <https://www.gnu.org/software/diffutils/manual/html_node/Detailed-Unified.html>, and git's additions to it,
//! <https://git-scm.com/docs/diff-generate-patch>. The body of a hunk is counted, not recognised: an added line may look
//! like a header.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

/// No line that matters is longer: those that name files, and those that open hunks.
const LINE_BYTES_MAX: usize = 64 << 10;

/// The new sides of a patch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Patch {
    /// By path, as the patch has it, without `b/`.
    pub(super) files: BTreeMap<String, Lines>,
    /// Whether any file is named, also one that is deleted or only renamed.
    pub(super) has_files: bool,
}

/// Lines of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lines {
    /// First and last line of each run of added or changed ones, in order.
    added: Vec<(u32, u32)>,
    /// The line after which some were removed, in order.
    removed_after: Vec<u32>,
    /// The whole file is new.
    all: bool,
}

impl Lines {
    /// A file that is new.
    pub(super) const fn all() -> Self {
        Self { added: Vec::new(), removed_after: Vec::new(), all: true }
    }

    /// Whether a line from `first` to `last` was added, or one between them removed.
    pub(super) fn touch(&self, first: u32, last: u32) -> bool {
        let next = self.added.partition_point(|run| run.1 < first);
        let gap = self.removed_after.partition_point(|line| *line < first);
        self.all
            || self.added.get(next).is_some_and(|run| run.0 <= last)
            || self.removed_after.get(gap).is_some_and(|line| *line < last)
    }

    fn add(&mut self, line: u32) {
        match self.added.last_mut() {
            Some(run) if run.1.checked_add(1) == Some(line) => run.1 = line,
            _ => self.added.push((line, line)),
        }
    }

    fn remove_after(&mut self, line: u32) {
        if self.removed_after.last() != Some(&line) {
            self.removed_after.push(line);
        }
    }

    fn finish(&mut self) {
        self.added.sort_unstable();
        self.removed_after.sort_unstable();
    }
}

/// A hunk while its body is read.
struct Hunk {
    /// Lines of the old and the new side still to come.
    old: u64,
    new: u64,
    /// The number of the next line of the new side.
    line: u32,
}

/// Reads a patch to its end. What is not part of a diff, such as a mail around it, is passed over.
pub(super) fn read(input: &mut dyn BufRead) -> io::Result<Patch> {
    let mut patch = Patch::default();
    let mut path: Option<String> = None;
    let mut hunk: Option<Hunk> = None;
    let mut line = Vec::new();
    while next_line(input, &mut line)? {
        if let Some(open) = &mut hunk {
            let lines = path.as_ref().and_then(|path| patch.files.get_mut(path));
            if body(open, &line, lines) {
                if open.old == 0 && open.new == 0 {
                    hunk = None;
                }
                continue;
            }
            return Err(io::Error::other("a hunk is shorter than it says"));
        }
        if let Some(name) = line.strip_prefix(b"+++ ") {
            patch.has_files = true;
            path = new_path(name);
            if let Some(path) = &path {
                patch.files.entry(path.clone()).or_default();
            }
        } else if line.starts_with(b"diff --git ") {
            patch.has_files = true;
            path = None;
        } else if line.starts_with(b"@@@ ") {
            return Err(io::Error::other("it is a combined diff of a merge; take one against a single parent"));
        } else if let Some(ranges) = line.strip_prefix(b"@@ -") {
            let open = header(ranges).ok_or_else(|| io::Error::other("the header of a hunk is malformed"))?;
            hunk = Some(open).filter(|open| open.old > 0 || open.new > 0);
        }
    }
    if hunk.is_some() {
        return Err(io::Error::other("it ends within a hunk"));
    }
    patch.files.values_mut().for_each(Lines::finish);
    Ok(patch)
}

/// Reads a line without its end, as far as it matters; false at the end of the input.
fn next_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            break;
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        line.extend(&part[..part.len().min(LINE_BYTES_MAX - line.len())]);
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            break;
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(any)
}

/// Takes a line as one of a hunk's body; false if it can't be.
fn body(hunk: &mut Hunk, line: &[u8], lines: Option<&mut Lines>) -> bool {
    match line.first() {
        Some(b'+') if hunk.new > 0 => {
            hunk.new -= 1;
            if let Some(lines) = lines {
                lines.add(hunk.line);
            }
            hunk.line = hunk.line.saturating_add(1);
        }
        Some(b'-') if hunk.old > 0 => {
            hunk.old -= 1;
            if let Some(lines) = lines {
                lines.remove_after(hunk.line.saturating_sub(1));
            }
        }
        // Mail programs cut the blank off an empty line.
        Some(b' ') | None if hunk.old > 0 && hunk.new > 0 => {
            hunk.old -= 1;
            hunk.new -= 1;
            hunk.line = hunk.line.saturating_add(1);
        }
        // `\ No newline at end of file`
        Some(b'\\') => {}
        _ => return false,
    }
    true
}

/// `12,3 +14,0 @@ func f() {` → what the body has to hold.
fn header(ranges: &[u8]) -> Option<Hunk> {
    let text = std::str::from_utf8(&ranges[..ranges.len().min(80)]).ok().or_else(|| {
        // The text after the second `@@` may be cut inside a character, or be none.
        let end = ranges.windows(3).position(|window| window == b" @@")?;
        std::str::from_utf8(&ranges[..end]).ok()
    })?;
    let (old, rest) = text.split_once(" +")?;
    let new = rest.split(" @@").next()?;
    let range = |text: &str| -> Option<(u32, u64)> {
        let (start, count) = text.split_once(',').unwrap_or((text, "1"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        (digits(start) && digits(count)).then_some(())?;
        Some((start.parse().ok()?, count.parse().ok()?))
    };
    let ((_, old), (start, new)) = (range(old)?, range(new)?);
    // Where nothing is left on the new side, its start is the line before.
    Some(Hunk { old, new, line: if new == 0 { start.saturating_add(1) } else { start } })
}

/// The file that a `+++` line names; none where it is deleted.
fn new_path(name: &[u8]) -> Option<String> {
    let name = if name.first() == Some(&b'"') {
        unquote(&name[1..])
    } else {
        // What comes after a tab is a time.
        name.split(|byte| *byte == b'\t').next().unwrap_or_default().to_vec()
    };
    let name = String::from_utf8_lossy(&name).into_owned();
    if name == "/dev/null" {
        return None;
    }
    Some(name.strip_prefix("b/").map_or(name.clone(), str::to_owned))
}

/// A path as git quotes it: backslashes before quotes, for control characters, and for bytes in octal.
fn unquote(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => match bytes.next() {
                Some(digit @ b'0'..=b'7') => {
                    let mut value = u32::from(digit - b'0');
                    for _ in 0..2 {
                        let Some(digit) = bytes.next_if(|byte| matches!(byte, b'0'..=b'7')) else { break };
                        value = value * 8 + u32::from(digit - b'0');
                    }
                    out.push(value as u8);
                }
                Some(letter) => out.push(match letter {
                    b'a' => 7,
                    b'b' => 8,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 11,
                    b'f' => 12,
                    b'r' => b'\r',
                    other => other,
                }),
                None => break,
            },
            byte => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, path: &str) -> Lines {
        read(&mut text.as_bytes()).expect(text).files.remove(path).expect("the file is named")
    }

    #[test]
    fn added_and_removed_lines_are_numbered_in_the_new_file() {
        let text = "From: x\n\ndiff --git a/p/a.go b/p/a.go\nindex 1..2 100644\n--- a/p/a.go\n+++ b/p/a.go\n\
                    @@ -1,4 +1,5 @@ package p\n a\n+b\n+c\n-d\n e\n\n@@ -20,2 +21,0 @@\n-x\n-y\n@@ -30 +29 @@\n-x\n+y\n\
                    \\ No newline at end of file\n-- \n2.40\n";
        let found = lines(text, "p/a.go");
        assert_eq!(found.added, [(2, 3), (29, 29)]);
        assert_eq!(found.removed_after, [3, 21, 28]);
        for (first, last, want) in [
            (1, 1, false),
            (1, 2, true),
            (3, 3, true),
            (4, 21, false),
            (3, 4, true),
            (21, 22, true),
            (22, 27, false),
            (22, 40, true),
            (30, 40, false),
        ] {
            assert_eq!(found.touch(first, last), want, "{first} to {last}");
        }
        assert!(Lines::all().touch(7, 7));
    }

    #[test]
    fn a_body_may_look_like_a_header() {
        let text = "--- a/a.go\n+++ b/a.go\n@@ -1,2 +1,3 @@\n+++ b/evil.go\n+@@ -1 +1 @@\n--- a/x\n x\n";
        let patch = read(&mut text.as_bytes()).expect("well-formed");
        assert_eq!(patch.files.keys().collect::<Vec<_>>(), ["a.go"]);
        assert_eq!(patch.files["a.go"].added, [(1, 2)]);
    }

    #[test]
    fn names_are_read_as_git_writes_them() {
        for (name, want) in [
            ("b/a b.go\t", "a b.go"),
            ("a.go", "a.go"),
            ("a.go\t2026-01-01 00:00:00", "a.go"),
            ("\"b/\\303\\244\\t\\\"\\\\.go\"", "ä\t\"\\.go"),
            ("b/b/a.go\r", "b/a.go"),
        ] {
            let text = format!("--- a/x\n+++ {name}\n@@ -0,0 +1 @@\n+x\n");
            assert_eq!(lines(&text, want).added, [(1, 1)], "{name}");
        }
        let deleted = read(&mut &b"--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"[..]).expect("well-formed");
        assert!(deleted.files.is_empty() && deleted.has_files);
        let renamed = "diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\n";
        let renamed = read(&mut renamed.as_bytes()).expect("well-formed");
        assert!(renamed.files.is_empty() && renamed.has_files);
    }

    #[test]
    fn what_is_no_patch_is_refused() {
        for text in [
            "+++ b/a\n@@ -1 +1 @@\n-x\n",
            "+++ b/a\n@@ -1,2 +1,2 @@\n-x\ndiff --git a/x b/x\n",
            "+++ b/a\n@@ -x +1 @@\n",
            "+++ b/a\n@@ -1 +99999999999 @@\n",
            "@@@ -1 -1 +1 @@@\n",
        ] {
            assert!(read(&mut text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(read(&mut &b""[..]).expect("empty"), Patch::default());
        let long = format!("+++ b/{}\n@@ -0,0 +1 @@\n+{}\n", "x".repeat(1 << 20), "y".repeat(1 << 20));
        assert_eq!(read(&mut long.as_bytes()).expect("long lines are cut").files.len(), 1);
    }

    #[test]
    fn noise_ends() {
        let pieces: [&[u8]; 14] = [
            b"+++ b/a.go\n",
            b"--- a/a.go\n",
            b"@@ -1,2 +3,4 @@\n",
            b"@@ -0,0 +4294967295,18446744073709551615 @@\n",
            b"@@ -1 +1 @@",
            b"+x\n",
            b"-x\n",
            b" x\n",
            b"\n",
            b"\r\n",
            b"\\ No newline\n",
            b"+++ \"b/\\377\\",
            b"\xff\x00",
            b"diff --git a/x b/x\n",
        ];
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..3_000 {
            let mut text = Vec::new();
            for _ in 0..12 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                text.extend_from_slice(pieces[(state % 14) as usize]);
            }
            if let Ok(patch) = read(&mut &text[..]) {
                for lines in patch.files.values() {
                    let all = lines.added.iter().all(|run| run.0 <= run.1 && lines.touch(run.0, run.1));
                    assert!(all, "{}", String::from_utf8_lossy(&text));
                    let _ = lines.touch(0, u32::MAX);
                }
            }
        }
    }
}

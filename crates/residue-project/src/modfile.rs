//! `go.mod` and `go.work`, read totally: a malformed line is reported and the rest is still used.

use crate::GoVersion;

/// A module path and, where one is given, its version.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct ModuleVersion {
    pub(crate) path: String,
    pub(crate) version: String,
}

/// A `replace` line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Replace {
    /// What is replaced; an empty version means every version.
    pub(crate) old: ModuleVersion,
    /// By what; an empty version means a directory.
    pub(crate) new: ModuleVersion,
    pub(crate) line: u32,
}

/// A malformed line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LineError {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// What a `go.mod` or `go.work` says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct ModFile {
    /// The module's path; empty where missing.
    pub(crate) module: String,
    /// The language version of the `go` line.
    pub(crate) go: Option<GoVersion>,
    /// The tool chain of the `toolchain` line; none for `default`.
    pub(crate) toolchain: Option<GoVersion>,
    pub(crate) requires: Vec<ModuleVersion>,
    pub(crate) replaces: Vec<Replace>,
    pub(crate) excludes: Vec<ModuleVersion>,
    /// `use` directories of a `go.work`, with their lines.
    pub(crate) uses: Vec<(String, u32)>,
    /// Directories that patterns skip: `./a` relative to the module root, or a name at any depth.
    pub(crate) ignores: Vec<String>,
    pub(crate) errors: Vec<LineError>,
}

/// Which directives are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dialect {
    /// The analysed module's own file: every mistake is reported.
    GoMod,
    /// A dependency's file: only `module`, `go`, `require` and `replace` matter, newer directives are no mistake.
    Dependency,
    /// A `go.work`.
    GoWork,
}

impl ModFile {
    /// Reads a file.
    pub(crate) fn parse(src: &[u8], dialect: Dialect) -> Self {
        let mut parser = Parser { out: Self::default(), dialect, block: None };
        let text = String::from_utf8_lossy(src);
        if let Err(error) = std::str::from_utf8(src) {
            let line = src[..error.valid_up_to()].split(|&b| b == b'\n').count();
            parser.error(line as u32, 0, "invalid UTF-8", None);
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        for (number, line) in (1..).zip(text.split('\n')) {
            parser.line(line, number);
        }
        if let Some((directive, line)) = parser.block.take() {
            parser.error(line, 0, format!("unclosed block `{directive} (`"), Some("add the missing `)`"));
        }
        if dialect == Dialect::GoMod && parser.out.module.is_empty() {
            parser.error(1, 0, "no module path", Some("add a line `module example.com/name`"));
        }
        parser.out
    }
}

struct Parser {
    out: ModFile,
    dialect: Dialect,
    /// The directive of the open block, and its line.
    block: Option<(String, u32)>,
}

/// A word of a line, with its 1-based column.
#[derive(Debug)]
struct Token {
    text: String,
    column: u32,
    quoted: bool,
}

impl Parser {
    fn error(&mut self, line: u32, column: u32, message: impl Into<String>, hint: Option<&str>) {
        let hint = hint.map(str::to_owned);
        self.out.errors.push(LineError { line, column, message: message.into(), hint });
    }

    fn line(&mut self, text: &str, number: u32) {
        let tokens = match tokens(text) {
            Ok(tokens) => tokens,
            Err((column, message)) => return self.error(number, column, message, None),
        };
        let is = |token: Option<&Token>, text| token.is_some_and(|token| !token.quoted && token.text == text);
        let Some(first) = tokens.first() else { return };
        if is(Some(first), ")") {
            if self.block.take().is_none() {
                self.error(number, first.column, "unexpected `)`", None);
            }
            if let Some(extra) = tokens.get(1) {
                self.error(number, extra.column, "unexpected text after `)`", None);
            }
            return;
        }
        if let Some((directive, _)) = &self.block {
            let directive = directive.clone();
            return self.directive(&directive, &tokens, number);
        }
        if is(tokens.get(1), "(") {
            if is(tokens.get(2), ")") {
                return;
            }
            if let Some(extra) = tokens.get(2) {
                self.error(number, extra.column, "unexpected text after `(`", None);
            }
            self.block = Some((first.text.clone(), number));
            if !self.knows(&first.text) {
                self.unknown(&first.text, first.column, number);
            }
            return;
        }
        if !self.knows(&first.text) {
            return self.unknown(&first.text, first.column, number);
        }
        self.directive(&first.text, &tokens[1..], number);
    }

    fn knows(&self, directive: &str) -> bool {
        match self.dialect {
            Dialect::GoWork => matches!(directive, "go" | "toolchain" | "godebug" | "use" | "replace"),
            Dialect::GoMod | Dialect::Dependency => matches!(
                directive,
                "module"
                    | "go"
                    | "toolchain"
                    | "godebug"
                    | "require"
                    | "exclude"
                    | "replace"
                    | "retract"
                    | "tool"
                    | "ignore"
            ),
        }
    }

    fn unknown(&mut self, directive: &str, column: u32, line: u32) {
        if self.dialect != Dialect::Dependency {
            let hint =
                "known directives are module, go, toolchain, godebug, require, exclude, replace, retract, tool, ignore";
            let hint = if self.dialect == Dialect::GoWork {
                "known directives are go, toolchain, godebug, use, replace"
            } else {
                hint
            };
            self.error(line, column, format!("unknown directive `{directive}`"), Some(hint));
        }
    }

    fn directive(&mut self, directive: &str, args: &[Token], line: u32) {
        let words: Vec<&str> = args.iter().map(|token| token.text.as_str()).collect();
        let column = args.first().map_or(0, |token| token.column);
        match (directive, words.as_slice()) {
            ("module", &[path]) => {
                if self.out.module.is_empty() {
                    path.clone_into(&mut self.out.module);
                } else {
                    self.error(line, column, "repeated `module` line", None);
                }
            }
            ("go", &[version]) => match GoVersion::parse(version).filter(|_| !version.starts_with("go")) {
                Some(version) => self.out.go = Some(version),
                None => {
                    self.error(line, column, format!("`{version}` is no Go version"), Some("write it as `go 1.22`"));
                }
            },
            ("toolchain", &["default"]) => {}
            ("toolchain", &[name]) => match GoVersion::of_toolchain(name) {
                Some(version) => self.out.toolchain = Some(version),
                None => {
                    let hint = "write it as `toolchain go1.22.1`";
                    self.error(line, column, format!("`{name}` is no Go tool chain"), Some(hint));
                }
            },
            ("require", &[path, version]) if is_version(version) => {
                self.out.requires.push(ModuleVersion { path: path.to_owned(), version: version.to_owned() });
            }
            ("exclude", &[path, version]) if is_version(version) => {
                self.out.excludes.push(ModuleVersion { path: path.to_owned(), version: version.to_owned() });
            }
            ("require" | "exclude", &[path, version]) => {
                let hint = format!("write a version such as `{path} v1.2.3`");
                self.error(line, args[1].column, format!("`{version}` is no version"), Some(&hint));
            }
            ("replace", words) => self.replace(words, column, line),
            ("use", &[dir]) => self.out.uses.push((dir.to_owned(), line)),
            ("ignore", &[dir]) => self.out.ignores.push(dir.to_owned()),
            ("tool" | "godebug", &[_]) | ("retract", [_, ..]) => {}
            _ if !self.knows(directive) => {}
            _ => {
                let usage = match directive {
                    "module" => "module example.com/name",
                    "go" => "go 1.22",
                    "require" => "require example.com/name v1.2.3",
                    "exclude" => "exclude example.com/name v1.2.3",
                    "use" => "use ./dir",
                    "ignore" => "ignore ./dir",
                    "tool" => "tool example.com/cmd/name",
                    "retract" => "retract v1.2.3",
                    "toolchain" => "toolchain go1.22.1",
                    _ => "godebug name=value",
                };
                self.error(
                    line,
                    column,
                    format!("malformed `{directive}` line"),
                    Some(&format!("write it as `{usage}`")),
                );
            }
        }
    }

    fn replace(&mut self, words: &[&str], column: u32, line: u32) {
        let Some(arrow) = words.iter().position(|&word| word == "=>") else {
            return self.error(
                line,
                column,
                "malformed `replace` line: no `=>`",
                Some("write it as `replace example.com/old => ../new`"),
            );
        };
        let part = |words: &[&str]| match *words {
            [path] => Some(ModuleVersion { path: path.to_owned(), version: String::new() }),
            [path, version] if is_version(version) => {
                Some(ModuleVersion { path: path.to_owned(), version: version.to_owned() })
            }
            _ => None,
        };
        let (Some(old), Some(new)) = (part(&words[..arrow]), part(&words[arrow + 1..])) else {
            return self.error(
                line,
                column,
                "malformed `replace` line",
                Some("write it as `replace example.com/old => example.com/new v1.2.3`"),
            );
        };
        if new.version.is_empty() && !is_dir(&new.path) {
            let hint = "a directory starts with `./` or `../`; a module needs a version";
            return self.error(line, column, format!("replacement `{}` has no version", new.path), Some(hint));
        }
        if !new.version.is_empty() && is_dir(&new.path) {
            return self.error(
                line,
                column,
                format!("replacement directory `{}` has a version", new.path),
                Some("drop the version"),
            );
        }
        self.out.replaces.push(Replace { old, new, line });
    }
}

/// Whether a replacement names a directory.
fn is_dir(path: &str) -> bool {
    path == "."
        || path == ".."
        || ["./", "../", "/", ".\\", "..\\"].iter().any(|start| path.starts_with(start))
        || path.as_bytes().get(1) == Some(&b':')
}

fn is_version(text: &str) -> bool {
    text.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Splits a line into words, its comment dropped.
fn tokens(line: &str) -> Result<Vec<Token>, (u32, String)> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = line[at..].chars().next() {
        let column = at as u32 + 1;
        let rest = &line[at..];
        match c {
            ' ' | '\t' | '\r' => at += 1,
            '/' if rest.starts_with("//") => break,
            '/' if rest.starts_with("/*") => return Err((column, "comments must be `//` comments".to_owned())),
            '(' | ')' | ',' | '[' | ']' => {
                tokens.push(Token { text: c.to_string(), column, quoted: false });
                at += 1;
            }
            '"' | '`' => {
                let Some((text, len)) = string(rest, c) else {
                    return Err((column, "unclosed string".to_owned()));
                };
                tokens.push(Token { text, column, quoted: true });
                at += len;
            }
            _ => {
                let end = rest.find([' ', '\t', '\r', '(', ')', ',', '[', ']', '"', '`']).unwrap_or(rest.len());
                let end = rest.find("//").map_or(end, |comment| end.min(comment.max(1)));
                tokens.push(Token { text: rest[..end].to_owned(), column, quoted: false });
                at += end;
            }
        }
    }
    Ok(tokens)
}

/// Reads a quoted string off the front: its value, and its length in the source.
fn string(text: &str, quote: char) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((i, c)) = chars.next() {
        match c {
            c if c == quote => return Some((value, i + 1)),
            '\\' if quote == '"' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Dialect, ModFile, ModuleVersion, Replace};
    use crate::GoVersion;

    fn module(path: &str, version: &str) -> ModuleVersion {
        ModuleVersion { path: path.to_owned(), version: version.to_owned() }
    }

    fn parse(src: &str) -> ModFile {
        ModFile::parse(src.as_bytes(), Dialect::GoMod)
    }

    #[test]
    fn reads_every_directive() {
        let file = parse(
            "// Deprecated: no\nmodule \"example.com/a\" // here\r\n\ngo 1.22.1\ntoolchain go1.23.0\n\
             require example.com/b v1.0.0 // indirect\nrequire (\n\texample.com/c v0.0.0-2020-x\n\n\t// c\n\t`d.org/d` v2.0.0+incompatible\n)\n\
             replace example.com/b => ./b\nreplace (\n\texample.com/c v1.0.0 => example.com/c2 v1.1.0\n)\n\
             exclude example.com/e v1.0.0\nretract [v1.0.0, v1.2.0] // bad\nretract (\n\tv1.0.0\n)\n\
             tool example.com/t/cmd\ngodebug default=go1.21\ngodebug (\n)\nignore ./x\nignore (\n\ty\n)\nrequire ()\n",
        );
        assert_eq!(file.errors, []);
        assert_eq!(file.module, "example.com/a");
        assert_eq!((file.go, file.toolchain), (Some(GoVersion::new(1, 22)), Some(GoVersion::new(1, 23))));
        assert_eq!(
            file.requires,
            [
                module("example.com/b", "v1.0.0"),
                module("example.com/c", "v0.0.0-2020-x"),
                module("d.org/d", "v2.0.0+incompatible"),
            ],
        );
        assert_eq!(
            file.replaces,
            [
                Replace { old: module("example.com/b", ""), new: module("./b", ""), line: 13 },
                Replace { old: module("example.com/c", "v1.0.0"), new: module("example.com/c2", "v1.1.0"), line: 15 },
            ],
        );
        assert_eq!(file.excludes, [module("example.com/e", "v1.0.0")]);
        assert_eq!(file.ignores, ["./x", "y"]);
    }

    #[test]
    fn reports_malformed_lines_and_keeps_the_rest() {
        for (line, at, message) in [
            ("requires a v1", (2, 1), "unknown directive `requires`"),
            ("require a", (2, 9), "malformed `require` line"),
            ("require a latest", (2, 11), "`latest` is no version"),
            ("go 1.x", (2, 4), "`1.x` is no Go version"),
            ("go", (2, 0), "malformed `go` line"),
            ("toolchain 1.22.1", (2, 11), "`1.22.1` is no Go tool chain"),
            ("toolchain", (2, 0), "malformed `toolchain` line"),
            ("replace a b", (2, 9), "malformed `replace` line: no `=>`"),
            ("replace a => b", (2, 9), "replacement `b` has no version"),
            ("replace a => ./b v1.0.0", (2, 9), "replacement directory `./b` has a version"),
            ("replace => b v1.0.0", (2, 9), "malformed `replace` line"),
            ("module y", (2, 8), "repeated `module` line"),
            (")", (2, 1), "unexpected `)`"),
            ("/* x */", (2, 1), "comments must be `//` comments"),
            ("require \"a v1.0.0", (2, 9), "unclosed string"),
        ] {
            let file = parse(&format!("module x\n{line}\nrequire ok v1.0.0\n"));
            assert_eq!(file.requires, [module("ok", "v1.0.0")], "{line}");
            let [error] = file.errors.as_slice() else { panic!("{line}: {:?}", file.errors) };
            assert_eq!(((error.line, error.column), error.message.as_str()), (at, message));
        }
        let open = parse("module x\nrequire (\n\tok v1.0.0\n");
        assert_eq!((open.requires.len(), open.errors.len(), open.errors[0].line), (1, 1, 2));
        assert_eq!(parse("").errors[0].message, "no module path");
        assert_eq!(ModFile::parse(b"module x\nrequire a v1.0.0 \xff\n", Dialect::GoMod).errors[0].line, 2);
        assert_eq!(ModFile::parse(b"module x\nfuture y\nfuture (\n z\n)\n", Dialect::Dependency).errors, []);
    }

    #[test]
    fn reads_a_workspace() {
        let work = b"go 1.22\nuse ./a\nuse (\n\t./b\n\t../c\n)\nreplace x => ./x\n";
        let file = ModFile::parse(work, Dialect::GoWork);
        assert_eq!(file.errors, []);
        assert_eq!(file.uses, [("./a".to_owned(), 2), ("./b".to_owned(), 4), ("../c".to_owned(), 5)]);
        assert_eq!(ModFile::parse(b"module x\n", Dialect::GoWork).errors.len(), 1);
    }

    #[test]
    fn any_bytes_are_read() {
        let seed = b"module \"m\"\nrequire (\n\ta v1.0.0 // x\n)\nreplace a => ./b\nretract [v1, v2]\n";
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as usize
        };
        for _ in 0..20_000 {
            let mut text = seed.to_vec();
            for _ in 0..=next() % 4 {
                let at = next() % text.len();
                match next() % 3 {
                    0 => text[at] = b"()[]\"`=>,/ \n\t\\\xff\x00v"[next() % 17],
                    1 => text.truncate(at + 1),
                    _ => text.insert(at, b"(\"\n`/"[next() % 5]),
                }
            }
            let dialects = [Dialect::GoMod, Dialect::Dependency, Dialect::GoWork];
            let file = ModFile::parse(&text, dialects[next() % 3]);
            assert!(file.errors.iter().all(|error| error.line as usize <= text.len() + 1));
        }
    }
}

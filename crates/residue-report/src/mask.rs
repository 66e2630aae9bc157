//! Hides what looks like a credential, wherever source text is shown.
//!
//! A report travels further than the source: into CI logs, tickets and chat.
//! Hiding a harmless literal costs a reader one look at the file; showing a
//! password costs more. So doubtful literals are hidden.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::Regex;

/// What stands in for hidden text.
pub(crate) const MASK: &str = "***";

/// Credentials that are known by their own shape. The group `s` is what to
/// hide; without one, the whole match is.
static TOKENS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    compile(&[
        // Private keys, in full or cut off by the end of the text.
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?P<s>.*?)(?:-----END|\z)",
        // Tokens that announce their issuer.
        r"\b(?:A3T[A-Z0-9]|AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA)[A-Z0-9]{16}\b",
        r"\bgh[pousr]_[A-Za-z0-9]{20,}",
        r"\bgithub_pat_[A-Za-z0-9_]{20,}",
        r"\bgl[a-z]{2,6}-[A-Za-z0-9_-]{16,}",
        r"\bxox[a-z]-[A-Za-z0-9-]{10,}",
        r"\bxapp-[A-Za-z0-9-]{10,}",
        r"hooks\.slack\.com/services/(?P<s>[A-Za-z0-9/_-]+)",
        r"\b(?:sk|rk|pk|whsec)_(?:live|test)_[A-Za-z0-9]{10,}",
        r"\bsk-[A-Za-z0-9_-]{20,}",
        r"\bAIza[A-Za-z0-9_-]{30,}",
        r"\bya29\.[A-Za-z0-9_-]{20,}",
        r"\b(?:npm|dop_v1|dapi|shpat|shpss|glsa|PMAK|lin_api|hf|pypi|rubygems)[_-][A-Za-z0-9_-]{16,}",
        r"\bhv[sbr]\.[A-Za-z0-9_-]{16,}",
        r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
        r"\bey[A-Za-z0-9_-]{8,}\.ey[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",
    ])
});

/// Credentials that are known by what stands around them. In code these shapes
/// are ordinary (`token := next()`), so they apply to literals, comments and
/// messages only.
static PLACES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    compile(&[
        // Passwords inside URLs and connection strings.
        r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#:@]*:(?P<s>[^\s/?#]+)@",
        // A token alone, as code hosts take it. A short name (`git@`) is a user's.
        r"(?i)https?://(?P<s>[^\s/?#:@]{4,})@",
        r#"\b[^\s:@/"'`]+:(?P<s>[^\s@"'`]+)@(?:tcp|udp|unix)\("#,
        r"(?i)\b(?:bearer|basic|negotiate)\s+(?P<s>[A-Za-z0-9+/_.~=-]{8,})",
        // SQL: `IDENTIFIED BY '…'`, `WITH PASSWORD '…'`.
        r#"(?i)\bidentified\s+(?:with\s+\S+\s+)?(?:by|as)\s+(?:password\s+)?\\?["'](?P<s>[^"'\\]+)"#,
        r"(?i)\bpassword\s+'(?P<s>[^']+)'",
        // Prose: `the password is "…"`. Without quotes, what holds more than letters: `password is missing` is no secret.
        r#"(?i)(?:passw(?:or)?d|passphrase|\bpwd?|secret|token|api[ _-]?key|access[ _-]?key|credential)\s+(?:is|was)\s+\\?["'`](?P<s>[^\s"'`%\\]+)"#,
        r#"(?i)(?:passw(?:or)?d|passphrase|\bpwd?|secret|token|api[ _-]?key|access[ _-]?key|credential)\s+(?:is|was)\s+(?P<s>[^\s"'`%\\0-9$&@#^*+=~]*[0-9$&@#^*+=~][^\s"'`,;\\]*)"#,
        // `password=…`, `"api_key": "…"`, `token: …` inside longer text.
        r#"(?i)(?:passw(?:or)?d|passphrase|\bpwd|\bpw\b|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|client[_-]?secret|account[_-]?key|sharedaccesskey)[a-z0-9_-]*\\?["'`]?\s*(?:=>|:=|[:=])\s*\\?["'`]?(?P<s>[^\s"'`;&,\\]{3,})"#,
    ])
});

fn compile(shapes: &[&str]) -> Vec<Regex> {
    let compile = |shape| Regex::new(&format!("(?s-u){shape}"));
    let compiled = shapes.iter().map(compile).collect::<Result<_, _>>();
    compiled.expect("the shapes are constants, compiled by a test")
}

/// The parts of a literal, a comment or a message to hide, in order and apart
/// from each other.
pub(crate) fn find(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = find_tokens(text);
    apply(&PLACES, text, &mut found);
    random_runs(text, &mut found);
    merge(found)
}

/// The parts of any text to hide, code included.
pub(crate) fn find_tokens(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    apply(&TOKENS, text, &mut found);
    found
}

fn apply(shapes: &[Regex], text: &[u8], found: &mut Vec<Range<usize>>) {
    for shape in shapes {
        for captures in shape.captures_iter(text) {
            if let Some(part) = captures.name("s").or_else(|| captures.get(0)) {
                found.push(part.range());
            }
        }
    }
}

/// Sorts ranges and joins those that touch.
pub(crate) fn merge(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| (range.start, range.end));
    ranges.dedup_by(|next, last| {
        let touches = next.start <= last.end;
        if touches {
            last.end = last.end.max(next.end);
        }
        touches
    });
    ranges
}

/// `text` with everything that looks like a credential hidden.
pub(crate) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for hidden in find(text.as_bytes()) {
        // Shapes match bytes: widen to whole characters.
        let start = text.floor_char_boundary(hidden.start).max(done);
        let end = text.ceil_char_boundary(hidden.end).max(start);
        out.push_str(&text[done..start]);
        out.push_str(MASK);
        done = end;
    }
    out.push_str(&text[done..]);
    out
}

/// Whether an identifier, a map key or an environment variable names a secret.
pub(crate) fn is_secret_name(name: &[u8]) -> bool {
    static NAMES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?ix-u)
              passw(?:or)?d | passphrase | passcode | pwd | \Apw\z | _(?:pass|pw)\z | (?-i:[a-z0-9](?:Pass|P[wW])\z) | secret | token | credential
            | api_?-?key | access_?-?key | private_?-?key | auth_?-?key | signing_?-?key
            | authorization | cookie | \A(?:db_?)?dsn\z | bearer | webhook_?-?url",
        )
        .expect("a constant, compiled by a test")
    });
    name.len() <= 128 && NAMES.is_match(name)
}

/// Whether a literal ends where a secret's value would follow: `"host=db password="`.
fn announces_secret(text: &[u8]) -> bool {
    static ENDS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r#"(?ix-u)
              (?: passw(?:or)?d | passphrase | \bpwd? | secret | token | credential | api[_-]?key | access[_-]?key
                | private[_-]?key | account[_-]?key | \bbearer )
              [a-z0-9_-]* (?: \\?["'`]? \s* [=:] \s* \\?["'`]? )\z
              | \bidentified \s+ by \s+ '? \z | \bbearer \s+ \z"#,
        )
        .expect("a constant, compiled by a test")
    });
    // The end is enough, and literals can be long.
    ENDS.is_match(&text[text.len().saturating_sub(128)..])
}

/// Functions that take a password after other arguments: their names, how many come before it.
const PASSWORD_AFTER: &[(&[u8], usize)] =
    &[(b"SetBasicAuth", 1), (b"WithBasicAuth", 1), (b"UserPassword", 1), (b"PlainAuth", 2)];

/// What stands before the identity of a program in our own messages: who looks for the program needs it.
const BUILD_ID: &[u8] = b"build id ";

/// Runs of letters and digits that change between the two too often to be
/// words: keys, hashes, sealed tokens.
fn random_runs(text: &[u8], found: &mut Vec<Range<usize>>) {
    const RUN_MIN: usize = 20;
    let is_key = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'_' | b'-');
    let mut start = 0;
    while start < text.len() {
        if !is_key(text[start]) {
            start += 1;
            continue;
        }
        let len = text[start..].iter().take_while(|b| is_key(**b)).count();
        let run = &text[start..start + len];
        // Of a path each part is looked at alone: the folder is no secret.
        let parts = is_path(run);
        let mut at = start;
        for part in run.split(|b| parts && *b == b'/') {
            let is_known = is_pseudo_version(part) || text[..at].ends_with(BUILD_ID);
            if part.len() >= RUN_MIN && !is_known && looks_random(part) {
                found.push(at..at + part.len());
            }
            at += part.len() + 1;
        }
        start += len;
    }
}

/// An absolute path: its first folder is a word.
fn is_path(run: &[u8]) -> bool {
    let mut parts = run.split(|b| *b == b'/');
    let (before, folder) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    before.is_empty() && folder.len() >= 2 && folder.iter().all(u8::is_ascii_lowercase) && parts.next().is_some()
}

/// The time and commit of a Go module version: `20260819172001-e6e3fd93e4be`.
fn is_pseudo_version(run: &[u8]) -> bool {
    let mut parts = run.split(|b| *b == b'-');
    let (time, commit) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let time = time.len() == 14 && time.iter().all(u8::is_ascii_digit);
    time && commit.len() == 12 && commit.iter().all(u8::is_ascii_hexdigit) && parts.next().is_none()
}

fn looks_random(run: &[u8]) -> bool {
    let mut changes = 0;
    let mut last = None;
    let mut counts = [0_u32; 256];
    let mut symbols = 0_u32;
    for &byte in run {
        counts[byte as usize] += 1;
        if byte.is_ascii_alphanumeric() {
            symbols += 1;
            let digit = byte.is_ascii_digit();
            changes += usize::from(last.is_some_and(|last| last != digit));
            last = Some(digit);
        } else {
            // `v1/v2/v3` changes only inside its parts.
            last = None;
        }
    }
    let total = f64::from(u32::try_from(run.len()).unwrap_or(u32::MAX));
    let entropy: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / total;
            -share * share.log2()
        })
        .sum();
    symbols >= 16 && changes >= 4.max(run.len() / 10) && entropy >= 3.0
}

/// A string literal or comment of a Go file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    /// What it covers, without the quotes.
    pub(crate) range: Range<usize>,
    /// It is given to something with a secret's name: hide all of it.
    pub(crate) secret: bool,
}

/// The string literals and comments of a Go file, in order.
///
/// A literal is marked as a secret by what stands before it on the line:
/// `password := "…"`, `Token: "…"`, `Setenv("API_KEY", "…")`.
pub(crate) fn regions(source: &[u8]) -> Vec<Region> {
    let mut regions = Vec::new();
    let mut name = Name::default();
    let mut at = 0;
    while let Some(&byte) = source.get(at) {
        let rest = &source[at..];
        match byte {
            b'/' if rest.starts_with(b"//") => {
                let len = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                regions.push(Region { range: at..at + len, secret: false });
                at += len;
            }
            b'/' if rest.starts_with(b"/*") => {
                let len = memchr::memmem::find(&rest[2..], b"*/").map_or(rest.len(), |n| n + 4);
                regions.push(Region { range: at..at + len, secret: false });
                at += len;
            }
            b'"' | b'`' | b'\'' => {
                let len = literal_len(rest);
                let closed = len > 1 && rest[len - 1] == byte;
                let range = at + 1..at + len - usize::from(closed);
                if byte != b'\'' {
                    let text = &source[range.clone()];
                    let is_key = is_key(&rest[len..]);
                    regions.push(Region { range: range.clone(), secret: name.is_secret(is_key) });
                    name.literal(text, is_key);
                }
                at += len;
            }
            _ if is_word(byte) => {
                let len = rest.iter().take_while(|b| is_word(**b)).count();
                name.word(&rest[..len]);
                at += len;
            }
            _ => {
                name.punctuation(byte);
                at += 1;
            }
        }
    }
    regions
}

/// Whether what follows a literal makes it the key of a composite literal.
fn is_key(after: &[u8]) -> bool {
    after.iter().find(|b| !matches!(b, b' ' | b'\t')) == Some(&b':')
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The length of the literal that opens `text`, with its quotes. An unclosed
/// `"` or `'` ends with its line, an unclosed backquote with the file.
fn literal_len(text: &[u8]) -> usize {
    let quote = text[0];
    if quote == b'`' {
        return memchr::memchr(b'`', &text[1..]).map_or(text.len(), |n| n + 2);
    }
    let mut at = 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\n' => return at,
            b'\\' if text.get(at + 1).is_some_and(|next| *next != b'\n') => at += 2,
            _ if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// What the next literal would be given to.
#[derive(Default)]
struct Name {
    /// The last name that counts was a secret's.
    secret: bool,
    /// It was written as a string (a map key, the name of a variable).
    quoted: bool,
    /// `:` or `=` came after it.
    assigned: bool,
    /// Inside the braces of a list given to it: `"password": {"…", "…"}`.
    list: bool,
    /// How many commas come before the password of the call.
    before: Option<usize>,
    /// The line goes on: the last token can't end a statement.
    continues: bool,
}

impl Name {
    fn is_secret(&self, is_key: bool) -> bool {
        self.secret || self.list && !is_key
    }

    fn word(&mut self, word: &[u8]) {
        self.continues = false;
        // Types and `var` don't name what they hold.
        if matches!(word, b"string" | b"byte" | b"const" | b"var" | b"any") {
            return;
        }
        let takes = PASSWORD_AFTER.iter().find(|(name, _)| *name == word);
        self.before = takes.map(|(_, before)| *before).or(self.before);
        self.secret = takes.is_none() && (is_secret_name(word) || matches!(word, b"pass" | b"Pass"));
        self.quoted = false;
        self.assigned = false;
        self.list = false;
    }

    fn literal(&mut self, text: &[u8], is_key: bool) {
        self.continues = false;
        let named = text.len() <= 64 && text.iter().all(|b| is_word(*b) || matches!(b, b'-' | b'.'));
        self.secret = named && is_secret_name(text) || announces_secret(text);
        self.quoted = true;
        self.assigned = false;
        self.list &= !is_key;
    }

    fn punctuation(&mut self, byte: u8) {
        match byte {
            b' ' | b'\t' | b'\r' => return,
            b'\n' if self.continues => return,
            b':' | b'=' => self.assigned = true,
            // `"password": {"…"}` and `m["password"] = []string{"…"}`; other braces open a block or a struct.
            b'{' => {
                self.list = self.secret && self.quoted && self.assigned;
                self.secret = false;
                self.before = None;
            }
            b'\n' | b';' | b'}' => {
                self.secret = false;
                self.list = false;
                self.before = None;
            }
            b')' => self.secret = false,
            b',' => {
                // `f(password, "x")` says nothing about "x"; `Set("token", "x")` does.
                self.secret &= self.quoted;
                self.before = self.before.and_then(|before| before.checked_sub(1));
                if self.before == Some(0) {
                    self.before = None;
                    self.secret = true;
                    self.quoted = true;
                }
            }
            _ => {}
        }
        self.continues = !matches!(byte, b'\n' | b')' | b']' | b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(source: &str) -> Vec<&str> {
        regions(source.as_bytes())
            .into_iter()
            .filter(|region| region.secret)
            .map(|region| &source[region.range])
            .collect()
    }

    #[test]
    fn shapes_compile_and_hide() {
        // Assembled, so that no scanner takes these lines for real keys.
        let cases = [
            (format!("key AKIA{} end", "IOSFODNN7EXAMPLE"), "key *** end"),
            (format!("ghp_{}", "a1B2".repeat(9)), "***"),
            ("postgres://app:hunter2@db:5432/x".to_owned(), "postgres://app:***@db:5432/x"),
            ("app:hunter2@tcp(db:3306)/x".to_owned(), "app:***@tcp(db:3306)/x"),
            ("host=db password=hunter2 sslmode=off".to_owned(), "host=db password=*** sslmode=off"),
            (r#"{"api_key": "abc-def"}"#.to_owned(), r#"{"api_key": "***"}"#),
            ("Authorization: Bearer abcdefgh12".to_owned(), "Authorization: Bearer ***"),
            (
                format!("-----BEGIN RSA PRIVATE KEY-----{}\n-----END RSA PRIVATE KEY-----", "\nMIIE"),
                "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----",
            ),
            (format!("eyJhbGciOi.{}.sig", "eyJzdWIiOiIx"), "***"),
            ("a 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b end".to_owned(), "a *** end"),
            (
                "the program is /srv/r2d2/c3p0/9f86d081884c7d659a2feaa0c55ad015-app/bin/x".to_owned(),
                "the program is /srv/r2d2/c3p0/***/bin/x",
            ),
            ("/aB3dE5fG7hI9/kL1mN3oP5qR7sT9uV1wX3yZ5".to_owned(), "***"),
            ("https://sometoken@github.com/x".to_owned(), "https://***@github.com/x"),
            ("CREATE USER a IDENTIFIED BY 'pw'".to_owned(), "CREATE USER a IDENTIFIED BY '***'"),
            ("ALTER ROLE a WITH PASSWORD 'pw'".to_owned(), "ALTER ROLE a WITH PASSWORD '***'"),
            ("// the password is hunter2, sorry".to_owned(), "// the password is ***, sorry"),
            ("// password is \"swordfish\"".to_owned(), "// password is \"***\""),
            ("// password: swordfish".to_owned(), "// password: ***"),
            ("// pw = swordfish".to_owned(), "// pw = ***"),
            ("passwörd=geheimé".to_owned(), "passwörd=geheimé"),
            ("token=geheimé!".to_owned(), "token=***"),
        ];
        for (text_, want) in cases {
            assert_eq!(text(&text_), want, "{text_}");
        }
    }

    #[test]
    fn ordinary_text_is_shown() {
        for plain in [
            "github.com/cilium/ebpf/internal/sys",
            "github.com/Azure/azure-sdk-for-go/services/v2/compute2",
            "the response body is never closed",
            "http://example.com:8080/path?x=1",
            "TestResponseBodyIsClosedWhenDecodeFailsOnHTTP2",
            "application/x-www-form-urlencoded",
            "can panic: type assertion `v.(map[string]any)` at decode.go:19",
            "2006-01-02T15:04:05.999999999Z07:00",
            "password is missing",
            "app is missing (build id 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b)",
            "the token is %q",
            "the secret is not found in v1.2",
            "ssh://git@github.com/x/y.git",
            "https://git@github.com/x/y.git",
            "identified by its name",
            "example.com/x@v1.39.1-0.20260819172001-e6e3fd93e4be",
        ] {
            assert_eq!(text(plain), plain);
        }
    }

    #[test]
    fn names_make_literals_secret() {
        assert_eq!(secrets(r#"password := "x""#), ["x"]);
        assert_eq!(secrets(r#"var dbPassword string = "x""#), ["x"]);
        assert_eq!(secrets("key := []byte(\"y\")\napiKey := []byte(`x`)"), ["x"]);
        assert_eq!(secrets(r#"Config{User: "u", Password: "x", Host: "h"}"#), ["x"]);
        assert_eq!(secrets(r#"os.Setenv("DB_PASSWORD", "x")"#), ["x"]);
        assert_eq!(secrets(r#"h.Set("Authorization", "x" + y)"#), ["x"]);
        assert_eq!(secrets(r#"m["token"] = "x""#), ["x"]);
        assert_eq!(secrets("secret :=\n\t\"x\""), ["x"]);
        assert_eq!(secrets(r#"WithToken("x")"#), ["x"]);
        assert_eq!(secrets(r#"if token == "x" {"#), ["x"]);
        for name in ["pw", "pwd", "pass", "passwd", "passphrase", "secret", "token", "apikey", "dbPass", "db_pw"] {
            assert_eq!(secrets(&format!("{name} := \"x\"")), ["x"], "{name}");
        }
    }

    #[test]
    fn lists_arguments_and_sums_are_followed() {
        assert_eq!(secrets(r#"url.Values{"password": {"x"}, "user": {"u"}}"#), ["x"]);
        assert_eq!(secrets("url.Values{\n\"password\": {\n\"x\",\n\"y\",\n},\n\"user\": {\"u\"}}"), ["x", "y"]);
        assert_eq!(secrets(r#"v := url.Values{"client_secret": []string{"x", "y"}}; f("z")"#), ["x", "y"]);
        assert_eq!(secrets(r#"m["token"] = []string{"x"}"#), ["x"]);
        assert_eq!(secrets(r#"r.SetBasicAuth("admin", "x")"#), ["x"]);
        assert_eq!(secrets("r.SetBasicAuth(user(),\n\"x\",\n)\nf(\"a\", \"b\")"), ["x"]);
        assert_eq!(secrets(r#"url.UserPassword("u", "x")"#), ["x"]);
        assert_eq!(secrets(r#"smtp.PlainAuth("", "u", "x", "host")"#), ["x"]);
        assert_eq!(secrets(r#"dsn2 := "user=u password=" + "x""#), ["x"]);
        assert_eq!(secrets(r#""Bearer " + "x""#), ["x"]);
    }

    #[test]
    fn other_literals_are_not() {
        for source in [
            r#"os.Getenv("DB_PASSWORD")"#,
            r#"hash(password, "sha256")"#,
            "password := read()\nname := \"x\"",
            r#"fmt.Errorf("bad token %q", x)"#,
            "// password := \"x\"",
            "' password := \"x\"",
            r#"r.SetBasicAuth(user, pass); f("a", "b")"#,
            "if kind == \"token\" {\n\tf(\"x\", \"y\")\n}",
            "switch kind {\ncase \"token\":\n\tf(\"x\")\n}",
            r#"map[string]M{"token": {"kind": "x", "of": "y"}}"#,
            r#"[]T{{Name: "token"}, {Name: "x"}}"#,
            r#"compass := "x""#,
            r#"tokens := []string{"if", "else"}"#,
        ] {
            assert_eq!(secrets(source), [""; 0], "{source}");
        }
    }

    #[test]
    fn regions_are_total() {
        for source in ["\"", "`", "'", "/*", "//", "\"\\", "\"\\\n\"", "'\\'", "/*/", "\"\n", "`\n"] {
            for region in regions(source.as_bytes()) {
                assert!(region.range.end <= source.len(), "{source:?}");
                assert!(region.range.start <= region.range.end, "{source:?}");
            }
        }
    }

    #[test]
    fn touching_ranges_are_joined() {
        assert_eq!(merge(vec![5..9, 0..2, 2..4, 6..7, 3..3]), vec![0..4, 5..9]);
    }
}

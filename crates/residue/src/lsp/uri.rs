//! `file:` URIs (RFC 8089, RFC 3986) and paths.

use std::path::{Path, PathBuf};

/// The path that a URI names; none for other schemes, and where it is no URI.
pub(super) fn to_path(uri: &str) -> Option<PathBuf> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("file") {
        return None;
    }
    // An authority other than this machine names a share of another.
    let path = match rest.strip_prefix("//") {
        Some(rest) => {
            let slash = rest.find('/')?;
            let (authority, path) = rest.split_at(slash);
            (authority.is_empty() || authority.eq_ignore_ascii_case("localhost")).then_some(path)?
        }
        None => rest,
    };
    let path = path.split(['?', '#']).next()?;
    let bytes = decode(path)?;
    if bytes.first() != Some(&b'/') || bytes.contains(&0) {
        return None;
    }
    let path = from_bytes(bytes)?;
    Some(path.components().collect())
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
            out.push((high * 16 + low) as u8);
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere not all bytes are a path")]
fn from_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    Some(std::ffi::OsString::from_vec(bytes).into())
}

#[cfg(not(unix))]
fn from_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
    let text = String::from_utf8(bytes).ok()?;
    // `/c:/dir` is `c:/dir`.
    let drive = text.as_bytes().get(2) == Some(&b':');
    Some(PathBuf::from(if drive { &text[1..] } else { &text }))
}

/// The URI of an absolute path.
pub(super) fn of(path: &Path) -> String {
    let mut uri = "file://".to_owned();
    let text = bytes(path);
    if text.first() != Some(&b'/') {
        uri.push('/');
    }
    for byte in text {
        // What RFC 3986 allows in a path, and the colon not: editors disagree about it, and escaped it is always right.
        if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri += &format!("%{byte:02X}");
        }
    }
    uri
}

#[cfg(unix)]
fn bytes(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    path.as_os_str().as_bytes().to_vec()
}

#[cfg(not(unix))]
fn bytes(path: &Path) -> Vec<u8> {
    path.to_string_lossy().replace('\\', "/").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive() {
        for path in ["/w/a.go", "/w/a b/ä%20.go", "/w/#x?/[y].go", "/日本/語.go"] {
            assert_eq!(to_path(&of(Path::new(path))).as_deref(), Some(Path::new(path)), "{}", of(Path::new(path)));
        }
        assert_eq!(of(Path::new("/w/a b.go")), "file:///w/a%20b.go");
    }

    #[test]
    fn what_is_no_file_is_none() {
        let none = [
            "",
            "x",
            "untitled:Untitled-1",
            "http://h/x",
            "file://host/x",
            "file:x",
            "file:///%zz",
            "file:///%0",
            "file:///a%00",
        ];
        for uri in none {
            assert_eq!(to_path(uri), None, "{uri}");
        }
        for uri in ["file:///w/./a.go", "file:/w/a.go", "FILE://localhost/w/a.go", "file:///w/%61.go#L1"] {
            assert_eq!(to_path(uri).as_deref(), Some(Path::new("/w/a.go")), "{uri}");
        }
    }
}

//! The language of Graphviz, as far as it is written here.

/// A string of the language; line feeds are its `\n`. Nothing in it means anything but itself.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn nothing_ends_a_string_early() {
        assert_eq!(quoted("a\"]; b\\N\nc\\"), r#""a\"]; b\\N\nc\\""#);
    }
}

//! Text for XML 1.0.

/// Text for an element or an attribute in double quotes. Two characters that XML has no way to say are replaced, and control
/// characters but for tabs and line feeds.
pub fn xml_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            // Also breaks `]]>`.
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' => out.push(c),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::xml_text;

    #[test]
    fn nothing_in_it_is_taken_for_xml() {
        assert_eq!(xml_text("a<script>&\"'\u{ffff}\u{0}"), "a&lt;script&gt;&amp;&quot;'\u{fffd}\u{fffd}");
        assert_eq!(xml_text("a\n\tb]]>\r"), "a\n\tb]]&gt;\u{fffd}");
    }
}

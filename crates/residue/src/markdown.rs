//! The Markdown of rule pages on a terminal.
//!
//! Rule pages use headings, paragraphs, lists, code blocks, `code` and
//! **strong** text, and that is what is understood here.

use clap::builder::styling::{AnsiColor, Effects, Style};

const HEADING: Style = AnsiColor::BrightBlue.on_default().effects(Effects::BOLD);
const CODE: Style = AnsiColor::Cyan.on_default();
const STRONG: Style = Style::new().effects(Effects::BOLD);

/// Lays a page out, `width` columns wide.
pub(crate) fn render(page: &str, width: usize, colour: bool) -> String {
    let mut out = String::new();
    let mut paragraph = String::new();
    let mut in_code = false;
    for line in page.lines() {
        if line.starts_with("```") {
            flush(&mut paragraph, &mut out, width, colour);
            in_code = !in_code;
        } else if in_code {
            if !line.is_empty() {
                out.push_str("    ");
                out.push_str(&paint(CODE, &line.replace('\t', "    "), colour));
            }
            out.push('\n');
        } else if line.trim().is_empty() {
            flush(&mut paragraph, &mut out, width, colour);
            if !out.is_empty() && !out.ends_with("\n\n") {
                out.push('\n');
            }
        } else if let Some(heading) = heading(line) {
            flush(&mut paragraph, &mut out, width, colour);
            out.push_str(&paint(HEADING, heading, colour));
            out.push('\n');
        } else {
            if line.starts_with("- ") {
                flush(&mut paragraph, &mut out, width, colour);
            } else if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(line.trim());
        }
    }
    flush(&mut paragraph, &mut out, width, colour);
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn heading(line: &str) -> Option<&str> {
    line.starts_with('#').then(|| line.trim_start_matches('#').trim())
}

/// Writes a paragraph or list item, broken between words.
fn flush(paragraph: &mut String, out: &mut String, width: usize, colour: bool) {
    let indent = if paragraph.starts_with("- ") { "  " } else { "" };
    let mut wrapped = String::new();
    let mut used = 0;
    for word in paragraph.split_whitespace() {
        let len = word.chars().count();
        if used > 0 && used + 1 + len > width {
            wrapped.push('\n');
            wrapped.push_str(indent);
            used = indent.len();
        } else if used > 0 {
            wrapped.push(' ');
            used += 1;
        }
        wrapped.push_str(word);
        used += len;
    }
    if !wrapped.is_empty() {
        out.push_str(&if colour { spans(&wrapped) } else { wrapped });
        out.push('\n');
    }
    paragraph.clear();
}

/// Paints `code` and **strong** text. The marks of code stay, so that a page
/// says the same without colour.
fn spans(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some(at) = rest.find(['`', '*']) {
        let (mark, style) = if rest[at..].starts_with('`') { ("`", CODE) } else { ("**", STRONG) };
        let end = rest[at..].strip_prefix(mark).and_then(|inside| inside.find(mark));
        let Some(end) = end.map(|end| at + mark.len() + end + mark.len()) else {
            out.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
            continue;
        };
        out.push_str(&rest[..at]);
        out.push_str(&paint(style, &rest[at..end], true));
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

fn paint(style: Style, text: &str, colour: bool) -> String {
    if colour && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# R999: a title\n\nOne two\nthree `four` five.\n## Example\n```go\nif x {\n\treturn\n\n}\n```\n\
                        - a list item that is long\n  and goes on\n- **b**\n\n\nEnd\n";

    #[test]
    fn plain_pages_are_wrapped_and_indented() {
        let want = "R999: a title\n\nOne two three\n`four` five.\nExample\n    if x {\n        return\n\n    }\n\
                    - a list item\n  that is long\n  and goes on\n- **b**\n\nEnd\n";
        assert_eq!(render(PAGE, 14, false), want);
    }

    #[test]
    fn colours_add_nothing_but_colour() {
        let mut plain = render(PAGE, 14, true);
        while let Some(at) = plain.find('\u{1b}') {
            let end = plain[at..].find('m').expect("only colours are used");
            plain.replace_range(at..=at + end, "");
        }
        assert_eq!(plain, render(PAGE, 14, false));
    }

    #[test]
    fn unclosed_marks_are_text() {
        for text in ["a ` b", "a * b ** c", "`", "**", "*`*"] {
            let mut plain = spans(text);
            while let Some(at) = plain.find('\u{1b}') {
                let end = plain[at..].find('m').expect("only colours are used");
                plain.replace_range(at..=at + end, "");
            }
            assert_eq!(plain, text);
        }
    }
}

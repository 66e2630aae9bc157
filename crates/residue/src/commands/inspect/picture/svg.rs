//! The picture as SVG that needs nothing else: a layer for each step, roots on top, each node above the middle of what hangs
//! on it. No scripts, no fonts from elsewhere; colours follow what the reader prefers.

use std::io::{self, Write};

use residue_report::xml_text;
use residue_runtime::heap::Why;

use super::{Node, Picture, Role};

/// Pixels that a character of the font is wide, at most; one that isn't ASCII counts twice.
const CHAR: usize = 7;
const LINE: usize = 16;
const PADDING: usize = 8;
/// Between nodes side by side.
const GAP: usize = 24;
/// Between layers: room for an edge with two lines beside it.
const LAYER_GAP: usize = 48;
const MARGIN: usize = 16;
/// Longer texts are cut; the whole is shown when one points at it.
const CHARS_MAX: usize = 56;

const STYLE: &str = "\
:root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --faint: #57606a; --line: #8c959f; --root: #ddf4ff; \
--object: #f6f8fa; --asked: #fff1e5; --guess: #bc4c00; }
@media (prefers-color-scheme: dark) { :root { --back: #0d1117; --text: #e6edf3; --faint: #9198a1; --line: #6e7681; \
--root: #0c2d4d; --object: #161b22; --asked: #3d1e00; --guess: #ffa657; } }
text { font: 11px ui-monospace, Menlo, Consolas, monospace; fill: var(--text); }
.faint { fill: var(--faint); } .guess { fill: var(--guess); } .back { fill: var(--back); }
rect { stroke: var(--line); } .back { stroke: none; }
.root { fill: var(--root); } .object { fill: var(--object); } .asked { fill: var(--asked); stroke-width: 2; }
.left-out { fill: none; stroke: none; }
path { fill: none; stroke: var(--line); stroke-width: 1.5; } path.guess { stroke: var(--guess); stroke-dasharray: 5 4; fill: none; }
polygon { fill: var(--line); } polygon.guess { fill: var(--guess); }";

/// Where a node is.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Its middle.
    x: usize,
    top: usize,
    width: usize,
    height: usize,
}

/// Writes the drawing.
pub(in super::super) fn write(why: &Why, what: &str, how: &str, out: &mut dyn Write) -> io::Result<()> {
    let picture = Picture::new(why, what, how);
    let caption_height = picture.caption.len() * LINE + MARGIN;
    let (places, width, height) = layout(&picture.nodes, MARGIN + caption_height);
    let caption_width = picture.caption.iter().map(|line| text_width(line)).max().unwrap_or(0);
    let width = width.max(caption_width + 2 * MARGIN);
    let title = xml_text(&picture.caption.join(" · "));
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\">\n<title>{title}</title>\n<style>\n{STYLE}\n</style>\n\
         <rect class=\"back\" width=\"100%\" height=\"100%\"/>"
    )?;
    for (index, line) in picture.caption.iter().enumerate() {
        let class = if index == 0 { "" } else { " class=\"faint\"" };
        writeln!(out, "<text{class} x=\"{MARGIN}\" y=\"{}\">{}</text>", MARGIN + (index + 1) * LINE, xml_text(line))?;
    }
    for (node, place) in picture.nodes.iter().zip(&places) {
        if let Some(edge) = &node.edge {
            arrow(&places[edge.from], place, edge, out)?;
        }
    }
    for (node, place) in picture.nodes.iter().zip(&places) {
        boxed(node, place, out)?;
    }
    writeln!(out, "</svg>")
}

/// Where nodes are, and how large all is. A node has the width of what hangs on it, so that nothing overlaps.
fn layout(nodes: &[Node], top: usize) -> (Vec<Place>, usize, usize) {
    let mut places: Vec<Place> = nodes
        .iter()
        .map(|node| {
            let width = node.lines.iter().map(|line| text_width(cut(line).0)).max().unwrap_or(0) + 2 * PADDING;
            Place { width, height: node.lines.len() * LINE + PADDING, ..Place::default() }
        })
        .collect();
    let mut layers = vec![0_usize; nodes.len()];
    let mut heights: Vec<usize> = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        let layer = node.edge.as_ref().map_or(0, |edge| layers[edge.from] + 1);
        layers[number] = layer;
        heights.resize(heights.len().max(layer + 1), 0);
        heights[layer] = heights[layer].max(places[number].height);
    }
    // Children come after their parents, so that widths can be added up from the end.
    let edge_width = |number: usize| {
        nodes[number]
            .edge
            .as_ref()
            .map_or(0, |edge| 2 * (text_width(cut(&edge.field).0).max(text_width(edge.sure())) + PADDING))
    };
    let mut widths: Vec<usize> = vec![0; nodes.len()];
    for number in (0..nodes.len()).rev() {
        widths[number] = widths[number].max(places[number].width + GAP).max(edge_width(number) + GAP);
        if let Some(edge) = &nodes[number].edge {
            let own = widths[number];
            // What is there yet is the sum of children that come after this one.
            widths[edge.from] += own;
        }
    }
    // Where the next child of each begins; what a node is wider than its children is shared out on both sides.
    let mut sums = vec![0_usize; nodes.len()];
    for (number, node) in nodes.iter().enumerate() {
        if let Some(edge) = &node.edge {
            sums[edge.from] += widths[number];
        }
    }
    let mut next = vec![0_usize; nodes.len()];
    let mut next_root = MARGIN;
    let mut bottom = top;
    for number in 0..nodes.len() {
        let start = match &nodes[number].edge {
            Some(edge) => &mut next[edge.from],
            None => &mut next_root,
        };
        let left = *start;
        *start += widths[number];
        next[number] = left + widths[number].saturating_sub(sums[number]) / 2;
        let place = &mut places[number];
        place.x = left + widths[number] / 2;
        place.top = top + heights[..layers[number]].iter().map(|height| height + LAYER_GAP).sum::<usize>();
        bottom = bottom.max(place.top + place.height);
    }
    (places, next_root + MARGIN, bottom + MARGIN)
}

fn arrow(from: &Place, to: &Place, edge: &super::Edge, out: &mut dyn Write) -> io::Result<()> {
    let class = if edge.precise { "" } else { " class=\"guess\"" };
    let (start, end) = (from.top + from.height, to.top);
    let (from_x, to_x, bend) = (from.x, to.x, end - LAYER_GAP);
    // Down to the end of the layer, aside, and straight down beside its label.
    writeln!(
        out,
        "<path{class} d=\"M{from_x} {start}V{bend}L{to_x} {}V{}\"/><polygon{class} points=\"{},{} {},{} {to_x},{end}\"/>",
        bend + 10,
        end - 7,
        to_x - 4,
        end - 8,
        to_x + 4,
        end - 8,
    )?;
    let x = to_x + PADDING;
    let y = end - LAYER_GAP + 22;
    if !edge.field.is_empty() {
        label("faint", x, y, &edge.field, out)?;
    }
    let y = if edge.field.is_empty() { y + LINE / 2 } else { y + LINE - 2 };
    label(if edge.precise { "faint" } else { "guess" }, x, y, edge.sure(), out)
}

fn boxed(node: &Node, place: &Place, out: &mut dyn Write) -> io::Result<()> {
    let (class, round) = match node.role {
        Role::Root => ("root", place.height / 2),
        Role::Object => ("object", 3),
        Role::Asked => ("asked", 3),
        Role::LeftOut => ("left-out", 0),
    };
    let left = place.x - place.width / 2;
    writeln!(
        out,
        "<rect class=\"{class}\" x=\"{left}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{round}\"/>",
        place.top, place.width, place.height
    )?;
    for (index, line) in node.lines.iter().enumerate() {
        let class = if index == 0 { "text" } else { "faint" };
        label(class, left + PADDING, place.top + (index + 1) * LINE, line, out)?;
    }
    Ok(())
}

/// A line of text, cut where it is too long.
fn label(class: &str, x: usize, y: usize, text: &str, out: &mut dyn Write) -> io::Result<()> {
    let (start, is_cut) = cut(text);
    let whole = if is_cut { format!("<title>{}</title>", xml_text(text)) } else { String::new() };
    let more = if is_cut { "…" } else { "" };
    writeln!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{whole}{}{more}</text>", xml_text(start))
}

fn cut(text: &str) -> (&str, bool) {
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => (&text[..end], true),
        None => (text, false),
    }
}

/// Pixels, rather too many than too few.
fn text_width(text: &str) -> usize {
    text.chars().map(|char| if char.is_ascii() { CHAR } else { 2 * CHAR }).sum::<usize>() + CHAR
}

#[cfg(test)]
mod tests {
    use super::super::Edge;
    use super::*;

    fn node(role: Role, name: &str, from: Option<usize>) -> Node {
        let edge = from.map(|from| Edge { from, field: ".field".to_owned(), precise: false });
        Node { role, lines: vec![name.to_owned()], edge }
    }

    #[test]
    fn nodes_of_a_layer_stand_side_by_side() {
        let long = "x".repeat(300);
        let nodes = [
            node(Role::Root, "root", None),
            node(Role::Object, "one", Some(0)),
            node(Role::Object, &long, Some(1)),
            node(Role::Object, "three", Some(1)),
            node(Role::Asked, "é".repeat(40).as_str(), Some(0)),
            node(Role::Root, "other", None),
            node(Role::Asked, "four", Some(5)),
        ];
        let (places, width, height) = layout(&nodes, 10);
        for (number, place) in places.iter().enumerate() {
            assert!(place.x >= place.width / 2 && place.x + place.width / 2 <= width, "{number} of {width}");
            assert!(place.top >= 10 && place.top + place.height <= height);
            for other in &places[..number] {
                let beside = place.x.abs_diff(other.x) >= usize::midpoint(place.width, other.width);
                let below = place.top >= other.top + other.height || other.top >= place.top + place.height;
                assert!(beside || below, "{number}");
            }
            if let Some(edge) = &nodes[number].edge {
                assert!(place.top >= places[edge.from].top + places[edge.from].height + LAYER_GAP);
            }
        }
        assert_eq!(layout(&[], 0).1, 2 * MARGIN);
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(cut(&"é".repeat(60)).0.chars().count(), CHARS_MAX);
    }
}

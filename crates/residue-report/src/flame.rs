//! Stacks with counts as a flame graph: one SVG that needs nothing beside itself, and that a click widens.
//!
//! A box is as wide as what was counted below it; the root is at the bottom (Gregg, "The Flame Graph", CACM 59(6), 2016).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use crate::shown_name;
use crate::xml::xml_text;

/// Width of the picture, and the height of a box, in pixels.
const WIDTH: f64 = 1200.0;
const ROW: f64 = 18.0;
/// Room above, for the title, and below, for the legend.
const TOP: f64 = 34.0;
const BOTTOM: f64 = 26.0;
/// Width of a character of the 12-pixel monospaced font, about.
const CHARACTER: f64 = 7.2;
/// A narrower box is left out, with what is above it.
const WIDTH_MIN: f64 = 0.2;
/// Deeper stacks are cut.
const DEPTH_MAX: usize = 256;

/// What a box stands for, by which it is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tint {
    /// A call of the program's own code.
    Own,
    /// A call of a module that it depends on.
    Library,
    /// A call of the language's own library.
    Standard,
    /// What is counted, or whose it is.
    Thing,
}

impl Tint {
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Own, "#e8704a", "the program's own module"),
        (Self::Library, "#f2b25c", "modules it depends on"),
        (Self::Standard, "#e6dcae", "Go's library"),
        (Self::Thing, "#8fb7d9", "program, kind"),
    ];

    fn colour(self) -> &'static str {
        Self::ALL.iter().find(|(tint, _, _)| *tint == self).map_or("#cccccc", |(_, colour, _)| colour)
    }
}

/// A box to be stacked: its text, more about it, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Frame<'a> {
    /// What stands in the box.
    pub name: &'a str,
    /// What is shown beside the name when it is pointed at; boxes that differ in it are apart.
    pub detail: &'a str,
    /// What it stands for.
    pub tint: Tint,
}

/// Stacks, merged where they have the same frames from the root on.
#[derive(Debug, Default)]
pub struct Flame<'a> {
    total: u64,
    above: BTreeMap<Frame<'a>, Self>,
}

impl<'a> Flame<'a> {
    /// Adds a stack, from the root.
    pub fn add(&mut self, stack: impl IntoIterator<Item = Frame<'a>>, count: u64) {
        self.total += count;
        let mut at = self;
        for frame in stack.into_iter().take(DEPTH_MAX) {
            at = at.above.entry(frame).or_default();
            at.total += count;
        }
    }

    fn depth(&self) -> usize {
        self.above.values().map(|above| 1 + above.depth()).max().unwrap_or(0)
    }

    /// Writes the picture. `unit` says what is counted: `descriptors`.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, title: &str, unit: &str, out: &mut dyn Write) -> io::Result<()> {
        let rows = self.depth() as f64 + 1.0;
        let height = TOP + rows * ROW + BOTTOM;
        write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" font-family=\"ui-monospace,Menlo,Consolas,monospace\" font-size=\"12\">\n\
             <title>{title}</title>\n<style>g.b{{cursor:pointer}}g.b:hover rect{{stroke:#222}}\
             rect{{stroke:#fff;stroke-width:.5}}text{{pointer-events:none}}</style>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"8\" y=\"22\" font-size=\"15\">{title}</text>\n",
            title = xml_text(title)
        )?;
        let mut boxes = String::new();
        let all = format!("all: {} {unit}", self.total);
        let base = Frame { name: &all, detail: "", tint: Tint::Thing };
        self.boxes(
            &base,
            unit,
            Place { start: 0, total: self.total.max(1), floor: TOP + (rows - 1.0) * ROW },
            &mut boxes,
        );
        out.write_all(boxes.as_bytes())?;
        for (index, (_, colour, meaning)) in Tint::ALL.iter().enumerate() {
            let (x, y) = (8.0 + 260.0 * index as f64, height - 8.0);
            let swatch = format!("<rect x=\"{x}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>", y - 11.0);
            writeln!(out, "{swatch}<text x=\"{}\" y=\"{y}\">{}</text>", x + 18.0, xml_text(meaning))?;
        }
        writeln!(out, "<script><![CDATA[{SCRIPT}]]></script>\n</svg>")
    }

    fn boxes(&self, frame: &Frame<'_>, unit: &str, place: Place, out: &mut String) {
        let scale = WIDTH / place.total as f64;
        let (x, width) = (place.start as f64 * scale, self.total as f64 * scale);
        if width < WIDTH_MIN && self.total > 0 {
            return;
        }
        let name = shown_name(frame.name);
        let share = 100.0 * self.total as f64 / place.total as f64;
        let detail = shown_name(frame.detail);
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "<g class=\"b\"><title>{name} {detail}\n{} {unit}, {share:.1} %</title>\
             <rect x=\"{x:.2}\" y=\"{y:.0}\" width=\"{width:.2}\" height=\"{ROW}\" fill=\"{}\"/>\
             <text x=\"{:.2}\" y=\"{:.0}\" data-n=\"{name}\">{}</text></g>",
            self.total,
            frame.tint.colour(),
            x + 3.0,
            place.floor + 13.0,
            xml_text(&fitting(&name, width)),
            name = xml_text(&name),
            detail = xml_text(&detail),
            y = place.floor,
        );
        let mut start = place.start;
        for (frame, above) in &self.above {
            above.boxes(frame, unit, Place { start, floor: place.floor - ROW, ..place }, out);
            start += above.total;
        }
    }
}

/// Where a box stands.
#[derive(Clone, Copy)]
struct Place {
    /// What is counted to the left of it, and in all.
    start: u64,
    total: u64,
    /// Its upper edge.
    floor: f64,
}

/// As much of a name as fits.
fn fitting(name: &str, width: f64) -> String {
    #[allow(clippy::cast_sign_loss, reason = "it is not negative")]
    let room = ((width - 6.0) / CHARACTER).max(0.0) as usize;
    match name.chars().count() {
        length if length <= room => name.to_owned(),
        _ if room < 3 => String::new(),
        _ => name.chars().take(room - 1).chain(['…']).collect(),
    }
}

/// A click on a box widens it to the whole picture; one on the lowest shows all again.
const SCRIPT: &str = "\
const W=1200,C=7.2,B=[...document.querySelectorAll('g.b')].map(g=>{const r=g.querySelector('rect'),t=g.querySelector('text');\
return{g,r,t,x:+r.getAttribute('x'),w:+r.getAttribute('width'),y:+r.getAttribute('y'),n:t.dataset.n}});\
function zoom(a){const k=W/a.w;for(const b of B){const below=b.y>a.y,e=.01;\
const shown=below?b.x<=a.x+e&&b.x+b.w>=a.x+a.w-e:b.x>=a.x-e&&b.x+b.w<=a.x+a.w+e;b.g.style.display=shown?'':'none';\
if(!shown)continue;const x=below?0:(b.x-a.x)*k,w=below?W:b.w*k,m=Math.floor((w-6)/C);b.r.setAttribute('x',x);\
b.r.setAttribute('width',w);b.t.setAttribute('x',x+3);b.t.textContent=b.n.length<=m?b.n:m<3?'':b.n.slice(0,m-1)+'\\u2026'}}\
B.forEach(b=>b.g.addEventListener('click',()=>zoom(b)));";

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &str, tint: Tint) -> Frame<'_> {
        Frame { name, detail: "", tint }
    }

    fn drawn(flame: &Flame<'_>) -> String {
        let mut out = Vec::new();
        assert!(flame.write("open <here>", "descriptors", &mut out).is_ok());
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn boxes_are_as_wide_as_what_is_above_them() {
        let mut flame = Flame::default();
        flame.add([frame("main.main", Tint::Own), frame("main.a", Tint::Own)], 3);
        flame.add([frame("main.main", Tint::Own), frame("main.b", Tint::Own)], 1);
        let svg = drawn(&flame);
        assert_eq!(svg.matches("<g class=\"b\">").count(), 4);
        assert!(svg.contains("<title>main.main \n4 descriptors, 100.0 %</title>"), "{svg}");
        assert!(svg.contains("<title>main.a \n3 descriptors, 75.0 %</title><rect x=\"0.00\""), "{svg}");
        assert!(svg.contains("<title>main.b \n1 descriptors, 25.0 %</title><rect x=\"900.00\""), "{svg}");
        assert!(svg.contains("all: 4 descriptors"));
    }

    #[test]
    fn nothing_and_anything_can_be_drawn() {
        assert!(drawn(&Flame::default()).contains("all: 0 descriptors"));
        let mut flame = Flame::default();
        let hostile = "]]><script>\u{1b}[2J\u{0}\u{ffff}\"&";
        flame.add((0..10_000).map(|_| frame(hostile, Tint::Library)), 1);
        let svg = drawn(&flame);
        assert_eq!(svg.matches("<script>").count(), 1, "it is the picture's own");
        assert_eq!(svg.matches("]]>").count(), 1);
        assert!(!svg.contains('\u{1b}') && !svg.contains('\u{0}'));
        assert!(svg.contains("open &lt;here&gt;"));
    }
}

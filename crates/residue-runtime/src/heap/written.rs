//! Types as people write them, beside the names that the runtime has for them.
//!
//! The runtime's own (`(*rtype).String` in `reflect/type.go`) have the package's name before the type's, but whole import
//! paths within brackets of generic types, and spell some predeclared names out: `interface {}`, `uint8`.

use rustc_hash::FxHashSet;

use super::graph::Shape;
use super::{Heap, holds_many};

/// Objects of a type that are looked at in order to see whether they are handles.
const HANDLES_LOOKED_AT: usize = 100;

impl Heap<'_> {
    /// The objects that an address (`0xc000012340`) or a type stands for: `main.T` and `*main.T` alike are the values
    /// themselves, `[]main.T` those that lie side by side in one object. Where there are none of a type, or they are mere
    /// handles, one whose name differs in capitals only is taken: for `*os.File` each `os.file`, of which more is known, for
    /// they have finalizers.
    pub fn objects_of(&self, what: &str) -> Vec<u32> {
        if let Some(address) = what.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok()) {
            return self.spans.object_at(address).into_iter().map(|(object, _)| object).collect();
        }
        let written = plain(what);
        let shapes = self.graph.shapes();
        let names: Vec<String> = shapes.iter().map(|shape| plain(&self.shape_name(*shape))).collect();
        let find = |wanted: &str, many: bool, equal: &dyn Fn(&str, &str) -> bool| {
            let is =
                |name: &str| equal(name, wanted) || equal(name.strip_prefix("closure of ").unwrap_or(name), wanted);
            let numbers: FxHashSet<u32> =
                (1..shapes.len()).filter(|number| is(&names[*number])).map(|number| number as u32).collect();
            if numbers.is_empty() { Vec::new() } else { self.objects_of_kinds(&numbers, many) }
        };
        let exactly = |one: &str, other: &str| one == other;
        let nearly = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
        let value = written.trim_start_matches('*');
        let side_by_side = written.strip_prefix("[]");
        let mut exact = find(value, false, &exactly);
        if self.are_handles(&exact, value) {
            exact = find(value, false, &|name, wanted| name != wanted && nearly(name, wanted));
        }
        let found = [
            exact,
            side_by_side.map(|element| find(element, true, &exactly)).unwrap_or_default(),
            find(&written, false, &exactly),
            find(value, false, &nearly),
        ];
        found.into_iter().find(|objects| !objects.is_empty()).unwrap_or_default()
    }

    /// Whether objects do nothing but lead to one each whose type differs in capitals only, as `os.File` and `os.file` do.
    fn are_handles(&self, objects: &[u32], name: &str) -> bool {
        let leads = |object: &u32| match self.graph.edges(*object) {
            [one] => self.graph.shape(*one).is_some_and(|(shape, _)| {
                let behind = plain(&self.shape_name(shape));
                behind != name && behind.eq_ignore_ascii_case(name)
            }),
            _ => false,
        };
        !objects.is_empty() && objects.iter().take(HANDLES_LOOKED_AT).all(leads)
    }

    /// The objects of some types; `many` for those only that hold several values side by side.
    fn objects_of_kinds(&self, numbers: &FxHashSet<u32>, many: bool) -> Vec<u32> {
        let sizes = self.value_sizes();
        let mut found = Vec::new();
        for span in &self.spans.all {
            for index in self.spans.allocated(span) {
                let kind = self.graph.kind(span.first + index);
                let fits = || !many || holds_many(&sizes, span, kind);
                if numbers.contains(&kind) && fits() {
                    found.push(span.first + index);
                }
            }
        }
        found
    }

    /// Names of types there are objects of that contain a text, in order to help who asked for another.
    pub fn types_like(&self, what: &str) -> Vec<String> {
        let last = what.rsplit(['.', '*', '/']).next().unwrap_or(what).to_lowercase();
        let known = self.graph.shapes()[1..].iter().filter(|shape| !matches!(shape, Shape::Said(_)));
        let mut names: Vec<String> = known.map(|shape| self.shape_name(*shape)).collect();
        names.retain(|name| !last.is_empty() && name.to_lowercase().contains(&last));
        // The shortest ones first: the type itself before what is made of it.
        names.sort_by_key(|name| (name.len(), name.clone()));
        names.dedup();
        names
    }
}

/// A name of a type in one spelling: without import paths, aliases of predeclared types resolved, no space that
/// doesn't part two words.
fn plain(name: &str) -> String {
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    let mut text = String::new();
    let mut rest = name.trim();
    while let Some(first) = rest.chars().next() {
        // With what can stand in import paths: of these only the last element, the package, is kept.
        let in_path = |char: char| is_word(char) || matches!(char, '/' | '-' | '~' | '+' | '%');
        let len = if is_word(first) {
            let mut len = rest.find(|char| !in_path(char) && char != '.').unwrap_or(rest.len());
            // `[4]` and `chan<-`, `...` are no parts of it.
            len = rest[..len].trim_end_matches(['-', '.']).len();
            len
        } else {
            first.len_utf8()
        };
        let (token, behind) = rest.split_at(len);
        if is_word(first) {
            text += &word(token, behind.trim_start());
        } else if first.is_whitespace() {
            let before = text.chars().next_back().is_some_and(is_word);
            if before && behind.trim_start().chars().next().is_some_and(is_word) {
                text.push(' ');
            }
            rest = behind.trim_start();
            continue;
        } else {
            text += token;
        }
        rest = behind;
    }
    text
}

/// A word in one spelling: `example.com/m/v2.T` as `m.T`, `byte` as `uint8`.
fn word(word: &str, behind: &str) -> String {
    if let Some((path, last)) = word.rsplit_once('/') {
        let is_version = |text: &str| {
            text.strip_prefix('v')
                .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
        };
        let package = path.rsplit('/').next().unwrap_or(path);
        return match last.split_once('.') {
            Some((version, name)) if is_version(version) => format!("{package}.{name}"),
            _ => last.to_owned(),
        };
    }
    match word {
        "byte" => "uint8".to_owned(),
        "rune" => "int32".to_owned(),
        "any" if !behind.starts_with('.') => "interface{}".to_owned(),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_type_has_one_spelling() {
        for (written, same) in [
            ("*os.File", "*os.File"),
            ("github.com/cilium/ebpf.Map", "ebpf.Map"),
            ("map[string]*example.com/m/v2.Session", "map[string]*m.Session"),
            ("main.Box[example.com/go-x/inner.T]", "main.Box[inner.T]"),
            ("map[string]any", "map[string]interface {}"),
            ("[]byte", "[]uint8"),
            ("chan  struct { }", "chan struct {}"),
            ("func(int , ...rune) (int, error)", "func(int, ...int32) (int, error)"),
            ("<-chan int", "<-chan int"),
            ("chan<- *os.File", "chan<- *os.File"),
            (" map[ string ]int", "map[string]int"),
        ] {
            assert_eq!(plain(written), plain(same), "{written}");
        }
        for (one, other) in
            [("chan int", "chanint"), ("os.File", "os.file"), ("a.T", "b.T"), ("[4]int", "[]int"), ("v2.T", "T")]
        {
            assert_ne!(plain(one), plain(other));
        }
        for hostile in ["", "///", "a/", "é/…", "[", "\u{0}", "- -", "a..b/", "v/v2.", "…a"] {
            // Whatever it gives, it ends, and gives the same for its own outcome.
            let once = plain(hostile);
            assert_eq!(plain(&once), once, "{hostile:?}");
        }
    }
}

//! Order of module versions: semantic versions with a leading `v`, as Go modules use them.

use std::cmp::Ordering;

/// Compares two versions; what is no version comes before all that are.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    match (Version::parse(a), Version::parse(b)) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(a), Some(b)) => a.compare(&b),
    }
}

/// The greater of two versions.
pub(crate) fn is_greater(a: &str, b: &str) -> bool {
    compare(a, b) == Ordering::Greater
}

struct Version<'a> {
    numbers: [&'a str; 3],
    pre: &'a str,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix('v')?;
        let rest = rest.split_once('+').map_or(rest, |(rest, _)| rest);
        let (core, pre) = rest.split_once('-').map_or((rest, ""), |(core, pre)| (core, pre));
        let mut parts = core.split('.');
        let mut number = |required: bool| match parts.next() {
            None if !required => Some("0"),
            Some(n) if is_number(n) => Some(n),
            _ => None,
        };
        let numbers = [number(true)?, number(false)?, number(false)?];
        parts.next().is_none().then_some(Self { numbers, pre })
    }

    fn compare(&self, other: &Self) -> Ordering {
        for (a, b) in self.numbers.iter().zip(&other.numbers) {
            match compare_numbers(a, b) {
                Ordering::Equal => {}
                order => return order,
            }
        }
        compare_pre(self.pre, other.pre)
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'))
}

/// Numbers without leading zeros, of any length.
fn compare_numbers(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn compare_pre(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (is_number(a), is_number(b)) {
                (true, true) => compare_numbers(a, b),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::compare;
    use std::cmp::Ordering;

    #[test]
    fn orders_versions_as_go_does() {
        let sorted = [
            "bad",
            "v0.0.0-20180101000000-aaaaaaaaaaaa",
            "v0.0.0-20190101000000-aaaaaaaaaaaa",
            "v0.0.1",
            "v0.9.0",
            "v0.10.0",
            "v1.0.0-alpha",
            "v1.0.0-alpha.1",
            "v1.0.0-alpha.beta",
            "v1.0.0-beta.2",
            "v1.0.0-beta.11",
            "v1.0.0-rc.1",
            "v1.0.0",
            "v1.2.3-0.20200101000000-aaaaaaaaaaaa",
            "v1.2.3",
            "v2.0.0+incompatible",
            "v99999999999999999999.0.0",
            "v100000000000000000000.0.0",
        ];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a} {b}");
            }
        }
        assert_eq!(compare("v1.0.0+a", "v1.0.0+b"), Ordering::Equal);
        assert_eq!(compare("v1", "v1.0.0"), Ordering::Equal);
        assert_eq!(compare("v01.0.0", "x"), Ordering::Equal);
    }
}

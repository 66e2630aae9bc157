//! Profiles as `go tool pprof` reads them: `profile.proto` of github.com/google/pprof, packed by gzip (RFC 1952).

use std::collections::BTreeMap;
use std::io::{self, Write};

/// A call as the source has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line<'a> {
    /// The function, as the linker names it.
    pub function: &'a str,
    /// Its file.
    pub file: &'a str,
    /// The line that runs, or makes the call.
    pub line: u32,
}

/// A profile that is being made: stacks with values.
#[derive(Debug, Default)]
pub struct Profile {
    /// What has been written of samples, locations and functions.
    samples: Message,
    locations: Message,
    functions: Message,
    /// The number of each text. The first one is empty.
    texts: BTreeMap<String, u64>,
    location_ids: BTreeMap<u64, u64>,
    function_ids: BTreeMap<(u64, u64), u64>,
    types: Message,
}

/// A message of Protocol Buffers, as far as it is written.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.varint(field << 3);
            self.varint(value);
        }
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn packed(&mut self, field: u64, values: impl Iterator<Item = u64>) {
        let mut packed = Self::default();
        values.for_each(|value| packed.varint(value));
        self.bytes(field, &packed.0);
    }
}

impl Profile {
    /// A profile whose samples have a value of each kind: what it counts, and in what unit.
    pub fn new(kinds: &[(&str, &str)]) -> Self {
        let mut profile = Self::default();
        profile.text("");
        for (kind, unit) in kinds {
            let mut value_type = Message::default();
            value_type.number(1, profile.text(kind));
            value_type.number(2, profile.text(unit));
            profile.types.bytes(1, &value_type.0);
        }
        profile
    }

    fn text(&mut self, text: &str) -> u64 {
        if let Some(known) = self.texts.get(text) {
            return *known;
        }
        let number = self.texts.len() as u64;
        self.texts.insert(text.to_owned(), number);
        number
    }

    /// Adds a stack: the instructions of its frames with the calls at each, innermost first both; the values; and what
    /// belongs to it, by key.
    pub fn add<'a>(
        &mut self,
        stack: impl Iterator<Item = (u64, Vec<Line<'a>>)>,
        values: &[u64],
        labels: &[(String, String)],
    ) {
        let locations: Vec<u64> = stack.map(|(address, lines)| self.location(address, &lines)).collect();
        let mut sample = Message::default();
        sample.packed(1, locations.into_iter());
        sample.packed(2, values.iter().copied());
        for (key, value) in labels {
            let mut label = Message::default();
            label.number(1, self.text(key));
            label.number(2, self.text(value));
            sample.bytes(3, &label.0);
        }
        self.samples.bytes(2, &sample.0);
    }

    fn location(&mut self, address: u64, lines: &[Line<'_>]) -> u64 {
        if let Some(known) = self.location_ids.get(&address) {
            return *known;
        }
        let id = self.location_ids.len() as u64 + 1;
        self.location_ids.insert(address, id);
        let mut location = Message::default();
        location.number(1, id);
        location.number(3, address);
        for line in lines {
            let mut message = Message::default();
            message.number(1, self.function(line));
            message.number(2, u64::from(line.line));
            location.bytes(4, &message.0);
        }
        self.locations.bytes(4, &location.0);
        id
    }

    fn function(&mut self, line: &Line<'_>) -> u64 {
        let names = (self.text(line.function), self.text(line.file));
        if let Some(known) = self.function_ids.get(&names) {
            return *known;
        }
        let id = self.function_ids.len() as u64 + 1;
        self.function_ids.insert(names, id);
        let mut function = Message::default();
        function.number(1, id);
        function.number(2, names.0);
        function.number(3, names.0);
        function.number(4, names.1);
        self.functions.bytes(5, &function.0);
        id
    }

    /// Writes the profile: `time` is when it was taken, in nanoseconds since 1970, `comment` what else there is to know.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write(mut self, time: u64, comment: &str, out: &mut dyn Write) -> io::Result<()> {
        let comment = self.text(comment);
        let mut texts: Vec<(u64, String)> = self.texts.into_iter().map(|(text, number)| (number, text)).collect();
        texts.sort_unstable();
        let mut profile = Message(self.types.0);
        profile.0.extend([self.samples.0, self.locations.0, self.functions.0].concat());
        for (_, text) in texts {
            profile.bytes(6, text.as_bytes());
        }
        profile.number(9, time);
        profile.number(13, comment);
        gzip(&profile.0, out)
    }
}

/// A member of RFC 1952 without a name or a time.
fn gzip(bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
    const LEVEL: u8 = 6;
    out.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])?;
    out.write_all(&miniz_oxide::deflate::compress_to_vec(bytes, LEVEL))?;
    out.write_all(&crc32(bytes).to_le_bytes())?;
    // The length, modulo 2^32.
    out.write_all(&(bytes.len() as u32).to_le_bytes())
}

/// The checksum of RFC 1952, section 8: the polynomial 0xedb88320, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1));
    let table: Vec<u32> = (0..256).map(|byte| (0..8).fold(byte, |crc, _| step(crc))).collect();
    !bytes.iter().fold(!0_u32, |crc, byte| (crc >> 8) ^ table[((crc ^ u32::from(*byte)) & 0xff) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn what_occurs_again_is_written_once() {
        let line = |function| Line { function, file: "a.go", line: 3 };
        let mut profile = Profile::new(&[("goroutines", "count")]);
        profile.add([(1, vec![line("f"), line("g")]), (2, vec![line("g")])].into_iter(), &[7], &[]);
        profile.add([(2, vec![line("g")])].into_iter(), &[1], &[("k".to_owned(), "a.go".to_owned())]);
        assert_eq!((profile.location_ids.len(), profile.function_ids.len()), (2, 2));
        assert_eq!(profile.texts.len(), ["", "goroutines", "count", "f", "a.go", "g", "k"].len());
        let mut written = Vec::new();
        profile.write(1, "", &mut written).expect("memory");
        let body = &written[10..written.len() - 8];
        let plain = miniz_oxide::inflate::decompress_to_vec(body).expect("what was packed");
        assert_eq!(written[written.len() - 4..], (plain.len() as u32).to_le_bytes());
        assert!(plain.windows(4).any(|bytes| bytes == b"a.go"));
    }
}

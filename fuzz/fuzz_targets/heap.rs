//! Changes words of cores of small Go programs and reads all there is to read: no panic, no hang, bounded lists.
//!
//! `fuzz/cores FOLDER GO…` makes programs and their cores, then
//! `RESIDUE_FUZZ_CORES=FOLDER cargo +nightly fuzz run -s none heap -- -max_len=512 -timeout=10 -rss_limit_mb=2048`.
//!
//! Copies of the cores, which are sparse, are left in TMPDIR.
//!
//! An input is no core but a list of changes to one: its first byte says to which, and every eight that follow are a
//! change: a word that is in use, or one of the core's headers and notes, and what becomes of it.
#![no_main]

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use libfuzzer_sys::fuzz_target;
use residue_gobin::Elf;
use residue_runtime::heap::{Heap, Layouts};
use residue_runtime::{Freeze, Options, Report};
use residue_target::Target;

/// Changes of one input.
const CHANGES_MAX: usize = 64;
/// Bytes of headers that are changed; notes come next.
const HEADERS_MAX: usize = 1 << 20;
/// Go reserves more at once than it uses; that is left as it is.
const SEGMENT_MAX: u64 = 128 << 20;
/// Words that a change copies at most: a record in another's place.
const RUN_MAX: usize = 16;
/// Types, and objects of each, that more is asked about.
const KINDS_MAX: usize = 20;
const OBJECTS_MAX: usize = 3;
/// Numbers that are at the edge of something.
const EDGES: [u64; 16] = [
    0,
    1,
    7,
    8,
    4096,
    8192,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 32,
    1 << 40,
    0x7fff_ffff_f000,
    1 << 47,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 7,
    u64::MAX,
];

/// A core that is changed and set right again.
struct Core {
    path: PathBuf,
    program: PathBuf,
    file: File,
    /// Offset, address and value of each word that isn't zero and can be written to.
    words: Vec<(u64, u64, u64)>,
    /// Offsets of words of headers and notes.
    headers: Vec<u64>,
    /// What was there before, in the order of the changes.
    before: Vec<(u64, u64)>,
}

impl Core {
    fn open(program: PathBuf, number: usize) -> Option<Self> {
        let mut path = program.clone().into_os_string();
        path.push(".core");
        // Each process changes its own.
        let copy = std::env::temp_dir().join(format!("residue-fuzz-heap.{}.{number}", std::process::id()));
        let copied = std::process::Command::new("cp").arg("--sparse=always").arg(&path).arg(&copy).status().ok()?;
        let file = File::options().read(true).write(true).open(&copy).ok().filter(|_| copied.success())?;
        let mut headers = vec![0; HEADERS_MAX];
        let len = file.read_at(&mut headers, 0).ok()?;
        let elf = Elf::parse(&headers[..len]).ok()?;
        let mut words = Vec::new();
        for segment in elf.segments().iter().filter(|segment| segment.writable && segment.size < SEGMENT_MAX) {
            let mut bytes = vec![0; segment.size as usize];
            if file.read_exact_at(&mut bytes, segment.offset).is_ok() {
                let all = bytes.chunks_exact(8).zip((0..).step_by(8));
                let all = all.map(|(word, at)| (at, u64::from_le_bytes(word.try_into().unwrap_or_default())));
                let used = all.filter(|(_, word)| *word != 0);
                words.extend(used.map(|(at, word)| (segment.offset + at, segment.address + at, word)));
            }
        }
        let first = elf.segments().iter().map(|segment| segment.offset).min().unwrap_or(0).min(len as u64);
        let headers = (0..first).step_by(8).collect();
        (!words.is_empty()).then_some(Self { path: copy, program, file, words, headers, before: Vec::new() })
    }

    fn set(&mut self, offset: u64, word: u64) {
        let mut before = [0; 8];
        if self.file.read_exact_at(&mut before, offset).is_ok()
            && self.file.write_all_at(&word.to_le_bytes(), offset).is_ok()
        {
            self.before.push((offset, u64::from_le_bytes(before)));
        }
    }

    /// Makes a change; the word that is there now.
    fn change(&mut self, change: [u8; 8]) -> u64 {
        let [what, shift, a, b, c, d, e, f] = change;
        let (index, operand) = (u32::from_le_bytes([a, b, c, 0]) as usize, u32::from_le_bytes([d, e, f, 0]) as usize);
        let other = operand % self.words.len();
        // Words beside those in use are zero, and lengths and pointers as well.
        let shift = 8 * i64::from(shift as i8 % 16);
        let (offset, address, old) = if what & 0x80 != 0 && !self.headers.is_empty() {
            (self.headers[index % self.headers.len()], 0, 0)
        } else {
            let (offset, address, old) = self.words[index % self.words.len()];
            if what & 0x40 == 0 {
                (offset, address, old)
            } else {
                (offset.wrapping_add_signed(shift), address.wrapping_add_signed(shift), 0)
            }
        };
        let new = match what % 8 {
            0 => self.words[other].2,
            1 => old ^ (1 << (operand % 64)),
            2 => old.wrapping_add_signed(8 * (operand as i64 - (1 << 23))),
            3 => EDGES[operand % EDGES.len()],
            4 => address.wrapping_add_signed(shift),
            5 => operand as u64,
            6 => self.words[other].1,
            _ => {
                let run = 1 + (operand >> 16) % RUN_MAX;
                let from = self.words[operand % self.words.len()].0;
                let mut bytes = vec![0; 8 * run];
                if self.file.read_exact_at(&mut bytes, from).is_ok() {
                    for (word, at) in bytes.chunks_exact(8).zip((0..).step_by(8)) {
                        self.set(offset.wrapping_add(at), u64::from_le_bytes(word.try_into().unwrap_or_default()));
                    }
                }
                return self.words[operand % self.words.len()].2;
            }
        };
        self.set(offset, new);
        new
    }

    fn set_right(&mut self) {
        for (offset, word) in self.before.drain(..).rev() {
            if let Err(error) = self.file.write_all_at(&word.to_le_bytes(), offset) {
                panic!("the core can't be set right: {error}");
            }
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn cores() -> Vec<Core> {
    let Some(folder) = std::env::var_os("RESIDUE_FUZZ_CORES") else {
        panic!("RESIDUE_FUZZ_CORES says where cores are")
    };
    let files = std::fs::read_dir(folder).map(|files| files.flatten().map(|file| file.path())).into_iter().flatten();
    let mut programs: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|end| end == "core"))
        .map(|path| path.with_extension(""))
        .collect();
    programs.sort();
    let cores: Vec<Core> =
        programs.into_iter().enumerate().filter_map(|(number, program)| Core::open(program, number)).collect();
    assert!(!cores.is_empty(), "RESIDUE_FUZZ_CORES has no PROGRAM with PROGRAM.core beside it");
    cores
}

thread_local! {
    static CORES: RefCell<Vec<Core>> = RefCell::new(cores());
}

fuzz_target!(|data: &[u8]| {
    let Some((which, changes)) = data.split_first() else { return };
    CORES.with_borrow_mut(|cores| {
        let count = cores.len();
        let core = &mut cores[usize::from(*which) % count];
        let changes = changes.as_chunks().0.iter().take(CHANGES_MAX);
        let words: Vec<u64> = changes.map(|change| core.change(*change)).collect();
        look(&core.path, &core.program, &words);
        core.set_right();
    });
});

/// Reads all there is to read, and more about the words that were changed.
fn look(path: &Path, program: &Path, words: &[u64]) {
    let Ok(target) = Target::core(path, Some(program)) else { return };
    let Ok(binary) = residue_runtime::program(&target) else { return };
    let options = Options { freeze: Freeze::Full, key: [0; 32], reveal: false, now: target.now() };
    let Ok(layouts) = Layouts::of(&binary) else { return };
    let Ok((report, mut heap)) = Heap::read(&target, &binary, &layouts, &options) else {
        // Its goroutines may be known though its heap isn't.
        if let Ok(report) = residue_runtime::inspect(&target, &binary, &options) {
            goroutines(&report);
        }
        return;
    };
    goroutines(&report);
    let chosen = words.first().map_or(0, |word| *word as usize) % report.goroutines.len().max(1);
    if let Some(goroutine) = report.goroutines.get(chosen)
        && let Ok(view) = residue_runtime::stack(&target, &binary, &options, goroutine.id)
    {
        assert!(view.frames.len() <= 10_000 && view.dead.stale.len() <= 1000);
    }
    let summary = heap.summary();
    let retained = heap.retained();
    assert!(retained.total <= summary.object_bytes);
    let kinds = heap.kinds(Some(&retained));
    assert_eq!(kinds.iter().map(|kind| kind.objects).sum::<u64>(), summary.objects);
    let finalizers = heap.finalizers(&report);
    assert!(finalizers.groups.iter().map(|group| group.registered).sum::<u64>() <= 10 * summary.objects + 100);
    let _ = heap.holders();
    let _ = heap.profile();
    let _ = heap.retained_paths();
    let _ = heap.objects_of_descriptor(0);
    let _ = heap.types_like("main.thing");
    for kind in kinds.iter().filter_map(|kind| kind.name.as_deref()).take(KINDS_MAX) {
        let objects = heap.objects_of(kind);
        why(&mut heap, &report, &objects);
    }
    for word in words {
        let objects = heap.objects_at(std::iter::once(*word));
        why(&mut heap, &report, &objects);
        let _ = heap.object(*word);
        let _ = heap.incarnation(*word);
    }
}

fn goroutines(report: &Report) {
    for goroutine in &report.goroutines {
        assert!(goroutine.stack.len() <= 10_000 && goroutine.deferred.len() <= 100_000);
        for frame in report.stack(goroutine) {
            assert!(!frame.function.is_empty() && frame.function.len() < 10_000);
        }
    }
}

/// What keeps objects, or what those wait for that nothing keeps and where their addresses are left.
fn why(heap: &mut Heap<'_>, report: &Report, objects: &[u32]) {
    let why = heap.why(objects);
    assert!(why.unreachable <= why.objects);
    assert!(why.holdings.iter().all(|holding| holding.path.steps.len() <= 100));
    let held = heap.held(objects);
    assert!(held <= objects.len());
    for object in objects.iter().take(OBJECTS_MAX) {
        let _ = heap.unheld(*object, report);
        let _ = heap.wait(*object);
    }
}

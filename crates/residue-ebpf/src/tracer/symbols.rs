//! From addresses to source: the programs of the processes that are followed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use elsa::FrozenMap;
use residue_fd::event::Frame;
use residue_gobin::{Binary, Elf, Function, PcLnTab, Segment};

use super::layout;

/// A larger file is no program.
const PROGRAM_BYTES_MAX: u64 = 2 << 30;
/// Frames without a name in a row that are kept: C code has no table of functions here.
const UNNAMED_MAX: usize = 2;

/// Bytes of a function in which its frame is made.
const PROLOGUE_BYTES_MAX: u64 = 128;

/// Offsets in a program's file where it panics, and where it goes on after a panic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Points {
    pub(super) panics: u64,
    pub(super) recovers: u64,
}

/// Which file: device, inode, size, when it was changed.
pub(super) type FileId = (u64, u64, u64, i64);

/// A program's file, which stays when the process and the file's name are gone, and what it is called.
pub(super) type Opened = (FileId, File, String);

/// The bytes of programs, each file once.
#[derive(Default)]
pub struct Programs {
    files: FrozenMap<FileId, Vec<u8>>,
}

/// A Go program that was read.
struct Program<'a> {
    binary: Binary<'a>,
    /// What the kernel's side has to know of its Go.
    image: layout::Image,
    points: Option<Points>,
    /// The import path of `main`.
    main: String,
    /// Paths of the modules it is made of, the one it is built from first.
    modules: Vec<String>,
    /// There is such a one; a program that is built from files has none.
    has_main_module: bool,
}

/// A program as mapped by one exec.
#[derive(Clone, Debug)]
struct Mapped {
    name: String,
    file: Option<FileId>,
    /// What was added to addresses of the file.
    slide: u64,
}

/// Names addresses.
pub(super) struct Symbols<'a> {
    arena: &'a Programs,
    programs: BTreeMap<FileId, Option<Program<'a>>>,
    images: BTreeMap<u32, Mapped>,
    /// Files that are probed for panics.
    probed: BTreeSet<FileId>,
}

impl<'a> Symbols<'a> {
    pub(super) fn new(arena: &'a Programs) -> Self {
        Self { arena, programs: BTreeMap::new(), images: BTreeMap::new(), probed: BTreeSet::new() }
    }

    /// Enters the program that a process runs, or has run; `name` is its path as exec was given it. Says what the kernel's side
    /// has to know to find goroutines in it, and gives its file.
    pub(super) fn enter(
        &mut self,
        image: u32,
        start_code: u64,
        name: &str,
        found: Option<Opened>,
    ) -> Option<(layout::Image, File)> {
        let mut mapped = Mapped { name: base(name), file: None, slide: 0 };
        let mut opened = None;
        if let Some((id, file, name)) = found {
            if !name.is_empty() {
                mapped.name = name;
            }
            self.read(id, &file);
            mapped.file = Some(id);
            opened = Some(file);
        }
        let go = mapped.file.and_then(|id| self.programs.get(&id)?.as_ref());
        let told = go.map(|program| {
            let elf = &program.binary.elf;
            if elf.pie {
                let code = elf.segments().iter().filter(|segment| segment.executable).map(|segment| segment.address);
                mapped.slide = start_code.wrapping_sub(code.min().unwrap_or(0));
            }
            program.image
        });
        self.images.insert(image, mapped);
        told.zip(opened)
    }

    /// Reads the program of a process that is to be entered soon.
    pub(super) fn prepare(&mut self, pid: u32) {
        if let Some((id, file, _)) = open(pid, None) {
            self.read(id, &file);
        }
    }

    /// A process runs the program of another: it was forked.
    pub(super) fn knows(&self, image: u32) -> bool {
        self.images.contains_key(&image)
    }

    /// Where a program is to be probed for panics: none if it is no Go program, or is probed already.
    pub(super) fn panic_points(&mut self, image: u32) -> Option<Points> {
        let file = self.images.get(&image)?.file?;
        let program = self.programs.get(&file)?.as_ref()?;
        if self.probed.insert(file) { program.points } else { None }
    }

    /// The name of a program.
    pub(super) fn name(&self, image: u32) -> &str {
        self.images.get(&image).map_or("", |mapped| &mapped.name)
    }

    /// Whether it is a tool of the Go distribution: `cmd/compile`, `cmd/go`.
    pub(super) fn is_tool(&self, image: u32) -> bool {
        self.program(image).is_some_and(|(program, _)| program.main.starts_with("cmd/"))
    }

    /// The file of a program that was read and whose stacks are of no use: it isn't Go, or a tool of Go itself.
    pub(super) fn plain(&self, image: u32) -> Option<layout::Program> {
        let file = self.images.get(&image)?.file?;
        let plain = self.programs.get(&file)?.as_ref().is_none_or(|program| program.main.starts_with("cmd/"));
        let (_, inode, bytes, _) = file;
        plain.then_some(layout::Program { inode, bytes })
    }

    fn program(&self, image: u32) -> Option<(&Program<'a>, u64)> {
        let mapped = self.images.get(&image)?;
        Some((self.programs.get(&mapped.file?)?.as_ref()?, mapped.slide))
    }

    fn read(&mut self, id: FileId, mut file: &File) {
        if self.programs.contains_key(&id) {
            return;
        }
        let mut bytes = Vec::new();
        let program = file.read_to_end(&mut bytes).ok().and_then(|_| {
            // What is put there stays until the end: no shell or library that comes and goes.
            Binary::parse(&bytes).ok()?;
            let binary = Binary::parse(self.arena.files.insert(id, bytes)).ok()?;
            let modules = binary.build.modules.lines().filter_map(|line| {
                let mut words = line.split('\t');
                matches!(words.next(), Some("mod" | "dep")).then(|| words.next().unwrap_or_default().to_owned())
            });
            let main = binary.build.main_path().unwrap_or("main").to_owned();
            let has_main_module = binary.build.modules.lines().any(|line| line.starts_with("mod\t"));
            let panicking = Panicking::find(&binary.functions);
            let (image, points) = (image(&binary, &panicking), panicking.points(&binary.elf));
            Some(Program { modules: modules.collect(), has_main_module, main, image, points, binary })
        });
        self.programs.insert(id, program);
    }

    /// The stack of a site. The second address stands for the caller of a function without a frame, see `bpf/trace.bpf.c`.
    pub(super) fn frames(&self, image: u32, pcs: &[u64]) -> Vec<Frame> {
        let Some((program, slide)) = self.program(image) else {
            return pcs.iter().take(UNNAMED_MAX).filter(|pc| **pc != 0).map(|pc| unnamed(*pc)).collect();
        };
        let mut frames = Vec::new();
        let mut unnamed_row = 0;
        // What ran on the system stack, as far as it isn't the goroutine's own already, and then the goroutine.
        let gap = pcs.iter().skip(2).position(|pc| *pc == 0).map(|at| at + 2);
        let (system, goroutine) = gap.map_or((pcs, &[][..]), |gap| (&pcs[..gap], &pcs[gap + 1..]));
        let mut system_len = system.iter().position(|pc| goroutine.contains(pc)).unwrap_or(system.len());
        // C code mostly keeps no frame pointers, so that nothing is sure but where it is.
        if gap.is_some() && program.binary.frames(pcs[0].wrapping_sub(slide).wrapping_sub(1)).is_empty() {
            system_len = system_len.min(1);
        }
        for (index, pc) in system[..system_len].iter().chain(goroutine).enumerate() {
            // All are return addresses, the first one that of the system call itself.
            // Below the handler of a fault is the instruction that faulted, not one behind a call.
            let is_fault = frames.last().is_some_and(|below: &Frame| below.function == "runtime.sigpanic");
            let at = pc.wrapping_sub(slide).wrapping_sub(u64::from(!is_fault));
            if index == 1 {
                let leaf = program.binary.functions.find(pcs[0].wrapping_sub(slide).wrapping_sub(1));
                let has_frame =
                    leaf.is_none_or(|leaf| leaf.sp_delta(pcs[0].wrapping_sub(slide)).is_some_and(|d| d > 0));
                if has_frame || pcs.get(2) == Some(pc) {
                    continue;
                }
            }
            let found = program.binary.frames(at);
            if found.is_empty() {
                unnamed_row += 1;
                if unnamed_row <= UNNAMED_MAX && *pc != 0 {
                    frames.push(if index < system_len && gap.is_some() { in_c(*pc) } else { unnamed(*pc) });
                }
                continue;
            }
            unnamed_row = 0;
            frames.extend(found.into_iter().map(|frame| program.frame(&frame)));
        }
        while frames.last().is_some_and(|frame| frame.function == "runtime.goexit") {
            frames.pop();
        }
        frames
    }
}

impl Program<'_> {
    fn frame(&self, frame: &residue_gobin::SourceFrame<'_>) -> Frame {
        let package = package_of(&frame.function);
        let package = if package == "main" { self.main.clone() } else { package };
        Frame {
            function: frame.function.to_string(),
            std: self.is_std(&package),
            own: self.is_own(&package),
            package,
            file: frame.file.to_string(),
            line: frame.line,
            inlined: frame.inlined,
        }
    }

    /// Whether a package belongs to what the program is built from.
    fn is_own(&self, package: &str) -> bool {
        let module = self.modules.first().filter(|_| self.has_main_module);
        package == self.main || module.is_some_and(|module| is_below(package, module))
    }

    /// Whether a package is part of Go itself: of none of the modules, and without a dot in its first element.
    fn is_std(&self, package: &str) -> bool {
        package != self.main
            && !self.modules.iter().any(|module| is_below(package, module))
            && !package.split('/').next().unwrap_or_default().contains('.')
    }
}

/// The functions of the runtime that a panic goes through.
struct Panicking<'a> {
    gopanic: Option<Function<'a>>,
    recovery: Option<Function<'a>>,
}

impl<'a> Panicking<'a> {
    fn find(functions: &PcLnTab<'a>) -> Self {
        let mut found = Self { gopanic: None, recovery: None };
        for function in functions.iter() {
            match &*function.name() {
                "runtime.gopanic" => found.gopanic = Some(function),
                "runtime.recovery" => found.recovery = Some(function),
                _ => {}
            }
        }
        found
    }

    fn points(&self, elf: &Elf<'_>) -> Option<Points> {
        let in_file = |address: u64| {
            let holds = |segment: &&Segment<'_>| {
                segment.executable && address.wrapping_sub(segment.address) < segment.file_size
            };
            elf.segments().iter().find(holds).map(|segment| address - segment.address + segment.offset)
        };
        let panics = past_stack_check(&self.gopanic?).0;
        Some(Points { panics: in_file(panics)?, recovers: in_file(self.recovery?.entry)? })
    }
}

/// What the kernel's side has to know of its Go: fields of `runtime.g` and what hangs there.
fn image(binary: &Binary<'_>, panicking: &Panicking<'_>) -> layout::Image {
    let at = |structure: &str, field: &str| binary.layouts.offset(structure, field).unwrap_or(0) as u32;
    let sched = at("runtime.g", "sched");
    // Since Go 1.22 a panic keeps the stack pointer of the function it has come to; before, the goroutine has it.
    let has_start = binary.layouts.offset("runtime._panic", "startSP").is_some();
    let (panic, panic_sp) = if has_start {
        (at("runtime.g", "_panic"), at("runtime._panic", "sp"))
    } else {
        (0, at("runtime.g", "sigcode0"))
    };
    layout::Image {
        // Where the linker puts it, unless C code has variables of its own for each thread.
        tls: binary.g_in_thread().unwrap_or(-8),
        goid: at("runtime.g", "goid"),
        sched_pc: sched + at("runtime.gobuf", "pc"),
        sched_bp: sched + at("runtime.gobuf", "bp"),
        panic,
        panic_sp,
        m: at("runtime.g", "m"),
        curg: at("runtime.m", "curg"),
        labels: at("runtime.g", "labels"),
        // `labelMap` of runtime/pprof became a list in the release that brought new maps.
        label_form: match binary.layouts.get("internal/runtime/maps.Map") {
            Some(_) => layout::LABELS_LIST,
            None => layout::LABELS_MAP,
        },
        panic_frame: panicking.gopanic.map_or(0, |function| past_stack_check(&function).1 as u32),
    }
}

/// Where a function has begun for good: its first instructions may be run twice, before and after its stack has grown. With
/// the number of bytes that it has put on the stack by then; its caller's frame pointer is still in its register.
fn past_stack_check(function: &Function<'_>) -> (u64, u64) {
    let grown = |pc: &u64| function.sp_delta(*pc).is_some_and(|delta| delta > 0);
    let begun = (function.entry..function.end.min(function.entry + PROLOGUE_BYTES_MAX)).find(grown);
    begun.map_or((function.entry, 0), |pc| (pc, function.sp_delta(pc).unwrap_or(0)))
}

/// Whether a package belongs to a module.
fn is_below(package: &str, module: &str) -> bool {
    package.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The import path of the package of a function, as the linker writes both: escaped dots (`cmd/internal/objabi.PathToPrefix`)
/// in the last element only, type arguments in brackets.
fn package_of(function: &str) -> String {
    let plain = function.split('[').next().unwrap_or_default();
    let slash = plain.rfind('/').map_or(0, |at| at + 1);
    let Some(dot) = plain[slash..].find('.') else { return String::new() };
    plain[..slash + dot].replace("%2e", ".")
}

fn unnamed(pc: u64) -> Frame {
    Frame { function: format!("{pc:#x}"), ..Frame::default() }
}

/// C code that a goroutine called.
fn in_c(pc: u64) -> Frame {
    Frame { function: format!("C {pc:#x}"), ..Frame::default() }
}

fn base(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// What exec was given.
pub(super) struct Executed {
    /// The path, as it was given.
    pub(super) name: String,
    /// Length of the file that was executed.
    pub(super) bytes: u64,
}

/// The program of a process, with its name: by way of /proc as long as it runs, else by its path. By now the process may run
/// another one, and the path may lead to another: what has another length than what was executed is not it. (Numbers of
/// inodes differ between the kernel's side and stat(2) on some file systems.)
pub(super) fn open(pid: u32, executed: Option<&Executed>) -> Option<Opened> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let exe = process.join("exe");
    let link = std::fs::read_link(&exe).unwrap_or_default();
    let mut places = vec![(exe, base(&link.to_string_lossy()))];
    if let Some(Executed { name, .. }) = executed {
        // As the process sees it, which may have a root and a directory of its own.
        let seen = match name.strip_prefix('/') {
            Some(below) => process.join("root").join(below),
            None => process.join("cwd").join(name),
        };
        places.push((seen, base(name)));
        if Path::new(name).is_absolute() {
            places.push((PathBuf::from(name), base(name)));
        }
    }
    places.into_iter().find_map(|(place, name)| {
        let file = File::open(place).ok()?;
        let told = file.metadata().ok().filter(|told| told.is_file() && told.len() <= PROGRAM_BYTES_MAX)?;
        let is_it = executed.is_none_or(|executed| executed.bytes == told.len());
        is_it.then(|| ((told.dev(), told.ino(), told.len(), told.mtime()), file, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_of_functions() {
        for (function, package) in [
            ("main.main", "main"),
            ("net/http.(*conn).serve.func1", "net/http"),
            ("example.com/a/b.F[...]", "example.com/a/b"),
            ("example.com/a/b.F[go.shape.struct { example.com/x.T }]", "example.com/a/b"),
            ("gopkg.in/yaml%2ev3.Unmarshal", "gopkg.in/yaml.v3"),
            ("_cgo_wait", ""),
        ] {
            assert_eq!(package_of(function), package);
        }
    }
}

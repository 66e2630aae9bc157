//! A process or a core, opened.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use residue_gobin::{Arch, Elf};

use crate::core::Core;
use crate::held::Held;
use crate::{Error, Library, Mapping, Memory, Room, program};

/// General registers, on the machine that has most.
const GENERAL: usize = 31;

/// Registers of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// The instruction it is at.
    pub pc: u64,
    /// The stack pointer.
    pub sp: u64,
    /// Where it returns to, on machines that keep that in a register.
    pub lr: u64,
    /// All general ones, as `struct user_regs_struct` (x86-64: 15 in its order) or `struct user_pt_regs` (arm64: 31) have
    /// them; zeros behind.
    pub general: [u64; GENERAL],
}

impl Registers {
    /// Of the words of `NT_PRSTATUS`'s registers.
    pub(crate) fn of(words: &[u64], arch: Arch) -> Option<Self> {
        let (count, pc, sp) = match arch {
            Arch::Amd64 => (15, 16, 19),
            Arch::Arm64 => (31, 32, 31),
        };
        let mut general = [0; GENERAL];
        general[..count].copy_from_slice(words.get(..count)?);
        let lr = if arch == Arch::Arm64 { *words.get(30)? } else { 0 };
        Some(Self { pc: *words.get(pc)?, sp: *words.get(sp)?, lr, general })
    }
}

/// A thread that doesn't run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its id in the process's own namespace.
    pub tid: u64,
    /// Where it is.
    pub registers: Registers,
}

/// What a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A live process.
    Process(u32),
    /// A core.
    Core,
}

/// What a core doesn't have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Bytes of memory that the core says it has.
    pub stored_bytes: u64,
    /// How many of them lie behind its end: it is cut off.
    pub cut_bytes: u64,
    /// It has no memory that the program could write to (`/proc/PID/coredump_filter` left that out).
    pub filtered: bool,
    /// Why it could not be unpacked to its end.
    pub damage: Option<String>,
}

/// A process or a core, opened.
pub struct Target {
    /// What it is.
    pub kind: Kind,
    /// The program's file.
    pub program: Vec<u8>,
    /// Where the file was found.
    pub program_path: PathBuf,
    /// What is added to addresses of the file to have those in memory.
    pub slide: u64,
    pub(crate) source: Source,
    held: OnceLock<Held>,
    libraries: OnceLock<Vec<(u64, Option<Library>)>>,
}

pub(crate) enum Source {
    #[cfg(target_os = "linux")]
    Live(crate::live::Live),
    Core(Core),
}

impl Target {
    /// Opens a live process. Nothing is stopped yet.
    ///
    /// # Errors
    /// It is gone, isn't ours to read, or has no program that can be read.
    #[cfg(target_os = "linux")]
    pub fn process(pid: u32) -> Result<Self, Error> {
        let (live, program, program_path, entry) = crate::live::Live::open(pid)?;
        let slide = entry.wrapping_sub(Elf::parse(&program).map_err(Error::Program)?.entry);
        Ok(Self {
            kind: Kind::Process(pid),
            program,
            program_path,
            slide,
            source: Source::Live(live),
            held: OnceLock::new(),
            libraries: OnceLock::new(),
        })
    }

    /// Opens a live process, where that can be done.
    ///
    /// # Errors
    /// It can't be done here.
    #[cfg(not(target_os = "linux"))]
    pub fn process(_pid: u32) -> Result<Self, Error> {
        Err(Error::Unsupported)
    }

    /// Opens a core, also one that `systemd-coredump` has compressed. The program is `binary`, or the file that the core
    /// names, or another of the same identity: beside the core, kept by its build id, or run by a process.
    ///
    /// # Errors
    /// It isn't a core, or its program can't be found.
    pub fn core(path: &Path, binary: Option<&Path>) -> Result<Self, Error> {
        let mut core = Core::open(path)?;
        let named = core.program_path();
        let (program_path, program) = program::find(binary, named.as_deref(), path, &core.identity())?;
        let elf = Elf::parse(&program).map_err(Error::Program)?;
        let slide = core.entry().map_or(0, |entry| entry.wrapping_sub(elf.entry));
        core.add_program(&elf, slide, &program_path.to_string_lossy());
        drop(elf);
        let source = Source::Core(core);
        Ok(Self {
            kind: Kind::Core,
            program,
            program_path,
            slide,
            source,
            held: OnceLock::new(),
            libraries: OnceLock::new(),
        })
    }

    /// Copies memory of a live process: from now on these ranges, which must be sorted and not overlap, are read as they are at
    /// this moment. A core holds still by itself, and what is held once stays: for another look, [`Target::forget`] it.
    /// Says how many bytes were not copied, because there was no room for them or they can't be read.
    #[cfg_attr(not(target_os = "linux"), expect(unused_variables, reason = "cores only, which hold still"))]
    pub fn hold(&self, ranges: &[(u64, u64)], room: Room) -> u64 {
        match &self.source {
            #[cfg(target_os = "linux")]
            Source::Live(live) if !self.is_held() => {
                let (held, left_out) = Held::copy(live, ranges, room);
                // Whoever was quicker has held the same moment, or one as good.
                let _ = self.held.set(held);
                left_out
            }
            _ => 0,
        }
    }

    /// Whether memory of it is read as it was when that was copied.
    pub fn is_held(&self) -> bool {
        self.held.get().is_some()
    }

    /// Forgets what was copied, and libraries: all is read as it is again.
    pub fn forget(&mut self) {
        self.held = OnceLock::new();
        self.libraries = OnceLock::new();
    }

    /// The files that are mapped at addresses, as far as they can be had. Those that are asked for first are kept; what a core
    /// lacks because they have it is read from them.
    pub fn libraries(&self, addresses: &[u64]) -> Vec<Option<&Library>> {
        let kept = self.libraries.get_or_init(|| Library::all(self, addresses));
        let known = |at: &u64| kept.iter().find(|(other, _)| other == at).and_then(|(_, library)| library.as_ref());
        addresses.iter().map(known).collect()
    }

    /// Which files are mapped where, by address.
    pub(crate) fn named_ranges(&self) -> Vec<(u64, u64, String)> {
        let mut named = match &self.source {
            #[cfg(target_os = "linux")]
            Source::Live(_) => {
                let mappings = self.mappings_now().into_iter();
                mappings.map(|mapping| (mapping.start, mapping.end, mapping.name)).collect()
            }
            Source::Core(core) => core.files.clone(),
        };
        named.retain(|(.., name)| name.starts_with('/'));
        named.sort_unstable();
        named
    }

    /// Where the file may be that is mapped at a range.
    #[cfg_attr(not(target_os = "linux"), expect(unused_variables, reason = "cores only"))]
    pub(crate) fn places_of(&self, start: u64, end: u64, path: &Path) -> Vec<PathBuf> {
        match &self.source {
            // The link leads to the file even when it has been deleted, but isn't for everybody.
            #[cfg(target_os = "linux")]
            Source::Live(live) => {
                let process = PathBuf::from(format!("/proc/{}", live.pid));
                let below = path.strip_prefix("/").unwrap_or(path);
                vec![process.join(format!("map_files/{start:x}-{end:x}")), process.join("root").join(below)]
            }
            Source::Core(core) => {
                std::iter::once(path.to_owned()).chain(path.file_name().map(|name| core.folder.join(name))).collect()
            }
        }
    }

    /// Whether the process is there still and runs the same program; a core stays what it is.
    ///
    /// # Errors
    /// It isn't so.
    pub fn is_same(&self) -> Result<(), Error> {
        match &self.source {
            #[cfg(target_os = "linux")]
            Source::Live(live) => live.is_same(),
            Source::Core(_) => Ok(()),
        }
    }

    /// Now, on the clock that Go's runtime uses (`CLOCK_MONOTONIC`, in nanoseconds). For a core there is no now.
    pub fn now(&self) -> Option<u64> {
        match &self.source {
            #[cfg(target_os = "linux")]
            Source::Live(_) => crate::sys::monotonic_now(),
            Source::Core(_) => None,
        }
    }

    /// For how long the process has been there. Of a core that isn't known.
    pub fn uptime(&self) -> Option<std::time::Duration> {
        match &self.source {
            #[cfg(target_os = "linux")]
            Source::Live(live) => live.uptime(),
            Source::Core(_) => None,
        }
    }

    /// What a core doesn't have; nothing is missing from a process.
    pub fn missing(&self) -> Missing {
        match &self.source {
            #[cfg(target_os = "linux")]
            Source::Live(_) => Missing::default(),
            Source::Core(core) => core.missing.clone(),
        }
    }

    /// The open descriptors of a live process, by number; none for a core, which doesn't have them.
    ///
    /// # Errors
    /// The process is gone, or isn't ours to look into.
    pub fn descriptors(&self) -> Result<Option<Vec<crate::Descriptor>>, Error> {
        match &self.source {
            #[cfg(target_os = "linux")]
            Source::Live(live) => {
                let found = crate::descriptors::read(live.pid);
                found.map(Some).map_err(|error| crate::live::refused(live.pid, &error))
            }
            Source::Core(_) => Ok(None),
        }
    }

    /// An open descriptor of a live process; none when it isn't open, or can't be looked at.
    #[cfg_attr(not(target_os = "linux"), expect(unused_variables, reason = "cores only"))]
    pub fn descriptor(&self, number: u32) -> Option<crate::Descriptor> {
        match &self.source {
            #[cfg(target_os = "linux")]
            Source::Live(live) => crate::descriptors::one(Path::new(&format!("/proc/{}", live.pid)), number),
            Source::Core(_) => None,
        }
    }

    /// What it has mapped, by address.
    pub fn mappings(&self) -> &[Mapping] {
        match &self.source {
            #[cfg(target_os = "linux")]
            Source::Live(live) => &live.mappings,
            Source::Core(core) => &core.mappings,
        }
    }

    /// What it has mapped now, which of a live process may be more than when it was opened.
    pub fn mappings_now(&self) -> Vec<Mapping> {
        match &self.source {
            #[cfg(target_os = "linux")]
            Source::Live(live) => live.mappings_now().unwrap_or_else(|| live.mappings.clone()),
            Source::Core(core) => {
                let mut all = core.mappings.clone();
                // What the core doesn't even mention.
                for mapping in self.kept_libraries().flat_map(|library| &library.mappings) {
                    let after = core.mappings.partition_point(|known| known.start <= mapping.start);
                    if after.checked_sub(1).is_none_or(|before| core.mappings[before].end <= mapping.start) {
                        all.push(mapping.clone());
                    }
                }
                all.sort_by_key(|mapping| mapping.start);
                all
            }
        }
    }

    fn kept_libraries(&self) -> impl Iterator<Item = &Library> {
        self.libraries.get().into_iter().flatten().filter_map(|(_, library)| library.as_ref())
    }

    /// Reads a core, and what it lacks from files that it had mapped.
    fn read_core(&self, core: &Core, address: u64, buffer: &mut [u8]) -> usize {
        let mut done = core.read(address, buffer, &self.program);
        while done < buffer.len() {
            let (at, rest) = (address.wrapping_add(done as u64), &mut buffer[done..]);
            let mut more = self.kept_libraries().map(|library| library.read(at, rest)).find(|more| *more > 0);
            if more.is_none() && done > 0 {
                more = Some(core.read(at, rest, &self.program)).filter(|more| *more > 0);
            }
            let Some(more) = more else { break };
            done += more;
        }
        done
    }

    /// The threads of a core. Those of a process are had by freezing it.
    pub fn threads(&self) -> &[Thread] {
        match &self.source {
            #[cfg(target_os = "linux")]
            Source::Live(_) => &[],
            Source::Core(core) => &core.threads,
        }
    }
}

impl Memory for Target {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        match &self.source {
            #[cfg(target_os = "linux")]
            Source::Live(live) => match self.held.get() {
                Some(held) => held.read(live, address, buffer),
                None => live.read(address, buffer),
            },
            Source::Core(core) => self.read_core(core, address, buffer),
        }
    }

    fn read_many(&self, ranges: &mut [(u64, &mut [u8])]) -> Vec<usize> {
        match &self.source {
            #[cfg(target_os = "linux")]
            Source::Live(live) if self.held.get().is_none_or(|held| held.has_none(ranges)) => live.read_many(ranges),
            _ => ranges.iter_mut().map(|(address, buffer)| self.read(*address, buffer)).collect(),
        }
    }
}

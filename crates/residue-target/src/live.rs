//! A live process of this machine, by way of /proc and `process_vm_readv`.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use residue_gobin::Elf;

use crate::program::PROGRAM_BYTES_MAX;
use crate::{Error, Mapping, Memory, mapping, sys};

const AT_ENTRY: u64 = 9;
/// The bit of `CapEff` that lets a process look into others.
const CAP_SYS_PTRACE: u64 = 1 << 19;

/// How long to wait for the kernel to load a program. It takes a millisecond, and longer from a slow disk.
const LOAD_WAIT: Duration = Duration::from_secs(1);
const LOAD_POLL: Duration = Duration::from_micros(100);

/// A live process.
pub(crate) struct Live {
    pub(crate) pid: u32,
    pub(crate) mappings: Vec<Mapping>,
    /// For kernels, or their filters, that don't have `process_vm_readv`.
    memory: Option<File>,
    /// What the kernel told the program when it started, random numbers and addresses among them; and when that was.
    identity: (Vec<u8>, u64),
}

impl Live {
    /// Opens a process: itself, its program, where that was found, and where it starts in memory.
    pub(crate) fn open(pid: u32) -> Result<(Self, Vec<u8>, PathBuf, u64), Error> {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        if !proc.exists() {
            return Err(Error::Gone(pid));
        }
        // First of all, so that nothing is taken for another program's.
        let auxv = told(pid)?;
        let started = started(pid).ok_or(Error::Gone(pid))?;
        // The link leads to the file even when it has been deleted, or lies in another mount namespace.
        let exe = proc.join("exe");
        let path = std::fs::read_link(&exe).map_err(|error| refused(pid, &error))?;
        let size = std::fs::metadata(&exe).map_err(|error| refused(pid, &error))?.len();
        if size > PROGRAM_BYTES_MAX {
            return Err(Error::File(path.display().to_string(), "it is too large for a program".to_owned()));
        }
        let program = std::fs::read(&exe).map_err(|error| refused(pid, &error))?;
        let pairs = auxv.chunks_exact(16).filter_map(|pair| {
            let (key, value) = pair.split_at_checked(8)?;
            Some((u64::from_le_bytes(key.try_into().ok()?), u64::from_le_bytes(value.try_into().ok()?)))
        });
        let entry = pairs.into_iter().find(|(key, _)| *key == AT_ENTRY).map(|(_, value)| value);
        // What a 32-bit program was told reads as nothing.
        let entry = entry.ok_or_else(|| Elf::parse(&program).err().map_or(Error::Kernel(pid), Error::Program))?;
        let maps = std::fs::read(proc.join("maps")).map_err(|error| refused(pid, &error))?;
        let mappings = mapping::parse(&String::from_utf8_lossy(&maps));
        let mut live = Self { pid, mappings, memory: None, identity: (auxv, started) };
        // Whether memory can be read shows at the first byte of the program.
        let mut byte = [0];
        if let Err(error) = sys::read_process(pid, &mut [(entry, &mut byte)]) {
            let memory = File::open(proc.join("mem")).map_err(|_| refused(pid, &error))?;
            memory.read_exact_at(&mut byte, entry).map_err(|_| refused(pid, &error))?;
            live.memory = Some(memory);
        }
        Ok((live, program, path, entry))
    }

    fn read_one(&self, address: u64, buffer: &mut [u8]) -> usize {
        match &self.memory {
            None => sys::read_process(self.pid, &mut [(address, buffer)]).unwrap_or(0),
            // Pages that can't be read make the whole read fail, so go page by page.
            Some(memory) => {
                let mut done = 0;
                while done < buffer.len() {
                    let Some(at) = address.checked_add(done as u64) else { break };
                    let len = ((4096 - at % 4096) as usize).min(buffer.len() - done);
                    if memory.read_exact_at(&mut buffer[done..done + len], at).is_err() {
                        break;
                    }
                    done += len;
                }
                done
            }
        }
    }

    /// Whether the number is still that of the process that was opened, and that still runs the same program.
    ///
    /// # Errors
    /// It isn't so.
    pub(crate) fn is_same(&self) -> Result<(), Error> {
        let (auxv, start) = &self.identity;
        let now = std::fs::read(format!("/proc/{}/auxv", self.pid)).map_err(|error| refused(self.pid, &error))?;
        // One that has ended has neither memory nor this.
        if now.is_empty() || started(self.pid) != Some(*start) {
            return Err(Error::Gone(self.pid));
        }
        if now == *auxv { Ok(()) } else { Err(Error::Replaced(self.pid)) }
    }

    /// Time since the process was started.
    pub(crate) fn uptime(&self) -> Option<Duration> {
        let ticks = self.identity.1;
        let machine = std::fs::read_to_string("/proc/uptime").ok()?;
        let machine: f64 = machine.split_whitespace().next()?.parse().ok()?;
        let started = Duration::from_millis(ticks.checked_mul(1000)? / sys::ticks_per_second());
        Duration::try_from_secs_f64(machine).ok()?.checked_sub(started)
    }

    /// What is mapped now.
    pub(crate) fn mappings_now(&self) -> Option<Vec<Mapping>> {
        let maps = std::fs::read(format!("/proc/{}/maps", self.pid)).ok()?;
        Some(mapping::parse(&String::from_utf8_lossy(&maps)))
    }
}

impl Memory for Live {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        self.read_one(address, buffer)
    }

    fn read_many(&self, ranges: &mut [(u64, &mut [u8])]) -> Vec<usize> {
        if self.memory.is_some() {
            return ranges.iter_mut().map(|(address, buffer)| self.read_one(*address, buffer)).collect();
        }
        let mut had = Vec::with_capacity(ranges.len());
        while had.len() < ranges.len() {
            let batch = &mut ranges[had.len()..];
            let count = batch.len().min(sys::RANGES_MAX);
            let batch = &mut batch[..count];
            let mut read = sys::read_process(self.pid, batch).unwrap_or(0);
            for (_, buffer) in batch.iter() {
                let len = buffer.len();
                had.push(read.min(len));
                // The range that stopped it is had in part; the next ones are asked for again.
                if read < len {
                    break;
                }
                read -= len;
            }
        }
        had
    }
}

/// What the kernel told the program of a process. A thread of the kernel has none; while a program is being loaded it is made
/// word by word, and where the code begins is noted after that (`load_elf_binary` of the kernel).
fn told(pid: u32) -> Result<Vec<u8>, Error> {
    let deadline = Instant::now() + LOAD_WAIT;
    loop {
        let is_loading = || stat(pid, 26) == Some(0);
        let was_loading = is_loading();
        let auxv = std::fs::read(format!("/proc/{pid}/auxv")).map_err(|error| refused(pid, &error))?;
        if auxv.is_empty() || !(was_loading || is_loading()) || Instant::now() > deadline {
            return Ok(auxv);
        }
        std::thread::sleep(LOAD_POLL);
    }
}

/// When a process was started, in ticks since the machine was.
fn started(pid: u32) -> Option<u64> {
    stat(pid, 22)
}

/// A field of `/proc/PID/stat`, as the kernel's documentation numbers them, from 3 on.
fn stat(pid: u32, field: usize) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may contain anything.
    stat.rsplit_once(')')?.1.split_whitespace().nth(field - 3)?.parse().ok()
}

/// Why the kernel refused.
pub(crate) fn refused(pid: u32, error: &std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound if std::path::Path::new(&format!("/proc/{pid}")).exists() => Error::Kernel(pid),
        ErrorKind::NotFound => Error::Gone(pid),
        ErrorKind::PermissionDenied => Error::Permission { pid, needs: needs() },
        // `ESRCH`, of which std has no kind.
        _ if error.raw_os_error() == Some(libc::ESRCH) => Error::Gone(pid),
        _ => Error::File(format!("process {pid}"), error.to_string()),
    }
}

fn needs() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|value| u64::from_str_radix(value.trim(), 16).ok()).unwrap_or(0);
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    match (effective & CAP_SYS_PTRACE != 0, scope.trim()) {
        (true, _) => "CAP_SYS_PTRACE is there, and yet: a security module or a user namespace forbids it".to_owned(),
        (false, "" | "0") => "need CAP_SYS_PTRACE, or to be the same user as the process".to_owned(),
        (false, scope) => {
            format!("need CAP_SYS_PTRACE, or the same user with kernel.yama.ptrace_scope=0 (it is {scope})")
        }
    }
}

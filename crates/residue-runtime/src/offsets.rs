//! Offsets of the fields that are read, looked up once.

use residue_gobin::Layouts;

use crate::Error;

/// Offsets of fields. What only some releases have is an option.
pub(crate) struct Offsets {
    pub(crate) g_size: usize,
    pub(crate) stack: usize,
    pub(crate) panic: usize,
    pub(crate) deferred: usize,
    pub(crate) m: usize,
    pub(crate) sched_sp: usize,
    pub(crate) sched_pc: usize,
    pub(crate) sched_lr: usize,
    pub(crate) syscall_sp: usize,
    pub(crate) syscall_pc: usize,
    pub(crate) status: usize,
    pub(crate) id: usize,
    pub(crate) wait_since: usize,
    pub(crate) wait_reason: usize,
    pub(crate) created_at: usize,
    pub(crate) entry: usize,
    pub(crate) parent: usize,
    pub(crate) locked: usize,
    pub(crate) labels: usize,
    pub(crate) m_thread: u64,
    pub(crate) m_signal: u64,
    pub(crate) m_vdso_sp: u64,
    pub(crate) m_vdso_pc: u64,
    pub(crate) record: Record,
    pub(crate) panic_fields: PanicFields,
    pub(crate) type_flags: usize,
    pub(crate) type_name: usize,
}

/// Offsets of `runtime._defer`.
pub(crate) struct Record {
    pub(crate) size: usize,
    pub(crate) heap: usize,
    pub(crate) sp: usize,
    pub(crate) function: usize,
    pub(crate) link: usize,
    /// It stands for a frame with open-coded calls; where there is this field, these are encoded one by one.
    pub(crate) open_coded: Option<usize>,
    pub(crate) started: Option<usize>,
    pub(crate) range_function: Option<usize>,
    pub(crate) head: Option<usize>,
}

/// Offsets of `runtime._panic`.
pub(crate) struct PanicFields {
    pub(crate) size: usize,
    pub(crate) value: usize,
    pub(crate) link: usize,
    pub(crate) recovered: usize,
    pub(crate) goexit: usize,
    pub(crate) aborted: Option<usize>,
}

impl Offsets {
    pub(crate) fn of(layouts: &Layouts) -> Result<Self, Error> {
        let maybe =
            |name: &str, field: &str| layouts.offset(name, field).and_then(|offset| usize::try_from(offset).ok());
        let at = |name: &'static str, field: &'static str| maybe(name, field).ok_or(Error::Layout(name, field));
        let size =
            |name: &'static str| layouts.get(name).map(|layout| layout.size as usize).ok_or(Error::Layout(name, "*"));
        let g = |field| at("runtime.g", field);
        let sched = |field| Ok::<_, Error>(g("sched")? + at("runtime.gobuf", field)?);
        let (record, panic) = ("runtime._defer", "runtime._panic");
        Ok(Self {
            g_size: size("runtime.g")?,
            stack: g("stack")? + at("runtime.stack", "lo")?,
            panic: g("_panic")?,
            deferred: g("_defer")?,
            m: g("m")?,
            sched_sp: sched("sp")?,
            sched_pc: sched("pc")?,
            sched_lr: sched("lr")?,
            syscall_sp: g("syscallsp")?,
            syscall_pc: g("syscallpc")?,
            status: g("atomicstatus")?,
            id: g("goid")?,
            wait_since: g("waitsince")?,
            wait_reason: g("waitreason")?,
            created_at: g("gopc")?,
            entry: g("startpc")?,
            parent: g("parentGoid")?,
            locked: g("lockedm")?,
            labels: g("labels")?,
            m_thread: at("runtime.m", "procid")? as u64,
            m_signal: at("runtime.m", "gsignal")? as u64,
            m_vdso_sp: at("runtime.m", "vdsoSP")? as u64,
            m_vdso_pc: at("runtime.m", "vdsoPC")? as u64,
            record: Record {
                size: size(record)?,
                heap: at(record, "heap")?,
                sp: at(record, "sp")?,
                function: at(record, "fn")?,
                link: at(record, "link")?,
                open_coded: maybe(record, "openDefer"),
                started: maybe(record, "started"),
                range_function: maybe(record, "rangefunc"),
                head: maybe(record, "head"),
            },
            panic_fields: PanicFields {
                size: size(panic)?,
                value: at(panic, "arg")?,
                link: at(panic, "link")?,
                recovered: at(panic, "recovered")?,
                goexit: at(panic, "goexit")?,
                aborted: maybe(panic, "aborted"),
            },
            type_flags: at("internal/abi.Type", "TFlag")?,
            type_name: at("internal/abi.Type", "Str")?,
        })
    }
}

/// A word of a record that has been read.
pub(crate) fn word(record: &[u8], at: usize) -> u64 {
    record.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// Half a word of a record that has been read.
pub(crate) fn half(record: &[u8], at: usize) -> u32 {
    record.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// A flag of a record that has been read.
pub(crate) fn flag(record: &[u8], at: Option<usize>) -> bool {
    at.and_then(|at| record.get(at)).is_some_and(|byte| *byte != 0)
}

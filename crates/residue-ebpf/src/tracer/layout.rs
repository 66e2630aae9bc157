//! The contract with `bpf/trace.h`: the same structs, with sizes and offsets asserted here as there.

use std::mem::{offset_of, size_of};

pub(super) const FRAMES_MAX: usize = 96;
pub(super) const LABELS_MAX: usize = 6;
pub(super) const KEY_BYTES: usize = 24;
pub(super) const VALUE_BYTES: usize = 64;
pub(super) const SAMPLE_BYTES: usize = 64;
pub(super) const SYSCALLS_MAX: usize = 512;
pub(super) const NAME_BYTES: usize = 256;
pub(super) const IOCTLS: usize = 16;

/// What is done at the end of a system call; `enum action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Action {
    Nothing,
    Returns,
    DupOver,
    Bpf,
    Fcntl,
    Ioctl,
    Seccomp,
    Signalfd,
    Pipe,
    Socketpair,
    Recvmsg,
    Recvmmsg,
    Getsockopt,
    Clone,
    Clone3,
    Unshare,
    Close,
    CloseRange,
}

pub(super) const ROLE_OPENS: u8 = 1;
pub(super) const ROLE_PANICS: u8 = 3;
pub(super) const ROLE_RECOVERS: u8 = 4;
pub(super) const LIVE_INHERITED: u32 = 1;
pub(super) const LIVE_LABELLED: u32 = 4;
pub(super) const LABELS_MAP: u32 = 1;
pub(super) const LABELS_LIST: u32 = 2;
pub(super) const PAIR_CLOSED: u32 = 1;
pub(super) const PAIR_UNWOUND: u32 = 3;
pub(super) const EVENT_FORK: u32 = 1;
pub(super) const EVENT_EXEC: u32 = 2;

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Table {
    pub(super) id: u32,
    pub(super) parent: u32,
    pub(super) tgid: u32,
    pub(super) image: u32,
    pub(super) sharers: u32,
    pub(super) flags: u32,
    pub(super) born_ns: u64,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Program {
    pub(super) inode: u64,
    pub(super) bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Slot {
    pub(super) table: u32,
    pub(super) fd: u32,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Live {
    pub(super) opened_ns: u64,
    pub(super) file: u64,
    pub(super) goid: u64,
    pub(super) site: u32,
    pub(super) tid: u32,
    pub(super) seen: u32,
    pub(super) flags: u32,
    pub(super) unwound: u32,
    pub(super) pad: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Tally {
    pub(super) opened: u64,
    pub(super) closed: u64,
    pub(super) ended: u64,
    pub(super) last_ns: u64,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Site {
    pub(super) pcs: [u64; FRAMES_MAX],
    pub(super) tgid: u32,
    pub(super) image: u32,
    pub(super) command: u32,
    pub(super) call: u16,
    pub(super) mode: u16,
    pub(super) frames: u16,
    pub(super) role: u8,
    pub(super) cut: u8,
    pub(super) ready: u32,
    pub(super) sample: [u8; SAMPLE_BYTES],
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct PairKey {
    pub(super) opener: u32,
    pub(super) closer: u32,
    pub(super) kind: u32,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Pair {
    pub(super) count: u64,
    pub(super) last_ns: u64,
    pub(super) goid: u64,
    pub(super) tgid: u32,
    pub(super) fd: u32,
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct State {
    pub(super) sites: u32,
    pub(super) tables: u32,
    pub(super) images: u32,
    pub(super) walk: u32,
    pub(super) walk_tgid: u32,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Image {
    pub(super) tls: i64,
    pub(super) goid: u32,
    pub(super) sched_pc: u32,
    pub(super) sched_bp: u32,
    pub(super) panic: u32,
    pub(super) panic_sp: u32,
    pub(super) m: u32,
    pub(super) curg: u32,
    pub(super) labels: u32,
    pub(super) label_form: u32,
    pub(super) panic_frame: u32,
}

/// A label of runtime/pprof, ending in zeros.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Label {
    pub(super) key: [u8; KEY_BYTES],
    pub(super) value: [u8; VALUE_BYTES],
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Labels {
    pub(super) opened_ns: u64,
    pub(super) count: u32,
    pub(super) pad: u32,
    pub(super) of: [Label; LABELS_MAX],
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Event {
    pub(super) time_ns: u64,
    pub(super) start_code: u64,
    pub(super) bytes: u64,
    pub(super) kind: u32,
    pub(super) tgid: u32,
    pub(super) table: u32,
    pub(super) image: u32,
    pub(super) parent: u32,
    pub(super) shared: u32,
    pub(super) name: [u8; NAME_BYTES],
}

/// `enum counter`, in its order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counter {
    UnknownCloses,
    BadCloses,
    Ghosts,
    UnknownEnded,
    LostLive,
    LostSites,
    LostTables,
    LostPairs,
    LostEvents,
    Unread,
    Compat,
    LostPanics,
}

macro_rules! layout {
    ($($type:ident $size:literal { $($field:ident $at:literal),* })*) => {
        $(const _: () = assert!(size_of::<$type>() == $size $(&& offset_of!($type, $field) == $at)*);)*
    };
}
layout! {
    Table 32 { tgid 8, sharers 16, born_ns 24 }
    Program 16 { bytes 8 }
    Slot 8 { fd 4 }
    Live 48 { goid 16, site 24, seen 32, flags 36, unwound 40 }
    Tally 32 { last_ns 24 }
    Site 856 { tgid 768, call 780, frames 784, ready 788, sample 792 }
    PairKey 12 { kind 8 }
    Pair 32 { tgid 24 }
    State 20 { walk_tgid 16 }
    Image 48 { goid 8, label_form 40, panic_frame 44 }
    Labels 544 { count 8, of 16 }
    Event 304 { kind 24, name 48 }
}

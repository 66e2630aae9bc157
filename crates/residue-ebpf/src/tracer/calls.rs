//! System calls that make or close descriptors, as a table: what the programs do at the end of each, and its name.

use super::layout::{Action, SYSCALLS_MAX};

/// A system call: its name, its number here (none where this architecture doesn't have it), what is done at its end, and
/// which argument is a path (from 1; 0 for none).
type Call = (&'static str, Option<libc::c_long>, Action, u8);

macro_rules! calls {
    ($($name:literal $number:expr, $action:ident, $path:literal;)*) => {
        &[$(($name, $number, Action::$action, $path)),*]
    };
}

/// A number that only 64-bit x86 has: the oldest forms of calls.
#[cfg(target_arch = "x86_64")]
macro_rules! old {
    ($name:ident) => {
        Some(libc::$name)
    };
}
#[cfg(not(target_arch = "x86_64"))]
macro_rules! old {
    ($name:ident) => {
        None
    };
}

const CALLS: &[Call] = calls! {
    "open" old!(SYS_open), Returns, 1;
    "creat" old!(SYS_creat), Returns, 1;
    "openat" Some(libc::SYS_openat), Returns, 2;
    "openat2" Some(libc::SYS_openat2), Returns, 2;
    "open_by_handle_at" Some(libc::SYS_open_by_handle_at), Returns, 0;
    "open_tree" Some(libc::SYS_open_tree), Returns, 2;
    "open_tree_attr" Some(467), Returns, 2;
    "fsopen" Some(libc::SYS_fsopen), Returns, 1;
    "fsmount" Some(libc::SYS_fsmount), Returns, 0;
    "fspick" Some(libc::SYS_fspick), Returns, 2;
    "socket" Some(libc::SYS_socket), Returns, 0;
    "accept" Some(libc::SYS_accept), Returns, 0;
    "accept4" Some(libc::SYS_accept4), Returns, 0;
    "epoll_create" old!(SYS_epoll_create), Returns, 0;
    "epoll_create1" Some(libc::SYS_epoll_create1), Returns, 0;
    "eventfd" old!(SYS_eventfd), Returns, 0;
    "eventfd2" Some(libc::SYS_eventfd2), Returns, 0;
    "timerfd_create" Some(libc::SYS_timerfd_create), Returns, 0;
    "signalfd" old!(SYS_signalfd), Signalfd, 0;
    "signalfd4" Some(libc::SYS_signalfd4), Signalfd, 0;
    "inotify_init" old!(SYS_inotify_init), Returns, 0;
    "inotify_init1" Some(libc::SYS_inotify_init1), Returns, 0;
    "fanotify_init" Some(libc::SYS_fanotify_init), Returns, 0;
    "memfd_create" Some(libc::SYS_memfd_create), Returns, 1;
    "memfd_secret" Some(447), Returns, 0;
    "userfaultfd" Some(libc::SYS_userfaultfd), Returns, 0;
    "pidfd_open" Some(libc::SYS_pidfd_open), Returns, 0;
    "pidfd_getfd" Some(libc::SYS_pidfd_getfd), Returns, 0;
    "perf_event_open" Some(libc::SYS_perf_event_open), Returns, 0;
    "bpf" Some(libc::SYS_bpf), Bpf, 0;
    "io_uring_setup" Some(libc::SYS_io_uring_setup), Returns, 0;
    "landlock_create_ruleset" Some(libc::SYS_landlock_create_ruleset), Returns, 0;
    "mq_open" Some(libc::SYS_mq_open), Returns, 1;
    "seccomp" Some(libc::SYS_seccomp), Seccomp, 0;
    "dup" Some(libc::SYS_dup), Returns, 0;
    "dup2" old!(SYS_dup2), DupOver, 0;
    "dup3" Some(libc::SYS_dup3), DupOver, 0;
    "fcntl" Some(libc::SYS_fcntl), Fcntl, 0;
    "ioctl" Some(libc::SYS_ioctl), Ioctl, 0;
    "pipe" old!(SYS_pipe), Pipe, 0;
    "pipe2" Some(libc::SYS_pipe2), Pipe, 0;
    "socketpair" Some(libc::SYS_socketpair), Socketpair, 0;
    "recvmsg" Some(libc::SYS_recvmsg), Recvmsg, 0;
    "recvmmsg" Some(libc::SYS_recvmmsg), Recvmmsg, 0;
    "io_uring_enter" Some(libc::SYS_io_uring_enter), Nothing, 0;
    "getsockopt" Some(libc::SYS_getsockopt), Getsockopt, 0;
    "clone" Some(libc::SYS_clone), Clone, 0;
    "clone3" Some(libc::SYS_clone3), Clone3, 0;
    "unshare" Some(libc::SYS_unshare), Unshare, 0;
    "close" Some(libc::SYS_close), Close, 0;
    "close_range" Some(libc::SYS_close_range), CloseRange, 0;
};

/// Commands of `bpf` that return a descriptor (`enum bpf_cmd` of `include/uapi/linux/bpf.h`).
const BPF_COMMANDS: &[(u32, &str)] = &[
    (0, "BPF_MAP_CREATE"),
    (5, "BPF_PROG_LOAD"),
    (7, "BPF_OBJ_GET"),
    (13, "BPF_PROG_GET_FD_BY_ID"),
    (14, "BPF_MAP_GET_FD_BY_ID"),
    (17, "BPF_RAW_TRACEPOINT_OPEN"),
    (18, "BPF_BTF_LOAD"),
    (19, "BPF_BTF_GET_FD_BY_ID"),
    (28, "BPF_LINK_CREATE"),
    (30, "BPF_LINK_GET_FD_BY_ID"),
    (32, "BPF_ENABLE_STATS"),
    (33, "BPF_ITER_CREATE"),
    (36, "BPF_TOKEN_CREATE"),
];

/// Requests of `io_uring_enter` that make or close one (`enum io_uring_op` of `include/uapi/linux/io_uring.h`).
const RING_COMMANDS: &[(u32, &str)] = &[
    (10, "IORING_OP_RECVMSG"),
    (13, "IORING_OP_ACCEPT"),
    (18, "IORING_OP_OPENAT"),
    (19, "IORING_OP_CLOSE"),
    (28, "IORING_OP_OPENAT2"),
    (45, "IORING_OP_SOCKET"),
    (54, "IORING_OP_FIXED_FD_INSTALL"),
    (62, "IORING_OP_PIPE"),
];

/// Commands of `ioctl` that return a descriptor: `linux/nsfs.h`, `asm-generic/ioctls.h`, `linux/kvm.h`, `linux/vfio.h`,
/// `linux/sockios.h`, `linux/un.h`, `linux/pidfd.h`.
pub(super) const IOCTL_COMMANDS: [(u32, &str); super::layout::IOCTLS] = [
    (0xb701, "NS_GET_USERNS"),
    (0xb702, "NS_GET_PARENT"),
    (0x5441, "TIOCGPTPEER"),
    (0xae01, "KVM_CREATE_VM"),
    (0xae41, "KVM_CREATE_VCPU"),
    (0x3b6a, "VFIO_GROUP_GET_DEVICE_FD"),
    (0x894c, "SIOCGSKNS"),
    (0x89e0, "SIOCUNIXFILE"),
    (0xff01, "PIDFD_GET_CGROUP_NAMESPACE"),
    (0xff02, "PIDFD_GET_IPC_NAMESPACE"),
    (0xff03, "PIDFD_GET_MNT_NAMESPACE"),
    (0xff04, "PIDFD_GET_NET_NAMESPACE"),
    (0xff05, "PIDFD_GET_PID_NAMESPACE"),
    (0xff07, "PIDFD_GET_TIME_NAMESPACE"),
    (0xff09, "PIDFD_GET_USER_NAMESPACE"),
    (0xff0a, "PIDFD_GET_UTS_NAMESPACE"),
];

/// What is done at the end of each call, and which argument of it is a path, by number.
pub(super) fn by_number() -> ([u8; SYSCALLS_MAX], [u8; SYSCALLS_MAX]) {
    let (mut actions, mut paths) = ([0; SYSCALLS_MAX], [0; SYSCALLS_MAX]);
    for (_, number, action, path) in CALLS {
        if let Some(at) = number.and_then(|number| usize::try_from(number).ok()).filter(|at| *at < SYSCALLS_MAX) {
            actions[at] = *action as u8;
            paths[at] = *path;
        }
    }
    (actions, paths)
}

/// The commands of `bpf` that return a descriptor, as bits.
pub(super) fn bpf_commands() -> u64 {
    BPF_COMMANDS.iter().map(|(command, _)| 1 << command).sum()
}

/// The name of a call.
pub(super) fn name(number: u16) -> &'static str {
    let found = CALLS.iter().find(|(_, known, _, _)| *known == Some(libc::c_long::from(number)));
    found.map_or("", |(name, _, _, _)| name)
}

/// The name of a call's command.
pub(super) fn command_name(call: &str, command: u32) -> &'static str {
    let among = |commands: &[(u32, &'static str)]| {
        commands.iter().find(|(known, _)| *known == command).map_or("", |(_, name)| name)
    };
    match call {
        "bpf" => among(BPF_COMMANDS),
        "io_uring_enter" => among(RING_COMMANDS),
        "ioctl" => among(&IOCTL_COMMANDS),
        "fcntl" if command == 0 => "F_DUPFD",
        "fcntl" => "F_DUPFD_CLOEXEC",
        _ => "",
    }
}

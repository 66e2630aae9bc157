//! What a descriptor is, in a word: by the call that made it, by its file's mode, or by what `/proc/PID/fd` shows.

/// The kind of descriptor that a call makes; `mode` is `i_mode` of its inode (`include/uapi/linux/stat.h`).
pub fn of_call(call: &str, command: &str, mode: u16) -> &'static str {
    let by_call = match call {
        "bpf" => match command {
            "BPF_MAP_CREATE" | "BPF_MAP_GET_FD_BY_ID" => "bpf-map",
            "BPF_PROG_LOAD" | "BPF_PROG_GET_FD_BY_ID" => "bpf-prog",
            "BPF_RAW_TRACEPOINT_OPEN" | "BPF_LINK_CREATE" | "BPF_LINK_GET_FD_BY_ID" => "bpf-link",
            "BPF_BTF_LOAD" | "BPF_BTF_GET_FD_BY_ID" => "btf",
            "BPF_ITER_CREATE" => "bpf-iter",
            _ => "bpf",
        },
        "io_uring_enter" if mode == 0 => match command {
            "IORING_OP_OPENAT" | "IORING_OP_OPENAT2" => "file",
            "IORING_OP_ACCEPT" | "IORING_OP_SOCKET" => "socket",
            "IORING_OP_PIPE" => "pipe",
            _ => "",
        },
        "epoll_create" | "epoll_create1" => "epoll",
        "eventfd" | "eventfd2" => "eventfd",
        "timerfd_create" => "timerfd",
        "signalfd" | "signalfd4" => "signalfd",
        "inotify_init" | "inotify_init1" => "inotify",
        "fanotify_init" => "fanotify",
        "memfd_create" | "memfd_secret" => "memfd",
        "userfaultfd" => "userfaultfd",
        "pidfd_open" | "clone" | "clone3" => "pidfd",
        "perf_event_open" => "perf-event",
        "io_uring_setup" => "io-uring",
        "landlock_create_ruleset" => "landlock",
        "fsopen" | "fspick" => "fs-context",
        "fsmount" | "open_tree" | "open_tree_attr" => "mount",
        "mq_open" => "mqueue",
        "seccomp" => "seccomp",
        "getsockopt" => "pidfd",
        _ => "",
    };
    if !by_call.is_empty() {
        return by_call;
    }
    match mode & 0o170_000 {
        0o140_000 => "socket",
        0o010_000 => "pipe",
        0o040_000 => "directory",
        0o020_000 | 0o060_000 => "device",
        0o100_000 => "file",
        _ => "descriptor",
    }
}

/// The kind of descriptor that a link in `/proc/PID/fd` tells of.
pub fn of_link(link: &str) -> &'static str {
    let anonymous = link.strip_prefix("anon_inode:").map(|name| name.trim_matches(['[', ']']));
    match anonymous {
        Some("bpf-map") => "bpf-map",
        Some("bpf-prog") => "bpf-prog",
        Some("bpf-link" | "bpf_link") => "bpf-link",
        Some("btf") => "btf",
        Some("bpf_iter" | "bpf-iter") => "bpf-iter",
        Some("eventpoll") => "epoll",
        Some("eventfd") => "eventfd",
        Some("timerfd") => "timerfd",
        Some("signalfd") => "signalfd",
        Some("inotify") => "inotify",
        Some("fanotify") => "fanotify",
        Some("pidfd") => "pidfd",
        Some("perf_event") => "perf-event",
        Some("io_uring") => "io-uring",
        Some("userfaultfd") => "userfaultfd",
        Some("landlock-ruleset") => "landlock",
        Some("fscontext") => "fs-context",
        Some("seccomp notify") => "seccomp",
        Some(_) => "descriptor",
        None if link.starts_with("socket:") => "socket",
        None if link.starts_with("pipe:") => "pipe",
        None if link.starts_with("pidfd:") => "pidfd",
        None if link.starts_with("/memfd:") => "memfd",
        None if link.starts_with("/dev/") => "device",
        None if link.starts_with('/') => "file",
        None => "descriptor",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_call_mode_and_link() {
        assert_eq!(of_call("bpf", "BPF_LINK_CREATE", 0o600), "bpf-link");
        assert_eq!(of_call("openat", "", 0o100_644), "file");
        assert_eq!(of_call("openat", "", 0o040_755), "directory");
        assert_eq!(of_call("dup", "", 0o140_777), "socket");
        assert_eq!(of_call("dup", "", 0o600), "descriptor");
        assert_eq!(of_call("io_uring_enter", "IORING_OP_SOCKET", 0), "socket");
        assert_eq!(of_call("io_uring_enter", "IORING_OP_RECVMSG", 0o010_600), "pipe");
        assert_eq!(of_link("anon_inode:[eventpoll]"), "epoll");
        assert_eq!(of_link("anon_inode:bpf-map"), "bpf-map");
        assert_eq!(of_link("/tmp/x (deleted)"), "file");
        assert_eq!(of_link("socket:[1]"), "socket");
        assert_eq!(of_link("\u{1b}"), "descriptor");
    }
}

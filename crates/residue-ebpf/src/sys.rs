//! Raw calls of bpf(2): what the loader's library has no call for.

#![allow(unsafe_code, reason = "bpf(2) has no safe form in the standard library")]

use std::ffi::CStr;
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// `union bpf_attr` as words: larger than any kernel's, whose unknown end has to be 0 (include/uapi/linux/bpf.h).
type Attr = [u64; 20];

/// Commands, `enum bpf_cmd`.
mod command {
    pub(super) const MAP_LOOKUP_ELEM: u32 = 1;
    pub(super) const MAP_GET_NEXT_KEY: u32 = 4;
    pub(super) const OBJ_GET: u32 = 7;
    pub(super) const OBJ_GET_INFO_BY_FD: u32 = 15;
    pub(super) const PROG_QUERY: u32 = 16;
    pub(super) const LINK_CREATE: u32 = 28;
    pub(super) const ITER_CREATE: u32 = 33;
}

/// `BPF_TRACE_ITER` of `enum bpf_attach_type`.
const BPF_TRACE_ITER: u64 = 28;

/// Kinds of objects that have ids, and the commands for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ById {
    Program,
    Map,
    Btf,
    Link,
}

impl ById {
    /// `…_GET_NEXT_ID` and `…_GET_FD_BY_ID`.
    const fn commands(self) -> (u32, u32) {
        match self {
            Self::Program => (11, 13),
            Self::Map => (12, 14),
            Self::Btf => (23, 19),
            Self::Link => (31, 30),
        }
    }
}

fn bpf(command: u32, attr: &mut Attr) -> Result<i64> {
    // SAFETY: every attribute made here has pointers to buffers that outlive the call, with their lengths as the command
    // takes them; the others are numbers.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), size_of::<Attr>()) };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}

fn bpf_fd(command: u32, attr: &mut Attr) -> Result<OwnedFd> {
    let fd = bpf(command, attr)?;
    let fd = i32::try_from(fd).map_err(|_| Error::from(ErrorKind::InvalidData))?;
    // SAFETY: the command returns a new descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Two halves of a word, the one at the lower address first.
const fn pair(low: u32, high: u32) -> u64 {
    if cfg!(target_endian = "big") { (low as u64) << 32 | high as u64 } else { low as u64 | (high as u64) << 32 }
}

/// The half of a word at the lower or at the higher address.
const fn half(word: u64, high: bool) -> u32 {
    if high == cfg!(target_endian = "big") { word as u32 } else { (word >> 32) as u32 }
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// The id after `id`, if there is one.
pub(crate) fn next_id(kind: ById, id: u32) -> Result<Option<u32>> {
    let mut attr = Attr::default();
    attr[0] = pair(id, 0);
    match bpf(kind.commands().0, &mut attr) {
        Ok(_) => Ok(Some(half(attr[0], true))),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A descriptor of the object with that id.
pub(crate) fn fd_by_id(kind: ById, id: u32) -> Result<OwnedFd> {
    let mut attr = Attr::default();
    attr[0] = pair(id, 0);
    bpf_fd(kind.commands().1, &mut attr)
}

/// Fills in what is known of an object; `info` may have pointers to buffers as the kernel takes them. Returns how many bytes
/// the kernel's structure has.
fn info(fd: BorrowedFd<'_>, info: &mut [u64]) -> Result<u32> {
    let mut attr = Attr::default();
    attr[0] = pair(number(fd), size_of_val(info) as u32);
    attr[1] = info.as_mut_ptr().expose_provenance() as u64;
    bpf(command::OBJ_GET_INFO_BY_FD, &mut attr)?;
    // The descriptor comes first, the length behind it.
    Ok(half(attr[0], true))
}

/// What is known of an object, as words of `struct bpf_…_info`, and how many bytes that has.
pub(crate) fn object_info<const WORDS: usize>(fd: BorrowedFd<'_>) -> Result<([u64; WORDS], u32)> {
    let mut words = [0; WORDS];
    let len = info(fd, &mut words)?;
    Ok((words, len))
}

/// As [`object_info`], with a buffer of `buffer.len()` items whose address goes into word `pointer`, and whose length goes
/// into half a word: number `length` counted in halves.
pub(crate) fn object_info_with<const WORDS: usize, T: Copy>(
    fd: BorrowedFd<'_>,
    pointer: usize,
    length: usize,
    buffer: &mut [T],
) -> Result<([u64; WORDS], u32)> {
    let mut words = [0; WORDS];
    words[pointer] = buffer.as_mut_ptr().expose_provenance() as u64;
    let (len, high) = (buffer.len() as u32, length % 2 == 1);
    words[length / 2] = if high { pair(0, len) } else { pair(len, 0) };
    let len = info(fd, &mut words)?;
    Ok((words, len))
}

/// A descriptor of what is pinned at a path.
pub(crate) fn pinned(path: &CStr) -> Result<OwnedFd> {
    let mut attr = Attr::default();
    attr[0] = path.as_ptr().expose_provenance() as u64;
    bpf_fd(command::OBJ_GET, &mut attr)
}

/// The key after `key` of a map, or its first; `false` at the end.
pub(crate) fn next_key(map: BorrowedFd<'_>, key: Option<&[u8]>, next: &mut [u8]) -> Result<bool> {
    let mut attr = Attr::default();
    attr[0] = pair(number(map), 0);
    attr[1] = key.map_or(0, |key| key.as_ptr().expose_provenance() as u64);
    attr[2] = next.as_mut_ptr().expose_provenance() as u64;
    match bpf(command::MAP_GET_NEXT_KEY, &mut attr) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The value of a key, if it has one. `key` and `value` are as long as the map's.
pub(crate) fn lookup(map: BorrowedFd<'_>, key: &[u8], value: &mut [u8]) -> Result<bool> {
    let mut attr = Attr::default();
    attr[0] = pair(number(map), 0);
    attr[1] = key.as_ptr().expose_provenance() as u64;
    attr[2] = value.as_mut_ptr().expose_provenance() as u64;
    match bpf(command::MAP_LOOKUP_ELEM, &mut attr) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Programs attached to a cgroup, a network namespace or device (`target` is its descriptor or index), and the ids of the links that attach
/// them (0: none), at most 64.
pub(crate) fn attached(target: u32, attach_type: u32) -> Result<Vec<(u32, u32)>> {
    const MANY: usize = 64;
    let (mut programs, mut flags, mut links) = ([0_u32; MANY], [0_u32; MANY], [0_u32; MANY]);
    let mut attr = Attr::default();
    attr[0] = pair(target, attach_type);
    attr[2] = programs.as_mut_ptr().expose_provenance() as u64;
    attr[3] = pair(MANY as u32, 0);
    attr[4] = flags.as_mut_ptr().expose_provenance() as u64;
    attr[5] = links.as_mut_ptr().expose_provenance() as u64;
    // Kernels before 6.6 know no links here, and take nothing else in their place than 0.
    if let Err(error) = bpf(command::PROG_QUERY, &mut attr) {
        if error.raw_os_error() != Some(libc::EINVAL) {
            return Err(error);
        }
        attr[3] = pair(MANY as u32, 0);
        attr[5] = 0;
        bpf(command::PROG_QUERY, &mut attr)?;
    }
    let count = (half(attr[3], false) as usize).min(MANY);
    Ok(programs.into_iter().zip(links).take(count).collect())
}

/// Attaches an iterator and opens it: over everything, or over one process. When the file is closed, nothing is left.
pub(crate) fn iter(program: BorrowedFd<'_>, tgid: Option<u32>) -> Result<File> {
    // `union bpf_iter_link_info`: `task.tid`, `task.pid` (the process), `task.pid_fd`.
    let target = [pair(0, tgid.unwrap_or(0)), 0];
    let mut attr = Attr::default();
    attr[0] = pair(number(program), 0);
    attr[1] = pair(BPF_TRACE_ITER as u32, 0);
    if tgid.is_some() {
        attr[2] = target.as_ptr().expose_provenance() as u64;
        attr[3] = pair(size_of_val(&target) as u32, 0);
    }
    let link = bpf_fd(command::LINK_CREATE, &mut attr)?;
    let mut attr = Attr::default();
    attr[0] = pair(link.as_raw_fd().cast_unsigned(), 0);
    bpf_fd(command::ITER_CREATE, &mut attr).map(File::from)
}

/// A socket by which the kernel is asked about devices and what is attached to them (`NETLINK_ROUTE`). Reads end after some
/// seconds: the kernel answers at once or never. It is bound to the kernel, as whoever is root in the namespace could send to
/// it, too (`netlink_getsockbyportid`, `net/netlink/af_netlink.c`).
pub(crate) fn route_socket() -> Result<File> {
    // SAFETY: no memory of this process is touched.
    let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE) };
    if fd < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: the descriptor is new, and nobody else knows it.
    let socket = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    let kernel = kernel_address();
    // SAFETY: `kernel` outlives the call and is as long as is said.
    let result = unsafe { libc::connect(socket.as_raw_fd(), (&raw const kernel).cast(), ADDRESS_LEN) };
    if result < 0 {
        return Err(Error::last_os_error());
    }
    let patience = libc::timeval { tv_sec: 5, tv_usec: 0 };
    // SAFETY: `patience` outlives the call and is as long as is said.
    let result = unsafe {
        let (value, len) = ((&raw const patience).cast(), size_of::<libc::timeval>() as libc::socklen_t);
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVTIMEO, value, len)
    };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(socket) }
}

/// Reads what the kernel sent to a socket of [`route_socket`]; nothing if it was somebody else, before the socket was bound.
pub(crate) fn receive(socket: &File, buffer: &mut [u8]) -> Result<Option<usize>> {
    let (mut sender, mut len) = (kernel_address(), ADDRESS_LEN);
    // SAFETY: the buffers outlive the call and are as long as is said.
    let read = unsafe {
        let (at, from) = (buffer.as_mut_ptr().cast(), (&raw mut sender).cast());
        libc::recvfrom(socket.as_raw_fd(), at, buffer.len(), 0, from, &raw mut len)
    };
    let read = usize::try_from(read).map_err(|_| Error::last_os_error())?;
    Ok((sender.nl_pid == 0).then_some(read))
}

const ADDRESS_LEN: libc::socklen_t = size_of::<libc::sockaddr_nl>() as libc::socklen_t;

/// The kernel's address: number 0, in no group.
const fn kernel_address() -> libc::sockaddr_nl {
    // SAFETY: it consists of numbers.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    address
}

/// Moves this thread, and no other, into a network namespace.
pub(crate) fn enter_network(namespace: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: no memory of this process is touched; what the thread has open stays what it is.
    let result = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

/// Clocks since the machine was started, in nanoseconds: with time asleep, and the time of day since 1970.
pub(crate) fn clocks() -> (u64, u64) {
    let read = |clock| {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `now` outlives the call.
        let result = unsafe { libc::clock_gettime(clock, &raw mut now) };
        if result == 0 { now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned() } else { 0 }
    };
    (read(libc::CLOCK_BOOTTIME), read(libc::CLOCK_REALTIME))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn the_length_of_what_is_known_is_told() {
        // The kernel's own types, which take CAP_SYS_ADMIN to be asked for.
        let Ok(fd) = fd_by_id(ById::Btf, 1) else { return };
        let mut name = [0_u8; 64];
        // `struct bpf_btf_info` has four words; descriptors have numbers such as 3.
        let lengths = [fd.try_clone(), fd.try_clone()].map(|fd| {
            let fd = fd.expect("a descriptor");
            object_info_with::<32, u8>(fd.as_fd(), 2, 6, &mut name).expect("it is told").1
        });
        assert_eq!(lengths[0], lengths[1], "whatever the number of the descriptor is");
        assert!(lengths[0] >= 24 && lengths[0] < 256, "{lengths:?}");
    }

    #[test]
    fn nobody_but_the_kernel_answers() {
        let socket = route_socket().expect("a socket");
        let (mut address, mut len) = (kernel_address(), ADDRESS_LEN);
        // SAFETY: `address` outlives the call and is as long as is said.
        unsafe { libc::getsockname(socket.as_raw_fd(), (&raw mut address).cast(), &raw mut len) };
        assert_ne!(address.nl_pid, 0, "it has a number");
        // SAFETY: no memory of this process is touched; the descriptor is new.
        let other = unsafe {
            let fd = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE);
            OwnedFd::from_raw_fd(fd)
        };
        // The end of a list: a header of 16 bytes, and 0.
        let lie = [20_u32, 3, 1, 0, 0];
        // SAFETY: both buffers outlive the call and are as long as is said.
        let sent = unsafe {
            let (bytes, to) = (lie.as_ptr().cast(), (&raw const address).cast());
            libc::sendto(other.as_raw_fd(), bytes, size_of_val(&lie), 0, to, ADDRESS_LEN)
        };
        let error = Error::last_os_error().raw_os_error();
        // Who isn't root may not send at all.
        assert!(sent < 0 && matches!(error, Some(libc::ECONNREFUSED | libc::EPERM)), "{sent} {error:?}");
    }
}

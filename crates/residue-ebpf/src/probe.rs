//! What this kernel and these privileges allow, each asked on its own.

use std::io::Read as _;
use std::path::Path;

/// Bits of `CapEff` (`include/uapi/linux/capability.h`).
const CAPABILITIES: [(u32, &str); 2] = [(39, "CAP_BPF"), (38, "CAP_PERFMON")];
const CAP_SYS_ADMIN: u32 = 21;

/// What is missing to follow descriptors, in words; empty when nothing that is known of is.
pub fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    let held = capabilities();
    let has = |bit: u32| held & (1 << bit) != 0;
    if !has(CAP_SYS_ADMIN) {
        let lacking: Vec<&str> = CAPABILITIES.iter().filter(|(bit, _)| !has(*bit)).map(|(_, name)| *name).collect();
        if !lacking.is_empty() {
            missing.push(format!("{} (or be root)", lacking.join(" and ")));
        }
    }
    if !has_btf() {
        missing.push("the kernel's types in /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF)".to_owned());
    }
    if is_confidential() {
        missing.push("a kernel that isn't locked down to confidentiality (/sys/kernel/security/lockdown)".to_owned());
    }
    missing
}

/// Processes have other numbers here than the kernel's own, by which eBPF tells them.
pub fn is_in_pid_namespace() -> bool {
    // `PROC_PID_INIT_INO` of `include/linux/proc_ns.h`. Without /proc there is nothing to be known.
    std::fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() != "pid:[4026531836]")
}

/// The kernel tells the layout of its structs.
pub fn has_btf() -> bool {
    Path::new("/sys/kernel/btf/vmlinux").exists()
}

/// The kernel lets nobody read its memory, eBPF included.
pub fn is_confidential() -> bool {
    text("/sys/kernel/security/lockdown").contains("[confidentiality]")
}

/// The effective capabilities of this process.
fn capabilities() -> u64 {
    let status = text("/proc/self/status");
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}

fn text(path: &str) -> String {
    let mut text = String::new();
    match std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)) {
        Ok(_) => text,
        Err(_) => String::new(),
    }
}

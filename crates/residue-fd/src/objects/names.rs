//! Names of types and flags: include/uapi/linux/bpf.h of Linux 6.18. They are only ever added to; what is newer has no name.

const MAP_TYPES: &[&str] = &[
    "unspec",
    "hash",
    "array",
    "prog_array",
    "perf_event_array",
    "percpu_hash",
    "percpu_array",
    "stack_trace",
    "cgroup_array",
    "lru_hash",
    "lru_percpu_hash",
    "lpm_trie",
    "array_of_maps",
    "hash_of_maps",
    "devmap",
    "sockmap",
    "cpumap",
    "xskmap",
    "sockhash",
    "cgroup_storage",
    "reuseport_sockarray",
    "percpu_cgroup_storage",
    "queue",
    "stack",
    "sk_storage",
    "devmap_hash",
    "struct_ops",
    "ringbuf",
    "inode_storage",
    "task_storage",
    "bloom_filter",
    "user_ringbuf",
    "cgrp_storage",
    "arena",
];

const PROGRAM_TYPES: &[&str] = &[
    "unspec",
    "socket_filter",
    "kprobe",
    "sched_cls",
    "sched_act",
    "tracepoint",
    "xdp",
    "perf_event",
    "cgroup_skb",
    "cgroup_sock",
    "lwt_in",
    "lwt_out",
    "lwt_xmit",
    "sock_ops",
    "sk_skb",
    "cgroup_device",
    "sk_msg",
    "raw_tracepoint",
    "cgroup_sock_addr",
    "lwt_seg6local",
    "lirc_mode2",
    "sk_reuseport",
    "flow_dissector",
    "cgroup_sysctl",
    "raw_tracepoint_writable",
    "cgroup_sockopt",
    "tracing",
    "struct_ops",
    "ext",
    "lsm",
    "sk_lookup",
    "syscall",
    "netfilter",
];

const LINK_TYPES: &[&str] = &[
    "unspec",
    "raw_tracepoint",
    "tracing",
    "cgroup",
    "iter",
    "netns",
    "xdp",
    "perf_event",
    "kprobe_multi",
    "struct_ops",
    "netfilter",
    "tcx",
    "uprobe_multi",
    "netkit",
    "sockmap",
];

const ATTACH_TYPES: &[&str] = &[
    "cgroup_inet_ingress",
    "cgroup_inet_egress",
    "cgroup_inet_sock_create",
    "cgroup_sock_ops",
    "sk_skb_stream_parser",
    "sk_skb_stream_verdict",
    "cgroup_device",
    "sk_msg_verdict",
    "cgroup_inet4_bind",
    "cgroup_inet6_bind",
    "cgroup_inet4_connect",
    "cgroup_inet6_connect",
    "cgroup_inet4_post_bind",
    "cgroup_inet6_post_bind",
    "cgroup_udp4_sendmsg",
    "cgroup_udp6_sendmsg",
    "lirc_mode2",
    "flow_dissector",
    "cgroup_sysctl",
    "cgroup_udp4_recvmsg",
    "cgroup_udp6_recvmsg",
    "cgroup_getsockopt",
    "cgroup_setsockopt",
    "trace_raw_tp",
    "trace_fentry",
    "trace_fexit",
    "modify_return",
    "lsm_mac",
    "trace_iter",
    "cgroup_inet4_getpeername",
    "cgroup_inet6_getpeername",
    "cgroup_inet4_getsockname",
    "cgroup_inet6_getsockname",
    "xdp_devmap",
    "cgroup_inet_sock_release",
    "xdp_cpumap",
    "sk_lookup",
    "xdp",
    "sk_skb_verdict",
    "sk_reuseport_select",
    "sk_reuseport_select_or_migrate",
    "perf_event",
    "trace_kprobe_multi",
    "lsm_cgroup",
    "struct_ops",
    "netfilter",
    "tcx_ingress",
    "tcx_egress",
    "trace_uprobe_multi",
    "cgroup_unix_connect",
    "cgroup_unix_sendmsg",
    "cgroup_unix_recvmsg",
    "cgroup_unix_getpeername",
    "cgroup_unix_getsockname",
    "netkit_primary",
    "netkit_peer",
    "trace_kprobe_session",
    "trace_uprobe_session",
];

/// Bits of `map_flags`, from the lowest.
const MAP_FLAGS: &[&str] = &[
    "no_prealloc",
    "no_common_lru",
    "numa_node",
    "rdonly",
    "wronly",
    "stack_build_id",
    "zero_seed",
    "rdonly_prog",
    "wronly_prog",
    "clone",
    "mmapable",
    "preserve_elems",
    "inner_map",
    "link",
    "path_fd",
    "vtype_btf_obj_fd",
    "token_fd",
    "segv_on_fault",
    "no_user_conv",
];

fn name(names: &[&'static str], number: u32) -> String {
    names.get(number as usize).map_or_else(|| format!("type_{number}"), |name| (*name).to_owned())
}

/// `enum bpf_map_type` as `hash`; what has no name yet as `type_99`.
pub fn map_type_name(number: u32) -> String {
    name(MAP_TYPES, number)
}

/// `enum bpf_prog_type`, likewise.
pub fn program_type_name(number: u32) -> String {
    name(PROGRAM_TYPES, number)
}

/// `enum bpf_link_type`, likewise.
pub fn link_type_name(number: u32) -> String {
    name(LINK_TYPES, number)
}

/// `enum bpf_attach_type`, likewise.
pub fn attach_type_name(number: u32) -> String {
    name(ATTACH_TYPES, number)
}

/// The bits of `map_flags` that are set.
pub fn map_flag_names(flags: u32) -> Vec<String> {
    (0..u32::BITS)
        .filter(|bit| flags & 1 << bit != 0)
        .map(|bit| MAP_FLAGS.get(bit as usize).map_or_else(|| format!("bit_{bit}"), |name| (*name).to_owned()))
        .collect()
}

/// The number of a link type by its name: fdinfo tells it so.
pub fn link_type_number(name: &str) -> Option<u32> {
    LINK_TYPES.iter().position(|known| *known == name).map(|number| number as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_header() {
        assert_eq!(map_type_name(33), "arena");
        assert_eq!(program_type_name(32), "netfilter");
        assert_eq!(link_type_name(14), "sockmap");
        assert_eq!(attach_type_name(46), "tcx_ingress");
        assert_eq!(attach_type_name(57), "trace_uprobe_session");
        assert_eq!(map_type_name(99), "type_99");
        assert_eq!(map_flag_names(1 | 1 << 10 | 1 << 31), ["no_prealloc", "mmapable", "bit_31"]);
        assert_eq!(link_type_number("tcx"), Some(11));
    }
}

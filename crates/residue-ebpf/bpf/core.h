/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What all programs need: integer types, sections, helpers and the kernel's structs, so that neither kernel headers nor
 * libbpf's are needed to build them. Numbers of helpers and map types are those of include/uapi/linux/bpf.h, a stable
 * interface. Of each kernel struct only the fields read are named; the loader puts in where they are in the kernel at hand
 * (CO-RE), so their order here means nothing.
 */
#ifndef RESIDUE_CORE_H
#define RESIDUE_CORE_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define OUTLINE static __attribute__((noinline))
#define CORE __attribute__((preserve_access_index))

/* What a field has; 0 when it can't be read. */
#define READ(object, field)                                                                                            \
	({                                                                                                             \
		typeof((object)->field) read_ = 0;                                                                     \
		bpf_probe_read_kernel(&read_, sizeof(read_), &(object)->field);                                        \
		read_;                                                                                                 \
	})
/* Questions that the loader answers: enum bpf_field_info_kind and enum bpf_type_info_kind of clang's BPF back end. */
#define FIELD_OFFSET(type, field) __builtin_preserve_field_info(((type *)0)->field, 0)
#define FIELD_EXISTS(type, field) __builtin_preserve_field_info(((type *)0)->field, 2)
#define TYPE_EXISTS(type) __builtin_preserve_type_info(*(type *)0, 0)

/* Members of a map's description (BTF-defined maps). */
#define MAP_INT(name, value) int(*name)[value]
#define MAP_TYPE(name, value) typeof(value) *name

#define BPF_MAP_TYPE_HASH 1
#define BPF_MAP_TYPE_ARRAY 2
#define BPF_MAP_TYPE_PERCPU_ARRAY 6
#define BPF_MAP_TYPE_LRU_HASH 9
#define BPF_MAP_TYPE_RINGBUF 27
#define BPF_ANY 0
#define BPF_NOEXIST 1
#define BPF_RB_NO_WAKEUP 1
#define EBADF 9
#define EEXIST 17

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
/* Before Linux 6.4 the upper half of what these two return means nothing: it is to be put into an s32 where it matters. */
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static u64 (*bpf_get_current_pid_tgid)(void) = (void *)14;
static long (*bpf_probe_read_user)(void *to, u32 size, const void *from) = (void *)112;
static long (*bpf_probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*bpf_probe_read_user_str)(void *to, u32 size, const void *from) = (void *)114;
static long (*bpf_probe_read_kernel_str)(void *to, u32 size, const void *from) = (void *)115;
static u64 (*bpf_get_current_ancestor_cgroup_id)(int level) = (void *)123;
struct seq_file;
static long (*bpf_seq_write)(struct seq_file *to, const void *from, u32 size) = (void *)127;
static void *(*bpf_ringbuf_reserve)(void *ring, u64 size, u64 flags) = (void *)131;
static void (*bpf_ringbuf_submit)(void *data, u64 flags) = (void *)132;
static struct task_struct *(*bpf_get_current_task_btf)(void) = (void *)158;
static struct pt_regs *(*bpf_task_pt_regs)(struct task_struct *task) = (void *)175;
static long (*bpf_loop)(u32 rounds, void *callback, void *context, u64 flags) = (void *)181;

struct super_block {
	u64 s_magic;
} CORE;

struct inode {
	u16 i_mode;
	u64 i_ino;
	s64 i_size;
	struct super_block *i_sb;
} CORE;

struct qstr {
	const u8 *name;
} CORE;

struct dentry {
	struct qstr d_name;
} CORE;

struct path {
	struct dentry *dentry;
} CORE;

struct file {
	struct path f_path;
	struct inode *f_inode;
	void *private_data;
} CORE;

struct fdtable {
	u32 max_fds;
	struct file **fd;
} CORE;

typedef struct {
	s32 counter;
} CORE atomic_t;

struct files_struct {
	atomic_t count;
	struct fdtable *fdt;
} CORE;

struct thread_info {
	u64 flags;
	u32 status; /* x86 */
} CORE;

struct thread_struct {
	u64 fsbase; /* x86 */
} CORE;

struct signal_struct {
	atomic_t live;
} CORE;

struct mm_struct {
	u64 start_code;
} CORE;

struct task_struct {
	struct thread_info thread_info;
	struct thread_struct thread;
	struct files_struct *files;
	struct signal_struct *signal;
	struct mm_struct *mm;
	struct task_struct *group_leader;
	s32 pid;
	s32 tgid;
	char comm[16];
} CORE;

struct linux_binprm {
	struct file *file;
	const char *filename;
} CORE;

#ifdef __TARGET_ARCH_x86
struct pt_regs {
	u64 r14, r10, r8, bp, ax, di, si, dx, orig_ax, ip, sp;
} CORE;
#define REGS_NR(r) ((r)->orig_ax)
#define REGS_ARG0(r) ((r)->di)
#define REGS_ARG1(r) ((r)->si)
#define REGS_ARG2(r) ((r)->dx)
#define REGS_ARG3(r) ((r)->r10)
#define REGS_IP(r) ((r)->ip)
#define REGS_SP(r) ((r)->sp)
#define REGS_FP(r) ((r)->bp)
/* Go's own calling convention (ABIInternal): the goroutine, the first argument. */
#define REGS_G(r) ((r)->r14)
#define REGS_GO0(r) ((r)->ax)
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	u64 regs[31];
	u64 sp, pc, orig_x0;
	s32 syscallno;
} CORE;
#define REGS_NR(r) ((u64)(r)->syscallno)
#define REGS_ARG0(r) ((r)->orig_x0)
#define REGS_ARG1(r) ((r)->regs[1])
#define REGS_ARG2(r) ((r)->regs[2])
#define REGS_ARG3(r) ((r)->regs[3])
#define REGS_IP(r) ((r)->pc)
#define REGS_SP(r) ((r)->sp)
#define REGS_FP(r) ((r)->regs[29])
#define REGS_G(r) ((r)->regs[28])
#define REGS_GO0(r) ((r)->regs[0])
#else
#error "build for x86 or arm64"
#endif

#endif

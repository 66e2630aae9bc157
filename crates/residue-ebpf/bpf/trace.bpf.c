/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Lifetimes of descriptors, kept in the kernel: which are open (`live`), by which stack (`sites`), in which table (`tables`).
 *
 * A descriptor is born when a system call has returned it, and dies when the call that closes it begins: were the end
 * waited for, another thread could have got the number again before. Nothing is sent away for either, so nothing can be
 * lost but for want of room in a map, which is counted.
 */
#include "trace.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* What the loader decides. */
const volatile u8 actions[SYSCALLS_MAX];    /* enum action */
const volatile u8 path_args[SYSCALLS_MAX];  /* which argument is a path, from 1 */
const volatile u32 ioctls[16];		    /* commands that return a descriptor */
const volatile u64 bpf_commands;	    /* so, of bpf, as bits */
const volatile u32 with_stacks = 1;
const volatile u32 every_close;		    /* take the stack of every close, and remember the closed */
const volatile u32 everybody;		    /* follow all processes */
const volatile u32 self;		    /* but this one */
const volatile u64 cgroup;		    /* those of this cgroup, */
const volatile s32 cgroup_level;	    /* so deep below the root */

#define MAP(name, kind, entries, K, V)                                                                                 \
	struct {                                                                                                       \
		MAP_INT(type, kind);                                                                                   \
		MAP_INT(max_entries, entries);                                                                         \
		MAP_TYPE(key, K);                                                                                      \
		MAP_TYPE(value, V);                                                                                    \
	} name SEC(".maps")

/* A thread that is about to get a table of its own. */
struct parting {
	u64 files;
	u32 table;
	u32 image;
	u32 sharers; /* threads that stay */
	u32 pad;
};

MAP(tables, BPF_MAP_TYPE_HASH, TABLES_MAX, u64, struct table);
MAP(live, BPF_MAP_TYPE_HASH, LIVE_MAX, struct slot, struct live);
MAP(site_ids, BPF_MAP_TYPE_HASH, SITES_MAX, u64, u32);
MAP(sites, BPF_MAP_TYPE_ARRAY, SITES_MAX, u32, struct site);
MAP(tallies, BPF_MAP_TYPE_ARRAY, SITES_MAX, u32, struct tally);
MAP(state, BPF_MAP_TYPE_ARRAY, 1, u32, struct state);
MAP(pairs, BPF_MAP_TYPE_HASH, PAIRS_MAX, struct pair_key, struct pair);
MAP(graves, BPF_MAP_TYPE_LRU_HASH, 65536, struct slot, u32);
MAP(images, BPF_MAP_TYPE_LRU_HASH, 4096, u32, struct image);
MAP(labelled, BPF_MAP_TYPE_LRU_HASH, LABELLED_MAX, struct slot, struct labels);
MAP(labelling, BPF_MAP_TYPE_PERCPU_ARRAY, 1, u32, struct labels);
/*
 * Programs that aren't Go, or are Go's own tools, with the image that each had first: all that run one have that. Else some
 * thousand short-lived processes, each at addresses of its own, would take all sites there are.
 */
MAP(plain, BPF_MAP_TYPE_LRU_HASH, 4096, struct program, u32);
MAP(pending, BPF_MAP_TYPE_HASH, 1024, u32, struct parting);
MAP(counters, BPF_MAP_TYPE_PERCPU_ARRAY, COUNTERS, u32, u64);
struct {
	MAP_INT(type, BPF_MAP_TYPE_RINGBUF);
	MAP_INT(max_entries, RING_BYTES);
} events SEC(".maps");

/*
 * Whether a process may be one that is followed, by the end of its number: of a machine's other processes nearly all are told
 * by one look here, which costs less than looking for their tables. It only ever fills up.
 */
u8 maybe[MAYBE_MAX];

struct stack {
	u64 hash;
	u32 frames;
	u32 cut;
	u32 inside; /* of a recovery: frames up to the function that goes on, with it */
	u32 pad;
	u64 pcs[FRAMES_MAX];
};
MAP(scratch, BPF_MAP_TYPE_PERCPU_ARRAY, 1, u32, struct stack);
/* Probes in programs can be interrupted by other threads' on the same processor: theirs are by thread. */
MAP(panicking, BPF_MAP_TYPE_HASH, 512, u32, struct stack);
MAP(blank, BPF_MAP_TYPE_ARRAY, 1, u32, struct stack);

INLINE void count(u32 which)
{
	u64 *counter = bpf_map_lookup_elem(&counters, &which);
	if (counter)
		(*counter)++;
}

INLINE u8 *maybe_of(u32 tgid)
{
	return &maybe[tgid & (MAYBE_MAX - 1)];
}

INLINE struct state *state_of(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&state, &zero);
}

/* The struct file that a number stands for in a table, or 0. */
INLINE u64 file_at(struct files_struct *files, u32 fd)
{
	struct fdtable *fdt = files->fdt;
	u64 file = 0;
	if (fd < fdt->max_fds)
		bpf_probe_read_kernel(&file, sizeof(file), (void *)((u64)fdt->fd + (u64)fd * 8));
	return file;
}

/* `how` is BPF_ANY where what is there is of a table that is gone, BPF_NOEXIST where it is the same one's. */
INLINE struct table *new_table(u64 files, u32 tgid, u32 parent, u32 image, u32 flags, u64 how)
{
	struct state *next = state_of();
	if (!next)
		return 0;
	struct table table = {
		.id = __sync_fetch_and_add(&next->tables, 1) + 1,
		.parent = parent,
		.tgid = tgid,
		.image = image ? image : __sync_fetch_and_add(&next->images, 1) + 1,
		.sharers = 1,
		.flags = flags,
		.born_ns = bpf_ktime_get_ns(),
	};
	*maybe_of(tgid) = 1;
	s32 failed = bpf_map_update_elem(&tables, &files, &table, how);
	if (failed && failed != -EEXIST) { /* another thread of the process was quicker */
		count(COUNT_LOST_TABLES);
		return 0;
	}
	return bpf_map_lookup_elem(&tables, &files);
}

/* The table of the current task, if it is followed. */
INLINE struct table *table_of(struct task_struct *task, u64 files)
{
	if (!everybody && !cgroup && !*maybe_of(task->tgid))
		return 0;
	struct table *table = bpf_map_lookup_elem(&tables, &files);
	if (table || !files)
		return table;
	if (!everybody && !(cgroup && bpf_get_current_ancestor_cgroup_id(cgroup_level) == cgroup))
		return 0;
	if ((u32)task->tgid == self)
		return 0;
	return new_table(files, task->tgid, 0, 0, TABLE_EXECED, BPF_NOEXIST);
}

INLINE u64 mix(u64 hash, u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return hash ^ (hash >> 32);
}

/*
 * Follows frame pointers into `stack`, from its address `n` on. `home` is the stack pointer of the function that goes on
 * after a panic: its frame is the first that reaches so far (on arm64 the frame pointer lies a word below the stack pointer).
 */
INLINE void climb(struct stack *stack, u32 n, u64 fp, u64 home, u64 hash)
{
	u64 frame[2] = {};
	stack->cut = 0;
	stack->inside = 0;
#pragma clang loop unroll(disable)
	for (; n < FRAMES_MAX; n++) {
		/* The verifier can't follow a pointer that is moved in step. */
		asm volatile("" : "+r"(n));
		if (n >= FRAMES_MAX)
			break;
		if (bpf_probe_read_user(frame, sizeof(frame), (void *)fp) || !frame[1])
			break;
		if (home && !stack->inside && fp + 8 >= home)
			stack->inside = n;
		stack->pcs[n] = frame[1];
		hash = mix(hash, frame[1]);
		if (frame[0] <= fp) {
			n++;
			break;
		}
		fp = frame[0];
		if (n == FRAMES_MAX - 1)
			stack->cut = 1;
	}
	stack->frames = n;
	stack->hash = hash;
}

/* Not static, with plain numbers as arguments: the verifier looks at it once, not at every call. */
__attribute__((noinline)) int climbs(u64 pc, u64 second, u64 fp, u64 below, u64 hash)
{
	u32 zero = 0;
	struct stack *stack = bpf_map_lookup_elem(&scratch, &zero);
	if (!stack)
		return 1;
	stack->pcs[0] = pc;
	stack->pcs[1] = second;
	climb(stack, 2, fp, 0, mix(mix(hash, pc), second));
	u32 n = stack->frames;
	if (below && n < FRAMES_MAX - 1) {
		stack->pcs[n] = 0;
		climb(stack, n + 1, below, 0, stack->hash);
	}
	return 0;
}

/*
 * The stack of the current task by its frame pointers, into a buffer of this processor.
 *
 * Go's function that enters the kernel keeps no frame, so that its caller is missing from the chain: the word that the
 * stack pointer points to (the link register on arm64) is put second, and whoever reads the stack drops it where the first
 * function has a frame after all.
 *
 * What runs on the system stack, the runtime's own code and C, was called by a goroutine that waits: its stack follows, behind
 * an address of 0.
 */
INLINE struct stack *walk(struct pt_regs *regs, u64 below, u64 hash)
{
	u64 second = 0;
	u32 zero = 0;
#ifdef __TARGET_ARCH_x86
	/* A thread of a ring has none. */
	if (REGS_SP(regs) && bpf_probe_read_user(&second, sizeof(second), (void *)REGS_SP(regs)))
		count(COUNT_NO_STACK);
#else
	second = regs->regs[30];
#endif
	if (climbs(REGS_IP(regs), second, REGS_FP(regs), below, hash))
		return 0;
	return bpf_map_lookup_elem(&scratch, &zero);
}

/* What a site is about. */
struct deed {
	struct pt_regs *regs;
	struct table *table;
	struct task_struct *task;
	struct stack *stack; /* where it was walked before */
	u64 file;
	u32 call;
	u32 command;
	u32 role;
	u32 fd; /* that is closed */
	u32 site;  /* where it is known before */
	u32 asked; /* of the goroutine: what follows is known */
	u64 goid;
	u64 g;
	u64 below; /* the frame of the goroutine that went to the system stack */
	u64 path;  /* so, in the kernel */
	u64 at;	   /* messages that were received */
};

INLINE u64 hash_of(const struct deed *deed)
{
	return mix(((u64)deed->table->image << 32) | (deed->role << 16) | deed->call, deed->command);
}

#include "goroutine.h"

INLINE void sample(struct site *site, const struct deed *deed)
{
	struct pt_regs *regs = deed->regs;
	u64 path = 0;
	switch (path_args[deed->call & (SYSCALLS_MAX - 1)]) {
	case 1:
		path = REGS_ARG0(regs);
		break;
	case 2:
		path = REGS_ARG1(regs);
		break;
	}
	if (actions[deed->call & (SYSCALLS_MAX - 1)] == ACTION_BPF) {
		/* union bpf_attr: map_name, prog_name, pathname, or an id at its start. */
		u64 attr = REGS_ARG1(regs);
		if (deed->command == 0)
			path = attr + 28;
		else if (deed->command == 5)
			path = attr + 48;
		else if (deed->command == 7)
			bpf_probe_read_user(&path, 8, (void *)attr);
		else
			bpf_probe_read_user(site->sample, 4, (void *)attr);
	}
	if (deed->path)
		bpf_probe_read_kernel_str(site->sample, SAMPLE_BYTES, (void *)deed->path);
	else if (path)
		bpf_probe_read_user_str(site->sample, SAMPLE_BYTES, (void *)path);
}

/* The number of the site that a deed belongs to; 0 when there is no room. */
OUTLINE u32 site_of(struct deed *deed)
{
	if (deed->site)
		return deed->site;
	u64 hash = hash_of(deed);
	struct stack *stack = deed->stack;
	if (stack) {
		hash = stack->hash;
	} else if (with_stacks && !(deed->table->flags & TABLE_PLAIN)) {
		ask(deed);
		stack = walk(deed->regs, deed->below, hash);
		if (!stack)
			return 0;
		hash = stack->hash;
	}
	u32 *known = bpf_map_lookup_elem(&site_ids, &hash);
	if (known)
		return *known;
	struct state *next = state_of();
	u32 id = SITES_MAX;
	/* Site 0 is for openers that are not known. */
	if (next && next->sites < SITES_MAX - 1)
		id = __sync_fetch_and_add(&next->sites, 1) + 1;
	if (id >= SITES_MAX) {
		count(COUNT_LOST_SITES);
		return 0;
	}
	if (bpf_map_update_elem(&site_ids, &hash, &id, BPF_NOEXIST)) {
		/* Another processor was quicker; the number stays unused. */
		known = bpf_map_lookup_elem(&site_ids, &hash);
		return known ? *known : 0;
	}
	struct site *site = bpf_map_lookup_elem(&sites, &id);
	if (!site)
		return 0;
	site->tgid = deed->table->tgid;
	site->image = deed->table->image;
	site->command = deed->command;
	site->call = deed->call;
	site->role = deed->role;
	if (stack) {
		bpf_probe_read_kernel(site->pcs, sizeof(site->pcs), stack->pcs);
		site->frames = stack->frames;
		site->cut = stack->cut;
	}
	if (deed->role == ROLE_OPENS) {
		sample(site, deed);
		struct inode *inode = 0;
		bpf_probe_read_kernel(&inode, sizeof(inode), &((struct file *)deed->file)->f_inode);
		bpf_probe_read_kernel(&site->mode, sizeof(site->mode), &inode->i_mode);
	}
	if (deed->role == ROLE_PANICS || deed->role == ROLE_RECOVERS)
		bpf_probe_read_kernel(site->sample, sizeof(u64), &deed->goid);
	site->ready = 1;
	return id;
}

/* A descriptor that outlived a panic is closed after all. */
INLINE void mended(u32 opener, u32 unwound)
{
	if (!unwound)
		return;
	struct pair_key key = {opener, unwound, PAIR_UNWOUND};
	struct pair *pair = bpf_map_lookup_elem(&pairs, &key);
	if (pair)
		__sync_fetch_and_add(&pair->count, -1);
}

/* A descriptor of the table of live ones is gone. */
INLINE void settle(const struct live *entry)
{
	u32 opener = entry->site;
	struct tally *tally = bpf_map_lookup_elem(&tallies, &opener);
	if (!tally || entry->flags & LIVE_INHERITED)
		return;
	__sync_fetch_and_add(&tally->closed, 1);
	mended(opener, entry->unwound);
}

OUTLINE void born(struct deed *deed, u32 site_id, u32 fd, u64 file)
{
	if (with_stacks)
		ask(deed);
	struct live entry = {
		.opened_ns = bpf_ktime_get_ns(),
		.file = file,
		.goid = deed->goid,
		.site = site_id,
		.tid = deed->task->pid,
	};
	struct slot slot = {deed->table->id, fd};
	struct tally *tally = bpf_map_lookup_elem(&tallies, &site_id);
	if (!tally)
		return;
	__sync_fetch_and_add(&tally->opened, 1);
	tally->last_ns = entry.opened_ns;
	if (deed->g && label(deed->g, deed->table->image, slot.table, fd, entry.opened_ns))
		entry.flags = LIVE_LABELLED;
	s32 failed = bpf_map_update_elem(&live, &slot, &entry, BPF_NOEXIST);
	if (failed == -EEXIST) { /* closed unseen, or its number was taken over */
		struct live *old = bpf_map_lookup_elem(&live, &slot);
		if (old)
			settle(old);
		failed = bpf_map_update_elem(&live, &slot, &entry, BPF_ANY);
	}
	if (failed) {
		count(COUNT_LOST_LIVE);
		__sync_fetch_and_add(&tally->closed, 1);
	}
}

/* One descriptor that a call has made. */
INLINE void opened(struct deed *deed, u32 fd)
{
	deed->file = file_at(deed->task->files, fd);
	/* Somebody who had no right to has closed it already. */
	if (!deed->file)
		return;
	born(deed, site_of(deed), fd, deed->file);
}

INLINE void two(struct deed *deed, u64 at)
{
	s32 fds[2];
	if (bpf_probe_read_user(fds, sizeof(fds), (void *)at)) {
		count(COUNT_NO_STACK);
		return;
	}
	deed->file = file_at(deed->task->files, fds[0]);
	u32 site = site_of(deed);
	if (deed->file)
		born(deed, site, fds[0], deed->file);
	u64 second = file_at(deed->task->files, fds[1]);
	if (second)
		born(deed, site, fds[1], second);
}

INLINE void one(struct deed *deed, u64 at)
{
	s32 fd;
	if (bpf_probe_read_user(&fd, sizeof(fd), (void *)at))
		count(COUNT_NO_STACK);
	else if (fd >= 0)
		opened(deed, fd);
}

struct message {
	u64 at; /* of the descriptors */
	u32 table;
	u32 site;
	u64 goid;
};

static long received(u32 index, struct message *message)
{
	struct task_struct *task = bpf_get_current_task_btf();
	s32 fd;
	if (bpf_probe_read_user(&fd, sizeof(fd), (void *)(message->at + 4ULL * index)) || fd < 0)
		return 1;
	struct live entry = {
		.opened_ns = bpf_ktime_get_ns(),
		.file = file_at(task->files, fd),
		.goid = message->goid,
		.site = message->site,
		.tid = task->pid,
	};
	struct slot slot = {message->table, fd};
	struct tally *tally = bpf_map_lookup_elem(&tallies, &message->site);
	if (!entry.file || !tally)
		return 0;
	__sync_fetch_and_add(&tally->opened, 1);
	tally->last_ns = entry.opened_ns;
	struct live *old = bpf_map_lookup_elem(&live, &slot);
	if (old)
		settle(old);
	if (bpf_map_update_elem(&live, &slot, &entry, BPF_ANY)) {
		count(COUNT_LOST_LIVE);
		__sync_fetch_and_add(&tally->closed, 1);
	}
	return 0;
}

/* Descriptors in the control data of a message: struct msghdr and cmsghdr of include/linux/socket.h. */
INLINE void messages(struct deed *deed, u64 header)
{
	struct {
		u64 at;
		u64 bytes;
	} control;
	if (bpf_probe_read_user(&control, sizeof(control), (void *)(header + 32)) || !control.at)
		return;
	u64 at = control.at, end = control.at + control.bytes;
#pragma clang loop unroll(disable)
	for (int i = 0; i < 4; i++) {
		struct {
			u64 bytes;
			s32 level;
			s32 type;
		} part;
		if (at + sizeof(part) > end || bpf_probe_read_user(&part, sizeof(part), (void *)at))
			break;
		if (part.bytes < sizeof(part) || part.bytes > end - at)
			break;
		/* SOL_SOCKET; SCM_RIGHTS, SCM_PIDFD */
		if (part.level == 1 && (part.type == 1 || part.type == 4)) {
			u32 fds = (u32)((part.bytes - sizeof(part)) >> 2), first;
			if (fds > SCM_FDS_MAX)
				fds = SCM_FDS_MAX;
			if (fds && !bpf_probe_read_user(&first, sizeof(first), (void *)(at + sizeof(part)))) {
				deed->file = file_at(deed->task->files, first);
				ask(deed);
				struct message message = {
					.at = at + sizeof(part),
					.table = deed->table->id,
					.site = site_of(deed),
					.goid = deed->goid,
				};
				bpf_loop(fds, received, &message, 0);
			}
		}
		at += (part.bytes + 7) & ~7ULL;
	}
}

/* Of several messages that a call received, one: struct mmsghdr is a struct msghdr and a length. */
static long message_of(u32 index, struct deed *deed)
{
	messages(deed, deed->at + index * 64ULL);
	return 0;
}

OUTLINE void paired(struct deed *deed, u32 kind, u32 opener)
{
	struct pair_key key = {opener, site_of(deed), kind};
	struct pair *known = bpf_map_lookup_elem(&pairs, &key);
	if (!known) {
		ask(deed);
		struct pair pair = {0, 0, deed->goid, deed->table->tgid, deed->fd};
		/* Another processor may be quicker, which is as good. */
		bpf_map_update_elem(&pairs, &key, &pair, BPF_NOEXIST);
		known = bpf_map_lookup_elem(&pairs, &key);
	}
	if (known) {
		__sync_fetch_and_add(&known->count, 1);
		known->last_ns = bpf_ktime_get_ns();
	} else {
		count(COUNT_LOST_PAIRS);
	}
	if (every_close && kind == PAIR_CLOSED) {
		struct slot slot = {deed->table->id, deed->fd};
		bpf_map_update_elem(&graves, &slot, &key.closer, BPF_ANY);
	}
}

/* Takes a descriptor off the table of live ones that `deed` closes. */
INLINE void buried(struct deed *deed, const struct slot *slot, const struct live *entry)
{
	u32 opener = entry->site, flags = entry->flags, unwound = entry->unwound;
	/* Of two that close it at once, one has closed it. */
	if (bpf_map_delete_elem(&live, slot))
		return;
	if (flags & LIVE_LABELLED)
		bpf_map_delete_elem(&labelled, slot);
	struct tally *tally = bpf_map_lookup_elem(&tallies, &opener);
	if (!tally || (flags & LIVE_INHERITED))
		return;
	mended(opener, unwound);
	u64 times = __sync_fetch_and_add(&tally->closed, 1);
	if (with_stacks && (every_close || times < 8 || !(times & (times - 1))))
		paired(deed, PAIR_CLOSED, opener);
}

/* A number is closed that is not open. */
INLINE void missed(struct deed *deed, const struct slot *slot)
{
	count(COUNT_BAD_CLOSES);
	/* Between fork and exec it is usual to close whatever may be there. */
	if (!(deed->table->flags & TABLE_EXECED))
		return;
	u32 *before = bpf_map_lookup_elem(&graves, slot);
	paired(deed, PAIR_BAD_CLOSE, before ? *before : 0);
}

INLINE void closed(struct deed *deed)
{
	struct slot slot = {deed->table->id, deed->fd};
	struct live *entry = bpf_map_lookup_elem(&live, &slot);
	if (entry)
		buried(deed, &slot, entry);
	else if (file_at(deed->task->files, slot.fd))
		count(COUNT_UNKNOWN_CLOSES);
	else
		missed(deed, &slot);
}

enum sweep_kind {
	SWEEP_RANGE, /* close_range */
	SWEEP_EXEC,  /* what is left after exec, with what came from the parent */
	SWEEP_END,   /* the table is about to go */
};

struct sweep {
	u32 table;
	u32 parent;
	u32 first;
	u32 kind;
	u32 execed;
};

static long sweep(u32 index, struct sweep *sweep)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct slot slot = {sweep->table, sweep->first + index};
	u64 file = file_at(task->files, slot.fd);
	struct live *entry = bpf_map_lookup_elem(&live, &slot);
	if (!entry) {
		if (!file)
			return 0;
		if (sweep->kind == SWEEP_END) {
			/* What a fork has of its parent's, and never ran a program with, is no news. */
			if (sweep->execed)
				count(COUNT_UNKNOWN_ENDED);
		} else if (sweep->kind == SWEEP_RANGE) {
			count(COUNT_UNKNOWN_CLOSES);
		} else if (sweep->parent) {
			struct slot before = {sweep->parent, slot.fd};
			struct live *old = bpf_map_lookup_elem(&live, &before);
			if (!old || old->file != file)
				return 0;
			struct live copy = *old;
			copy.flags = LIVE_INHERITED;
			copy.unwound = 0;
			if (bpf_map_update_elem(&live, &slot, &copy, BPF_NOEXIST))
				count(COUNT_LOST_LIVE);
		}
		return 0;
	}
	if (sweep->kind == SWEEP_EXEC && entry->file == file)
		return 0;
	struct live old = *entry;
	if (bpf_map_delete_elem(&live, &slot))
		return 0;
	if (old.flags & LIVE_LABELLED)
		bpf_map_delete_elem(&labelled, &slot);
	if (sweep->kind != SWEEP_END) {
		settle(&old);
		return 0;
	}
	if (old.flags & LIVE_INHERITED)
		return 0;
	if (old.file == file) {
		struct tally *tally = bpf_map_lookup_elem(&tallies, &old.site);
		if (tally)
			__sync_fetch_and_add(&tally->ended, 1);
	} else {
		count(COUNT_GHOSTS);
		settle(&old);
	}
	return 0;
}

INLINE void sweep_from(struct task_struct *task, struct table *table, u32 first, u32 last, u32 kind)
{
	struct files_struct *files = task->files;
	struct fdtable *fdt = files->fdt;
	u32 end = fdt->max_fds;
	if (last < end)
		end = last + 1;
	struct sweep what = {table->id, table->parent, first, kind, table->flags & TABLE_EXECED};
	if (first < end)
		bpf_loop(end - first, sweep, &what, 0);
}

INLINE int is_compat(struct task_struct *task)
{
#ifdef __TARGET_ARCH_x86
	return task->thread_info.status & 2; /* TS_COMPAT */
#else
	return task->thread_info.flags >> 22 & 1; /* TIF_32BIT */
#endif
}

SEC("tp_btf/sys_enter")
int call_begins(u64 *ctx)
{
	u64 call = ctx[1];
	if (call >= SYSCALLS_MAX)
		return 0;
	u8 action = actions[call];
	if (action != ACTION_CLOSE && action != ACTION_CLOSE_RANGE && action != ACTION_UNSHARE)
		return 0;
	struct task_struct *task = bpf_get_current_task_btf();
	struct table *table = table_of(task, (u64)task->files);
	if (!table || is_compat(task))
		return 0;
	struct pt_regs *regs = (struct pt_regs *)ctx[0];
	if (action == ACTION_CLOSE) {
		struct deed deed = {
			.regs = regs, .table = table, .task = task, .call = call, .role = ROLE_CLOSES, .fd = REGS_ARG0(regs)};
		closed(&deed);
		return 0;
	}
	u32 flags = action == ACTION_UNSHARE ? 0 : REGS_ARG2(regs);
	if (action == ACTION_UNSHARE || flags & 2) { /* CLOSE_RANGE_UNSHARE */
		u32 tid = task->pid;
		struct files_struct *files = task->files;
		struct parting parting = {(u64)files, table->id, table->image, files->count.counter - 1, 0};
		bpf_map_update_elem(&pending, &tid, &parting, BPF_ANY);
	} else if (!(flags & 4)) { /* CLOSE_RANGE_CLOEXEC */
		sweep_from(task, table, REGS_ARG0(regs), REGS_ARG1(regs), SWEEP_RANGE);
	}
	return 0;
}

/* A call that may have given the task a table of its own. */
INLINE void parted(struct task_struct *task, u64 files)
{
	u32 tid = task->pid;
	struct parting *from = bpf_map_lookup_elem(&pending, &tid);
	if (!from)
		return;
	struct parting parting = *from;
	bpf_map_delete_elem(&pending, &tid);
	if (bpf_map_lookup_elem(&tables, &files))
		return;
	/* From here on the process's end is no end of the table that the others have: its threads are counted. */
	struct table *others = bpf_map_lookup_elem(&tables, &parting.files);
	if (others && others->flags & TABLE_PARTED) {
		__sync_fetch_and_add(&others->sharers, -1);
	} else if (others) {
		others->sharers = parting.sharers;
		others->flags |= TABLE_PARTED;
	}
	struct table *table = new_table(files, task->tgid, parting.table, parting.image, TABLE_EXECED | TABLE_PARTED, BPF_ANY);
	if (table)
		sweep_from(task, table, 0, ~0U, SWEEP_EXEC);
}

SEC("tp_btf/sys_exit")
int call_ends(u64 *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx[0];
	s64 result = ctx[1];
	u64 call = REGS_NR(regs);
	if (call >= SYSCALLS_MAX || result < 0)
		return 0;
	u8 action = actions[call];
	if (action == ACTION_NONE || action == ACTION_CLOSE)
		return 0;
	struct task_struct *task = bpf_get_current_task_btf();
	if (action == ACTION_UNSHARE || action == ACTION_CLOSE_RANGE) {
		parted(task, (u64)task->files);
		return 0;
	}
	struct table *table = table_of(task, (u64)task->files);
	if (!table)
		return 0;
	if (is_compat(task)) {
		count(COUNT_COMPAT);
		return 0;
	}
	struct deed deed = {.regs = regs, .table = table, .task = task, .call = call, .role = ROLE_OPENS};
	u64 word = 0;
	switch (action) {
	case ACTION_BPF:
		deed.command = REGS_ARG0(regs);
		if (deed.command > 63 || !(bpf_commands >> deed.command & 1))
			return 0;
		break;
	case ACTION_DUP_OVER: /* over itself it does nothing */
		if ((u32)REGS_ARG0(regs) == (u32)REGS_ARG1(regs))
			return 0;
		break;
	case ACTION_FCNTL: /* F_DUPFD, F_DUPFD_CLOEXEC */
		deed.command = REGS_ARG1(regs);
		if (deed.command != 0 && deed.command != 1030)
			return 0;
		break;
	case ACTION_IOCTL:
		deed.command = REGS_ARG1(regs);
#pragma unroll
		for (int i = 0; i < 16; i++)
			word |= ioctls[i] == deed.command;
		if (!word)
			return 0;
		break;
	case ACTION_SECCOMP: /* SECCOMP_SET_MODE_FILTER with SECCOMP_FILTER_FLAG_NEW_LISTENER */
		if (REGS_ARG0(regs) != 1 || !(REGS_ARG1(regs) & 8))
			return 0;
		break;
	case ACTION_SIGNALFD:
		if ((s32)REGS_ARG0(regs) != -1)
			return 0;
		break;
	case ACTION_PIPE:
		two(&deed, REGS_ARG0(regs));
		return 0;
	case ACTION_SOCKETPAIR:
		two(&deed, REGS_ARG3(regs));
		return 0;
	case ACTION_RECVMSG:
		messages(&deed, REGS_ARG1(regs));
		return 0;
	case ACTION_RECVMMSG:
		deed.at = REGS_ARG1(regs);
		bpf_loop(result, message_of, &deed, 0);
		return 0;
	case ACTION_GETSOCKOPT: /* SOL_SOCKET, SO_PEERPIDFD */
		if (REGS_ARG1(regs) == 1 && REGS_ARG2(regs) == 77)
			one(&deed, REGS_ARG3(regs));
		return 0;
	case ACTION_CLONE: /* CLONE_PIDFD; the third argument says where */
		if (result && REGS_ARG0(regs) & 0x1000)
			one(&deed, REGS_ARG2(regs));
		return 0;
	case ACTION_CLONE3: { /* struct clone_args: flags, pidfd */
		u64 args[2];
		if (result && !bpf_probe_read_user(args, sizeof(args), (void *)REGS_ARG0(regs)) && args[0] & 0x1000)
			one(&deed, args[1]);
		return 0;
	}
	}
	opened(&deed, result);
	return 0;
}

INLINE struct event *event_of(u32 kind, const struct table *table, u32 tgid)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(struct event), 0);
	if (!event) {
		count(COUNT_LOST_EVENTS);
		return 0;
	}
	event->time_ns = bpf_ktime_get_ns();
	event->start_code = 0;
	event->bytes = 0;
	event->kind = kind;
	event->tgid = tgid;
	event->table = table->id;
	event->image = table->image;
	event->parent = 0;
	event->shared = 0;
	event->name[0] = 0;
	return event;
}

SEC("tp_btf/sched_process_fork")
int forked(u64 *ctx)
{
	struct task_struct *parent = (struct task_struct *)ctx[0], *child = (struct task_struct *)ctx[1];
	u64 from = (u64)parent->files, to = (u64)child->files;
	struct table *table = bpf_map_lookup_elem(&tables, &from);
	if (!table || !to)
		return 0;
	u32 tgid = child->tgid, parent_tgid = parent->tgid, shared = from == to;
	if (shared) {
		int thread = tgid == parent_tgid;
		if (thread && !(table->flags & TABLE_PARTED))
			return 0;
		__sync_fetch_and_add(&table->sharers, 1);
		if (thread)
			return 0;
		*maybe_of(tgid) = 1;
	} else {
		u32 id = table->id, image = table->image;
		table = new_table(to, tgid, id, image, table->flags & TABLE_PLAIN, BPF_ANY);
		if (!table)
			return 0;
	}
	struct event *event = event_of(EVENT_FORK, table, tgid);
	if (event) {
		event->parent = parent_tgid;
		event->shared = shared;
		bpf_ringbuf_submit(event, 0);
	}
	return 0;
}

SEC("tp_btf/sched_process_exec")
int execed(u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	struct linux_binprm *program = (struct linux_binprm *)ctx[2];
	u64 files = (u64)task->files;
	struct table *table = bpf_map_lookup_elem(&tables, &files);
	if (!table)
		return 0;
	struct state *next = state_of();
	struct inode *inode = program->file->f_inode;
	struct program key = {inode->i_ino, inode->i_size};
	u32 *image = bpf_map_lookup_elem(&plain, &key);
	if (image)
		table->image = *image;
	else if (next)
		table->image = __sync_fetch_and_add(&next->images, 1) + 1;
	table->flags = image ? TABLE_EXECED | TABLE_PLAIN : TABLE_EXECED;
	table->tgid = task->tgid;
	/* What had to be closed on exec is closed by now. */
	sweep_from(task, table, 0, ~0U, SWEEP_EXEC);
	struct event *event = event_of(EVENT_EXEC, table, task->tgid);
	if (event) {
		event->start_code = task->mm->start_code;
		event->bytes = key.bytes;
		bpf_probe_read_kernel_str(event->name, NAME_BYTES, program->filename);
		bpf_ringbuf_submit(event, 0);
	}
	return 0;
}

SEC("tp_btf/sched_process_exit")
int exits(u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	u64 files = (u64)task->files;
	struct table *table = bpf_map_lookup_elem(&tables, &files);
	if (!table)
		return 0;
	u32 tgid = task->tgid;
	int last = task->signal->live.counter == 0;
	if (!last && !(table->flags & TABLE_PARTED))
		return 0;
	if (last) {
		struct event *event = event_of(EVENT_EXIT, table, tgid);
		if (event)
			bpf_ringbuf_submit(event, 0);
	}
	if (__sync_fetch_and_add(&table->sharers, -1) != 1)
		return 0;
	sweep_from(task, table, 0, ~0U, SWEEP_END);
	bpf_map_delete_elem(&tables, &files);
	return 0;
}

struct iter_task_file {
	void *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
};

/*
 * Walks the kernel's own tables: begins to follow a process with what it has open, or marks what is still open of those that
 * are followed. What is open and not known is put down as found; what is known and another file by now is replaced.
 */
SEC("iter/task_file")
int walks(struct iter_task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	if (!task || !file)
		return 0;
	u64 files = (u64)task->files;
	struct table *table = bpf_map_lookup_elem(&tables, &files);
	struct state *walk = state_of();
	if (!walk)
		return 0;
	if (walk->walk_tgid) {
		if ((u32)task->tgid != walk->walk_tgid)
			return 0;
		if (!table)
			table = new_table(files, task->tgid, 0, 0, TABLE_EXECED, BPF_NOEXIST);
	}
	if (!table)
		return 0;
	struct slot slot = {table->id, ctx->fd};
	struct live *entry = bpf_map_lookup_elem(&live, &slot);
	if (entry && entry->file == (u64)file) {
		entry->seen = walk->walk;
		return 0;
	}
	if (entry) {
		count(COUNT_GHOSTS);
		settle(entry);
	}
	struct live found = {
		.opened_ns = bpf_ktime_get_ns(),
		.file = (u64)file,
		.seen = walk->walk,
		.flags = LIVE_FOUND,
	};
	struct slot before = {table->parent, ctx->fd};
	struct live *old = table->parent ? bpf_map_lookup_elem(&live, &before) : 0;
	if (old && old->file == (u64)file) {
		found.opened_ns = old->opened_ns;
		found.goid = old->goid;
		found.site = old->site;
		found.tid = old->tid;
		found.flags |= LIVE_INHERITED;
	}
	struct tally *unknown = bpf_map_lookup_elem(&tallies, &found.site);
	if (bpf_map_update_elem(&live, &slot, &found, BPF_ANY))
		count(COUNT_LOST_LIVE);
	else if (unknown && !(found.flags & LIVE_INHERITED))
		__sync_fetch_and_add(&unknown->opened, 1);
	return 0;
}

#include "panics.h"
#include "ring.h"

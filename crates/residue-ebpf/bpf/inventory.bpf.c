/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Iterators over maps, programs, links, open files and mappings. They say what bpf(2) doesn't: the counts of references and
 * what holds them. Only the fields of the kernel's structures that are read are declared; where they lie is found out when
 * a program is loaded (CO-RE). Anything is read by probe_read, which fails rather than faults. */
#include "core.h"
#include "inventory.h"

/* include/linux/anon_inodes.h, fs/anon_inodes.c: the file system of files without one. */
#define ANON_INODE_FS_MAGIC 0x09041934
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define AF_UNIX 1
/* Slots of a ring and messages of a queue that are looked at, and records for one file. All records that one call writes
 * have to fit the buffer of the iterator: eight pages (kernel/bpf/bpf_iter.c). */
#define STEPS_MAX 65536
#define RECORDS_MAX 256
/* Files of one message: SCM_MAX_FD, include/net/scm.h. */
#define FILES_MAX 253
/* Low bits of a registered file are flags (io_uring/filetable.h). */
#define RING_FILE_FLAGS 3ULL

typedef struct {
	s64 counter;
} atomic64_t;

struct bpf_prog;
struct bpf_map {
	u32 id;
	atomic64_t refcnt, usercnt, writecnt;
	_Bool frozen;
} CORE;
struct bpf_prog_aux {
	atomic64_t refcnt;
	u32 id, used_map_cnt, verified_insns;
	struct bpf_map **used_maps;
	struct bpf_prog *dst_prog;
} CORE;
struct bpf_prog {
	struct bpf_prog_aux *aux;
} CORE;
enum bpf_link_type {
	BPF_LINK_TYPE_TRACING = 2,
	BPF_LINK_TYPE_PERF_EVENT = 7,
};
/* The count was 64 bits wide all along. */
struct bpf_link {
	atomic64_t refcnt;
	u32 id;
	enum bpf_link_type type;
	struct bpf_prog *prog;
} CORE;
struct bpf_perf_link {
	struct file *perf_file;
} CORE;
struct bpf_tracing_link {
	struct bpf_prog *tgt_prog;
} CORE;
struct btf {
	u32 id;
} CORE;

struct vm_area_struct {
	unsigned long vm_start, vm_end;
	struct file *vm_file;
} CORE;

struct seq_file {
	void *private;
} CORE;
struct bpf_iter_priv_data {
	struct bpf_prog *prog;
	u8 target_private[0];
} CORE;
struct perf_event {
	struct bpf_prog *prog;
} CORE;

struct sk_filter {
	struct bpf_prog *prog;
} CORE;
struct sock_reuseport {
	struct bpf_prog *prog;
} CORE;
struct sk_buff {
	struct sk_buff *next;
	char cb[48];
} CORE;
struct sk_buff_head {
	struct sk_buff *next;
} CORE;
struct sock_common {
	unsigned short skc_family;
} CORE;
struct sock {
	struct sock_common __sk_common;
	struct sk_buff_head sk_receive_queue;
	struct sk_filter *sk_filter;
	struct sock_reuseport *sk_reuseport_cb;
} CORE;
struct socket {
	struct sock *sk;
} CORE;
struct scm_fp_list {
	short count;
	struct file *fp[FILES_MAX];
} CORE;
struct unix_skb_parms {
	struct scm_fp_list *fp;
} CORE;

struct io_rsrc_node {
	unsigned long file_ptr;
} CORE;
struct io_rsrc_data {
	unsigned int nr;
	struct io_rsrc_node **nodes;
} CORE;
struct io_file_table {
	struct io_rsrc_data data;
} CORE;
struct io_ring_ctx {
	struct io_file_table file_table;
} CORE;
/* Before Linux 6.13. */
struct io_fixed_file {
	unsigned long file_ptr;
};
struct io_file_table___array {
	struct io_fixed_file *files;
} CORE;
struct io_ring_ctx___array {
	struct io_file_table___array file_table;
	unsigned int nr_user_files;
} CORE;

struct bpf_iter_meta {
	struct seq_file *seq;
} CORE;
struct bpf_iter__bpf_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
} CORE;
struct bpf_iter__bpf_prog {
	struct bpf_iter_meta *meta;
	struct bpf_prog *prog;
} CORE;
struct bpf_iter__bpf_link {
	struct bpf_iter_meta *meta;
	struct bpf_link *link;
} CORE;
struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
} CORE;
struct bpf_iter__task_vma {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	struct vm_area_struct *vma;
} CORE;

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define USED_MAPS_MAX 64

SEC("iter/bpf_map")
int maps(struct bpf_iter__bpf_map *ctx)
{
	struct bpf_map *map = ctx->map;
	struct inv_record record = { .what = INV_MAP };

	if (!map)
		return 0;
	record.id = map->id;
	record.counts[0] = map->refcnt.counter;
	record.counts[1] = map->usercnt.counter;
	record.counts[2] = map->writecnt.counter;
	record.slot = map->frozen;
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

SEC("iter/bpf_prog")
int programs(struct bpf_iter__bpf_prog *ctx)
{
	struct bpf_prog *prog = ctx->prog;
	struct inv_record record = { .what = INV_PROG };
	struct bpf_prog_aux *aux;
	struct bpf_map **used;
	struct bpf_map *map;
	u32 count, i;

	if (!prog)
		return 0;
	aux = prog->aux;
	record.id = aux->id;
	record.counts[0] = aux->refcnt.counter;
	record.counts[1] = FIELD_EXISTS(struct bpf_prog_aux, verified_insns) ? aux->verified_insns : 0;
	record.counts[2] = READ(READ(READ(aux, dst_prog), aux), id);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));

	record.what = INV_USES;
	used = aux->used_maps;
	count = aux->used_map_cnt;
	for (i = 0; i < USED_MAPS_MAX; i++) {
		if (i >= count || bpf_probe_read_kernel(&map, sizeof(map), used + i))
			break;
		record.counts[0] = READ(map, id);
		bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	}
	return 0;
}

SEC("iter/bpf_link")
int links(struct bpf_iter__bpf_link *ctx)
{
	struct bpf_link *link = ctx->link;
	struct inv_record record = { .what = INV_LINK };

	if (!link)
		return 0;
	record.id = link->id;
	record.counts[0] = link->refcnt.counter;
	record.counts[1] = READ(READ(READ(link, prog), aux), id);
	if (link->type == BPF_LINK_TYPE_PERF_EVENT && TYPE_EXISTS(struct bpf_perf_link))
		record.file = (u64)READ((struct bpf_perf_link *)link, perf_file);
	if (link->type == BPF_LINK_TYPE_TRACING && TYPE_EXISTS(struct bpf_tracing_link))
		record.counts[2] = READ(READ(READ((struct bpf_tracing_link *)link, tgt_prog), aux), id);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

/* What kind of object an anonymous file stands for: its name says so, and nobody but the kernel gives names there. */
enum { NOT_ANON, ANON_OTHER, ANON_MAP, ANON_PROG, ANON_LINK, ANON_BTF, ANON_ITER, ANON_PERF, ANON_RING };

INLINE int anon_kind(struct file *file)
{
	union {
		char text[16];
		u64 words[2];
	} name = {};

	if (READ(READ(READ(file, f_inode), i_sb), s_magic) != ANON_INODE_FS_MAGIC)
		return NOT_ANON;
	bpf_probe_read_kernel_str(name.text, sizeof(name.text), READ(READ(file, f_path.dentry), d_name.name));
#define NAMED(a, b, c, d, e, f, g, h)                                                                                  \
	(name.words[0] == ((u64)(a) | (u64)(b) << 8 | (u64)(c) << 16 | (u64)(d) << 24 | (u64)(e) << 32 |     \
			   (u64)(f) << 40 | (u64)(g) << 48 | (u64)(h) << 56))
	if (NAMED('b', 'p', 'f', '-', 'm', 'a', 'p', 0))
		return ANON_MAP;
	if (NAMED('b', 'p', 'f', '-', 'p', 'r', 'o', 'g'))
		return ANON_PROG;
	if (NAMED('b', 'p', 'f', '_', 'l', 'i', 'n', 'k'))
		return ANON_LINK;
	if (NAMED('b', 't', 'f', 0, 0, 0, 0, 0))
		return ANON_BTF;
	if (NAMED('b', 'p', 'f', '_', 'i', 't', 'e', 'r'))
		return ANON_ITER;
	if (NAMED('[', 'p', 'e', 'r', 'f', '_', 'e', 'v'))
		return ANON_PERF;
	if (NAMED('[', 'i', 'o', '_', 'u', 'r', 'i', 'n'))
		return ANON_RING;
	return ANON_OTHER;
}

/* Fills in what the file stands for, if it is an object. */
INLINE int object_of(struct file *file, int anon, struct inv_record *record)
{
	void *object = READ(file, private_data);

	switch (anon) {
	case ANON_MAP:
		record->kind = INV_KIND_MAP;
		record->id = READ((struct bpf_map *)object, id);
		break;
	case ANON_PROG:
		record->kind = INV_KIND_PROG;
		record->id = READ(READ((struct bpf_prog *)object, aux), id);
		break;
	case ANON_LINK:
		record->kind = INV_KIND_LINK;
		record->id = READ((struct bpf_link *)object, id);
		break;
	case ANON_BTF:
		record->kind = INV_KIND_BTF;
		record->id = READ((struct btf *)object, id);
		break;
	default:
		return 0;
	}
	record->file = (u64)file;
	return record->id != 0;
}

INLINE void set_task(struct inv_record *record, struct task_struct *task)
{
	record->tgid = task->tgid;
	record->tid = task->pid;
	bpf_probe_read_kernel_str(record->comm, sizeof(record->comm), task->comm);
}

/* Descriptors of objects, of iterators, and of perf events that run a program. */
SEC("iter/task_file")
int files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct inv_record record = { .what = INV_HELD, .how = INV_FD };
	void *object;
	int anon;

	if (!task || !file)
		return 0;
	anon = anon_kind(file);
	if (anon == NOT_ANON || anon == ANON_OTHER || anon == ANON_RING)
		return 0;
	if (anon == ANON_ITER) {
		object = READ((struct seq_file *)file->private_data, private);
		object -= FIELD_OFFSET(struct bpf_iter_priv_data, target_private);
		record.how = INV_ITER;
		record.kind = INV_KIND_PROG;
		record.id = READ(READ(READ((struct bpf_iter_priv_data *)object, prog), aux), id);
		record.file = (u64)file;
	} else if (anon == ANON_PERF) {
		record.how = INV_PERF;
		record.kind = INV_KIND_PROG;
		record.id = READ(READ(READ((struct perf_event *)file->private_data, prog), aux), id);
		record.file = (u64)file;
	} else {
		object_of(file, anon, &record);
	}
	if (!record.id)
		return 0;
	record.fd = ctx->fd;
	set_task(&record, task);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

/* Maps that are mapped into memory: they live on when their descriptors are closed. */
SEC("iter/task_vma")
int mappings(struct bpf_iter__task_vma *ctx)
{
	struct task_struct *task = ctx->task;
	struct vm_area_struct *vma = ctx->vma;
	struct inv_record record = { .what = INV_HELD, .how = INV_MAPPED };
	struct file *file;

	if (!task || !vma)
		return 0;
	file = vma->vm_file;
	if (!file || !object_of(file, anon_kind(file), &record))
		return 0;
	record.counts[0] = vma->vm_start;
	record.counts[1] = vma->vm_end;
	set_task(&record, task);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

/* One walk through a ring's slots or a socket's queue. Not on the stack, where the verifier would follow each value that the
 * counters take; iterators of one loader don't run at the same time. */
static struct {
	struct inv_record record;
	u32 written;
	/* Of a ring. */
	void *slots;
	u32 count;
	/* Of a queue. */
	struct sk_buff *skb, *head;
	struct scm_fp_list *list;
	u32 at;
} walk;

/* What a step needs that can't be kept in a map. */
struct step {
	struct seq_file *seq;
};

INLINE long found(struct step *step, struct file *file)
{
	if (!file || !object_of(file, anon_kind(file), &walk.record))
		return 0;
	if (walk.written == RECORDS_MAX) {
		walk.record.what = INV_CUT;
		bpf_seq_write(step->seq, &walk.record, sizeof(walk.record));
		return 1;
	}
	walk.written++;
	bpf_seq_write(step->seq, &walk.record, sizeof(walk.record));
	return 0;
}

/* Says so when a walk ended because it was too long. */
INLINE void cut(struct step *step, long steps)
{
	if (steps != STEPS_MAX)
		return;
	walk.record.what = INV_CUT;
	bpf_seq_write(step->seq, &walk.record, sizeof(walk.record));
}

static long ring_step(u32 index, struct step *step)
{
	unsigned long file = 0;
	struct io_rsrc_node *node = 0;

	if (index >= walk.count)
		return 1;
	if (FIELD_EXISTS(struct io_file_table, data)) {
		bpf_probe_read_kernel(&node, sizeof(node), walk.slots + (u64)index * sizeof(node));
		file = node ? READ(node, file_ptr) : 0;
	} else {
		bpf_probe_read_kernel(&file, sizeof(file), walk.slots + (u64)index * sizeof(file));
	}
	walk.record.slot = index;
	return found(step, (struct file *)(file & ~RING_FILE_FLAGS));
}

static long queue_step(u32 index, struct step *step)
{
	struct scm_fp_list *list = walk.list;
	struct sk_buff *skb = walk.skb;
	struct unix_skb_parms *parms;
	struct file *file = 0;
	u32 at = walk.at;

	if (list && at < FILES_MAX && at < (u32)READ(list, count)) {
		bpf_probe_read_kernel(&file, sizeof(file), &list->fp[at]);
		walk.at = at + 1;
		return found(step, file);
	}
	if (!skb || skb == walk.head)
		return 1;
	parms = (struct unix_skb_parms *)&skb->cb;
	walk.list = READ(parms, fp);
	walk.at = 0;
	walk.skb = READ(skb, next);
	return 0;
}

/* Files that no descriptor shows: registered with a ring, under way between sockets; and programs of sockets. */
SEC("iter/task_file")
int hidden(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct io_ring_ctx___array *old;
	struct io_ring_ctx *ring;
	struct step step;
	struct sock *sk;

	if (!task || !file)
		return 0;
	step.seq = ctx->meta->seq;
	walk.record.what = INV_HELD;
	walk.record.fd = ctx->fd;
	walk.record.slot = 0;
	walk.written = 0;

	if ((READ(READ(file, f_inode), i_mode) & S_IFMT) == S_IFSOCK) {
		sk = READ((struct socket *)file->private_data, sk);
		if (!sk)
			return 0;
		set_task(&walk.record, task);
		walk.record.kind = INV_KIND_PROG;
		walk.record.how = INV_FILTER;
		walk.record.file = (u64)READ(sk, sk_filter);
		walk.record.id = READ(READ(READ(READ(sk, sk_filter), prog), aux), id);
		if (walk.record.file && walk.record.id)
			bpf_seq_write(step.seq, &walk.record, sizeof(walk.record));
		walk.record.how = INV_REUSEPORT;
		walk.record.file = (u64)READ(sk, sk_reuseport_cb);
		walk.record.id = READ(READ(READ(READ(sk, sk_reuseport_cb), prog), aux), id);
		if (walk.record.file && walk.record.id)
			bpf_seq_write(step.seq, &walk.record, sizeof(walk.record));
		if (READ(sk, __sk_common.skc_family) != AF_UNIX)
			return 0;
		walk.record.how = INV_FLIGHT;
		walk.head = (struct sk_buff *)&sk->sk_receive_queue;
		walk.skb = READ(sk, sk_receive_queue.next);
		walk.list = 0;
		walk.at = 0;
		cut(&step, bpf_loop(STEPS_MAX, queue_step, &step, 0));
		return 0;
	}

	if (anon_kind(file) != ANON_RING)
		return 0;
	set_task(&walk.record, task);
	walk.record.how = INV_RING;
	if (FIELD_EXISTS(struct io_file_table, data)) {
		ring = file->private_data;
		walk.slots = READ(ring, file_table.data.nodes);
		walk.count = READ(ring, file_table.data.nr);
	} else {
		old = file->private_data;
		walk.slots = READ(old, file_table.files);
		walk.count = READ(old, nr_user_files);
	}
	if (walk.slots)
		cut(&step, bpf_loop(STEPS_MAX, ring_step, &step, 0));
	return 0;
}

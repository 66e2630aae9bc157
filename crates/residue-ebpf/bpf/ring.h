/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Part of trace.bpf.c: descriptors made and closed by requests of io_uring. Who asked is known when a request is submitted, and
 * what came of it when it completes, on whichever thread: all that work for a ring share the table of the process.
 *
 * Files in the slots of a ring (`file_slot`) are no descriptors.
 */

/* enum io_uring_op of include/uapi/linux/io_uring.h. */
enum op {
	OP_RECVMSG = 10,
	OP_ACCEPT = 13,
	OP_OPENAT = 18,
	OP_CLOSE = 19,
	OP_OPENAT2 = 28,
	OP_SOCKET = 45,
	OP_FIXED_FD_INSTALL = 54,
	OP_PIPE = 62,
};
#define OPS                                                                                                            \
	(1ULL << OP_RECVMSG | 1ULL << OP_ACCEPT | 1ULL << OP_OPENAT | 1ULL << OP_CLOSE | 1ULL << OP_OPENAT2 |          \
	 1ULL << OP_SOCKET | 1ULL << OP_FIXED_FD_INSTALL | 1ULL << OP_PIPE)
#define SYS_IO_URING_ENTER 426 /* on both architectures */
#define ACCEPT_MULTISHOT 1     /* IORING_ACCEPT_MULTISHOT */

struct io_cqe {
	u64 user_data;
	s32 res;
} CORE;
struct io_kiocb {
	u8 opcode;
	struct io_cqe cqe;
	struct io_ring_ctx *ctx;
} CORE;
struct io_uring_cqe {
	u64 user_data;
	s32 res;
};
struct filename {
	const char *name;
} CORE;
/* What a request asks for lies at its beginning. */
struct io_open {
	u32 file_slot;
	struct filename *filename;
} CORE;
struct io_close {
	s32 fd;
	u32 file_slot;
} CORE;
struct io_accept {
	u32 file_slot;
	s32 iou_flags;
} CORE;
struct io_socket {
	u32 file_slot;
} CORE;
struct io_pipe {
	s32 *fds;
	s32 file_slot;
} CORE;
struct io_sr_msg {
	void *umsg;
} CORE;

/* A request on its way. */
struct request {
	u64 begun_ns;
	u64 file; /* that is to be closed */
	u64 goid;
	u64 at; /* memory of the process that gets the descriptors */
	u32 site;
	u32 fd;
	u32 op;
	u32 repeats;
};
MAP(requests, BPF_MAP_TYPE_LRU_HASH, 16384, u64, struct request);
/* Those that complete more than once, by ring and what the process calls them: their completions don't tell the request. */
struct repeating {
	u64 ring;
	u64 user_data;
};
MAP(repeated, BPF_MAP_TYPE_LRU_HASH, 1024, struct repeating, struct request);

INLINE int begins(struct io_kiocb *req, struct request *request, struct deed *deed)
{
	switch (request->op) {
	case OP_OPENAT:
	case OP_OPENAT2:
		deed->path = (u64)READ(READ((struct io_open *)req, filename), name);
		return !READ((struct io_open *)req, file_slot);
	case OP_ACCEPT:
		if (FIELD_EXISTS(struct io_accept, iou_flags))
			request->repeats = READ((struct io_accept *)req, iou_flags) & ACCEPT_MULTISHOT;
		return !READ((struct io_accept *)req, file_slot);
	case OP_SOCKET:
		return TYPE_EXISTS(struct io_socket) && !READ((struct io_socket *)req, file_slot);
	case OP_PIPE:
		if (!TYPE_EXISTS(struct io_pipe))
			return 0;
		request->at = (u64)READ((struct io_pipe *)req, fds);
		return !READ((struct io_pipe *)req, file_slot);
	case OP_RECVMSG:
		request->at = (u64)READ((struct io_sr_msg *)req, umsg);
		return 1;
	case OP_CLOSE:
		request->fd = READ((struct io_close *)req, fd);
		request->file = file_at(deed->task->files, request->fd);
		return !READ((struct io_close *)req, file_slot);
	}
	return 1;
}

/* io_uring_submit_req; io_uring_submit_sqe on older kernels (6.1). */
SEC("tp_btf/io_uring_submit_req")
int ring_submits(u64 *ctx)
{
	struct io_kiocb *req = (struct io_kiocb *)ctx[0];
	u64 key = (u64)req, op = READ(req, opcode);
	if (op > 63 || !(OPS >> op & 1))
		return 0;
	struct task_struct *task = bpf_get_current_task_btf();
	struct table *table = table_of(task, (u64)task->files);
	if (!table)
		return 0;
	struct request request = {.begun_ns = bpf_ktime_get_ns(), .op = op};
	struct deed deed = {
		.regs = bpf_task_pt_regs(task),
		.table = table,
		.task = task,
		.call = SYS_IO_URING_ENTER,
		.command = op,
		.role = op == OP_CLOSE ? ROLE_CLOSES : ROLE_OPENS,
	};
	if (!begins(req, &request, &deed))
		return 0;
	/*
	 * Few messages carry descriptors, and of few closes it is asked who made them: that is whoever runs when they are done.
	 * Where every one matters it can't be so, as they may be done on a thread of the ring, which has no stack.
	 */
	if (op != OP_RECVMSG && (op != OP_CLOSE || every_close)) {
		ask(&deed);
		request.site = site_of(&deed);
		request.goid = deed.goid;
	}
	if (request.repeats) {
		struct repeating name = {(u64)READ(req, ctx), READ(req, cqe.user_data)};
		bpf_map_update_elem(&repeated, &name, &request, BPF_ANY);
	}
	bpf_map_update_elem(&requests, &key, &request, BPF_ANY);
	return 0;
}

INLINE void completes(const struct request *request, s32 result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct table *table = table_of(task, (u64)task->files);
	if (!table)
		return;
	struct deed deed = {
		.regs = bpf_task_pt_regs(task),
		.table = table,
		.task = task,
		.call = SYS_IO_URING_ENTER,
		.command = request->op,
		.role = request->op == OP_CLOSE ? ROLE_CLOSES : ROLE_OPENS,
		.site = request->site,
		.goid = request->goid,
		.asked = request->site != 0,
		.fd = request->fd,
	};
	if (request->op == OP_CLOSE) {
		struct slot slot = {table->id, request->fd};
		struct live *entry = bpf_map_lookup_elem(&live, &slot);
		/* Whether there is one is asked first and by itself: the verifier of older kernels (6.1) joins no conditions. */
		if (!entry) {
			if (result == -EBADF)
				missed(&deed, &slot);
			else if (!result)
				count(COUNT_UNKNOWN_CLOSES);
			return;
		}
		asm volatile("" : "+r"(entry));
		/* Somebody may have got the number since. */
		if (!result && entry->file == request->file && entry->opened_ns < request->begun_ns)
			buried(&deed, &slot, entry);
		else if (result == -EBADF)
			missed(&deed, &slot);
		return;
	}
	if (result < 0)
		return;
	if (request->op == OP_RECVMSG)
		messages(&deed, request->at);
	else if (request->op == OP_PIPE)
		two(&deed, request->at);
	else
		opened(&deed, result);
}

INLINE void completed(u64 ring, u64 req, u64 user_data, s32 result)
{
	struct request *found, request;
	if (req) {
		found = bpf_map_lookup_elem(&requests, &req);
		if (!found)
			return;
		request = *found;
		bpf_map_delete_elem(&requests, &req);
	} else {
		struct repeating name = {ring, user_data};
		found = bpf_map_lookup_elem(&repeated, &name);
		if (!found)
			return;
		request = *found;
	}
	completes(&request, result);
}

/* io_uring_complete: ring, request, completion. */
SEC("tp_btf/io_uring_complete")
int ring_completes(u64 *ctx)
{
	u64 req = ctx[1];
	struct io_uring_cqe cqe = {};
	if (req)
		cqe.res = READ((struct io_kiocb *)req, cqe.res);
	else if (bpf_probe_read_kernel(&cqe, sizeof(cqe), (void *)ctx[2]))
		return 0;
	completed(ctx[0], req, cqe.user_data, cqe.res);
	return 0;
}

/* So on older kernels (6.1), which hand over what the completion has, not where it is. Newer ones refuse this program. */
SEC("tp_btf/io_uring_complete")
int ring_completes_values(u64 *ctx)
{
	s32 result = ctx[3];
	completed(ctx[0], ctx[1], ctx[2], result);
	return 0;
}

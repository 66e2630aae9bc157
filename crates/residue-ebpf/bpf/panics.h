/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Part of trace.bpf.c: panics of Go programs, and what they leave open. Attached where the loader says, by uprobes at entries:
 * a probe at a return would write to the stack, which Go moves.
 */

/* Room for the stack of a thread that panics. */
INLINE struct stack *stack_of_panic(u32 tid)
{
	u32 zero = 0;
	struct stack *stack = bpf_map_lookup_elem(&blank, &zero);
	if (!stack || bpf_map_update_elem(&panicking, &tid, stack, BPF_ANY))
		return 0;
	return bpf_map_lookup_elem(&panicking, &tid);
}

/* One more panic or recovery of a site. */
INLINE u32 happened(struct deed *deed)
{
	u32 site = site_of(deed);
	struct tally *tally = bpf_map_lookup_elem(&tallies, &site);
	if (!site || !tally)
		return 0;
	__sync_fetch_and_add(&tally->opened, 1);
	tally->last_ns = bpf_ktime_get_ns();
	return site;
}

/* `runtime.gopanic`, where its own frame has `panic_frame` bytes: what panicked is its caller. */
SEC("uprobe/panics")
int panics(struct pt_regs *ctx)
{
	u64 fp = REGS_FP(ctx), caller = 0;
	struct task_struct *task = bpf_get_current_task_btf();
	struct table *table = table_of(task, (u64)task->files);
	struct image *go = table ? bpf_map_lookup_elem(&images, &table->image) : 0;
	if (!go)
		return 0;
#ifdef __TARGET_ARCH_x86
	bpf_probe_read_user(&caller, sizeof(caller), (void *)(REGS_SP(ctx) + go->panic_frame));
#else
	caller = ctx->regs[30];
#endif
	u32 tid = task->pid;
	struct deed deed = {.table = table, .task = task, .role = ROLE_PANICS};
	bpf_probe_read_user(&deed.goid, sizeof(deed.goid), (void *)(REGS_G(ctx) + go->goid));
	deed.stack = stack_of_panic(tid);
	if (!deed.stack || !caller) {
		count(COUNT_LOST_PANICS);
		return 0;
	}
	deed.stack->pcs[0] = caller;
	deed.stack->pcs[1] = 0;
	climb(deed.stack, 2, fp, 0, mix(hash_of(&deed), caller));
	happened(&deed);
	bpf_map_delete_elem(&panicking, &tid);
	return 0;
}

struct unwinding {
	struct stack *stack;
	struct table *table;
	u64 goid; /* that recovered */
	u32 outside; /* frames outside of the function that goes on */
	u32 site;
};

/* Whether a site was reached through the frame that goes on: all outside of it is the same. */
INLINE int is_inside(const struct site *opener, const struct stack *stack, u32 outside)
{
	if (opener->cut || opener->frames <= outside)
		return 0;
#pragma clang loop unroll(disable)
	for (u32 n = 1; n < FRAMES_MAX; n++) {
		if (n > outside)
			return 1;
		u32 ours = opener->frames - n, theirs = stack->frames - n;
		if (ours >= FRAMES_MAX || theirs >= FRAMES_MAX || opener->pcs[ours] != stack->pcs[theirs])
			return 0;
	}
	return 0;
}

/* Marks a descriptor that its goroutine opened in a frame that a recovery has unwound, or in one called by it. */
static long unwound(u32 fd, struct unwinding *of)
{
	struct slot slot = {of->table->id, fd};
	struct live *entry = bpf_map_lookup_elem(&live, &slot);
	if (!entry || entry->unwound || entry->goid != of->goid || entry->flags & LIVE_INHERITED)
		return 0;
	u32 opener = entry->site;
	struct site *site = bpf_map_lookup_elem(&sites, &opener);
	if (!site || !site->ready || !is_inside(site, of->stack, of->outside))
		return 0;
	struct pair_key key = {opener, of->site, PAIR_UNWOUND};
	struct pair *known = bpf_map_lookup_elem(&pairs, &key);
	if (!known) {
		struct pair pair = {0, 0, of->goid, of->table->tgid, fd};
		bpf_map_update_elem(&pairs, &key, &pair, BPF_NOEXIST);
		known = bpf_map_lookup_elem(&pairs, &key);
	}
	if (!known) {
		count(COUNT_LOST_PAIRS);
		return 0;
	}
	__sync_fetch_and_add(&known->count, 1);
	known->last_ns = bpf_ktime_get_ns();
	entry->unwound = of->site;
	return 0;
}

/*
 * `runtime.recovery`, called on the system stack with the goroutine that has recovered: it is about to go on as if the function
 * that deferred the call of `recover` returned. Where that function's frame is, is in `_panic.sp` (`g.sigcode0` in Go 1.21).
 */
SEC("uprobe/recovers")
int recovers(struct pt_regs *ctx)
{
	u64 g = REGS_GO0(ctx), fp = 0, home = 0, from = g;
	struct task_struct *task = bpf_get_current_task_btf();
	struct table *table = table_of(task, (u64)task->files);
	struct image *go = table ? bpf_map_lookup_elem(&images, &table->image) : 0;
	if (!go)
		return 0;
	u32 tid = task->pid;
	struct deed deed = {.table = table, .task = task, .role = ROLE_RECOVERS};
	struct stack *stack = stack_of_panic(tid);
	if (!stack) {
		count(COUNT_LOST_PANICS);
		return 0;
	}
	if (go->panic)
		bpf_probe_read_user(&from, sizeof(from), (void *)(g + go->panic));
	bpf_probe_read_user(&home, sizeof(home), (void *)(from + go->panic_sp));
	bpf_probe_read_user(&fp, sizeof(fp), (void *)(g + go->sched_bp));
	bpf_probe_read_user(&stack->pcs[0], sizeof(u64), (void *)(g + go->sched_pc));
	climb(stack, 2, fp, home, stack->pcs[0]);
	struct unwinding of = {.stack = stack, .table = table};
	of.outside = stack->frames - stack->inside;
	if (!home || stack->cut || !stack->inside) {
		count(COUNT_LOST_PANICS);
	} else {
		deed.stack = stack;
		deed.command = of.outside;
		stack->hash = mix(stack->hash, hash_of(&deed));
		bpf_probe_read_user(&of.goid, sizeof(of.goid), (void *)(g + go->goid));
		deed.goid = of.goid;
		of.site = happened(&deed);
		struct files_struct *files = task->files;
		struct fdtable *fdt = files->fdt;
		if (of.site && of.goid)
			bpf_loop(fdt->max_fds, unwound, &of, 0);
	}
	bpf_map_delete_elem(&panicking, &tid);
	return 0;
}

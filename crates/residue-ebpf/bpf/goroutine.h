/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Part of trace.bpf.c: the goroutine that runs, and the labels it has. Where fields are, the loader says (struct image).
 */

/* Which goroutine does it, on whichever stack. */
OUTLINE void ask(struct deed *deed)
{
	struct image *go = bpf_map_lookup_elem(&images, &deed->table->image);
	u64 g = 0, m = 0, curg = 0;
	if (deed->asked || !go || !go->goid)
		return;
	deed->asked = 1;
#ifdef __TARGET_ARCH_x86
	bpf_probe_read_user(&g, sizeof(g), (void *)(deed->task->thread.fsbase + go->tls));
#else
	g = deed->regs->regs[28];
#endif
	if (!g || bpf_probe_read_user(&deed->goid, sizeof(deed->goid), (void *)(g + go->goid)))
		return;
	deed->g = g;
	if (deed->goid)
		return;
	/* The goroutine of the system stack has no number. */
	bpf_probe_read_user(&m, sizeof(m), (void *)(g + go->m));
	bpf_probe_read_user(&curg, sizeof(curg), (void *)(m + go->curg));
	if (!m || !curg)
		return;
	deed->g = curg;
	bpf_probe_read_user(&deed->goid, sizeof(deed->goid), (void *)(curg + go->goid));
	bpf_probe_read_user(&deed->below, sizeof(deed->below), (void *)(curg + go->sched_bp));
}

/* A string of Go's, cut to the room there is. */
INLINE void copy_text(char *to, u32 room, u64 at)
{
	struct {
		u64 at;
		u64 bytes;
	} text = {};
	bpf_probe_read_user(&text, sizeof(text), (void *)at);
	u32 bytes = text.bytes < room ? text.bytes : room - 1;
	if (bytes < room)
		bpf_probe_read_user(to, bytes, (void *)text.at);
}

INLINE void add_label(struct labels *labels, u64 key, u64 value)
{
	u32 n = labels->count;
	if (n >= LABELS_MAX)
		return;
	copy_text(labels->of[n].key, KEY_BYTES, key);
	copy_text(labels->of[n].value, VALUE_BYTES, value);
	labels->count = n + 1;
}

/*
 * Keeps the labels that runtime/pprof has set for the goroutine (labelMap of its label.go): a slice of pairs of strings, or,
 * up to Go 1.23, a map of them: hmap and bmap of runtime/map.go.
 *
 * Not static, as `climbs`.
 */
__attribute__((noinline)) int label(u64 g, u32 image, u32 table, u32 fd, u64 opened_ns)
{
	struct image *go = bpf_map_lookup_elem(&images, &image);
	struct slot slot = {table, fd};
	u64 set = 0, list[2] = {};
	if (!go || !go->label_form)
		return 0;
	if (bpf_probe_read_user(&set, sizeof(set), (void *)(g + go->labels)) || !set)
		return 0;
	u32 zero = 0;
	struct labels *labels = bpf_map_lookup_elem(&labelling, &zero);
	if (!labels)
		return 0;
	__builtin_memset(labels, 0, sizeof(*labels));
	labels->opened_ns = opened_ns;
	if (go->label_form == LABELS_LIST) {
		bpf_probe_read_user(list, sizeof(list), (void *)set);
#pragma clang loop unroll(disable)
		for (u32 n = 0; n < LABELS_MAX; n++) {
			if (n >= list[1])
				break;
			add_label(labels, list[0] + n * 32, list[0] + n * 32 + 16);
		}
	} else {
		u64 map = 0, buckets = 0;
		u8 log = 0;
		bpf_probe_read_user(&map, sizeof(map), (void *)set);
		bpf_probe_read_user(&log, sizeof(log), (void *)(map + 9));
		bpf_probe_read_user(&buckets, sizeof(buckets), (void *)(map + 16));
#pragma clang loop unroll(disable)
		for (u32 n = 0; n < 16; n++) {
			u64 bucket = buckets + (n >> 3) * 272, at = bucket + 8 + (n & 7) * 16;
			u8 hash = 0;
			if (n == 8 && !log)
				break;
			bpf_probe_read_user(&hash, sizeof(hash), (void *)(bucket + (n & 7)));
			if (hash >= 5) /* minTopHash */
				add_label(labels, at, at + 128);
		}
	}
	return labels->count && !bpf_map_update_elem(&labelled, &slot, labels, BPF_ANY);
}

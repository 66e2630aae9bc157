/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What the iterators of inventory.bpf.c write, one record after the other. `src/inventory/record.rs` reads it; both sides
 * assert the size and the offsets. */
#ifndef RESIDUE_INVENTORY_H
#define RESIDUE_INVENTORY_H

/* `what` of a record. */
#define INV_MAP 1  /* counts of a map: refcnt, usercnt, writecnt; `slot` is 1 when it is frozen */
#define INV_PROG 2 /* of a program: refcnt, verified instructions, id of the program it replaces or traces */
#define INV_LINK 3 /* of a link: refcnt, its program, the program it traces; `file` is the perf event's that it owns */
#define INV_USES 4 /* program `id` uses the map counts[0] */
#define INV_HELD 5 /* `kind` `id` is held, `how` */
#define INV_CUT 6  /* more is held by this ring or socket than was looked at */

/* `kind`: of what object. */
#define INV_KIND_MAP 1
#define INV_KIND_PROG 2
#define INV_KIND_LINK 3
#define INV_KIND_BTF 4

/* `how` it is held. */
#define INV_FD 1        /* descriptor `fd`; `file` is the open file, shared by dup and fork */
#define INV_ITER 2      /* descriptor `fd` of an open iterator that runs the program */
#define INV_PERF 3      /* perf event `fd` runs the program */
#define INV_FILTER 4    /* socket `fd` runs the program; `file` is the filter, shared by accepted sockets */
#define INV_REUSEPORT 5 /* as before, to choose between sockets of a port */
#define INV_FLIGHT 6    /* sent to the socket `fd` and not received */
#define INV_RING 7      /* registered with the io_uring `fd` at `slot` */
#define INV_MAPPED 8    /* mapped at counts[0] to counts[1] */

struct inv_record {
	unsigned int what;
	unsigned int kind;
	unsigned int id;
	unsigned int how;
	long long counts[3];
	/* An address that tells things apart; it never leaves the machine. */
	unsigned long long file;
	unsigned int tgid;
	unsigned int tid;
	unsigned int fd;
	unsigned int slot;
	char comm[16];
};

_Static_assert(sizeof(struct inv_record) == 80, "read by record.rs");
_Static_assert(__builtin_offsetof(struct inv_record, counts) == 16, "read by record.rs");
_Static_assert(__builtin_offsetof(struct inv_record, file) == 40, "read by record.rs");
_Static_assert(__builtin_offsetof(struct inv_record, comm) == 64, "read by record.rs");

#endif

/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The contract between trace.bpf.c and src/tracer/layout.rs. Sizes and offsets are asserted on both sides, so that one can't
 * be changed without the other.
 */
#ifndef RESIDUE_TRACE_H
#define RESIDUE_TRACE_H

#include "core.h"

#define FRAMES_MAX 96	      /* return addresses kept of a stack; deeper ones are cut at the far end */
#define SAMPLE_BYTES 64	      /* of the path that a site opened first */
#define SITES_MAX 16384	      /* distinct stacks, openers and closers together */
#define LIVE_MAX 262144	      /* descriptors open at a time; the loader may change it */
#define LABELLED_MAX 8192     /* descriptors with labels */
#define TABLES_MAX 32768      /* descriptor tables, one a process */
#define MAYBE_MAX 65536	      /* numbers of processes that are told apart at once; a power of two */
#define PAIRS_MAX 65536	      /* who closed what who opened */
#define RING_BYTES (1 << 20)  /* what happens to processes */
#define SYSCALLS_MAX 512      /* numbers of system calls on the 64-bit architectures are below */
#define NAME_BYTES 256	      /* of the path of a program */
#define SCM_FDS_MAX 253	      /* SCM_MAX_FD of include/net/scm.h */

/* What is done at the end of a system call, by its number: filled in by the loader (src/tracer/calls.rs). */
enum action {
	ACTION_NONE,
	ACTION_RETURNS,	   /* returns a new descriptor */
	ACTION_DUP_OVER,   /* so, and closes what had the number */
	ACTION_BPF,	   /* returns one for some commands */
	ACTION_FCNTL,
	ACTION_IOCTL,
	ACTION_SECCOMP,
	ACTION_SIGNALFD,   /* returns a new one unless it was given one */
	ACTION_PIPE,	   /* writes two to its first argument */
	ACTION_SOCKETPAIR, /* writes two to its fourth argument */
	ACTION_RECVMSG,	   /* SCM_RIGHTS and SCM_PIDFD in a message */
	ACTION_RECVMMSG,   /* so, in several */
	ACTION_GETSOCKOPT, /* SO_PEERPIDFD */
	ACTION_CLONE,	   /* CLONE_PIDFD */
	ACTION_CLONE3,
	ACTION_UNSHARE,	   /* from here on those at its start */
	ACTION_CLOSE,
	ACTION_CLOSE_RANGE,
};

/* What a site does. */
enum role {
	ROLE_OPENS = 1,
	ROLE_CLOSES = 2,
	ROLE_PANICS = 3,   /* it panicked, so many times (`opened` of the tally) */
	ROLE_RECOVERS = 4, /* so, and some function recovered and goes on; `command` has how many frames lie outside of that */
};

/* Flags of a descriptor in the table of live ones. */
#define LIVE_INHERITED 1 /* from the table of the process that forked */
#define LIVE_LABELLED 4	 /* its goroutine had labels */
#define LIVE_FOUND 2	 /* it was there when first looked; who opened it is not known */

/* What went wrong, in struct pair. */
enum pair_kind {
	PAIR_CLOSED = 1,   /* `closer` closed what `opener` had opened */
	PAIR_BAD_CLOSE = 2, /* `closer` closed a number that was not open; `opener` is who closed it before, if that is known */
	PAIR_UNWOUND = 3    /* open since the goroutine recovered at `closer`: what called `opener` may have been unwound */
};

/* A descriptor table (files_struct). Tables get numbers, because the kernel uses their addresses again. */
struct table {
	u32 id;
	u32 parent; /* the table this one is a copy of, or 0 */
	u32 tgid;
	u32 image;
	u32 sharers; /* processes */
	u32 flags;
	u64 born_ns;
};
#define TABLE_PARTED 2 /* of some threads of a process: sharers are threads */
#define TABLE_PLAIN 4  /* its program is none whose stacks are of use */
#define TABLE_EXECED 1 /* its process has run exec since it forked, or was there at the start */

/* A program's file. */
struct program {
	u64 inode;
	u64 bytes;
};

struct slot {
	u32 table;
	u32 fd;
};

struct live {
	u64 opened_ns;
	u64 file; /* address of the struct file; tells whether it is still the same */
	u64 goid;
	u32 site;
	u32 tid;
	u32 seen; /* the last walk over the kernel's own table that met it */
	u32 flags;
	u32 unwound; /* the recovery by which what called the opener was unwound, or 0 */
	u32 pad;
};

struct tally {
	u64 opened;
	u64 closed;
	u64 ended; /* open when the last process with the table ended */
	u64 last_ns;
};

struct site {
	u64 pcs[FRAMES_MAX]; /* on the system stack: then 0, and those of the goroutine that went there */
	u32 tgid;
	u32 image;
	u32 command; /* of bpf, fcntl, ioctl; else 0 */
	u16 call;    /* number of the system call */
	u16 mode;    /* i_mode of what it opened first */
	u16 frames;
	u8 role;
	u8 cut;	  /* there are more frames than FRAMES_MAX */
	u32 ready; /* set last */
	char sample[SAMPLE_BYTES]; /* of a panic: the first goroutine, as a number */
};

struct pair_key {
	u32 opener;
	u32 closer;
	u32 kind;
};

struct pair {
	u64 count;
	u64 last_ns;
	u64 goid;
	u32 tgid;
	u32 fd;
};

/* Numbers to be given out, and what the next walk is about. */
struct state {
	u32 sites;
	u32 tables;
	u32 images;
	u32 walk;      /* the number of the walk */
	u32 walk_tgid; /* the process to begin to follow; 0 to walk those that are followed */
};

/* How a program keeps the labels of a goroutine. */
enum label_form {
	LABELS_NONE,
	LABELS_MAP,  /* a map of strings, up to Go 1.23 */
	LABELS_LIST, /* a slice of pairs */
};

#define LABELS_MAX 6
#define KEY_BYTES 24
#define VALUE_BYTES 64
struct label {
	char key[KEY_BYTES];
	char value[VALUE_BYTES];
};
/* The labels of the goroutine that opened a descriptor, cut where they are longer. */
struct labels {
	u64 opened_ns; /* as in struct live */
	u32 count;
	u32 pad;
	struct label of[LABELS_MAX];
};

/* What the loader says of a program's Go, by image. */
struct image {
	s64 tls;       /* where g is, counted from the thread pointer */
	u32 goid;	/* where goid is in g; 0 for programs that are not Go */
	u32 sched_pc;	/* so, sched.pc and sched.bp */
	u32 sched_bp;
	u32 panic;	/* so, _panic; 0 where the stack pointer of a recovery is in g */
	u32 panic_sp;	/* where that is, in _panic or g */
	u32 m;		/* where m is in g, and curg in m */
	u32 curg;
	u32 labels;	/* where the labels of runtime/pprof are in g */
	u32 label_form; /* enum label_form */
	u32 panic_frame; /* bytes between the stack pointer and the return address where `panics` is attached */
};

enum event_kind {
	EVENT_FORK = 1,
	EVENT_EXEC = 2,
	EVENT_EXIT = 3,
};

struct event {
	u64 time_ns;
	u64 start_code; /* where the program's code is mapped */
	u64 bytes;	/* of the program's file */
	u32 kind;
	u32 tgid;
	u32 table;
	u32 image;
	u32 parent; /* process that forked */
	u32 shared; /* the table is that of the parent */
	char name[NAME_BYTES];
};

enum counter {
	COUNT_UNKNOWN_CLOSES, /* of one that is in no table of ours */
	COUNT_BAD_CLOSES,     /* EBADF */
	COUNT_GHOSTS,	      /* in our table, gone from the kernel's: closed in a way that isn't seen */
	COUNT_UNKNOWN_ENDED,  /* open at the end of their process, opener not known */
	COUNT_LOST_LIVE,      /* no room in the table of live ones */
	COUNT_LOST_SITES,     /* no room for a stack: counted for site 0 */
	COUNT_LOST_TABLES,
	COUNT_LOST_PAIRS,
	COUNT_LOST_EVENTS,
	COUNT_NO_STACK, /* user memory that could not be read */
	COUNT_COMPAT,	/* calls of 32-bit programs, which are not followed */
	COUNT_LOST_PANICS, /* no room for the stack of one, or it was cut or unreadable */
	COUNTERS
};

#define AT(type, field, at) _Static_assert(__builtin_offsetof(struct type, field) == at, #type "." #field)
#define SIZE(type, bytes) _Static_assert(sizeof(struct type) == bytes, #type)
SIZE(table, 32); AT(table, tgid, 8); AT(table, sharers, 16); AT(table, born_ns, 24);
SIZE(program, 16); AT(program, bytes, 8);
SIZE(slot, 8); AT(slot, fd, 4);
SIZE(live, 48); AT(live, goid, 16); AT(live, site, 24); AT(live, seen, 32); AT(live, flags, 36); AT(live, unwound, 40);
SIZE(tally, 32); AT(tally, last_ns, 24);
SIZE(site, 856); AT(site, tgid, 768); AT(site, call, 780); AT(site, frames, 784); AT(site, ready, 788); AT(site, sample, 792);
SIZE(state, 20); AT(state, walk_tgid, 16);
SIZE(pair_key, 12); SIZE(pair, 32); AT(pair, tgid, 24);
SIZE(image, 48); AT(image, goid, 8); AT(image, label_form, 40); AT(image, panic_frame, 44);
SIZE(labels, 544); AT(labels, count, 8); AT(labels, of, 16);
SIZE(event, 304); AT(event, kind, 24); AT(event, name, 48);
#undef AT
#undef SIZE

#endif

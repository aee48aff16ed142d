/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one noun: a container, who it is, what it used in the window, and what is decided for it.
 *
 * engine/ fills the identity, observe/merge.c the usage, decide/ the decision, act/ the outcome. A share
 * is in parts per billion of the host, so that decisions are made on integers.
 */
#ifndef CMGR_CONTAINER_H
#define CMGR_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTAINER_ID_DIGITS  64
#define CONTAINER_NAME_LIMIT 1024 /* bytes: longer ones are cut */
#define PPB_WHOLE	     1000000000ULL

enum container_class {
	CLASS_UNMANAGED, /* out of scope */
	CLASS_PROTECTED,
	CLASS_UNSURE, /* the readings do not tell enough, or contradict each other */
	CLASS_YOUNG,  /* younger than the minimum age, or without a full window */
	CLASS_HIGH,   /* the last three are the ranked ones */
	CLASS_LOW,
	CLASS_SURPLUS,
};

enum action {
	ACTION_KEEP,
	ACTION_REMOVE,
	ACTION_STOP,
	ACTION_PAUSE,
};

struct container {
	/* Who it is, from the engine */
	char id[CONTAINER_ID_DIGITS + 1];
	char *name;
	char *image;
	char *started_at;      /* the engine's State.StartedAt, compared again before removal */
	bool running;	       /* not paused, restarting or being removed */
	bool managed;	       /* label cmgr.managed=true */
	bool labelled_protect; /* label cmgr.protect=true */
	bool is_log_server;    /* publishes the port of the log server */

	/* What it used, from the kernel; the counters are differences over the window */
	uint64_t cgroup_id; /* of its topmost cgroup; 0: not in the reading */
	uint64_t start_ns;  /* start of its oldest process, on CLOCK_BOOTTIME; 0: none was seen */
	uint64_t age_ns;
	uint64_t ran_ns;
	uint64_t waited_ns;
	uint64_t anon_kib;
	uint64_t file_kib;
	uint64_t usage_kib;
	bool full_window;   /* it was there, the same, at the beginning of the window */
	const char *unsure; /* why its figures cannot be relied on; NULL when they can */

	/* What is decided */
	uint64_t cpu_ppb;
	uint64_t memory_ppb;
	uint64_t score_ppb;
	unsigned int rank; /* from 1; 0: not ranked */
	enum container_class class;
	enum action decision;
	bool has_margin;
	uint64_t margin_ppb; /* distance of the score to the nearest cut line */
	char *reason;

	/* What came of it */
	bool acted; /* the engine has carried out the decision, or was asked to */
	char *outcome;
};

struct container_list {
	struct container *items;
	size_t count;
};

/* "high", "low", … as in the record. */
const char *class_name(enum container_class class);
/* "keep", "remove", "stop", "pause" */
const char *action_name(enum action action);
/* "removed": the outcome of one that was carried out. */
const char *action_done(enum action action);
/* Takes @outcome, of which NULL is -ENOMEM; 0. */
int container_set_outcome(struct container *container, char *outcome);
bool is_ranked(const struct container *container);

/* Frees what the list holds and empties it. */
void container_list_free(struct container_list *list);

#endif

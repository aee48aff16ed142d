/* SPDX-License-Identifier: GPL-2.0 */
/* Joins the kernel's two readings with the engine's list, by cgroup id. Pure: no I/O, no clock. */
#ifndef CMGR_OBSERVE_MERGE_H
#define CMGR_OBSERVE_MERGE_H

#include "container.h"
#include "observe/cgroup_cpu.h"
#include "observe/sysinfo.h"

/* What the kernel said at one moment. */
struct readings {
	struct snapshot snapshot;
	struct cpu_reading cpu;
};

/* A container that died inside the window. */
struct gone {
	uint64_t cgroup_id;
	uint64_t ran_ns;
	uint64_t waited_ns;
	char id[CONTAINER_ID_DIGITS + 1];
	char *name;	    /* NULL: it was never seen alive */
	char *image;	    /* likewise */
	char *path;	    /* of its cgroup */
	bool removed;	    /* by us; the others died by themselves */
	uint64_t freed_kib; /* what its cgroup was charged in the last reading that has it */
};

/* What became of a decision whose outcome an earlier record told as "pending". */
struct late {
	uint64_t seq; /* of that record */
	char id[CONTAINER_ID_DIGITS + 1];
	char *name;
	enum action decision;
	char *outcome;
};

/* The host between two readings. */
struct window {
	uint64_t length_ns;
	uint64_t end_unix_ns; /* the caller's; CLOCK_REALTIME */
	unsigned int cpus;    /* the caller's */
	bool has_reading;     /* the caller's: false when there is none at its end */
	struct memory memory; /* at the end */
	struct container_list containers;
	struct gone *gone;
	size_t gone_count;
	struct late *late; /* the caller's */
	size_t late_count;
	char *distrust; /* why nothing may be removed on these readings; NULL: nothing speaks against it */
};

/*
 * Fills the usage of @window->containers (identities are the engine's, taken before @now) and the
 * rest of @window but those gone. @before: the readings at the beginning of the window. @between: those
 * that were taken inside it, or NULL. 0 or -ENOMEM.
 */
int merge(const struct readings *before, const struct readings *between, const struct readings *now,
	  struct window *window);

/*
 * Adds to @window->gone the containers that died since the @last readings, those that were born since
 * then among them, each of which is reported so once. @known: the containers of the last cycle, who give
 * them their names. 0 or -ENOMEM.
 */
int merge_gone(const struct readings *last, const struct readings *now,
	       const struct container_list *known, struct window *window);

/*
 * Whether a row of @now belongs to a cgroup that was dead already at @before and has not been charged
 * since: all of it has been reported.
 */
bool is_dead_and_reported(const struct readings *before, const struct readings *now,
			  const struct cgroup_cpu_row *row);

void readings_free(struct readings *readings);
void window_free(struct window *window);

/* The container with this full ID in a list, or NULL. */
struct container *find_container(const struct container_list *list, const char *id);

#endif

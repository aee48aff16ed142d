/* SPDX-License-Identifier: GPL-2.0 */
/* Random hosts: what the engine and the kernel say of them, and what is true of each container. */
#ifndef CMGR_PROPERTY_HOST_H
#define CMGR_PROPERTY_HOST_H

#include "observe/window.h"

#define HOST_CONTAINERS 40
#define HOST_CPUS	2
#define HOST_KIB	1000000ULL
#define WINDOW_NS	10000000000ULL

/* What can be special about a container. */
enum trait {
	LABELLED_PROTECT = 1 << 0,
	NAMED_PROTECT = 1 << 1,
	LOG_SERVER = 1 << 2,
	OWN = 1 << 3,
	UNMANAGED = 1 << 4,
	PAUSED = 1 << 5,
	NOT_IN_READING = 1 << 6,
	NO_PROCESS = 1 << 7,
	TWO_CGROUPS = 1 << 8,
	BACKWARDS = 1 << 9,	/* a counter of BPF's went down */
	DISAGREE = 1 << 10,	/* the module says 5 s more than BPF */
	TOO_LARGE = 1 << 11,	/* more memory than the host has */
	UNIDENTIFIED = 1 << 12, /* the engine does not tell when it started */
	NEW = 1 << 13,		/* not there when the window began */
	RESTARTED = 1 << 14,	/* was there, in another cgroup */
	TRAITS = 15,
};

/* What can be wrong with a reading as a whole. */
enum trouble {
	LOST = 1 << 0,
	TIMES = 1 << 1, /* taken in an impossible order */
	NO_PATH = 1 << 2,
	TOO_MUCH = 1 << 3, /* more CPU time than the host has */
	NO_READING = 1 << 4,
	PARTIAL = 1 << 5, /* the module's text is cut */
	TROUBLES = 6,
};

enum nested { NOT_NESTED, NESTED, NESTED_DEAD /* in the window */ };

struct made {
	char id[CONTAINER_ID_DIGITS + 1];
	char name[16];
	unsigned int traits;
	enum nested nested;
	uint64_t cgroup_id; /* the nested one is the next, and so on */
	uint64_t pid;
	uint64_t age_ns;
	uint64_t own_ran_ns, nested_ran_ns;
	uint64_t waited_ns;
	uint64_t own_anon_kib, nested_anon_kib;
};

struct host {
	uint64_t random;
	struct policy policy;
	char *protect[HOST_CONTAINERS];
	struct made made[HOST_CONTAINERS];
	size_t count;
	unsigned int troubles;
};

uint64_t host_random(struct host *host, uint64_t below);
void host_make(struct host *host, uint64_t seed);

/* One that consumes more than any other by every key, and nothing special. */
void host_add_highest(struct host *host);
/* The engine's list and the module's cgroups in another order. */
void host_shuffle(struct host *host);

/*
 * The window that the daemon makes of it, not decided yet. Returns the readings that it began with,
 * too, in @governor; window_free(), window_forget()
 */
void host_see(struct host *host, struct options *options, struct governor *governor,
	      struct window *window);

#endif

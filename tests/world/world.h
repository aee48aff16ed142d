/* SPDX-License-Identifier: GPL-2.0 */
/* A host that is made up: containers are born, work, restart and die, and readings fail at times. */
#ifndef CMGR_WORLD_H
#define CMGR_WORLD_H

#include "observe/window.h"

#define WORLD_CONTAINERS 128

struct world_container {
	bool alive;
	char id[CONTAINER_ID_DIGITS + 1];
	uint64_t number;
	uint64_t cgroup_id;
	uint64_t nested_id; /* 0: none */
	uint64_t brief_id;  /* of a nested one that was born and died in this step; 0: none */
	uint64_t brief_ns;  /* that it ran */
	uint64_t pid;
	uint64_t start_ns;
	uint64_t cpu_ns;
	uint64_t waited_ns;
	uint64_t anon_kib;
	unsigned int busy_percent; /* of a CPU */
	bool managed;
	bool labelled_protect;
	bool running;
};

struct world {
	uint64_t random;
	uint64_t now_ns;
	uint64_t numbers; /* given to containers, cgroups and processes so far */
	uint64_t lost;
	size_t host_processes;
	/* A container that was born and died in this step; cgroup_id 0: none */
	struct world_container brief;
	struct world_container containers[WORLD_CONTAINERS];
	/* In how many of 100 cycles, or containers and cycles */
	unsigned int failures, births, deaths, restarts;
};

/* From 0 to @below - 1; splitmix64 */
uint64_t world_random(struct world *world, uint64_t below);

void world_init(struct world *world, uint64_t seed, size_t containers);

/* Lets 10 s pass. */
void world_step(struct world *world);

/* What a cycle is told of it; observation_free() */
void world_see(struct world *world, struct observation *ret);

/* Runs @cycles and records them. @act: whether what is decided is carried out. 0 or -errno */
int world_record(struct world *world, const char *path, const struct options *options,
		 unsigned int cycles, bool act);

#endif

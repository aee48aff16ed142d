/* SPDX-License-Identifier: GPL-2.0 */
/* What the stages of a cycle work with, and what they remember for the next one. */
#ifndef CMGR_GOVERNOR_H
#define CMGR_GOVERNOR_H

#include "engine/docker.h"
#include "observe/merge.h"
#include "options.h"
#include "report/record.h"
#include "report/ship.h"
#include "report/spool.h"

struct recording;

struct governor {
	const struct options *options;
	struct docker *docker;
	struct cgroup_cpu_source *cpu_source;
	struct spool spool;
	struct ship ship; /* spool and ship are unused with --no-log */
	struct run run;
	struct recording *recording; /* NULL without --record */
	char *sysinfo_json;	     /* path */
	bool scheduled;		     /* the cron entry is there */

	/* observe/ */
	struct readings latest;	     /* the beginning of the next window */
	struct readings earlier;     /* the reading before it; empty at first */
	struct container_list known; /* the containers of the last cycle */
	uint64_t cycle_start_ns;
	uint64_t snapshot_us; /* what the last readings took */

	/* report/ */
	bool stdout_failed; /* and that has been told */
	uint64_t seq;
	uint64_t self_cpu_ns; /* at the last record */
	struct bpf_cost self_bpf;
};

#endif

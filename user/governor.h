/* SPDX-License-Identifier: GPL-2.0 */
/* What the stages of a cycle work with, and what they remember for the next one. */
#ifndef CMGR_GOVERNOR_H
#define CMGR_GOVERNOR_H

#include "engine/docker.h"
#include "journal.h"
#include "observe/merge.h"
#include "options.h"
#include "report/outbox.h"
#include "report/record.h"

struct reaper;
struct recording;

struct governor {
	const struct options *options;
	struct journal *journal;
	struct docker *docker;
	struct reaper *reaper;
	struct cgroup_cpu_source *cpu_source;
	struct outbox *outbox; /* NULL with --no-log */
	const char *token;     /* of the log server, or NULL */
	struct run run;
	struct recording *recording; /* NULL without --record */
	char *sysinfo_json;	     /* path */
	bool scheduled;		     /* the cron entry is there */

	uint64_t cycle_start_ns; /* on CLOCK_BOOTTIME */
	uint64_t missed_ticks;	 /* since the last record */

	/* observe/ */
	struct readings latest;	     /* the beginning of the next window */
	struct readings earlier;     /* the reading before it; empty at first */
	struct container_list known; /* the containers of the last cycle */
	uint64_t snapshot_us;	     /* what the last readings took */

	/* report/ */
	bool stdout_failed; /* and that has been told */
	uint64_t seq;
	uint64_t self_cpu_ns; /* at the last record */
	struct bpf_cost self_bpf;
};

/* How long a cycle may take, in percent of the interval: so the next one begins in time. */
#define OBSERVE_PERCENT 30 /* until the engine has told what there is */
#define REAP_PERCENT	80 /* until nothing more is asked of it */

/* When this cycle has used up @percent of the interval. */
static inline uint64_t governor_deadline_ns(const struct governor *governor, unsigned int percent)
{
	return governor->cycle_start_ns +
	       governor->options->interval_s * (1000000000ULL / 100) * percent;
}

/* Whether no other cycle of the run follows the one under way. @final: it is the last pass. */
static inline bool governor_is_last(const struct governor *governor, bool final)
{
	return final || governor->seq + 1 == governor->options->cycles;
}

#endif

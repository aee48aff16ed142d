/* SPDX-License-Identifier: GPL-2.0 */
/* The record of a cycle as JSON: what pygraph stores and --json prints. */
#ifndef CMGR_REPORT_RECORD_H
#define CMGR_REPORT_RECORD_H

#include "observe/merge.h"

#define UUID_LENGTH 36

/* pygraph takes no longer ones: in bytes here, in characters there. */
#define RECORD_NAME_LIMIT    255
#define RECORD_IMAGE_LIMIT   512
#define RECORD_MESSAGE_LIMIT 4096

#define RECORD_TIME_SIZE sizeof("2026-11-23T20:04:05.678Z")

/* Which run of the daemon: the same in all its records. */
struct run {
	char boot_id[UUID_LENGTH + 1];
	char run_id[UUID_LENGTH + 1];
	char *host;
};

/* What the daemon itself cost in the window. */
struct self_cost {
	uint64_t cpu_ns;
	uint64_t rss_kib;     /* now */
	uint64_t snapshot_us; /* to take the readings */
	uint64_t cycle_us;    /* observe to act */
	bool has_bpf;	      /* the kernel kept statistics (kernel.bpf_stats_enabled) */
	uint64_t bpf_ns;
	uint64_t bpf_runs;
};

struct record {
	const struct run *run;
	uint64_t seq; /* from 1 */
	bool final;   /* the last pass */
	bool last;    /* no other of this run follows */
	uint64_t missed_ticks;
	uint64_t dropped;
	const struct window *window;
	const struct self_cost *self; /* NULL: not known */
};

/*
 * One line of JSON without its newline, to be freed, or NULL without memory. "time" is the end of the
 * window. Shares, scores and margins are fractions of the host; counters are differences over the
 * window.
 *
 * A container's "outcome" tells what became of its decision: "kept" ("kept: …" when it was no longer the
 * one that was measured), "removed", "stopped", "paused", "gone" (before we came to it), "failed: …",
 * "dry-run"; "unknown: …" when the engine was asked and its answer was lost, or did not come in a minute;
 * "unknown" when the daemon ended (was killed) after the record was written down and before
 * it could tell what came of its decisions; or "pending" when the engine was asked and had not answered
 * at the end of the cycle. What became of that is in "late" of a later record, once: [{seq (of the record
 * that told it as pending), id, name, decision, outcome}]. Meanwhile the container is "unsure" and kept.
 *
 * "final" tells that it is the last pass, whose window begins one reading earlier; "last", that it is the
 * last record of its run: that pass, or the last of a fixed number of cycles.
 *
 * "missed_ticks" counts the cycles that were left out since the last record, because the machine slept or was
 * stopped, or the one before took so long: they are never caught up.
 *
 * "dropped" is how many records of this run or an earlier one the daemon has had to drop, since it was
 * started, because its spool was full: they are in no log.
 *
 * "freed_kib" of one that is gone is the memory that it was charged in the last reading that has it.
 */
char *record_json(const struct record *record);

/* "2026-11-23T20:04:05.678Z", into RECORD_TIME_SIZE bytes. */
void record_time(uint64_t unix_time_ns, char *ret);

#endif

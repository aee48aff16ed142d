/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Recordings: what each cycle was told from outside and what it decided, for "replay" to decide again.
 * Version 1 of the format:
 *
 * Text, one record a line, fields and escapes as in kmod/sysinfo.h. Blocks of lines, each written at
 * once and ended by
 *
 *   end <lines of the block before this one> <FNV-1a of their bytes, 16 hexadecimal digits>
 *
 * What follows the last "end" is what a killed daemon could not finish. A run begins with the block
 *
 *   cmgr-recording 1
 *   run <boot_id> <run_id> <host>
 *   policy <keep_high> <keep_low> <rank> <label|all> <min_age_ns> <action> <interval_s>
 *   own <ID of the daemon's own container, or -> <its cgroup id, or 0>
 *   protect <name>          for each --protect
 *   READING
 *
 * and has a block for each cycle:
 *
 *   cycle <seq> <0, or 1: the last pass> <end of the window, ns since 1970> <cpus>
 *   no-list <why>           when the engine gave no list
 *   container <number> <ID> <flags> <started_at or -> <unsure or -> <name> <image or ->
 *   no-reading <why>        or READING
 *   distrust <why>          when nothing could be removed
 *   decided <number> <class> <decision> <rank or 0> <score_ppb> <margin_ppb or -> <acted> <outcome>
 *
 * READING, as the module's and BPF's maps give it (counters are cumulative):
 *
 *   module <boottime_ns> <total_kib> <free_kib> <available_kib>
 *   cgroup <id> <usage_kib> <anon_kib> <file_kib> <path>
 *   process <pid> <cgroup_id> <start_ns> <cpu_ns> <vsz_kib> <rss_kib> <comm> <cmdline>
 *   bpf <boottime_ns> <missed> <lost, by each cause of bpf/cgroup_cpu.h>
 *   cpu <cgroup_id> <ran_ns> <waited_ns> <switches>
 *   ended <cgroup_id> <path>    for each cgroup removed since the reading before, in the map's order; its
 *                               CPU time is in its "cpu". Older recordings have none
 *
 * Rows of "container", "cgroup", "process" and "cpu" have their key in the first field, in ascending
 * order. A row that is as it was in the run's last block is not written; one that is there no more is
 * "cgroup 4242 gone". A path, comm or cmdline that has not changed is "=" (a text that is just that is
 * "\075"). A container's number is given when it is first listed, and its flags are some of the
 * letters r (running), m (managed), p (labelled protect), l (log server), in this order, or "-".
 * There is one "decided" for each container listed. An image of "-" is one without a name.
 */
#ifndef CMGR_REPORT_RECORDING_H
#define CMGR_REPORT_RECORDING_H

#include "observe/window.h"

#define RECORDING_NAME	  "cmgr-recording"
#define RECORDING_VERSION 1
/* A day of a large host: "replay" reads it whole, and no more is recorded in one file. */
#define RECORDING_LIMIT (2LL << 30)

struct recording;

/*
 * Opens the file to append to, or makes it, for its owner alone. What a killed daemon left unfinished
 * at its end is cut off, with a line logged. 0 or -errno, with a line logged; it is no link and nobody
 * else's.
 */
int recording_open(const char *path, struct recording **ret);

/* All of these do nothing without @recording. When the file cannot be written one line is logged, and
 * nothing more is recorded. */

/* The run begins with these readings. */
void recording_begin(struct recording *recording, const struct options *options,
		     const struct run *run, const struct readings *first);

/* What cycle @seq was told; @last: the readings before. */
void recording_note(struct recording *recording, uint64_t seq, const struct readings *last,
		    const struct observation *seen);

/* What was decided then and came of it: writes the block. */
void recording_commit(struct recording *recording, const struct window *window);

void recording_close(struct recording *recording);

/* How much of a recording's @text are whole blocks. */
size_t recording_whole(const char *text, size_t size);

/* The checksum of a block's bytes. */
uint64_t recording_checksum(const char *text, size_t size);

#endif

// SPDX-License-Identifier: GPL-2.0
#include "report/report.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "leave.h"
#include "report/console.h"
#include "report/export.h"
#include "report/recording.h"
#include "util.h"

#define END_NS (5 * NS_PER_S) /* for the records that are left, and for the final graphs */

/* After the signal that ends the run, whatever the log server does. */
#define LEAVE_SHIP_NS	(12 * NS_PER_S)
#define LEAVE_FINISH_NS (14 * NS_PER_S)
#define LEAST_NS	(1 * NS_PER_S)

static uint64_t timeval_ns(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * NS_PER_S + (uint64_t)time->tv_usec * NS_PER_US;
}

static uint64_t own_cpu_ns(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return timeval_ns(&usage.ru_utime) + timeval_ns(&usage.ru_stime);
}

/* /proc/self/statm: 2104 1321 1100 12 0 311 0, in pages; the second is resident. */
static uint64_t own_rss_kib(void)
{
	_cleanup_free_ char *text = NULL;
	unsigned long long pages;
	size_t size;

	if (read_file("/proc/self/statm", 4096, &text, &size) ||
	    sscanf(text, "%*u %llu", &pages) != 1)
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

/* Since the last record that is complete: this is one, or what is known before it is. */
static struct self_cost own_cost(struct governor *governor, bool complete)
{
	uint64_t cpu_ns = own_cpu_ns();
	struct self_cost cost = {
		.cpu_ns = cpu_ns - governor->self_cpu_ns,
		.rss_kib = own_rss_kib(),
		.snapshot_us = governor->snapshot_us,
		.cycle_us = (boottime_ns() - governor->cycle_start_ns) / NS_PER_US,
	};
	struct bpf_cost bpf;

	if (complete)
		governor->self_cpu_ns = cpu_ns;
	/* Each reading runs a program: when none was counted, the statistics are off. */
	if (cgroup_cpu_cost(governor->cpu_source, &bpf) || bpf.runs == governor->self_bpf.runs)
		return cost;
	cost.has_bpf = true;
	cost.bpf_ns = bpf.run_ns - governor->self_bpf.run_ns;
	cost.bpf_runs = bpf.runs - governor->self_bpf.runs;
	if (complete)
		governor->self_bpf = bpf;
	return cost;
}

/* True when there is a reading and it is saved. */
static bool save_reading(const struct governor *governor, const struct window *window)
{
	_cleanup_free_ char *json = NULL;
	int err;

	if (!window->has_reading)
		return false;
	json = export_json(&governor->latest.snapshot, window->cpus);
	err = json ? write_file(governor->sysinfo_json, json, 0600) : -ENOMEM;
	if (err)
		log_line("cannot write %s: %s", governor->sysinfo_json, strerror(-err));
	return !err;
}

static void print_report(struct governor *governor, const struct window *window, const char *json,
			 bool saved)
{
	if (governor->options->json)
		puts(json);
	else
		console_report(stdout, window, saved ? governor->sysinfo_json : NULL);
	if (fflush(stdout) && !governor->stdout_failed) {
		governor->stdout_failed = true;
		log_line("cannot write the report to stdout: %s", strerror(errno));
	}
}

static char *make_record(struct governor *governor, bool final, const struct window *window,
			 bool complete)
{
	const struct self_cost self = own_cost(governor, complete);
	const struct record record = {
		.run = &governor->run,
		.seq = governor->seq + 1,
		.final = final,
		.last = governor_is_last(governor, final),
		.missed_ticks = governor->missed_ticks,
		.dropped = outbox_dropped(governor->outbox),
		.window = window,
		.self = &self,
	};

	return record_json(&record);
}

int report_decision(struct governor *governor, bool final, const struct window *window)
{
	_cleanup_free_ char *json = NULL;

	if (!governor->outbox)
		return 0;
	json = make_record(governor, final, window, false);
	if (!json)
		return -ENOMEM;
	outbox_decide(governor->outbox, governor->seq + 1, json);
	return 0;
}

int report(struct governor *governor, bool final, const struct window *window)
{
	_cleanup_free_ char *json = NULL;

	recording_commit(governor->recording, window);
	json = make_record(governor, final, window, true);
	governor->missed_ticks = 0;
	governor->seq++;
	if (!json)
		return -ENOMEM;
	outbox_complete(governor->outbox, governor->seq, json);
	print_report(governor, window, json, save_reading(governor, window));
	return 0;
}

/* END_NS from now, or what is left of @leave_ns after the signal, but for a last try. */
static uint64_t end_of(uint64_t leave_ns)
{
	uint64_t now_ns = boottime_ns();
	uint64_t end_ns = leave_deadline_ns(leave_ns, now_ns + END_NS);

	return end_ns > now_ns + LEAST_NS ? end_ns : now_ns + LEAST_NS;
}

void report_finish(struct governor *governor)
{
	outbox_end(governor->outbox, end_of(LEAVE_SHIP_NS));
	if (governor->seq)
		outbox_finish(governor->outbox, &governor->run, end_of(LEAVE_FINISH_NS));
}

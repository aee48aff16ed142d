// SPDX-License-Identifier: GPL-2.0
#include "report/report.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "act/reap.h"
#include "leave.h"
#include "report/console.h"
#include "report/export.h"
#include "report/recording.h"
#include "util.h"

#define SHIP_BUDGET_MS	 2000
#define FINISH_BUDGET_MS 10000

/* After the signal that ends the run, whatever the log server does. */
#define LEAVE_SHIP_NS	(12 * NS_PER_S)
#define LEAVE_FINISH_NS (14 * NS_PER_S)
#define LEAST_MS	1000

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

static struct self_cost own_cost(struct governor *governor)
{
	uint64_t cpu_ns = own_cpu_ns();
	struct self_cost cost = {
		.cpu_ns = cpu_ns - governor->self_cpu_ns,
		.rss_kib = own_rss_kib(),
		.snapshot_us = governor->snapshot_us,
		.cycle_us = (boottime_ns() - governor->cycle_start_ns) / NS_PER_US,
	};
	struct bpf_cost bpf;

	governor->self_cpu_ns = cpu_ns;
	/* Each reading runs a program: when none was counted, the statistics are off. */
	if (cgroup_cpu_cost(governor->cpu_source, &bpf) || bpf.runs == governor->self_bpf.runs)
		return cost;
	cost.has_bpf = true;
	cost.bpf_ns = bpf.run_ns - governor->self_bpf.run_ns;
	cost.bpf_runs = bpf.runs - governor->self_bpf.runs;
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

/* A record that finds no room on the disk may still reach the server from memory. */
static void spool_record(struct governor *governor, const char *json)
{
	unsigned long long seq = governor->seq;
	int err = spool_append(&governor->spool, json);

	if (!err)
		return;
	log_line("cannot keep record %llu in %s: %s", seq, governor->spool.dir, strerror(-err));
	if (ship_record(&governor->ship, json))
		log_line("record %llu is lost", seq);
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

/* A run that is to end sends its records once, at the end. */
static uint64_t ship_budget_ms(const struct governor *governor)
{
	uint64_t now_ns = boottime_ns(), end_ns = governor_deadline_ns(governor, REPORT_PERCENT);
	uint64_t left_ms = end_ns > now_ns ? (end_ns - now_ns) / NS_PER_MS : 0;

	if (leave_asked_ns())
		return 0;
	return left_ms < SHIP_BUDGET_MS ? left_ms : SHIP_BUDGET_MS;
}

/* @budget_ms, or what is left of @leave_ns after the signal, but for a last try. */
static uint64_t leave_budget_ms(uint64_t leave_ns, uint64_t budget_ms)
{
	uint64_t now_ns = boottime_ns();
	uint64_t end_ns = leave_deadline_ns(leave_ns, now_ns + budget_ms * NS_PER_MS);
	uint64_t left_ms = end_ns > now_ns ? (end_ns - now_ns) / NS_PER_MS : 0;

	return left_ms > LEAST_MS ? left_ms : LEAST_MS;
}

int report(struct governor *governor, bool final, const struct window *window)
{
	struct record record = {
		.run = &governor->run,
		.seq = ++governor->seq,
		.final = final,
		.missed_ticks = governor->missed_ticks,
		.window = window,
	};
	const struct self_cost self = own_cost(governor);
	_cleanup_free_ char *json = NULL;

	governor->missed_ticks = 0;
	reap_tell(governor->reaper, window);
	recording_commit(governor->recording, window);
	record.self = &self;
	json = record_json(&record);
	if (!json)
		return -ENOMEM;
	if (!governor->options->no_log)
		spool_record(governor, json);
	print_report(governor, window, json, save_reading(governor, window));
	if (!governor->options->no_log)
		ship_pending(&governor->ship, &governor->spool, ship_budget_ms(governor));
	return 0;
}

void report_finish(struct governor *governor)
{
	if (governor->options->no_log)
		return;
	ship_pending(&governor->ship, &governor->spool,
		     leave_budget_ms(LEAVE_SHIP_NS, FINISH_BUDGET_MS));
	governor->ship.timeout_ms =
		(long)leave_budget_ms(LEAVE_FINISH_NS, (uint64_t)governor->ship.timeout_ms);
	if (governor->seq && !ship_finish(&governor->ship, &governor->run))
		log_line("final graphs: %s/", governor->ship.url);
}

// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe/merge.h"
#include "observe/window.h"
#include "unit.h"
#include "util.h"

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define MS   NS_PER_MS

static void read_text(struct snapshot *snapshot, const char *text)
{
	char *copy = strdup(text);

	assert_int_equal(snapshot_parse(copy, strlen(copy), snapshot), 0);
}

static void add_cpu(struct cpu_reading *cpu, uint64_t id, uint64_t ran_ms, uint64_t waited_ms)
{
	struct cgroup_cpu_row row = {
		.cgroup_id = id,
		.total = {.ran_ns = ran_ms * MS, .waited_ns = waited_ms * MS},
	};

	assert_int_equal(grow_array((void **)&cpu->rows, cpu->count, sizeof(row)), 0);
	cpu->rows[cpu->count++] = row;
}

static void add_ended(struct cpu_reading *cpu, uint64_t id, const char *path)
{
	struct ended_cgroup ended = {.cgroup_id = id};

	snprintf(ended.path, sizeof(ended.path), "%s", path);
	assert_int_equal(grow_array((void **)&cpu->ended, cpu->ended_count, sizeof(ended)), 0);
	cpu->ended[cpu->ended_count++] = ended;
}

static void add_identity(struct container_list *list, const char *id, const char *name)
{
	struct container c = {.name = strdup(name), .image = strdup("image"), .running = true};

	memcpy(c.id, id, CONTAINER_ID_DIGITS);
	assert_int_equal(grow_array((void **)&list->items, list->count, sizeof(c)), 0);
	list->items[list->count++] = c;
}

struct fixture {
	struct readings before, now;
	struct container_list known;
	struct window window;
};

/* Container A with a nested cgroup, and nothing else, over 10 s. */
static void set_up(struct fixture *f)
{
	*f = (struct fixture){.window.cpus = 2};
	read_text(&f->before.snapshot, "sysinfo 1 100000000000\nmemory 1000 500 600\n"
				       "cgroup 10 60 40 4 /docker/" ID_A "\n"
				       "cgroup 11 20 10 1 /docker/" ID_A "/inner\n"
				       "process 7 10 50000000000 1000000000 1 1 a -\nend 2 1\n");
	read_text(&f->now.snapshot, "sysinfo 1 110000000000\nmemory 1000 400 500\n"
				    "cgroup 10 64 44 5 /docker/" ID_A "\n"
				    "cgroup 11 22 11 2 /docker/" ID_A "/inner\n"
				    "process 7 10 50000000000 3000000000 1 1 a -\n"
				    "process 8 11 90000000000 1000 1 1 b -\nend 2 2\n");
	f->before.cpu.boottime_ns = 100 * NS_PER_S;
	f->now.cpu.boottime_ns = 110 * NS_PER_S;
	add_cpu(&f->before.cpu, 10, 1000, 100);
	add_cpu(&f->now.cpu, 10, 3000, 300);
	add_cpu(&f->now.cpu, 11, 500, 5);
	add_identity(&f->window.containers, ID_A, "A");
}

static void tear_down(struct fixture *f)
{
	readings_free(&f->before);
	readings_free(&f->now);
	container_list_free(&f->known);
	window_free(&f->window);
}

static const struct container *run(struct fixture *f)
{
	assert_int_equal(merge(&f->before, NULL, &f->now, &f->window), 0);
	assert_int_equal(merge_gone(&f->before, &f->now, &f->known, &f->window), 0);
	return &f->window.containers.items[0];
}

static void a_container_is_its_cgroup_and_all_below(void **state)
{
	struct fixture f;
	const struct container *a;

	(void)state;
	set_up(&f);
	a = run(&f);
	assert_null(a->unsure);
	assert_null(f.window.distrust);
	assert_int_equal(f.window.length_ns, 10 * NS_PER_S);
	assert_int_equal(f.window.memory.free_kib, 400);
	assert_int_equal(a->cgroup_id, 10);
	assert_true(a->full_window);
	assert_int_equal(a->ran_ns, 2500 * MS);
	assert_int_equal(a->waited_ns, 205 * MS);
	assert_int_equal(a->usage_kib, 64); /* the kernel has counted what is below */
	assert_int_equal(a->anon_kib, 55);
	assert_int_equal(a->file_kib, 7);
	assert_int_equal(a->start_ns, 50 * NS_PER_S); /* its oldest process */
	assert_int_equal(a->age_ns, 60 * NS_PER_S);
	tear_down(&f);
}

static void what_died_below_a_container_counts(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	snapshot_free(&f.now.snapshot);
	read_text(&f.now.snapshot, "sysinfo 1 110000000000\nmemory 1000 400 500\n"
				   "cgroup 10 64 44 5 /docker/" ID_A "\n"
				   "process 7 10 50000000000 3000000000 1 1 a -\nend 1 1\n");
	f.now.cpu.rows[1].total.ran_ns = 8000 * MS;
	assert_int_equal(run(&f)->ran_ns, 10000 * MS);
	assert_int_equal(f.window.gone_count, 0);
	tear_down(&f);
}

static void a_process_born_during_the_reading_has_no_age(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	f.now.snapshot.processes[0].start_ns = 110 * NS_PER_S + 5;
	f.now.snapshot.processes[1].start_ns = 110 * NS_PER_S + 9;
	assert_int_equal(run(&f)->age_ns, 0);
	tear_down(&f);
}

static void a_new_cgroup_is_no_full_window(void **state)
{
	struct fixture f;
	const struct container *a;

	(void)state;
	set_up(&f);
	snapshot_free(&f.before.snapshot);
	read_text(&f.before.snapshot, "sysinfo 1 100000000000\nmemory 1000 500 600\n"
				      "cgroup 9 60 40 4 /docker/" ID_A "\nend 1 0\n");
	a = run(&f);
	assert_false(a->full_window);
	assert_null(a->unsure);
	/* The cgroup before the restart is another object, and gone. */
	assert_int_equal(f.window.gone_count, 1);
	assert_int_equal(f.window.gone[0].cgroup_id, 9);
	tear_down(&f);
}

static void what_is_not_in_the_reading_is_unsure(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	add_identity(&f.window.containers, ID_B, "B");
	run(&f);
	assert_string_equal(f.window.containers.items[1].unsure,
			    "its cgroup is not in the kernel's reading");
	tear_down(&f);
}

static void a_second_cgroup_with_the_same_id_is_unsure(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	snapshot_free(&f.now.snapshot);
	read_text(&f.now.snapshot, "sysinfo 1 110000000000\nmemory 1000 400 500\n"
				   "cgroup 10 64 44 5 /docker/" ID_A "\n"
				   "cgroup 12 64 44 5 /evil/docker-" ID_A ".scope\n"
				   "process 7 10 50000000000 3000000000 1 1 a -\nend 2 1\n");
	assert_string_equal(run(&f)->unsure, "two cgroups carry its ID");
	tear_down(&f);
}

static void a_cgroup_inside_another_container_names_nobody(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	add_identity(&f.window.containers, ID_B, "B");
	snapshot_free(&f.now.snapshot);
	read_text(&f.now.snapshot, "sysinfo 1 110000000000\nmemory 1000 400 500\n"
				   "cgroup 10 64 44 5 /docker/" ID_A "\n"
				   "cgroup 12 8 8 0 /docker/" ID_A "/docker/" ID_B "\n"
				   "process 7 10 50000000000 3000000000 1 1 a -\nend 2 1\n");
	assert_int_equal(run(&f)->anon_kib, 52);
	assert_non_null(f.window.containers.items[1].unsure);
	tear_down(&f);
}

/* On many CPUs too: the tolerance follows what is compared. */
static void contradicting_witnesses_are_unsure(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	f.window.cpus = 64;
	f.now.cpu.rows[0].total.ran_ns = 1100 * MS; /* the module saw 2,000 ms, BPF 600 */
	assert_string_equal(run(&f)->unsure, "the module and BPF disagree about its CPU time");
	tear_down(&f);
}

/* What ran between the module's reading and BPF's, when the window began, only one of them has. */
static void witnesses_may_differ_within_the_tolerance(void **state)
{
	static const struct {
		uint64_t lag_ms, bpf_ms;
		bool agree;
	} rows[] = {
		{0, 1940, true},  /* 2,000 ms by the module, less 2 % and 2 ticks of 10 ms */
		{0, 1939, false}, /* one more is too much */
		{500, 940, true}, /* and 500 ms on each of 2 CPUs */
		{500, 939, false}, {0, 9000, true}, /* BPF has the dead too */
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fixture f;

		set_up(&f);
		snapshot_free(&f.now.snapshot);
		read_text(&f.now.snapshot,
			  "sysinfo 1 110000000000\nmemory 1000 400 500\n"
			  "cgroup 10 64 44 5 /docker/" ID_A "\n"
			  "process 7 10 50000000000 3000000000 1 1 a -\nend 1 1\n");
		f.now.cpu.count = 1;
		f.before.cpu.boottime_ns += rows[i].lag_ms * MS;
		f.now.cpu.rows[0].total.ran_ns = (1000 + rows[i].bpf_ms) * MS;
		assert_int_equal(!run(&f)->unsure, rows[i].agree);
		tear_down(&f);
	}
}

static void more_than_the_host_has_is_unsure(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	f.now.cpu.rows[0].total.ran_ns = 25000 * MS; /* 24 s in 10 s on 2 CPUs */
	assert_string_equal(run(&f)->unsure, "it ran longer than the host's CPUs could");
	assert_string_equal(f.window.distrust, "BPF recorded more CPU time than the host has");
	tear_down(&f);

	set_up(&f);
	f.now.snapshot.cgroups[0].anon_kib = 1001;
	assert_string_equal(run(&f)->unsure, "it holds more memory than the host has");
	tear_down(&f);
}

/* Together too: each of these alone would be possible. */
static void all_together_cannot_run_longer_than_the_host(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	add_cpu(&f.now.cpu, 20, 9000, 0);
	add_cpu(&f.now.cpu, 30, 9000, 0);
	assert_null(run(&f)->unsure);
	assert_string_equal(f.window.distrust, "BPF recorded more CPU time than the host has");
	tear_down(&f);
}

static void readings_of_another_time_are_distrusted(void **state)
{
	static const struct {
		uint64_t module_s[2], cpu_s[2];
		const char *why;
	} rows[] = {
		{{100, 110}, {100, 110}, NULL},
		{{100, 110}, {101, 112}, NULL},
		{{110, 110}, {110, 120}, "the module's reading is not newer than the last one"},
		{{110, 100}, {110, 120}, "the module's reading is not newer than the last one"},
		{{100, 110}, {110, 110}, "the reading of BPF is not newer than the last one"},
		{{100, 110}, {120, 115}, "the reading of BPF is not newer than the last one"},
		{{100, 101},
		 {110, 120},
		 "the readings of the module and of BPF are not of the same time"},
		{{100, 121},
		 {110, 120},
		 "the readings of the module and of BPF are not of the same time"},
		{{105, 110},
		 {104, 120},
		 "the readings of the module and of BPF are not of the same time"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fixture f;

		set_up(&f);
		f.before.snapshot.boottime_ns = rows[i].module_s[0] * NS_PER_S;
		f.now.snapshot.boottime_ns = rows[i].module_s[1] * NS_PER_S;
		f.before.cpu.boottime_ns = rows[i].cpu_s[0] * NS_PER_S;
		f.now.cpu.boottime_ns = rows[i].cpu_s[1] * NS_PER_S;
		run(&f);
		if (rows[i].why)
			assert_string_equal(f.window.distrust, rows[i].why);
		else
			assert_null(f.window.distrust);
		assert_true(f.window.length_ns <= 20 * NS_PER_S);
		tear_down(&f);
	}
}

static void a_cgroup_without_a_path_is_distrusted(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	f.now.snapshot.cgroups[1].path = NULL;
	run(&f);
	assert_string_equal(f.window.distrust, "a cgroup in the module's reading has no path");
	tear_down(&f);
}

static void a_counter_that_went_down_is_unsure(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	f.now.cpu.rows[0].total.waited_ns = 99 * MS;
	assert_non_null(run(&f)->unsure);
	tear_down(&f);
}

static void lost_switches_are_distrusted(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	f.before.cpu.lost[LOST_CGROUP] = 5;
	f.now.cpu.lost[LOST_CGROUP] = 8;
	run(&f);
	assert_string_equal(f.window.distrust,
			    "3 context switches did not fit into the map cgroup_cpu");
	tear_down(&f);
}

static void the_gone_are_reported_by_name(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	add_identity(&f.known, ID_B, "B");
	f.known.items[0].acted = true;
	snapshot_free(&f.before.snapshot);
	read_text(&f.before.snapshot, "sysinfo 1 100000000000\nmemory 1000 500 600\n"
				      "cgroup 10 60 40 4 /docker/" ID_A "\n"
				      "cgroup 20 60 40 4 /docker/" ID_B "\n"
				      "cgroup 21 60 40 4 /docker/" ID_B "/inner\n"
				      "cgroup 30 60 40 4 /system.slice/ssh.service\nend 4 0\n");
	add_cpu(&f.before.cpu, 20, 10, 1);
	add_cpu(&f.now.cpu, 20, 70, 3);
	add_cpu(&f.now.cpu, 21, 30, 1);
	run(&f);
	assert_int_equal(f.window.gone_count, 1);
	assert_string_equal(f.window.gone[0].name, "B");
	assert_string_equal(f.window.gone[0].id, ID_B);
	assert_true(f.window.gone[0].removed);
	assert_int_equal(f.window.gone[0].ran_ns, 90 * MS);
	assert_int_equal(f.window.gone[0].waited_ns, 3 * MS);
	assert_int_equal(f.window.gone[0].freed_kib, 60); /* with what is below it */
	tear_down(&f);
}

static void what_lived_and_died_in_the_window_is_gone(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	add_ended(&f.now.cpu, 41, "/docker/" ID_B "/inner"); /* in no order */
	add_ended(&f.now.cpu, 40, "/docker/" ID_B);
	add_ended(&f.now.cpu, 42, "/docker/" ID_B); /* it was restarted */
	add_ended(&f.now.cpu, 43, "/system.slice/cron.service");
	add_cpu(&f.now.cpu, 40, 200, 20);
	add_cpu(&f.now.cpu, 41, 30, 3);
	add_cpu(&f.now.cpu, 42, 4, 0);
	add_cpu(&f.now.cpu, 43, 9, 9);
	run(&f);
	assert_int_equal(f.window.gone_count, 1);
	assert_string_equal(f.window.gone[0].id, ID_B);
	assert_string_equal(f.window.gone[0].path, "/docker/" ID_B);
	assert_int_equal(f.window.gone[0].cgroup_id, 40);
	assert_null(f.window.gone[0].name);
	assert_false(f.window.gone[0].removed);
	assert_int_equal(f.window.gone[0].ran_ns, 234 * MS);
	assert_int_equal(f.window.gone[0].waited_ns, 23 * MS);
	tear_down(&f);
}

static void what_lived_and_died_below_a_container_counts(void **state)
{
	struct fixture f;
	const struct container *a;

	(void)state;
	set_up(&f);
	add_ended(&f.now.cpu, 12, "/docker/" ID_A "/job");
	add_cpu(&f.now.cpu, 12, 1000, 50);
	a = run(&f);
	assert_int_equal(a->ran_ns, 3500 * MS);
	assert_int_equal(a->waited_ns, 255 * MS);
	assert_int_equal(f.window.gone_count, 0);
	tear_down(&f);
}

/* The window of the last pass has a reading inside it, which told the ends before it. */
static void what_lived_and_died_before_a_reading_inside_counts(void **state)
{
	struct readings between = {};
	struct fixture f;

	(void)state;
	set_up(&f);
	add_ended(&between.cpu, 12, "/docker/" ID_A "/job");
	add_ended(&f.now.cpu, 13, "/docker/" ID_A "/job");
	add_cpu(&f.now.cpu, 12, 1000, 50);
	add_cpu(&f.now.cpu, 13, 100, 5);
	assert_int_equal(merge(&f.before, &between, &f.now, &f.window), 0);
	assert_null(f.window.containers.items[0].unsure);
	assert_null(f.window.distrust);
	assert_int_equal(f.window.containers.items[0].ran_ns, 3600 * MS);
	assert_int_equal(f.window.containers.items[0].waited_ns, 260 * MS);
	readings_free(&between);
	tear_down(&f);
}

/* The readings at the beginning, in the middle and at the end, as the daemon remembers and takes them. */
static uint64_t ran_in_window(bool final)
{
	const struct options options = {.interval_s = 10};
	struct governor governor = {.options = &options};
	struct observation seen = {.final = final, .cpus = 2};
	struct fixture f;
	uint64_t ran_ns;

	set_up(&f);
	governor.earlier = f.before;
	read_text(&governor.latest.snapshot,
		  "sysinfo 1 105000000000\nmemory 1000 500 600\n"
		  "cgroup 10 60 40 4 /docker/" ID_A "\n"
		  "cgroup 11 20 10 1 /docker/" ID_A "/inner\n"
		  "process 7 10 50000000000 2000000000 1 1 a -\nend 2 1\n");
	governor.latest.cpu.boottime_ns = 105 * NS_PER_S;
	add_cpu(&governor.latest.cpu, 10, 2000, 100);
	add_cpu(&governor.latest.cpu, 12, 1000, 50);
	add_ended(&governor.latest.cpu, 12, "/docker/" ID_A "/job");
	add_cpu(&f.now.cpu, 12, 1000, 50);
	seen.now = f.now;
	seen.containers = f.window.containers;
	f.before = f.now = (struct readings){};
	f.window.containers = (struct container_list){};
	assert_int_equal(window_build(&governor, &seen, &f.window), 0);
	assert_null(f.window.distrust);
	ran_ns = f.window.containers.items[0].ran_ns;
	tear_down(&f);
	observation_free(&seen);
	window_forget(&governor);
	return ran_ns;
}

static void the_last_pass_has_a_longer_window(void **state)
{
	(void)state;
	assert_int_equal(ran_in_window(false), 1500 * MS);
	assert_int_equal(ran_in_window(true), 3500 * MS);
}

/* One that is in a snapshot at an end of the window counts there, and not once more. */
static void an_end_inside_that_a_snapshot_has_counts_once(void **state)
{
	struct readings between = {};
	struct fixture f;

	(void)state;
	set_up(&f);
	add_ended(&between.cpu, 11, "/docker/" ID_A "/inner");
	assert_int_equal(merge(&f.before, &between, &f.now, &f.window), 0);
	assert_int_equal(f.window.containers.items[0].ran_ns, 2500 * MS);
	readings_free(&between);
	tear_down(&f);
}

static void what_only_has_the_name_of_a_container_does_not_count(void **state)
{
	static const char *const forged[] = {
		"/user/docker/" ID_A "/job",
		"/docker/" ID_A ".scope/job",
		"/user/docker-" ID_A ".scope/job",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(forged); i++) {
		struct readings between = {};
		struct fixture f;

		set_up(&f);
		add_ended(&between.cpu, 12, forged[i]);
		add_ended(&f.now.cpu, 13, forged[i]);
		add_cpu(&f.now.cpu, 12, 1000, 50);
		add_cpu(&f.now.cpu, 13, 1000, 50);
		assert_int_equal(merge(&f.before, &between, &f.now, &f.window), 0);
		assert_int_equal(f.window.containers.items[0].ran_ns, 2500 * MS);
		readings_free(&between);
		tear_down(&f);
	}
}

/* It was there at the beginning of the window, when it made the container unsure. */
static void what_only_had_the_name_of_a_container_does_not_count(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	snapshot_free(&f.before.snapshot);
	read_text(&f.before.snapshot, "sysinfo 1 100000000000\nmemory 1000 500 600\n"
				      "cgroup 10 60 40 4 /docker/" ID_A "\n"
				      "cgroup 11 20 10 1 /docker/" ID_A "/inner\n"
				      "cgroup 12 20 10 1 /user/docker-" ID_A ".scope\n"
				      "cgroup 13 20 10 1 /user/docker-" ID_A ".scope/job\n"
				      "process 7 10 50000000000 1000000000 1 1 a -\nend 4 1\n");
	add_cpu(&f.now.cpu, 13, 1000, 50);
	assert_int_equal(run(&f)->ran_ns, 2500 * MS);
	tear_down(&f);
}

/* The module saw it before it ended: it is gone already, or will be in the next window. */
static void what_a_snapshot_has_is_not_gone_twice(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	add_ended(&f.now.cpu, 10, "/docker/" ID_A);
	add_ended(&f.now.cpu, 11, "/docker/" ID_A "/inner");
	assert_int_equal(run(&f)->ran_ns, 2500 * MS);
	assert_int_equal(f.window.gone_count, 0);
	tear_down(&f);
}

static void each_loss_is_told(void **state)
{
	static const char *const words[LOST_CAUSES + 1] = {
		[LOST_TASK] = "mark",  [LOST_CGROUP] = "switches", [LOST_CGROUP_NS] = "ns of CPU",
		[LOST_MOVE] = "moves", [LOST_END] = "paths",	   [LOST_CAUSES] = "left out",
	};
	int cause;

	(void)state;
	for (cause = 0; cause <= LOST_CAUSES; cause++) {
		struct fixture f;

		set_up(&f);
		if (cause < LOST_CAUSES)
			f.now.cpu.lost[cause] = 1;
		else
			f.now.cpu.missed = 1;
		run(&f);
		assert_non_null(f.window.distrust);
		assert_non_null(strstr(f.window.distrust, words[cause]));
		tear_down(&f);
	}
}

static void dead_cgroups_are_forgotten_once_reported(void **state)
{
	struct fixture f;
	size_t last;

	(void)state;
	set_up(&f);
	add_cpu(&f.before.cpu, 99, 10, 1);
	add_cpu(&f.now.cpu, 99, 10, 1);
	last = f.now.cpu.count - 1;
	assert_true(is_dead_and_reported(&f.before, &f.now, &f.now.cpu.rows[last]));
	assert_false(is_dead_and_reported(&f.before, &f.now, &f.now.cpu.rows[0]));
	f.now.cpu.rows[last].total.ran_ns++; /* charged once more, on its way out */
	assert_false(is_dead_and_reported(&f.before, &f.now, &f.now.cpu.rows[last]));
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_container_is_its_cgroup_and_all_below),
		cmocka_unit_test(what_died_below_a_container_counts),
		cmocka_unit_test(a_process_born_during_the_reading_has_no_age),
		cmocka_unit_test(a_new_cgroup_is_no_full_window),
		cmocka_unit_test(what_is_not_in_the_reading_is_unsure),
		cmocka_unit_test(a_second_cgroup_with_the_same_id_is_unsure),
		cmocka_unit_test(a_cgroup_inside_another_container_names_nobody),
		cmocka_unit_test(contradicting_witnesses_are_unsure),
		cmocka_unit_test(witnesses_may_differ_within_the_tolerance),
		cmocka_unit_test(more_than_the_host_has_is_unsure),
		cmocka_unit_test(all_together_cannot_run_longer_than_the_host),
		cmocka_unit_test(readings_of_another_time_are_distrusted),
		cmocka_unit_test(a_cgroup_without_a_path_is_distrusted),
		cmocka_unit_test(a_counter_that_went_down_is_unsure),
		cmocka_unit_test(lost_switches_are_distrusted),
		cmocka_unit_test(the_gone_are_reported_by_name),
		cmocka_unit_test(what_lived_and_died_in_the_window_is_gone),
		cmocka_unit_test(what_lived_and_died_below_a_container_counts),
		cmocka_unit_test(what_lived_and_died_before_a_reading_inside_counts),
		cmocka_unit_test(the_last_pass_has_a_longer_window),
		cmocka_unit_test(an_end_inside_that_a_snapshot_has_counts_once),
		cmocka_unit_test(what_only_has_the_name_of_a_container_does_not_count),
		cmocka_unit_test(what_only_had_the_name_of_a_container_does_not_count),
		cmocka_unit_test(what_a_snapshot_has_is_not_gone_twice),
		cmocka_unit_test(each_loss_is_told),
		cmocka_unit_test(dead_cgroups_are_forgotten_once_reported),
	};

	return cmocka_run_group_tests_name("merge", tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "report/console.h"
#include "report/export.h"
#include "report/record.h"
#include "unit.h"
#include "util.h"

static double number(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	assert_true(cJSON_IsNumber(item));
	return item->valuedouble;
}

static const char *text(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static struct container removed = {
	.id = "0123",
	.name = (char *)"raBY9dSO",
	.image = (char *)"cmgr-cpu-low",
	.cgroup_id = 4242,
	.ran_ns = 1234567890,
	.waited_ns = UINT64_MAX,
	.anon_kib = 10,
	.cpu_ppb = 61728394,
	.score_ppb = 61728394,
	.rank = 4,
	.class = CLASS_SURPLUS,
	.decision = ACTION_REMOVE,
	.has_margin = true,
	.margin_ppb = 31000000,
	.reason =
		(char *)"surplus, rank 4 of 9 by its larger share, CPU 6.2 %, 3.1 points below the 2nd",
	.outcome = (char *)"removed",
};

static void a_record_has_the_fields_of_its_contract(void **state)
{
	struct run run = {.boot_id = "boot", .run_id = "run", .host = (char *)"host"};
	struct gone gone = {.cgroup_id = 7, .ran_ns = 5, .freed_kib = 60};
	struct late late = {.seq = 2,
			    .id = "0f3c",
			    .name = (char *)"slow",
			    .decision = ACTION_STOP,
			    .outcome = (char *)"stopped"};
	struct window window = {
		.length_ns = 10003 * NS_PER_MS,
		.cpus = 2,
		.memory = {100, 50, 60},
		.containers = {&removed, 1},
		.gone = &gone,
		.gone_count = 1,
		.late = &late,
		.late_count = 1,
	};
	const struct self_cost cost = {.cpu_ns = 9};
	struct record record = {
		.run = &run, .seq = 3, .missed_ticks = 6, .window = &window, .self = &cost};
	_cleanup_free_ char *json = record_json(&record);
	cJSON *parsed = cJSON_Parse(json);
	const cJSON *c = cJSON_GetArrayItem(cJSON_GetObjectItem(parsed, "containers"), 0);
	const cJSON *self = cJSON_GetObjectItem(parsed, "self");
	const cJSON *dead = cJSON_GetArrayItem(cJSON_GetObjectItem(parsed, "gone"), 0);
	const cJSON *l = cJSON_GetArrayItem(cJSON_GetObjectItem(parsed, "late"), 0);

	(void)state;
	assert_null(strchr(json, '\n'));
	assert_string_equal(text(parsed, "boot_id"), "boot");
	assert_int_equal(number(parsed, "seq"), 3);
	assert_int_equal(number(parsed, "interval_ms"), 10003);
	assert_int_equal(number(parsed, "missed_ticks"), 6);
	assert_int_equal(strlen(text(parsed, "time")), strlen("2026-11-23T20:04:05.678Z"));
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(parsed, "no_removal")));
	assert_int_equal(number(c, "ran_ns"), 1234567890);
	assert_non_null(strstr(json, "\"waited_ns\":18446744073709551615,"));
	assert_float_equal(number(c, "cpu_share"), 0.061728394, 1e-12);
	assert_float_equal(number(c, "margin"), 0.031, 1e-12);
	assert_int_equal(number(c, "rank"), 4);
	assert_string_equal(text(c, "class"), "surplus");
	assert_string_equal(text(c, "decision"), "remove");
	assert_string_equal(text(c, "outcome"), "removed");
	assert_int_equal(number(self, "cpu_ns"), 9);
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(self, "bpf_ns")));
	assert_int_equal(number(dead, "ran_ns"), 5);
	assert_int_equal(number(dead, "freed_kib"), 60);
	assert_int_equal(number(l, "seq"), 2);
	assert_string_equal(text(l, "id"), "0f3c");
	assert_string_equal(text(l, "name"), "slow");
	assert_string_equal(text(l, "decision"), "stop");
	assert_string_equal(text(l, "outcome"), "stopped");
	cJSON_Delete(parsed);
}

static void the_console_keeps_its_shape(void **state)
{
	struct window window = {
		.has_reading = true, .memory = {12039168, 1226752, 2}, .containers = {&removed, 1}};
	_cleanup_free_ char *printed = NULL;
	size_t size;
	FILE *out = open_memstream(&printed, &size);

	(void)state;
	console_report(out, &window, "/run/cmgr-bpf/sysinfo.json");
	fclose(out);
	assert_string_equal(
		printed,
		"System information saved in '/run/cmgr-bpf/sysinfo.json'.\n\n"
		"Total RAM: 12039168 KiB\nFree RAM: 1226752 KiB\nUsed RAM: 10812416 KiB\n"
		"High consumption:\nLow consumption:\n"
		"Not ranked: 0 protected, 0 unmanaged, 0 young, 0 unsure; 0 ended by themselves\n"
		"Removing container 'raBY9dSO': surplus, rank 4 of 9 by its larger share, CPU 6.2 %, "
		"3.1 points below the 2nd (cpu 6.2%, memory 0.0%)\n");
}

static void the_console_tells_of_every_container_in_scope(void **state)
{
	struct container list[] = {
		{.name = (char *)"top",
		 .cpu_ppb = 500000000,
		 .rank = 1,
		 .class = CLASS_HIGH,
		 .reason = (char *)"high, rank 1 of 4 by CPU"},
		{.name = (char *)"mid",
		 .memory_ppb = 50000000,
		 .rank = 2,
		 .class = CLASS_SURPLUS,
		 .decision = ACTION_STOP,
		 .cgroup_id = 4,
		 .reason = (char *)"surplus, rank 2 of 4 by memory",
		 .outcome = (char *)"failed: no"},
		{.name = (char *)"spared",
		 .memory_ppb = 40000000,
		 .rank = 3,
		 .class = CLASS_SURPLUS,
		 .cgroup_id = 7,
		 .reason = (char *)"surplus, rank 3 of 4 by memory; kept: why"},
		{.name = (char *)"end",
		 .rank = 4,
		 .class = CLASS_LOW,
		 .reason = (char *)"low, rank 4 of 4 by CPU"},
		{.name = (char *)"new",
		 .cgroup_id = 5,
		 .cpu_ppb = 12000000,
		 .class = CLASS_YOUNG,
		 .reason = (char *)"young: why"},
		{.name = (char *)"web",
		 .cgroup_id = 6,
		 .memory_ppb = 345000000,
		 .class = CLASS_PROTECTED,
		 .reason = (char *)"protected: why"},
		{.name = (char *)"odd", .class = CLASS_UNSURE, .reason = (char *)"unsure: why"},
		{.name = (char *)"not",
		 .class = CLASS_UNMANAGED,
		 .reason = (char *)"unmanaged: why"},
	};
	struct window window = {.containers = {list, ARRAY_SIZE(list)}};
	_cleanup_free_ char *printed = NULL;
	size_t size;
	FILE *out = open_memstream(&printed, &size);

	(void)state;
	console_report(out, &window, NULL);
	fclose(out);
	assert_string_equal(
		printed,
		"High consumption:\n"
		"  top  cpu 50.0%  memory 0.0%  high, rank 1 of 4 by CPU\n"
		"Low consumption:\n"
		"  end  cpu 0.0%  memory 0.0%  low, rank 4 of 4 by CPU\n"
		"Not ranked: 1 protected, 1 unmanaged, 1 young, 1 unsure; 0 ended by themselves\n"
		"Keeping container 'spared': surplus, rank 3 of 4 by memory; kept: why "
		"(cpu 0.0%, memory 4.0%)\n"
		"Keeping container 'new': young: why (cpu 1.2%, memory 0.0%)\n"
		"Keeping container 'web': protected: why (cpu 0.0%, memory 34.5%)\n"
		"Keeping container 'odd': unsure: why\n"
		"Stopping container 'mid': surplus, rank 2 of 4 by memory (cpu 0.0%, memory 5.0%); "
		"failed: no\n");
}

/* Only what the engine has confirmed reads as done. */
static void the_console_tells_outcomes(void **state)
{
	static const struct {
		enum action decision;
		const char *outcome, *line;
	} rows[] = {
		{ACTION_REMOVE, "removed", "Removing container 'c': r\n"},
		{ACTION_STOP, "stopped", "Stopping container 'c': r\n"},
		{ACTION_PAUSE, "paused", "Pausing container 'c': r\n"},
		{ACTION_REMOVE, "dry-run", "Would remove container 'c': r\n"},
		{ACTION_STOP, "dry-run", "Would stop container 'c': r\n"},
		{ACTION_REMOVE, "gone", "Removing container 'c': r; gone\n"},
		{ACTION_REMOVE, "unknown", "Removing container 'c': r; unknown\n"},
		{ACTION_REMOVE, "unknown: why", "Removing container 'c': r; unknown: why\n"},
		{ACTION_PAUSE, "pending", "Pausing container 'c': r; pending\n"},
		{ACTION_REMOVE, "kept: why", "Removing container 'c': r; kept: why\n"},
		{ACTION_STOP, "failed: why", "Stopping container 'c': r; failed: why\n"},
		{ACTION_REMOVE, "stopped", "Removing container 'c': r; stopped\n"},
		{ACTION_REMOVE, NULL, "Removing container 'c': r; failed: out of memory\n"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct container c = {.name = (char *)"c",
				      .class = CLASS_SURPLUS,
				      .reason = (char *)"r",
				      .decision = rows[i].decision,
				      .outcome = (char *)rows[i].outcome};
		struct window window = {.containers = {&c, 1}};
		_cleanup_free_ char *printed = NULL;
		size_t size;
		FILE *out = open_memstream(&printed, &size);

		console_report(out, &window, NULL);
		fclose(out);
		assert_string_equal(strstr(printed, "themselves\n") + strlen("themselves\n"),
				    rows[i].line);
	}
}

static void an_export_is_valid_whatever_the_names(void **state)
{
	struct snapshot snapshot;
	_cleanup_free_ char *json = NULL;
	cJSON *parsed;
	const cJSON *process;

	(void)state;
	assert_int_equal(snapshot_read("tests/fixtures/sysinfo/good.txt", &snapshot), 0);
	json = export_json(&snapshot, 2);
	parsed = cJSON_ParseWithOpts(json, NULL, 1);
	assert_non_null(parsed);
	assert_int_equal(number(parsed, "used_ram"), 3000000);
	process = cJSON_GetArrayItem(cJSON_GetObjectItem(parsed, "processes"), 1);
	assert_string_equal(text(process, "cmd_line"), "/workload\n\\x\303\251");
	assert_int_equal(number(process, "rss"), 1464);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(parsed, "containers")), 1);
	assert_int_equal(number(cJSON_GetArrayItem(cJSON_GetObjectItem(parsed, "containers"), 0),
				"anon_kib"),
			 65546);
	cJSON_Delete(parsed);
	snapshot_free(&snapshot);
}

static void an_outcome_that_is_not_told_yet_is_unknown(void **state)
{
	struct run run = {.boot_id = "boot", .run_id = "run", .host = (char *)"host"};
	struct container list[] = {removed, removed};
	struct window window = {.containers = {list, ARRAY_SIZE(list)}};
	struct record record = {.run = &run, .seq = 1, .dropped = 7, .window = &window};
	_cleanup_free_ char *json = NULL;
	cJSON *parsed;
	const cJSON *containers;

	(void)state;
	list[0].outcome = NULL;
	list[1].outcome = NULL;
	list[1].decision = ACTION_KEEP;
	json = record_json(&record);
	parsed = cJSON_Parse(json);
	containers = cJSON_GetObjectItem(parsed, "containers");
	assert_string_equal(text(cJSON_GetArrayItem(containers, 0), "outcome"), "unknown");
	assert_string_equal(text(cJSON_GetArrayItem(containers, 1), "outcome"), "kept");
	assert_int_equal(number(parsed, "dropped"), 7);
	cJSON_Delete(parsed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_has_the_fields_of_its_contract),
		cmocka_unit_test(the_console_keeps_its_shape),
		cmocka_unit_test(the_console_tells_of_every_container_in_scope),
		cmocka_unit_test(the_console_tells_outcomes),
		cmocka_unit_test(an_export_is_valid_whatever_the_names),
		cmocka_unit_test(an_outcome_that_is_not_told_yet_is_unknown),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}

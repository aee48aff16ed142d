// SPDX-License-Identifier: GPL-2.0
/* What the fuzzer looks for, without chance: its corpus, and every damage of one short reading. */
#include <glob.h>
#include <string.h>

#include "tests/fuzz/fuzz_sysinfo.h"
#include "unit.h"
#include "util.h"

/* The names of the seeds tell what has to come of them: good-…, bad-…, anything else. */
static void replay(const char *path)
{
	_cleanup_free_ char *text = NULL, *print = NULL;
	const char *name = strrchr(path, '/') + 1;
	size_t size, print_size;

	assert_int_equal(read_file(path, 1 << 20, &text, &size), 0);
	print = fuzz_parse(text, size, &print_size);
	if (!print && !strncmp(name, "good", 4))
		fail_msg("%s is refused", path);
	if (print && !strncmp(name, "bad", 3))
		fail_msg("%s is accepted", path);
	LLVMFuzzerTestOneInput((const uint8_t *)text, size);
}

static void replays_the_corpus(void **state)
{
	glob_t found;
	size_t i;

	(void)state;
	assert_int_equal(glob("tests/fuzz/corpus/*", 0, NULL, &found), 0);
	assert_int_equal(glob("tests/fixtures/sysinfo/*", GLOB_APPEND, NULL, &found), 0);
	for (i = 0; i < found.gl_pathc; i++)
		replay(found.gl_pathv[i]);
	globfree(&found);
}

/* As the fuzzer's printer prints it, each kind of record twice. */
static const char reading[] = "sysinfo 1 50\n"
			      "memory 100 50 60\n"
			      "cgroup 1 9 3 4 /\n"
			      "cgroup 12 2 0 4 /a\\040b\n"
			      "process 1 1 7 1 1 0 end -\n"
			      "process 10 12 7 1 1 0 \\055 end\\0402\\0402\n"
			      "end 2 2\n";

static void refuses_or_reads_each_damaged_byte(void **state)
{
	size_t at;
	int byte;

	(void)state;
	for (at = 0; at < sizeof(reading); at++) {
		for (byte = 0; byte < 256; byte++) {
			struct damage set = {SET_BYTE, at, 0, (char)byte};
			struct damage insert = {INSERT_BYTE, at, 0, (char)byte};

			fuzz_damage(&set, reading, sizeof(reading) - 1);
			fuzz_damage(&insert, reading, sizeof(reading) - 1);
		}
	}
}

static void refuses_or_reads_each_damaged_range(void **state)
{
	size_t at, length;

	(void)state;
	for (at = 0; at < sizeof(reading) - 1; at++) {
		for (length = 0; length < sizeof(reading) - 1 - at; length++) {
			struct damage lost = {DROP_RANGE, at, length, 0};
			struct damage twice = {DOUBLE_RANGE, at, length, 0};

			fuzz_damage(&lost, reading, sizeof(reading) - 1);
			fuzz_damage(&twice, reading, sizeof(reading) - 1);
		}
	}
}

static void refuses_truncated_and_misplaced_lines(void **state)
{
	static const enum damage_kind kinds[] = {TRUNCATE, DROP_LINE, DOUBLE_LINE, SWAP_LINES};
	size_t at, i;

	(void)state;
	for (at = 0; at < sizeof(reading) - 1; at++)
		for (i = 0; i < ARRAY_SIZE(kinds); i++)
			fuzz_damage(&(struct damage){kinds[i], at, 0, 0}, reading,
				    sizeof(reading) - 1);
}

static void reads_what_is_not_damaged(void **state)
{
	_cleanup_free_ char *print = NULL;
	size_t size;

	(void)state;
	print = fuzz_parse(reading, sizeof(reading) - 1, &size);
	assert_non_null(print);
	assert_string_equal(print, reading);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replays_the_corpus),
		cmocka_unit_test(reads_what_is_not_damaged),
		cmocka_unit_test(refuses_or_reads_each_damaged_byte),
		cmocka_unit_test(refuses_or_reads_each_damaged_range),
		cmocka_unit_test(refuses_truncated_and_misplaced_lines),
	};

	return cmocka_run_group_tests_name("sysinfo_fuzz", tests, NULL, NULL);
}

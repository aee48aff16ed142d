// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "report/parts.h"
#include "report/spool.h"
#include "unit.h"
#include "util.h"

#define ROOMY (1UL << 20)
#define FIRST "00000000000000000001"

static const char decided[] = "{\"seq\":1,\"outcome\":\"unknown\"}";
static const char whole[] = "{\"seq\":1,\"outcome\":\"removed\"}";

static char dir[sizeof("/tmp/cmgr-unit-XXXXXX")];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/cmgr-unit-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static void empty_dir(void)
{
	DIR *open = opendir(dir);
	const struct dirent *file;

	while ((file = readdir(open)))
		if (file->d_name[0] != '.')
			unlinkat(dirfd(open), file->d_name, 0);
	closedir(open);
}

static int remove_dir(void **state)
{
	(void)state;
	empty_dir();
	return rmdir(dir);
}

static bool is_there(const char *name)
{
	_cleanup_free_ char *path = format_text("%s/%s", dir, name);

	return !access(path, F_OK);
}

/* In the order of their numbers; NULL ends them. */
static void expect_records(struct spool *spool, const char *const *records)
{
	_cleanup_free_ char *none = NULL;
	uint64_t number;

	for (; *records; records++) {
		_cleanup_free_ char *json = NULL;

		assert_int_equal(spool_oldest(spool, &number, &json), 1);
		assert_string_equal(json, *records);
		assert_int_equal(spool_drop(spool, number), 0);
	}
	assert_int_equal(spool_oldest(spool, &number, &none), 0);
}

static void expect_after_restart(const char *record)
{
	const char *const records[] = {record, NULL};
	struct spool spool;

	assert_int_equal(spool_open(dir, ROOMY, &spool), 0);
	assert_int_equal(spool_waiting(&spool), record ? 1 : 0);
	expect_records(&spool, records);
	spool_close(&spool);
}

static void order_is_kept_over_restarts(void **state)
{
	static const char *const second[] = {"two", "three", NULL};
	_cleanup_free_ char *one = NULL;
	struct spool spool;
	uint64_t number;

	(void)state;
	assert_int_equal(spool_open(dir, ROOMY, &spool), 0);
	assert_int_equal(spool_complete(&spool, "one"), 0);
	assert_int_equal(spool_decide(&spool, "two?"), 0);
	assert_int_equal(spool_complete(&spool, "two"), 0);
	spool_close(&spool);
	assert_int_equal(spool_open(dir, ROOMY, &spool), 0);
	assert_int_equal(spool_complete(&spool, "three"), 0);
	assert_int_equal(spool_oldest(&spool, &number, &one), 1);
	assert_string_equal(one, "one");
	assert_int_equal(spool_drop(&spool, number), 0);
	expect_records(&spool, second);
	spool_close(&spool);
}

static void what_is_only_decided_is_not_sent_yet(void **state)
{
	static const char *const both[] = {"decided", "next", NULL}, *const none[] = {NULL};
	struct spool spool;

	(void)state;
	assert_int_equal(spool_open(dir, ROOMY, &spool), 0);
	assert_int_equal(spool_decide(&spool, "decided"), 0);
	expect_records(&spool, none);
	/* Its outcomes never came: the next one shows that they never will. */
	assert_int_equal(spool_decide(&spool, "next?"), 0);
	assert_int_equal(spool_complete(&spool, "next"), 0);
	expect_records(&spool, both);
	spool_close(&spool);
}

static void what_is_refused_is_tried_again_at_the_next_start(void **state)
{
	static const char *const rest[] = {"two", NULL}, *const all[] = {"one", "three", NULL};
	_cleanup_free_ char *one = NULL;
	struct spool spool;
	uint64_t number;

	(void)state;
	assert_int_equal(spool_open(dir, ROOMY, &spool), 0);
	assert_int_equal(spool_complete(&spool, "one"), 0);
	assert_int_equal(spool_complete(&spool, "two"), 0);
	assert_int_equal(spool_oldest(&spool, &number, &one), 1);
	assert_int_equal(spool_reject(&spool, number), 0);
	assert_true(is_there(FIRST ".rejected"));
	expect_records(&spool, rest);
	spool_close(&spool);
	assert_int_equal(spool_open(dir, ROOMY, &spool), 0);
	assert_int_equal(spool_complete(&spool, "three"), 0);
	expect_records(&spool, all);
	spool_close(&spool);
}

static void two_daemons_do_not_share_a_spool(void **state)
{
	struct spool spool, other;

	(void)state;
	assert_int_equal(spool_open(dir, ROOMY, &spool), 0);
	assert_int_equal(spool_open(dir, ROOMY, &other), -EWOULDBLOCK);
	spool_close(&spool);
}

static void the_oldest_are_dropped_beyond_the_limit(void **state)
{
	static const char *const last[] = {"7", "8", NULL};
	/* Each part is its head, one digit and a newline. */
	_cleanup_free_ char *part = part_format(PART_WHOLE, "1");
	struct spool spool;
	char json[] = "1";

	(void)state;
	assert_int_equal(spool_open(dir, 2 * strlen(part), &spool), 0);
	for (; *json <= '8'; ++*json)
		assert_int_equal(spool_complete(&spool, json), 0);
	assert_int_equal(spool.dropped, 6);
	assert_int_equal(spool.bytes, 2 * strlen(part));
	expect_records(&spool, last);
	assert_int_equal(spool.bytes, 0);
	spool_close(&spool);
}

/* A spool with room for nothing, and a record in it. */
static uint64_t open_with_one(struct spool *ret)
{
	_cleanup_free_ char *json = NULL;
	uint64_t number;

	assert_int_equal(spool_open(dir, 1, ret), 0);
	assert_int_equal(spool_complete(ret, "one"), 0);
	assert_int_equal(spool_oldest(ret, &number, &json), 1);
	return number;
}

static void one_that_was_refused_is_counted_when_it_is_dropped(void **state)
{
	static const char *const left[] = {"two", NULL};
	struct spool spool;
	uint64_t number;

	(void)state;
	number = open_with_one(&spool);
	assert_int_equal(spool_reject(&spool, number), 0);
	assert_int_equal(spool_complete(&spool, "two"), 0);
	assert_int_equal(spool.dropped, 1);
	expect_records(&spool, left);
	spool_close(&spool);
}

static void what_is_being_sent_and_the_newest_are_never_dropped(void **state)
{
	static const char *const left[] = {"one", "three", NULL};
	struct spool spool;
	uint64_t number;

	(void)state;
	number = open_with_one(&spool);
	spool.sending = number;
	assert_int_equal(spool_complete(&spool, "two"), 0);
	assert_int_equal(spool_complete(&spool, "three"), 0);
	assert_int_equal(spool.dropped, 1);
	spool.sending = 0;
	expect_records(&spool, left);
	spool_close(&spool);
}

/* A folder in the file's place: it can be neither opened nor written, even by root. */
static void what_cannot_be_written_waits_in_memory(void **state)
{
	static const char *const all[] = {"one", "two", NULL}, *const second[] = {"two", NULL};
	_cleanup_free_ char *blocker = format_text("%s/" FIRST ".record", dir), *one = NULL;
	struct spool spool;
	uint64_t number;

	(void)state;
	assert_int_equal(spool_open(dir, ROOMY, &spool), 0);
	assert_int_equal(mkdir(blocker, 0700), 0);
	assert_int_equal(spool_decide(&spool, "one?"), -EISDIR);
	assert_int_equal(spool_complete(&spool, "one"), -EISDIR);
	assert_int_equal(spool_oldest(&spool, &number, &one), 1);
	assert_string_equal(one, "one");
	assert_int_equal(rmdir(blocker), 0);
	assert_int_equal(spool_decide(&spool, "two?"), 0);
	assert_int_equal(spool_complete(&spool, "two"), 0);
	spool_close(&spool);
	/* It was written once that was possible. */
	assert_int_equal(spool_open(dir, ROOMY, &spool), 0);
	expect_records(&spool, all);
	spool_close(&spool);
	assert_int_equal(spool_open(dir, ROOMY, &spool), 0);
	assert_int_equal(spool_complete(&spool, "two"), 0);
	expect_records(&spool, second);
	spool_close(&spool);
}

static void write_record(const char *text, size_t size)
{
	_cleanup_free_ char *path = format_text("%s/" FIRST ".record", dir);
	_cleanup_fclose_ FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, size, file), size);
}

/* The text of a file with both parts; *ret_first: bytes of the first. */
static char *both_parts(size_t *ret_first)
{
	_cleanup_free_ char *first = part_format(PART_DECIDED, decided);
	_cleanup_free_ char *second = part_format(PART_WHOLE, whole);

	*ret_first = strlen(first);
	return format_text("%s%s", first, second);
}

static void a_file_is_what_its_format_says(void **state)
{
	_cleanup_free_ char *path = format_text("%s/" FIRST ".record", dir), *found = NULL;
	_cleanup_free_ char *text = NULL;
	struct spool spool;
	size_t first, size;

	(void)state;
	text = both_parts(&first);
	assert_int_equal(spool_open(dir, ROOMY, &spool), 0);
	assert_int_equal(spool_decide(&spool, decided), 0);
	assert_int_equal(spool_complete(&spool, whole), 0);
	assert_int_equal(read_file(path, ROOMY, &found, &size), 0);
	assert_string_equal(found, text);
	spool_close(&spool);
}

/* A record ends where a write was cut: it is the last whole part, or none. */
static void every_truncation_is_cut(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t first, size;

	(void)state;
	text = both_parts(&first);
	for (size = 0; size <= strlen(text); size++) {
		write_record(text, size);
		expect_after_restart(size < first ? NULL : size < strlen(text) ? decided : whole);
		assert_int_equal(is_there(FIRST ".damaged"), size && size < first);
		expect_after_restart(NULL);
		assert_int_equal(is_there(FIRST ".damaged"), size && size < first);
		empty_dir();
	}
	print_message("%zu truncations\n", size);
}

static void every_changed_byte_ends_what_counts(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t first, at, changes = 0;
	unsigned int bit;

	(void)state;
	text = both_parts(&first);
	for (at = 0; at < strlen(text); at++) {
		for (bit = 0; bit < 8; bit++) {
			text[at] = (char)(text[at] ^ (1 << bit));
			write_record(text, first + strlen(text + first));
			expect_after_restart(at < first ? NULL : decided);
			assert_int_equal(is_there(FIRST ".damaged"), at < first);
			empty_dir();
			text[at] = (char)(text[at] ^ (1 << bit));
			changes++;
		}
	}
	print_message("%zu changed bits\n", changes);
}

/* A disk that could not read it for a while. */
static void what_can_be_read_after_all_is_sent(void **state)
{
	_cleanup_free_ char *path = format_text("%s/" FIRST ".record", dir);
	_cleanup_free_ char *damaged = format_text("%s/" FIRST ".damaged", dir);
	_cleanup_free_ char *text = NULL;
	size_t first;

	(void)state;
	text = both_parts(&first);
	write_record(text, strlen(text));
	assert_int_equal(rename(path, damaged), 0);
	expect_after_restart(whole);
	assert_false(is_there(FIRST ".damaged"));
}

/* A folder: one that no start can read, nor any daemon has put there. */
static void what_cannot_be_read_is_left_aside(void **state)
{
	_cleanup_free_ char *damaged = format_text("%s/" FIRST ".damaged", dir);

	(void)state;
	assert_int_equal(mkdir(damaged, 0700), 0);
	expect_after_restart(NULL);
	assert_int_equal(rmdir(damaged), 0);
}

/* What was cut is not there any more: the next part begins where the last whole one ends. */
static void a_cut_file_is_whole(void **state)
{
	_cleanup_free_ char *path = format_text("%s/" FIRST ".record", dir), *left = NULL;
	_cleanup_free_ char *text = NULL;
	struct spool spool;
	size_t first, size;

	(void)state;
	text = both_parts(&first);
	write_record(text, strlen(text) - 1);
	assert_int_equal(spool_open(dir, ROOMY, &spool), 0);
	spool_close(&spool);
	assert_int_equal(read_file(path, ROOMY, &left, &size), 0);
	assert_int_equal(size, first);
}

static void foreign_text_is_no_part(void **state)
{
	static const char *const texts[] = {
		"\n",
		"{}\n",
		"cmgr-spool 2 whole 2 08326207b4eb2f34\n{}\n",
		"cmgr-spool 1 whole 18446744073709551615 08326207b4eb2f34\n{}\n",
		"cmgr-spool 1 whole 99999999999999999999 08326207b4eb2f34\n{}\n",
		"cmgr-spool 1 whole  08326207b4eb2f34\n{}\n",
		"cmgr-spool 1 whole"};
	_cleanup_free_ char *good = part_format(PART_WHOLE, "{}");
	struct parts parts;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		parts_read(texts[i], strlen(texts[i]), &parts);
		assert_int_equal(parts.size, 0);
	}
	parts_read(good, strlen(good), &parts);
	assert_int_equal(parts.size, strlen(good));
	assert_int_equal(parts.length, 2);
	assert_int_equal(parts.kind, PART_WHOLE);
}

#define in_a_folder(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_a_folder(order_is_kept_over_restarts),
		in_a_folder(what_is_only_decided_is_not_sent_yet),
		in_a_folder(what_is_refused_is_tried_again_at_the_next_start),
		in_a_folder(two_daemons_do_not_share_a_spool),
		in_a_folder(the_oldest_are_dropped_beyond_the_limit),
		in_a_folder(one_that_was_refused_is_counted_when_it_is_dropped),
		in_a_folder(what_is_being_sent_and_the_newest_are_never_dropped),
		in_a_folder(what_cannot_be_written_waits_in_memory),
		in_a_folder(a_file_is_what_its_format_says),
		in_a_folder(every_truncation_is_cut),
		in_a_folder(every_changed_byte_ends_what_counts),
		in_a_folder(what_can_be_read_after_all_is_sent),
		in_a_folder(what_cannot_be_read_is_left_aside),
		in_a_folder(a_cut_file_is_whole),
		cmocka_unit_test(foreign_text_is_no_part),
	};

	return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "journal.h"
#include "unit.h"
#include "util.h"

static char folder[] = "/tmp/cmgr-journal-XXXXXX";
static char *dir, *path;

static void put(const char *text, size_t size)
{
	_cleanup_fclose_ FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, size, file), size);
}

static void has(const char *expected)
{
	_cleanup_free_ char *text = NULL;
	size_t size;

	assert_int_equal(read_file(path, 1 << 16, &text, &size), 0);
	assert_string_equal(text, expected);
}

static void is_told(const struct journal *journal, enum installed what, const char *expected)
{
	if (expected)
		assert_string_equal(journal->told[what], expected);
	else
		assert_null(journal->told[what]);
}

static void remembers_what_was_told_last(void **state)
{
	struct journal journal;

	(void)state;
	assert_int_equal(journal_open(dir, &journal), 0);
	assert_int_equal(journal_note(&journal, INSTALLED_RUN, "/run/a"), 0);
	assert_int_equal(journal_note(&journal, INSTALLED_PINS, "/sys/fs/bpf/cmgr"), 0);
	assert_int_equal(journal_note(&journal, INSTALLED_PINS, "/sys/fs/bpf/cmgr"), 0);
	assert_int_equal(journal_note(&journal, INSTALLED_RUN, "/run/b c"), 0);
	assert_int_equal(journal_note(&journal, INSTALLED_RUN, "run"), -EINVAL);
	assert_int_equal(journal_note(&journal, INSTALLED_RUN, "/a\n/b"), -EINVAL);
	journal_close(&journal, false);
	has("cmgr-bpf journal 1\nrun /run/a\npins /sys/fs/bpf/cmgr\nrun /run/b c\n");
	assert_int_equal(journal_open(dir, &journal), 0);
	is_told(&journal, INSTALLED_RUN, "/run/b c");
	is_told(&journal, INSTALLED_PINS, "/sys/fs/bpf/cmgr");
	is_told(&journal, INSTALLED_CRON, NULL);
	journal_close(&journal, true);
	assert_int_equal(access(dir, F_OK), -1);
}

#define HEAD "cmgr-bpf journal 1\n"

static void cuts_a_damaged_tail(void **state)
{
	static const struct {
		const char *text;
		size_t size; /* 0: its length */
		const char *left, *run, *cron;
	} rows[] = {
		{"", 0, "", NULL, NULL},
		{"cmgr-bpf journal 2\nrun /a\n", 0, "", NULL, NULL},
		{"run /a\n", 0, "", NULL, NULL},
		{"cmgr-bpf jour", 0, "", NULL, NULL},
		{HEAD, 0, HEAD, NULL, NULL},
		{HEAD "run /a\nru", 0, HEAD "run /a\n", "/a", NULL},
		{HEAD "run /a\nrun /b", 0, HEAD "run /a\n", "/a", NULL},
		{HEAD "run /a\nrun b\ncron /c\n", 0, HEAD "run /a\n", "/a", NULL},
		{HEAD "run /a\nwalk /b\n", 0, HEAD "run /a\n", "/a", NULL},
		{HEAD "run /a\n\ncron /c\n", 0, HEAD "run /a\n", "/a", NULL},
		{HEAD "run /a\n\0\0\0\0", sizeof(HEAD "run /a\n") + 3, HEAD "run /a\n", "/a", NULL},
		{HEAD "run /a\ncron /c\n", 0, HEAD "run /a\ncron /c\n", "/a", "/c"},
	};
	struct journal journal;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(mkdir(dir, 0700), 0);
		put(rows[i].text, rows[i].size ? rows[i].size : strlen(rows[i].text));
		assert_int_equal(journal_open(dir, &journal), 0);
		is_told(&journal, INSTALLED_RUN, rows[i].run);
		is_told(&journal, INSTALLED_CRON, rows[i].cron);
		has(rows[i].left);
		/* And what is written next is whole. */
		assert_int_equal(journal_note(&journal, INSTALLED_RUN, "/next"), 0);
		journal_close(&journal, false);
		assert_int_equal(journal_open(dir, &journal), 0);
		is_told(&journal, INSTALLED_RUN, "/next");
		is_told(&journal, INSTALLED_CRON, rows[i].cron);
		journal_close(&journal, true);
	}
}

static void is_held_by_one(void **state)
{
	struct journal one, two;

	(void)state;
	assert_int_equal(journal_open(dir, &one), 0);
	assert_int_equal(journal_open(dir, &two), -EWOULDBLOCK);
	journal_close(&one, true);
	assert_int_equal(journal_open(dir, &two), 0);
	journal_close(&two, true);
}

static void needs_a_folder_of_ours(void **state)
{
	struct journal journal;

	(void)state;
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(journal_open(dir, &journal), -EPERM);
	assert_int_equal(chmod(dir, 0700), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(journal_open(dir, &journal), -ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(journal_open("/nowhere/state", &journal), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(remembers_what_was_told_last),
		cmocka_unit_test(cuts_a_damaged_tail),
		cmocka_unit_test(is_held_by_one),
		cmocka_unit_test(needs_a_folder_of_ours),
	};
	int failed;

	if (!mkdtemp(folder))
		return 1;
	dir = format_text("%s/state", folder);
	path = format_text("%s/state/" JOURNAL_NAME, folder);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	free(dir);
	free(path);
	return failed;
}

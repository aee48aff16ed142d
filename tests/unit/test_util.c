// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "unit.h"
#include "util.h"

static void parses_whole_numbers_only(void **state)
{
	static const struct {
		const char *text;
		int err;
	} rows[] = {
		{"0", 0},	  {"100", 0},	    {"101", -ERANGE},
		{"", -EINVAL},	  {"-1", -EINVAL},  {"+1", -EINVAL},
		{" 1", -EINVAL},  {"1 ", -EINVAL},  {"0x1", -EINVAL},
		{"1.0", -EINVAL}, {"1e2", -EINVAL}, {"18446744073709551616", -ERANGE},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t value = 7;

		assert_int_equal(parse_u64(rows[i].text, 0, 100, &value), rows[i].err);
		if (rows[i].err)
			assert_int_equal(value, 7);
	}
}

static void makes_valid_utf8(void **state)
{
#define BAD "\xef\xbf\xbd"
	static const char *const rows[][2] = {
		{"plain", "plain"},
		{"caf\xc3\xa9", "caf\xc3\xa9"},
		{"\xe2\x82\xac \xf0\x9f\x90\xa7", "\xe2\x82\xac \xf0\x9f\x90\xa7"},
		{"\xff", BAD},
		{"a\xc3", "a" BAD},		       /* cut short */
		{"\xc0\xaf", BAD BAD},		       /* overlong */
		{"\xe0\x80\x80", BAD BAD BAD},	       /* overlong */
		{"\xed\xa0\x80", BAD BAD BAD},	       /* surrogate */
		{"\xf4\x90\x80\x80", BAD BAD BAD BAD}, /* above U+10FFFF */
		{"\xe2\x82z", BAD BAD "z"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *utf8 = to_utf8(rows[i][0]);

		assert_string_equal(utf8, rows[i][1]);
	}
}

static void a_terminal_gets_no_controls(void **state)
{
	static const char *const rows[][2] = {
		{"plain caf\xc3\xa9", "plain caf\xc3\xa9"},
		{"\x1b[2J\r\n\t", BAD "[2J" BAD BAD BAD},
		{"\x7f", BAD},
		{"\xc2\x9b\xc2\xa0", BAD "\xc2\xa0"}, /* CSI of C1; a no-break space */
		{"\xff", BAD},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *printable = to_printable(rows[i][0]);

		assert_string_equal(printable, rows[i][1]);
	}
}

static void cuts_no_character(void **state)
{
	static const char text[] = "ab\xe2\x82\xac\xc3\xa9";
	static const size_t whole[] = {0, 1, 2, 2, 2, 5, 5, 7, 7, 7};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(whole); i++)
		assert_int_equal(whole_characters(text, i), whole[i]);
}

static void writes_files_whole(void **state)
{
	char dir[] = "/tmp/cmgr-unit-XXXXXX", *text;
	_cleanup_free_ char *path = NULL;
	struct stat st;
	size_t size;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = format_text("%s/file", dir);
	assert_int_equal(write_file(path, "one", 0600), 0);
	assert_int_equal(write_file(path, "second", 0644), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(read_file(path, 100, &text, &size), 0);
	assert_string_equal(text, "second");
	free(text);
	assert_int_equal(read_file(path, 5, &text, &size), -EFBIG);
	assert_int_equal(write_file("/nonexistent/file", "x", 0600), -ENOENT);
	unlink(path);
	assert_int_equal(rmdir(dir), 0); /* no temporary file is left */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_whole_numbers_only),   cmocka_unit_test(makes_valid_utf8),
		cmocka_unit_test(a_terminal_gets_no_controls), cmocka_unit_test(cuts_no_character),
		cmocka_unit_test(writes_files_whole),
	};

	return cmocka_run_group_tests_name("util", tests, NULL, NULL);
}

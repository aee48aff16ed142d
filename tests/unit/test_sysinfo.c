// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "observe/sysinfo.h"
#include "unit.h"
#include "util.h"

#define GOOD "tests/fixtures/sysinfo/good.txt"
#define ID   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int parse(const char *text, size_t size, struct snapshot *ret)
{
	char *copy = malloc(size + 1);
	int err;

	memcpy(copy, text, size);
	copy[size] = '\0';
	err = snapshot_parse(copy, size, ret);
	if (err)
		free(copy);
	return err;
}

static void reads_every_field(void **state)
{
	struct snapshot s;
	const struct cgroup *inner;

	(void)state;
	assert_int_equal(snapshot_read(GOOD, &s), 0);
	assert_int_equal(s.boottime_ns, 90000000000);
	assert_int_equal(s.memory.total_kib, 4000000);
	assert_int_equal(s.memory.free_kib, 1000000);
	assert_int_equal(s.memory.available_kib, 2000000);
	assert_int_equal(s.cgroup_count, 4);
	inner = snapshot_cgroup(&s, 63);
	assert_int_equal(inner->usage_kib, 100);
	assert_int_equal(inner->anon_kib, 10);
	assert_int_equal(inner->file_kib, 2);
	assert_string_equal(strrchr(inner->path, '/'), "/inner cgroup");
	assert_int_equal(s.process_count, 3);
	assert_int_equal(s.processes[1].pid, 150);
	assert_int_equal(s.processes[1].cgroup_id, 62);
	assert_int_equal(s.processes[1].start_ns, 3383090610);
	assert_int_equal(s.processes[1].cpu_ns, 9006132);
	assert_int_equal(s.processes[1].vsz_kib, 2260);
	assert_int_equal(s.processes[1].rss_kib, 1464);
	assert_string_equal(s.processes[1].comm, "work load");
	assert_string_equal(s.processes[1].cmdline, "/workload\n\\x\303\251");
	assert_null(s.processes[0].cmdline);
	assert_string_equal(s.processes[2].comm, "-");
	assert_null(snapshot_cgroup(&s, 64));
	snapshot_free(&s);
}

/* Every prefix of a good reading is partial, whatever the cut. */
static void refuses_every_prefix(void **state)
{
	struct snapshot s;
	char *text;
	size_t size, i;

	(void)state;
	assert_int_equal(read_file(GOOD, 1 << 20, &text, &size), 0);
	for (i = 0; i < size; i++)
		assert_int_not_equal(parse(text, i, &s), 0);
	free(text);
}

#define HEAD   "sysinfo 1 5\nmemory 100 50 60\n"
#define CGROUP "cgroup 1 2 3 4 /\n"
#define PROC   "process 1 1 1 1 1 1 a -\n"

static const struct {
	const char *text;
	int err;
} damaged[] = {
	{"", -EBADMSG},
	{"\n", -EBADMSG},
	{"sysinfo 2 5\nmemory 100 50 60\nend 0 0\n", -EPROTONOSUPPORT},
	{"sysinfo 1\nmemory 100 50 60\nend 0 0\n", -EBADMSG},
	{"sysinfo 1 5 6\nmemory 100 50 60\nend 0 0\n", -EBADMSG},
	{"sysinfo 1 5\nend 0 0\n", -EBADMSG},		    /* no memory */
	{"sysinfo 1 5\nmemory 0 0 0\nend 0 0\n", -EBADMSG}, /* shares of nothing */
	{HEAD "end 0 1\n", -EBADMSG},			    /* a process is missing */
	{HEAD CGROUP "end 0 0\n", -EBADMSG},		    /* one too many */
	{HEAD CGROUP CGROUP "end 2 0\n", -EBADMSG},	    /* the same twice */
	{HEAD PROC PROC "end 0 2\n", -EBADMSG},		    /* the same twice */
	{HEAD "end 0 0\nend 0 0\n", -EBADMSG},		    /* something after the end */
	{HEAD "end 0 0\n ", -EBADMSG},
	{HEAD "end 0 0 \n", -EBADMSG},
	{HEAD "cgroup 1 2 3 /\nend 1 0\n", -EBADMSG},	 /* a field is missing */
	{HEAD "cgroup  1 2 3 4 /\nend 1 0\n", -EBADMSG}, /* an empty field */
	{HEAD "cgroup -1 2 3 4 /\nend 1 0\n", -EBADMSG},
	{HEAD "cgroup 1x 2 3 4 /\nend 1 0\n", -EBADMSG},
	{HEAD "cgroup 18446744073709551616 2 3 4 /\nend 1 0\n", -EBADMSG},
	{HEAD "cgroup 1 2 3 4 /a\\04\nend 1 0\n", -EBADMSG}, /* half an escape */
	{HEAD "cgroup 1 2 3 4 /a\\\nend 1 0\n", -EBADMSG},
	{HEAD "cgroup 1 2 3 4 /a\\000\nend 1 0\n", -EBADMSG}, /* a NUL would end the text */
	{HEAD "cgroup 1 2 3 4 /a\\400\nend 1 0\n", -EBADMSG},
	{HEAD "cgroup 1 2 3 4 /a\\401\nend 1 0\n", -EBADMSG},
	{HEAD "cgroup 1 2 3 4 /a\\018\nend 1 0\n", -EBADMSG},
	{HEAD "cgroup 1 2 3 4 /\\101\nend 1 0\n", -EBADMSG}, /* escaped without need */
	{HEAD "cgroup 1 2 3 4 /\\012\nend 1 0\n", -EBADMSG}, /* "\n" is shorter */
	{HEAD "cgroup 1 2 3 4 /\\134\nend 1 0\n", -EBADMSG},
	{HEAD "cgroup 1 2 3 4 /\\\"\nend 1 0\n", -EBADMSG},
	{HEAD "cgroup 1 2 3 4 /\\x41\nend 1 0\n", -EBADMSG},
	{HEAD "cgroup 1 2 3 4 /\\055\nend 1 0\n", -EBADMSG},
	{HEAD "process 1 1 1 1 1 1 \\055a -\nend 0 1\n", -EBADMSG},
	{HEAD "cgroup 1 2 3 4 /a\x01\nend 1 0\n", -EBADMSG}, /* not escaped */
	{HEAD "cgroup 1 2 3 4 /a\x7f\nend 1 0\n", -EBADMSG},
	{HEAD "cgroup 1 2 3 4 /a\tb\nend 1 0\n", -EBADMSG},
	{HEAD "cgroup 1 2 3 4 /a\xc3\nend 1 0\n", -EBADMSG},
	{HEAD "process 1 1 1 1 1 1 a\nend 0 1\n", -EBADMSG},
	{HEAD "cgroup 01 2 3 4 /\nend 1 0\n", -EBADMSG},
	{HEAD "cgroup +1 2 3 4 /\nend 1 0\n", -EBADMSG},
	{HEAD "cgroup 0x1 2 3 4 /\nend 1 0\n", -EBADMSG},
	{HEAD "cgroup 1 00 3 4 /\nend 1 0\n", -EBADMSG},
	{HEAD "cgroup 1 99999999999999999999 3 4 /\nend 1 0\n", -EBADMSG},
	{HEAD "cgroup 1 2 3 4 a\nend 1 0\n", -EBADMSG},	       /* no path */
	{HEAD "cgroup 0 2 3 4 /\nend 1 0\n", -EBADMSG},	       /* no ID */
	{HEAD "process 0 1 1 1 1 1 a -\nend 0 1\n", -EBADMSG}, /* the idle task */
	{HEAD "process 1 0 1 1 1 1 a -\nend 0 1\n", -EBADMSG},
	{HEAD "process 2147483648 1 1 1 1 1 a -\nend 0 1\n", -EBADMSG},
	{"sysinfo 01 5\nmemory 100 50 60\nend 0 0\n", -EBADMSG},
	{"sysinfo 18446744073709551617 5\nmemory 100 50 60\nend 0 0\n", -EBADMSG},
	{" " HEAD "end 0 0\n", -EBADMSG},
	{"\xef\xbb\xbf" HEAD "end 0 0\n", -EBADMSG},
	{HEAD "end 00 0\n", -EBADMSG},
	{HEAD "end\n", -EBADMSG},
	{HEAD "end 0 0\r\n", -EBADMSG},
	{HEAD HEAD "end 0 0\n", -EBADMSG}, /* two readings */
	{HEAD "sysinfo 1 5\nend 0 0\n", -EBADMSG},
	{"sysinfo 1 5\nmemory 0 0 0\nmemory 100 50 60\nend 0 0\n", -EBADMSG},
	{HEAD "memory 100 50 60\nend 0 0\n", -EBADMSG},			  /* the same twice */
	{"sysinfo 1 5\n" CGROUP "memory 100 50 60\nend 1 0\n", -EBADMSG}, /* out of order */
	{"sysinfo 1 5\n" PROC "memory 100 50 60\nend 0 1\n", -EBADMSG},
	{HEAD PROC CGROUP "end 1 1\n", -EBADMSG},
	{HEAD "process 2 1 1 1 1 1 a -\n" PROC "end 0 2\n", -EBADMSG},
	{HEAD "\nend 0 0\n", -EBADMSG},
	{HEAD "x\nend 0 0\n", -EBADMSG}, /* a name and no field */
	{HEAD "future  field\nend 0 0\n", -EBADMSG},
	{HEAD "future field \nend 0 0\n", -EBADMSG},
	{HEAD " future field\nend 0 0\n", -EBADMSG},
	{HEAD "future fi\teld\nend 0 0\n", -EBADMSG},
};

static void refuses_damage(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(damaged); i++) {
		struct snapshot s;

		if (parse(damaged[i].text, strlen(damaged[i].text), &s) != damaged[i].err)
			fail_msg("row %zu: %s", i, damaged[i].text);
	}
}

/* A NUL in place of each byte, and one after the last. */
static void refuses_a_nul(void **state)
{
	char text[] = HEAD CGROUP PROC "end 1 1\n";
	struct snapshot s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(text) - 1; i++) {
		char was = text[i];

		text[i] = '\0';
		assert_int_equal(parse(text, sizeof(text) - 1, &s), -EBADMSG);
		text[i] = was;
	}
	assert_int_equal(parse(text, sizeof(text), &s), -EBADMSG);
	assert_int_equal(parse(text, sizeof(text) - 1, &s), 0);
	snapshot_free(&s);
}

/* /proc/self/mem answers EIO at its start, as the module's file does after rmmod. */
static void passes_read_errors_on(void **state)
{
	struct snapshot s;

	(void)state;
	assert_int_equal(snapshot_read("/proc/self/mem", &s), -EIO);
	assert_int_equal(snapshot_read("/proc/self", &s), -EISDIR);
	assert_int_equal(snapshot_read("/proc/self/sysinfo", &s), -ENOENT);
	assert_int_equal(snapshot_read("/dev/null", &s), -EBADMSG);
}

static void finds_the_outermost_container(void **state)
{
	static const struct {
		const char *path;
		bool found, top;
	} rows[] = {
		{"/system.slice/docker-" ID ".scope", true, true},
		{"/docker/" ID, true, true},
		{"/machine.slice/libpod-" ID ".scope", true, true},
		{"/docker/" ID "/docker/" ID, true, false},
		{"/docker/" ID "/init", true, false},
		{"/system.slice/docker.service", false, false},
		{"/docker/0" ID, false, false},			   /* 65 digits are no ID */
		{"/user.slice/" ID "-4f2a.service", false, false}, /* Podman's health check */
		{"/evil-" ID ".scope", false, false},
		{"/x/docker-" ID ".scope/init", true, false},
		{"/docker/0123456789abcdef", false, false},
		{"", false, false},
		{NULL, false, false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		bool top = false;
		const char *id = container_id_in(rows[i].path, &top);

		assert_int_equal(id != NULL, rows[i].found);
		assert_int_equal(top, rows[i].top);
		if (id)
			assert_memory_equal(id, ID, 64);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_field),
		cmocka_unit_test(refuses_every_prefix),
		cmocka_unit_test(refuses_damage),
		cmocka_unit_test(refuses_a_nul),
		cmocka_unit_test(passes_read_errors_on),
		cmocka_unit_test(finds_the_outermost_container),
	};

	return cmocka_run_group_tests_name("sysinfo", tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-2.0
/* Containers whose memory.stat is a file in a folder of ours. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "observe/lazyfree.h"
#include "unit.h"
#include "util.h"

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define A    "docker-" ID_A ".scope"

/* A reading of a host of 256 MiB, where 1 MiB is what matters. */
#define HEAD "sysinfo 1 5\nmemory 262144 1 1\n"

static char root[] = "/tmp/cmgr-cgroups.XXXXXX";

static const struct {
	const char *cgroups;	     /* of the reading: id usage anon file path */
	const char *stat;	     /* of A; NULL: it is gone */
	uint64_t anon_kib, file_kib; /* of the first cgroup, of all of them, afterwards */
} rows[] = {
	/* Given up, and used again. */
	{"cgroup 7 9000 100 8000 /" A "\n", "anon 8294400\nfile 0\nshmem 0\n", 8100, 0},
	/* Page cache. */
	{"cgroup 7 9000 100 8000 /" A "\n", "anon 102400\nfile 8192000\nshmem 0\n", 100, 8000},
	/* Shared memory is anonymous memory there, too. */
	{"cgroup 7 9000 4000 4000 /" A "\n", "anon 4096\nfile 8192000\nshmem 4091904\n", 4000,
	 4000},
	/* More than is there is not believed. */
	{"cgroup 7 9000 100 8000 /" A "\n", "anon 999999999\nshmem 0\n", 8100, 0},
	/* It may lag by a little. */
	{"cgroup 7 9000 100 8000 /" A "\n", "anon 1126400\nshmem 0\n", 100, 8000},
	/* What is below it is its own. */
	{"cgroup 7 9000 100 10 /" A "\ncgroup 8 8000 0 8000 /" A "/below\n",
	 "anon 8294400\nshmem 0\n", 8100, 10},
	/* Gone meanwhile. */
	{"cgroup 7 9000 100 8000 /" A "\n", NULL, 100, 8000},
	/* Not so much that it would matter. */
	{"cgroup 7 9000 8000 1000 /" A "\n", "anon 9216000\nshmem 0\n", 8000, 1000},
	/* Damaged, or another kernel's. */
	{"cgroup 7 9000 100 8000 /" A "\n", "anon\nanonymous 9216000\nxanon 9216000", 100, 8000},
	{"cgroup 7 9000 100 8000 /" A "\n", "", 100, 8000},
	/* No container. */
	{"cgroup 7 9000 100 8000 /system.slice\n", "anon 8294400\n", 100, 8000},
};

static void put_stat(const char *text)
{
	_cleanup_free_ char *folder = format_text("%s/" A, root);
	_cleanup_free_ char *path = format_text("%s/memory.stat", folder);
	FILE *file;

	mkdir(folder, 0755);
	unlink(path);
	if (!text)
		return;
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void tells_what_was_given_up(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int count = strstr(rows[i].cgroups, "\ncgroup 8") ? 2 : 1;
		char *text = format_text(HEAD "%send %d 0\n", rows[i].cgroups, count);
		struct snapshot snapshot;
		uint64_t file_kib;

		assert_int_equal(snapshot_parse(text, strlen(text), &snapshot), 0);
		put_stat(rows[i].stat);
		assert_int_equal(lazyfree_add(root, &snapshot), 0);
		assert_int_equal(snapshot.cgroups[0].anon_kib, rows[i].anon_kib);
		file_kib = snapshot.cgroups[0].file_kib;
		if (count == 2)
			file_kib += snapshot.cgroups[1].file_kib;
		assert_int_equal(file_kib, rows[i].file_kib);
		snapshot_free(&snapshot);
	}
}

static void keeps_containers_apart(void **state)
{
	char *text = format_text(HEAD "cgroup 7 9000 100 8000 /" A "\n"
				      "cgroup 8 9000 50 8000 /docker/" ID_B "\nend 2 0\n");
	struct snapshot snapshot;

	(void)state;
	assert_int_equal(snapshot_parse(text, strlen(text), &snapshot), 0);
	put_stat("anon 4198400\nshmem 0\n");
	assert_int_equal(lazyfree_add(root, &snapshot), 0);
	assert_int_equal(snapshot.cgroups[0].anon_kib, 4100);
	assert_int_equal(snapshot.cgroups[0].file_kib, 4000);
	assert_int_equal(snapshot.cgroups[1].anon_kib, 50);
	assert_int_equal(snapshot.cgroups[1].file_kib, 8000);
	snapshot_free(&snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_what_was_given_up),
		cmocka_unit_test(keeps_containers_apart),
	};
	int failed;

	if (!mkdtemp(root))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	return remove_tree(root) || failed;
}

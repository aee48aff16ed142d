// SPDX-License-Identifier: GPL-2.0
#include "tests/fuzz/fuzz_sysinfo.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/print.h"
#include "util.h"

static void require(bool holds, const char *what, const char *text)
{
	if (holds)
		return;
	fprintf(stderr, "the parser of /proc/sysinfo: %s:\n%s\n", what, text);
	abort();
}

static char *copy_of(const char *text, size_t size)
{
	char *copy = malloc(size + 1);

	if (!copy)
		abort();
	memcpy(copy, text, size);
	copy[size] = '\0';
	return copy;
}

static bool starts_with(const char *line, const char *name)
{
	return !strncmp(line, name, strlen(name));
}

static bool is_known(const char *line)
{
	return starts_with(line, "sysinfo ") || starts_with(line, "memory ") ||
	       starts_with(line, "cgroup ") || starts_with(line, "process ") ||
	       starts_with(line, "end ");
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = strtoull(*(char *const *)a + strlen("cgroup "), NULL, 10);
	uint64_t y = strtoull(*(char *const *)b + strlen("cgroup "), NULL, 10);

	return (x > y) - (x < y);
}

/* Sorts the first run of cgroup records; a second one stays where it is and will not match. */
static void sort_cgroups(char **lines, size_t count)
{
	size_t first = 0, last;

	while (first < count && !starts_with(lines[first], "cgroup "))
		first++;
	for (last = first; last < count && starts_with(lines[last], "cgroup "); last++)
		;
	qsort(lines + first, last - first, sizeof(*lines), by_id);
}

/* The records of known kinds in @text, the cgroups by ID: what its snapshot has to print to. */
static char *canonical(const char *text)
{
	_cleanup_free_ char *copy = copy_of(text, strlen(text));
	_cleanup_free_ char **lines = NULL;
	char *rest = copy, *line, *result, *end;
	size_t count = 0, i;

	while ((line = strsep(&rest, "\n"))) {
		if (!is_known(line))
			continue;
		if (grow_array((void **)&lines, count, sizeof(*lines)))
			abort();
		lines[count++] = line;
	}
	sort_cgroups(lines, count);
	end = result = copy_of(text, strlen(text));
	for (i = 0; i < count; i++)
		end += sprintf(end, "%s\n", lines[i]);
	return result;
}

static void check_snapshot(const struct snapshot *s)
{
	size_t i;

	for (i = 1; i < s->cgroup_count; i++)
		require(s->cgroups[i - 1].id < s->cgroups[i].id, "cgroups not by ID", "");
	for (i = 1; i < s->process_count; i++)
		require(s->processes[i - 1].pid < s->processes[i].pid, "processes not by PID", "");
	for (i = 0; i < s->cgroup_count; i++)
		require(snapshot_cgroup(s, s->cgroups[i].id) == &s->cgroups[i], "cgroup lost", "");
}

static char *parse_and_print(const char *text, size_t size, size_t *ret_size)
{
	char *copy = copy_of(text, size), *print;
	struct snapshot snapshot;

	if (snapshot_parse(copy, size, &snapshot)) {
		free(copy);
		return NULL;
	}
	check_snapshot(&snapshot);
	print = snapshot_print(&snapshot, ret_size);
	snapshot_free(&snapshot);
	return print;
}

char *fuzz_parse(const char *text, size_t size, size_t *ret_size)
{
	char *print = parse_and_print(text, size, ret_size);
	_cleanup_free_ char *wanted = NULL, *again = NULL;
	size_t again_size;

	if (!print)
		return NULL;
	require(strlen(text) == size, "accepted a NUL", text);
	wanted = canonical(text);
	require(!strcmp(print, wanted), "accepted a text that says something else", text);
	again = parse_and_print(print, *ret_size, &again_size);
	require(again && !strcmp(again, print), "does not read back what it prints to", print);
	return print;
}

/* The line that tells the numbers of records. */
static const char *last_line(const char *text)
{
	const char *line = strstr(text, "\nend ");

	return line ? line : "";
}

void fuzz_damage(const struct damage *damage, const char *good, size_t size)
{
	_cleanup_free_ char *damaged = NULL, *print = NULL;
	enum verdict verdict;
	size_t damaged_size, print_size;

	damaged = damage_text(damage, good, size, &damaged_size, &verdict);
	print = fuzz_parse(damaged, damaged_size, &print_size);
	if (!print)
		return;
	require(verdict != REFUSED, "accepted damage", damaged);
	require(verdict == AS_IT_STANDS || !strcmp(print, good), "misread damage", damaged);
	require(!strcmp(last_line(print), last_line(good)), "lost or won records", damaged);
}

/* Takes the next NUL-terminated string of *text; an empty one is what the module prints as "-". */
static const char *take_string(const char **text, const char *end)
{
	const char *string = *text;

	if (string >= end)
		return NULL;
	*text += strlen(string) + 1;
	return *string ? string : NULL;
}

/* Any bytes as path, name and command line: whatever the kernel may hold is printed and read back. */
static char *print_strings(const char *bytes, size_t size, size_t *ret_size)
{
	_cleanup_free_ char *copy = copy_of(bytes, size), *path = NULL;
	const char *text = copy, *string = take_string(&text, copy + size);
	struct cgroup cgroups[] = {{1, 0, UINT64_MAX, 9, "/"}, {UINT64_MAX, 10, 1, 2, NULL}};
	struct process processes[] = {{.pid = 1, .cgroup_id = 1},
				      {.pid = INT32_MAX, .cgroup_id = UINT64_MAX, .comm = "-"}};
	struct snapshot snapshot = {size, {UINT64_MAX, size, 0}, cgroups, 2, processes, 2, NULL};

	path = string ? format_text("/%s", string) : NULL;
	cgroups[1].path = path;
	processes[0].comm = take_string(&text, copy + size);
	processes[0].cmdline = string;
	processes[1].cmdline = take_string(&text, copy + size);
	return snapshot_print(&snapshot, ret_size);
}

static void check_strings(const char *bytes, size_t size)
{
	_cleanup_free_ char *print = NULL, *again = NULL;
	size_t print_size, again_size;

	print = print_strings(bytes, size, &print_size);
	again = fuzz_parse(print, print_size, &again_size);
	require(again && !strcmp(again, print), "cannot read what the module prints", print);
}

/* Kind, place (2), length, byte; few, so that a second sees many texts. */
#define DAMAGE_SIZE 5
#define DAMAGES_MAX 8

static struct damage damage_from(const uint8_t *data)
{
	return (struct damage){.kind = data[0] % DAMAGE_KINDS,
			       .at = (size_t)(data[1] << 8 | data[2]),
			       .length = data[3],
			       .byte = (char)data[4]};
}

/* Each damage by itself, then on top of those before it. */
static void check_damages(const char *good, size_t good_size, const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = copy_of(good, good_size);
	size_t text_size = good_size, i;

	for (i = 0; i < DAMAGES_MAX && (i + 1) * DAMAGE_SIZE <= size; i++) {
		struct damage damage = damage_from(data + i * DAMAGE_SIZE);
		enum verdict verdict;
		char *worse;

		fuzz_damage(&damage, good, good_size);
		worse = damage_text(&damage, text, text_size, &text_size, &verdict);
		free(text);
		text = worse;
		free(fuzz_parse(text, text_size, &(size_t){0}));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, FUZZ_TEXT_END, size) : NULL;
	_cleanup_free_ char *text = NULL, *print = NULL;
	size_t text_size = end ? (size_t)(end - data) : size, print_size;

	text = copy_of((const char *)data, text_size);
	print = fuzz_parse(text, text_size, &print_size);
	check_strings(text, text_size);
	if (!end)
		return 0;
	if (!print)
		print = print_strings(text, text_size, &print_size);
	check_damages(print, print_size, end + 1, size - text_size - 1);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
#include "observe/lazyfree.h"

#include <errno.h>
#include <string.h>

#include "container.h"
#include "util.h"

/*
 * Less than one part in so many of the host's memory is not looked for: it decides little, and not more
 * than so many files are read.
 */
#define PARTS	   256
#define STAT_LIMIT (1 << 16)

struct suspect {
	struct cgroup *top;
	const char *id;
	uint64_t anon_kib, file_kib; /* with all below it */
};

static bool is_much(const struct snapshot *snapshot, uint64_t kib)
{
	return kib > snapshot->memory.total_kib / PARTS;
}

static int find_suspects(const struct snapshot *snapshot, struct suspect **ret, size_t *ret_count)
{
	size_t i;

	for (i = 0; i < snapshot->cgroup_count; i++) {
		struct suspect suspect = {.top = &snapshot->cgroups[i]};
		bool top = false;

		if (!is_much(snapshot, suspect.top->usage_kib) || !suspect.top->path)
			continue;
		suspect.id = container_id_in(suspect.top->path, &top);
		if (!suspect.id || !top)
			continue;
		if (grow_array((void **)ret, *ret_count, sizeof(suspect)))
			return -ENOMEM;
		(*ret)[(*ret_count)++] = suspect;
	}
	return 0;
}

static void add_usage(const struct snapshot *snapshot, struct suspect *suspects, size_t count)
{
	size_t i, k;

	for (i = 0; i < snapshot->cgroup_count; i++) {
		const struct cgroup *cgroup = &snapshot->cgroups[i];
		bool top;
		const char *id = container_id_in(cgroup->path, &top);

		for (k = 0; id && k < count; k++) {
			if (strncmp(suspects[k].id, id, CONTAINER_ID_DIGITS))
				continue;
			suspects[k].anon_kib += cgroup->anon_kib;
			suspects[k].file_kib += cgroup->file_kib;
		}
	}
}

/* "anon 4096\n": 0 where it is not told. */
static uint64_t stat_kib(const char *stat, const char *name)
{
	size_t length = strlen(name);
	uint64_t bytes = 0;

	for (; stat && *stat; stat = strchr(stat, '\n') ? strchr(stat, '\n') + 1 : NULL)
		if (!strncmp(stat, name, length) && stat[length] == ' ')
			bytes = strtoull(stat + length + 1, NULL, 10);
	return bytes / 1024;
}

/* From the topmost cgroup first, then from those below it. */
static void take_file(const struct snapshot *snapshot, const struct suspect *suspect, uint64_t kib)
{
	struct cgroup *cgroup = suspect->top;
	size_t i = 0;

	while (true) {
		uint64_t taken = kib < cgroup->file_kib ? kib : cgroup->file_kib;
		const char *id;
		bool top;

		cgroup->file_kib -= taken;
		kib -= taken;
		do {
			if (!kib || i == snapshot->cgroup_count)
				return;
			cgroup = &snapshot->cgroups[i++];
			id = container_id_in(cgroup->path, &top);
		} while (!id || strncmp(id, suspect->id, CONTAINER_ID_DIGITS));
	}
}

static int ask(const char *cgroups, const struct snapshot *snapshot, const struct suspect *suspect)
{
	_cleanup_free_ char *path = format_text("%s%s/memory.stat", cgroups, suspect->top->path);
	_cleanup_free_ char *stat = NULL;
	uint64_t anon_kib, more_kib;
	size_t size;
	int err = path ? read_file(path, STAT_LIMIT, &stat, &size) : -ENOMEM;

	if (err)
		return err == -ENOMEM ? err : 0;
	/* Shared memory is swap-backed, and so on the right lists. */
	anon_kib = stat_kib(stat, "anon") + stat_kib(stat, "shmem");
	if (anon_kib <= suspect->anon_kib)
		return 0;
	more_kib = anon_kib - suspect->anon_kib;
	if (more_kib > suspect->file_kib)
		more_kib = suspect->file_kib;
	/* Both move on while the file is read. */
	if (!is_much(snapshot, more_kib))
		return 0;
	suspect->top->anon_kib += more_kib;
	take_file(snapshot, suspect, more_kib);
	return 0;
}

int lazyfree_add(const char *cgroups, struct snapshot *snapshot)
{
	_cleanup_free_ struct suspect *suspects = NULL;
	size_t count = 0, i;
	int err = find_suspects(snapshot, &suspects, &count);

	if (count)
		add_usage(snapshot, suspects, count);
	for (i = 0; !err && i < count; i++)
		if (is_much(snapshot, suspects[i].file_kib))
			err = ask(cgroups, snapshot, &suspects[i]);
	return err;
}

// SPDX-License-Identifier: GPL-2.0
#include "observe/recorded_lines.h"

#include <errno.h>
#include <string.h>

#include "util.h"

int lines_bad(struct recorded *recorded, const char *why)
{
	recorded->why = why;
	return -EBADMSG;
}

/* Steps into the next line of the block if it begins with @name. */
bool lines_take_line(struct recorded *recorded, const char *name, struct cursor *ret)
{
	size_t length = strlen(name);

	if (recorded->at >= recorded->block_end || strncmp(recorded->at, name, length) ||
	    recorded->at[length] != ' ')
		return false;
	*ret = (struct cursor){.next = recorded->at + length + 1, .before = ' '};
	recorded->line++;
	return true;
}

/* Every field of the line is taken. */
int lines_end_line(struct recorded *recorded, const struct cursor *cursor)
{
	if (!ended(cursor))
		return lines_bad(recorded, "a field is missing, too many or not what it has to be");
	recorded->at = cursor->next;
	return 0;
}

int lines_expect_line(struct recorded *recorded, const char *name, struct cursor *ret)
{
	if (lines_take_line(recorded, name, ret))
		return 0;
	recorded->line++;
	return lines_bad(recorded, "another record belongs here");
}

bool lines_take_bool(struct cursor *cursor)
{
	if (take_word(cursor, "1"))
		return true;
	if (!take_word(cursor, "0"))
		cursor->before = BAD;
	return false;
}

uint64_t lines_next_up_to(struct cursor *cursor, uint64_t max)
{
	uint64_t value = next_u64(cursor);

	if (value > max)
		cursor->before = BAD;
	return value;
}

/* "=" is what it was before; NULL for "-". */
const char *lines_next_change(struct cursor *cursor, bool was, const char *before)
{
	if (take_word(cursor, "\\075"))
		return "=";
	if (!take_word(cursor, "="))
		return next_text(cursor);
	if (!was)
		cursor->before = BAD;
	return before;
}

/* A text that may be just "=", but not missing. */
const char *lines_next_name(struct cursor *cursor)
{
	const char *text = lines_next_change(cursor, false, NULL);

	if (!text)
		cursor->before = BAD;
	return text;
}

/* A changed row: its key, the row that it had, and whether it is gone. */
static int seek(struct recorded *recorded, struct table_update *update, struct cursor *cursor,
		const void **ret_old, bool *ret_gone)
{
	uint64_t key = next_id(cursor);
	int err;

	if (cursor->before != ' ')
		return lines_bad(recorded, "the row has no key");
	err = table_seek(update, key, ret_old);
	if (err)
		return err == -EINVAL ? lines_bad(recorded, "the row is out of order") : err;
	*ret_gone = take_word(cursor, "gone");
	return *ret_gone && !*ret_old ? lines_bad(recorded, "what is gone was not there") : 0;
}

int lines_renew_rows(struct recorded *recorded, const char *name, struct table *table,
		     int (*renew)(struct recorded *, struct cursor *, uint64_t key, const void *old,
				  struct table_update *))
{
	struct table_update update;
	struct cursor cursor;
	int err = 0;

	table_begin(&update, table);
	while (!err && lines_take_line(recorded, name, &cursor)) {
		const void *old;
		bool gone = false;

		err = seek(recorded, &update, &cursor, &old, &gone);
		if (!err && !gone)
			err = renew(recorded, &cursor, update.last_key, old, &update);
		if (!err)
			err = lines_end_line(recorded, &cursor);
	}
	if (!err)
		return table_end(&update);
	table_abandon(&update);
	return err;
}

static int renew_cgroup(struct recorded *recorded, struct cursor *cursor, uint64_t id,
			const void *old, struct table_update *update)
{
	const struct cgroup *before = old;
	struct cgroup cgroup = {
		.id = id,
		.usage_kib = next_u64(cursor),
		.anon_kib = next_u64(cursor),
		.file_kib = next_u64(cursor),
		.path = lines_next_change(cursor, before, before ? before->path : NULL),
	};

	if (cgroup.path && *cgroup.path != '/')
		return lines_bad(recorded, "the path does not begin with a slash");
	return table_put(update, &cgroup);
}

static int renew_process(struct recorded *recorded, struct cursor *cursor, uint64_t pid,
			 const void *old, struct table_update *update)
{
	const struct process *before = old;
	struct process process = {
		.pid = pid,
		.cgroup_id = next_id(cursor),
		.start_ns = next_u64(cursor),
		.cpu_ns = next_u64(cursor),
		.vsz_kib = next_u64(cursor),
		.rss_kib = next_u64(cursor),
		.comm = lines_next_change(cursor, before, before ? before->comm : NULL),
		.cmdline = lines_next_change(cursor, before, before ? before->cmdline : NULL),
	};

	(void)recorded;
	return table_put(update, &process);
}

static int renew_cpu(struct recorded *recorded, struct cursor *cursor, uint64_t id, const void *old,
		     struct table_update *update)
{
	struct cgroup_cpu_row row = {
		.cgroup_id = id,
		.total = {.ran_ns = next_u64(cursor),
			  .waited_ns = next_u64(cursor),
			  .switches = next_u64(cursor)},
	};

	(void)recorded;
	(void)old;
	return table_put(update, &row);
}

static int parse_module(struct recorded *recorded, struct snapshot *s)
{
	struct cursor cursor;
	int err = lines_expect_line(recorded, "module", &cursor);

	if (err)
		return err;
	s->boottime_ns = next_u64(&cursor);
	s->memory.total_kib = next_id(&cursor);
	s->memory.free_kib = next_u64(&cursor);
	s->memory.available_kib = next_u64(&cursor);
	err = lines_end_line(recorded, &cursor);
	if (!err)
		err = lines_renew_rows(recorded, "cgroup", &recorded->cgroups, renew_cgroup);
	if (!err)
		err = lines_renew_rows(recorded, "process", &recorded->processes, renew_process);
	if (err)
		return err;
	s->cgroups = table_copy(&recorded->cgroups);
	s->cgroup_count = recorded->cgroups.count;
	s->processes = table_copy(&recorded->processes);
	s->process_count = recorded->processes.count;
	return s->cgroups && s->processes ? 0 : -ENOMEM;
}

/* Optional: they were not recorded at first. */
static int parse_ended(struct recorded *recorded, struct cpu_reading *cpu)
{
	struct cursor cursor;
	int err = 0;

	while (!err && lines_take_line(recorded, "ended", &cursor)) {
		struct ended_cgroup ended = {.cgroup_id = next_id(&cursor)};
		const char *path = lines_next_change(&cursor, false, NULL);

		if (path && strlen(path) >= sizeof(ended.path))
			return lines_bad(recorded, "the path is too long");
		if (path)
			memcpy(ended.path, path, strlen(path) + 1);
		if (grow_array((void **)&cpu->ended, cpu->ended_count, sizeof(ended)))
			return -ENOMEM;
		cpu->ended[cpu->ended_count++] = ended;
		err = lines_end_line(recorded, &cursor);
	}
	return err;
}

int lines_readings(struct recorded *recorded, struct readings *readings)
{
	struct cpu_reading *cpu = &readings->cpu;
	struct cursor cursor;
	int err = parse_module(recorded, &readings->snapshot), cause;

	if (!err)
		err = lines_expect_line(recorded, "bpf", &cursor);
	if (err)
		return err;
	cpu->boottime_ns = next_u64(&cursor);
	cpu->missed = next_u64(&cursor);
	for (cause = 0; cause < LOST_CAUSES; cause++)
		cpu->lost[cause] = next_u64(&cursor);
	err = lines_end_line(recorded, &cursor);
	if (!err)
		err = lines_renew_rows(recorded, "cpu", &recorded->cpus, renew_cpu);
	if (!err)
		err = parse_ended(recorded, cpu);
	if (err)
		return err;
	cpu->rows = table_copy(&recorded->cpus);
	cpu->count = recorded->cpus.count;
	return cpu->rows ? 0 : -ENOMEM;
}

bool lines_copy_id(const char *id, char *ret)
{
	if (!id || strlen(id) != CONTAINER_ID_DIGITS ||
	    strspn(id, "0123456789abcdef") != CONTAINER_ID_DIGITS)
		return false;
	memcpy(ret, id, CONTAINER_ID_DIGITS + 1);
	return true;
}

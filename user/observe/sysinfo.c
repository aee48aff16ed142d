// SPDX-License-Identifier: GPL-2.0
#include "observe/sysinfo.h"

#include <errno.h>
#include <string.h>

#include "fields.h"
#include "kmod/sysinfo.h"
#include "util.h"

/* More than PID_MAX_LIMIT processes take. */
#define READING_LIMIT (2ULL << 30)

/* memory 12039168 1226752 9874520 */
static int parse_memory(struct cursor *cursor, struct snapshot *s)
{
	bool again = s->memory.total_kib;

	s->memory.total_kib = next_u64(cursor);
	s->memory.free_kib = next_u64(cursor);
	s->memory.available_kib = next_u64(cursor);
	return ended(cursor) && !again && s->memory.total_kib ? 0 : -EBADMSG;
}

/* cgroup 4242 67188 65536 1024 /system.slice/docker-0f3c….scope */
static int parse_cgroup(struct cursor *cursor, struct snapshot *s)
{
	struct cgroup cgroup;

	cgroup.id = next_id(cursor);
	cgroup.usage_kib = next_u64(cursor);
	cgroup.anon_kib = next_u64(cursor);
	cgroup.file_kib = next_u64(cursor);
	cgroup.path = next_text(cursor);
	if (!ended(cursor) || !s->memory.total_kib || s->process_count)
		return -EBADMSG;
	if (cgroup.path && *cgroup.path != '/')
		return -EBADMSG;
	if (grow_array((void **)&s->cgroups, s->cgroup_count, sizeof(cgroup)))
		return -ENOMEM;
	s->cgroups[s->cgroup_count++] = cgroup;
	return 0;
}

/* process 871 4242 3383090610 9006132 2260 1464 workload /workload\0405 */
static int parse_process(struct cursor *cursor, struct snapshot *s)
{
	uint64_t last_pid = s->process_count ? s->processes[s->process_count - 1].pid : 0;
	struct process process;

	process.pid = next_u64(cursor);
	process.cgroup_id = next_id(cursor);
	process.start_ns = next_u64(cursor);
	process.cpu_ns = next_u64(cursor);
	process.vsz_kib = next_u64(cursor);
	process.rss_kib = next_u64(cursor);
	process.comm = next_text(cursor);
	process.cmdline = next_text(cursor);
	if (!ended(cursor) || !s->memory.total_kib)
		return -EBADMSG;
	if (process.pid <= last_pid || process.pid > INT32_MAX)
		return -EBADMSG;
	if (grow_array((void **)&s->processes, s->process_count, sizeof(process)))
		return -ENOMEM;
	s->processes[s->process_count++] = process;
	return 0;
}

/* end 57 212 */
static int parse_end(struct cursor *cursor, const struct snapshot *s)
{
	uint64_t cgroups = next_u64(cursor);
	uint64_t processes = next_u64(cursor);

	if (!ended(cursor) || cgroups != s->cgroup_count || processes != s->process_count)
		return -EBADMSG;
	return s->memory.total_kib ? 0 : -EBADMSG;
}

/* sysinfo 1 3390543404 */
static int parse_head(struct cursor *cursor, struct snapshot *s)
{
	uint64_t version;

	if (!take_word(cursor, SYSINFO_NAME))
		return -EBADMSG;
	version = next_u64(cursor);
	if (cursor->before == BAD)
		return -EBADMSG;
	if (version != SYSINFO_VERSION)
		return -EPROTONOSUPPORT;
	s->boottime_ns = next_u64(cursor);
	return ended(cursor) ? 0 : -EBADMSG;
}

/*
 * pressure 12 0.50 some
 *
 * An unknown name has to have fields: a lone word is what a newline in a last field leaves behind.
 */
static int skip_record(struct cursor *cursor)
{
	size_t fields = 0;

	if (take_word(cursor, SYSINFO_NAME))
		return -EBADMSG;
	while (cursor->before == ' ') {
		char *in = cursor->next;

		while (is_plain(*in) || *in == '\\')
			in++;
		end_field(cursor, in);
		fields++;
	}
	return ended(cursor) && fields > 1 ? 0 : -EBADMSG;
}

static int parse_records(char *text, const char *end, struct snapshot *s)
{
	struct cursor cursor = {.next = text, .before = ' '};
	int err = parse_head(&cursor, s);

	while (!err) {
		cursor.before = ' ';
		if (take_word(&cursor, "process"))
			err = parse_process(&cursor, s);
		else if (take_word(&cursor, "cgroup"))
			err = parse_cgroup(&cursor, s);
		else if (take_word(&cursor, "memory"))
			err = parse_memory(&cursor, s);
		else if (take_word(&cursor, "end"))
			break;
		else
			err = skip_record(&cursor);
	}
	if (!err)
		err = parse_end(&cursor, s);
	return !err && cursor.next != end ? -EBADMSG : err;
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = ((const struct cgroup *)a)->id, y = ((const struct cgroup *)b)->id;

	return (x > y) - (x < y);
}

static int sort_cgroups(struct snapshot *s)
{
	size_t i;

	if (s->cgroup_count)
		qsort(s->cgroups, s->cgroup_count, sizeof(*s->cgroups), by_id);
	for (i = 1; i < s->cgroup_count; i++)
		if (s->cgroups[i].id == s->cgroups[i - 1].id)
			return -EBADMSG;
	return 0;
}

int snapshot_parse(char *text, size_t size, struct snapshot *ret)
{
	struct snapshot s = {};
	int err = parse_records(text, text + size, &s);

	if (!err)
		err = sort_cgroups(&s);
	if (err) {
		snapshot_free(&s);
		return err;
	}
	s.text = text;
	*ret = s;
	return 0;
}

int snapshot_read(const char *path, struct snapshot *ret)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	int err = read_file(path, READING_LIMIT, &text, &size);

	if (!err)
		err = snapshot_parse(text, size, ret);
	if (!err)
		text = NULL;
	return err;
}

void snapshot_free(struct snapshot *snapshot)
{
	free(snapshot->cgroups);
	free(snapshot->processes);
	free(snapshot->text);
	*snapshot = (struct snapshot){};
}

const struct cgroup *snapshot_cgroup(const struct snapshot *snapshot, uint64_t id)
{
	struct cgroup key = {.id = id};

	if (!snapshot->cgroup_count)
		return NULL;
	return bsearch(&key, snapshot->cgroups, snapshot->cgroup_count, sizeof(key), by_id);
}

/* What engines put around the ID in the name of a container's cgroup. */
static bool is_decoration(const char *start, const char *id)
{
	static const char *const prefixes[] = {"", "docker-", "libpod-", "cri-containerd-",
					       "crio-"};
	const char *rest = id + SYSINFO_ID_DIGITS;
	size_t length = (size_t)(id - start), i;

	if (!strncmp(rest, ".scope", strlen(".scope")))
		rest += strlen(".scope");
	if (*rest && *rest != '/')
		return false;
	for (i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (strlen(prefixes[i]) == length && !strncmp(start, prefixes[i], length))
			return true;
	return false;
}

/* The ID in the component that begins at @start, or NULL. */
static const char *id_in_component(const char *start)
{
	const char *id = start;

	while (*id && *id != '/') {
		size_t digits = strspn(id, "0123456789abcdef");

		if (digits == SYSINFO_ID_DIGITS)
			return is_decoration(start, id) ? id : NULL;
		id += digits ? digits : 1;
	}
	return NULL;
}

const char *container_id_in(const char *path, bool *ret_is_top)
{
	while (path && (path = strchr(path, '/'))) {
		const char *id = id_in_component(++path);

		if (id) {
			*ret_is_top = !strchr(id, '/');
			return id;
		}
	}
	return NULL;
}

// SPDX-License-Identifier: GPL-2.0
#include "observe/sysinfo.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "kmod/sysinfo.h"
#include "util.h"

/* About 10 million processes: more than PID_MAX_LIMIT allows. */
#define READING_LIMIT (2ULL << 30)

struct fields {
	char *next;
	bool bad;
};

/* The next field, ended by a NUL in place; "" marks the record as bad. */
static char *next_field(struct fields *fields)
{
	static char nothing[1];
	char *field = strsep(&fields->next, " ");

	if (!field || !*field) {
		fields->bad = true;
		return nothing;
	}
	return field;
}

static uint64_t next_u64(struct fields *fields)
{
	uint64_t value = 0;

	if (parse_u64(next_field(fields), 0, UINT64_MAX, &value))
		fields->bad = true;
	return value;
}

/* One escape of seq_escape_str() after the backslash; returns its length, or 0. */
static size_t unescape_one(const char *in, char *out)
{
	static const char letters[] = "nrtvfea\\\"", bytes[] = "\n\r\t\v\f\033\a\\\"";
	const char *letter = *in ? strchr(letters, *in) : NULL;

	if (letter) {
		*out = bytes[letter - letters];
		return 1;
	}
	if (in[0] < '0' || in[0] > '3' || in[1] < '0' || in[1] > '7' || in[2] < '0' || in[2] > '7')
		return 0;
	*out = (char)((in[0] - '0') << 6 | (in[1] - '0') << 3 | (in[2] - '0'));
	return *out ? 3 : 0;
}

/* A text field with its escapes undone in place; NULL for "-". */
static const char *next_text(struct fields *fields)
{
	char *text = next_field(fields), *in = text, *out = text;

	if (!strcmp(text, "-"))
		return NULL;
	while (*in && !fields->bad) {
		if (!isprint((unsigned char)*in)) {
			fields->bad = true;
		} else if (*in == '\\') {
			size_t length = unescape_one(in + 1, out++);

			fields->bad = !length;
			in += 1 + length;
		} else {
			*out++ = *in++;
		}
	}
	if (*text)
		*out = '\0';
	return text;
}

static bool ended(const struct fields *fields)
{
	return !fields->bad && !fields->next;
}

/* memory 12039168 1226752 9874520 */
static int parse_memory(struct fields *fields, struct snapshot *s)
{
	s->memory.total_kib = next_u64(fields);
	s->memory.free_kib = next_u64(fields);
	s->memory.available_kib = next_u64(fields);
	return ended(fields) && s->memory.total_kib ? 0 : -EBADMSG;
}

/* cgroup 4242 67188 65536 1024 /system.slice/docker-0f3c….scope */
static int parse_cgroup(struct fields *fields, struct snapshot *s)
{
	struct cgroup cgroup;

	cgroup.id = next_u64(fields);
	cgroup.usage_kib = next_u64(fields);
	cgroup.anon_kib = next_u64(fields);
	cgroup.file_kib = next_u64(fields);
	cgroup.path = next_text(fields);
	if (!ended(fields))
		return -EBADMSG;
	if (grow_array((void **)&s->cgroups, s->cgroup_count, sizeof(cgroup)))
		return -ENOMEM;
	s->cgroups[s->cgroup_count++] = cgroup;
	return 0;
}

/* process 871 4242 3383090610 9006132 2260 1464 workload /workload\0405 */
static int parse_process(struct fields *fields, struct snapshot *s)
{
	struct process process;

	process.pid = next_u64(fields);
	process.cgroup_id = next_u64(fields);
	process.start_ns = next_u64(fields);
	process.cpu_ns = next_u64(fields);
	process.vsz_kib = next_u64(fields);
	process.rss_kib = next_u64(fields);
	process.comm = next_text(fields);
	process.cmdline = next_text(fields);
	if (!ended(fields))
		return -EBADMSG;
	if (s->process_count && process.pid <= s->processes[s->process_count - 1].pid)
		return -EBADMSG;
	if (grow_array((void **)&s->processes, s->process_count, sizeof(process)))
		return -ENOMEM;
	s->processes[s->process_count++] = process;
	return 0;
}

/* end 57 212 */
static int parse_end(struct fields *fields, const struct snapshot *s)
{
	uint64_t cgroups = next_u64(fields);
	uint64_t processes = next_u64(fields);

	if (!ended(fields) || cgroups != s->cgroup_count || processes != s->process_count)
		return -EBADMSG;
	return s->memory.total_kib ? 0 : -EBADMSG;
}

/* sysinfo 1 3390543404 */
static int parse_head(char *line, struct snapshot *s)
{
	struct fields fields = {.next = line};
	uint64_t version;

	if (!line || strcmp(next_field(&fields), SYSINFO_NAME))
		return -EBADMSG;
	version = next_u64(&fields);
	if (fields.bad)
		return -EBADMSG;
	if (version != SYSINFO_VERSION)
		return -EPROTONOSUPPORT;
	s->boottime_ns = next_u64(&fields);
	return ended(&fields) ? 0 : -EBADMSG;
}

/* The next line without its newline, which must be there; NULL at the end or when it is not. */
static char *next_line(char **text)
{
	char *line = *text, *newline = strchr(line, '\n');

	if (!newline)
		return NULL;
	*newline = '\0';
	*text = newline + 1;
	return line;
}

static int parse_records(char *text, const char *end, struct snapshot *s)
{
	char *line;
	int err = parse_head(next_line(&text), s);

	while (!err && (line = next_line(&text))) {
		struct fields fields = {.next = line};
		const char *name = next_field(&fields);

		if (!strcmp(name, "end"))
			return text == end ? parse_end(&fields, s) : -EBADMSG;
		if (!strcmp(name, "memory"))
			err = parse_memory(&fields, s);
		else if (!strcmp(name, "cgroup"))
			err = parse_cgroup(&fields, s);
		else if (!strcmp(name, "process"))
			err = parse_process(&fields, s);
		else if (fields.bad)
			err = -EBADMSG;
	}
	return err ? err : -EBADMSG;
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
	int err = strlen(text) == size ? parse_records(text, text + size, &s) : -EBADMSG;

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

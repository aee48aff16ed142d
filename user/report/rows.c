// SPDX-License-Identifier: GPL-2.0
#include "report/rows.h"

#include <inttypes.h>
#include <string.h>

/* As seq_escape_str() does with the module's flags. */
static void put_escaped(FILE *out, const char *text)
{
	static const char bytes[] = "\n\r\t\v\f\a\033\\", letters[] = "nrtvfae\\";

	for (; *text; text++) {
		const char *special = strchr(bytes, *text);

		if (special)
			fprintf(out, "\\%c", letters[special - bytes]);
		else if (*text <= ' ' || *text > '~')
			fprintf(out, "\\%03o", (unsigned char)*text);
		else
			putc(*text, out);
	}
}

void rows_put_text(FILE *out, const char *text)
{
	putc(' ', out);
	if (!text || !*text)
		putc('-', out);
	else if (!strcmp(text, "-") || !strcmp(text, "="))
		fprintf(out, "\\%03o", *text);
	else
		put_escaped(out, text);
}

void rows_put_line(FILE *out, const char *name, const char *text)
{
	fputs(name, out);
	rows_put_text(out, text);
	putc('\n', out);
}

bool rows_same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* @was: the row had a text before. */
static void put_change(FILE *out, const char *text, bool was, const char *before)
{
	if (was && rows_same_text(text, before))
		fputs(" =", out);
	else
		rows_put_text(out, text);
}

static bool same_cgroup(const struct cgroup *a, const struct cgroup *b)
{
	return a->usage_kib == b->usage_kib && a->anon_kib == b->anon_kib &&
	       a->file_kib == b->file_kib && rows_same_text(a->path, b->path);
}

static void put_cgroup(FILE *out, const void *row, const void *row_before)
{
	const struct cgroup *now = row, *before = row_before;

	if (!now) {
		fprintf(out, "cgroup %" PRIu64 " gone\n", before->id);
		return;
	}
	if (before && same_cgroup(now, before))
		return;
	fprintf(out, "cgroup %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, now->id, now->usage_kib,
		now->anon_kib, now->file_kib);
	put_change(out, now->path, before, before ? before->path : NULL);
	putc('\n', out);
}

static bool same_process(const struct process *a, const struct process *b)
{
	return a->cgroup_id == b->cgroup_id && a->start_ns == b->start_ns &&
	       a->cpu_ns == b->cpu_ns && a->vsz_kib == b->vsz_kib && a->rss_kib == b->rss_kib &&
	       rows_same_text(a->comm, b->comm) && rows_same_text(a->cmdline, b->cmdline);
}

static void put_process(FILE *out, const void *row, const void *row_before)
{
	const struct process *now = row, *before = row_before;

	if (!now) {
		fprintf(out, "process %" PRIu64 " gone\n", before->pid);
		return;
	}
	if (before && same_process(now, before))
		return;
	fprintf(out, "process %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
		now->pid, now->cgroup_id, now->start_ns, now->cpu_ns, now->vsz_kib, now->rss_kib);
	put_change(out, now->comm, before, before ? before->comm : NULL);
	put_change(out, now->cmdline, before, before ? before->cmdline : NULL);
	putc('\n', out);
}

static void put_cpu(FILE *out, const void *row, const void *row_before)
{
	const struct cgroup_cpu_row *now = row, *before = row_before;

	if (!now)
		fprintf(out, "cpu %" PRIu64 " gone\n", before->cgroup_id);
	else if (!before || memcmp(&now->total, &before->total, sizeof(now->total)))
		fprintf(out, "cpu %" PRIu64 " %llu %llu %llu\n", now->cgroup_id,
			(unsigned long long)now->total.ran_ns,
			(unsigned long long)now->total.waited_ns,
			(unsigned long long)now->total.switches);
}

struct rows {
	const void *rows;
	size_t count;
};

static uint64_t key_of(const void *row)
{
	return *(const uint64_t *)row;
}

/* Walks two arrays of rows that ascend by their first member, and puts what has changed. */
static void put_changes(FILE *out, struct rows now, struct rows before, size_t size,
			void (*put)(FILE *out, const void *now, const void *before))
{
	const char *n = now.rows, *n_end = n + now.count * size;
	const char *b = before.rows, *b_end = b + before.count * size;

	while (n < n_end || b < b_end) {
		bool has_now = n < n_end && (b == b_end || key_of(n) <= key_of(b));
		bool has_before = b < b_end && (n == n_end || key_of(b) <= key_of(n));

		put(out, has_now ? n : NULL, has_before ? b : NULL);
		n += has_now ? size : 0;
		b += has_before ? size : 0;
	}
}

static void put_bpf(FILE *out, const struct cpu_reading *cpu)
{
	int cause;

	fprintf(out, "bpf %" PRIu64 " %" PRIu64, cpu->boottime_ns, cpu->missed);
	for (cause = 0; cause < LOST_CAUSES; cause++)
		fprintf(out, " %" PRIu64, cpu->lost[cause]);
	fputc('\n', out);
}

/* Of this reading alone, in its order: which of several cgroups of a container comes first matters. */
static void put_ended(FILE *out, const struct cpu_reading *cpu)
{
	size_t i;

	for (i = 0; i < cpu->ended_count; i++) {
		fprintf(out, "ended %" PRIu64, cpu->ended[i].cgroup_id);
		rows_put_text(out, cpu->ended[i].path);
		putc('\n', out);
	}
}

void rows_put_readings(FILE *out, const struct readings *now, const struct readings *before)
{
	const struct snapshot *s = &now->snapshot, *was = &before->snapshot;

	fprintf(out, "module %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", s->boottime_ns,
		s->memory.total_kib, s->memory.free_kib, s->memory.available_kib);
	put_changes(out, (struct rows){s->cgroups, s->cgroup_count},
		    (struct rows){was->cgroups, was->cgroup_count}, sizeof(struct cgroup),
		    put_cgroup);
	put_changes(out, (struct rows){s->processes, s->process_count},
		    (struct rows){was->processes, was->process_count}, sizeof(struct process),
		    put_process);
	put_bpf(out, &now->cpu);
	put_changes(out, (struct rows){now->cpu.rows, now->cpu.count},
		    (struct rows){before->cpu.rows, before->cpu.count},
		    sizeof(struct cgroup_cpu_row), put_cpu);
	put_ended(out, &now->cpu);
}

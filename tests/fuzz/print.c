// SPDX-License-Identifier: GPL-2.0
#include "tests/fuzz/print.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmod/sysinfo.h"
#include "util.h"

/* One byte as seq_escape_str() does with put_text()'s flags. */
static void print_byte(FILE *out, unsigned char byte)
{
	static const char bytes[] = "\n\r\t\v\f\a\033\\", letters[] = "nrtvfae\\";
	const char *special = strchr(bytes, byte);

	if (special)
		fprintf(out, "\\%c", letters[special - bytes]);
	else if (byte <= ' ' || byte > '~')
		fprintf(out, "\\%03o", byte);
	else
		putc(byte, out);
}

static void print_text(FILE *out, const char *text)
{
	putc(' ', out);
	if (!text)
		putc('-', out);
	else if (!strcmp(text, "-"))
		fputs("\\055", out);
	else
		for (; *text; text++)
			print_byte(out, (unsigned char)*text);
}

static void print_cgroup(FILE *out, const struct cgroup *cgroup)
{
	fprintf(out, "cgroup %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, cgroup->id,
		cgroup->usage_kib, cgroup->anon_kib, cgroup->file_kib);
	print_text(out, cgroup->path);
	putc('\n', out);
}

static void print_process(FILE *out, const struct process *process)
{
	fprintf(out, "process %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
		process->pid, process->cgroup_id, process->start_ns, process->cpu_ns,
		process->vsz_kib, process->rss_kib);
	print_text(out, process->comm);
	print_text(out, process->cmdline);
	putc('\n', out);
}

char *snapshot_print(const struct snapshot *s, size_t *ret_size)
{
	char *text;
	FILE *out = open_memstream(&text, ret_size);
	size_t i;

	if (!out)
		abort();
	fprintf(out, SYSINFO_NAME " %d %" PRIu64 "\n", SYSINFO_VERSION, s->boottime_ns);
	fprintf(out, "memory %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", s->memory.total_kib,
		s->memory.free_kib, s->memory.available_kib);
	for (i = 0; i < s->cgroup_count; i++)
		print_cgroup(out, &s->cgroups[i]);
	for (i = 0; i < s->process_count; i++)
		print_process(out, &s->processes[i]);
	fprintf(out, "end %zu %zu\n", s->cgroup_count, s->process_count);
	if (fclose(out))
		abort();
	return text;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Stands in for the BPF program: the counters come from the file $CMGR_FAULT_CPU, a line for each
 * cgroup, "<cgroup_id> <ran_ns> <waited_ns> <switches>", by ascending id. And for what the daemon's
 * doctor asks of a host, which has it all: the daemon then runs anywhere.
 */
#include <errno.h>
#include <inttypes.h>

#include "host.h"
#include "observe/cgroup_cpu.h"
#include "util.h"

struct cgroup_cpu_source {
	const char *path;
};

/* doctor.o calls this in place of host_look(). */
void fault_host_look(const char *root, const char *sysinfo, struct host *ret);

void fault_host_look(const char *root, const char *sysinfo, struct host *ret)
{
	host_look(root, sysinfo, ret);
	ret->is_root = ret->has_btf = ret->has_bpffs = true;
	ret->major = 6;
	ret->minor = 1;
	ret->cgroups = CGROUPS_V2;
}

int cgroup_cpu_open(const struct cgroup_cpu_sizes *sizes, struct cgroup_cpu_source **ret)
{
	struct cgroup_cpu_source *source = calloc(1, sizeof(*source));

	(void)sizes;
	if (!source)
		return -ENOMEM;
	source->path = getenv("CMGR_FAULT_CPU");
	*ret = source;
	return source->path ? 0 : -ENOENT;
}

void cgroup_cpu_close(struct cgroup_cpu_source *source)
{
	free(source);
}

int cgroup_cpu_unpin(void)
{
	return 0;
}

static int read_rows(FILE *file, struct cpu_reading *reading)
{
	struct cgroup_cpu_row row = {};
	uint64_t ran_ns, waited_ns, switches;

	while (fscanf(file, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &row.cgroup_id, &ran_ns,
		      &waited_ns, &switches) == 4) {
		row.total = (struct cgroup_cpu){
			.ran_ns = ran_ns, .waited_ns = waited_ns, .switches = switches};
		if (grow_array((void **)&reading->rows, reading->count, sizeof(row)))
			return -ENOMEM;
		reading->rows[reading->count++] = row;
	}
	return feof(file) ? 0 : -EBADMSG;
}

int cgroup_cpu_read(struct cgroup_cpu_source *source, struct cpu_reading *ret)
{
	struct cpu_reading reading = {.boottime_ns = boottime_ns()};
	_cleanup_fclose_ FILE *file = fopen(source->path, "re");
	int err = file ? read_rows(file, &reading) : -errno;

	if (err) {
		cpu_reading_free(&reading);
		return err;
	}
	*ret = reading;
	return 0;
}

void cpu_reading_free(struct cpu_reading *reading)
{
	free(reading->rows);
	*reading = (struct cpu_reading){};
}

const struct cgroup_cpu_row *cpu_reading_find(const struct cpu_reading *reading, uint64_t cgroup_id)
{
	size_t i;

	for (i = 0; i < reading->count; i++)
		if (reading->rows[i].cgroup_id == cgroup_id)
			return &reading->rows[i];
	return NULL;
}

void cgroup_cpu_forget(struct cgroup_cpu_source *source, uint64_t cgroup_id)
{
	(void)source;
	(void)cgroup_id;
}

int cgroup_cpu_cost(const struct cgroup_cpu_source *source, struct bpf_cost *ret)
{
	(void)source;
	(void)ret;
	return -ENODATA;
}

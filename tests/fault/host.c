// SPDX-License-Identifier: GPL-2.0
/*
 * Stands in for the BPF program: the counters come from the file $CMGR_FAULT_CPU, a line for each
 * cgroup, "<cgroup_id> <ran_ns> <waited_ns> <switches>", by ascending id. And for what the daemon's
 * doctor asks of a host, which has it all: the daemon then runs anywhere.
 *
 * And for the disk below the spool: while the file $CMGR_FAULT_DISK has a line "<call> <errno>", that
 * call fails so, and "short" in place of the number makes it write a few bytes only. The spool is small
 * and failures are soon tried again, where $CMGR_FAULT_SPOOL_BYTES and $CMGR_FAULT_BACKOFF_MS say so.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "observe/cgroup_cpu.h"
#include "report/limits.h"
#include "util.h"

#define SHORT_WRITE 7

struct cgroup_cpu_source {
	const char *path;
};

/* doctor.o calls these in place of the C library's. */
uid_t fault_geteuid(void);
int fault_statfs(const char *path, struct statfs *ret);
int fault_access(const char *path, int mode);
/* spool_file.o does. */
ssize_t fault_pwrite(int fd, const void *data, size_t size, off_t offset);
int fault_fsync(int fd);
int fault_ftruncate(int fd, off_t size);
int fault_openat(int fd, const char *path, int flags, ...);

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

const struct report_limits *report_limits(void)
{
	static struct report_limits limits;

	limits.spool_bytes = number_of("CMGR_FAULT_SPOOL_BYTES", 64UL << 20);
	limits.backoff_first_ms = number_of("CMGR_FAULT_BACKOFF_MS", 1000);
	limits.backoff_most_ms = number_of("CMGR_FAULT_BACKOFF_MS", 60000);
	return &limits;
}

/* The errno that @call is to fail with, -1 to be short, 0 to work. */
static int disk_fault(const char *call)
{
	const char *path = getenv("CMGR_FAULT_DISK");
	_cleanup_free_ char *text = NULL;
	char name[16], what[16];
	const char *line;
	size_t size;

	if (!path || read_file(path, 4096, &text, &size))
		return 0;
	for (line = text; line; line = strchr(line, '\n'), line += line ? 1 : 0)
		if (sscanf(line, "%15s %15s", name, what) == 2 && !strcmp(name, call))
			return strcmp(what, "short") ? atoi(what) : -1;
	return 0;
}

static bool disk_fails(const char *call)
{
	int fault = disk_fault(call);

	if (fault > 0)
		errno = fault;
	return fault > 0;
}

ssize_t fault_pwrite(int fd, const void *data, size_t size, off_t offset)
{
	int fault = disk_fault("pwrite");
	ssize_t written;

	if (!fault)
		return pwrite(fd, data, size, offset);
	written = pwrite(fd, data, fault < 0 && size > SHORT_WRITE ? SHORT_WRITE : (size + 1) / 2,
			 offset);
	if (fault < 0)
		return written;
	/* Half of it may be there nevertheless. */
	errno = fault;
	return -1;
}

int fault_fsync(int fd)
{
	return disk_fails("fsync") ? -1 : fsync(fd);
}

int fault_ftruncate(int fd, off_t size)
{
	return disk_fails("ftruncate") ? -1 : ftruncate(fd, size);
}

int fault_openat(int fd, const char *path, int flags, ...)
{
	return disk_fails("openat") ? -1 : openat(fd, path, flags, 0600);
}

uid_t fault_geteuid(void)
{
	return 0;
}

int fault_statfs(const char *path, struct statfs *ret)
{
	*ret = (struct statfs){
		.f_type = strcmp(path, "/sys/fs/bpf") ? CGROUP2_SUPER_MAGIC : BPF_FS_MAGIC,
	};
	return 0;
}

int fault_access(const char *path, int mode)
{
	return strncmp(path, "/sys/", 5) ? access(path, mode) : 0;
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

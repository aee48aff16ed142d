// SPDX-License-Identifier: GPL-2.0
/*
 * Stands in for the BPF program: the counters come from the file $CMGR_FAULT_CPU, a line for each
 * cgroup, "<cgroup_id> <ran_ns> <waited_ns> <switches>", by ascending id, then "lost <cause> <amount>" or
 * "missed <amount>" if anything was. And for what the daemon's
 * doctor asks of a host, which has it all: the daemon then runs anywhere.
 *
 * $CMGR_FAULT_SPEED: its clock and its timer run so many times faster. $CMGR_FAULT_YEAR: a file that, once
 * it is there, puts the wall clock forward by a year. $CMGR_FAULT_PINS: maps are pinned, as plain files.
 *
 * And for the disk below the spool: while the file $CMGR_FAULT_DISK has a line "<call> <errno>", that
 * call fails so, and "short" in place of the number makes it write a few bytes only. The spool is small
 * and failures are soon tried again, where $CMGR_FAULT_SPOOL_BYTES and $CMGR_FAULT_BACKOFF_MS say so.
 * The engine has $CMGR_FAULT_ACTION_MS for what it is asked to do. At each reading a line is added to the
 * file $CMGR_FAULT_HEAP: the bytes that the allocator has given out and not got back.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>

#include "engine/limits.h"
#include "host.h"
#include "observe/cgroup_cpu.h"
#include "observe/pins.h"
#include "report/limits.h"
#include "util.h"

#define SHORT_WRITE 7

struct cgroup_cpu_source {
	const char *path;
	int pins_fd;
};

/* util.o, main.o and pins.o call these in place of the real ones. */
int fault_clock_gettime(clockid_t clock, struct timespec *ret);
int fault_timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old);
int fault_bpf_map__pin(struct bpf_map *map, const char *path);
int fault_cgroup_cpu_unpin(void); /* the real one */

static uint64_t speed(void)
{
	const char *text = getenv("CMGR_FAULT_SPEED");

	return text ? strtoull(text, NULL, 10) : 1;
}

static uint64_t in_ns(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * NS_PER_S + (uint64_t)time->tv_nsec;
}

static struct timespec of_ns(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S),
				 .tv_nsec = (long)(ns % NS_PER_S)};
}

int fault_clock_gettime(clockid_t clock, struct timespec *ret)
{
	const char *year = getenv("CMGR_FAULT_YEAR");
	int err = clock_gettime(clock, ret);

	if (clock == CLOCK_BOOTTIME)
		*ret = of_ns(in_ns(ret) * speed());
	else if (year && !access(year, F_OK))
		ret->tv_sec += 365 * 86400;
	return err;
}

int fault_timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
	const struct itimerspec faster = {
		.it_interval = of_ns(in_ns(&new->it_interval) / speed()),
		.it_value = of_ns(in_ns(&new->it_value) / speed()),
	};

	return timerfd_settime(fd, flags, &faster, old);
}

int fault_bpf_map__pin(struct bpf_map *map, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	(void)map;
	return fd < 0 ? -errno : close(fd);
}

static bool pins(void)
{
	return getenv("CMGR_FAULT_PINS");
}

/* doctor.o calls this in place of host_look(). */
void fault_host_look(const char *root, const char *sysinfo, struct host *ret);
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

long action_timeout_ms(void)
{
	return (long)number_of("CMGR_FAULT_ACTION_MS", 60000);
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

void fault_host_look(const char *root, const char *sysinfo, struct host *ret)
{
	host_look(root, sysinfo, ret);
	ret->is_root = ret->has_btf = ret->has_bpffs = ret->has_memory_controller = true;
	ret->major = 6;
	ret->minor = 1;
	ret->cgroups = CGROUPS_V2;
}

int cgroup_cpu_open(const struct cgroup_cpu_sizes *sizes, struct cgroup_cpu_source **ret)
{
	struct cgroup_cpu_source *source = calloc(1, sizeof(*source));
	int err = 0;

	(void)sizes;
	if (!source)
		return -ENOMEM;
	source->path = getenv("CMGR_FAULT_CPU");
	source->pins_fd = pins() ? pins_lock() : -1;
	if (pins())
		err = source->pins_fd < 0 ? source->pins_fd : pins_replace(NULL, NULL);
	if (!err && !source->path)
		err = -ENOENT;
	if (err)
		cgroup_cpu_close(source);
	else
		*ret = source;
	return err;
}

void cgroup_cpu_close(struct cgroup_cpu_source *source)
{
	if (source && source->pins_fd >= 0)
		pins_remove(source->pins_fd);
	free(source);
}

int cgroup_cpu_unpin(void)
{
	return pins() ? fault_cgroup_cpu_unpin() : 0;
}

/* The size in the first element of @type at or after @text, as malloc_info(3) has it. */
static uint64_t heap_size(const char *text, const char *type)
{
	const char *element = strstr(text, type),
		   *size = element ? strstr(element, "size=\"") : NULL;

	return size ? strtoull(size + strlen("size=\""), NULL, 10) : 0;
}

/* Of all threads: the totals come after the heap of each. */
static void tell_heap(void)
{
	static char text[1 << 16];
	const char *path = getenv("CMGR_FAULT_HEAP"), *total = text, *heap;
	FILE *file = path ? fmemopen(text, sizeof(text), "w") : NULL;
	int fd;

	if (!file)
		return;
	malloc_info(0, file);
	fclose(file);
	while ((heap = strstr(total, "</heap>")))
		total = heap + 1;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	dprintf(fd, "%" PRIu64 "\n",
		heap_size(total, "<system type=\"current\"") -
			heap_size(total, "<total type=\"fast\"") -
			heap_size(total, "<total type=\"rest\""));
	close(fd);
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
	return 0;
}

static int read_losses(FILE *file, struct cpu_reading *reading)
{
	unsigned int cause;
	uint64_t amount;

	if (fscanf(file, "missed %" SCNu64 " ", &amount) == 1)
		reading->missed = amount;
	else if (fscanf(file, "lost %u %" SCNu64 " ", &cause, &amount) == 2 && cause < LOST_CAUSES)
		reading->lost[cause] = amount;
	return feof(file) ? 0 : -EBADMSG;
}

int cgroup_cpu_read(struct cgroup_cpu_source *source, struct cpu_reading *ret)
{
	struct cpu_reading reading = {.boottime_ns = boottime_ns()};
	_cleanup_fclose_ FILE *file = fopen(source->path, "re");
	int err = file ? read_rows(file, &reading) : -errno;

	tell_heap();
	if (!err)
		err = read_losses(file, &reading);
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

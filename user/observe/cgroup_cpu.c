// SPDX-License-Identifier: GPL-2.0
#include "observe/cgroup_cpu.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cgroup_cpu.skel.h"
#include "util.h"

#define PIN_CGROUP_CPU CGROUP_CPU_PIN_DIR "/cgroup_cpu"
#define PIN_LOST       CGROUP_CPU_PIN_DIR "/lost"

/* Entries that one system call copies. */
#define BATCH 1024

struct cgroup_cpu_source {
	struct cgroup_cpu_bpf *skel;
	int pins_fd;		   /* holds the lock */
	int cpus;		   /* possible CPUs: the length of a per-CPU value */
	uint64_t lost_tasks;	   /* when marks were last made */
	uint64_t *keys;		   /* BATCH of them */
	struct cgroup_cpu *values; /* BATCH × cpus */
};

/* The iterator does its work while it is read; it prints nothing. */
static int mark_tasks(const struct cgroup_cpu_source *source)
{
	_cleanup_close_ int fd = bpf_iter_create(bpf_link__fd(source->skel->links.mark_task));
	char nothing[1];

	if (fd < 0)
		return -errno;
	while (read(fd, nothing, sizeof(nothing)) < 0)
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	return 0;
}

/* Order matters: from on_newtask on no new task lacks a mark, then the old ones, then charging. */
static int attach(struct cgroup_cpu_source *source)
{
	struct cgroup_cpu_bpf *skel = source->skel;
	int err;

	skel->links.on_newtask = bpf_program__attach(skel->progs.on_newtask);
	if (!skel->links.on_newtask)
		return -errno;
	skel->links.mark_task = bpf_program__attach(skel->progs.mark_task);
	if (!skel->links.mark_task)
		return -errno;
	err = mark_tasks(source);
	if (err)
		return err;
	skel->links.on_switch = bpf_program__attach(skel->progs.on_switch);
	return skel->links.on_switch ? 0 : -errno;
}

/* The folder of the pins is also the lock: one daemon a kernel. Its descriptor, or -errno. */
static int try_lock_pins(void)
{
	struct stat held, named;
	int fd = open(CGROUP_CPU_PIN_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB))
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
	else if (fstat(fd, &held) || stat(CGROUP_CPU_PIN_DIR, &named) ||
		 held.st_ino != named.st_ino)
		err = -EAGAIN; /* the one before us has just removed it */
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

static int tell_pins(int err)
{
	if (err == -EBUSY)
		log_line("another cmgr-bpf is running (its pins are in " CGROUP_CPU_PIN_DIR ")");
	else if (err < 0)
		log_line("cannot use the folder " CGROUP_CPU_PIN_DIR ": %s", strerror(-err));
	return err;
}

static int lock_pins(void)
{
	int fd;

	do {
		int err = make_own_dir(CGROUP_CPU_PIN_DIR, 0700);

		if (err)
			return tell_pins(err);
		fd = try_lock_pins();
	} while (fd == -EAGAIN || fd == -ENOENT);
	return tell_pins(fd);
}

static void remove_pins(void)
{
	unlink(PIN_CGROUP_CPU);
	unlink(PIN_LOST);
}

int cgroup_cpu_unpin(void)
{
	_cleanup_close_ int fd = try_lock_pins();

	if (fd == -ENOENT || fd == -EAGAIN)
		return 0;
	if (fd < 0)
		return tell_pins(fd);
	remove_pins();
	return rmdir(CGROUP_CPU_PIN_DIR) ? tell_pins(-errno) : 0;
}

static int pin(const struct cgroup_cpu_bpf *skel)
{
	int err;

	remove_pins();
	err = bpf_map__pin(skel->maps.cgroup_cpu, PIN_CGROUP_CPU);
	if (!err)
		err = bpf_map__pin(skel->maps.lost, PIN_LOST);
	return err;
}

static int alloc_buffers(struct cgroup_cpu_source *source)
{
	source->cpus = libbpf_num_possible_cpus();
	if (source->cpus < 0)
		return source->cpus;
	source->keys = calloc(BATCH, sizeof(*source->keys));
	source->values = calloc(BATCH * (size_t)source->cpus, sizeof(*source->values));
	return source->keys && source->values ? 0 : -ENOMEM;
}

/* libbpf's own account of a failure, kept for the one line that tells it. */
static char libbpf_said[256];

static int keep_warning(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN && !*libbpf_said)
		vsnprintf(libbpf_said, sizeof(libbpf_said), format, args);
	return 0;
}

static int set_up(struct cgroup_cpu_source *source, const char **ret_doing)
{
	int err;

	*ret_doing = "load";
	source->skel = cgroup_cpu_bpf__open_and_load();
	if (!source->skel)
		return -errno;
	*ret_doing = "read";
	err = alloc_buffers(source);
	if (err)
		return err;
	*ret_doing = "attach";
	err = attach(source);
	if (err)
		return err;
	*ret_doing = "pin";
	return pin(source->skel);
}

int cgroup_cpu_open(struct cgroup_cpu_source **ret)
{
	struct cgroup_cpu_source *source = calloc(1, sizeof(*source));
	const char *doing;
	int err;

	if (!source)
		return -ENOMEM;
	source->pins_fd = lock_pins();
	if (source->pins_fd < 0) {
		err = source->pins_fd;
		free(source);
		return err;
	}
	libbpf_set_print(keep_warning);
	err = set_up(source, &doing);
	if (err) {
		libbpf_said[strcspn(libbpf_said, "\n")] = '\0';
		log_line("cannot %s the BPF program: %s; %s", doing, strerror(-err),
			 *libbpf_said ? libbpf_said : "see the kernel log (dmesg)");
		cgroup_cpu_close(source);
		return err;
	}
	*ret = source;
	return 0;
}

void cgroup_cpu_close(struct cgroup_cpu_source *source)
{
	if (!source)
		return;
	remove_pins();
	rmdir(CGROUP_CPU_PIN_DIR);
	close(source->pins_fd);
	cgroup_cpu_bpf__destroy(source->skel);
	free(source->keys);
	free(source->values);
	free(source);
}

/* The task that runs on each CPU now is charged by a test run there. An offline CPU has none. */
static int flush(const struct cgroup_cpu_source *source)
{
	int fd = bpf_program__fd(source->skel->progs.flush_cpu), cpu, err;

	for (cpu = 0; cpu < source->cpus; cpu++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .flags = BPF_F_TEST_RUN_ON_CPU,
			    .cpu = (unsigned int)cpu);

		err = bpf_prog_test_run_opts(fd, &opts);
		if (err && err != -ENXIO)
			return err;
	}
	return 0;
}

static int read_lost(struct cgroup_cpu_source *source, uint32_t cause, uint64_t *ret)
{
	_cleanup_free_ uint64_t *counts = calloc((size_t)source->cpus, sizeof(*counts));
	int cpu, err;

	if (!counts)
		return -ENOMEM;
	err = bpf_map__lookup_elem(source->skel->maps.lost, &cause, sizeof(cause), counts,
				   (size_t)source->cpus * sizeof(*counts), 0);
	if (err)
		return err;
	*ret = 0;
	for (cpu = 0; cpu < source->cpus; cpu++)
		*ret += counts[cpu];
	return 0;
}

static struct cgroup_cpu sum(const struct cgroup_cpu *values, int cpus)
{
	struct cgroup_cpu total = {};
	int cpu;

	for (cpu = 0; cpu < cpus; cpu++) {
		total.ran_ns += values[cpu].ran_ns;
		total.waited_ns += values[cpu].waited_ns;
		total.switches += values[cpu].switches;
	}
	return total;
}

static int add_rows(struct cgroup_cpu_source *source, size_t count, struct cpu_reading *reading)
{
	size_t i;

	for (i = 0; i < count; i++) {
		struct cgroup_cpu_row row = {
			.cgroup_id = source->keys[i],
			.total = sum(source->values + i * (size_t)source->cpus, source->cpus),
		};

		if (grow_array((void **)&reading->rows, reading->count, sizeof(row)))
			return -ENOMEM;
		reading->rows[reading->count++] = row;
	}
	return 0;
}

static int read_rows(struct cgroup_cpu_source *source, struct cpu_reading *reading)
{
	int fd = bpf_map__fd(source->skel->maps.cgroup_cpu), err = 0;
	uint32_t position, count;
	bool first = true;

	while (!err) {
		int last;

		count = BATCH;
		last = bpf_map_lookup_batch(fd, first ? NULL : &position, &position, source->keys,
					    source->values, &count, NULL);
		if (last && last != -ENOENT)
			return last;
		err = add_rows(source, count, reading);
		if (last)
			break;
		first = false;
	}
	return err;
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = ((const struct cgroup_cpu_row *)a)->cgroup_id;
	uint64_t y = ((const struct cgroup_cpu_row *)b)->cgroup_id;

	return (x > y) - (x < y);
}

/* Tasks without a mark would be lost for good: give them one, so that the next window is whole. */
static int count_lost(struct cgroup_cpu_source *source, uint64_t *ret)
{
	uint64_t tasks, cgroups;
	int err = read_lost(source, LOST_TASK, &tasks);

	if (!err)
		err = read_lost(source, LOST_CGROUP, &cgroups);
	if (!err && tasks != source->lost_tasks) {
		source->lost_tasks = tasks;
		err = mark_tasks(source);
	}
	if (!err)
		*ret = tasks + cgroups;
	return err;
}

int cgroup_cpu_read(struct cgroup_cpu_source *source, struct cpu_reading *ret)
{
	struct cpu_reading reading = {.boottime_ns = boottime_ns()};
	int err = flush(source);

	if (!err)
		err = read_rows(source, &reading);
	if (!err)
		err = count_lost(source, &reading.lost);
	if (err) {
		cpu_reading_free(&reading);
		return err;
	}
	qsort(reading.rows, reading.count, sizeof(*reading.rows), by_id);
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
	struct cgroup_cpu_row key = {.cgroup_id = cgroup_id};

	if (!reading->count)
		return NULL;
	return bsearch(&key, reading->rows, reading->count, sizeof(key), by_id);
}

void cgroup_cpu_forget(struct cgroup_cpu_source *source, uint64_t cgroup_id)
{
	bpf_map__delete_elem(source->skel->maps.cgroup_cpu, &cgroup_id, sizeof(cgroup_id), 0);
}

int cgroup_cpu_cost(const struct cgroup_cpu_source *source, struct bpf_cost *ret)
{
	const struct bpf_program *programs[] = {
		source->skel->progs.on_switch,
		source->skel->progs.on_newtask,
		source->skel->progs.flush_cpu,
	};
	struct bpf_cost cost = {};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(programs); i++) {
		struct bpf_prog_info info = {};
		uint32_t size = sizeof(info);

		if (bpf_obj_get_info_by_fd(bpf_program__fd(programs[i]), &info, &size))
			return -errno;
		cost.run_ns += info.run_time_ns;
		cost.runs += info.run_cnt;
	}
	*ret = cost;
	return 0;
}

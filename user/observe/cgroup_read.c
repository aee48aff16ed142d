// SPDX-License-Identifier: GPL-2.0
#include "observe/cgroup_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "util.h"

/* Entries that one system call copies. */
#define BATCH	    1024
#define ENDED_BATCH 128

int cgroup_read_init(struct cgroup_cpu_source *source)
{
	int cpus = libbpf_num_possible_cpus();

	if (cpus < 0)
		return cpus;
	source->cpus = (size_t)cpus;
	source->keys = calloc(BATCH, sizeof(*source->keys));
	source->values = calloc(BATCH * source->cpus, sizeof(*source->values));
	source->ends = calloc(ENDED_BATCH, sizeof(*source->ends));
	return source->keys && source->values && source->ends ? 0 : -ENOMEM;
}

/* 0, -ENXIO (no such CPU, or offline) or another -errno. */
static int flush_cpu(const struct cgroup_cpu_source *source, unsigned int cpu)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .flags = BPF_F_TEST_RUN_ON_CPU, .cpu = cpu);

	return bpf_prog_test_run_opts(bpf_program__fd(source->skel->progs.flush_cpu), &opts);
}

/* Nothing runs on an offline CPU, but what ran there may be in its cache still. */
static int drain_cpu(struct cgroup_cpu_source *source, unsigned int cpu)
{
	uint64_t argument = cpu;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &argument, .ctx_size_in = sizeof(argument));
	int err = bpf_prog_test_run_opts(bpf_program__fd(source->skel->progs.drain_cpu), &opts);

	if (!err && flush_cpu(source, cpu) != -ENXIO)
		source->drain_races++;
	return err;
}

/* Charges the slice in flight of each CPU and empties its cache. */
static int flush(struct cgroup_cpu_source *source)
{
	unsigned int cpu;
	int err = 0;

	for (cpu = 0; !err && cpu < source->cpu_end; cpu++) {
		err = flush_cpu(source, cpu);
		if (err == -ENXIO)
			err = drain_cpu(source, cpu);
	}
	return err;
}

static struct cgroup_cpu sum(const struct cgroup_cpu *values, size_t cpus)
{
	struct cgroup_cpu total = {};
	size_t cpu;

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
			.total = sum(source->values + i * source->cpus, source->cpus),
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

static int read_ended(struct cgroup_cpu_source *source, struct cpu_reading *reading)
{
	struct cgroup_end *ends = source->ends;
	int fd = bpf_map__fd(source->skel->maps.ended), last = 0;
	uint32_t position, count, i;
	void *in = NULL;

	for (; !last; in = &position) {
		count = ENDED_BATCH;
		last = bpf_map_lookup_and_delete_batch(fd, in, &position, source->keys, ends,
						       &count, NULL);
		if (last && last != -ENOENT)
			return last;
		for (i = 0; i < count; i++) {
			struct ended_cgroup ended = {.cgroup_id = source->keys[i]};

			if (grow_array((void **)&reading->ended, reading->ended_count,
				       sizeof(ended)))
				return -ENOMEM;
			memcpy(ended.path, ends[i].path, sizeof(ended.path) - 1);
			reading->ended[reading->ended_count++] = ended;
		}
	}
	return 0;
}

static int read_lost(const struct cgroup_cpu_source *source, struct cpu_reading *reading)
{
	uint64_t *counts = (uint64_t *)source->values; /* less than a batch of those */
	uint32_t causes[LOST_CAUSES], position, count = LOST_CAUSES, i;
	int err = bpf_map_lookup_batch(bpf_map__fd(source->skel->maps.lost), NULL, &position,
				       causes, counts, &count, NULL);
	size_t cpu;

	if (err && err != -ENOENT)
		return err;
	if (count != LOST_CAUSES)
		return -EIO;
	for (i = 0; i < count; i++)
		for (cpu = 0; cpu < source->cpus; cpu++)
			reading->lost[causes[i]] += counts[i * source->cpus + cpu];
	return 0;
}

/*
 * Runs that the kernel left out, because the program was running on that CPU. Those of on_newtask and of
 * on_exec, which from Linux 7.3 on another task may interrupt, are not among them: on_wakeup_new makes up
 * for a birth, and where it cannot, the task is lost and counted; after an exec that was not told of, the
 * mark is found where it was.
 */
static int read_missed(const struct cgroup_cpu_source *source, uint64_t *ret)
{
	const struct bpf_program *attached[] = {
		source->skel->progs.on_switch, source->skel->progs.on_wakeup_new,
		source->skel->progs.on_free,   source->skel->progs.on_move,
		source->skel->progs.on_rmdir,  source->skel->progs.on_move_task,
	};
	size_t i;

	*ret = source->drain_races;
	for (i = 0; i < ARRAY_SIZE(attached); i++) {
		struct bpf_prog_info info = {};
		uint32_t size = sizeof(info);

		if (!bpf_program__autoload(attached[i])) /* not on this kernel */
			continue;
		if (bpf_obj_get_info_by_fd(bpf_program__fd(attached[i]), &info, &size))
			return -errno;
		*ret += info.recursion_misses;
	}
	return 0;
}

/* Tasks without a mark would be lost for good: give them one, so that the next window is whole. */
static int read_all_lost(struct cgroup_cpu_source *source, struct cpu_reading *reading)
{
	int err = read_missed(source, &reading->missed);

	if (!err)
		err = read_lost(source, reading);
	if (!err && reading->lost[LOST_TASK] != source->lost_tasks) {
		source->lost_tasks = reading->lost[LOST_TASK];
		err = cgroup_cpu_mark_tasks(source);
	}
	return err;
}

int cgroup_cpu_read(struct cgroup_cpu_source *source, struct cpu_reading *ret)
{
	struct cpu_reading reading = {.boottime_ns = boottime_ns()};
	int err = flush(source);

	if (!err)
		err = read_rows(source, &reading);
	if (!err)
		err = read_all_lost(source, &reading);
	if (!err)
		err = read_ended(source, &reading); /* last: it takes them away */
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
	free(reading->ended);
	*reading = (struct cpu_reading){};
}

const struct cgroup_cpu_row *cpu_reading_find(const struct cpu_reading *reading, uint64_t cgroup_id)
{
	struct cgroup_cpu_row key = {.cgroup_id = cgroup_id};

	if (!reading->count)
		return NULL;
	return bsearch(&key, reading->rows, reading->count, sizeof(key), by_id);
}

// SPDX-License-Identifier: GPL-2.0
#include "observe/cgroup_source.h"

#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "observe/pins.h"
#include "util.h"

#define MIN_CGROUPS 1024

/* The iterator does its work while it is read; it prints nothing. */
int cgroup_cpu_mark_tasks(const struct cgroup_cpu_source *source)
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

static int attach_one(struct bpf_program *program, struct bpf_link **ret)
{
	*ret = bpf_program__attach(program);
	return *ret ? 0 : -errno;
}

/* Where it cannot be had, on_move tells of the same a little later. */
static void attach_early(struct cgroup_cpu_bpf *skel)
{
	if (bpf_program__autoload(skel->progs.on_move_task))
		skel->links.on_move_task = bpf_program__attach(skel->progs.on_move_task);
}

/*
 * Order matters: a mark is given up from on_free on and no new task lacks one from on_newtask on;
 * then the old ones get theirs, then charging begins.
 */
static int attach(struct cgroup_cpu_source *source)
{
	struct cgroup_cpu_bpf *skel = source->skel;
	int err = attach_one(skel->progs.on_free, &skel->links.on_free);

	if (!err)
		err = attach_one(skel->progs.on_newtask, &skel->links.on_newtask);
	if (!err)
		err = attach_one(skel->progs.on_wakeup_new, &skel->links.on_wakeup_new);
	if (!err)
		err = attach_one(skel->progs.on_exec, &skel->links.on_exec);
	if (!err)
		err = attach_one(skel->progs.on_move, &skel->links.on_move);
	if (!err)
		attach_early(skel);
	if (!err)
		err = attach_one(skel->progs.on_rmdir, &skel->links.on_rmdir);
	if (!err)
		err = attach_one(skel->progs.mark_task, &skel->links.mark_task);
	if (!err)
		err = cgroup_cpu_mark_tasks(source);
	skel->bss->charging = true;
	if (!err)
		err = attach_one(skel->progs.on_switch, &skel->links.on_switch);
	return err;
}

/* libbpf's own account of a failure, kept for the one line that tells it. */
static char libbpf_said[256];

static int keep_warning(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN && !*libbpf_said)
		vsnprintf(libbpf_said, sizeof(libbpf_said), format, args);
	return 0;
}

/* /sys/devices/system/cpu/possible: 0-3,8-11 */
static int read_cpu_end(unsigned int *ret)
{
	_cleanup_free_ char *text = NULL;
	const char *last;
	uint64_t number;
	size_t size;
	int err = read_file("/sys/devices/system/cpu/possible", 4096, &text, &size);

	if (err)
		return err;
	text[strcspn(text, "\n")] = '\0';
	for (last = text + strlen(text); last > text && !strchr("-,", last[-1]); last--)
		;
	err = parse_u64(last, 0, UINT16_MAX, &number);
	if (!err)
		*ret = (unsigned int)number + 1;
	return err;
}

/* A value for each possible CPU, of which a small virtual machine may have hundreds: 1 % of memory. */
static uint32_t cgroups_that_fit(const struct cgroup_cpu_source *source)
{
	uint32_t cgroups = bpf_map__max_entries(source->skel->maps.cgroup_cpu);
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
	uint64_t limit = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page / 100 : 0;

	while (cgroups > MIN_CGROUPS &&
	       cgroups * sizeof(struct cgroup_cpu) * source->cpu_end > limit)
		cgroups /= 2;
	return cgroups;
}

static int set_sizes(struct cgroup_cpu_source *source, const struct cgroup_cpu_sizes *sizes)
{
	struct cgroup_cpu_bpf *skel = source->skel;
	int err = bpf_map__set_max_entries(skel->maps.caches, source->cpu_end);

	if (!err)
		err = bpf_map__set_max_entries(skel->maps.cgroup_cpu,
					       sizes && sizes->cgroups ? sizes->cgroups
								       : cgroups_that_fit(source));
	if (!err && sizes && sizes->ended)
		err = bpf_map__set_max_entries(skel->maps.ended, sizes->ended);
	return err;
}

static int load_once(struct cgroup_cpu_source *source, const struct cgroup_cpu_sizes *sizes,
		     bool early)
{
	int err;

	cgroup_cpu_bpf__destroy(source->skel);
	source->skel = cgroup_cpu_bpf__open();
	if (!source->skel)
		return -errno;
	bpf_program__set_autoload(source->skel->progs.on_move_task, early);
	err = set_sizes(source, sizes);
	return err ? err : cgroup_cpu_bpf__load(source->skel);
}

/* Why a kernel refuses on_move_task it does not tell: without that function, or without trampolines. */
static int load(struct cgroup_cpu_source *source, const struct cgroup_cpu_sizes *sizes)
{
	int err = read_cpu_end(&source->cpu_end);

	if (err || !load_once(source, sizes, true))
		return err;
	*libbpf_said = '\0';
	return load_once(source, sizes, false);
}

static int set_up(struct cgroup_cpu_source *source, const struct cgroup_cpu_sizes *sizes,
		  const char **ret_doing)
{
	int err;

	*ret_doing = "load";
	err = load(source, sizes);
	if (err)
		return err;
	*ret_doing = "read";
	err = cgroup_read_init(source);
	if (err)
		return err;
	*ret_doing = "attach";
	err = attach(source);
	if (err)
		return err;
	*ret_doing = "pin";
	return pins_replace(source->skel->maps.cgroup_cpu, source->skel->maps.lost);
}

int cgroup_cpu_open(const struct cgroup_cpu_sizes *sizes, struct cgroup_cpu_source **ret)
{
	struct cgroup_cpu_source *source = calloc(1, sizeof(*source));
	const char *doing;
	int err;

	if (!source)
		return -ENOMEM;
	source->pins_fd = pins_lock();
	if (source->pins_fd < 0) {
		err = source->pins_fd;
		free(source);
		return err;
	}
	libbpf_set_print(keep_warning);
	err = set_up(source, sizes, &doing);
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
	pins_remove(source->pins_fd);
	cgroup_cpu_bpf__destroy(source->skel);
	free(source->keys);
	free(source->values);
	free(source->ends);
	free(source);
}

void cgroup_cpu_forget(struct cgroup_cpu_source *source, uint64_t cgroup_id)
{
	bpf_map__delete_elem(source->skel->maps.cgroup_cpu, &cgroup_id, sizeof(cgroup_id), 0);
}

int cgroup_cpu_cost(const struct cgroup_cpu_source *source, struct bpf_cost *ret)
{
	struct bpf_program *program;
	struct bpf_cost cost = {};

	bpf_object__for_each_program(program, source->skel->obj)
	{
		struct bpf_prog_info info = {};
		uint32_t size = sizeof(info);

		if (!bpf_program__autoload(program))
			continue;
		if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
			return -errno;
		cost.run_ns += info.run_time_ns;
		cost.runs += info.run_cnt;
	}
	*ret = cost;
	return 0;
}

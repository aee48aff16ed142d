/* SPDX-License-Identifier: GPL-2.0 */
/* One reading of the kernel module's /proc/sysinfo; the format is told in kmod/sysinfo.h. */
#ifndef CMGR_OBSERVE_SYSINFO_H
#define CMGR_OBSERVE_SYSINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory {
	uint64_t total_kib;
	uint64_t free_kib;
	uint64_t available_kib;
};

struct cgroup {
	uint64_t id;
	uint64_t usage_kib; /* with all below it */
	uint64_t anon_kib;  /* its own */
	uint64_t file_kib;  /* its own */
	const char *path;   /* any bytes; NULL: could not be had */
};

struct process {
	uint64_t pid;
	uint64_t cgroup_id;
	uint64_t start_ns; /* CLOCK_BOOTTIME */
	uint64_t cpu_ns;
	uint64_t vsz_kib;
	uint64_t rss_kib;
	const char *comm;    /* any bytes; NULL: empty */
	const char *cmdline; /* any bytes; NULL: not given */
};

struct snapshot {
	uint64_t boottime_ns;
	struct memory memory;
	struct cgroup *cgroups; /* by ascending id, each once */
	size_t cgroup_count;
	struct process *processes; /* by ascending PID, each once */
	size_t process_count;
	char *text; /* holds the strings above */
};

/*
 * Parses @text (NUL-terminated, @size bytes before it), which is changed and kept in @ret. Takes what
 * the module writes, byte by byte, and records of unknown kinds anywhere between head and end.
 * 0, -EBADMSG (damaged or partial), -EPROTONOSUPPORT (another version) or -ENOMEM; @ret is untouched
 * and @text still the caller's unless 0.
 */
int snapshot_parse(char *text, size_t size, struct snapshot *ret);

/* Reads and parses @path. As snapshot_parse(), and the errors of open() and read(). */
int snapshot_read(const char *path, struct snapshot *ret);

void snapshot_free(struct snapshot *snapshot);

/* The cgroup with @id, or NULL. */
const struct cgroup *snapshot_cgroup(const struct snapshot *snapshot, uint64_t id);

/*
 * The 64 digits of the outermost container in a cgroup path, or NULL: a path that a container made
 * inside its own cgroup cannot name another. *ret_is_top: nothing of the path lies below it.
 */
const char *container_id_in(const char *path, bool *ret_is_top);

#endif

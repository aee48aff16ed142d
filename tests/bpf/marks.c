// SPDX-License-Identifier: GPL-2.0
#include "cases.h"

#include <err.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "util.h"

#define FIRST_TASK 3 /* the first word of a mark: free, taken, left; or of a task */
#define TRIES	   1000

struct places {
	size_t tasks, others;
};

/* The newest map of that name is this program's. */
static int open_marks(struct bpf_map_info *info)
{
	int marks = -1;
	uint32_t id = 0;

	while (!bpf_map_get_next_id(id, &id)) {
		struct bpf_map_info next = {};
		uint32_t size = sizeof(next);
		int fd = bpf_map_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (bpf_obj_get_info_by_fd(fd, &next, &size) || strcmp(next.name, "marks")) {
			close(fd);
			continue;
		}
		if (marks >= 0)
			close(marks);
		marks = fd;
		*info = next;
	}
	return marks;
}

static struct places count_places(void)
{
	struct bpf_map_info info = {};
	_cleanup_close_ int fd = open_marks(&info);
	size_t size = (size_t)info.max_entries * info.value_size, at;
	struct places places = {};
	char *marks;

	if (fd < 0)
		errx(1, "the program has no map \"marks\"");
	marks = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (marks == MAP_FAILED)
		err(1, "mmap of the map \"marks\"");
	for (at = 0; at < size; at += info.value_size) {
		uint64_t task = *(volatile uint64_t *)(marks + at);

		places.tasks += task >= FIRST_TASK;
		places.others += task && task < FIRST_TASK;
	}
	munmap(marks, size);
	return places;
}

void check_marks(struct test *test)
{
	struct sysinfo host; /* .procs: threads, those of the kernel too */
	struct places places;
	size_t tries = TRIES;

	do {
		usleep(10000); /* what has ended is freed a while later */
		places = count_places();
		if (sysinfo(&host))
			err(1, "sysinfo");
	} while ((places.others || places.tasks > host.procs) && --tries);
	printf("%-9s %-10s %12zu %12u\n", test->name, "marks", places.tasks, host.procs);
	if (!tries)
		tell_missed(test, "places are still taken by tasks that have ended");
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Loads a program, says "ready", and unloads it when stdin ends: hold ours|empty
 */
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "observe/cgroup_cpu.h"

#include "empty.skel.h"

int main(int argc, char **argv)
{
	struct cgroup_cpu_source *ours = NULL;
	struct empty_bpf *empty = NULL;
	char nothing;

	if (argc != 2)
		errx(2, "usage: hold ours|empty");
	if (!strcmp(argv[1], "ours")) {
		if (cgroup_cpu_open(NULL, &ours))
			return 1;
	} else {
		empty = empty_bpf__open_and_load();
		if (!empty || empty_bpf__attach(empty))
			errx(1, "cannot load the empty program");
	}
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &nothing, 1) > 0)
		;
	cgroup_cpu_close(ours);
	empty_bpf__destroy(empty);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/* share N MIB: N processes that all touch the same shared memory. */
#include "ready.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

static void touch(char *memory, size_t size)
{
	for (size_t i = 0; i < size; i += 4096)
		__atomic_fetch_add(memory + i, 1, __ATOMIC_RELAXED);
}

static void start_sharer(char *memory, size_t size, int told)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	touch(memory, size);
	if (write(told, "", 1) != 1)
		fail("write");
	stay();
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1, pipes[2];
	size_t size = (argc > 2 ? strtoul(argv[2], NULL, 10) : 1) << 20;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char told;

	if (memory == MAP_FAILED || pipe(pipes))
		fail("share");
	touch(memory, size);
	for (int i = 1; i < n; i++)
		start_sharer(memory, size, pipes[1]);
	for (int i = 1; i < n; i++)
		if (read(pipes[0], &told, 1) != 1)
			fail("read");
	ready();
}

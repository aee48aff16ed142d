// SPDX-License-Identifier: GPL-2.0
/* spin N: N threads that never sleep; the first one is the process's own. */
#include "ready.h"

#include <pthread.h>

static void *spin(void *unused)
{
	for (volatile int forever = 1; forever;)
		;
	return unused;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1;
	pthread_t thread;

	for (int i = 1; i < n; i++)
		if (pthread_create(&thread, NULL, spin, NULL))
			fail("pthread_create");
	puts("ready");
	fflush(stdout);
	spin(NULL);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * threads N [leave]: N threads, each with pages of its own. With "leave" the first thread, whose ID
 * is the process's, exits: it stays a zombie as long as the others live.
 */
#include "ready.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

static pthread_barrier_t all_have_pages;

/* A number of pages that no per-thread batch of the kernel divides. */
static void *hold_pages(void *arg)
{
	size_t size = (37 + (size_t)arg % 5) * 4096;
	char *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		fail("mmap");
	memset(pages, 1, size);
	pthread_barrier_wait(&all_have_pages);
	stay();
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned int n = argc > 1 ? (unsigned int)atoi(argv[1]) : 1;
	pthread_t thread;

	pthread_barrier_init(&all_have_pages, NULL, n + 1);
	for (unsigned int i = 0; i < n; i++)
		if (pthread_create(&thread, NULL, hold_pages, (void *)(size_t)i))
			fail("pthread_create");
	pthread_barrier_wait(&all_have_pages);
	if (argc < 3)
		ready();
	puts("ready");
	fflush(stdout);
	pthread_exit(NULL);
}

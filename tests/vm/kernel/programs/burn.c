// SPDX-License-Identifier: GPL-2.0
/*
 * burn N MS: N threads one after another burn MS milliseconds of CPU and exit, N more burn as much
 * and sleep. Prints the nanoseconds that those which are gone had used by their own clocks.
 */
#include "ready.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

static long long burn_ns;
static pthread_barrier_t all_have_burnt;

static long long own_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void *burn_and_exit(void *used_ns)
{
	while (own_cpu_ns() < burn_ns)
		;
	/* At once: what the library does at the end of a thread would be on no clock that is read. */
	*(long long *)used_ns = own_cpu_ns();
	syscall(SYS_exit, 0);
	return NULL;
}

static void *burn_and_sleep(void *unused)
{
	while (own_cpu_ns() < burn_ns)
		;
	pthread_barrier_wait(&all_have_burnt);
	stay();
	return unused;
}

int main(int argc, char **argv)
{
	unsigned int n = argc > 1 ? (unsigned int)atoi(argv[1]) : 1;
	long long used_ns, gone_ns = 0;
	pthread_t thread;

	burn_ns = (argc > 2 ? atoll(argv[2]) : 1) * 1000000;
	pthread_barrier_init(&all_have_burnt, NULL, n + 1);
	for (unsigned int i = 0; i < n; i++) {
		if (pthread_create(&thread, NULL, burn_and_exit, &used_ns) ||
		    pthread_join(thread, NULL))
			fail("pthread_create");
		gone_ns += used_ns;
	}
	for (unsigned int i = 0; i < n; i++)
		if (pthread_create(&thread, NULL, burn_and_sleep, NULL))
			fail("pthread_create");
	pthread_barrier_wait(&all_have_burnt);
	printf("%lld\n", gone_ns);
	fflush(stdout);
	stay();
}

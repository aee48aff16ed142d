// SPDX-License-Identifier: GPL-2.0
/* Burns WORKLOAD_DUTY percent of one CPU (1-100, default 100). */
#include <time.h>

#include "../workload.h"

#define PERIOD_NS 20000000LL
#define SECOND_NS 1000000000LL

static long long clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * SECOND_NS + ts.tv_nsec;
}

static void sleep_until(long long due_ns)
{
	struct timespec ts = {.tv_sec = due_ns / SECOND_NS, .tv_nsec = due_ns % SECOND_NS};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

/* The CPU clock decides, so the duty holds when other processes take turns, and what the loop and
 * the sleep cost is part of it. After starvation it starts afresh instead of catching up. */
static void burn(long duty)
{
	long long due_ns = clock_ns(CLOCK_MONOTONIC);
	long long cpu_goal_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	for (;;) {
		cpu_goal_ns += PERIOD_NS * duty / 100;
		while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < cpu_goal_ns)
			;
		due_ns += PERIOD_NS;
		if (clock_ns(CLOCK_MONOTONIC) > due_ns + 5 * PERIOD_NS) {
			due_ns = clock_ns(CLOCK_MONOTONIC);
			cpu_goal_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		}
		if (duty < 100)
			sleep_until(due_ns);
	}
}

int main(void)
{
	long duty = workload_number("WORKLOAD_DUTY", 100, 1, 100);

	workload_end_on_term();
	burn(duty);
}

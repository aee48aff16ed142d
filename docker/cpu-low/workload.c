// SPDX-License-Identifier: GPL-2.0
/* Nearly idle: wakes every WORKLOAD_SLEEP_S seconds (1-86400, default 5) for a little work. */
#include "../workload.h"

#define STEPS 100000UL

int main(void)
{
	long pause_s = workload_number("WORKLOAD_SLEEP_S", 5, 1, 86400);
	volatile unsigned long sum = 0;
	unsigned long i;

	workload_end_on_term();
	for (;;) {
		sleep((unsigned int)pause_s);
		for (i = 0; i < STEPS; i++)
			sum = sum + i;
	}
}

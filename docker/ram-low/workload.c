// SPDX-License-Identifier: GPL-2.0
/* Holds about 1 MiB of memory, every byte written, and waits. */
#include "../workload.h"

#define HELD_BYTES (1024UL * 1024UL)

static unsigned char held[HELD_BYTES];

int main(void)
{
	size_t i;

	workload_end_on_term();
	for (i = 0; i < HELD_BYTES; i++)
		((volatile unsigned char *)held)[i] = 1;
	for (;;)
		pause();
}

// SPDX-License-Identifier: GPL-2.0
/* Holds WORKLOAD_MIB MiB of anonymous memory (1-1024, default 64), every page written, and waits. */
#include <sys/mman.h>

#include "../workload.h"

#define MIB (1024UL * 1024UL)

int main(void)
{
	size_t size = (size_t)workload_number("WORKLOAD_MIB", 64, 1, 1024) * MIB;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t at;
	unsigned char *memory;

	workload_end_on_term();
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("workload: mmap");
		return 1;
	}
	for (at = 0; at < size; at += page)
		((volatile unsigned char *)memory)[at] = (unsigned char)(at / page + 1);
	for (;;)
		pause();
}

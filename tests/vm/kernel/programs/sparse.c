// SPDX-License-Identifier: GPL-2.0
/* sparse: 2 GiB mapped; one page in 16 MiB written, one read (the kernel's shared page of zeros). */
#include "ready.h"

#include <sys/mman.h>

int main(void)
{
	const size_t size = 2UL << 30, step = 16UL << 20;
	volatile char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED || madvise((void *)memory, size, MADV_NOHUGEPAGE))
		fail("mmap");
	for (size_t i = 0; i < size; i += step) {
		memory[i] = 1;
		(void)memory[i + step / 2];
	}
	ready();
}

// SPDX-License-Identifier: GPL-2.0
/* lazyfree MIB: gives up so much anonymous memory with MADV_FREE, and uses all of it again. */
#include "ready.h"

#include <sys/mman.h>

static void touch(char *memory, size_t size)
{
	for (size_t i = 0; i < size; i += 4096)
		*(volatile size_t *)(memory + i) = i + 1;
}

int main(int argc, char **argv)
{
	size_t size = (argc > 1 ? strtoul(argv[1], NULL, 10) : 1) << 20;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fail("mmap");
	touch(memory, size);
	if (madvise(memory, size, MADV_FREE))
		fail("madvise");
	touch(memory, size);
	ready();
}

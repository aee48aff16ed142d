// SPDX-License-Identifier: GPL-2.0
/* anon MIB: holds so much anonymous memory, every page another. */
#include "ready.h"

#include <sys/mman.h>

int main(int argc, char **argv)
{
	size_t size = (argc > 1 ? strtoul(argv[1], NULL, 10) : 1) << 20;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fail("mmap");
	for (size_t i = 0; i < size; i += 4096)
		*(size_t *)(memory + i) = i + 1;
	ready();
}

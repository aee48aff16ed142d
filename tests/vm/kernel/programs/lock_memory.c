// SPDX-License-Identifier: GPL-2.0
/* lock_memory FILE MIB: locks a file's pages and so much anonymous memory. */
#include "ready.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
	int fd = open(argc > 1 ? argv[1] : "", O_RDONLY);
	size_t size = (argc > 2 ? strtoul(argv[2], NULL, 10) : 1) << 20;
	struct stat st;
	void *file, *anon;

	if (fd < 0 || fstat(fd, &st))
		fail("open");
	file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	anon = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (file == MAP_FAILED || anon == MAP_FAILED)
		fail("mmap");
	if (mlock(file, (size_t)st.st_size) || mlock(anon, size))
		fail("mlock");
	ready();
}

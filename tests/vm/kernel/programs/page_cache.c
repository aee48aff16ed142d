// SPDX-License-Identifier: GPL-2.0
/* page_cache FILE: reads the file to its end, as a container does that serves it. */
#include "ready.h"

#include <fcntl.h>

static char buffer[1 << 20];

int main(int argc, char **argv)
{
	int fd = open(argc > 1 ? argv[1] : "", O_RDONLY);
	ssize_t len;

	if (fd < 0)
		fail("open");
	while ((len = read(fd, buffer, sizeof(buffer))) > 0)
		;
	if (len < 0)
		fail("read");
	ready();
}

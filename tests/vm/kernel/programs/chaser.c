// SPDX-License-Identifier: GPL-2.0
/*
 * chaser BYTES: reads /proc/sysinfo by read()s of BYTES while the module comes and goes, until its
 * input ends. A reading ends well, or by EIO when the module went; a fault is anything else.
 * Prints "ready", and at the end "whole N cut N absent N", or "fault: ...".
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "reading.h"

static unsigned long whole, cut, absent;

static int read_once(struct reading *r, char *buffer, size_t size)
{
	int fd = open("/proc/sysinfo", O_RDONLY | O_CLOEXEC), err = 0;
	ssize_t n = 0;

	if (fd < 0) {
		absent++;
		return errno == ENOENT ? 0 : fault(r, strerror(errno));
	}
	reading_begin(r, PART_WHOLE);
	while (!err && (n = read(fd, buffer, size)) > 0)
		err = reading_feed(r, buffer, n);
	if (n < 0 && errno != EIO)
		err = fault(r, strerror(errno));
	/* Once the module is gone, every call says so, and none of them waits. */
	if (n < 0 && (read(fd, buffer, size) > 0 || pread(fd, buffer, size, 0) > 0))
		err = fault(r, "read after the module went");
	if (!err && !n)
		err = reading_end(r);
	whole += !n;
	cut += n < 0;
	close(fd);
	return err;
}

int main(int argc, char **argv)
{
	size_t size = argc == 2 ? strtoul(argv[1], NULL, 10) : 4096;
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	struct reading *r = reading_new("-");
	char *buffer = malloc(size);
	int err = 0;

	puts("ready");
	fflush(stdout);
	while (!err && !poll(&input, 1, 0))
		err = read_once(r, buffer, size);
	if (err)
		printf("fault: %s\n", r->fault);
	else
		printf("whole %lu cut %lu absent %lu\n", whole, cut, absent);
	return err ? 1 : 0;
}

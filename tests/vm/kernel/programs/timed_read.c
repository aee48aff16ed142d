// SPDX-License-Identifier: GPL-2.0
/* timed_read: "MILLISECONDS\n" that one reading of /proc/sysinfo took, and the reading. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_BYTES (64 << 20)

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(void)
{
	char *text = malloc(LIMIT_BYTES);
	long began_ms = now_ms();
	int fd = open("/proc/sysinfo", O_RDONLY | O_CLOEXEC);
	ssize_t bytes = 0, n;

	while ((n = read(fd, text + bytes, 65536)) > 0 && bytes < LIMIT_BYTES - 65536)
		bytes += n;
	if (n) {
		perror("/proc/sysinfo");
		return 1;
	}
	printf("%ld\n", now_ms() - began_ms);
	return fwrite(text, 1, bytes, stdout) != (size_t)bytes;
}

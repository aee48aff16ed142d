// SPDX-License-Identifier: GPL-2.0
/*
 * failnth SIZE: a reading of /proc/sysinfo by reads of SIZE bytes with its 1st allocation failing, then
 * its 2nd, and so on until none is left to fail. Each is whole, or ends with ENOMEM.
 * Needs CONFIG_FAULT_INJECTION.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum outcome { WHOLE, NO_MEMORY, WRONG };

static char text[8 << 20];

static void arm(int fd, int nth)
{
	char digits[16];
	int size = snprintf(digits, sizeof(digits), "%d", nth);

	if (pwrite(fd, digits, size, 0) != size) {
		perror("fail-nth");
		exit(2);
	}
}

/* Whether the allocation that was to fail has not been reached. */
static int disarm(int fd)
{
	char digits[16] = "";

	if (pread(fd, digits, sizeof(digits) - 1, 0) <= 0) {
		perror("fail-nth");
		exit(2);
	}
	arm(fd, 0);
	return atoi(digits) > 0;
}

static enum outcome judge(size_t size, int error)
{
	char *end;

	text[size] = '\0';
	if (error)
		return error == ENOMEM ? NO_MEMORY : WRONG;
	end = size ? memrchr(text, '\n', size - 1) : NULL;
	return end && !strncmp(end, "\nend ", 5) ? WHOLE : WRONG;
}

static enum outcome read_once(size_t part)
{
	size_t size = 0;
	ssize_t got = 0;
	int error, fd = open("/proc/sysinfo", O_RDONLY);

	if (fd < 0)
		return judge(0, errno);
	while (size + part < sizeof(text) && (got = read(fd, text + size, part)) > 0)
		size += (size_t)got;
	error = got < 0 ? errno : 0;
	close(fd);
	return judge(size, error);
}

int main(int argc, char **argv)
{
	int counts[3] = {}, fd = open("/proc/thread-self/fail-nth", O_RDWR), nth, over = 0;
	int part = argc == 2 ? atoi(argv[1]) : 0;

	if (fd < 0 || part <= 0) {
		perror("failnth SIZE");
		return 2;
	}
	for (nth = 1; !over; nth++) {
		enum outcome outcome;

		arm(fd, nth);
		outcome = read_once((size_t)part);
		over = disarm(fd);
		counts[outcome]++;
		if (outcome == WRONG)
			printf("allocation %d failed: %.200s\n", nth, text);
	}
	printf("allocations %d no-memory %d whole %d wrong %d\n", nth - 2, counts[NO_MEMORY],
	       counts[WHOLE], counts[WRONG]);
	return counts[WRONG] ? 1 : 0;
}

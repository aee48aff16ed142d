// SPDX-License-Identifier: GPL-2.0
/*
 * reader BYTES SECONDS SEED LIST: reads /proc/sysinfo again and again by read()s of BYTES, and judges
 * all that it gets. Between whole readings it abandons some, and starts some inside by pread().
 * Prints "ready", and at the end its counts as "name value ...", or what was wrong as "fault: ...".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "reading.h"

static const char path[] = "/proc/sysinfo";

struct reader {
	struct reading *reading;
	char *buffer;
	size_t size;
	int fd;
	unsigned long whole, reopened, rewound, abandoned, preads;
	uint64_t last_bytes, slowest_ms;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

/* Back to the first byte, by one way or the other. */
static int rewind_reading(struct reader *r)
{
	if (random() % 2) {
		r->rewound++;
		return lseek(r->fd, 0, SEEK_SET) ? fault(r->reading, "lseek") : 0;
	}
	r->reopened++;
	close(r->fd);
	r->fd = open(path, O_RDONLY | O_CLOEXEC);
	return r->fd < 0 ? fault(r->reading, "open") : 0;
}

/* Reads on until the end, or until @limit_bytes or @until_ms; returns 1 at the end, -1 at a fault. */
static int read_on(struct reader *r, off_t *offset, uint64_t limit_bytes, uint64_t until_ms)
{
	uint64_t got = 0;

	/* The clock may be slow to ask in a guest. */
	for (int i = 1; got < limit_bytes && (!until_ms || i % 64 || now_ms() < until_ms); i++) {
		ssize_t n = offset ? pread(r->fd, r->buffer, r->size, *offset)
				   : read(r->fd, r->buffer, r->size);

		if (n < 0)
			return fault(r->reading, strerror(errno));
		if (!n)
			return reading_end(r->reading) ? -1 : 1;
		if (reading_feed(r->reading, r->buffer, n))
			return -1;
		got += n;
		if (offset)
			*offset += n;
	}
	return 0;
}

/* A reading that has to be whole; before the first one is, @until_ms is not looked at. */
static int read_whole(struct reader *r, uint64_t until_ms)
{
	uint64_t began_ms = now_ms(), took_ms;
	int ended;

	reading_begin(r->reading, PART_WHOLE);
	if (rewind_reading(r))
		return -1;
	ended = read_on(r, NULL, UINT64_MAX, r->whole ? until_ms : 0);
	if (ended <= 0)
		return ended;
	took_ms = now_ms() - began_ms;
	r->whole++;
	r->last_bytes = r->reading->bytes;
	if (took_ms > r->slowest_ms)
		r->slowest_ms = took_ms;
	return 0;
}

static int read_and_abandon(struct reader *r, uint64_t until_ms)
{
	reading_begin(r->reading, PART_HEAD);
	if (rewind_reading(r))
		return -1;
	r->abandoned++;
	return read_on(r, NULL, 1 + random() % (r->size * 1000), until_ms) < 0 ? -1 : 0;
}

static int read_inside(struct reader *r, uint64_t until_ms)
{
	off_t offset = 1 + random() % (r->last_bytes + 1000);

	reading_begin(r->reading, PART_TAIL);
	r->preads++;
	return read_on(r, &offset, 1 + random() % (r->size * 1000), until_ms) < 0 ? -1 : 0;
}

static int read_until(struct reader *r, unsigned int turn, uint64_t until_ms)
{
	int err;

	/* A byte at a time is the most work: ahead of the others until there is a whole reading. */
	if (r->size == 1 && setpriority(PRIO_PROCESS, 0, -5))
		return fault(r->reading, "setpriority");
	err = read_whole(r, until_ms);
	setpriority(PRIO_PROCESS, 0, 0);
	while (!err && now_ms() < until_ms) {
		switch (turn++ % 4) {
		case 0:
			err = read_and_abandon(r, until_ms);
			break;
		case 1:
			err = read_inside(r, until_ms);
			break;
		default:
			err = read_whole(r, until_ms);
		}
	}
	return err;
}

int main(int argc, char **argv)
{
	struct reader r = {};
	unsigned int seed;
	int err;

	if (argc != 5)
		return 2;
	r.size = strtoul(argv[1], NULL, 10);
	seed = atoi(argv[3]);
	srandom(seed);
	r.reading = reading_new(argv[4]);
	r.buffer = malloc(r.size);
	r.fd = open(path, O_RDONLY | O_CLOEXEC);
	puts("ready");
	fflush(stdout);
	err = r.fd < 0 ? fault(r.reading, "open")
		       : read_until(&r, seed, now_ms() + atoi(argv[2]) * 1000ULL);
	if (err)
		printf("fault: %s\n", r.reading->fault);
	else
		printf("size %zu whole %lu reopened %lu rewound %lu abandoned %lu preads %lu "
		       "bytes %" PRIu64 " slowest_ms %" PRIu64 "\n",
		       r.size, r.whole, r.reopened, r.rewound, r.abandoned, r.preads, r.last_bytes,
		       r.slowest_ms);
	return err ? 1 : 0;
}

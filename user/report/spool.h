/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Records on disk until pygraph has acknowledged them: a file each, NUMBER.record, in the order of
 * their growing numbers. Its text is told in parts.h: what was decided is on disk for good before it is
 * carried out, and its outcomes follow. A record that cannot be written waits in memory, is sent from
 * there in its turn, and is written once that works again.
 *
 * NUMBER.rejected is one that pygraph refused, NUMBER.damaged one without a whole part or that the disk
 * could not read; both are tried again at each start. Beyond the limit these are deleted first, then
 * the oldest records.
 */
#ifndef CMGR_REPORT_SPOOL_H
#define CMGR_REPORT_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum spool_state {
	SPOOL_OPEN,  /* its outcomes are still to come */
	SPOOL_WAITS, /* to be sent */
	SPOOL_REJECTED,
	SPOOL_DAMAGED,
};

struct spool_entry {
	uint64_t number;
	enum spool_state state;
	size_t size; /* of its file */
	char *json;  /* what is not on disk; NULL: all is */
};

struct spool {
	char *dir;
	int fd;	       /* of the folder, locked: two daemons would use the same numbers */
	size_t limit;  /* bytes, of files and in memory */
	size_t bytes;  /* of all entries */
	uint64_t last; /* the number of the newest record ever put here */
	struct spool_entry *entries;
	size_t count;
	uint64_t sending; /* not to be dropped, it may be acknowledged; 0: none */
	uint64_t dropped; /* records, since it was opened */
};

/*
 * Opens or makes the folder @dir, and cuts off what a killed daemon could not finish. 0, -EWOULDBLOCK
 * (another daemon uses it) or another -errno.
 */
int spool_open(const char *dir, size_t limit, struct spool *ret);
/* Logs what is lost: records that are in memory only. */
void spool_close(struct spool *spool);

/*
 * Puts a record on disk for good, as it is decided; it is sent once it is completed. 0; or -errno, and it
 * is in memory, or lost after -ENOMEM.
 */
int spool_decide(struct spool *spool, const char *json);

/* The same with its outcomes. */
int spool_complete(struct spool *spool, const char *json);

/* How many records are to be sent. */
size_t spool_waiting(const struct spool *spool);

/*
 * The oldest record to be sent: 1 with *ret_number and *ret_json (to be freed), 0 when there is none,
 * -errno.
 */
int spool_oldest(struct spool *spool, uint64_t *ret_number, char **ret_json);

/* Forgets a record: pygraph has it. 0 or -errno. */
int spool_drop(struct spool *spool, uint64_t number);

/* Sets aside a record that pygraph will not take. 0 or -errno. */
int spool_reject(struct spool *spool, uint64_t number);

#endif

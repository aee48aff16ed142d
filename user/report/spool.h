/* SPDX-License-Identifier: GPL-2.0 */
/* Records on disk until pygraph has acknowledged them: one file each, named by a growing number. */
#ifndef CMGR_REPORT_SPOOL_H
#define CMGR_REPORT_SPOOL_H

#include <stddef.h>
#include <stdint.h>

struct spool {
	char *dir;
	int lock_fd;   /* of the folder: two daemons would use the same numbers */
	uint64_t last; /* the number of the newest record ever put here */
};

/* Opens or makes the folder @dir. 0, -EWOULDBLOCK (another daemon uses it) or another -errno. */
int spool_open(const char *dir, struct spool *ret);
void spool_close(struct spool *spool);

/* Puts a record on disk for good. 0 or -errno. */
int spool_append(struct spool *spool, const char *json);

/* The oldest record: 1 with *ret_number and *ret_json (to be freed), 0 when there is none, -errno. */
int spool_oldest(const struct spool *spool, uint64_t *ret_number, char **ret_json);

/* Forgets a record: pygraph has it. 0 or -errno. */
int spool_drop(const struct spool *spool, uint64_t number);

/* Sets aside, as NUMBER.rejected, a record that pygraph will never take. 0 or -errno. */
int spool_reject(const struct spool *spool, uint64_t number);

#endif

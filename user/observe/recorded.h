/* SPDX-License-Identifier: GPL-2.0 */
/* Reads a recording block by block; the format is told in report/recording.h. */
#ifndef CMGR_OBSERVE_RECORDED_H
#define CMGR_OBSERVE_RECORDED_H

#include "observe/window.h"

struct recorded;

/* What was decided for a container, and came of it. */
struct recorded_decision {
	char id[CONTAINER_ID_DIGITS + 1];
	enum container_class class;
	enum action decision;
	unsigned int rank;
	uint64_t score_ppb;
	bool has_margin;
	uint64_t margin_ppb;
	bool acted;
};

struct recorded_block {
	bool begins; /* a run; else it is a cycle */

	/* Of a run; @seen.now are the readings that it begins with */
	struct run run;
	struct policy policy;
	uint64_t interval_s;

	/* Of a cycle */
	uint64_t seq;
	struct observation seen;
	const char *distrust;
	struct recorded_decision *decisions;
	size_t decision_count;
};

/*
 * Opens the recording at @path. An unfinished block at its end is left out, with a line logged.
 * 0 or -errno.
 */
int recorded_open(const char *path, struct recorded **ret);

/* As recorded_open(), from memory, which is changed and freed by recorded_close() (on error: here). */
int recorded_open_text(char *text, size_t size, const char *name, struct recorded **ret);

/*
 * The next block. 1; 0: there is none; -ENOMEM; -EBADMSG: it is damaged. recorded_block_free() after
 * 1; its strings are valid until recorded_close().
 */
int recorded_next(struct recorded *recorded, struct recorded_block *ret);
void recorded_block_free(struct recorded_block *block);

/* After -EBADMSG: in which line, from 1, and what is wrong with it. */
size_t recorded_line(const struct recorded *recorded);
const char *recorded_why(const struct recorded *recorded);

void recorded_close(struct recorded *recorded);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* What the reader of recordings consists of: its state, its lines, and the blocks made of them. */
#ifndef CMGR_OBSERVE_RECORDED_LINES_H
#define CMGR_OBSERVE_RECORDED_LINES_H

#include "fields.h"
#include "observe/recorded.h"
#include "observe/table.h"

/* Its strings are in the recording's text. */
struct listed {
	uint64_t number;
	struct container is;
};

struct recorded {
	char *text;
	char *end; /* of the last whole block */
	char *at;  /* the line that comes next */
	char *block_end;
	size_t line;
	size_t block_lines;
	const char *why;
	bool has_run;
	struct table cgroups;
	struct table processes;
	struct table cpus;
	struct table containers;
};

/* The number of the word that @name gives, below @count. */
#define NEXT_CHOICE(cursor, name, first, count)                                                    \
	({                                                                                         \
		unsigned int choice_ = (first);                                                    \
                                                                                                   \
		while (choice_ < (count) && !take_word(cursor, name(choice_)))                     \
			choice_++;                                                                 \
		if (choice_ == (count)) {                                                          \
			(cursor)->before = BAD;                                                    \
			choice_ = (first);                                                         \
		}                                                                                  \
		choice_;                                                                           \
	})

/* Keeps @why. -EBADMSG */
int lines_bad(struct recorded *recorded, const char *why);

/* Steps into the next line of the block if it begins with @name. */
bool lines_take_line(struct recorded *recorded, const char *name, struct cursor *ret);
/* The same, but another line is an error. 0 or -EBADMSG */
int lines_expect_line(struct recorded *recorded, const char *name, struct cursor *ret);
/* Every field of the line has to be taken. 0 or -EBADMSG */
int lines_end_line(struct recorded *recorded, const struct cursor *cursor);

/* Fields, as those of fields.h: 0 or 1; a number; a text that may be "=" for @before; one that is there. */
bool lines_take_bool(struct cursor *cursor);
uint64_t lines_next_up_to(struct cursor *cursor, uint64_t max);
const char *lines_next_change(struct cursor *cursor, bool was, const char *before);
const char *lines_next_name(struct cursor *cursor);

/* Copies the full ID of a container. False: it is none. */
bool lines_copy_id(const char *id, char *ret);

/* Takes all lines of @name into @table; @renew puts the row of one. 0, -EBADMSG or -ENOMEM */
int lines_renew_rows(struct recorded *recorded, const char *name, struct table *table,
		     int (*renew)(struct recorded *, struct cursor *, uint64_t key, const void *old,
				  struct table_update *));

/* READING. 0, -EBADMSG or -ENOMEM */
int lines_readings(struct recorded *recorded, struct readings *readings);

/* The two kinds of blocks; @cursor is behind the word "cycle". 0, -EBADMSG or -ENOMEM */
int recorded_run(struct recorded *recorded, struct recorded_block *block);
int recorded_cycle(struct recorded *recorded, struct cursor *cursor, struct recorded_block *block);

#endif

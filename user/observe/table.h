/* SPDX-License-Identifier: GPL-2.0 */
/* Rows in ascending order of the uint64_t that they begin with, renewed by those that have changed. */
#ifndef CMGR_OBSERVE_TABLE_H
#define CMGR_OBSERVE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table {
	char *rows;
	size_t count;
	size_t row_size;
};

struct table_update {
	struct table *table;
	struct table renewed;
	size_t taken; /* rows of the table that are renewed or copied */
	uint64_t last_key;
};

/* A copy of the rows, to be freed. NULL without memory. */
void *table_copy(const struct table *table);

/* table_begin(), then table_seek() for each changed key, then table_end(). */
void table_begin(struct table_update *update, struct table *table);

/*
 * Goes on to @key, past those before it. *ret_old: the row that it had, or NULL. 0, -ENOMEM, or
 * -EINVAL: @key is not above the last one.
 */
int table_seek(struct table_update *update, uint64_t key, const void **ret_old);

/* The new row with the key that was sought; without it there is none with that key any more. */
int table_put(struct table_update *update, const void *row);

/* Copies the rest, and puts the new rows in the place of the old ones. 0 or -ENOMEM. */
int table_end(struct table_update *update);

/* Instead of table_end(), when something went wrong. */
void table_abandon(struct table_update *update);

#endif

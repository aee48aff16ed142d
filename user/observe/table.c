// SPDX-License-Identifier: GPL-2.0
#include "observe/table.h"

#include <errno.h>
#include <string.h>

#include "util.h"

static const char *row_at(const struct table *table, size_t place)
{
	return table->rows + place * table->row_size;
}

static uint64_t key_of(const char *row)
{
	uint64_t key;

	memcpy(&key, row, sizeof(key));
	return key;
}

void *table_copy(const struct table *table)
{
	size_t size = table->count * table->row_size;
	char *copy = malloc(size + 1);

	if (copy && size)
		memcpy(copy, table->rows, size);
	return copy;
}

void table_begin(struct table_update *update, struct table *table)
{
	*update = (struct table_update){
		.table = table,
		.renewed = {.row_size = table->row_size},
	};
}

int table_put(struct table_update *update, const void *row)
{
	struct table *renewed = &update->renewed;
	int err = grow_array((void **)&renewed->rows, renewed->count, renewed->row_size);

	if (err)
		return err;
	memcpy(renewed->rows + renewed->count * renewed->row_size, row, renewed->row_size);
	renewed->count++;
	return 0;
}

static int take_one(struct table_update *update)
{
	return table_put(update, row_at(update->table, update->taken++));
}

int table_seek(struct table_update *update, uint64_t key, const void **ret_old)
{
	const struct table *table = update->table;
	int err = 0;

	if (key <= update->last_key)
		return -EINVAL;
	update->last_key = key;
	while (!err && update->taken < table->count && key_of(row_at(table, update->taken)) < key)
		err = take_one(update);
	*ret_old = NULL;
	if (!err && update->taken < table->count && key_of(row_at(table, update->taken)) == key)
		*ret_old = row_at(table, update->taken++);
	return err;
}

int table_end(struct table_update *update)
{
	int err = 0;

	while (!err && update->taken < update->table->count)
		err = take_one(update);
	if (err) {
		table_abandon(update);
		return err;
	}
	free(update->table->rows);
	*update->table = update->renewed;
	return 0;
}

void table_abandon(struct table_update *update)
{
	free(update->renewed.rows);
	update->renewed = (struct table){};
}

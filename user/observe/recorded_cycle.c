// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>

#include "observe/recorded_lines.h"
#include "util.h"

static void parse_flags(struct cursor *cursor, struct container *c)
{
	const char *flags = next_text(cursor);

	if (!flags)
		return;
	c->running = *flags == 'r';
	flags += c->running;
	c->managed = *flags == 'm';
	flags += c->managed;
	c->labelled_protect = *flags == 'p';
	flags += c->labelled_protect;
	c->is_log_server = *flags == 'l';
	flags += c->is_log_server;
	if (*flags)
		cursor->before = BAD;
}

static int renew_container(struct recorded *recorded, struct cursor *cursor, uint64_t number,
			   const void *old, struct table_update *update)
{
	struct listed listed = {.number = number};
	struct container *c = &listed.is;
	const char *id = next_text(cursor);

	if (!id || !lines_copy_id(id, c->id) ||
	    (old && strcmp(((const struct listed *)old)->is.id, id)))
		return lines_bad(recorded, "that is no ID of a container, or not the one it had");
	parse_flags(cursor, c);
	c->started_at = (char *)lines_next_change(cursor, false, NULL);
	c->unsure = lines_next_change(cursor, false, NULL);
	c->name = (char *)lines_next_name(cursor);
	c->image = (char *)lines_next_change(cursor, false, NULL);
	if (!c->image)
		c->image = (char *)"";
	return table_put(update, &listed);
}

static const struct listed *listed_at(const struct recorded *recorded, size_t place)
{
	return (const struct listed *)recorded->containers.rows + place;
}

static char *copy_text(const char *text, int *err)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		*err = -ENOMEM;
	return copy;
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct container *)a)->id, ((const struct container *)b)->id);
}

static int copy_container(const struct container *is, struct container_list *list)
{
	struct container *c;
	int err = grow_array((void **)&list->items, list->count, sizeof(*c));

	if (err)
		return err;
	c = &list->items[list->count++];
	*c = *is;
	c->name = copy_text(is->name, &err);
	c->image = copy_text(is->image, &err);
	c->started_at = copy_text(is->started_at, &err);
	return err;
}

static int copy_containers(struct recorded *recorded, struct container_list *list)
{
	size_t i;
	int err = 0;

	for (i = 0; !err && i < recorded->containers.count; i++)
		err = copy_container(&listed_at(recorded, i)->is, list);
	if (err)
		return err;
	if (list->count)
		qsort(list->items, list->count, sizeof(*list->items), by_id);
	for (i = 1; i < list->count; i++)
		if (!strcmp(list->items[i].id, list->items[i - 1].id))
			return lines_bad(recorded, "a container is listed twice");
	return 0;
}

static int parse_decision(struct recorded *recorded, struct cursor *cursor,
			  struct recorded_decision *decision)
{
	decision->class = NEXT_CHOICE(cursor, class_name, CLASS_UNMANAGED, CLASS_SURPLUS + 1);
	decision->decision = NEXT_CHOICE(cursor, action_name, ACTION_KEEP, ACTION_PAUSE + 1);
	decision->rank = (unsigned int)lines_next_up_to(cursor, UINT32_MAX);
	decision->score_ppb = next_u64(cursor);
	decision->has_margin = !take_word(cursor, "-");
	if (decision->has_margin)
		decision->margin_ppb = next_u64(cursor);
	decision->acted = lines_take_bool(cursor);
	lines_next_change(cursor, false, NULL); /* the outcome */
	return lines_end_line(recorded, cursor);
}

static int parse_decisions(struct recorded *recorded, struct recorded_block *block)
{
	size_t count = recorded->containers.count, i;
	int err = 0;

	block->decisions = calloc(count + 1, sizeof(*block->decisions));
	if (!block->decisions)
		return -ENOMEM;
	for (i = 0; !err && i < count; i++) {
		struct cursor cursor;

		err = lines_expect_line(recorded, "decided", &cursor);
		if (!err && next_u64(&cursor) != listed_at(recorded, i)->number)
			err = lines_bad(recorded,
					"the decision for another container belongs here");
		if (err)
			return err;
		memcpy(block->decisions[i].id, listed_at(recorded, i)->is.id,
		       sizeof(block->decisions[i].id));
		err = parse_decision(recorded, &cursor, &block->decisions[i]);
	}
	block->decision_count = count;
	return err;
}

/* A line with one text: "no-list why". Not there: 0, and *ret is NULL. */
static int parse_why(struct recorded *recorded, const char *name, const char **ret)
{
	struct cursor cursor;

	*ret = NULL;
	if (!lines_take_line(recorded, name, &cursor))
		return 0;
	*ret = lines_next_name(&cursor);
	return lines_end_line(recorded, &cursor);
}

static int parse_observation(struct recorded *recorded, struct observation *seen)
{
	const char *no_list, *no_reading = NULL;
	int err = parse_why(recorded, "no-list", &no_list);

	if (!err)
		err = lines_renew_rows(recorded, "container", &recorded->containers,
				       renew_container);
	if (!err)
		err = copy_containers(recorded, &seen->containers);
	if (!err)
		err = parse_why(recorded, "no-reading", &no_reading);
	if (!err && !no_reading)
		err = lines_readings(recorded, &seen->now);
	if (err)
		return err;
	seen->no_list = copy_text(no_list, &err);
	seen->no_reading = copy_text(no_reading, &err);
	return err;
}

int recorded_cycle(struct recorded *recorded, struct cursor *cursor, struct recorded_block *block)
{
	int err;

	block->seq = next_id(cursor);
	block->seen.final = lines_take_bool(cursor);
	block->seen.end_unix_ns = next_u64(cursor);
	block->seen.cpus = (unsigned int)lines_next_up_to(cursor, UINT32_MAX);
	err = lines_end_line(recorded, cursor);
	if (!err && (!recorded->has_run || !block->seen.cpus))
		err = lines_bad(recorded, "a cycle without its run, or without a CPU");
	if (!err)
		err = parse_observation(recorded, &block->seen);
	if (!err)
		err = parse_why(recorded, "distrust", &block->distrust);
	return err ? err : parse_decisions(recorded, block);
}

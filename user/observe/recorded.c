// SPDX-License-Identifier: GPL-2.0
#include "observe/recorded.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "observe/recorded_lines.h"
#include "report/recording.h"
#include "util.h"

size_t recorded_line(const struct recorded *recorded)
{
	return recorded->line;
}

const char *recorded_why(const struct recorded *recorded)
{
	return recorded->why;
}

void recorded_close(struct recorded *recorded)
{
	if (!recorded)
		return;
	free(recorded->cgroups.rows);
	free(recorded->processes.rows);
	free(recorded->cpus.rows);
	free(recorded->containers.rows);
	free(recorded->text);
	free(recorded);
}

int recorded_open_text(char *text, size_t size, const char *name, struct recorded **ret)
{
	size_t whole = recording_whole(text, size);
	struct recorded *recorded = calloc(1, sizeof(*recorded));

	if (!recorded) {
		free(text);
		return -ENOMEM;
	}
	/* What never was a recording has no unfinished block either. */
	if (strncmp(text, RECORDING_NAME " ", strlen(RECORDING_NAME " ")))
		whole = size;
	if (whole < size)
		log_line("%s: the last block is unfinished: its %zu bytes are left out", name,
			 size - whole);
	*recorded = (struct recorded){
		.text = text,
		.end = text + whole,
		.at = text,
		.cgroups.row_size = sizeof(struct cgroup),
		.processes.row_size = sizeof(struct process),
		.cpus.row_size = sizeof(struct cgroup_cpu_row),
		.containers.row_size = sizeof(struct listed),
	};
	*ret = recorded;
	return 0;
}

int recorded_open(const char *path, struct recorded **ret)
{
	size_t size;
	char *text;
	int err = read_file(path, RECORDING_LIMIT, &text, &size);

	return err ? err : recorded_open_text(text, size, path, ret);
}

/* Finds the end of the block that begins at @recorded->at and compares its length and checksum. */
static int check_block(struct recorded *recorded)
{
	char *line = recorded->at, expected[64];
	size_t lines = 0, size;
	struct cursor cursor;

	while (strncmp(line, "end ", 4)) {
		line = memchr(line, '\n', (size_t)(recorded->end - line));
		lines++;
		if (!line || ++line == recorded->end) {
			recorded->line += lines;
			return lines_bad(recorded, "no block ends here");
		}
	}
	size = (size_t)(line - recorded->at);
	recorded->block_end = line;
	recorded->block_lines = lines;
	snprintf(expected, sizeof(expected), "%016" PRIx64, recording_checksum(recorded->at, size));
	cursor = (struct cursor){.next = line + 4, .before = ' '};
	if (next_u64(&cursor) == lines && take_word(&cursor, expected) && ended(&cursor))
		return 0;
	recorded->line += lines + 1;
	return lines_bad(recorded,
			 "the block that ends here is damaged: its length or checksum differs");
}

/* The first line, before what another version may have made of the rest. */
static int check_head(struct recorded *recorded)
{
	static const char name[] = RECORDING_NAME " ";

	if (!strncmp(recorded->at, name, strlen(name)) &&
	    !strncmp(recorded->at + strlen(name), "1\n", 2))
		return 0;
	recorded->line++;
	return lines_bad(recorded, strncmp(recorded->at, name, strlen(name))
					   ? "this is no recording"
					   : "the recording is of another version");
}

int recorded_next(struct recorded *recorded, struct recorded_block *ret)
{
	struct recorded_block block = {};
	struct cursor cursor;
	size_t first_line = recorded->line;
	int err;

	if (recorded->at == recorded->end)
		return 0;
	err = recorded->has_run ? 0 : check_head(recorded);
	if (!err)
		err = check_block(recorded);
	if (!err && lines_take_line(recorded, "cycle", &cursor))
		err = recorded_cycle(recorded, &cursor, &block);
	else if (!err)
		err = recorded_run(recorded, &block);
	if (!err && recorded->at != recorded->block_end) {
		recorded->line++;
		err = lines_bad(recorded, "another record belongs here");
	}
	if (err) {
		recorded_block_free(&block);
		return err;
	}
	recorded->at =
		(char *)memchr(recorded->at, '\n', (size_t)(recorded->end - recorded->at)) + 1;
	recorded->line = first_line + recorded->block_lines + 1;
	*ret = block;
	return 1;
}

void recorded_block_free(struct recorded_block *block)
{
	free(block->run.host);
	free(block->policy.protect);
	free(block->decisions);
	observation_free(&block->seen);
	*block = (struct recorded_block){};
}

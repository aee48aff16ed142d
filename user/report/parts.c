// SPDX-License-Identifier: GPL-2.0
#include "report/parts.h"

#include <inttypes.h>
#include <string.h>

#include "report/recording.h"
#include "util.h"

#define HEAD_SIZE  sizeof("cmgr-spool 1 decided 18446744073709551615 0123456789abcdef\n")
#define KIND_COUNT 2

static const char *const starts[KIND_COUNT] = {
	[PART_DECIDED] = "cmgr-spool 1 decided ",
	[PART_WHOLE] = "cmgr-spool 1 whole ",
};

static size_t format_head(char *head, enum part_kind kind, const char *json, size_t length)
{
	return (size_t)snprintf(head, HEAD_SIZE, "%s%zu %016" PRIx64 "\n", starts[kind], length,
				recording_checksum(json, length));
}

char *part_format(enum part_kind kind, const char *json)
{
	char head[HEAD_SIZE];

	format_head(head, kind, json, strlen(json));
	return format_text("%s%s\n", head, json);
}

/* The digits at the beginning of a text that ends with a newline. */
static size_t leading_number(const char *digits)
{
	size_t value = 0;

	for (; *digits >= '0' && *digits <= '9'; digits++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (size_t)(*digits - '0'), &value))
			return SIZE_MAX;
	return value;
}

/* The size of a whole part at @text, or 0. A head has just one spelling: the one we write. */
static size_t read_part(const char *text, size_t size, enum part_kind kind, struct parts *parts)
{
	const char *newline = memchr(text, '\n', size < HEAD_SIZE ? size : HEAD_SIZE);
	size_t start = strlen(starts[kind]), head_size, length;
	char head[HEAD_SIZE];

	if (!newline || size < start || memcmp(text, starts[kind], start))
		return 0;
	head_size = (size_t)(newline + 1 - text);
	length = leading_number(text + start);
	if (length >= size - head_size || text[head_size + length] != '\n' ||
	    format_head(head, kind, newline + 1, length) != head_size ||
	    memcmp(text, head, head_size))
		return 0;
	parts->json = newline + 1;
	parts->length = length;
	parts->kind = kind;
	return head_size + length + 1;
}

void parts_read(const char *text, size_t size, struct parts *ret)
{
	size_t more;

	*ret = (struct parts){};
	do {
		const char *next = text + ret->size;
		size_t left = size - ret->size;

		more = read_part(next, left, PART_DECIDED, ret);
		if (!more)
			more = read_part(next, left, PART_WHOLE, ret);
		ret->size += more;
	} while (more);
}

// SPDX-License-Identifier: GPL-2.0
#include "tests/fuzz/damage.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct text {
	const char *bytes;
	size_t size;
};

struct range {
	size_t start, end;
};

/* @text with @put, of @put_size bytes, in place of @cut. */
static char *splice(const struct text *text, struct range cut, const char *put, size_t put_size,
		    size_t *ret_size)
{
	size_t rest = text->size - cut.end;
	char *result = malloc(cut.start + put_size + rest + 1);

	if (!result)
		abort();
	memcpy(result, text->bytes, cut.start);
	memcpy(result + cut.start, put, put_size);
	memcpy(result + cut.start + put_size, text->bytes + cut.end, rest + 1);
	*ret_size = cut.start + put_size + rest;
	return result;
}

static char *drop(const struct text *text, struct range range, size_t *ret_size)
{
	return splice(text, range, "", 0, ret_size);
}

static char *repeat(const struct text *text, struct range range, size_t *ret_size)
{
	return splice(text, (struct range){range.end, range.end}, text->bytes + range.start,
		      range.end - range.start, ret_size);
}

static bool has(const struct text *text, struct range range, char byte)
{
	return memchr(text->bytes + range.start, byte, range.end - range.start);
}

/* The line that holds byte @at, with its newline; empty at the end of the text. */
static struct range line_at(const struct text *text, size_t at)
{
	struct range line = {at, at};

	while (at < text->size && line.start && text->bytes[line.start - 1] != '\n')
		line.start--;
	while (line.end < text->size && text->bytes[line.end++] != '\n')
		;
	return line;
}

static bool is_cgroup(const struct text *text, struct range line)
{
	return !strncmp(text->bytes + line.start, "cgroup ", strlen("cgroup "));
}

static bool is_plain(char byte)
{
	return byte > ' ' && byte <= '~';
}

/* Cgroups have no order; the last line has none after it. */
static char *swap_lines(const struct text *text, struct range line, size_t *ret_size,
			enum verdict *ret_verdict)
{
	struct range next = line_at(text, line.end);
	char *swapped = drop(text, (struct range){}, ret_size);
	size_t next_size = next.end - next.start;

	memcpy(swapped + line.start, text->bytes + next.start, next_size);
	memcpy(swapped + line.start + next_size, text->bytes + line.start, line.end - line.start);
	*ret_verdict = next_size && !(is_cgroup(text, line) && is_cgroup(text, next)) ? REFUSED
										      : UNCHANGED;
	return swapped;
}

/* A lost space or newline is a field too few, or one too many for the record before it. */
static enum verdict drop_verdict(const struct text *text, struct range range)
{
	return has(text, range, ' ') || has(text, range, '\n') ? REFUSED : AS_IT_STANDS;
}

/* A piece with the end of one line and the start of the next may pass for a record to be skipped. */
static enum verdict double_verdict(const struct text *text, struct range range)
{
	if (!has(text, range, '\n'))
		return has(text, range, ' ') ? REFUSED : AS_IT_STANDS;
	if (line_at(text, range.start).start == range.start && text->bytes[range.end - 1] == '\n')
		return REFUSED;
	return UNCHANGED;
}

static enum verdict set_verdict(char before, char after)
{
	if (before == after)
		return UNCHANGED;
	return is_plain(before) && is_plain(after) ? AS_IT_STANDS : REFUSED;
}

static enum verdict insert_verdict(const struct text *text, size_t at, char byte)
{
	return at && at < text->size && is_plain(byte) ? AS_IT_STANDS : REFUSED;
}

static char *damage_bytes(const struct damage *damage, const struct text *text, size_t at,
			  size_t *ret_size, enum verdict *ret_verdict)
{
	struct range range = {at, at + 1 + damage->length % (text->size - at)};

	switch (damage->kind) {
	case DROP_RANGE:
		*ret_verdict = drop_verdict(text, range);
		return drop(text, range, ret_size);
	case DOUBLE_RANGE:
		*ret_verdict = double_verdict(text, range);
		return repeat(text, range, ret_size);
	default:
		*ret_verdict = set_verdict(text->bytes[at], damage->byte);
		return splice(text, (struct range){at, at + 1}, &damage->byte, 1, ret_size);
	}
}

char *damage_text(const struct damage *damage, const char *bytes, size_t size, size_t *ret_size,
		  enum verdict *ret_verdict)
{
	struct text text = {bytes, size};
	size_t at = damage->at % (size + 1);

	if (damage->kind == INSERT_BYTE || !size) {
		*ret_verdict = insert_verdict(&text, at, damage->byte);
		return splice(&text, (struct range){at, at}, &damage->byte, 1, ret_size);
	}
	at %= size;
	*ret_verdict = REFUSED;
	switch (damage->kind) {
	case TRUNCATE:
		return drop(&text, (struct range){at, size}, ret_size);
	case DROP_LINE:
		return drop(&text, line_at(&text, at), ret_size);
	case DOUBLE_LINE:
		return repeat(&text, line_at(&text, at), ret_size);
	case SWAP_LINES:
		return swap_lines(&text, line_at(&text, at), ret_size, ret_verdict);
	default:
		return damage_bytes(damage, &text, at, ret_size, ret_verdict);
	}
}

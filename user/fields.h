/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fields of a line, as the kernel module writes them and recordings do: separated by one space, in
 * printable ASCII, every other byte escaped. Inline: a reading has 100,000 of them.
 */
#ifndef CMGR_FIELDS_H
#define CMGR_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BAD '\0'

/*
 * Where the parser stands. A field that is not what it has to be makes the record BAD, and no later
 * field can mend that: each wants a space before it.
 */
struct cursor {
	char *next;
	char before; /* ' ' before a field, '\n' after the last one of a record, or BAD */
};

/* Steps over the byte that ends a field, which may not be empty. */
static inline void end_field(struct cursor *cursor, char *end)
{
	if (cursor->before != ' ' || end == cursor->next || (*end != ' ' && *end != '\n')) {
		cursor->before = BAD;
		return;
	}
	cursor->before = *end;
	cursor->next = end + 1;
}

static inline bool ended(const struct cursor *cursor)
{
	return cursor->before == '\n';
}

/* Steps over the next field if it is @word. */
static inline bool take_word(struct cursor *cursor, const char *word)
{
	size_t length = strlen(word);
	char *end = cursor->next + length;

	if (strncmp(cursor->next, word, length) || (*end != ' ' && *end != '\n'))
		return false;
	end_field(cursor, end);
	return true;
}

/* As printf() writes it: no sign, no zero in front. */
static inline uint64_t next_u64(struct cursor *cursor)
{
	char *start = cursor->next, *in = start;
	uint64_t value = 0;
	bool bad = false;

	for (; *in >= '0' && *in <= '9'; in++)
		bad |= __builtin_mul_overflow(value, 10, &value) ||
		       __builtin_add_overflow(value, (uint64_t)(*in - '0'), &value);
	end_field(cursor, in);
	if (bad || (*start == '0' && in - start > 1))
		cursor->before = BAD;
	return value;
}

/* A number that is never zero. */
static inline uint64_t next_id(struct cursor *cursor)
{
	uint64_t id = next_u64(cursor);

	if (!id)
		cursor->before = BAD;
	return id;
}

static inline bool is_plain(char c)
{
	return c > ' ' && c <= '~' && c != '\\';
}

/*
 * One escape of seq_escape_str() after the backslash; returns its length, or 0. An octal one stands
 * only for a byte that is neither plain nor has a letter, so that there is one way to write a text.
 */
static inline size_t unescape_one(const char *in, char *out)
{
	static const char letters[] = "nrtvfae\\", bytes[] = "\n\r\t\v\f\a\033\\";
	const char *letter = *in ? strchr(letters, *in) : NULL;
	char byte;

	if (letter) {
		*out = bytes[letter - letters];
		return 1;
	}
	if (in[0] < '0' || in[0] > '3' || in[1] < '0' || in[1] > '7' || in[2] < '0' || in[2] > '7')
		return 0;
	byte = (char)((in[0] - '0') << 6 | (in[1] - '0') << 3 | (in[2] - '0'));
	if (is_plain(byte) || strchr(bytes, byte))
		return 0;
	*out = byte;
	return 3;
}

/* A text field with its escapes undone in place; NULL for "-". */
static inline const char *next_text(struct cursor *cursor)
{
	char *text = cursor->next, *in = text, *out = text;
	size_t length;

	if (take_word(cursor, "-"))
		return NULL;
	if (take_word(cursor, "\\055"))
		return "-";
	for (;;) {
		while (is_plain(*in))
			*out++ = *in++;
		length = *in == '\\' ? unescape_one(in + 1, out) : 0;
		if (!length)
			break;
		out++;
		in += 1 + length;
	}
	end_field(cursor, in);
	*out = '\0';
	return text;
}

#endif

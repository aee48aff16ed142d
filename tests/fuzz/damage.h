/* SPDX-License-Identifier: GPL-2.0 */
/* Ways in which a good reading can get damaged, and what the parser then has to say. */
#ifndef CMGR_FUZZ_DAMAGE_H
#define CMGR_FUZZ_DAMAGE_H

#include <stddef.h>

enum damage_kind {
	TRUNCATE,     /* all from @at is lost */
	DROP_RANGE,   /* @length bytes are lost */
	DOUBLE_RANGE, /* @length bytes come twice */
	DROP_LINE,
	DOUBLE_LINE,
	SWAP_LINES, /* a line comes after the next one */
	SET_BYTE,
	INSERT_BYTE,
	DAMAGE_KINDS,
};

enum verdict {
	REFUSED,      /* nothing else will do */
	UNCHANGED,    /* refused, or read as if it were not damaged */
	AS_IT_STANDS, /* refused, or read as the other reading that it has become */
};

struct damage {
	enum damage_kind kind;
	size_t at, length; /* any: brought into the text's range */
	char byte;
};

/*
 * A damaged copy of @text, a reading as snapshot_print() prints it, NUL-terminated and to be freed.
 * @ret_verdict is meaningful for a @text without damage alone.
 */
char *damage_text(const struct damage *damage, const char *text, size_t size, size_t *ret_size,
		  enum verdict *ret_verdict);

#endif

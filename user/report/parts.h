/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The text of a file in the spool: a record as it was decided and, behind it, the same with its
 * outcomes. Each part is
 *
 *   cmgr-spool 1 <decided|whole> <bytes of the record> <FNV-1a of them, 16 hexadecimal digits>
 *   <the record, one line of JSON>
 *
 * The last whole part counts. From the first byte that is not as it was written, nothing does: that is
 * cut off, and what it may have been is not guessed.
 */
#ifndef CMGR_REPORT_PARTS_H
#define CMGR_REPORT_PARTS_H

#include <stddef.h>

enum part_kind {
	PART_DECIDED,
	PART_WHOLE,
};

struct parts {
	size_t size;	  /* bytes of all whole parts; 0: there is none */
	const char *json; /* of the last, in the text, not terminated */
	size_t length;	  /* of it */
	enum part_kind kind;
};

/* The text of a part, to be freed, or NULL without memory. */
char *part_format(enum part_kind kind, const char *json);

void parts_read(const char *text, size_t size, struct parts *ret);

#endif

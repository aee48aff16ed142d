/* SPDX-License-Identifier: GPL-2.0 */
/* What bounds the spool and its sender: the tests' daemon has others. */
#ifndef CMGR_REPORT_LIMITS_H
#define CMGR_REPORT_LIMITS_H

#include <stddef.h>
#include <stdint.h>

struct report_limits {
	size_t spool_bytes; /* beyond it the oldest records are dropped */
	uint64_t
		backoff_first_ms; /* after a failure nothing is sent for so long, then for twice as long */
	uint64_t backoff_most_ms;
};

const struct report_limits *report_limits(void);

#endif

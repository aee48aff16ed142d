// SPDX-License-Identifier: GPL-2.0
#include "report/limits.h"

const struct report_limits *report_limits(void)
{
	static const struct report_limits limits = {
		.spool_bytes = 64UL << 20,
		.backoff_first_ms = 1000,
		.backoff_most_ms = 60000,
	};

	return &limits;
}

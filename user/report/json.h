/* SPDX-License-Identifier: GPL-2.0 */
/* What the records and the exporter add to a cJSON object. */
#ifndef CMGR_REPORT_JSON_H
#define CMGR_REPORT_JSON_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include <cjson/cJSON.h>

/* As digits: cJSON's own numbers are doubles, exact to 2^53 and printed as 1e+15 from there. */
static inline void json_add_u64(cJSON *object, const char *name, uint64_t value)
{
	char digits[sizeof("18446744073709551615")];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	cJSON_AddRawToObject(object, name, digits);
}

#endif

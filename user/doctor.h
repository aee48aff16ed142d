/* SPDX-License-Identifier: GPL-2.0 */
/* What must be there before anything is done, and how to mend what is not. */
#ifndef CMGR_DOCTOR_H
#define CMGR_DOCTOR_H

#include "engine/about.h"
#include "host.h"
#include "options.h"

#define DOCTOR_FINDINGS 10

enum verdict {
	VERDICT_OK,
	VERDICT_WARNING, /* it runs all the same */
	VERDICT_MISSING,
};

/* All that is judged. */
struct doctor_view {
	const struct options *options;
	struct host host;
	int engine_err; /* of engine_ask(); the rest tells of the engine when it is 0 */
	struct engine_about about;
	int log_err;	 /* of ship_probe(), and the status of the reply */
	long log_status; /* when it is 0 */
};

struct finding {
	const char *name;
	enum verdict verdict;
	char *text; /* what is wrong and mends it, or a note; to be freed, may be NULL */
};

/* Fills DOCTOR_FINDINGS findings, pure; how many there are. */
size_t doctor_judge(const struct doctor_view *view, struct finding *ret);

/* Logs the first requirement that is not met. 0 or EXIT_MISSING. */
int doctor_require(const struct options *options);

/* Prints every requirement with ok, warning or missing, and what mends it. EXIT_DONE or EXIT_MISSING. */
int doctor_report(const struct options *options);

/* The line that tells why docker_open() failed and what to do, logged. Returns the exit code. */
int doctor_engine_missing(const struct options *options, int err);

/* The same where the module's file cannot be read, and where the user is not root. */
int doctor_module_missing(const struct options *options);
int doctor_root_missing(void);

/* The TCP port in a URL, by its scheme's default where none is named; 0: not a http URL. */
uint16_t url_port(const char *url);

#endif

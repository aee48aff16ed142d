/* SPDX-License-Identifier: GPL-2.0 */
/* Sends records to pygraph over HTTP. */
#ifndef CMGR_REPORT_SHIP_H
#define CMGR_REPORT_SHIP_H

#include <stdatomic.h>

#include "engine/http.h"
#include "report/record.h"

struct ship {
	struct http_call call;
	char *url;	   /* "http://127.0.0.1:8000" */
	unsigned int told; /* what was told of it since it took a record the last time */
};

enum ship_result {
	SHIP_STORED,
	SHIP_REFUSED, /* as it is, and so for ever */
	SHIP_FAILED,  /* try again */
};

/*
 * The value of $CMGR_TOKEN, or NULL when it has none. 0, or -EINVAL with a line logged, when it cannot
 * be a token: printable ASCII without a space.
 */
int ship_token(const char **ret);

int ship_open(const char *url, struct ship *ret);
void ship_close(struct ship *ship);

/* What pygraph asks for. 0 or -ENOMEM. */
int ship_authorize(struct ship *ship, const char *token);

/* Calls end at *@end_ns on CLOCK_BOOTTIME at the latest, unless it is 0; it may change meanwhile. */
void ship_end_at(struct ship *ship, const _Atomic unsigned long long *end_ns);

/* The command that starts the log server: a service where one is installed. */
const char *ship_remedy(void);

/* What an answer with this status means and what to do, in words. To be freed; NULL without memory. */
char *ship_error(const char *url, long status);

/* 0 when the log server answers, with the status of its reply: 200 when it is well. Or -errno. */
int ship_probe(struct ship *ship, long *ret_status);

/* The same; tells on stderr when it is not well. */
void ship_look(struct ship *ship);

/* Whether it failed the last time. */
bool ship_is_down(const struct ship *ship);

/*
 * Sends one record. What is wrong with the server is told on stderr once until it takes a record, and so
 * is that it does again. The status of a reply is in *ret_status, for ship_reason().
 */
enum ship_result ship_record(struct ship *ship, const char *json, long *ret_status);

/*
 * Why the server refused the last record: "status 400: seq must be …", as it says; for a terminal. To be
 * freed; NULL without memory.
 */
char *ship_reason(const struct ship *ship, long status);

/* Asks for the final graphs of a run. 0 or -errno, with one line logged. */
int ship_finish(struct ship *ship, const struct run *run);

#endif

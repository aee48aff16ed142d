/* SPDX-License-Identifier: GPL-2.0 */
/* Sends the spool to pygraph over HTTP. */
#ifndef CMGR_REPORT_SHIP_H
#define CMGR_REPORT_SHIP_H

#include "engine/http.h"
#include "report/record.h"
#include "report/spool.h"

struct ship {
	struct http_call call;
	char *url;	 /* "http://127.0.0.1:8000" */
	long timeout_ms; /* of a call */
	bool down;	 /* it did not answer the last time, and that has been told */
};

int ship_open(const char *url, struct ship *ret);
void ship_close(struct ship *ship);

/* 0 when the log server answers, or -errno. */
int ship_probe(struct ship *ship);

/* Tells on stderr, once until it answers again, that the log server @why. */
void ship_tell_down(struct ship *ship, const char *why);

/* Sends one record that is not in the spool. 0 when the server has it, or -errno. */
int ship_record(struct ship *ship, const char *json);

/*
 * Sends the oldest records first until the spool is empty, a call fails or @budget_ms are over. A
 * server that goes away or comes back is told on stderr once.
 */
void ship_pending(struct ship *ship, struct spool *spool, uint64_t budget_ms);

/* Asks for the final graphs of a run. 0 or -errno, with one line logged. */
int ship_finish(struct ship *ship, const struct run *run);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The spool, and the thread that sends what is in it to pygraph, the oldest record first. No cycle
 * waits for it. All functions do nothing for an outbox that is NULL.
 */
#ifndef CMGR_REPORT_OUTBOX_H
#define CMGR_REPORT_OUTBOX_H

#include "report/record.h"

struct outbox;

/* @dir: of the spool. 0 or -errno; -EWOULDBLOCK: another daemon uses it. */
int outbox_open(const char *dir, const char *url, const char *token, struct outbox **ret);

/*
 * On disk for good, before what the record @seq decided is carried out; then with its outcomes. When that
 * fails it is told on stderr, and the record waits in memory.
 */
void outbox_decide(struct outbox *outbox, uint64_t seq, const char *json);
void outbox_complete(struct outbox *outbox, uint64_t seq, const char *json);

/* How many records had to be dropped in this run because the spool was full. */
uint64_t outbox_dropped(struct outbox *outbox);

/* Sends what is left, until @end_ns on CLOCK_BOOTTIME; nothing is sent by itself any more. */
void outbox_end(struct outbox *outbox, uint64_t end_ns);

/* After outbox_end(): asks for the final graphs, unless the server failed the last time. */
void outbox_finish(struct outbox *outbox, const struct run *run, uint64_t end_ns);

/* Ends at once. */
void outbox_close(struct outbox *outbox);

#endif

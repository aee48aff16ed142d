/* SPDX-License-Identifier: GPL-2.0 */
/* What the service manager is told: the protocol of sd_notify(3). */
#ifndef CMGR_NOTIFY_H
#define CMGR_NOTIFY_H

#include <stdint.h>

/* Sends @state ("WATCHDOG=1") to $NOTIFY_SOCKET. Without one, or where nobody listens, nothing. */
void notify(const char *state);

/* That the loop begins; with a watchdog that is longer than a few cycles of @interval_s seconds. */
void notify_ready(uint64_t interval_s);

#endif

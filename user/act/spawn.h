/* SPDX-License-Identifier: GPL-2.0 */
/* Creates random workload containers: what the cron entry runs. */
#ifndef CMGR_ACT_SPAWN_H
#define CMGR_ACT_SPAWN_H

#include "engine/docker.h"

/*
 * Starts @count containers of random workload images under random names of 8 characters, each told
 * on stdout. With @run_dir it stops early once no daemon runs there: what cron has begun must not
 * outlive the daemon. 0, or -errno of the first that failed, with one line logged.
 */
int spawn(struct docker *docker, unsigned int count, const char *run_dir);

#endif

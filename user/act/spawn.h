/* SPDX-License-Identifier: GPL-2.0 */
/* Creates random workload containers: what the cron entry runs. */
#ifndef CMGR_ACT_SPAWN_H
#define CMGR_ACT_SPAWN_H

#include "engine/docker.h"

/*
 * Starts @count containers of random workload images under random names of 8 characters, each told
 * on stdout. With @run_dir it stops early once no daemon runs there, or the cron entry that was
 * there is gone: what cron has begun must not outlive the daemon. SIGINT, SIGTERM and SIGHUP take effect
 * once the container in hand has started; a second one, half a second or more later, gives that up and removes
 * it, and a third does not wait for that. What a killed one has left created is removed first. 0, or -errno of
 * the first that failed, with one line logged.
 */
int spawn(struct docker *docker, unsigned int count, const char *run_dir);

/*
 * Removes what a killed spawn() has created and not started, @all of it or what nobody has in hand any
 * more. What fails or was removed is told in one line each.
 */
void spawn_clean(struct docker *docker, bool all);

#endif

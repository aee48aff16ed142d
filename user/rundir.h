/* SPDX-License-Identifier: GPL-2.0 */
/* The run directory: one daemon at a time, and what it keeps there while it runs. */
#ifndef CMGR_RUNDIR_H
#define CMGR_RUNDIR_H

#include <stdbool.h>

#define RUN_LOCK    "lock"
#define RUN_SYSINFO "sysinfo.json"

/*
 * Makes @dir and takes its lock, whose file tells our PID. A descriptor that holds the lock until it
 * is closed, -EWOULDBLOCK (another holds it), or another -errno.
 */
int run_dir_lock(const char *dir);

/* Whether a daemon holds the lock there. */
bool run_dir_in_use(const char *dir);

/* Removes the files, the lock's last, and the directory. The caller holds the lock. */
void run_dir_remove(const char *dir);

#endif

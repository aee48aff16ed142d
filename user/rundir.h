/* SPDX-License-Identifier: GPL-2.0 */
/* The run directory: one daemon at a time, and what it keeps there while it runs. */
#ifndef CMGR_RUNDIR_H
#define CMGR_RUNDIR_H

#include <stdbool.h>

#define RUN_LOCK    "lock"
#define RUN_SYSINFO "sysinfo.json"

#define LOCK_TRIES 100 /* the one before us may just have removed the folder */

/* Whether @path names the file that is open as @fd. */
bool is_file_at(int fd, const char *path);

/*
 * Makes the file @path, if need be, and locks it. A descriptor that holds the lock until it is closed,
 * -EWOULDBLOCK (another holds it), -EPERM (it is not a file of ours) or another -errno.
 */
int lock_file(const char *path);

/*
 * Makes @dir and takes its lock, whose file tells our PID. A descriptor that holds the lock until it
 * is closed, or -errno as of lock_file().
 */
int run_dir_lock(const char *dir);

/*
 * 1 if a daemon holds the lock there, 0 if none does, -errno if that cannot be told: who would remove
 * something takes that for in use.
 */
int run_dir_in_use(const char *dir);

/*
 * Removes the files, the lock's last, and the directory if nothing else is in it. The caller holds the
 * lock. 0 or -errno, with one line logged.
 */
int run_dir_remove(const char *dir);

#endif

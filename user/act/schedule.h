/* SPDX-License-Identifier: GPL-2.0 */
/* The cron entry that keeps creating workload containers while the daemon runs. */
#ifndef CMGR_ACT_SCHEDULE_H
#define CMGR_ACT_SCHEDULE_H

#define SCHEDULE_DIR  "/etc/cron.d"
#define SCHEDULE_PATH SCHEDULE_DIR "/cmgr-bpf"

/*
 * Writes the entry, in place of one that a killed daemon left: each minute this very program is run
 * with "spawn -n @count" against @docker_host, for as long as the daemon of @run_dir runs. 0, -EINVAL (a path that cron could not take as it is)
 * or -errno, with one line logged.
 */
int schedule_install(unsigned int count, const char *docker_host, const char *run_dir);

/* Removes the entry. No entry is success. 0 or -errno, with one line logged. */
int schedule_remove(void);

#endif

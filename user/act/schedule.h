/* SPDX-License-Identifier: GPL-2.0 */
/* The cron entry that keeps creating workload containers while the daemon runs. */
#ifndef CMGR_ACT_SCHEDULE_H
#define CMGR_ACT_SCHEDULE_H

#define SCHEDULE_DIR  "/etc/cron.d"
#define SCHEDULE_PATH SCHEDULE_DIR "/cmgr-bpf"

/*
 * Writes the entry, in place of one that a killed daemon left: each minute this very program is run
 * with "spawn -n @count" against @docker_host, for as long as the daemon of @run_dir runs, whose lock the
 * caller holds. A program that others than root could replace is warned of. 0; -EINVAL (a path that cron
 * could not take as it is); -EEXIST (there is a file that is not ours); or another -errno; with one line
 * logged.
 */
int schedule_install(unsigned int count, const char *docker_host, const char *run_dir);

/*
 * Removes the entry, and what is left of a half-written one. The caller holds the lock of @run_dir: an
 * entry of another daemon that runs is left alone, and so is a file that is not ours. No entry is success.
 * 0, -EBUSY (there is one of another daemon that runs) or another -errno, with one line logged.
 */
int schedule_remove(const char *run_dir);

/*
 * Removes an entry that an earlier daemon of @run_dir has left: it would take the caller, who holds the lock,
 * for that one. 0 or -errno, with one line logged.
 */
int schedule_forget(const char *run_dir);

/*
 * What the entry itself does where no daemon runs in @run_dir: it removes itself, if it is still the one that
 * names @run_dir. A daemon that starts meanwhile keeps the entry that it installs. 0 or -errno, with one line
 * logged.
 */
int schedule_heal(const char *run_dir);

#endif

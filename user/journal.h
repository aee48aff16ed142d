/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a run has installed, written down before it is: the file "journal" in the state directory, which
 * outlives a reboot as the cron entry does.
 *
 *   cmgr-bpf journal 1
 *   run /run/cmgr-bpf
 *   pins /sys/fs/bpf/cmgr
 *   cron /etc/cron.d/cmgr-bpf
 *
 * Each line is on disk before what it tells of. Undoing a line twice, or one whose thing was never there,
 * does no harm; so the file has no other state, and is removed once all is undone.
 */
#ifndef CMGR_JOURNAL_H
#define CMGR_JOURNAL_H

#include <stdbool.h>

#define JOURNAL_NAME "journal"

enum installed {
	INSTALLED_RUN,	/* a run directory, with the lock and sysinfo.json */
	INSTALLED_PINS, /* of the BPF maps */
	INSTALLED_CRON, /* the cron entry */
	INSTALLED_KINDS,
};

struct journal {
	char *path;
	const char *state_dir;	     /* the caller's */
	int fd;			     /* locked */
	char *told[INSTALLED_KINDS]; /* for each kind, the path that was last told, or NULL */
};

/*
 * Opens the journal of @state_dir, making both, locks it, and reads what earlier runs wrote down. From the
 * first line that is damaged on, as the last may be after a power cut, it is cut. 0, -EWOULDBLOCK (another
 * daemon holds it), -EPERM (folder or file is not ours alone to write) or another -errno.
 */
int journal_open(const char *state_dir, struct journal *ret);

/* Writes down, for good, what is about to be installed at @path, unless it is told already. 0 or -errno. */
int journal_note(struct journal *journal, enum installed what, const char *path);

/* Closes it; @done: all is undone, so the file, and the directory if it is empty, are removed. */
void journal_close(struct journal *journal, bool done);

#endif

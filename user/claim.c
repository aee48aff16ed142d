// SPDX-License-Identifier: GPL-2.0
#include "claim.h"

#include <errno.h>
#include <string.h>

#include "act/schedule.h"
#include "observe/cgroup_cpu.h"
#include "rundir.h"
#include "util.h"

static int tell_lock(const char *dir, const char *name, int err)
{
	if (err == -EWOULDBLOCK) {
		log_line("another cmgr-bpf is running (lock %s/%s)", dir, name);
		return EXIT_RUNNING;
	}
	log_line("cannot use %s/%s: %s", dir, name,
		 err == -EPERM ? "the folder or the file is not root's alone to write"
			       : strerror(-err));
	return EXIT_FAILED;
}

/* One that is in use again is another daemon's. */
static int undo_other_run_dir(const char *dir)
{
	int lock_fd, err;

	if (access(dir, F_OK))
		return 0;
	lock_fd = run_dir_lock(dir);
	if (lock_fd == -EPERM) {
		log_line("%s, of an earlier run, is another user's now; it is left alone", dir);
		return 0;
	}
	if (lock_fd < 0)
		return lock_fd == -EWOULDBLOCK ? 0 : tell_lock(dir, RUN_LOCK, lock_fd);
	err = run_dir_remove(dir);
	close(lock_fd);
	return err;
}

/* The run directory comes last: its lock is what tells the entry that the daemon lives. */
static int undo(const struct options *options, const struct journal *journal)
{
	bool all = options->command == COMMAND_CLEANUP;
	int err = 0, cron_err = 0;

	if (all || journal->told[INSTALLED_PINS])
		err = cgroup_cpu_unpin();
	if (err != -EBUSY)
		cron_err = all || journal->told[INSTALLED_CRON] ? schedule_remove(options->run_dir)
								: schedule_forget(options->run_dir);
	if (!err)
		err = cron_err;
	return err == -EBUSY ? EXIT_RUNNING : err ? EXIT_FAILED : 0;
}

int claim_take(const struct options *options, struct claim *ret)
{
	const char *run_dir = options->run_dir, *was;
	struct claim claim = {.lock_fd = -1};
	int err = journal_open(options->state_dir, &claim.journal), status = 0;
	bool new;

	if (err)
		return tell_lock(options->state_dir, JOURNAL_NAME, err);
	was = claim.journal.told[INSTALLED_RUN];
	new = !was;
	if (was && strcmp(was, run_dir) && undo_other_run_dir(was))
		status = EXIT_FAILED;
	if (!status) {
		err = journal_note(&claim.journal, INSTALLED_RUN, run_dir);
		if (err)
			status = tell_lock(options->state_dir, JOURNAL_NAME, err);
	}
	if (!status) {
		claim.lock_fd = run_dir_lock(run_dir);
		if (claim.lock_fd < 0)
			status = tell_lock(run_dir, RUN_LOCK, claim.lock_fd);
		else
			status = undo(options, &claim.journal);
	}
	if (!status) {
		*ret = claim;
		return 0;
	}
	if (claim.lock_fd >= 0) {
		run_dir_remove(run_dir);
		close(claim.lock_fd);
	}
	if (new)
		rmdir(run_dir);
	journal_close(&claim.journal, new);
	return status;
}

int claim_release(const struct options *options, struct claim *claim)
{
	int status = undo(options, &claim->journal);
	/* Without the lock the entry would remove itself, too. */
	int dir_err = run_dir_remove(options->run_dir);

	/* What is in use is another's, and nothing of ours. */
	journal_close(&claim->journal, !dir_err && (!status || status == EXIT_RUNNING));
	close(claim->lock_fd);
	return !status && dir_err ? EXIT_FAILED : status;
}

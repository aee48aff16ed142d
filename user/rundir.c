// SPDX-License-Identifier: GPL-2.0
#include "rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "util.h"

static bool is_file_at(int fd, const char *path)
{
	struct stat held, named;

	return !fstat(fd, &held) && !stat(path, &named) && held.st_ino == named.st_ino &&
	       held.st_dev == named.st_dev;
}

int run_dir_lock(const char *run_dir)
{
	_cleanup_free_ char *path = format_text("%s/" RUN_LOCK, run_dir);
	int fd, err;

	if (!path)
		return -ENOMEM;
	err = make_dir(run_dir, 0755);
	if (err)
		return err;
	for (;;) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			err = -errno;
			close(fd);
			return err;
		}
		/* The one before us removes the file at its end: a lock on that would lock nothing. */
		if (is_file_at(fd, path))
			break;
		close(fd);
	}
	if (!ftruncate(fd, 0))
		dprintf(fd, "%d\n", getpid());
	return fd;
}

bool run_dir_in_use(const char *run_dir)
{
	_cleanup_free_ char *path = format_text("%s/" RUN_LOCK, run_dir);

	return path && !access(path, F_OK);
}

static void remove_in(const char *dir, const char *name)
{
	_cleanup_free_ char *path = format_text("%s/%s", dir, name);

	if (path)
		unlink(path);
}

void run_dir_remove(const char *run_dir)
{
	remove_in(run_dir, RUN_SYSINFO ".tmp");
	remove_in(run_dir, RUN_SYSINFO);
	remove_in(run_dir, RUN_LOCK);
	rmdir(run_dir);
}

// SPDX-License-Identifier: GPL-2.0
#include "rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "util.h"

bool is_file_at(int fd, const char *path)
{
	struct stat held, named;

	return !fstat(fd, &held) && !stat(path, &named) && held.st_ino == named.st_ino &&
	       held.st_dev == named.st_dev;
}

/* A lock of the open file, not of the process: it can be asked for without being taken. */
static struct flock whole_file(short type)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET};
}

static int try_lock(const char *path)
{
	struct flock lock = whole_file(F_WRLCK);
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	struct stat st;
	int err = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		err = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
		err = -EPERM;
	else if (fcntl(fd, F_OFD_SETLK, &lock))
		err = errno == EACCES || errno == EAGAIN ? -EWOULDBLOCK : -errno;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int lock_file(const char *path)
{
	for (;;) {
		int fd = try_lock(path);

		/* The one before us removes the file at its end: a lock on that would lock nothing. */
		if (fd < 0 || is_file_at(fd, path))
			return fd;
		close(fd);
	}
}

int run_dir_lock(const char *run_dir)
{
	_cleanup_free_ char *path = format_text("%s/" RUN_LOCK, run_dir);
	int fd, tries = LOCK_TRIES;

	if (!path)
		return -ENOMEM;
	do {
		fd = make_own_dir(run_dir, 0755);
		if (!fd)
			fd = lock_file(path);
	} while (fd == -ENOENT && --tries);
	if (fd >= 0 && !ftruncate(fd, 0))
		dprintf(fd, "%d\n", getpid());
	return fd;
}

int run_dir_in_use(const char *run_dir)
{
	_cleanup_free_ char *path = format_text("%s/" RUN_LOCK, run_dir);
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
	struct flock lock = whole_file(F_WRLCK);

	if (!path)
		return -ENOMEM;
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	return fcntl(fd, F_OFD_GETLK, &lock) ? -errno : lock.l_type != F_UNLCK;
}

static int remove_in(const char *dir, const char *name)
{
	_cleanup_free_ char *path = format_text("%s/%s", dir, name);

	if (!path)
		return -ENOMEM;
	return unlink(path) && errno != ENOENT ? -errno : 0;
}

int run_dir_remove(const char *run_dir)
{
	int err = remove_in(run_dir, RUN_SYSINFO ".tmp");

	if (!err)
		err = remove_in(run_dir, RUN_SYSINFO);
	if (!err)
		err = remove_in(run_dir, RUN_LOCK);
	if (err)
		log_line("cannot remove what is in %s: %s; remove it by hand", run_dir,
			 strerror(-err));
	else
		rmdir(run_dir);
	return err;
}

// SPDX-License-Identifier: GPL-2.0
#include "act/schedule.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "rundir.h"
#include "util.h"

/* No cron takes a name that begins with a dot for an entry. */
#define TEMPORARY_PATH SCHEDULE_DIR "/.cmgr-bpf.tmp"
#define FIRST_WORDS    "# Installed by cmgr-bpf"
#define ENTRY_LIMIT    (4UL * PATH_MAX)
#define LOCK_WAIT_MS   2000

/* Cron gives the line to a shell, and "%" a meaning of its own: only plain characters may pass. */
static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("/._+-:", *text))
			return false;
	return true;
}

static int check_plain(const char *what, const char *text)
{
	if (is_plain(text))
		return 0;
	log_line("cannot write %s: the %s '%s' has a character that cron would not take as it is; "
		 "use another path or --no-cron",
		 SCHEDULE_PATH, what, text);
	return -EINVAL;
}

static int own_path(char *ret, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", ret, size - 1);

	if (length < 0)
		return -errno;
	ret[length] = '\0';
	return (size_t)length == size - 1 ? -ENAMETOOLONG : 0;
}

/* Root's, and no other's to replace: in a sticky folder each may replace its own alone. */
static bool is_roots_alone(const char *path)
{
	struct stat st;
	unsigned int others = S_IWOTH;

	if (stat(path, &st))
		return true;
	if (st.st_gid)
		others |= S_IWGRP;
	return !st.st_uid &&
	       (!(st.st_mode & others) || (S_ISDIR(st.st_mode) && st.st_mode & S_ISVTX));
}

/* What root runs every minute, others could put their own in place of. */
static void warn_of_others(const char *program)
{
	_cleanup_free_ char *path = strdup(program);
	char *slash;

	while (path && is_roots_alone(*path ? path : "/")) {
		if (!*path)
			return;
		slash = strrchr(path, '/');
		*slash = '\0';
	}
	if (path)
		log_line("warning: cron runs %s as root, and others than root may write to %s; "
			 "use --no-cron, or run what sudo make install has installed",
			 program, *path ? path : "/");
}

struct entry {
	int fd; /* locked: whoever removes or replaces the entry holds that */
	bool ours;
	char *run_dir; /* of the daemon that it is of; NULL: it names none */
};

static void entry_close(struct entry *entry)
{
	if (entry->fd >= 0)
		close(entry->fd);
	free(entry->run_dir);
	*entry = (struct entry){.fd = -1};
}

/* The word after --run-dir. */
static char *find_run_dir(const char *text)
{
	const char *found = strstr(text, " --run-dir ");

	if (!found)
		return NULL;
	found += strlen(" --run-dir ");
	return strndup(found, strcspn(found, " \n"));
}

/* Whose it is. What is ours is a file of our own, with the right to read it. */
static int read_entry(struct entry *entry)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t size;
	int err;

	if (lstat(SCHEDULE_PATH, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || !(st.st_mode & S_IRUSR))
		return 0;
	err = read_file(SCHEDULE_PATH, ENTRY_LIMIT, &text, &size);
	if (err)
		return err == -EFBIG ? 0 : err;
	entry->ours = !strncmp(text, FIRST_WORDS, strlen(FIRST_WORDS));
	entry->run_dir = find_run_dir(text);
	return 0;
}

/* lock_file() would make one. */
static int try_entry(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(SCHEDULE_PATH, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_OFD_SETLK, &lock))
		err = errno == EACCES ? -EAGAIN : -errno;
	else if (!is_file_at(fd, SCHEDULE_PATH))
		err = -EAGAIN;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/*
 * Locked, if it is ours; another holds it for a moment. What is somebody else's may be held for ever, or not be
 * written to. 0, -ENOENT or another -errno.
 */
static int entry_open(struct entry *ret)
{
	static const struct timespec moment = {.tv_nsec = (long)NS_PER_MS};
	struct entry entry = {.fd = -1};
	int err = read_entry(&entry), tries = LOCK_WAIT_MS;
	bool ours = entry.ours;

	entry_close(&entry);
	if (err || !ours)
		return err;
	while ((entry.fd = try_entry()) == -EAGAIN && --tries)
		nanosleep(&moment, NULL);
	if (entry.fd < 0)
		return entry.fd;
	err = read_entry(&entry);
	if (err)
		entry_close(&entry);
	else
		*ret = entry;
	return err;
}

/*
 * A program that is gone could not remove the entry any more. One that is being built or installed anew is
 * gone for a moment only, and its daemon lives.
 */
static int write_entry(const char *program, unsigned int count, const char *docker_host,
		       const char *run_dir)
{
	_cleanup_free_ char *text = format_text(
		FIRST_WORDS
		" while it runs; it removes this file when it ends.\n"
		"* * * * * root if [ -x %s ]; then %s spawn -n %u --docker-host %s --run-dir %s "
		">/dev/null; elif ! kill -0 \"$(cat %s/" RUN_LOCK ")\" 2>/dev/null; "
		"then rm -f " SCHEDULE_PATH "; fi\n",
		program, program, count, docker_host, run_dir, run_dir);

	/* Who may read it may hold up its lock. */
	return text ? replace_file(SCHEDULE_PATH, TEMPORARY_PATH, text, 0600) : -ENOMEM;
}

int schedule_install(unsigned int count, const char *docker_host, const char *run_dir)
{
	char program[PATH_MAX];
	struct entry old = {.fd = -1};
	int err = own_path(program, sizeof(program));

	if (!err && (check_plain("path", program) || check_plain("engine's URL", docker_host) ||
		     check_plain("run directory", run_dir)))
		return -EINVAL;
	if (!err)
		err = entry_open(&old);
	if (!err && !old.ours) {
		log_line(SCHEDULE_PATH " is not ours; move it away or use --no-cron");
		entry_close(&old);
		return -EEXIST;
	}
	if (!err || err == -ENOENT)
		err = write_entry(program, count, docker_host, run_dir);
	entry_close(&old);
	if (!err)
		warn_of_others(program);
	else
		log_line("cannot write %s: %s; mend it or use --no-cron", SCHEDULE_PATH,
			 strerror(-err));
	return err;
}

static int tell_remove(int err)
{
	if (err == -ENOENT)
		return 0;
	if (err == -EBUSY)
		log_line("another cmgr-bpf is running (its cron entry is " SCHEDULE_PATH ")");
	else if (err)
		log_line("cannot remove %s: %s; remove it by hand", SCHEDULE_PATH, strerror(-err));
	return err;
}

/* A file system that cannot be written says so whether there is one or not. */
static int remove_temporary(void)
{
	if (!unlink(TEMPORARY_PATH) || errno == ENOENT)
		return 0;
	return errno == EROFS && access(TEMPORARY_PATH, F_OK) ? 0 : -errno;
}

int schedule_remove(const char *run_dir)
{
	struct entry entry = {.fd = -1};
	int err = entry_open(&entry);

	if (err == -ENOENT || (!err && entry.ours)) {
		int temporary_err = remove_temporary();

		if (temporary_err)
			err = temporary_err;
	}
	if (!err && entry.ours) {
		int used = entry.run_dir && strcmp(entry.run_dir, run_dir)
				   ? run_dir_in_use(entry.run_dir)
				   : 0;

		if (used)
			err = used < 0 ? used : -EBUSY;
		else if (unlink(SCHEDULE_PATH))
			err = -errno;
	}
	entry_close(&entry);
	return tell_remove(err);
}

static bool is_of(const struct entry *entry, const char *run_dir)
{
	return entry->ours && entry->run_dir && !strcmp(entry->run_dir, run_dir);
}

int schedule_forget(const char *run_dir)
{
	struct entry entry = {.fd = -1};
	int err = entry_open(&entry);

	if (!err && is_of(&entry, run_dir) && unlink(SCHEDULE_PATH))
		err = -errno;
	entry_close(&entry);
	return tell_remove(err);
}

/* The daemon's lock is looked at with the entry locked: one that starts replaces it only after us. */
int schedule_heal(const char *run_dir)
{
	struct entry entry = {.fd = -1};
	int err = entry_open(&entry);

	if (!err && is_of(&entry, run_dir) && !run_dir_in_use(run_dir)) {
		err = unlink(SCHEDULE_PATH) ? -errno : 0;
		if (!err)
			log_line("no cmgr-bpf runs in %s: nothing is created, and %s is removed",
				 run_dir, SCHEDULE_PATH);
	}
	entry_close(&entry);
	return tell_remove(err);
}

// SPDX-License-Identifier: GPL-2.0
#include "report/spool_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "util.h"

#define RECORD_LIMIT (64UL << 20)
#define DIGITS	     20 /* of UINT64_MAX */
#define NAME_SIZE    (DIGITS + sizeof(".rejected"))

static const char *const extensions[] = {
	[SPOOL_OPEN] = ".record",
	[SPOOL_WAITS] = ".record",
	[SPOOL_REJECTED] = ".rejected",
	[SPOOL_DAMAGED] = ".damaged",
};

static void set_name(char *name, uint64_t number, enum spool_state state)
{
	snprintf(name, NAME_SIZE, "%0*" PRIu64 "%s", DIGITS, number, extensions[state]);
}

bool spool_file_name(const char *name, struct spool_entry *ret)
{
	char digits[DIGITS + 1] = "";
	enum spool_state state;

	if (strlen(name) <= DIGITS)
		return false;
	memcpy(digits, name, DIGITS);
	for (state = SPOOL_WAITS; state <= SPOOL_DAMAGED; state++) {
		if (strcmp(name + DIGITS, extensions[state]))
			continue;
		*ret = (struct spool_entry){.state = state};
		return !parse_u64(digits, 1, UINT64_MAX, &ret->number);
	}
	return false;
}

char *spool_file_path(const struct spool *spool, const struct spool_entry *entry)
{
	char name[NAME_SIZE];

	set_name(name, entry->number, entry->state);
	return format_text("%s/%s", spool->dir, name);
}

int spool_file_read(const struct spool *spool, const struct spool_entry *entry, char **ret_text,
		    size_t *ret_size, struct parts *ret)
{
	_cleanup_free_ char *path = spool_file_path(spool, entry);
	int err = path ? read_file(path, RECORD_LIMIT, ret_text, ret_size) : -ENOMEM;

	if (!err)
		parts_read(*ret_text, *ret_size, ret);
	return err;
}

int spool_file_size(const struct spool *spool, struct spool_entry *entry)
{
	char name[NAME_SIZE];
	struct stat st;

	set_name(name, entry->number, entry->state);
	if (fstatat(spool->fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	entry->size = (size_t)st.st_size;
	return 0;
}

int spool_file_delete(const struct spool *spool, const struct spool_entry *entry)
{
	char name[NAME_SIZE];

	set_name(name, entry->number, entry->state);
	return unlinkat(spool->fd, name, 0) && errno != ENOENT ? -errno : 0;
}

int spool_file_rename(const struct spool *spool, const struct spool_entry *entry,
		      enum spool_state state)
{
	char from[NAME_SIZE], to[NAME_SIZE];

	set_name(from, entry->number, entry->state);
	set_name(to, entry->number, state);
	return strcmp(from, to) && renameat(spool->fd, from, spool->fd, to) ? -errno : 0;
}

int spool_file_cut(const struct spool *spool, const struct spool_entry *entry, size_t size)
{
	char name[NAME_SIZE];
	_cleanup_close_ int fd = -1;

	set_name(name, entry->number, entry->state);
	fd = openat(spool->fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 || ftruncate(fd, (off_t)size) || fsync(fd) ? -errno : 0;
}

static int write_at(int fd, const char *text, size_t size, size_t offset)
{
	while (size) {
		ssize_t n = pwrite(fd, text, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		text += n;
		size -= (size_t)n;
		offset += (size_t)n;
	}
	return 0;
}

int spool_file_append(const struct spool *spool, const struct spool_entry *entry, const char *text)
{
	char name[NAME_SIZE];
	_cleanup_close_ int fd = -1;
	int err;

	set_name(name, entry->number, entry->state);
	fd = openat(spool->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	/* What an earlier attempt left there. */
	err = ftruncate(fd, (off_t)entry->size) ? -errno
						: write_at(fd, text, strlen(text), entry->size);
	if (!err && fsync(fd))
		err = -errno;
	if (!err && !entry->size)
		err = sync_dir(spool->fd);
	if (err && !entry->size)
		unlinkat(spool->fd, name, 0);
	else if (err && ftruncate(fd, (off_t)entry->size))
		log_line("cannot cut off what was written in part: %s", strerror(errno));
	return err;
}

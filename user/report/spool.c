// SPDX-License-Identifier: GPL-2.0
#include "report/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>

#include "util.h"

#define RECORD_LIMIT (64UL << 20)
#define DIGITS	     20 /* of UINT64_MAX */
#define EXTENSION    ".json"
#define REJECTED     ".rejected"

static char *record_path(const struct spool *spool, uint64_t number, const char *extension)
{
	return format_text("%s/%0*" PRIu64 "%s", spool->dir, DIGITS, number, extension);
}

/* 00000000000000000042.json */
static bool parse_name(const char *name, const char *extension, uint64_t *ret)
{
	char digits[DIGITS + 1] = "";

	if (strlen(name) != DIGITS + strlen(extension) || strcmp(name + DIGITS, extension))
		return false;
	memcpy(digits, name, DIGITS);
	return !parse_u64(digits, 1, UINT64_MAX, ret);
}

/* The oldest record's number, 0 when there is none, and the largest ever used, as far as is known. */
static int find_ends(const struct spool *spool, uint64_t *ret_first, uint64_t *ret_last)
{
	DIR *dir = opendir(spool->dir);
	const struct dirent *entry;

	if (!dir)
		return -errno;
	*ret_first = *ret_last = 0;
	while ((entry = readdir(dir))) {
		uint64_t number;
		bool waits = parse_name(entry->d_name, EXTENSION, &number);

		if (!waits && !parse_name(entry->d_name, REJECTED, &number))
			continue;
		if (waits && (!*ret_first || number < *ret_first))
			*ret_first = number;
		if (number > *ret_last)
			*ret_last = number;
	}
	closedir(dir);
	return 0;
}

static int lock_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int spool_open(const char *dir, struct spool *ret)
{
	struct spool spool = {.dir = strdup(dir), .lock_fd = -1};
	uint64_t first;
	int err = spool.dir ? make_own_dir(dir, 0700) : -ENOMEM;

	if (!err) {
		spool.lock_fd = lock_dir(dir);
		err = spool.lock_fd < 0 ? spool.lock_fd : find_ends(&spool, &first, &spool.last);
	}
	if (err)
		spool_close(&spool);
	else
		*ret = spool;
	return err;
}

void spool_close(struct spool *spool)
{
	/* Never opened: all zero. */
	if (spool->dir && spool->lock_fd >= 0)
		close(spool->lock_fd);
	free(spool->dir);
	*spool = (struct spool){};
}

/* A number is used once, whatever becomes of it: a record may be there although an error came. */
int spool_append(struct spool *spool, const char *json)
{
	_cleanup_free_ char *path = record_path(spool, ++spool->last, EXTENSION);

	return path ? write_file(path, json, 0600) : -ENOMEM;
}

int spool_oldest(const struct spool *spool, uint64_t *ret_number, char **ret_json)
{
	_cleanup_free_ char *path = NULL;
	uint64_t first, last;
	size_t size;
	int err = find_ends(spool, &first, &last);

	if (err || !first)
		return err;
	path = record_path(spool, first, EXTENSION);
	err = path ? read_file(path, RECORD_LIMIT, ret_json, &size) : -ENOMEM;
	if (err)
		return err;
	*ret_number = first;
	return 1;
}

int spool_drop(const struct spool *spool, uint64_t number)
{
	_cleanup_free_ char *path = record_path(spool, number, EXTENSION);

	if (!path)
		return -ENOMEM;
	return unlink(path) && errno != ENOENT ? -errno : 0;
}

int spool_reject(const struct spool *spool, uint64_t number)
{
	_cleanup_free_ char *path = record_path(spool, number, EXTENSION);
	_cleanup_free_ char *aside = record_path(spool, number, REJECTED);

	if (!path || !aside)
		return -ENOMEM;
	return rename(path, aside) ? -errno : 0;
}

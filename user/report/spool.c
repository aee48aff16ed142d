// SPDX-License-Identifier: GPL-2.0
#include "report/spool.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "util.h"

#define RECORD_LIMIT (64UL << 20)
#define DIGITS	     20 /* of UINT64_MAX */
#define EXTENSION    ".json"

static char *record_path(const struct spool *spool, uint64_t number, const char *extension)
{
	return format_text("%s/%0*" PRIu64 "%s", spool->dir, DIGITS, number, extension);
}

/* 00000000000000000042.json */
static bool parse_name(const char *name, uint64_t *ret)
{
	char digits[DIGITS + 1] = "";

	if (strlen(name) != DIGITS + strlen(EXTENSION) || strcmp(name + DIGITS, EXTENSION))
		return false;
	memcpy(digits, name, DIGITS);
	return !parse_u64(digits, 1, UINT64_MAX, ret);
}

/* The smallest and the largest number in the folder; both 0 when it holds no record. */
static int find_ends(const struct spool *spool, uint64_t *ret_first, uint64_t *ret_last)
{
	DIR *dir = opendir(spool->dir);
	const struct dirent *entry;

	if (!dir)
		return -errno;
	*ret_first = *ret_last = 0;
	while ((entry = readdir(dir))) {
		uint64_t number;

		if (!parse_name(entry->d_name, &number))
			continue;
		if (!*ret_first || number < *ret_first)
			*ret_first = number;
		if (number > *ret_last)
			*ret_last = number;
	}
	closedir(dir);
	return 0;
}

int spool_open(const char *dir, struct spool *ret)
{
	struct spool spool = {.dir = strdup(dir)};
	uint64_t first;
	int err = spool.dir ? make_dir(dir, 0700) : -ENOMEM;

	if (!err)
		err = find_ends(&spool, &first, &spool.last);
	if (err)
		spool_close(&spool);
	else
		*ret = spool;
	return err;
}

void spool_close(struct spool *spool)
{
	free(spool->dir);
	*spool = (struct spool){};
}

int spool_append(struct spool *spool, const char *json)
{
	_cleanup_free_ char *path = record_path(spool, spool->last + 1, EXTENSION);
	int err = path ? write_file(path, json, 0600) : -ENOMEM;

	if (!err)
		spool->last++;
	return err;
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
	_cleanup_free_ char *aside = record_path(spool, number, ".rejected");

	if (!path || !aside)
		return -ENOMEM;
	return rename(path, aside) ? -errno : 0;
}

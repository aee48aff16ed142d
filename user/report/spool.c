// SPDX-License-Identifier: GPL-2.0
#include "report/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>

#include "report/spool_file.h"
#include "util.h"

static size_t entry_bytes(const struct spool_entry *entry)
{
	return entry->size + (entry->json ? strlen(entry->json) : 0);
}

static struct spool_entry *add_entry(struct spool *spool, const struct spool_entry *entry)
{
	if (grow_array((void **)&spool->entries, spool->count, sizeof(*entry)))
		return NULL;
	spool->entries[spool->count] = *entry;
	return &spool->entries[spool->count++];
}

static void forget_entry(struct spool *spool, struct spool_entry *entry)
{
	size_t after = spool->count - (size_t)(entry - spool->entries) - 1;

	spool->bytes -= entry_bytes(entry);
	free(entry->json);
	memmove(entry, entry + 1, after * sizeof(*entry));
	spool->count--;
}

static struct spool_entry *find_entry(struct spool *spool, uint64_t number)
{
	size_t i;

	for (i = 0; i < spool->count; i++)
		if (spool->entries[i].number == number)
			return &spool->entries[i];
	return NULL;
}

/* It is forgotten even if its file stays: pygraph takes a record once, however often it is sent. */
static int delete_entry(struct spool *spool, struct spool_entry *entry)
{
	int err = spool_file_delete(spool, entry);

	forget_entry(spool, entry);
	return err;
}

static int set_state(struct spool *spool, struct spool_entry *entry, enum spool_state state)
{
	int err = entry->size ? spool_file_rename(spool, entry, state) : 0;

	if (!err)
		entry->state = state;
	return err;
}

/* Opening */

/* What reading a record can end with that has to do with this file alone; -ENODATA: no whole part. */
static bool is_unreadable(int err)
{
	return err == -ENODATA || err == -EIO || err == -EFBIG || err == -EBADMSG ||
	       err == -EUCLEAN;
}

/* Whatever comes of its name: the others are not to wait for it. */
static void set_aside_damaged(struct spool *spool, struct spool_entry *entry, int err)
{
	_cleanup_free_ char *path = spool_file_path(spool, entry);
	const char *how =
		set_state(spool, entry, SPOOL_DAMAGED) ? "left alone" : "kept beside as .damaged";

	if (err == -ENODATA)
		log_line("%s holds no whole record: it is %s", path ? path : "?", how);
	else
		log_line("%s cannot be read: %s; it is %s", path ? path : "?", strerror(-err), how);
	entry->state = SPOOL_DAMAGED;
}

/* What the file of an earlier run holds: only whole parts are left of it. */
static int take_up(struct spool *spool, struct spool_entry *entry)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	bool was_damaged = entry->state == SPOOL_DAMAGED;
	struct parts parts;
	size_t size;
	int err;

	/* Its first write was never reached. */
	if (!entry->size) {
		err = delete_entry(spool, entry);
		return was_damaged ? 0 : err;
	}
	err = spool_file_read(spool, entry, &text, &size, &parts);
	if (!err && !parts.size)
		err = -ENODATA;
	if (!was_damaged && is_unreadable(err)) {
		set_aside_damaged(spool, entry, err);
		return 0;
	}
	if (!err)
		err = set_state(spool, entry, SPOOL_WAITS);
	/* It stays aside. */
	if (was_damaged && err && err != -ENOMEM)
		return 0;
	if (err)
		return err;
	path = spool_file_path(spool, entry);
	if (!path)
		return -ENOMEM;
	if (was_damaged)
		log_line("%s can be read again", path);
	if (parts.size < size) {
		log_line("%s: %zu bytes of an unfinished part are cut off", path,
			 size - parts.size);
		err = spool_file_cut(spool, entry, parts.size);
		entry->size = parts.size;
	}
	if (parts.kind == PART_DECIDED)
		log_line("%s: the daemon ended before the outcomes were told", path);
	return err;
}

static int by_number(const void *a, const void *b)
{
	const struct spool_entry *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static int list_files(struct spool *spool)
{
	DIR *dir = opendir(spool->dir);
	const struct dirent *file;
	struct spool_entry entry;
	int err = 0;

	if (!dir)
		return -errno;
	while (!err && (file = readdir(dir))) {
		if (!spool_file_name(file->d_name, &entry))
			continue;
		err = spool_file_size(spool, &entry);
		if (!err && !add_entry(spool, &entry))
			err = -ENOMEM;
	}
	closedir(dir);
	if (spool->count)
		qsort(spool->entries, spool->count, sizeof(entry), by_number);
	return err;
}

static int take_up_all(struct spool *spool)
{
	size_t i = 0;
	int err = 0;

	while (!err && i < spool->count) {
		struct spool_entry *entry = &spool->entries[i];
		size_t count = spool->count;

		spool->last = entry->number;
		err = take_up(spool, entry);
		/* An empty one is there no more. */
		if (spool->count < count)
			continue;
		spool->bytes += entry->size;
		i++;
	}
	return err;
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

int spool_open(const char *dir, size_t limit, struct spool *ret)
{
	struct spool spool = {.dir = strdup(dir), .fd = -1, .limit = limit};
	int err = spool.dir ? make_own_dir(dir, 0700) : -ENOMEM;

	if (!err) {
		spool.fd = lock_dir(dir);
		err = spool.fd < 0 ? spool.fd : list_files(&spool);
	}
	if (!err)
		err = take_up_all(&spool);
	if (err)
		spool_close(&spool);
	else
		*ret = spool;
	return err;
}

void spool_close(struct spool *spool)
{
	size_t i;

	for (i = 0; i < spool->count; i++) {
		if (spool->entries[i].json)
			log_line("record %" PRIu64 " of %s is lost%s", spool->entries[i].number,
				 spool->dir,
				 spool->entries[i].size ? ", but for what was decided" : "");
		free(spool->entries[i].json);
	}
	/* Never opened: all zero. */
	if (spool->dir && spool->fd >= 0)
		close(spool->fd);
	free(spool->entries);
	free(spool->dir);
	*spool = (struct spool){};
}

/* Writing */

/* On disk, or else in memory. */
static int put(struct spool *spool, struct spool_entry *entry, enum part_kind kind,
	       const char *json)
{
	_cleanup_free_ char *text = part_format(kind, json);
	int err = text ? spool_file_append(spool, entry, text) : -ENOMEM;
	char *kept = err ? strdup(json) : NULL;

	spool->bytes -= entry_bytes(entry);
	if (!err)
		entry->size += strlen(text);
	free(entry->json);
	entry->json = kept;
	spool->bytes += entry_bytes(entry);
	if (err && !kept && !entry->size)
		forget_entry(spool, entry);
	return err;
}

/* What could not be written is tried again, and what was left without outcomes has none. */
static void settle(struct spool *spool)
{
	bool failed = false;
	size_t i;

	for (i = 0; i < spool->count; i++) {
		struct spool_entry *entry = &spool->entries[i];
		_cleanup_free_ char *json = NULL;

		if (entry->state == SPOOL_OPEN)
			entry->state = SPOOL_WAITS;
		if (!entry->json || failed)
			continue;
		json = strdup(entry->json);
		failed = !json || put(spool, entry, PART_WHOLE, json);
	}
}

static struct spool_entry *oldest_to_drop(struct spool *spool)
{
	struct spool_entry *found = NULL;
	size_t i;

	for (i = 0; i < spool->count; i++) {
		struct spool_entry *entry = &spool->entries[i];

		if (entry->state == SPOOL_REJECTED || entry->state == SPOOL_DAMAGED)
			return entry;
		/* Never the newest. */
		if (!found && entry->state == SPOOL_WAITS && entry->number != spool->sending &&
		    entry->number != spool->last)
			found = entry;
	}
	return found;
}

static void trim(struct spool *spool)
{
	while (spool->bytes > spool->limit) {
		struct spool_entry *entry = oldest_to_drop(spool);
		bool is_record;

		if (!entry)
			return;
		is_record = entry->state != SPOOL_DAMAGED;
		if (delete_entry(spool, entry))
			return;
		if (is_record && !spool->dropped++)
			log_line("the spool %s is full (%zu bytes): the oldest records are dropped",
				 spool->dir, spool->limit);
	}
}

/* A number is used once, whatever becomes of it. */
static struct spool_entry *add_open(struct spool *spool)
{
	const struct spool_entry entry = {.number = spool->last + 1, .state = SPOOL_OPEN};
	struct spool_entry *added = add_entry(spool, &entry);

	if (added)
		spool->last++;
	return added;
}

int spool_decide(struct spool *spool, const char *json)
{
	struct spool_entry *entry;
	int err;

	settle(spool);
	entry = add_open(spool);
	err = entry ? put(spool, entry, PART_DECIDED, json) : -ENOMEM;
	trim(spool);
	return err;
}

int spool_complete(struct spool *spool, const char *json)
{
	struct spool_entry *entry = spool->count ? &spool->entries[spool->count - 1] : NULL;
	int err;

	if (!entry || entry->state != SPOOL_OPEN)
		entry = add_open(spool);
	if (!entry)
		return -ENOMEM;
	entry->state = SPOOL_WAITS;
	err = put(spool, entry, PART_WHOLE, json);
	trim(spool);
	return err;
}

/* Sending */

size_t spool_waiting(const struct spool *spool)
{
	size_t waiting = 0, i;

	for (i = 0; i < spool->count; i++)
		waiting += spool->entries[i].state == SPOOL_WAITS;
	return waiting;
}

static int read_record(struct spool *spool, struct spool_entry *entry, char **ret)
{
	_cleanup_free_ char *text = NULL;
	struct parts parts;
	size_t size;
	char *json;
	int err;

	if (!entry->json) {
		err = spool_file_read(spool, entry, &text, &size, &parts);
		if (err)
			return err;
		if (!parts.size)
			return -ENODATA;
	}
	json = entry->json ? strdup(entry->json) : strndup(parts.json, parts.length);
	if (!json)
		return -ENOMEM;
	*ret = json;
	return 0;
}

static struct spool_entry *first_waiting(struct spool *spool)
{
	size_t i;

	for (i = 0; i < spool->count; i++)
		if (spool->entries[i].state == SPOOL_WAITS)
			return &spool->entries[i];
	return NULL;
}

int spool_oldest(struct spool *spool, uint64_t *ret_number, char **ret_json)
{
	struct spool_entry *entry;

	while ((entry = first_waiting(spool))) {
		int err = read_record(spool, entry, ret_json);

		if (!err) {
			*ret_number = entry->number;
			return 1;
		}
		if (is_unreadable(err)) {
			set_aside_damaged(spool, entry, err);
			err = 0;
		} else if (err == -ENOENT) {
			log_line("record %" PRIu64 " of %s is gone", entry->number, spool->dir);
			forget_entry(spool, entry);
			err = 0;
		}
		if (err)
			return err;
	}
	return 0;
}

int spool_drop(struct spool *spool, uint64_t number)
{
	struct spool_entry *entry = find_entry(spool, number);

	return entry ? delete_entry(spool, entry) : 0;
}

int spool_reject(struct spool *spool, uint64_t number)
{
	struct spool_entry *entry = find_entry(spool, number);

	return entry ? set_state(spool, entry, SPOOL_REJECTED) : 0;
}

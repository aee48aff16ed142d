// SPDX-License-Identifier: GPL-2.0
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "rundir.h"
#include "util.h"

#define HEAD	   "cmgr-bpf journal 1\n"
#define SIZE_LIMIT (1UL << 20)

static const char *const kinds[INSTALLED_KINDS] = {
	[INSTALLED_RUN] = "run",
	[INSTALLED_PINS] = "pins",
	[INSTALLED_CRON] = "cron",
};

/* run /run/cmgr-bpf */
static int parse_line(const char *line, struct journal *journal)
{
	size_t i;

	for (i = 0; i < INSTALLED_KINDS; i++) {
		size_t length = strlen(kinds[i]);
		char *path;

		if (strncmp(line, kinds[i], length) || line[length] != ' ' ||
		    line[length + 1] != '/')
			continue;
		path = strdup(line + length + 1);
		if (!path)
			return -ENOMEM;
		free(journal->told[i]);
		journal->told[i] = path;
		return 0;
	}
	return -EBADMSG;
}

/* Takes in the whole lines of @text; *ret_length is theirs. 0 or -ENOMEM. */
static int parse(char *text, struct journal *journal, size_t *ret_length)
{
	char *line = text, *end;
	int err = 0;

	*ret_length = 0;
	if (strncmp(text, HEAD, strlen(HEAD)))
		return 0;
	/* A text that a NUL byte is in ends there. */
	for (line += strlen(HEAD); (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		err = parse_line(line, journal);
		if (err)
			break;
	}
	*ret_length = (size_t)(line - text);
	return err == -ENOMEM ? err : 0;
}

static int load(struct journal *journal)
{
	_cleanup_free_ char *text = NULL;
	size_t size, length;
	int err = read_file(journal->path, SIZE_LIMIT, &text, &size);

	if (!err)
		err = parse(text, journal, &length);
	if (!err && length < size && ftruncate(journal->fd, (off_t)length))
		err = -errno;
	return err;
}

int journal_open(const char *state_dir, struct journal *ret)
{
	struct journal journal = {
		.path = format_text("%s/" JOURNAL_NAME, state_dir),
		.state_dir = state_dir,
		.fd = -ENOMEM,
	};
	int err, tries = LOCK_TRIES;

	do {
		err = journal.path ? make_own_dir(state_dir, 0700) : -ENOMEM;
		if (!err)
			journal.fd = err = lock_file(journal.path);
	} while (err == -ENOENT && --tries);
	if (err >= 0)
		err = load(&journal);
	if (err)
		journal_close(&journal, false);
	else
		*ret = journal;
	return err;
}

static int append(int fd, const char *text)
{
	size_t length = strlen(text);
	ssize_t n;

	do
		n = write(fd, text, length);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == length ? 0 : -ENOSPC;
}

static int sync_journal(const struct journal *journal)
{
	_cleanup_close_ int dir_fd = open(journal->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir_fd < 0 || fsync(journal->fd))
		return -errno;
	return sync_dir(dir_fd);
}

int journal_note(struct journal *journal, enum installed what, const char *path)
{
	_cleanup_free_ char *line = NULL, *copy = NULL;
	off_t end = lseek(journal->fd, 0, SEEK_END);
	int err;

	if (end < 0)
		return -errno;
	if (path[0] != '/' || strchr(path, '\n'))
		return -EINVAL;
	if (journal->told[what] && !strcmp(journal->told[what], path))
		return 0;
	line = format_text("%s%s %s\n", end ? "" : HEAD, kinds[what], path);
	copy = strdup(path);
	if (!line || !copy)
		return -ENOMEM;
	err = append(journal->fd, line);
	if (!err)
		err = sync_journal(journal);
	if (err) {
		/* Half a line would take the next one with it. */
		if (ftruncate(journal->fd, end))
			return -errno;
		return err;
	}
	free(journal->told[what]);
	journal->told[what] = copy;
	copy = NULL;
	return 0;
}

void journal_close(struct journal *journal, bool done)
{
	size_t i;

	if (done) {
		unlink(journal->path);
		rmdir(journal->state_dir);
	}
	if (journal->fd >= 0)
		close(journal->fd);
	for (i = 0; i < INSTALLED_KINDS; i++)
		free(journal->told[i]);
	free(journal->path);
	*journal = (struct journal){.fd = -1};
}

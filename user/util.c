// SPDX-License-Identifier: GPL-2.0
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define READ_CHUNK 65536

void log_line(const char *format, ...)
{
	va_list args;

	/* One line at a time: the log has a thread of its own. */
	flockfile(stderr);
	fputs("cmgr-bpf: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	funlockfile(stderr);
}

char *format_text(const char *format, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	return len < 0 ? NULL : text;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t boottime_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

uint64_t unix_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

int grow_array(void **array, size_t count, size_t element_size)
{
	void *larger;

	/* Full only when the count is zero or a power of two. */
	if (count & (count - 1))
		return 0;
	larger = reallocarray(*array, count ? count * 2 : 1, element_size);
	if (!larger)
		return -ENOMEM;
	*array = larger;
	return 0;
}

static int read_all(int fd, size_t limit, char **ret_text, size_t *ret_size)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0, room = 0;
	ssize_t n;

	do {
		if (room - size <= 1) {
			char *larger = realloc(text, room ? room * 2 : READ_CHUNK);

			if (!larger)
				return -ENOMEM;
			text = larger;
			room = room ? room * 2 : READ_CHUNK;
		}
		n = read(fd, text + size, room - size - 1);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			size += (size_t)n;
		if (size > limit)
			return -EFBIG;
	} while (n);
	text[size] = '\0';
	*ret_text = text;
	*ret_size = size;
	text = NULL;
	return 0;
}

int read_file(const char *path, size_t limit, char **ret_text, size_t *ret_size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : read_all(fd, limit, ret_text, ret_size);
}

static int write_all(int fd, const char *text, size_t size)
{
	while (size) {
		ssize_t n = write(fd, text, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		size -= (size_t)n;
	}
	return 0;
}

int sync_dir(int fd)
{
	return fsync(fd) && errno != EINVAL && errno != ENOTSUP ? -errno : 0;
}

static int sync_dir_of(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	_cleanup_close_ int fd = -1;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return sync_dir(fd);
}

int replace_file(const char *path, const char *temporary, const char *text, unsigned int mode)
{
	_cleanup_close_ int fd = -1;
	int err;

	if (unlink(temporary) && errno != ENOENT)
		return -errno;
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	err = fchmod(fd, mode) ? -errno : write_all(fd, text, strlen(text));
	if (!err && fsync(fd))
		err = -errno;
	if (!err && rename(temporary, path))
		err = -errno;
	if (err) {
		unlink(temporary);
		return err;
	}
	return sync_dir_of(path);
}

int write_file(const char *path, const char *text, unsigned int mode)
{
	_cleanup_free_ char *temporary = format_text("%s.tmp", path);

	return temporary ? replace_file(path, temporary, text, mode) : -ENOMEM;
}

int overwrite_file(const char *path, const char *text, unsigned int mode)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	return fd < 0 ? -errno : write_all(fd, text, strlen(text));
}

size_t whole_characters(const char *text, size_t limit)
{
	size_t length = strnlen(text, limit);

	if (length == limit)
		while (length && ((unsigned char)text[length] & 0xc0) == 0x80)
			length--;
	return length;
}

int make_own_dir(const char *path, unsigned int mode)
{
	struct stat st;

	if (mkdir(path, mode) && errno != EEXIST)
		return -errno;
	if (stat(path, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	return st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)) ? 0 : -EPERM;
}

int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return -ERANGE;
	}
	if (value < min || value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

/* The length of the UTF-8 sequence at @s (RFC 3629, table 3-7 of the Unicode standard), or 0. */
static size_t utf8_length(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length, i;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (i = 2; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

/* C0, DEL, and C1 (U+0080 to U+009F). */
static bool is_control(const unsigned char *s)
{
	return s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0);
}

static char *clean(const char *text, bool printable)
{
	const unsigned char *in = (const unsigned char *)text;
	char *utf8 = malloc(strlen(text) * 3 + 1), *out = utf8;

	if (!utf8)
		return NULL;
	while (*in) {
		size_t length = utf8_length(in);

		if (length && !(printable && is_control(in))) {
			memcpy(out, in, length);
			out += length;
			in += length;
		} else {
			memcpy(out, "\xef\xbf\xbd", 3);
			out += 3;
			in += length ? length : 1;
		}
	}
	*out = '\0';
	return utf8;
}

char *to_utf8(const char *text)
{
	return clean(text, false);
}

char *to_printable(const char *text)
{
	return clean(text, true);
}

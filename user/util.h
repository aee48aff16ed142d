/* SPDX-License-Identifier: GPL-2.0 */
/* Small helpers that several stages share. Errors are -errno unless a prototype says otherwise. */
#ifndef CMGR_UTIL_H
#define CMGR_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NS_PER_S  1000000000ULL
#define NS_PER_MS 1000000ULL
#define NS_PER_US 1000ULL

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

#define _cleanup_free_	 __attribute__((cleanup(cleanup_free)))
#define _cleanup_close_	 __attribute__((cleanup(cleanup_close)))
#define _cleanup_fclose_ __attribute__((cleanup(cleanup_fclose)))

/* One line on stderr, "cmgr-bpf: …". */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Like asprintf, but returns the string, to be freed, or NULL. */
char *format_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Nanoseconds on CLOCK_BOOTTIME, the clock of the kernel readings. */
uint64_t boottime_ns(void);

/* Nanoseconds since 1970. */
uint64_t unix_ns(void);

/* Makes room for one more element in an array of @count that grows by doubling. 0 or -ENOMEM. */
int grow_array(void **array, size_t count, size_t element_size);

/*
 * Reads all of @path, at most @limit bytes. *ret_text is NUL-terminated, to be freed.
 * -EFBIG when there is more.
 */
int read_file(const char *path, size_t limit, char **ret_text, size_t *ret_size);

/* Writes @text to @path whole or not at all: a temporary file beside it, fsync, rename, fsync. */
int write_file(const char *path, const char *text, unsigned int mode);

/* The same, by the temporary file @temporary. */
int replace_file(const char *path, const char *temporary, const char *text, unsigned int mode);

/* fsync of a folder: some file systems cannot, and need not. 0 or -errno. */
int sync_dir(int fd);

/* Writes @text to whatever @path is, as a shell's ">" does. 0 or -errno. */
int overwrite_file(const char *path, const char *text, unsigned int mode);

/*
 * mkdir that accepts an existing directory, but refuses one that is not ours alone to write: -EPERM.
 */
int make_own_dir(const char *path, unsigned int mode);

/* A decimal number that fills the whole of @text and lies in [min, max]. 0, -EINVAL or -ERANGE. */
int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret);

/* @text (any bytes) as valid UTF-8: what is not becomes U+FFFD. To be freed; NULL without memory. */
char *to_utf8(const char *text);

/* The same, for a terminal: control characters become U+FFFD, too. */
char *to_printable(const char *text);

/* How many bytes of @text (valid UTF-8) are whole characters, @limit at most. */
size_t whole_characters(const char *text, size_t limit);

#endif

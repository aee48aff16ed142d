/* SPDX-License-Identifier: GPL-2.0 */
/* The files of the spool, each named by its entry. Functions return 0 or -errno. */
#ifndef CMGR_REPORT_SPOOL_FILE_H
#define CMGR_REPORT_SPOOL_FILE_H

#include "report/parts.h"
#include "report/spool.h"

/* 00000000000000000042.record: fills number and state; false when it is no such name. */
bool spool_file_name(const char *name, struct spool_entry *ret);

/* To be freed, or NULL. */
char *spool_file_path(const struct spool *spool, const struct spool_entry *entry);

int spool_file_size(const struct spool *spool, struct spool_entry *entry);

/* The file's text (to be freed) and the parts that it has, which lie in it. */
int spool_file_read(const struct spool *spool, const struct spool_entry *entry, char **ret_text,
		    size_t *ret_size, struct parts *ret);

/* Puts @text behind the entry's size, or makes the file with it: on disk for good, or not at all. */
int spool_file_append(const struct spool *spool, const struct spool_entry *entry, const char *text);

/* Leaves @size bytes. */
int spool_file_cut(const struct spool *spool, const struct spool_entry *entry, size_t size);

int spool_file_rename(const struct spool *spool, const struct spool_entry *entry,
		      enum spool_state state);

/* One that is not there is none. */
int spool_file_delete(const struct spool *spool, const struct spool_entry *entry);

#endif

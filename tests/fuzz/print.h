/* SPDX-License-Identifier: GPL-2.0 */
/* A reading as the kernel module writes it: what the parser is measured against. */
#ifndef CMGR_FUZZ_PRINT_H
#define CMGR_FUZZ_PRINT_H

#include "observe/sysinfo.h"

/* The text of @snapshot, its records in the order of its arrays. To be freed; aborts without memory. */
char *snapshot_print(const struct snapshot *snapshot, size_t *ret_size);

#endif

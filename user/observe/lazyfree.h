/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Anonymous memory that a container gave up with MADV_FREE and uses again: reclaim keeps it on the lists
 * of the page cache, and so the module tells it as file_kib. A container could hide behind that.
 */
#ifndef CMGR_OBSERVE_LAZYFREE_H
#define CMGR_OBSERVE_LAZYFREE_H

#include "observe/sysinfo.h"

#define CGROUPS "/sys/fs/cgroup"

/*
 * Where a container's file_kib is so much that it would matter, its memory.stat below @cgroups (the mount
 * point of cgroup v2) is asked, and what that tells more of anonymous memory goes from the file_kib of its
 * cgroups to the anon_kib of the topmost one. A container that is gone stays as it is. 0 or -ENOMEM.
 */
int lazyfree_add(const char *cgroups, struct snapshot *snapshot);

#endif

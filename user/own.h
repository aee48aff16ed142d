/* SPDX-License-Identifier: GPL-2.0 */
/* The container that the daemon runs in, if it runs in one. */
#ifndef CMGR_OWN_H
#define CMGR_OWN_H

#include "decide/policy.h"

/* Notes it in @policy: it is never touched. @root is put before the paths of files: "" for this host. */
void find_own_container(const char *root, struct policy *policy);

#endif

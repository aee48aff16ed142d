/* SPDX-License-Identifier: GPL-2.0 */
/* Removals that the engine has confirmed and that are still to be logged, with what they freed. */
#ifndef CMGR_ACT_CONFIRMED_H
#define CMGR_ACT_CONFIRMED_H

#include "observe/merge.h"

/*
 * The reading may show that @victim is gone before the engine confirms it: what that freed is then kept
 * in its usage_kib, and its cgroup_id is not 0.
 */
void confirmed_see(struct container *victim, const struct window *window);

/*
 * Notes that @victim's decision was carried out. One that is gone already is logged at once, and so is a
 * pause, which frees nothing. 0 or -ENOMEM.
 */
int confirmed_add(struct container_list *confirmed, const struct container *victim);

/* Logs those whose cgroup is gone from the window's reading, and forgets them. */
void confirmed_tell(struct container_list *confirmed, const struct window *window);

/* Logs the others, whose memory is not known, and empties the list. */
void confirmed_close(struct container_list *confirmed);

#endif

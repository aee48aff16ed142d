/* SPDX-License-Identifier: GPL-2.0 */
/* The first stage: the kernel's readings and the engine's list become a window. */
#ifndef CMGR_OBSERVE_OBSERVE_H
#define CMGR_OBSERVE_OBSERVE_H

#include "governor.h"

/* Takes the reading that the first window begins with. 0, or -errno with one line logged. */
int observe_first(struct governor *governor);

/*
 * Fills @window with the host since the last reading (@final: since the one before it). What could
 * not be read is told in @window->distrust. 0 or -ENOMEM.
 */
int observe(struct governor *governor, bool final, struct window *window);

#endif

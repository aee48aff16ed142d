/* SPDX-License-Identifier: GPL-2.0 */
/* How long the engine may take for an action: the tests' daemon has another. */
#ifndef CMGR_ENGINE_LIMITS_H
#define CMGR_ENGINE_LIMITS_H

long action_timeout_ms(void);

#endif

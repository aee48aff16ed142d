// SPDX-License-Identifier: GPL-2.0
#include "engine/limits.h"

long action_timeout_ms(void)
{
	return 60000;
}

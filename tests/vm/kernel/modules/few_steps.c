// SPDX-License-Identifier: GPL-2.0
/* The module as it is, but what comes up after 512 steps does so after two. */
#define STEPS	    2
#define PATH_LEVELS 4
#include "../../../../kmod/sysinfo.c"

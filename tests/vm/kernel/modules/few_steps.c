// SPDX-License-Identifier: GPL-2.0
/* The same module with 2 steps under RCU instead of 512, and paths of 4 levels instead of 256. */
#define STEPS	    2
#define PATH_LEVELS 4
#include "../../../../kmod/sysinfo.c"

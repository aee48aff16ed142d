/* SPDX-License-Identifier: GPL-2.0 */
/* What every unit test includes, and cmocka's prerequisites in the order it wants them. */
#ifndef CMGR_UNIT_H
#define CMGR_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MIB_KIB 1024ULL

#endif

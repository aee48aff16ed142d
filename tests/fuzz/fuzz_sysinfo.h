/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What must hold for the parser of /proc/sysinfo, whatever it is given. Each function aborts, and
 * says why, where it does not; so may a fuzzer drive them, or a unit test.
 */
#ifndef CMGR_FUZZ_SYSINFO_H
#define CMGR_FUZZ_SYSINFO_H

#include <stddef.h>
#include <stdint.h>

#include "tests/fuzz/damage.h"

/* Ends the text of an input; what follows tells how to damage it. No reading contains it. */
#define FUZZ_TEXT_END '\f'

/*
 * Parses @text. Once accepted, it is what its snapshot prints to, byte by byte, but for the order of
 * the cgroups and for records of unknown kinds. Returns that print, to be freed, or NULL: refused.
 */
char *fuzz_parse(const char *text, size_t size, size_t *ret_size);

/* Parses @good, which snapshot_print() has printed, after @damage. */
void fuzz_damage(const struct damage *damage, const char *good, size_t size);

/* libFuzzer's entry: a text, then FUZZ_TEXT_END and damages, each of which adds to those before it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* What every unit test includes, and cmocka's prerequisites in the order it wants them. */
#ifndef CMGR_UNIT_H
#define CMGR_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB_KIB 1024ULL

/* A folder of a test, with all that is in it. 0 or -1. */
static inline int remove_tree(const char *path)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		execlp("rm", "rm", "-rf", path, NULL);
		_exit(127);
	}
	return waitpid(pid, &status, 0) == pid && !status ? 0 : -1;
}

#endif

// SPDX-License-Identifier: GPL-2.0
/* Sleeps until it is told to end: a process of the crowd, and the only one of a container. */
#include <signal.h>
#include <unistd.h>

static void end(int sig)
{
	(void)sig;
	_exit(0);
}

int main(void)
{
	signal(SIGTERM, end);
	for (;;)
		pause();
}

// SPDX-License-Identifier: GPL-2.0
#include "notify.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "util.h"

#define US_PER_S	1000000ULL
#define WATCHDOG_CYCLES 6

void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;
	size_t length = path ? strlen(path) : 0;

	if (length < 2 || length >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, length);
	if (path[0] == '@')
		address.sun_path[0] = '\0'; /* an abstract name */
	else if (path[0] != '/')
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
		       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
}

/* The unit's time suits the usual interval; with a longer one it would end a healthy daemon. */
static uint64_t watchdog_us(uint64_t interval_s)
{
	const char *text = getenv("WATCHDOG_USEC");
	uint64_t given, needed = interval_s * US_PER_S * WATCHDOG_CYCLES;

	if (!text || parse_u64(text, 1, UINT64_MAX, &given) || given >= needed)
		return 0;
	return needed;
}

void notify_ready(uint64_t interval_s)
{
	uint64_t longer_us = watchdog_us(interval_s);
	_cleanup_free_ char *watchdog = NULL;

	if (longer_us)
		watchdog = format_text("READY=1\nWATCHDOG_USEC=%" PRIu64, longer_us);
	notify(watchdog ? watchdog : "READY=1");
}

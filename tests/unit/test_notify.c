// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "notify.h"
#include "unit.h"
#include "util.h"

/* A socket that listens as a service manager does, under a name that the kernel chooses or @path. */
static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t length = sizeof(sa_family_t);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	if (path) {
		strcpy(address.sun_path, path);
		length = sizeof(address);
	}
	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
	if (!path) {
		length = sizeof(address);
		getsockname(fd, (struct sockaddr *)&address, &length);
		address.sun_path[0] = '@';
	}
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	return fd;
}

static const char *told(int fd)
{
	static char text[256];
	ssize_t size = recv(fd, text, sizeof(text) - 1, 0);

	if (size < 0)
		return "nothing";
	text[size] = '\0';
	return text;
}

static void tells_a_socket(void **state)
{
	char path[] = "/tmp/cmgr-notify.XXXXXX";
	_cleanup_close_ int named = -1, abstract = -1;

	(void)state;
	close(mkstemp(path));
	unlink(path);
	named = listen_at(path);
	notify("STOPPING=1");
	assert_string_equal(told(named), "STOPPING=1");
	unlink(path);
	notify("WATCHDOG=1"); /* nobody there any more */
	abstract = listen_at(NULL);
	notify("WATCHDOG=1");
	assert_string_equal(told(abstract), "WATCHDOG=1");
	assert_string_equal(told(abstract), "nothing");
}

static void other_places_are_left_alone(void **state)
{
	static const char *const places[] = {"", "/", "@", "relative", "vsock:2:1234"};
	char longer[200];
	size_t i;

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	notify("READY=1");
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		setenv("NOTIFY_SOCKET", places[i], 1);
		notify("READY=1");
	}
	memset(longer, '/', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	setenv("NOTIFY_SOCKET", longer, 1);
	notify("READY=1");
}

static void the_watchdog_outlasts_long_cycles(void **state)
{
	static const struct {
		const char *given;
		uint64_t interval_s;
		const char *told;
	} rows[] = {
		{NULL, 86400, "READY=1"},
		{"60000000", 10, "READY=1"},
		{"60000000", 11, "READY=1\nWATCHDOG_USEC=66000000"},
		{"60000000", 86400, "READY=1\nWATCHDOG_USEC=518400000000"},
		{"", 86400, "READY=1"},
		{"x", 86400, "READY=1"},
		{"0", 86400, "READY=1"},
	};
	_cleanup_close_ int fd = listen_at(NULL);
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].given)
			setenv("WATCHDOG_USEC", rows[i].given, 1);
		else
			unsetenv("WATCHDOG_USEC");
		notify_ready(rows[i].interval_s);
		assert_string_equal(told(fd), rows[i].told);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_a_socket),
		cmocka_unit_test(other_places_are_left_alone),
		cmocka_unit_test(the_watchdog_outlasts_long_cycles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-2.0
#include "leave.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/eventfd.h>

#include "util.h"

static int event_fd = -1;
static volatile uint64_t asked_ns;
static volatile sig_atomic_t hung_up;
static bool has_terminal;

static void wake(void)
{
	static const uint64_t one = 1;
	int err = errno;
	ssize_t n = write(event_fd, &one, sizeof(one));

	(void)n;
	errno = err;
}

static void on_signal(int number)
{
	uint64_t now_ns = boottime_ns();

	if (number == SIGHUP && !has_terminal) {
		hung_up = 1;
		wake();
	} else if (!asked_ns) {
		asked_ns = now_ns;
		wake();
	} else if (now_ns - asked_ns >= LEAVE_SAME_NS) {
		/* It comes when the handler returns. */
		signal(number, SIG_DFL);
		raise(number);
	}
}

static bool can_hang_up(void)
{
	_cleanup_close_ int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	return fd >= 0;
}

int leave_listen(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, old;
	size_t i;

	has_terminal = can_hang_up();
	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event_fd < 0)
		return -errno;
	/* One at a time. */
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaddset(&action.sa_mask, numbers[i]);
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		if (sigaction(numbers[i], NULL, &old) ||
		    (old.sa_handler != SIG_IGN && sigaction(numbers[i], &action, NULL)))
			return -errno;
	return 0;
}

int leave_fd(void)
{
	return event_fd;
}

void leave_take(void)
{
	uint64_t count;

	while (read(event_fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	if (hung_up) {
		hung_up = 0;
		log_line("SIGHUP: there is no configuration to read again, the run goes on; "
			 "SIGTERM ends it");
	}
}

uint64_t leave_asked_ns(void)
{
	return asked_ns;
}

uint64_t leave_deadline_ns(uint64_t ns, uint64_t otherwise_ns)
{
	uint64_t asked = asked_ns;

	return asked && asked + ns < otherwise_ns ? asked + ns : otherwise_ns;
}

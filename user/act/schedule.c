// SPDX-License-Identifier: GPL-2.0
#include "act/schedule.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "util.h"

/* Cron gives the line to a shell, and "%" a meaning of its own: only plain characters may pass. */
static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("/._+-:", *text))
			return false;
	return true;
}

static int check_plain(const char *what, const char *text)
{
	if (is_plain(text))
		return 0;
	log_line("cannot write %s: the %s '%s' has a character that cron would not take as it is; "
		 "use another path or --no-cron",
		 SCHEDULE_PATH, what, text);
	return -EINVAL;
}

static int own_path(char *ret, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", ret, size - 1);

	if (length < 0)
		return -errno;
	ret[length] = '\0';
	return (size_t)length == size - 1 ? -ENAMETOOLONG : 0;
}

static int write_entry(const char *program, unsigned int count, const char *docker_host,
		       const char *run_dir)
{
	_cleanup_free_ char *entry = format_text(
		"# Installed by cmgr-bpf while it runs; it removes this file when it ends.\n"
		"* * * * * root %s spawn -n %u --docker-host %s --run-dir %s >/dev/null\n",
		program, count, docker_host, run_dir);

	return entry ? write_file(SCHEDULE_PATH, entry, 0644) : -ENOMEM;
}

int schedule_install(unsigned int count, const char *docker_host, const char *run_dir)
{
	char program[PATH_MAX];
	int err = own_path(program, sizeof(program));

	if (!err && (check_plain("path", program) || check_plain("engine's URL", docker_host) ||
		     check_plain("run directory", run_dir)))
		return -EINVAL;
	if (!err)
		err = write_entry(program, count, docker_host, run_dir);
	if (err)
		log_line("cannot write %s: %s; mend it or use --no-cron", SCHEDULE_PATH,
			 strerror(-err));
	return err;
}

int schedule_remove(void)
{
	if (!unlink(SCHEDULE_PATH) || errno == ENOENT)
		return 0;
	log_line("cannot remove %s: %s; remove it by hand", SCHEDULE_PATH, strerror(errno));
	return -errno;
}

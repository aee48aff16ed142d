// SPDX-License-Identifier: GPL-2.0
/* The commands, and the loop. What a cycle does is in cycle.c. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/timerfd.h>

#include "act/schedule.h"
#include "act/spawn.h"
#include "claim.h"
#include "cycle.h"
#include "doctor.h"
#include "leave.h"
#include "notify.h"
#include "observe/lazyfree.h"
#include "observe/observe.h"
#include "own.h"
#include "replay.h"
#include "report/export.h"
#include "report/report.h"
#include "report/ship.h"
#include "rundir.h"
#include "setup.h"
#include "util.h"

static int open_timer(uint64_t interval_s)
{
	struct itimerspec every = {
		.it_interval.tv_sec = (time_t)interval_s,
		.it_value.tv_sec = (time_t)interval_s,
	};
	int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);

	if (fd >= 0 && timerfd_settime(fd, 0, &every, NULL)) {
		int err = errno;

		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

/* Waits for the next tick: 1; for the end: 0; -errno. Ticks that passed meanwhile are missed. */
static int wait_for_tick(int timer_fd, uint64_t *missed)
{
	struct pollfd fds[] = {
		{.fd = leave_fd(), .events = POLLIN},
		{.fd = timer_fd, .events = POLLIN},
	};
	uint64_t ticks;

	while (!fds[1].revents) {
		if (leave_asked_ns())
			return 0;
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0) {
			if (errno != EINTR)
				return -errno;
			fds[0].revents = fds[1].revents = 0;
		}
		if (fds[0].revents)
			leave_take();
	}
	/* The end goes before a tick. */
	if (leave_asked_ns())
		return 0;
	while (read(timer_fd, &ticks, sizeof(ticks)) < 0)
		if (errno != EINTR)
			return -errno;
	*missed += ticks - 1;
	return 1;
}

static void tell_waiting(const struct options *options)
{
	if (!options->json)
		printf("\nWaiting %llu seconds...\n", (unsigned long long)options->interval_s);
	fflush(stdout);
}

static int loop(struct governor *governor, int timer_fd)
{
	const struct options *options = governor->options;
	int err = observe_first(governor);

	if (!err)
		notify_ready(options->interval_s);
	while (!err) {
		int tick;

		if (!leave_asked_ns())
			tell_waiting(options);
		tick = wait_for_tick(timer_fd, &governor->missed_ticks);
		if (tick < 0) {
			log_line("cannot wait: %s", strerror(-tick));
			return tick;
		}
		if (!tick) {
			notify("STOPPING=1");
			log_line("leaving: the last pass, then the final graphs");
			/* First: what it would create from now on nobody would look at. */
			unschedule(governor);
			return cycle_run(governor, true);
		}
		err = cycle_run(governor, false);
		notify("WATCHDOG=1");
		if (options->cycles && governor->seq >= options->cycles)
			break;
	}
	return err;
}

static int govern(struct governor *governor)
{
	_cleanup_close_ int timer_fd = -1;
	int status = set_up(governor);

	if (leave_asked_ns()) {
		log_line("leaving: nothing was begun");
		status = EXIT_DONE;
	} else if (!status) {
		timer_fd = open_timer(governor->options->interval_s);
		if (timer_fd < 0)
			log_line("cannot make a timer: %s", strerror(errno));
		if (timer_fd < 0 || loop(governor, timer_fd))
			status = EXIT_FAILED;
		report_finish(governor);
	}
	tear_down(governor);
	return status;
}

/* 0, or EXIT_USAGE with a line logged. */
static int check_log(const struct options *options, const char **ret_token)
{
	if (ship_token(ret_token))
		return EXIT_USAGE;
	if (options->no_log || url_port(options->log_url))
		return 0;
	log_line("--log-url takes a URL such as http://127.0.0.1:8000, not '%s'", options->log_url);
	return EXIT_USAGE;
}

static int run(struct options *options)
{
	struct claim claim;
	struct governor governor = {.options = options, .journal = &claim.journal};
	int status = check_log(options, &governor.token), err;

	if (status)
		return status;
	/* The doctor may have to wait for an engine. */
	if (run_dir_in_use(options->run_dir) > 0) {
		log_line("another cmgr-bpf is running (lock %s/" RUN_LOCK ")", options->run_dir);
		return EXIT_RUNNING;
	}
	status = doctor_require(options);
	if (status)
		return status;
	err = leave_listen();
	if (err) {
		log_line("cannot listen for signals: %s", strerror(-err));
		return EXIT_FAILED;
	}
	status = claim_take(options, &claim);
	if (status)
		return status;
	find_own_container("", &options->policy);
	status = govern(&governor);
	err = claim_release(options, &claim);
	return status ? status : err;
}

static int snapshot_command(const struct options *options)
{
	struct snapshot snapshot;
	_cleanup_free_ char *json = NULL;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int err = snapshot_read(options->sysinfo, &snapshot);

	if (err && access(options->sysinfo, R_OK))
		return doctor_module_missing(options);
	if (err) {
		log_line("cannot read %s: %s", options->sysinfo, strerror(-err));
		return EXIT_FAILED;
	}
	err = lazyfree_add(CGROUPS, &snapshot);
	json = err ? NULL : export_json(&snapshot, (unsigned int)cpus);
	snapshot_free(&snapshot);
	if (!json)
		err = -ENOMEM;
	else if (options->output)
		err = overwrite_file(options->output, json, 0600);
	else if (fputs(json, stdout) == EOF || fflush(stdout))
		err = -errno;
	if (err)
		log_line("cannot write %s: %s", options->output ? options->output : "to stdout",
			 strerror(-err));
	return err ? EXIT_FAILED : EXIT_DONE;
}

static int spawn_command(const struct options *options)
{
	struct docker *docker;
	int err;

	if (options->spawn_with_daemon && !run_dir_in_use(options->run_dir))
		return schedule_heal(options->run_dir) ? EXIT_FAILED : EXIT_DONE;
	err = docker_open(options->docker_host, 0, &docker);
	if (err)
		return doctor_engine_missing(options, err);
	err = spawn(docker, options->spawn_count,
		    options->spawn_with_daemon ? options->run_dir : NULL);
	docker_close(docker);
	return err == -ENOENT ? EXIT_MISSING : err ? EXIT_FAILED : EXIT_DONE;
}

/* By the settings that a run would be given. */
static int doctor_command(const struct options *options)
{
	const char *token;
	int status = check_log(options, &token);

	return status ? status : doctor_report(options);
}

static void clean_engine(const struct options *options)
{
	struct docker *docker;
	int err = docker_open(options->docker_host, 0, &docker);

	if (err) {
		log_line(
			"no engine answers at %s: containers that were created and not started may "
			"be left",
			options->docker_host);
		return;
	}
	/* After the service's end, which systemd tells, a spawn by hand may have one in hand. */
	spawn_clean(docker, !getenv("SERVICE_RESULT"));
	docker_close(docker);
}

/* The locks are taken first: what a live daemon uses is not ours to undo. */
static int cleanup_command(const struct options *options)
{
	struct claim claim;
	int status;

	if (geteuid())
		return doctor_root_missing();
	status = claim_take(options, &claim);
	if (!status)
		status = claim_release(options, &claim);
	/* Without the locks: an engine may take its time. */
	if (!status)
		clean_engine(options);
	return status;
}

/*
 * Those that need an engine need one of the kind that there is. The doctor tells of others; a cleanup that was
 * not told which one does without.
 */
static bool has_other_engine(const struct options *options)
{
	if (docker_is_url(options->docker_host))
		return false;
	return options->command == COMMAND_RUN || options->command == COMMAND_SPAWN ||
	       (options->command == COMMAND_CLEANUP && options->docker_host_given);
}

static int run_command(struct options *options)
{
	if (has_other_engine(options)) {
		log_line("--docker-host and $DOCKER_HOST take unix:///PATH, not '%s'",
			 options->docker_host);
		return EXIT_USAGE;
	}
	switch (options->command) {
	case COMMAND_SNAPSHOT:
		return snapshot_command(options);
	case COMMAND_SPAWN:
		return spawn_command(options);
	case COMMAND_DOCTOR:
		return doctor_command(options);
	case COMMAND_CLEANUP:
		return cleanup_command(options);
	case COMMAND_REPLAY:
		return replay(options);
	case COMMAND_RUN:
		break;
	}
	return run(options);
}

int main(int argc, char **argv)
{
	struct options options;
	int status;

	/* A reader that goes away must not end the daemon in the middle of its work. */
	signal(SIGPIPE, SIG_IGN);
	options_parse(argc, argv, &options);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	status = run_command(&options);
	curl_global_cleanup();
	options_free(&options);
	return status;
}

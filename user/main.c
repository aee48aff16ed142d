// SPDX-License-Identifier: GPL-2.0
/* Options, signals, set-up and tear-down. What a cycle does is in cycle.c. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#include "act/reap.h"
#include "act/schedule.h"
#include "act/spawn.h"
#include "cycle.h"
#include "doctor.h"
#include "notify.h"
#include "observe/observe.h"
#include "observe/window.h"
#include "replay.h"
#include "report/export.h"
#include "report/recording.h"
#include "report/report.h"
#include "rundir.h"
#include "util.h"

/* One line of a file under /proc, without its newline. */
static int read_word(const char *path, char *ret, size_t size)
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	int err = read_file(path, 4096, &text, &length);

	if (err)
		return err;
	text[strcspn(text, "\n")] = '\0';
	if (strlen(text) >= size)
		return -EBADMSG;
	memcpy(ret, text, strlen(text) + 1);
	return 0;
}

static int set_run(struct run *run)
{
	char host[HOST_NAME_MAX + 1] = "";
	int err = read_word("/proc/sys/kernel/random/boot_id", run->boot_id, sizeof(run->boot_id));

	if (!err)
		err = read_word("/proc/sys/kernel/random/uuid", run->run_id, sizeof(run->run_id));
	if (err)
		return err;
	gethostname(host, sizeof(host) - 1);
	run->host = to_utf8(host);
	return run->host ? 0 : -ENOMEM;
}

/*
 * The container that the daemon runs in, by its own cgroup: 0::/system.slice/docker-0f3c….scope, or
 * 0::/ in a cgroup namespace, whose root is the container's cgroup.
 */
static void find_own_container(struct policy *policy)
{
	_cleanup_free_ char *text = NULL;
	const char *id, *own;
	struct stat st;
	size_t size;
	bool top;

	if (read_file("/proc/self/cgroup", 1 << 16, &text, &size))
		return;
	/* Hierarchies of version 1 stand before it. */
	own = strncmp(text, "0::", 3) ? strstr(text, "\n0::") : text;
	if (!own)
		return;
	own += strcspn(own, "/");
	text[own - text + (ptrdiff_t)strcspn(own, "\n")] = '\0';
	id = container_id_in(own, &top);
	if (id)
		memcpy(policy->own_id, id, CONTAINER_ID_DIGITS);
	else if (!stat("/sys/fs/cgroup", &st))
		policy->own_cgroup_id = st.st_ino;
}

static int lock_failed(const char *run_dir, int err)
{
	if (err == -EWOULDBLOCK) {
		log_line("another cmgr-bpf is running (lock %s/" RUN_LOCK ")", run_dir);
		return EXIT_RUNNING;
	}
	log_line("cannot lock %s/" RUN_LOCK ": %s", run_dir,
		 err == -EPERM ? "the folder or the file is not root's alone to write"
			       : strerror(-err));
	return EXIT_FAILED;
}

static int open_log(struct governor *governor)
{
	const struct options *options = governor->options;
	_cleanup_free_ char *spool_dir = format_text("%s/spool", options->state_dir);
	int err = spool_dir ? make_own_dir(options->state_dir, 0700) : -ENOMEM;

	if (!err)
		err = spool_open(spool_dir, &governor->spool);
	if (err)
		log_line("cannot use the folder %s: %s; name another with --state-dir",
			 options->state_dir,
			 err == -EWOULDBLOCK ? "another cmgr-bpf uses it"
			 : err == -EPERM     ? "it is not root's alone to write"
					     : strerror(-err));
	if (err)
		return err;
	err = ship_open(options->log_url, &governor->ship);
	if (err)
		log_line("cannot make a connection: %s", strerror(-err));
	return err;
}

static void tell_log_server(struct governor *governor)
{
	if (ship_probe(&governor->ship))
		ship_tell_down(&governor->ship, "is not there");
}

/* 0, or an exit code with one line logged. */
static int set_up(struct governor *governor)
{
	const struct options *options = governor->options;
	int err = set_run(&governor->run);

	if (err) {
		log_line("cannot read /proc/sys/kernel/random: %s", strerror(-err));
		return EXIT_FAILED;
	}
	governor->sysinfo_json = format_text("%s/" RUN_SYSINFO, options->run_dir);
	if (!governor->sysinfo_json) {
		log_line("out of memory");
		return EXIT_FAILED;
	}
	if (options->record && recording_open(options->record, &governor->recording))
		return EXIT_FAILED;
	err = docker_open(options->docker_host, options->no_log ? 0 : url_port(options->log_url),
			  &governor->docker);
	if (err)
		return doctor_engine_missing(options, err);
	if (reaper_open(governor->docker, &options->policy, &governor->reaper)) {
		log_line("out of memory");
		return EXIT_FAILED;
	}
	err = cgroup_cpu_open(NULL, &governor->cpu_source);
	if (err)
		return err == -EBUSY ? EXIT_RUNNING : err == -ENOMEM ? EXIT_FAILED : EXIT_MISSING;
	if (!options->no_log && open_log(governor))
		return EXIT_FAILED;
	if (!options->no_log)
		tell_log_server(governor);
	if (options->no_cron || options->dry_run)
		return 0;
	/* Set first: it may fail after the entry is there. */
	governor->scheduled = true;
	err = schedule_install(options->spawn_count, options->docker_host, options->run_dir);
	return err ? EXIT_FAILED : 0;
}

static void unschedule(struct governor *governor)
{
	if (governor->scheduled && !schedule_remove())
		governor->scheduled = false;
}

static void tear_down(struct governor *governor)
{
	unschedule(governor);
	cgroup_cpu_close(governor->cpu_source);
	reaper_close(governor->reaper);
	docker_close(governor->docker);
	ship_close(&governor->ship);
	spool_close(&governor->spool);
	recording_close(governor->recording);
	window_forget(governor);
	free(governor->run.host);
	free(governor->sysinfo_json);
}

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

/*
 * From here on the signals that end the run are read from the descriptor, between cycles. What the
 * caller ignores (nohup) stays ignored, which the descriptor alone would not do.
 */
static int open_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	struct sigaction old;
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		if (!sigaction(numbers[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Waits for the next tick: 1; for a signal: 0; -errno. Ticks that passed meanwhile are skipped. */
static int wait_for_tick(int timer_fd, int signal_fd)
{
	struct pollfd fds[] = {
		{.fd = signal_fd, .events = POLLIN},
		{.fd = timer_fd, .events = POLLIN},
	};
	uint64_t ticks;

	while (poll(fds, ARRAY_SIZE(fds), -1) < 0)
		if (errno != EINTR)
			return -errno;
	if (fds[0].revents)
		return 0;
	return read(timer_fd, &ticks, sizeof(ticks)) < 0 ? -errno : 1;
}

static void tell_waiting(const struct options *options)
{
	if (!options->json)
		printf("\nWaiting %llu seconds...\n", (unsigned long long)options->interval_s);
	fflush(stdout);
}

static int loop(struct governor *governor, int timer_fd, int signal_fd)
{
	const struct options *options = governor->options;
	int err = observe_first(governor);

	if (!err)
		notify_ready(options->interval_s);
	while (!err) {
		int tick;

		tell_waiting(options);
		tick = wait_for_tick(timer_fd, signal_fd);
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

static int govern(struct governor *governor, int signal_fd)
{
	_cleanup_close_ int timer_fd = -1;
	int status = set_up(governor);

	if (!status) {
		timer_fd = open_timer(governor->options->interval_s);
		if (timer_fd < 0)
			log_line("cannot make a timer: %s", strerror(errno));
		if (timer_fd < 0 || loop(governor, timer_fd, signal_fd))
			status = EXIT_FAILED;
		report_finish(governor);
	}
	tear_down(governor);
	return status;
}

static int run(struct options *options)
{
	struct governor governor = {.options = options};
	_cleanup_close_ int lock_fd = -1, signal_fd = -1;
	int status;

	if (!options->no_log && !url_port(options->log_url)) {
		log_line("--log-url takes a URL such as http://127.0.0.1:8000, not '%s'",
			 options->log_url);
		return EXIT_USAGE;
	}
	status = doctor_require(options);
	if (status)
		return status;
	signal_fd = open_signals();
	if (signal_fd < 0) {
		log_line("cannot listen for signals: %s", strerror(errno));
		return EXIT_FAILED;
	}
	lock_fd = run_dir_lock(options->run_dir);
	if (lock_fd < 0)
		return lock_failed(options->run_dir, lock_fd);
	find_own_container(&options->policy);
	status = govern(&governor, signal_fd);
	run_dir_remove(options->run_dir);
	return status;
}

static int snapshot_command(const struct options *options)
{
	struct snapshot snapshot;
	_cleanup_free_ char *json = NULL;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int err = snapshot_read(options->sysinfo, &snapshot);

	if (err) {
		log_line("cannot read %s: %s%s", options->sysinfo, strerror(-err),
			 err == -ENOENT ? "; load the module: sudo insmod kmod/sysinfo.ko" : "");
		return err == -ENOENT ? EXIT_MISSING : EXIT_FAILED;
	}
	json = export_json(&snapshot, (unsigned int)cpus);
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
	int err = docker_open(options->docker_host, 0, &docker);

	if (err)
		return doctor_engine_missing(options, err);
	err = spawn(docker, options->spawn_count,
		    options->spawn_with_daemon ? options->run_dir : NULL);
	docker_close(docker);
	return err == -ENOENT ? EXIT_MISSING : err ? EXIT_FAILED : EXIT_DONE;
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
	spawn_clean(docker, true);
	docker_close(docker);
}

/* The lock is taken first: what a live daemon uses is not ours to undo. */
static int cleanup_command(const struct options *options)
{
	_cleanup_close_ int lock_fd = run_dir_lock(options->run_dir);
	int err;

	if (lock_fd < 0)
		return lock_failed(options->run_dir, lock_fd);
	err = cgroup_cpu_unpin();
	if (!err)
		err = schedule_remove();
	if (!err)
		clean_engine(options);
	run_dir_remove(options->run_dir);
	return err == -EBUSY ? EXIT_RUNNING : err ? EXIT_FAILED : EXIT_DONE;
}

/* The two commands that need an engine, and no other kind of one than there is. */
static bool has_other_engine(const struct options *options)
{
	return (options->command == COMMAND_RUN || options->command == COMMAND_SPAWN) &&
	       !docker_is_url(options->docker_host);
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
		return doctor_report(options);
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

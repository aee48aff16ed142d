// SPDX-License-Identifier: GPL-2.0
#include "setup.h"

#include <errno.h>
#include <string.h>

#include "act/reap.h"
#include "act/schedule.h"
#include "doctor.h"
#include "leave.h"
#include "observe/window.h"
#include "report/recording.h"
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

static const char *log_error(int err)
{
	if (err == -EWOULDBLOCK)
		return "another cmgr-bpf uses it";
	return err == -EPERM ? "it is not root's alone to write" : strerror(-err);
}

static int note(struct governor *governor, enum installed what, const char *path)
{
	int err = journal_note(governor->journal, what, path);

	if (err)
		log_line("cannot write %s: %s", governor->journal->path, strerror(-err));
	return err;
}

static int set_up_run(struct governor *governor)
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
	return 0;
}

static int set_up_engine(struct governor *governor)
{
	const struct options *options = governor->options;
	int err = docker_open(options->docker_host,
			      options->no_log ? 0 : url_port(options->log_url), &governor->docker);

	if (err)
		return doctor_engine_missing(options, err);
	if (reaper_open(governor->docker, &options->policy, &governor->reaper)) {
		log_line("out of memory");
		return EXIT_FAILED;
	}
	return 0;
}

static int set_up_cpu(struct governor *governor)
{
	int err;

	if (note(governor, INSTALLED_PINS, CGROUP_CPU_PIN_DIR))
		return EXIT_FAILED;
	err = cgroup_cpu_open(NULL, &governor->cpu_source);
	if (!err)
		return 0;
	return err == -EBUSY ? EXIT_RUNNING : EXIT_FAILED;
}

static int set_up_log(struct governor *governor)
{
	const struct options *options = governor->options;
	_cleanup_free_ char *spool_dir = format_text("%s/spool", options->state_dir);
	int err;

	if (options->no_log)
		return 0;
	err = spool_dir ? make_own_dir(options->state_dir, 0700) : -ENOMEM;
	if (!err)
		err = outbox_open(spool_dir, options->log_url, governor->token, &governor->outbox);
	if (err)
		log_line("cannot use the folder %s: %s; name another with --state-dir",
			 options->state_dir, log_error(err));
	return err ? EXIT_FAILED : 0;
}

static int set_up_schedule(struct governor *governor)
{
	const struct options *options = governor->options;

	if (options->no_cron || options->dry_run)
		return 0;
	if (note(governor, INSTALLED_CRON, SCHEDULE_PATH))
		return EXIT_FAILED;
	/* Set first: it may fail after the entry is there. */
	governor->scheduled = true;
	return schedule_install(options->spawn_count, options->docker_host, options->run_dir)
		       ? EXIT_FAILED
		       : 0;
}

int set_up(struct governor *governor)
{
	static int (*const steps[])(struct governor *) = {
		set_up_run, set_up_engine, set_up_cpu, set_up_log, set_up_schedule,
	};
	int status = 0;
	size_t i;

	for (i = 0; !status && i < ARRAY_SIZE(steps) && !leave_asked_ns(); i++)
		status = steps[i](governor);
	return status;
}

void unschedule(struct governor *governor)
{
	if (governor->scheduled && !schedule_remove(governor->options->run_dir))
		governor->scheduled = false;
}

void tear_down(struct governor *governor)
{
	unschedule(governor);
	cgroup_cpu_close(governor->cpu_source);
	reaper_close(governor->reaper);
	docker_close(governor->docker);
	outbox_close(governor->outbox);
	recording_close(governor->recording);
	window_forget(governor);
	free(governor->run.host);
	free(governor->sysinfo_json);
}

// SPDX-License-Identifier: GPL-2.0
#include "act/spawn.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>

#include "act/schedule.h"
#include "leave.h"
#include "rundir.h"
#include "util.h"

#define NAME_LENGTH 8
#define NAME_TRIES  4
#define MIB	    (1ULL << 20)

/* More than creating and starting one takes, at most: until then somebody may have it in hand. */
#define UNSTARTED_AGE_S 150

/* The first signal that is to end us, and when the container in hand is given up: at the second one. */
static volatile sig_atomic_t told;
static volatile uint64_t told_ns;
static _Atomic unsigned long long end_ns;

/* The images of docker/; each takes one number from its environment. */
static const struct workload {
	const char *image;
	const char *variable;
	unsigned int min, max;
	uint64_t memory_limit_mib;
} workloads[] = {
	{"cmgr-cpu-high", "WORKLOAD_DUTY", 10, 100, 32},
	{"cmgr-ram-high", "WORKLOAD_MIB", 16, 128, 256},
	{"cmgr-cpu-low", "WORKLOAD_SLEEP_S", 1, 10, 32},
	{"cmgr-ram-low", NULL, 0, 0, 32},
};

/* A random number below @limit, each as likely as the other. */
static unsigned int random_below(unsigned int limit)
{
	uint32_t value, fair = UINT32_MAX - UINT32_MAX % limit;

	do {
		while (getrandom(&value, sizeof(value), 0) != sizeof(value))
			;
	} while (value >= fair);
	return value % limit;
}

static void random_name(char *ret)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t i;

	for (i = 0; i < NAME_LENGTH; i++)
		ret[i] = alphabet[random_below(sizeof(alphabet) - 1)];
	ret[NAME_LENGTH] = '\0';
}

static int run_named(struct docker *docker, const struct workload *workload, const char *name,
		     char **ret_why)
{
	_cleanup_free_ char *setting = NULL;
	struct docker_spec spec = {
		.name = name,
		.image = workload->image,
		.memory_limit_bytes = workload->memory_limit_mib * MIB,
		.end_ns = &end_ns,
	};

	if (workload->variable) {
		unsigned int range = workload->max - workload->min + 1;

		setting = format_text("%s=%u", workload->variable,
				      workload->min + random_below(range));
		if (!setting)
			return -ENOMEM;
	}
	spec.env = (const char *const[]){setting, NULL};
	return docker_run(docker, &spec, ret_why);
}

static void tell_failed(const struct workload *workload, int err, const char *why)
{
	if (err == -ENOENT)
		log_line("the image %s is missing; build it: sudo make images", workload->image);
	else
		log_line("cannot start a container of %s: %s", workload->image,
			 why ? why : strerror(-err));
}

static int spawn_one(struct docker *docker)
{
	const struct workload *workload = &workloads[random_below(ARRAY_SIZE(workloads))];
	_cleanup_free_ char *why = NULL;
	char name[NAME_LENGTH + 1];
	int tries, err = -EEXIST;

	for (tries = 0; err == -EEXIST && tries < NAME_TRIES; tries++) {
		free(why);
		why = NULL;
		random_name(name);
		err = run_named(docker, workload, name, &why);
	}
	if (err && end_ns)
		log_line("ended at once: the container in hand is given up");
	else if (err)
		tell_failed(workload, err, why);
	else
		printf("Created container '%s' from %s\n", name, workload->image);
	return err;
}

void spawn_clean(struct docker *docker, bool all)
{
	unsigned int count;
	int err = docker_remove_unstarted(docker, all ? 0 : UNSTARTED_AGE_S, &count);

	if (err)
		log_line("cannot look for containers that were created and not started: %s",
			 strerror(-err));
	if (count)
		log_line("removed containers that were created and not started: count=%u", count);
}

static void on_signal(int number)
{
	uint64_t now_ns = boottime_ns();

	if (!told) {
		told_ns = now_ns;
		told = number;
	} else if (now_ns - told_ns < LEAVE_SAME_NS) {
		return;
	} else if (!end_ns) {
		end_ns = now_ns;
		told_ns = now_ns;
	} else {
		/* It comes when the handler returns. */
		signal(number, SIG_DFL);
		raise(number);
	}
}

/* What the caller ignores stays ignored. */
static void listen_for_the_end(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, old;
	size_t i;

	/* One at a time. */
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaddset(&action.sa_mask, numbers[i]);
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		if (!sigaction(numbers[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
}

/* A daemon that is to end takes the entry away before it looks for the last time at what there is. */
static bool is_wanted(const char *run_dir, bool had_entry)
{
	if (!run_dir)
		return true;
	return run_dir_in_use(run_dir) && (!had_entry || !access(SCHEDULE_PATH, F_OK));
}

int spawn(struct docker *docker, unsigned int count, const char *run_dir)
{
	bool had_entry = !access(SCHEDULE_PATH, F_OK);
	int err = 0;

	spawn_clean(docker, false);
	listen_for_the_end();
	while (!err && count-- && !told && is_wanted(run_dir, had_entry))
		err = spawn_one(docker);
	fflush(stdout);
	if (told) {
		signal(told, SIG_DFL);
		raise(told);
	}
	return err;
}

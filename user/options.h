/* SPDX-License-Identifier: GPL-2.0 */
/* The command line. */
#ifndef CMGR_OPTIONS_H
#define CMGR_OPTIONS_H

#include "decide/policy.h"

enum command {
	COMMAND_RUN,
	COMMAND_SNAPSHOT,
	COMMAND_SPAWN,
	COMMAND_DOCTOR,
	COMMAND_CLEANUP,
	COMMAND_REPLAY,
};

/* Exit codes */
enum {
	EXIT_DONE = 0,
	EXIT_FAILED = 1, /* while running */
	EXIT_USAGE = 2,
	EXIT_MISSING = 3, /* something required is missing */
	EXIT_RUNNING = 4, /* another instance is running */
};

struct options {
	enum command command;
	struct policy policy;
	unsigned int policy_given; /* which of its options were on the command line */
	uint64_t interval_s;
	uint64_t cycles; /* 0: until a signal */
	bool dry_run;
	bool json;
	bool no_log;
	bool no_cron;
	unsigned int spawn_count; /* a minute by cron, or at once by "spawn" */
	bool spawn_with_daemon;	  /* "spawn" stops once no daemon runs in run_dir */
	const char *docker_host;
	bool docker_host_given; /* on the command line */
	const char *log_url;
	const char *sysinfo;
	const char *state_dir;
	const char *run_dir;
	const char *record; /* NULL: nothing is recorded */
	const char *replay; /* the recording of "replay" */
	const char *output; /* of "snapshot"; NULL: stdout */
};

/* Fills @ret with the defaults and the command line. Wrong usage ends the program with EXIT_USAGE. */
void options_parse(int argc, char **argv, struct options *ret);

/* Puts the policy options of the command line in place of a recorded policy's. */
void options_override(const struct options *options, struct policy *policy);

void options_free(struct options *options);

#endif

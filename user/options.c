// SPDX-License-Identifier: GPL-2.0
#include "options.h"

#include <argp.h>
#include <inttypes.h>
#include <string.h>

#include "help.h"
#include "util.h"

#define DEFAULT_DOCKER_HOST "unix:///var/run/docker.sock"

enum {
	KEY_INTERVAL = 256,
	KEY_KEEP_HIGH,
	KEY_KEEP_LOW,
	KEY_RANK,
	KEY_SCOPE,
	KEY_PROTECT,
	KEY_MIN_AGE,
	KEY_ACTION,
	KEY_DRY_RUN,
	KEY_CYCLES,
	KEY_ONCE,
	KEY_JSON,
	KEY_RECORD,
	KEY_DOCKER_HOST,
	KEY_LOG_URL,
	KEY_NO_LOG,
	KEY_NO_CRON,
	KEY_SPAWN_COUNT,
	KEY_SYSINFO,
	KEY_STATE_DIR,
	KEY_RUN_DIR,
	KEY_USAGE,
	KEY_HELP = '?',
	KEY_VERSION = 'V',
	KEY_OUTPUT = 'o',
	KEY_COUNT = 'n',
};

/* What they do is told in help.c. */
static const struct argp_option argp_options[] = {
	{"interval", KEY_INTERVAL, "SECONDS", 0, NULL, 0},
	{"cycles", KEY_CYCLES, "N", 0, NULL, 0},
	{"once", KEY_ONCE, NULL, 0, NULL, 0},
	{"keep-high", KEY_KEEP_HIGH, "N", 0, NULL, 0},
	{"keep-low", KEY_KEEP_LOW, "N", 0, NULL, 0},
	{"rank", KEY_RANK, "KEY", 0, NULL, 0},
	{"scope", KEY_SCOPE, "SCOPE", 0, NULL, 0},
	{"protect", KEY_PROTECT, "NAME", 0, NULL, 0},
	{"min-age", KEY_MIN_AGE, "SECONDS", 0, NULL, 0},
	{"action", KEY_ACTION, "ACTION", 0, NULL, 0},
	{"dry-run", KEY_DRY_RUN, NULL, 0, NULL, 0},
	{"no-cron", KEY_NO_CRON, NULL, 0, NULL, 0},
	{"spawn-count", KEY_SPAWN_COUNT, "N", 0, NULL, 0},
	{"json", KEY_JSON, NULL, 0, NULL, 0},
	{"record", KEY_RECORD, "FILE", 0, NULL, 0},
	{"log-url", KEY_LOG_URL, "URL", 0, NULL, 0},
	{"no-log", KEY_NO_LOG, NULL, 0, NULL, 0},
	{"docker-host", KEY_DOCKER_HOST, "URL", 0, NULL, 0},
	{"sysinfo", KEY_SYSINFO, "PATH", 0, NULL, 0},
	{"state-dir", KEY_STATE_DIR, "DIR", 0, NULL, 0},
	{"run-dir", KEY_RUN_DIR, "DIR", 0, NULL, 0},
	{"output", KEY_OUTPUT, "FILE", 0, NULL, 0},
	{"count", KEY_COUNT, "N", 0, NULL, 0},
	{"help", KEY_HELP, NULL, 0, NULL, 0},
	{"usage", KEY_USAGE, NULL, 0, NULL, 0},
	{"version", KEY_VERSION, NULL, 0, NULL, 0},
	{},
};

/* Options that only some commands take; the others take the options of "run". */
static const struct {
	enum command command;
	int keys[8];
} own_keys[] = {
	{COMMAND_SNAPSHOT, {KEY_OUTPUT, KEY_SYSINFO}},
	{COMMAND_SPAWN, {KEY_COUNT, KEY_DOCKER_HOST, KEY_RUN_DIR}},
	{COMMAND_CLEANUP, {KEY_DOCKER_HOST, KEY_RUN_DIR, KEY_STATE_DIR}},
	{COMMAND_REPLAY,
	 {KEY_KEEP_HIGH, KEY_KEEP_LOW, KEY_RANK, KEY_SCOPE, KEY_PROTECT, KEY_MIN_AGE, KEY_ACTION,
	  KEY_JSON}},
};

static const char *const command_names[] = {
	[COMMAND_RUN] = "run",	     [COMMAND_SNAPSHOT] = "snapshot", [COMMAND_SPAWN] = "spawn",
	[COMMAND_DOCTOR] = "doctor", [COMMAND_CLEANUP] = "cleanup",   [COMMAND_REPLAY] = "replay",
};

static bool takes(enum command command, int key)
{
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(own_keys); i++) {
		if (own_keys[i].command != command)
			continue;
		for (k = 0; k < ARRAY_SIZE(own_keys[i].keys); k++)
			if (own_keys[i].keys[k] == key)
				return true;
		return false;
	}
	return key != KEY_OUTPUT && key != KEY_COUNT;
}

/* Every command does. */
static bool tells_of_itself(int key)
{
	return key == KEY_HELP || key == KEY_USAGE || key == KEY_VERSION;
}

static const char *option_name(int key)
{
	const struct argp_option *option;

	for (option = argp_options; option->name; option++)
		if (option->key == key)
			return option->name;
	return NULL;
}

static uint64_t number(const struct argp_state *state, int key, const char *arg, uint64_t min,
		       uint64_t max)
{
	uint64_t value = min;

	if (parse_u64(arg, min, max, &value))
		argp_error(state,
			   "--%s takes a whole number from %" PRIu64 " to %" PRIu64 ", not '%s'",
			   option_name(key), min, max, arg);
	return value;
}

/* The index of @arg in @words, which ends with NULL. */
static unsigned int choice(const struct argp_state *state, int key, const char *arg,
			   const char *const *words, const char *told)
{
	unsigned int i;

	for (i = 0; words[i]; i++)
		if (!strcmp(arg, words[i]))
			return i;
	argp_error(state, "--%s takes %s, not '%s'", option_name(key), told, arg);
	return 0;
}

static char *not_empty(const struct argp_state *state, int key, char *arg)
{
	if (!*arg)
		argp_error(state, "--%s takes a %s, not an empty text", option_name(key),
			   key == KEY_PROTECT ? "container's name or ID" : "path");
	return arg;
}

/* "/N2Cnmb5c" is how an inspection has it. */
static char *container_name(const struct argp_state *state, char *arg)
{
	char *name = not_empty(state, KEY_PROTECT, arg + (arg[0] == '/'));

	if (strchr(name, '/') || strlen(name) > CONTAINER_NAME_LIMIT)
		argp_error(state, "--protect takes a container's name or ID, not '%s'", arg);
	return name;
}

static void add_protect(struct policy *policy, const struct argp_state *state, char *name)
{
	if (grow_array((void **)&policy->protect, policy->protect_count, sizeof(name)))
		argp_failure(state, EXIT_FAILED, 0, "out of memory");
	else
		policy->protect[policy->protect_count++] = name;
}

static bool parse_policy(int key, char *arg, const struct argp_state *state, struct policy *policy)
{
	static const char *const ranks[] = {"dominant", "cpu", "memory", "demand", NULL};
	static const char *const scopes[] = {"label", "all", NULL};
	static const char *const actions[] = {"remove", "stop", "pause", NULL};

	switch (key) {
	case KEY_KEEP_HIGH:
		policy->keep_high = (unsigned int)number(state, key, arg, 0, POLICY_MAX_COUNT);
		return true;
	case KEY_KEEP_LOW:
		policy->keep_low = (unsigned int)number(state, key, arg, 0, POLICY_MAX_COUNT);
		return true;
	case KEY_RANK:
		policy->rank = choice(state, key, arg, ranks, "dominant, cpu, memory or demand");
		return true;
	case KEY_SCOPE:
		policy->scope_all = choice(state, key, arg, scopes, "label or all");
		return true;
	case KEY_PROTECT:
		add_protect(policy, state, container_name(state, arg));
		return true;
	case KEY_MIN_AGE:
		policy->min_age_ns = number(state, key, arg, 0, POLICY_MAX_SECONDS) * NS_PER_S;
		return true;
	case KEY_ACTION:
		policy->action =
			ACTION_REMOVE + choice(state, key, arg, actions, "remove, stop or pause");
		return true;
	default:
		return false;
	}
}

static bool parse_flag(int key, struct options *options)
{
	switch (key) {
	case KEY_DRY_RUN:
		options->dry_run = true;
		return true;
	case KEY_ONCE:
		options->cycles = 1;
		return true;
	case KEY_JSON:
		options->json = true;
		return true;
	case KEY_NO_LOG:
		options->no_log = true;
		return true;
	case KEY_NO_CRON:
		options->no_cron = true;
		return true;
	default:
		return false;
	}
}

/*
 * Cron, and a daemon that is looked for from elsewhere, have other working directories. A folder is told
 * by one name: without slashes at its end.
 */
static const char *absolute(const struct argp_state *state, int key, char *arg)
{
	size_t length = strlen(arg);

	if (arg[0] != '/')
		argp_error(state, "--%s takes an absolute path, not '%s'", option_name(key), arg);
	while (length > 1 && arg[length - 1] == '/')
		arg[--length] = '\0';
	return arg;
}

static bool parse_place(int key, char *arg, const struct argp_state *state, struct options *options)
{
	switch (key) {
	case KEY_DOCKER_HOST:
		options->docker_host = arg;
		options->docker_host_given = true;
		return true;
	case KEY_LOG_URL:
		options->log_url = arg;
		return true;
	case KEY_SYSINFO:
		options->sysinfo = not_empty(state, key, arg);
		return true;
	case KEY_STATE_DIR:
		options->state_dir = absolute(state, key, arg);
		return true;
	case KEY_RUN_DIR:
		options->run_dir = absolute(state, key, arg);
		options->spawn_with_daemon = true;
		return true;
	case KEY_RECORD:
		options->record = not_empty(state, key, arg);
		return true;
	case KEY_OUTPUT:
		options->output = not_empty(state, key, arg);
		return true;
	default:
		return false;
	}
}

static void tell(int key, enum command command)
{
	int err = key == KEY_VERSION ? puts("cmgr-bpf " CMGR_VERSION)
				     : fputs(help_text(command), stdout);

	exit(err == EOF || fflush(stdout) ? EXIT_FAILED : EXIT_DONE);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	if (tells_of_itself(key))
		tell(key, options->command);
	if (option_name(key) && !takes(options->command, key))
		argp_error(state, "--%s does not go with '%s'", option_name(key),
			   command_names[options->command]);
	if (parse_policy(key, arg, state, &options->policy)) {
		options->policy_given |= 1U << (key - KEY_KEEP_HIGH);
		return 0;
	}
	if (parse_flag(key, options) || parse_place(key, arg, state, options))
		return 0;
	switch (key) {
	case KEY_INTERVAL:
		options->interval_s = number(state, key, arg, 1, POLICY_MAX_SECONDS);
		return 0;
	case KEY_CYCLES:
		options->cycles = number(state, key, arg, 1, UINT64_MAX);
		return 0;
	case KEY_SPAWN_COUNT:
	case KEY_COUNT:
		options->spawn_count = (unsigned int)number(state, key, arg, 1, POLICY_MAX_COUNT);
		return 0;
	case ARGP_KEY_END:
		if (options->command == COMMAND_REPLAY && !options->replay)
			argp_error(state, "replay takes the file of a recording");
		return 0;
	case ARGP_KEY_ARG:
		if (options->command == COMMAND_REPLAY && !options->replay) {
			options->replay = arg;
			return 0;
		}
		argp_error(state, "unexpected '%s'; a command comes first, then its options", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = argp_options,
	.parser = parse_option,
	.args_doc = "[run|snapshot|spawn|replay FILE|doctor|cleanup]",
};

static enum command parse_command(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(command_names); i++)
		if (!strcmp(name, command_names[i]))
			return i;
	log_line(
		"unknown command '%s'; the commands are run, snapshot, spawn, replay, doctor, cleanup",
		name);
	exit(EXIT_USAGE);
}

void options_parse(int argc, char **argv, struct options *ret)
{
	static char program[32];
	const char *docker_host = getenv("DOCKER_HOST");

	*ret = (struct options){
		.policy = {.keep_high = 2,
			   .keep_low = 3,
			   .min_age_ns = 10 * NS_PER_S,
			   .action = ACTION_REMOVE},
		.interval_s = 10,
		.spawn_count = 10,
		.docker_host = docker_host && *docker_host ? docker_host : DEFAULT_DOCKER_HOST,
		.log_url = "http://127.0.0.1:8000",
		.sysinfo = "/proc/sysinfo",
		.state_dir = "/var/lib/cmgr-bpf",
		.run_dir = "/run/cmgr-bpf",
	};
	argp_err_exit_status = EXIT_USAGE;
	if (argc > 1 && argv[1][0] != '-') {
		ret->command = parse_command(argv[1]);
		/* Errors lead to the help of this command. */
		snprintf(program, sizeof(program), "cmgr-bpf %s", argv[1]);
		argv[1] = program;
		argc--;
		argv++;
	}
	argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, ret);
}

static bool is_given(const struct options *options, int key)
{
	return options->policy_given & 1U << (key - KEY_KEEP_HIGH);
}

void options_override(const struct options *options, struct policy *policy)
{
	const struct policy *given = &options->policy;

	if (is_given(options, KEY_KEEP_HIGH))
		policy->keep_high = given->keep_high;
	if (is_given(options, KEY_KEEP_LOW))
		policy->keep_low = given->keep_low;
	if (is_given(options, KEY_RANK))
		policy->rank = given->rank;
	if (is_given(options, KEY_SCOPE))
		policy->scope_all = given->scope_all;
	if (is_given(options, KEY_MIN_AGE))
		policy->min_age_ns = given->min_age_ns;
	if (is_given(options, KEY_ACTION))
		policy->action = given->action;
	if (is_given(options, KEY_PROTECT)) {
		policy->protect = given->protect;
		policy->protect_count = given->protect_count;
	}
}

void options_free(struct options *options)
{
	free(options->policy.protect);
}

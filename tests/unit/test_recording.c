// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "observe/recorded.h"
#include "replay.h"
#include "report/recording.h"
#include "tests/world/world.h"
#include "unit.h"
#include "util.h"

static char dir[] = "/tmp/cmgr-unit-XXXXXX";
static char path[64];

static const struct options default_options = {
	.policy = {.keep_high = 2,
		   .keep_low = 3,
		   .min_age_ns = 10 * NS_PER_S,
		   .action = ACTION_REMOVE},
	.interval_s = 10,
};

static int make_dir(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/recording", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static int remove_recording(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static struct world eventful(uint64_t seed)
{
	struct world world;

	world_init(&world, seed, 20);
	world.failures = 5;
	world.births = 5;
	world.deaths = 3;
	world.restarts = 3;
	return world;
}

static void record(uint64_t seed, unsigned int cycles)
{
	struct world world = eventful(seed);

	assert_int_equal(world_record(&world, path, &default_options, cycles, true), 0);
}

static char *read_recording(size_t *ret_size)
{
	char *text;

	assert_int_equal(read_file(path, 1 << 30, &text, ret_size), 0);
	return text;
}

static void write_recording(const char *text, size_t size)
{
	FILE *out = fopen(path, "w");

	assert_int_equal(fwrite(text, 1, size, out), size);
	fclose(out);
}

/* What it prints is read back, for what it says at its end. */
static int run_replay(const struct options *options, char **ret_output)
{
	_cleanup_free_ char *output = format_text("%s/output", dir);
	int old = dup(STDOUT_FILENO), fd = open(output, O_RDWR | O_CREAT | O_TRUNC, 0600), status;
	size_t size;

	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	status = replay(options);
	fflush(stdout);
	dup2(old, STDOUT_FILENO);
	close(old);
	close(fd);
	assert_int_equal(read_file(output, 1 << 30, ret_output, &size), 0);
	unlink(output);
	return status;
}

static const char *last_line(char *output)
{
	size_t length = strlen(output);
	char *newline;

	if (length)
		output[length - 1] = '\0';
	newline = strrchr(output, '\n');
	return newline ? newline + 1 : output;
}

static void what_is_recorded_is_decided_again(void **state)
{
	const char *given = getenv("SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL), i;
	struct options options = {.replay = path};

	(void)state;
	print_message("seed %" PRIu64 "\n", seed);
	for (i = 0; i < 20; i++) {
		_cleanup_free_ char *output = NULL;
		const char *told;
		int status;

		record(seed + i, 30);
		status = run_replay(&options, &output);
		told = last_line(output);
		if (status != EXIT_DONE || !strstr(told, "all as recorded"))
			fail_msg("seed %" PRIu64 ": %s", seed + i, told);
		remove_recording(NULL);
	}
}

static void another_policy_decides_otherwise(void **state)
{
	struct options options = {.replay = path, .policy_given = 1, .policy = {.keep_high = 9}};
	_cleanup_free_ char *output = NULL;
	struct world world;
	const char *told;

	(void)state;
	world_init(&world, 1, 20);
	assert_int_equal(world_record(&world, path, &default_options, 3, false), 0);
	assert_int_equal(run_replay(&options, &output), EXIT_DONE);
	assert_non_null(strstr(output, "Would remove container 'name "));
	told = last_line(output);
	assert_non_null(strstr(told, "60 decisions, by another policy: "));
	assert_non_null(strstr(told, ", remove; now high, rank "));
}

static void json_is_one_line_a_cycle(void **state)
{
	struct options options = {.replay = path, .json = true};
	_cleanup_free_ char *output = NULL;
	cJSON *json;
	char *line;
	int lines = 0;

	(void)state;
	record(3, 5);
	assert_int_equal(run_replay(&options, &output), EXIT_DONE);
	for (line = strtok(output, "\n"); line; line = strtok(NULL, "\n")) {
		json = cJSON_ParseWithOpts(line, NULL, 1);
		assert_int_equal(cJSON_GetObjectItem(json, "seq")->valueint, ++lines);
		assert_string_equal(cJSON_GetObjectItem(json, "run_id")->valuestring, "4711");
		cJSON_Delete(json);
	}
	assert_int_equal(lines, 5);
}

/* -EBADMSG, or how many blocks it has. @text is freed. */
static int read_blocks(char *text, size_t size, size_t *ret_line, char **ret_why)
{
	struct recorded *recorded;
	struct recorded_block block;
	int blocks = 0, got;

	assert_int_equal(recorded_open_text(text, size, "test", &recorded), 0);
	while ((got = recorded_next(recorded, &block)) > 0) {
		recorded_block_free(&block);
		blocks++;
	}
	if (got && ret_why) {
		*ret_why = strdup(recorded_why(recorded));
		*ret_line = recorded_line(recorded);
	}
	recorded_close(recorded);
	return got ? got : blocks;
}

static char *copy_of(const char *text, size_t size)
{
	char *copy = malloc(size + 1);

	memcpy(copy, text, size);
	copy[size] = '\0';
	return copy;
}

/* Every way in which a daemon can be killed while it writes. */
static void an_unfinished_block_is_left_out(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t size, cut;
	struct world world;
	int null = open("/dev/null", O_WRONLY), old = dup(STDERR_FILENO), blocks = 0;

	(void)state;
	world_init(&world, 4, 3);
	assert_int_equal(world_record(&world, path, &default_options, 2, false), 0);
	text = read_recording(&size);
	dup2(null, STDERR_FILENO);
	for (cut = strlen(RECORDING_NAME " "); cut <= size; cut++) {
		int now = read_blocks(copy_of(text, cut), cut, NULL, NULL);

		assert_true(now == blocks || now == blocks + 1);
		blocks = now;
	}
	dup2(old, STDERR_FILENO);
	close(old);
	close(null);
	assert_int_equal(blocks, 3);
}

/* No byte can change and pass for what was recorded. */
static void a_changed_byte_is_found(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t size, at;
	struct world world;
	int null = open("/dev/null", O_WRONLY), old = dup(STDERR_FILENO);

	(void)state;
	world_init(&world, 5, 3);
	assert_int_equal(world_record(&world, path, &default_options, 2, false), 0);
	text = read_recording(&size);
	dup2(null, STDERR_FILENO);
	for (at = 0; at < size; at++) {
		char *changed = copy_of(text, size);

		changed[at] = (char)(changed[at] ^ (1 << at % 8));
		assert_true(read_blocks(changed, size, NULL, NULL) < 3);
	}
	dup2(old, STDERR_FILENO);
	close(old);
	close(null);
}

/* Gives a text whose blocks end in "end" alone the lengths and checksums that they need. */
static char *seal(const char *text, size_t *ret_size)
{
	char *sealed;
	FILE *out = open_memstream(&sealed, ret_size);
	const char *end;

	while ((end = strstr(text, "end\n"))) {
		size_t size = (size_t)(end - text), lines = 0, i;

		for (i = 0; i < size; i++)
			lines += text[i] == '\n';
		fwrite(text, 1, size, out);
		fprintf(out, "end %zu %016" PRIx64 "\n", lines, recording_checksum(text, size));
		text = end + 4;
	}
	fputs(text, out);
	fclose(out);
	return sealed;
}

#define ID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEAD                                                                                       \
	"cmgr-recording 1\nrun b r h\npolicy 2 3 dominant label 10000000000 remove 10\nown - 0\n"
#define READ_1                                                                                     \
	"module 1 100 50 60\ncgroup 7 1 1 1 /a\nprocess 9 7 1 1 1 1 c -\nbpf 2 0 0 0 0 0 0\ncpu 7 1 1 1\n"
#define RUN	   HEAD READ_1 "end\n"
#define CYCLE	   "cycle 1 0 5 2\n"
#define LISTED	   "container 1 " ID " rm - - n i\n"
#define READ_2	   "module 11 100 50 60\nbpf 12 0 0 0 0 0 0\n"
#define READ_2_CPU "module 11 100 50 60\nbpf 12 0 0 0 0 0 0\ncpu 20 4 1 1\ncpu 21 30 2 2\n"
#define DECIDED	   "decided 1 unsure keep 0 0 - 0 kept\n"

static const struct {
	const char *text;
	size_t line; /* 0: it is taken */
	const char *why;
} hostile[] = {
	{"", 0, NULL},
	{RUN, 0, NULL},
	{RUN CYCLE LISTED READ_2 DECIDED "end\n", 0, NULL},
	{RUN CYCLE "container 1 " ID " rm - - n -\n" READ_2 DECIDED "end\n", 0, NULL},
	{RUN CYCLE LISTED READ_2 "ended 8 /a\nended 7 /b\nended 9 -\n" DECIDED "end\n", 0, NULL},
	{RUN CYCLE "no-list why\nno-reading why\ndistrust why\nend\n", 0, NULL},
	{RUN RUN, 0, NULL},
	{HEAD "protect x\nprotect \\075\n" READ_1 "end\n", 0, NULL},
	{"root:x:0:0\n", 1, "this is no recording"},
	{"cmgr-recording 2\nend\n", 1, "the recording is of another version"},
	{"cmgr-recording 1 \nend\n", 1, "the recording is of another version"},
	{CYCLE "end\n", 1, "this is no recording"},
	{RUN CYCLE LISTED READ_2 "end\n", 15, "another record belongs here"},
	{RUN CYCLE LISTED READ_2 DECIDED DECIDED "end\n", 16, "another record belongs here"},
	{RUN CYCLE READ_2 DECIDED "end\n", 14, "another record belongs here"},
	{RUN CYCLE LISTED READ_2 "decided 2 unsure keep 0 0 - 0 kept\nend\n", 15,
	 "the decision for another container belongs here"},
	{RUN CYCLE LISTED READ_2 "decided 1 unsure keeps 0 0 - 0 kept\nend\n", 15,
	 "a field is missing, too many or not what it has to be"},
	{RUN CYCLE LISTED READ_2 "decided 1 unsure keep 0 0 - 2 kept\nend\n", 15,
	 "a field is missing, too many or not what it has to be"},
	{RUN CYCLE LISTED LISTED READ_2 DECIDED DECIDED "end\n", 13, "the row is out of order"},
	{RUN CYCLE LISTED "container 2 " ID " - - - n i\n" READ_2 DECIDED "end\n", 13,
	 "a container is listed twice"},
	{RUN CYCLE "container 1 gone\n" READ_2 "end\n", 12, "what is gone was not there"},
	{RUN CYCLE "container 1 aaaa rm - - n i\n" READ_2 DECIDED "end\n", 12,
	 "that is no ID of a container, or not the one it had"},
	{RUN CYCLE "container 1 " ID " mr - - n i\n" READ_2 DECIDED "end\n", 12,
	 "a field is missing, too many or not what it has to be"},
	{RUN CYCLE "container 1 " ID " rm - - - i\n" READ_2 DECIDED "end\n", 12,
	 "a field is missing, too many or not what it has to be"},
	{RUN CYCLE "module 1 0 0 0\nbpf 2 0 0 0 0 0 0\nend\n", 12,
	 "a field is missing, too many or not what it has to be"},
	{RUN CYCLE "module 1 100 0 0\ncgroup 8 1 1 1 =\nbpf 2 0 0 0 0 0 0\nend\n", 13,
	 "a field is missing, too many or not what it has to be"},
	{RUN CYCLE "module 1 100 0 0\ncgroup 8 1 1 1 a\nbpf 2 0 0 0 0 0 0\nend\n", 13,
	 "the path does not begin with a slash"},
	{RUN CYCLE "module 1 100 0 0\ncgroup 7 1 1 1 =\ncgroup 7 gone\nbpf 2 0 0 0 0 0 0\nend\n",
	 14, "the row is out of order"},
	{RUN CYCLE "module 1 100 0 0\ncgroup 7 1 1 01 =\nbpf 2 0 0 0 0 0 0\nend\n", 13,
	 "a field is missing, too many or not what it has to be"},
	{RUN CYCLE
	 "module 1 100 0 0\ncgroup 7 1 1 18446744073709551616 =\nbpf 2 0 0 0 0 0 0\nend\n",
	 13, "a field is missing, too many or not what it has to be"},
	{RUN CYCLE "module 1 100 0 0\ncgroup 7 1 1 1 = =\nbpf 2 0 0 0 0 0 0\nend\n", 13,
	 "a field is missing, too many or not what it has to be"},
	{RUN CYCLE "module 1 100 0 0\nprocess 9 gone\ncgroup 7 gone\nbpf 2 0 0 0 0 0 0\nend\n", 14,
	 "another record belongs here"},
	{RUN CYCLE "module 1 100 0 0\nnothing 1\nbpf 2 0 0 0 0 0 0\nend\n", 13,
	 "another record belongs here"},
	{RUN CYCLE READ_2 "ended 0 /a\nend\n", 14,
	 "a field is missing, too many or not what it has to be"},
	{RUN CYCLE READ_2 "ended 8 =\nend\n", 14,
	 "a field is missing, too many or not what it has to be"},
	{RUN CYCLE READ_2 "ended 8 /a 1\nend\n", 14,
	 "a field is missing, too many or not what it has to be"},
	{RUN CYCLE READ_2 "ended 8 /a\ncpu 7 2 1 1\nend\n", 15, "another record belongs here"},
	{RUN "cycle 0 0 5 2\n" READ_2 "end\n", 11,
	 "a field is missing, too many or not what it has to be"},
	{RUN "cycle 1 0 5 0\n" READ_2 "end\n", 11, "a cycle without its run, or without a CPU"},
	{RUN "cycle 1 0 5 4294967296\n" READ_2 "end\n", 11,
	 "a field is missing, too many or not what it has to be"},
	{RUN "end\n", 11, "neither a run nor a cycle begins here"},
	{RUN "end 0 0000000000000000\n", 11,
	 "the block that ends here is damaged: its length or checksum differs"},
	{HEAD "cmgr-recording 1\n" READ_1 "end\n", 5, "another record belongs here"},
	{"cmgr-recording 1\nrun b r h\npolicy 2 3 best label 1 remove 10\nown - 0\nend\n", 3,
	 "a field is missing, too many or not what it has to be"},
	{"cmgr-recording 1\nrun b r h\npolicy 2 3 cpu label 1 keep 10\nown - 0\nend\n", 3,
	 "a field is missing, too many or not what it has to be"},
	{"cmgr-recording 1\nrun b r h\npolicy 2 1000001 cpu label 1 stop 10\nown - 0\nend\n", 3,
	 "a field is missing, too many or not what it has to be"},
};

static void hostile_rows(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(hostile); i++) {
		_cleanup_free_ char *why = NULL;
		size_t size, line = 0;
		char *sealed = seal(hostile[i].text, &size);
		int got = read_blocks(sealed, size, &line, &why);

		if (hostile[i].line ? got != -EBADMSG || line != hostile[i].line ||
					      strcmp(why, hostile[i].why)
				    : got < 0)
			fail_msg("row %zu: %d, line %zu: %s", i, got, line, why ? why : "");
	}
}

/* A container that only BPF saw is told of by a replay, with all that it ran. */
static void a_brief_life_is_recorded(void **state)
{
	struct options options = {.replay = path, .json = true};
	_cleanup_free_ char *output = NULL, *sealed = NULL;
	cJSON *json, *gone;
	size_t size;

	(void)state;
	sealed = seal(RUN CYCLE READ_2_CPU "ended 20 /docker/" ID "/in\\040it\n"
					   "ended 21 /docker/" ID "\nend\n",
		      &size);
	write_recording(sealed, size);
	run_replay(&options, &output);
	json = cJSON_Parse(output);
	gone = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "gone"), 0);
	assert_string_equal(cJSON_GetObjectItem(gone, "id")->valuestring, ID);
	assert_int_equal(cJSON_GetObjectItem(gone, "ran_ns")->valueint, 30 + 4);
	cJSON_Delete(json);
}

/* A path that would not fit is refused, whatever it says. */
static void a_path_that_is_too_long(void **state)
{
	_cleanup_free_ char *text = NULL, *why = NULL, *long_path = malloc(CGROUP_PATH_SIZE + 1);
	size_t size, line;
	char *sealed;

	(void)state;
	memset(long_path, 'a', CGROUP_PATH_SIZE);
	long_path[CGROUP_PATH_SIZE] = '\0';
	text = format_text(RUN CYCLE READ_2 "ended 20 %s\nend\n", long_path);
	sealed = seal(text, &size);
	assert_int_equal(read_blocks(sealed, size, &line, &why), -EBADMSG);
	assert_string_equal(why, "the path is too long");
}

/* Why a container is not decided about, as it is. */
static void what_is_not_known_is_told(void **state)
{
	static const char text[] = HEAD
		"module 1 100 50 60\ncgroup 20 1 1 1 /docker/" ID "\n"
		"process 9 20 1 1 1 1 c -\nbpf 2 0 0 0 0 0 0\nend\n"
		"cycle 1 0 5 2\ncontainer 1 " ID " rm - - n i\n"
		"module 11 100 50 60\nbpf 12 0 0 0 0 0 0\ndecided 1 unsure keep 0 0 - 0 kept\nend\n"
		"cycle 2 0 5 2\nno-list why\ncontainer 1 gone\nmodule 21 100 50 60\n"
		"cgroup 20 gone\ncgroup 21 1 1 1 /docker/" ID "\n"
		"process 9 21 1 1 1 1 c -\nbpf 22 0 0 0 0 0 0\ndistrust why\nend\n"
		"cycle 3 0 5 2\ncontainer 2 " ID " rm then - n i\n"
		"module 31 100 50 60\nbpf 32 0 0 0 0 0 0\ndecided 2 unsure keep 0 0 - 0 kept\n"
		"end\ncycle 4 0 5 2\ncontainer 2 " ID " m then - n i\n"
		"module 41 100 50 60\nbpf 42 0 0 0 0 0 0\ndecided 2 unsure keep 0 0 - 0 kept\n"
		"end\n";
	static const char *const reasons[] = {
		"unsure: the engine has not been asked about it yet (",
		"unsure: it was restarted (",
		"unsure: it is paused, restarting or being removed (",
	};
	struct options options = {.replay = path};
	_cleanup_free_ char *output = NULL, *sealed = NULL;
	const char *at;
	size_t size, i;

	(void)state;
	sealed = seal(text, &size);
	write_recording(sealed, size);
	run_replay(&options, &output);
	at = output;
	for (i = 0; i < ARRAY_SIZE(reasons); i++) {
		at = strstr(at, reasons[i]);
		assert_non_null(at);
	}
}

/* The recording of a small host, its blocks ended by "end" alone. */
static char *unsealed(void)
{
	struct world world;
	char *text, *line;
	size_t size;

	world_init(&world, 9, 3);
	world.births = 2;
	world.restarts = 30;
	assert_int_equal(world_record(&world, path, &default_options, 3, true), 0);
	text = read_recording(&size);
	for (line = text; (line = strstr(line, "\nend ")); line += strlen("\nend\n") - 1) {
		char *newline = strchr(line + 1, '\n');

		memmove(line + strlen("\nend"), newline, strlen(newline) + 1);
	}
	return text;
}

static void damage(struct world *random, char *text)
{
	static const char bytes[] = "0123456789 =-\\\n\nrmplae/";
	uint64_t changes = 1 + world_random(random, 3);

	while (changes--) {
		size_t at = (size_t)world_random(random, strlen(text));
		char *newline = strchr(text + at, '\n');

		switch (world_random(random, 3)) {
		case 0: /* a byte */
			text[at] = bytes[world_random(random, strlen(bytes))];
			break;
		case 1: /* a line is lost */
			if (newline && strchr(newline + 1, '\n'))
				memmove(newline, strchr(newline + 1, '\n'),
					strlen(strchr(newline + 1, '\n')) + 1);
			break;
		case 2: /* a few bytes are lost */
			if (strlen(text + at) > 4)
				memmove(text + at, text + at + 3, strlen(text + at + 3) + 1);
			break;
		}
	}
}

/*
 * Damage that the checksum does not show is refused or decided about, but never trips the reader.
 * DAMAGES in the environment: how many are tried.
 */
static void random_damage_under_a_right_checksum(void **state)
{
	struct options options = {.replay = path, .json = true};
	int null = open("/dev/null", O_WRONLY), old = dup(STDERR_FILENO), taken = 0, i;
	_cleanup_free_ char *text = unsealed();
	const char *given = getenv("DAMAGES");
	struct world random = {.random = (uint64_t)time(NULL)};
	int damages = given ? atoi(given) : 5000;

	(void)state;
	print_message("seed %" PRIu64 "\n", random.random);
	dup2(null, STDERR_FILENO);
	for (i = 0; i < damages; i++) {
		_cleanup_free_ char *damaged = strdup(text), *sealed = NULL, *output = NULL;
		size_t size;
		int got;

		damage(&random, damaged);
		sealed = seal(damaged, &size);
		got = read_blocks(copy_of(sealed, size), size, NULL, NULL);
		assert_true(got >= 0 || got == -EBADMSG);
		if (got < 0 || taken++ % 8)
			continue;
		write_recording(sealed, size);
		got = run_replay(&options, &output);
		assert_true(got == EXIT_DONE || got == EXIT_FAILED);
	}
	dup2(old, STDERR_FILENO);
	close(old);
	close(null);
	assert_true(taken > 100);
}

static void another_decision_than_recorded_is_told(void **state)
{
	struct options options = {.replay = path};
	_cleanup_free_ char *output = NULL, *sealed = NULL;
	size_t size;

	(void)state;
	sealed = seal(RUN CYCLE LISTED READ_2 "decided 1 surplus remove 4 0 - 0 removed\nend\n",
		      &size);
	write_recording(sealed, size);
	assert_int_equal(run_replay(&options, &output), EXIT_FAILED);
	assert_string_equal(last_line(output),
			    "1 cycles, 1 decisions: 2 not as recorded. The first: cycle 1: "
			    "recorded '', now 'only 0.0 s were observed'");
}

static void a_run_goes_on_where_another_was_killed(void **state)
{
	struct options options = {.replay = path};
	_cleanup_free_ char *text = NULL, *output = NULL;
	const char *told;
	struct stat st;
	size_t size;

	(void)state;
	record(6, 3);
	text = read_recording(&size);
	write_recording(text, size - 5);
	assert_int_equal(chmod(path, 0644), 0);
	record(7, 3);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(run_replay(&options, &output), EXIT_DONE);
	told = last_line(output);
	assert_non_null(strstr(told, "5 cycles, "));
	assert_non_null(strstr(told, "all as recorded"));
}

static void only_a_file_of_our_own_is_written(void **state)
{
	_cleanup_free_ char *other = format_text("%s/other", dir);
	struct recording *recording, *second;
	struct stat st;

	(void)state;
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(recording_open(path, &recording), -ELOOP);
	assert_int_equal(stat(other, &st), -1);
	unlink(path);

	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(recording_open(path, &recording), -EPERM);
	unlink(path);

	write_recording("precious\nend 1 2\nx", 18);
	assert_int_equal(recording_open(path, &recording), -EBADMSG);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 18);
	assert_int_equal(link(path, other), 0);
	assert_int_equal(recording_open(path, &recording), -EPERM);
	unlink(other);
	unlink(path);

	assert_int_equal(recording_open(path, &recording), 0);
	assert_int_equal(recording_open(path, &second), -EWOULDBLOCK);
	recording_close(recording);
}

/* Of zeros, but for its beginning and end. */
static void ends_where_it_could_be_replayed_no_more(void **state)
{
	static const char head[] = RECORDING_NAME " 1\n", end[] = "\nend 0\n";
	const off_t size = RECORDING_LIMIT - 100;
	const struct run run = {.host = (char *)"host"};
	const struct readings first = {};
	struct recording *recording;
	struct stat st;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	(void)state;
	assert_int_equal(pwrite(fd, head, strlen(head), 0), strlen(head));
	assert_int_equal(pwrite(fd, end, strlen(end), size - (off_t)strlen(end)), strlen(end));
	close(fd);
	assert_int_equal(recording_open(path, &recording), 0);
	recording_begin(recording, &default_options, &run, &first);
	recording_begin(recording, &default_options, &run, &first);
	recording_close(recording);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, size);
}

/* A disk that is full in the middle of a block leaves whole blocks, and the loop goes on. */
static void a_full_disk_leaves_whole_blocks(void **state)
{
	struct options options = {.replay = path};
	_cleanup_free_ char *output = NULL;
	struct rlimit old, limit;

	(void)state;
	getrlimit(RLIMIT_FSIZE, &old);
	limit = old;
	limit.rlim_cur = 20000;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	record(8, 30);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(run_replay(&options, &output), EXIT_DONE);
	assert_non_null(strstr(last_line(output), "all as recorded"));
}

int main(void)
{
#define test(name) cmocka_unit_test_teardown(name, remove_recording)
	const struct CMUnitTest tests[] = {
		test(what_is_recorded_is_decided_again),
		test(another_policy_decides_otherwise),
		test(json_is_one_line_a_cycle),
		test(an_unfinished_block_is_left_out),
		test(a_changed_byte_is_found),
		test(hostile_rows),
		test(a_brief_life_is_recorded),
		test(a_path_that_is_too_long),
		test(what_is_not_known_is_told),
		test(random_damage_under_a_right_checksum),
		test(another_decision_than_recorded_is_told),
		test(a_run_goes_on_where_another_was_killed),
		test(only_a_file_of_our_own_is_written),
		test(a_full_disk_leaves_whole_blocks),
		test(ends_where_it_could_be_replayed_no_more),
	};

	return cmocka_run_group_tests_name("recording", tests, make_dir, remove_dir);
}

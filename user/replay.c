// SPDX-License-Identifier: GPL-2.0
#include "replay.h"

#include <errno.h>
#include <string.h>

#include "act/reap.h"
#include "decide/plan.h"
#include "observe/recorded.h"
#include "report/console.h"
#include "util.h"

struct replay {
	const struct options *given;
	struct options options; /* with the policy that is decided by */
	struct governor governor;
	struct recorded_block run;
	bool same_policy; /* in every run so far */
	uint64_t cycles;
	uint64_t decisions;
	uint64_t others; /* decisions that are not as recorded */
	char *first;	 /* of them, in words */
};

static bool same_protect(const struct policy *a, const struct policy *b)
{
	size_t i;

	for (i = 0; i < a->protect_count; i++)
		if (!policy_lists(b, a->protect[i]))
			return false;
	for (i = 0; i < b->protect_count; i++)
		if (!policy_lists(a, b->protect[i]))
			return false;
	return true;
}

static bool same_policy(const struct policy *a, const struct policy *b)
{
	return a->keep_high == b->keep_high && a->keep_low == b->keep_low && a->rank == b->rank &&
	       a->scope_all == b->scope_all && a->min_age_ns == b->min_age_ns &&
	       a->action == b->action && same_protect(a, b);
}

/* Takes over @block, the beginning of a run. */
static void begin_run(struct replay *replay, struct recorded_block *block)
{
	recorded_block_free(&replay->run);
	replay->run = *block;
	*block = (struct recorded_block){};
	window_forget(&replay->governor);
	replay->governor.latest = replay->run.seen.now;
	replay->run.seen.now = (struct readings){};
	replay->options.policy = replay->run.policy;
	replay->options.interval_s = replay->run.interval_s;
	options_override(replay->given, &replay->options.policy);
	if (!same_policy(&replay->options.policy, &replay->run.policy))
		replay->same_policy = false;
}

static bool same_decision(const struct container *c, const struct recorded_decision *was,
			  bool same_policy)
{
	if (c->class != was->class || c->decision != was->decision)
		return false;
	return !same_policy ||
	       (c->rank == was->rank && c->score_ppb == was->score_ppb &&
		c->has_margin == was->has_margin && c->margin_ppb == was->margin_ppb);
}

static char *tell_difference(const struct recorded_block *block, const struct container *c,
			     const struct recorded_decision *was)
{
	return format_text("cycle %llu, container '%s' (%.12s): recorded %s, rank %u, %s; now %s, "
			   "rank %u, %s",
			   (unsigned long long)block->seq, c->name, c->id, class_name(was->class),
			   was->rank, action_name(was->decision), class_name(c->class), c->rank,
			   action_name(c->decision));
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static int count_other(struct replay *replay, char *told)
{
	if (replay->first)
		free(told);
	else
		replay->first = told;
	replay->others++;
	return replay->first ? 0 : -ENOMEM;
}

static int compare(struct replay *replay, const struct recorded_block *block, struct window *window)
{
	size_t i;
	int err = 0;

	if (!same_text(window->distrust, block->distrust))
		err = count_other(replay, format_text("cycle %llu: recorded '%s', now '%s'",
						      (unsigned long long)block->seq,
						      block->distrust ? block->distrust : "",
						      window->distrust ? window->distrust : ""));
	for (i = 0; !err && i < block->decision_count; i++) {
		const struct recorded_decision *was = &block->decisions[i];
		struct container *c = find_container(&window->containers, was->id);

		if (!same_decision(c, was, replay->same_policy))
			err = count_other(replay, tell_difference(block, c, was));
		/* What really became of it is what the next reading shows. */
		c->acted = was->acted;
	}
	replay->decisions += block->decision_count;
	return err;
}

static int print_json(const struct replay *replay, const struct recorded_block *block,
		      const struct window *window)
{
	struct record record = {
		.run = &replay->run.run,
		.seq = block->seq,
		.final = block->seen.final,
		.window = window,
	};
	_cleanup_free_ char *json = record_json(&record);

	if (!json)
		return -ENOMEM;
	return puts(json) == EOF ? -errno : 0;
}

static int print(const struct replay *replay, const struct recorded_block *block,
		 const struct window *window)
{
	char time[RECORD_TIME_SIZE];

	if (replay->given->json)
		return print_json(replay, block, window);
	record_time(window->end_unix_ns, time);
	printf("Cycle %llu of run %s, %s:\n\n", (unsigned long long)block->seq,
	       replay->run.run.run_id, time);
	console_report(stdout, window, NULL);
	return putchar('\n') == EOF ? -errno : 0;
}

/* The cycle of cycle.c, on what was recorded. */
static int run_cycle(struct replay *replay, struct recorded_block *block)
{
	const struct policy *policy = &replay->options.policy;
	struct window window = {};
	int err;

	err = window_build(&replay->governor, &block->seen, &window);
	if (!err)
		err = plan_build(&window, policy);
	if (!err)
		err = reap_nothing(&window.containers);
	if (!err)
		err = print(replay, block, &window);
	if (!err)
		err = compare(replay, block, &window);
	replay->cycles++;
	window_remember(&replay->governor, &window);
	window_free(&window);
	return err;
}

static int run_blocks(struct replay *replay, struct recorded *recorded)
{
	struct recorded_block block = {};
	int got;

	while ((got = recorded_next(recorded, &block)) > 0) {
		int err = 0;

		if (block.begins)
			begin_run(replay, &block);
		else
			err = run_cycle(replay, &block);
		recorded_block_free(&block);
		if (err)
			return err;
	}
	return got;
}

/* On stdout, but for --json: there every line is a record. */
static void tell_result(const struct replay *replay)
{
	FILE *out = replay->given->json ? stderr : stdout;
	const char *than = replay->same_policy ? "" : ", by another policy";

	fprintf(out, "%llu cycles, %llu decisions%s: ", (unsigned long long)replay->cycles,
		(unsigned long long)replay->decisions, than);
	if (replay->others)
		fprintf(out, "%llu not as recorded. The first: %s\n",
			(unsigned long long)replay->others, replay->first);
	else
		fputs("all as recorded\n", out);
}

static int exit_code(const struct replay *replay, const struct recorded *recorded, int err)
{
	const char *file = replay->given->replay;

	if (err == -EBADMSG)
		log_line("%s:%zu: %s", file, recorded_line(recorded), recorded_why(recorded));
	else if (err)
		log_line("cannot replay %s: %s", file, strerror(-err));
	else
		tell_result(replay);
	if (fflush(stdout)) {
		log_line("cannot write to stdout: %s", strerror(errno));
		return EXIT_FAILED;
	}
	return err || (replay->same_policy && replay->others) ? EXIT_FAILED : EXIT_DONE;
}

int replay(const struct options *options)
{
	struct replay replay = {.given = options, .options = *options, .same_policy = true};
	struct recorded *recorded;
	int err = recorded_open(options->replay, &recorded);
	int status;

	if (err) {
		log_line("cannot read %s: %s", options->replay, strerror(-err));
		return EXIT_FAILED;
	}
	replay.governor.options = &replay.options;
	err = run_blocks(&replay, recorded);
	status = exit_code(&replay, recorded, err);
	window_forget(&replay.governor);
	recorded_block_free(&replay.run);
	recorded_close(recorded);
	free(replay.first);
	return status;
}

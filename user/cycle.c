// SPDX-License-Identifier: GPL-2.0
/* One cycle, top to bottom: observe, decide, write it down, act, report. Read this first. */
#include "cycle.h"

#include <malloc.h>
#include <string.h>

#include "act/reap.h"
#include "decide/plan.h"
#include "observe/observe.h"
#include "observe/window.h"
#include "report/report.h"
#include "util.h"

/* No cycle waits for the last one: it may come round to more than eight at a time. */
#define LAST_EXTRA_NS (30 * NS_PER_S)
/* Somebody waits for the last pass, however long the interval is. */
#define FINAL_NS (40 * NS_PER_S)

static uint64_t act_deadline_ns(const struct governor *governor, bool final)
{
	if (final)
		return governor->cycle_start_ns + FINAL_NS;
	return governor_deadline_ns(governor, REAP_PERCENT) +
	       (governor_is_last(governor, final) ? LAST_EXTRA_NS : 0);
}

static int act(struct governor *governor, bool final, struct window *window)
{
	const struct reap_turn turn = {
		.seq = governor->seq + 1,
		.deadline_ns = act_deadline_ns(governor, final),
		.last = governor_is_last(governor, final),
	};

	if (governor->options->dry_run)
		return reap_nothing(&window->containers);
	return reap(governor->reaper, window, &turn);
}

int cycle_run(struct governor *governor, bool final)
{
	const struct options *options = governor->options;
	struct window window = {};
	int err, report_err = 0;

	governor->cycle_start_ns = boottime_ns();
	err = reap_collect(governor->reaper, &window);
	if (!err)
		err = observe(governor, final, &window);
	if (!err)
		err = plan_build(&window, &options->policy);
	/* Whatever becomes of us, the log will have what we were about to do. */
	if (!err)
		err = report_decision(governor, final, &window);
	if (!err) {
		err = act(governor, final, &window);
		/* Whatever became of that, some may have been removed. */
		report_err = report(governor, final, &window);
	}
	if (err || report_err)
		log_line("the cycle failed: %s", strerror(err ? -err : -report_err));

	window_remember(governor, &window);
	window_free(&window);
	/* Most of it was needed for a moment, and the next is far away. */
	malloc_trim(0);
	return err ? err : report_err;
}

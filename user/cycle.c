// SPDX-License-Identifier: GPL-2.0
#include "cycle.h"

#include <string.h>

#include "act/reap.h"
#include "decide/plan.h"
#include "observe/observe.h"
#include "report/report.h"
#include "util.h"

int cycle_run(struct governor *governor, bool final)
{
	const struct options *options = governor->options;
	struct window window = {};
	int err;

	err = observe(governor, final, &window);
	if (!err)
		err = plan_build(&window, &options->policy);
	if (!err)
		err = reap(governor->docker, &window.containers, &options->policy,
			   options->dry_run);
	if (!err)
		err = report(governor, final, &window);
	if (err)
		log_line("the cycle failed: %s", strerror(-err));

	observe_remember(governor, &window);
	window_free(&window);
	return err;
}

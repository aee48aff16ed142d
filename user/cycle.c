// SPDX-License-Identifier: GPL-2.0
/* One cycle, top to bottom: observe, decide, act, report. Read this first. */
#include "cycle.h"

#include <string.h>

#include "act/reap.h"
#include "decide/plan.h"
#include "observe/observe.h"
#include "observe/window.h"
#include "report/report.h"
#include "util.h"

int cycle_run(struct governor *governor, bool final)
{
	const struct options *options = governor->options;
	struct window window = {};
	int err, report_err = 0;

	err = observe(governor, final, &window);
	if (!err)
		err = plan_build(&window, &options->policy);
	if (!err) {
		err = reap(governor->docker, &window.containers, &options->policy,
			   options->dry_run);
		/* Whatever became of that, some may have been removed. */
		report_err = report(governor, final, &window);
	}
	if (err || report_err)
		log_line("the cycle failed: %s", strerror(err ? -err : -report_err));

	window_remember(governor, &window);
	window_free(&window);
	return err ? err : report_err;
}

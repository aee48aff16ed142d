// SPDX-License-Identifier: GPL-2.0
/* Records an hour of a made-up host with 100 containers, for bench-replay. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/world/world.h"
#include "util.h"

#define CONTAINERS     100
#define CYCLES	       360
#define HOST_PROCESSES 300

int main(int argc, char **argv)
{
	const struct options options = {
		.policy = {.keep_high = 2,
			   .keep_low = 3,
			   .min_age_ns = 10 * NS_PER_S,
			   .action = ACTION_REMOVE},
		.interval_s = 10,
	};
	struct world world;

	if (argc != 2)
		return EXIT_USAGE;
	world_init(&world, 1, CONTAINERS);
	world.host_processes = HOST_PROCESSES;
	/* As many die as are born. */
	world.deaths = 5;
	world.births = 18;
	unlink(argv[1]);
	return world_record(&world, argv[1], &options, CYCLES, false) ? EXIT_FAILED : EXIT_DONE;
}

// SPDX-License-Identifier: GPL-2.0
#include "report/console.h"

#include <inttypes.h>
#include <string.h>

#define PPB_PER_PERCENT (PPB_WHOLE / 100.0)

static void print_memory(FILE *out, const struct memory *memory)
{
	fprintf(out, "Total RAM: %" PRIu64 " KiB\n", memory->total_kib);
	fprintf(out, "Free RAM: %" PRIu64 " KiB\n", memory->free_kib);
	fprintf(out, "Used RAM: %" PRIu64 " KiB\n", memory->total_kib - memory->free_kib);
}

static double percent(uint64_t ppb)
{
	return (double)ppb / PPB_PER_PERCENT;
}

static void print_class(FILE *out, const struct window *window, enum container_class class)
{
	size_t i;

	for (i = 0; i < window->containers.count; i++) {
		const struct container *container = &window->containers.items[i];

		if (container->class == class)
			fprintf(out, "  %s  cpu %.1f%%  memory %.1f%%  %s\n", container->name,
				percent(container->cpu_ppb), percent(container->memory_ppb),
				container->reason);
	}
}

/* What one that was not in a reading used is not known. */
static void print_shares(FILE *out, const struct container *container)
{
	if (container->cgroup_id)
		fprintf(out, " (cpu %.1f%%, memory %.1f%%)", percent(container->cpu_ppb),
			percent(container->memory_ppb));
}

static void print_doing(FILE *out, const struct container *container)
{
	static const char *const doing[] = {
		[ACTION_REMOVE] = "Removing",
		[ACTION_STOP] = "Stopping",
		[ACTION_PAUSE] = "Pausing",
	};
	const char *outcome = container->outcome ? container->outcome : "failed: out of memory";
	bool dry_run = !strcmp(outcome, "dry-run");

	if (dry_run)
		fprintf(out, "Would %s container '%s': ", action_name(container->decision),
			container->name);
	else
		fprintf(out, "%s container '%s': ", doing[container->decision], container->name);
	fputs(container->reason, out);
	print_shares(out, container);
	/* Of what has been carried out, the line says it all. */
	if (!dry_run && strcmp(outcome, action_done(container->decision)))
		fprintf(out, "; %s", outcome);
	putc('\n', out);
}

static void print_others(FILE *out, const struct window *window)
{
	size_t counts[CLASS_SURPLUS + 1] = {}, gone = 0, i;

	for (i = 0; i < window->containers.count; i++)
		counts[window->containers.items[i].class]++;
	for (i = 0; i < window->gone_count; i++)
		gone += !window->gone[i].removed;
	fprintf(out,
		"Not ranked: %zu protected, %zu unmanaged, %zu young, %zu unsure; %zu ended by themselves\n",
		counts[CLASS_PROTECTED], counts[CLASS_UNMANAGED], counts[CLASS_YOUNG],
		counts[CLASS_UNSURE], gone);
}

/* All that are kept but not ranked high or low, and why. Those out of scope are counted only. */
static void print_kept(FILE *out, const struct window *window)
{
	size_t i;

	for (i = 0; i < window->containers.count; i++) {
		const struct container *container = &window->containers.items[i];

		if (container->decision == ACTION_KEEP && container->class != CLASS_HIGH &&
		    container->class != CLASS_LOW && container->class != CLASS_UNMANAGED) {
			fprintf(out, "Keeping container '%s': %s", container->name,
				container->reason);
			print_shares(out, container);
			putc('\n', out);
		}
	}
}

/* What became of those that an earlier report told as under way. */
static void print_late(FILE *out, const struct late *late)
{
	fprintf(out, "Container '%s', to be %s since cycle %" PRIu64 ": %s\n", late->name,
		late->decision == ACTION_STOP	 ? "stopped"
		: late->decision == ACTION_PAUSE ? "paused"
						 : "removed",
		late->seq, late->outcome);
}

void console_report(FILE *out, const struct window *window, const char *sysinfo_json)
{
	size_t i;

	if (sysinfo_json)
		fprintf(out, "System information saved in '%s'.\n\n", sysinfo_json);
	if (window->has_reading)
		print_memory(out, &window->memory);
	fputs("High consumption:\n", out);
	print_class(out, window, CLASS_HIGH);
	fputs("Low consumption:\n", out);
	print_class(out, window, CLASS_LOW);
	print_others(out, window);
	print_kept(out, window);
	if (window->distrust)
		fprintf(out, "Nothing is removed: %s\n", window->distrust);
	for (i = 0; i < window->containers.count; i++)
		if (window->containers.items[i].decision != ACTION_KEEP)
			print_doing(out, &window->containers.items[i]);
	for (i = 0; i < window->late_count; i++)
		print_late(out, &window->late[i]);
}

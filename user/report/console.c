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

static void print_class(FILE *out, const struct window *window, enum container_class class)
{
	size_t i;

	for (i = 0; i < window->containers.count; i++) {
		const struct container *container = &window->containers.items[i];

		if (container->class == class)
			fprintf(out, "  %s  cpu %.1f%%  memory %.1f%%\n", container->name,
				(double)container->cpu_ppb / PPB_PER_PERCENT,
				(double)container->memory_ppb / PPB_PER_PERCENT);
	}
}

static void print_doing(FILE *out, const struct container *container)
{
	static const char *const doing[] = {
		[ACTION_REMOVE] = "Removing",
		[ACTION_STOP] = "Stopping",
		[ACTION_PAUSE] = "Pausing",
	};
	const char *outcome = container->outcome ? container->outcome : "failed: out of memory";
	bool done = strncmp(outcome, "kept", 4) && strncmp(outcome, "failed", 6);

	if (!strcmp(outcome, "dry-run"))
		fprintf(out, "Would %s container '%s': %s\n", action_name(container->decision),
			container->name, container->reason);
	else
		fprintf(out, "%s container '%s': %s%s%s\n", doing[container->decision],
			container->name, container->reason, done ? "" : "; ", done ? "" : outcome);
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

static void print_unsure(FILE *out, const struct window *window)
{
	size_t i;

	for (i = 0; i < window->containers.count; i++) {
		const struct container *container = &window->containers.items[i];

		if (container->class == CLASS_UNSURE)
			fprintf(out, "Keeping container '%s': %s\n", container->name,
				container->reason);
	}
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
	print_unsure(out, window);
	if (window->distrust)
		fprintf(out, "Nothing is removed: %s\n", window->distrust);
	for (i = 0; i < window->containers.count; i++)
		if (window->containers.items[i].decision != ACTION_KEEP)
			print_doing(out, &window->containers.items[i]);
}

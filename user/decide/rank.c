// SPDX-License-Identifier: GPL-2.0
#include "decide/rank.h"

#include <stdlib.h>
#include <string.h>

static uint64_t share_ppb(uint64_t part, uint64_t whole)
{
	unsigned __int128 ppb = whole ? (unsigned __int128)part * PPB_WHOLE / whole : 0;

	return ppb > UINT64_MAX ? UINT64_MAX : (uint64_t)ppb;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
	uint64_t both;

	return __builtin_add_overflow(a, b, &both) ? UINT64_MAX : both;
}

/* Only demand can exceed the host: more may wait than there are CPUs. */
static void score(struct container *container, const struct window *window, enum rank_key key)
{
	uint64_t cpu_time_ns = window->length_ns * window->cpus;

	container->cpu_ppb = min_u64(share_ppb(container->ran_ns, cpu_time_ns), PPB_WHOLE);
	container->memory_ppb =
		min_u64(share_ppb(container->anon_kib, window->memory.total_kib), PPB_WHOLE);
	switch (key) {
	case RANK_DOMINANT:
		container->score_ppb = max_u64(container->cpu_ppb, container->memory_ppb);
		break;
	case RANK_CPU:
		container->score_ppb = container->cpu_ppb;
		break;
	case RANK_MEMORY:
		container->score_ppb = container->memory_ppb;
		break;
	case RANK_DEMAND:
		container->score_ppb =
			share_ppb(sum(container->ran_ns, container->waited_ns), cpu_time_ns);
		break;
	}
}

void rank_score(struct window *window, enum rank_key key)
{
	size_t i;

	for (i = 0; i < window->containers.count; i++)
		score(&window->containers.items[i], window, key);
}

static uint64_t other_ppb(const struct container *container, enum rank_key key)
{
	switch (key) {
	case RANK_DOMINANT:
		return min_u64(container->cpu_ppb, container->memory_ppb);
	case RANK_MEMORY:
		return container->cpu_ppb;
	default:
		return container->memory_ppb;
	}
}

static int descending(uint64_t a, uint64_t b)
{
	return (a < b) - (a > b);
}

static int compare(const void *a, const void *b, void *data)
{
	const struct container *x = *(struct container *const *)a;
	const struct container *y = *(struct container *const *)b;
	enum rank_key key = *(enum rank_key *)data;
	int order = descending(x->score_ppb, y->score_ppb);

	if (!order)
		order = descending(other_ppb(x, key), other_ppb(y, key));
	if (!order)
		order = descending(x->age_ns, y->age_ns);
	return order ? order : strcmp(x->id, y->id);
}

void rank_sort(struct container **order, size_t count, enum rank_key key)
{
	if (count)
		qsort_r(order, count, sizeof(*order), compare, &key);
}

const char *rank_resource(const struct container *container, enum rank_key key)
{
	if (key == RANK_DEMAND)
		return "demand";
	if (key == RANK_CPU)
		return "CPU";
	if (key == RANK_MEMORY)
		return "memory";
	return container->cpu_ppb >= container->memory_ppb ? "CPU" : "memory";
}

const char *rank_key_name(enum rank_key key)
{
	static const char *const names[] = {
		[RANK_DOMINANT] = "dominant",
		[RANK_CPU] = "cpu",
		[RANK_MEMORY] = "memory",
		[RANK_DEMAND] = "demand",
	};

	return names[key];
}

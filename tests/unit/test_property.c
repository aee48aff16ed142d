// SPDX-License-Identifier: GPL-2.0
/*
 * Whatever a host is like, what is decided keeps its promises: from raw readings through merge, rank
 * and plan, against a second opinion that shares no code with them. SEED= repeats, HOSTS= counts.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "decide/plan.h"
#include "tests/property/host.h"
#include "unit.h"
#include "util.h"

static uint64_t seed, host_number;

#define holds(promise)                                                                             \
	do {                                                                                       \
		if (!(promise))                                                                    \
			fail_msg("SEED=%llu HOSTS=1: %s",                                          \
				 (unsigned long long)(seed + host_number), #promise);              \
	} while (0)

struct decided {
	struct host *host;
	struct options options;
	struct governor governor;
	struct window window;
	/* The second opinion */
	enum class_guess {
		NONE,
		PROTECTED,
		STRANGER,
		DOUBT,
		YOUNG,
		CANDIDATE
	} guess[HOST_CONTAINERS];
	const struct made *order[HOST_CONTAINERS];
	size_t candidates;
};

static enum class_guess guess(const struct host *host, const struct made *made)
{
	unsigned int traits = made->traits;
	bool whole_window = !(traits & (NEW | RESTARTED));

	if (traits & (LABELLED_PROTECT | NAMED_PROTECT | LOG_SERVER | OWN))
		return PROTECTED;
	if (traits & UNMANAGED && !host->policy.scope_all)
		return STRANGER;
	if (traits & (PAUSED | NOT_IN_READING | NO_PROCESS | TWO_CGROUPS | BACKWARDS | TOO_LARGE))
		return DOUBT;
	if (whole_window && traits & (DISAGREE | UNIDENTIFIED))
		return DOUBT;
	return whole_window && made->age_ns >= host->policy.min_age_ns ? CANDIDATE : YOUNG;
}

static uint64_t cpu_ppb(const struct made *made, bool waits)
{
	uint64_t ns = made->own_ran_ns + made->nested_ran_ns + (waits ? made->waited_ns : 0);

	return ns / (WINDOW_NS / PPB_WHOLE) / HOST_CPUS; /* 10 ns a billionth and CPU */
}

static uint64_t memory_ppb(const struct made *made)
{
	return (made->own_anon_kib + made->nested_anon_kib) * (PPB_WHOLE / HOST_KIB);
}

/* The score, then the other resource. */
static void shares(const struct made *made, enum rank_key key, uint64_t ret[2])
{
	uint64_t cpu = cpu_ppb(made, key == RANK_DEMAND), memory = memory_ppb(made);
	bool memory_first = key == RANK_MEMORY || (key == RANK_DOMINANT && memory > cpu);

	ret[0] = memory_first ? memory : cpu;
	ret[1] = memory_first ? cpu : memory;
}

static bool comes_before(const struct made *a, const struct made *b, enum rank_key key)
{
	uint64_t x[2], y[2];

	shares(a, key, x);
	shares(b, key, y);
	if (x[0] != y[0])
		return x[0] > y[0];
	if (x[1] != y[1])
		return x[1] > y[1];
	return a->age_ns != b->age_ns ? a->age_ns > b->age_ns : strcmp(a->id, b->id) < 0;
}

static void guess_all(struct decided *d)
{
	const struct host *host = d->host;
	size_t i, k;

	for (i = 0; i < host->count; i++) {
		d->guess[i] = guess(host, &host->made[i]);
		if (d->guess[i] != CANDIDATE)
			continue;
		for (k = d->candidates++; k > 0; k--) {
			if (!comes_before(&host->made[i], d->order[k - 1], host->policy.rank))
				break;
			d->order[k] = d->order[k - 1];
		}
		d->order[k] = &host->made[i];
	}
}

static const struct container *find(const struct decided *d, const char *id)
{
	const struct container *c = find_container(&d->window.containers, id);

	holds(c);
	return c;
}

/* FNV-1a over all that plan_build() is given, strings too. */
static uint64_t hash(uint64_t so_far, const void *bytes, size_t size)
{
	const unsigned char *b = bytes;

	while (size--)
		so_far = (so_far ^ *b++) * 0x100000001b3;
	return so_far;
}

static uint64_t hash_text(uint64_t so_far, const char *text)
{
	return text ? hash(so_far, text, strlen(text) + 1) : hash(so_far, "", 0);
}

static uint64_t hash_container(const struct container *c)
{
	uint64_t h = hash(0xcbf29ce484222325, c, offsetof(struct container, cpu_ppb));

	return hash_text(hash_text(hash_text(hash_text(h, c->name), c->image), c->started_at),
			 c->unsure);
}

/* Their order is an output. */
static uint64_t hash_inputs(const struct decided *d)
{
	const struct window *w = &d->window;
	uint64_t h = 0xcbf29ce484222325, sum = 0;
	size_t i;

	for (i = 0; i < w->containers.count; i++)
		sum += hash_container(&w->containers.items[i]);
	h = hash(h, &sum, sizeof(sum));
	h = hash(h, w, offsetof(struct window, containers));
	h = hash(h, &w->gone_count, sizeof(w->gone_count));
	h = hash_text(h, w->distrust);
	h = hash(h, w->gone, w->gone_count * sizeof(*w->gone));
	h = hash(h, &d->options, sizeof(d->options));
	return hash(h, &d->governor, sizeof(d->governor));
}

static void decide(struct decided *d, struct host *host)
{
	uint64_t before;

	*d = (struct decided){.host = host};
	host_see(host, &d->options, &d->governor, &d->window);
	guess_all(d);
	before = hash_inputs(d);
	holds(plan_build(&d->window, &d->options.policy) == 0);
	holds(hash_inputs(d) == before);
}

static void forget(struct decided *d)
{
	window_free(&d->window);
	window_forget(&d->governor);
}

static void none_but_candidates_are_removed(const struct decided *d)
{
	size_t i;

	for (i = 0; i < d->host->count; i++) {
		const struct container *c = find(d, d->host->made[i].id);

		holds(c->reason && *c->reason);
		holds(c->decision == ACTION_KEEP || c->decision == d->host->policy.action);
		holds(c->decision == ACTION_KEEP || c->class == CLASS_SURPLUS);
		holds(c->decision == ACTION_KEEP || d->guess[i] == CANDIDATE);
		holds(c->decision == ACTION_KEEP || !d->host->troubles);
		holds(d->window.has_reading || (c->class <= CLASS_UNSURE && !c->rank));
	}
	holds(d->window.containers.count == d->host->count);
	holds(!d->host->troubles || d->window.distrust);
	holds(d->host->troubles || !d->window.distrust);
}

static void the_others_have_their_class(const struct decided *d)
{
	static const enum container_class classes[] = {
		[PROTECTED] = CLASS_PROTECTED,
		[STRANGER] = CLASS_UNMANAGED,
		[DOUBT] = CLASS_UNSURE,
		[YOUNG] = CLASS_YOUNG,
	};
	size_t i;

	for (i = 0; i < d->host->count; i++) {
		const struct container *c = find(d, d->host->made[i].id);

		if (d->guess[i] == CANDIDATE)
			continue;
		holds(c->class == classes[d->guess[i]]);
		holds(c->rank == 0 && !c->has_margin);
		holds(!strncmp(c->reason, class_name(c->class), strlen(class_name(c->class))));
	}
}

/* The distance to the nearest one of another class. */
static void the_margin_is_right(const struct decided *d, const struct container *c)
{
	uint64_t nearest = UINT64_MAX;
	size_t i;

	for (i = 0; i < d->candidates; i++) {
		const struct container *other = &d->window.containers.items[i];
		uint64_t gap = other->score_ppb > c->score_ppb ? other->score_ppb - c->score_ppb
							       : c->score_ppb - other->score_ppb;

		if (other->class != c->class && gap < nearest)
			nearest = gap;
	}
	holds(c->has_margin == (nearest != UINT64_MAX));
	holds(!c->has_margin || c->margin_ppb == nearest);
}

static void candidates_are_in_order(const struct decided *d)
{
	const struct policy *policy = &d->host->policy;
	size_t n = d->candidates, high = policy->keep_high, low = policy->keep_low, kept = 0, i;

	high = high < n ? high : n;
	low = low < n - high ? low : n - high;
	for (i = 0; i < n; i++) {
		const struct container *c = &d->window.containers.items[i];
		uint64_t expected[2];

		shares(d->order[i], policy->rank, expected);
		holds(!strcmp(c->id, d->order[i]->id));
		holds(c->rank == i + 1 && c->score_ppb == expected[0]);
		holds((c->class == CLASS_HIGH) == (i < high));
		holds((c->class == CLASS_LOW) == (i >= n - low));
		holds((c->class == CLASS_SURPLUS) == (i >= high && i < n - low));
		the_margin_is_right(d, c);
		kept += c->decision == ACTION_KEEP;
	}
	holds(kept == (high + low < n ? high + low : n));
}

static void order_makes_no_difference(const struct decided *d, const struct decided *other)
{
	size_t i;

	for (i = 0; i < d->window.containers.count; i++) {
		const struct container *a = &d->window.containers.items[i];
		const struct container *b = &other->window.containers.items[i];

		holds(!strcmp(a->id, b->id) && a->class == b->class && a->rank == b->rank);
		holds(a->decision == b->decision && !strcmp(a->reason, b->reason));
		holds(a->margin_ppb == b->margin_ppb);
	}
}

/* One more above all others makes none of them high. */
static void none_rises(const struct decided *d, const struct decided *more)
{
	size_t i;

	for (i = 0; i < d->host->count; i++) {
		const char *id = d->host->made[i].id;

		holds(find(more, id)->class != CLASS_HIGH || find(d, id)->class == CLASS_HIGH);
	}
}

/* Troubles make the figures themselves worthless: of those hosts only the removals are looked at. */
static void look_at(struct host *host)
{
	struct host shuffled = *host, more = *host;
	struct decided d, other;

	decide(&d, host);
	none_but_candidates_are_removed(&d);
	if (!host->troubles) {
		the_others_have_their_class(&d);
		candidates_are_in_order(&d);
		shuffled.policy.protect = shuffled.protect;
		host_shuffle(&shuffled);
		decide(&other, &shuffled);
		order_makes_no_difference(&d, &other);
		forget(&other);
		host_add_highest(&more);
		decide(&other, &more);
		none_rises(&d, &other);
		forget(&other);
	}
	forget(&d);
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *given = getenv(name);

	return given ? strtoull(given, NULL, 10) : otherwise;
}

static void random_hosts(void **state)
{
	uint64_t hosts = from_environment("HOSTS", 20000), candidates = 0;
	static struct host host;

	(void)state;
	seed = from_environment("SEED", (uint64_t)time(NULL) * 1000003);
	print_message("SEED=%llu HOSTS=%llu\n", (unsigned long long)seed,
		      (unsigned long long)hosts);
	for (host_number = 0; host_number < hosts; host_number++) {
		host_make(&host, seed + host_number);
		look_at(&host);
		candidates += host.count;
	}
	print_message("%llu containers\n", (unsigned long long)candidates);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_hosts),
	};

	return cmocka_run_group_tests_name("property", tests, NULL, NULL);
}

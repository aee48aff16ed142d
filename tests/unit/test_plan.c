// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decide/plan.h"
#include "unit.h"
#include "util.h"

#define WINDOW_NS (10 * NS_PER_S)
#define TOTAL_KIB (4096 * MIB_KIB)

static const struct policy default_policy = {
	.keep_high = 2,
	.keep_low = 3,
	.min_age_ns = 10 * NS_PER_S,
	.action = ACTION_REMOVE,
};

/* A host of 2 CPUs and 4 GiB with room for @count containers. */
static struct window new_window(size_t count)
{
	return (struct window){
		.length_ns = WINDOW_NS,
		.cpus = 2,
		.memory = {.total_kib = TOTAL_KIB},
		.containers = {.items = calloc(count, sizeof(struct container))},
	};
}

static struct container *add(struct window *window, const char *name, uint64_t ran_ms,
			     uint64_t anon_mib, uint64_t age_s)
{
	struct container *c = &window->containers.items[window->containers.count++];

	snprintf(c->id, sizeof(c->id), "%064zx", window->containers.count);
	c->name = strdup(name);
	c->image = strdup("image");
	c->running = c->managed = c->full_window = true;
	c->ran_ns = ran_ms * NS_PER_MS;
	c->anon_kib = anon_mib * MIB_KIB;
	c->age_ns = age_s * NS_PER_S;
	return c;
}

static const struct container *by_name(const struct window *window, const char *name)
{
	size_t i;

	for (i = 0; i < window->containers.count; i++)
		if (!strcmp(window->containers.items[i].name, name))
			return &window->containers.items[i];
	fail_msg("no container %s", name);
	return NULL;
}

static void assert_class(const struct window *window, const char *name, enum container_class class)
{
	assert_string_equal(class_name(by_name(window, name)->class), class_name(class));
	assert_int_equal(by_name(window, name)->decision,
			 class == CLASS_SURPLUS && !window->distrust ? ACTION_REMOVE : ACTION_KEEP);
}

static void keeps_two_high_and_three_low(void **state)
{
	struct window w = new_window(9);

	(void)state;
	add(&w, "idle-old", 0, 1, 900);
	add(&w, "idle-mid", 0, 1, 500);
	add(&w, "idle-new", 0, 1, 100);
	add(&w, "burner", 9000, 1, 60);
	add(&w, "holder", 10, 1024, 60);
	add(&w, "half", 3000, 1, 60);
	add(&w, "small", 10, 64, 60);
	assert_int_equal(plan_build(&w, &default_policy), 0);
	assert_class(&w, "burner", CLASS_HIGH);
	assert_class(&w, "holder", CLASS_HIGH); /* 25 % of memory is above 15 % of CPU */
	assert_class(&w, "half", CLASS_SURPLUS);
	assert_class(&w, "small", CLASS_SURPLUS);
	assert_class(&w, "idle-old", CLASS_LOW);
	assert_class(&w, "idle-mid", CLASS_LOW);
	assert_class(&w, "idle-new", CLASS_LOW);
	assert_string_equal(w.containers.items[0].name, "burner");
	assert_string_equal(by_name(&w, "half")->reason,
			    "surplus, rank 3 of 7 by its larger share, CPU 15.0 %, "
			    "10.0 points below the 2nd");
	assert_int_equal(by_name(&w, "half")->margin_ppb, PPB_WHOLE / 10);
	assert_string_equal(by_name(&w, "idle-new")->reason,
			    "low, rank 7 of 7 by its larger share, memory 0.0244 %, "
			    "1.5 points below the 4th");
	window_free(&w);
}

static void a_reason_tells_the_nearest_of_another_class(void **state)
{
	static const struct {
		const char *name, *reason;
	} rows[] = {
		{"a", "high, rank 1 of 13 by CPU, 15.0 points above the 2nd"},
		{"b", "surplus, rank 2 of 13 by CPU, 15.0 points below the 1st"},
		{"c", "surplus, rank 3 of 13 by CPU, 0.0500 points above the 4th"},
		{"d", "low, rank 4 of 13 by CPU, 0.0500 points below the 3rd"},
	};
	struct policy policy = default_policy;
	struct window w = new_window(13);
	size_t i;

	(void)state;
	policy.rank = RANK_CPU;
	policy.keep_high = 1;
	policy.keep_low = 10;
	add(&w, "a", 8000, 0, 60);
	add(&w, "b", 5000, 0, 60);
	add(&w, "c", 110, 0, 60);
	for (i = 0; i < 10; i++)
		add(&w, i ? "x" : "d", 100 - i, 0, 60);
	assert_int_equal(plan_build(&w, &policy), 0);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(by_name(&w, rows[i].name)->reason, rows[i].reason);
	window_free(&w);
}

static void a_small_or_no_distance_is_told_as_such(void **state)
{
	static const struct {
		uint64_t ran_ns[2];
		const char *reason;
	} rows[] = {
		{{1000, 1000}, "surplus, rank 2 of 2 by CPU, level with the 1st"},
		{{2000, 1000},
		 "surplus, rank 2 of 2 by CPU, less than 0.0001 points below the 1st"},
		{{41000, 1000}, "surplus, rank 2 of 2 by CPU, 0.0002 points below the 1st"},
	};
	struct policy policy = default_policy;
	size_t i;

	(void)state;
	policy.rank = RANK_CPU;
	policy.keep_high = 1;
	policy.keep_low = 0;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct window w = new_window(2);

		add(&w, "first", 0, 0, 90)->ran_ns = rows[i].ran_ns[0];
		add(&w, "second", 0, 0, 60)->ran_ns = rows[i].ran_ns[1];
		assert_int_equal(plan_build(&w, &policy), 0);
		assert_string_equal(w.containers.items[1].reason, rows[i].reason);
		window_free(&w);
	}
}

/* By dominant share those above may be there by another resource. */
static void a_reason_tells_what_it_is_ranked_by(void **state)
{
	static const struct {
		enum rank_key key;
		uint64_t ran_ns, waited_ns, anon_kib;
		const char *by;
	} rows[] = {
		{RANK_CPU, 1, 0, 0, "CPU"},
		{RANK_MEMORY, 1, 0, 0, "memory"},
		{RANK_DEMAND, 1, 0, 0, "demand"},
		{RANK_DOMINANT, 4 * NS_PER_S, 0, 1, "its larger share, CPU 20.0 %"},
		{RANK_DOMINANT, 1, 0, TOTAL_KIB / 4, "its larger share, memory 25.0 %"},
		{RANK_DOMINANT, 0, 0, TOTAL_KIB / 128, "its larger share, memory 0.7812 %"},
		{RANK_DOMINANT, 100, NS_PER_S, 0, "its larger share, CPU less than 0.0001 %"},
		{RANK_DOMINANT, 0, NS_PER_S, 0, "its larger share, 0 %"},
	};
	struct policy policy = default_policy;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *reason = format_text("high, rank 1 of 1 by %s", rows[i].by);
		struct window w = new_window(1);
		struct container *c = add(&w, "one", 0, 0, 60);

		c->ran_ns = rows[i].ran_ns;
		c->waited_ns = rows[i].waited_ns;
		c->anon_kib = rows[i].anon_kib;
		policy.rank = rows[i].key;
		assert_int_equal(plan_build(&w, &policy), 0);
		assert_string_equal(c->reason, reason);
		window_free(&w);
	}
}

static void ordinals_are_english(void **state)
{
	static const struct {
		unsigned int keep_high;
		const char *place;
	} rows[] = {{1, "1st"},	  {2, "2nd"},	{3, "3rd"},   {4, "4th"},     {11, "11th"},
		    {12, "12th"}, {13, "13th"}, {21, "21st"}, {102, "102nd"}, {111, "111th"}};
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *end = format_text("level with the %s", rows[i].place);
		struct policy policy = default_policy;
		struct window w = new_window(120);
		const char *reason;

		policy.keep_high = rows[i].keep_high;
		policy.keep_low = 0;
		for (k = 0; k < 120; k++)
			add(&w, "x", 0, 1, 60);
		assert_int_equal(plan_build(&w, &policy), 0);
		reason = w.containers.items[119].reason;
		assert_true(strlen(reason) > strlen(end));
		assert_string_equal(reason + strlen(reason) - strlen(end), end);
		window_free(&w);
	}
}

/* The other resource comes before the age, for each key. */
static void equals_are_told_apart_by_the_other_resource(void **state)
{
	static const struct {
		enum rank_key key;
		uint64_t ran_ms[2], anon_mib[2]; /* of the younger one, which is to come first */
	} rows[] = {
		{RANK_DOMINANT, {2000, 2000}, {64, 32}}, {RANK_DOMINANT, {400, 200}, {2048, 2048}},
		{RANK_CPU, {2000, 2000}, {64, 32}},	 {RANK_MEMORY, {400, 200}, {64, 64}},
		{RANK_DEMAND, {2000, 2000}, {64, 32}},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct policy policy = default_policy;
		struct window w = new_window(2);

		policy.rank = rows[i].key;
		add(&w, "second", rows[i].ran_ms[1], rows[i].anon_mib[1], 90);
		add(&w, "first", rows[i].ran_ms[0], rows[i].anon_mib[0], 60);
		assert_int_equal(plan_build(&w, &policy), 0);
		assert_string_equal(w.containers.items[0].name, "first");
		window_free(&w);
	}
}

static void the_largest_demand_does_not_overflow(void **state)
{
	struct policy policy = default_policy;
	struct window w = new_window(2);

	(void)state;
	policy.rank = RANK_DEMAND;
	add(&w, "second", 2000, 1, 60);
	add(&w, "first", 2000, 1, 60)->waited_ns = UINT64_MAX;
	assert_int_equal(plan_build(&w, &policy), 0);
	assert_string_equal(w.containers.items[0].name, "first");
	window_free(&w);
}

static void equals_are_told_apart_by_age_then_id(void **state)
{
	struct window w = new_window(8);
	size_t i;

	(void)state;
	add(&w, "same-b", 0, 1, 50);
	add(&w, "same-c", 0, 1, 50);
	add(&w, "young", 0, 1, 20);
	add(&w, "old", 0, 1, 90);
	add(&w, "more-memory", 0, 2, 10);
	assert_int_equal(plan_build(&w, &default_policy), 0);
	static const char *const order[] = {"more-memory", "old", "same-b", "same-c", "young"};

	for (i = 0; i < ARRAY_SIZE(order); i++)
		assert_string_equal(w.containers.items[i].name, order[i]);
	window_free(&w);
}

static void few_containers_are_all_kept(void **state)
{
	size_t count;

	(void)state;
	for (count = 0; count <= 5; count++) {
		struct window w = new_window(6);
		size_t i;

		for (i = 0; i < count; i++)
			add(&w, "x", i, 1, 60);
		assert_int_equal(plan_build(&w, &default_policy), 0);
		for (i = 0; i < count; i++) {
			assert_int_equal(w.containers.items[i].decision, ACTION_KEEP);
			assert_int_equal(w.containers.items[i].class,
					 i < 2 ? CLASS_HIGH : CLASS_LOW);
		}
		window_free(&w);
	}
}

static void sets_aside_with_a_reason(void **state)
{
	char *protect[] = {(char *)"by-name"};
	struct policy policy = default_policy;
	struct window w = new_window(16);
	size_t i;

	(void)state;
	policy.protect = protect;
	policy.protect_count = 1;
	add(&w, "by-label", 9999, 1, 60)->labelled_protect = true;
	add(&w, "by-name", 9999, 1, 60);
	add(&w, "log-server", 9999, 1, 60)->is_log_server = true;
	strcpy(policy.own_id, add(&w, "own", 9999, 1, 60)->id);
	add(&w, "stranger", 9999, 1, 60)->managed = false;
	add(&w, "both", 9999, 1, 60)->managed = false;
	w.containers.items[5].labelled_protect = true;
	add(&w, "new", 9999, 1, 9);
	add(&w, "restarted", 9999, 1, 60)->full_window = false;
	add(&w, "paused", 9999, 1, 60)->running = false;
	add(&w, "doubtful", 9999, 1, 60)->unsure = "two cgroups carry its ID";
	assert_int_equal(plan_build(&w, &policy), 0);
	assert_class(&w, "by-label", CLASS_PROTECTED);
	assert_class(&w, "by-name", CLASS_PROTECTED);
	assert_class(&w, "log-server", CLASS_PROTECTED);
	assert_class(&w, "own", CLASS_PROTECTED);
	assert_class(&w, "stranger", CLASS_UNMANAGED);
	assert_class(&w, "both", CLASS_PROTECTED);
	assert_class(&w, "new", CLASS_YOUNG);
	assert_class(&w, "restarted", CLASS_YOUNG);
	assert_class(&w, "paused", CLASS_UNSURE);
	assert_class(&w, "doubtful", CLASS_UNSURE);
	for (i = 0; i < w.containers.count; i++) {
		assert_int_equal(w.containers.items[i].rank, 0);
		assert_non_null(w.containers.items[i].reason);
	}
	window_free(&w);
}

static void protects_by_name_and_by_id(void **state)
{
	static const char id[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	static const struct {
		const char *given, *name;
		bool protects;
	} rows[] = {
		{"db", "db", true},
		{"db", "db2", false},
		{"db2", "db", false},
		{id, "db", true},
		{"0123456789ab", "db", true},
		{"0123456789a", "db", false},
		{"0123456789a", "0123456789a", true},
		{"0123456789ac", "db", false},
		{"0123456789AB", "db", false},
		{"123456789abc", "db", false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		char *protect[] = {(char *)"other", (char *)rows[i].given};
		struct policy policy = default_policy;
		struct window w = new_window(1);
		struct container *c = add(&w, rows[i].name, 0, 1, 60);

		policy.protect = protect;
		policy.protect_count = ARRAY_SIZE(protect);
		strcpy(c->id, id);
		assert_int_equal(plan_build(&w, &policy), 0);
		if ((c->class == CLASS_PROTECTED) != rows[i].protects)
			fail_msg("--protect %s, container %s", rows[i].given, rows[i].name);
		window_free(&w);
	}
}

static void distrust_keeps_everything(void **state)
{
	struct window w = new_window(12);
	size_t i;

	(void)state;
	for (i = 0; i < 12; i++)
		add(&w, "x", i * 100, 1, 60);
	w.distrust = strdup("records were lost");
	assert_int_equal(plan_build(&w, &default_policy), 0);
	for (i = 0; i < 12; i++)
		assert_int_equal(w.containers.items[i].decision, ACTION_KEEP);
	assert_int_equal(w.containers.items[2].class, CLASS_SURPLUS);
	assert_string_equal(
		w.containers.items[2].reason,
		"surplus, rank 3 of 12 by its larger share, CPU 4.5 %, 0.5000 points below the 2nd; "
		"kept: records were lost");
	window_free(&w);
}

static void rank_keys(void **state)
{
	static const struct {
		enum rank_key key;
		const char *first;
	} rows[] = {
		{RANK_DOMINANT, "holder"},
		{RANK_CPU, "burner"},
		{RANK_MEMORY, "holder"},
		{RANK_DEMAND, "waiter"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct policy policy = default_policy;
		struct window w = new_window(3);

		policy.rank = rows[i].key;
		add(&w, "burner", 4000, 1, 60);
		add(&w, "holder", 10, 2048, 60);
		add(&w, "waiter", 3000, 1, 60)->waited_ns = 9 * NS_PER_S;
		assert_int_equal(plan_build(&w, &policy), 0);
		assert_string_equal(w.containers.items[0].name, rows[i].first);
		window_free(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_two_high_and_three_low),
		cmocka_unit_test(a_reason_tells_the_nearest_of_another_class),
		cmocka_unit_test(a_small_or_no_distance_is_told_as_such),
		cmocka_unit_test(a_reason_tells_what_it_is_ranked_by),
		cmocka_unit_test(ordinals_are_english),
		cmocka_unit_test(equals_are_told_apart_by_the_other_resource),
		cmocka_unit_test(the_largest_demand_does_not_overflow),
		cmocka_unit_test(equals_are_told_apart_by_age_then_id),
		cmocka_unit_test(few_containers_are_all_kept),
		cmocka_unit_test(sets_aside_with_a_reason),
		cmocka_unit_test(protects_by_name_and_by_id),
		cmocka_unit_test(distrust_keeps_everything),
		cmocka_unit_test(rank_keys),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}

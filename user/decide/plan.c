// SPDX-License-Identifier: GPL-2.0
#include "decide/plan.h"

#include <errno.h>
#include <string.h>

#include "decide/rank.h"
#include "util.h"

#define PPB_PER_POINT (PPB_WHOLE / 100.0)
#define LEAST_POINTS  0.0001 /* the least that is told in digits */

struct plan {
	struct window *window;
	const struct policy *policy;
	struct container **order; /* the ranked ones, highest first */
	size_t count;
	size_t high; /* of them: the first */
	size_t low;  /* of them: the last */
};

/* Why a container is never touched, or NULL. */
static const char *protection(const struct container *container, const struct policy *policy)
{
	if (container->labelled_protect)
		return "label cmgr.protect=true";
	if (container->is_log_server)
		return "it publishes the log server's port";
	if (!strcmp(container->id, policy->own_id) ||
	    (container->cgroup_id && container->cgroup_id == policy->own_cgroup_id))
		return "the daemon runs in it";
	return policy_protects(policy, container->name, container->id) ? "named by --protect"
								       : NULL;
}

static char *age_reason(const struct container *container, const struct policy *policy)
{
	if (container->full_window)
		return format_text("young: %.1f s old, less than %.0f s",
				   (double)container->age_ns / (double)NS_PER_S,
				   (double)policy->min_age_ns / (double)NS_PER_S);
	return format_text("young: not there for the whole window");
}

/* Gives the class and the reason of one that is not ranked; false for a candidate. */
static bool set_aside(struct container *container, const struct plan *plan)
{
	const char *protected = protection(container, plan->policy);

	container->decision = ACTION_KEEP;
	if (protected) {
		container->class = CLASS_PROTECTED;
		container->reason = format_text("protected: %s", protected);
	} else if (!container->managed && !plan->policy->scope_all) {
		container->class = CLASS_UNMANAGED;
		container->reason = format_text("unmanaged: no label cmgr.managed=true");
	} else if (!container->running) {
		container->class = CLASS_UNSURE;
		container->reason =
			format_text("unsure: it is paused, restarting or being removed");
	} else if (container->unsure) {
		container->class = CLASS_UNSURE;
		container->reason = format_text("unsure: %s", container->unsure);
	} else if (!container->full_window || container->age_ns < plan->policy->min_age_ns) {
		container->class = CLASS_YOUNG;
		container->reason = age_reason(container, plan->policy);
	} else {
		return false;
	}
	return true;
}

static enum container_class class_at(const struct plan *plan, size_t place)
{
	if (place < plan->high)
		return CLASS_HIGH;
	return place >= plan->count - plan->low ? CLASS_LOW : CLASS_SURPLUS;
}

/* Distance from the score at @place to the one at @other. */
static uint64_t gap(const struct plan *plan, size_t place, size_t other)
{
	uint64_t a = plan->order[place]->score_ppb, b = plan->order[other]->score_ppb;

	return a > b ? a - b : b - a;
}

/* The nearest container of another class, above or below @place. False: all are of one class. */
static bool nearest_cut(const struct plan *plan, size_t place, size_t *ret)
{
	enum container_class class = class_at(plan, place);
	size_t above = place, below = place;

	while (above > 0 && class_at(plan, above) == class)
		above--;
	while (below + 1 < plan->count && class_at(plan, below) == class)
		below++;
	if (class_at(plan, below) == class && class_at(plan, above) == class)
		return false;
	if (class_at(plan, above) == class)
		*ret = below;
	else if (class_at(plan, below) == class)
		*ret = above;
	else
		*ret = gap(plan, place, above) <= gap(plan, place, below) ? above : below;
	return true;
}

/* "1st", "2nd", "3rd", "4th", "11th", "112th" */
static const char *ordinal_ending(size_t number)
{
	static const char *const endings[] = {"th", "st", "nd", "rd"};

	return number / 10 % 10 == 1 || number % 10 > 3 ? "th" : endings[number % 10];
}

static int digits(double points)
{
	return points < 1 ? 4 : 1;
}

/* ", 3.1 points below the 2nd" */
static char *describe_margin(const struct plan *plan, size_t place, size_t cut)
{
	double points = (double)gap(plan, place, cut) / PPB_PER_POINT;
	const char *side = cut < place ? "below" : "above", *ending = ordinal_ending(cut + 1);

	if (gap(plan, place, cut) == 0)
		return format_text(", level with the %zu%s", cut + 1, ending);
	if (points < LEAST_POINTS)
		return format_text(", less than %.4f points %s the %zu%s", LEAST_POINTS, side,
				   cut + 1, ending);
	return format_text(", %.*f points %s the %zu%s", digits(points), points, side, cut + 1,
			   ending);
}

/* What it is ranked by. Others may be where they are by another resource: then the share is told too. */
static char *describe_key(const struct container *container, enum rank_key key)
{
	double points = (double)container->score_ppb / PPB_PER_POINT;
	const char *resource = rank_resource(container, key);

	if (key != RANK_DOMINANT)
		return strdup(resource);
	if (container->score_ppb == 0)
		return strdup("its larger share, 0 %");
	if (points < LEAST_POINTS)
		return format_text("its larger share, %s less than %.4f %%", resource,
				   LEAST_POINTS);
	return format_text("its larger share, %s %.*f %%", resource, digits(points), points);
}

static char *describe(const struct plan *plan, size_t place, const char *margin)
{
	const struct container *container = plan->order[place];
	_cleanup_free_ char *key = describe_key(container, plan->policy->rank);
	const char *spared = NULL;

	if (!key)
		return NULL;
	if (container->class == CLASS_SURPLUS)
		spared = plan->window->distrust;
	return format_text("%s, rank %zu of %zu by %s%s%s%s", class_name(container->class),
			   place + 1, plan->count, key, margin, spared ? "; kept: " : "",
			   spared ? spared : "");
}

static int decide_at(const struct plan *plan, size_t place)
{
	struct container *container = plan->order[place];
	_cleanup_free_ char *margin = NULL;
	size_t cut;

	container->rank = (unsigned int)place + 1;
	container->class = class_at(plan, place);
	container->has_margin = nearest_cut(plan, place, &cut);
	if (container->has_margin) {
		container->margin_ppb = gap(plan, place, cut);
		margin = describe_margin(plan, place, cut);
		if (!margin)
			return -ENOMEM;
	}
	if (container->class == CLASS_SURPLUS && !plan->window->distrust)
		container->decision = plan->policy->action;
	container->reason = describe(plan, place, margin ? margin : "");
	return container->reason ? 0 : -ENOMEM;
}

static int choose_candidates(struct plan *plan)
{
	struct container_list *list = &plan->window->containers;
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (!set_aside(&list->items[i], plan))
			plan->order[plan->count++] = &list->items[i];
		else if (!list->items[i].reason)
			return -ENOMEM;
	}
	return 0;
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static int report_order(const void *a, const void *b)
{
	const struct container *x = a, *y = b;
	int names;

	if (is_ranked(x) != is_ranked(y))
		return is_ranked(x) ? -1 : 1;
	if (is_ranked(x))
		return x->rank < y->rank ? -1 : 1;
	names = strcmp(x->name, y->name);
	return names ? names : strcmp(x->id, y->id);
}

int plan_build(struct window *window, const struct policy *policy)
{
	struct container_list *list = &window->containers;
	_cleanup_free_ struct container **order =
		calloc(list->count + 1, sizeof(struct container *));
	struct plan plan = {.window = window, .policy = policy, .order = order};
	size_t i;
	int err;

	if (!order)
		return -ENOMEM;
	rank_score(window, policy->rank);
	err = choose_candidates(&plan);
	if (err)
		return err;
	rank_sort(plan.order, plan.count, policy->rank);
	plan.high = min_size(policy->keep_high, plan.count);
	plan.low = min_size(policy->keep_low, plan.count - plan.high);
	for (i = 0; i < plan.count; i++) {
		err = decide_at(&plan, i);
		if (err)
			return err;
	}
	if (list->count)
		qsort(list->items, list->count, sizeof(*list->items), report_order);
	return 0;
}

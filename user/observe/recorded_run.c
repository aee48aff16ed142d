// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>

#include "decide/rank.h"
#include "observe/recorded_lines.h"
#include "report/recording.h"
#include "util.h"

static int parse_head(struct recorded *recorded)
{
	struct cursor cursor;

	if (!lines_take_line(recorded, RECORDING_NAME, &cursor)) {
		recorded->line++;
		return lines_bad(recorded, "neither a run nor a cycle begins here");
	}
	if (next_u64(&cursor) != RECORDING_VERSION)
		return lines_bad(recorded, "the recording is of another version");
	return lines_end_line(recorded, &cursor);
}

static void copy_uuid(struct cursor *cursor, char *ret)
{
	const char *text = lines_next_name(cursor);

	if (text && strlen(text) <= UUID_LENGTH)
		memcpy(ret, text, strlen(text) + 1);
	else
		cursor->before = BAD;
}

static int parse_run(struct recorded *recorded, struct run *run)
{
	struct cursor cursor;
	const char *host;
	int err = lines_expect_line(recorded, "run", &cursor);

	if (err)
		return err;
	copy_uuid(&cursor, run->boot_id);
	copy_uuid(&cursor, run->run_id);
	host = lines_next_change(&cursor, false, NULL);
	run->host = strdup(host ? host : "");
	return run->host ? lines_end_line(recorded, &cursor) : -ENOMEM;
}

static const char *scope_name(unsigned int scope)
{
	return scope ? "all" : "label";
}

static int parse_own(struct recorded *recorded, struct policy *policy)
{
	struct cursor cursor;
	const char *id;
	int err = lines_expect_line(recorded, "own", &cursor);

	if (err)
		return err;
	id = next_text(&cursor);
	policy->own_cgroup_id = next_u64(&cursor);
	if (id && !lines_copy_id(id, policy->own_id))
		return lines_bad(recorded, "that is no ID of a container");
	return lines_end_line(recorded, &cursor);
}

static int parse_policy(struct recorded *recorded, struct recorded_block *block)
{
	struct policy *policy = &block->policy;
	struct cursor cursor;
	int err = lines_expect_line(recorded, "policy", &cursor);

	if (err)
		return err;
	policy->keep_high = (unsigned int)lines_next_up_to(&cursor, POLICY_MAX_COUNT);
	policy->keep_low = (unsigned int)lines_next_up_to(&cursor, POLICY_MAX_COUNT);
	policy->rank = NEXT_CHOICE(&cursor, rank_key_name, RANK_DOMINANT, RANK_DEMAND + 1);
	policy->scope_all = NEXT_CHOICE(&cursor, scope_name, 0, 2);
	policy->min_age_ns = lines_next_up_to(&cursor, POLICY_MAX_SECONDS * NS_PER_S);
	policy->action = NEXT_CHOICE(&cursor, action_name, ACTION_REMOVE, ACTION_PAUSE + 1);
	block->interval_s = lines_next_up_to(&cursor, POLICY_MAX_SECONDS);
	err = lines_end_line(recorded, &cursor);
	if (!err)
		err = parse_own(recorded, policy);
	while (!err && lines_take_line(recorded, "protect", &cursor)) {
		err = grow_array((void **)&policy->protect, policy->protect_count, sizeof(char *));
		if (err)
			return err;
		policy->protect[policy->protect_count++] = (char *)lines_next_name(&cursor);
		err = lines_end_line(recorded, &cursor);
	}
	return err;
}

static void forget_rows(struct recorded *recorded)
{
	recorded->cgroups.count = 0;
	recorded->processes.count = 0;
	recorded->cpus.count = 0;
	recorded->containers.count = 0;
}

int recorded_run(struct recorded *recorded, struct recorded_block *block)
{
	int err = parse_head(recorded);

	block->begins = true;
	forget_rows(recorded);
	if (!err)
		err = parse_run(recorded, &block->run);
	if (!err)
		err = parse_policy(recorded, block);
	if (!err)
		err = lines_readings(recorded, &block->seen.now);
	recorded->has_run = !err;
	return err;
}

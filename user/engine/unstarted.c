// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>

#include "engine/docker.h"
#include "util.h"

#define TIMEOUT_MS 10000L
/* {"label":["cmgr.spawned=true"],"status":["created"]} */
#define LIST                                                                                       \
	"/containers/json?all=1&filters=%7B%22label%22%3A%5B%22" LABEL_SPAWNED                     \
	"%3Dtrue%22%5D%2C%22status%22%3A%5B%22created%22%5D%7D"

struct unstarted {
	char (*ids)[CONTAINER_ID_DIGITS + 1];
	size_t count;
};

/* {"Id":"0f3c…","Created":1767225600,"State":"created","Labels":{"cmgr.spawned":"true",…},…} */
static int add_row(const cJSON *row, uint64_t min_age_s, struct unstarted *list)
{
	const cJSON *created, *labels;
	const char *id, *state, *spawned;
	double age_s;
	int err;

	if (json_string(row, "Id", false, &id) || json_string(row, "State", false, &state) ||
	    json_member(row, "Created", &created) || json_member(row, "Labels", &labels) ||
	    json_string(labels, LABEL_SPAWNED, false, &spawned) || !cJSON_IsNumber(created))
		return -EBADMSG;
	if (strcmp(state, "created") || strcmp(spawned, "true"))
		return 0;
	age_s = (double)(unix_ns() / NS_PER_S) - created->valuedouble;
	if (min_age_s && age_s < (double)min_age_s)
		return 0;
	err = grow_array((void **)&list->ids, list->count, sizeof(*list->ids));
	if (!err)
		err = docker_copy_id(id, list->ids[list->count]);
	if (!err)
		list->count++;
	return err;
}

static int find(const struct docker *docker, struct http_call *call, uint64_t min_age_s,
		struct unstarted *list)
{
	const cJSON *row;
	cJSON *rows;
	long status;
	int err = docker_call_set(docker, call, "GET", LIST, NULL, TIMEOUT_MS);

	if (!err)
		err = http_call_run(call, &status);
	if (err)
		return err;
	rows = http_call_json(call);
	err = status == 200 && cJSON_IsArray(rows) ? 0 : -EBADMSG;
	for (row = err ? NULL : rows->child; row && !err; row = row->next)
		err = add_row(row, min_age_s, list);
	cJSON_Delete(rows);
	return err;
}

/* 1: removed. One that runs by now stays. */
static int remove_one(const struct docker *docker, struct http_call *call, const char *id)
{
	long status;
	int err = docker_call_remove_stopped(docker, call, id);

	if (!err)
		err = http_call_run(call, &status);
	if (err)
		return err;
	return status == 204 ? 1 : status == 404 || status == 409 ? 0 : -EIO;
}

int docker_remove_unstarted(const struct docker *docker, uint64_t min_age_s,
			    unsigned int *ret_count)
{
	struct unstarted list = {};
	struct http_call call;
	size_t i;
	int err = docker_call_init(docker, &call);

	*ret_count = 0;
	if (err)
		return err;
	err = find(docker, &call, min_age_s, &list);
	for (i = 0; i < list.count; i++) {
		int removed = remove_one(docker, &call, list.ids[i]);

		*ret_count += removed == 1;
		if (removed < 0 && !err)
			err = removed;
	}
	free(list.ids);
	http_call_free(&call);
	return err;
}

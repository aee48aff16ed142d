// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>
#include <time.h>

#include "engine/docker.h"
#include "engine/limits.h"
#include "util.h"

#define TIDY_MS 2000U

/* The body of a create request, to be freed, or NULL. */
static char *spec_json(const struct docker_spec *spec)
{
	cJSON *json = cJSON_CreateObject(), *labels, *env, *host;
	char *text = NULL;
	size_t i;

	cJSON_AddStringToObject(json, "Image", spec->image);
	labels = cJSON_AddObjectToObject(json, "Labels");
	cJSON_AddStringToObject(labels, LABEL_MANAGED, "true");
	cJSON_AddStringToObject(labels, LABEL_SPAWNED, "true");
	env = cJSON_AddArrayToObject(json, "Env");
	for (i = 0; spec->env[i]; i++)
		cJSON_AddItemToArray(env, cJSON_CreateString(spec->env[i]));
	host = cJSON_AddObjectToObject(json, "HostConfig");
	cJSON_AddStringToObject(host, "NetworkMode", "none");
	if (cJSON_AddNumberToObject(host, "Memory", (double)spec->memory_limit_bytes))
		text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	return text;
}

static int create_result(const struct http_call *call, long status, char *ret_id)
{
	const char *id;
	cJSON *reply;
	int err;

	if (status != 201)
		return status == 404 ? -ENOENT : status == 409 ? -EEXIST : -EIO;
	reply = http_call_json(call);
	err = json_string(reply, "Id", false, &id);
	if (!err)
		err = docker_copy_id(id, ret_id);
	cJSON_Delete(reply);
	return err;
}

static int create(const struct docker *docker, struct http_call *call,
		  const struct docker_spec *spec, char *ret_id, char **ret_why)
{
	_cleanup_free_ char *json = spec_json(spec);
	_cleanup_free_ char *path = format_text("/containers/create?name=%s", spec->name);
	long status = 0;
	int call_err = -ENOMEM, err;

	if (json && path)
		call_err = docker_call_set(docker, call, "POST", path, json, action_timeout_ms());
	if (!call_err)
		call_err = http_call_run(call, &status);
	err = call_err ? call_err : create_result(call, status, ret_id);
	if (err)
		*ret_why = docker_why(call, call_err, status);
	return err;
}

static int start(const struct docker *docker, struct http_call *call, const char *id,
		 char **ret_why)
{
	_cleanup_free_ char *path = format_text("/containers/%s/start", id);
	long status = 0;
	int err = -ENOMEM;

	if (path)
		err = docker_call_set(docker, call, "POST", path, NULL, action_timeout_ms());
	if (!err)
		err = http_call_run(call, &status);
	if (!err && (status == 204 || status == 304))
		return 0;
	*ret_why = docker_why(call, err, status);
	return err ? err : -EIO;
}

static long ms_until(uint64_t end_ns)
{
	uint64_t now_ns = boottime_ns();

	return now_ns < end_ns ? (long)((end_ns - now_ns) / NS_PER_MS) + 1 : 1;
}

/* By its full ID, as ever. 0; -EAGAIN: it is not there yet, or the engine could not; or another -errno. */
static int remove_named(const struct docker *docker, struct http_call *call, const char *name,
			uint64_t end_ns)
{
	struct docker_state state = {};
	long status;
	int err = docker_call_inspect(docker, call, name);

	if (err)
		return err;
	http_call_limit(call, ms_until(end_ns));
	err = http_call_run(call, &status);
	if (!err)
		err = docker_inspect_result(call, status, &state);
	if (err)
		return err == -ENOENT ? -EAGAIN : err;
	err = strcmp(state.name, name) || !state.unstarted
		      ? -EEXIST
		      : docker_call_remove_stopped(docker, call, state.id);
	docker_state_free(&state);
	if (err)
		return err;
	http_call_limit(call, ms_until(end_ns));
	err = http_call_run(call, &status);
	return err || status == 204 || status == 404 ? err : -EAGAIN;
}

/* One of @name may be about to be there; nobody has started it. */
static void remove_given_up(const struct docker *docker, struct http_call *call, const char *name)
{
	static const struct timespec moment = {.tv_nsec = 100 * (long)NS_PER_MS};
	uint64_t end_ns = boottime_ns() + TIDY_MS * NS_PER_MS;

	while (remove_named(docker, call, name, end_ns) == -EAGAIN && boottime_ns() < end_ns)
		nanosleep(&moment, NULL);
}

static int create_and_start(const struct docker *docker, struct http_call *call,
			    const struct docker_spec *spec, char **ret_why)
{
	char id[CONTAINER_ID_DIGITS + 1];
	long status;
	bool given_up;
	int err;

	call->end_ns = spec->end_ns;
	err = create(docker, call, spec, id, ret_why);
	call->end_ns = NULL;
	if (err && call->given_up)
		remove_given_up(docker, call, spec->name);
	if (err)
		return err;
	call->end_ns = spec->end_ns;
	err = start(docker, call, id, ret_why);
	call->end_ns = NULL;
	given_up = call->given_up;
	/* What was created but could not start would stay behind, unseen. */
	if (err && !docker_call_action(docker, call, id, ACTION_REMOVE)) {
		if (given_up)
			http_call_limit(call, TIDY_MS);
		http_call_run(call, &status);
	}
	return err;
}

int docker_run(const struct docker *docker, const struct docker_spec *spec, char **ret_why)
{
	struct http_call call;
	int err = docker_call_init(docker, &call);

	if (err) {
		*ret_why = docker_why(&call, err, 0);
		return err;
	}
	err = create_and_start(docker, &call, spec, ret_why);
	http_call_free(&call);
	return err;
}

// SPDX-License-Identifier: GPL-2.0
#include "engine/docker.h"

#include <errno.h>
#include <string.h>

#include "engine/limits.h"
#include "util.h"

#define SCHEME		"unix://"
#define API_NEWEST	44 /* 1.44: the newest that we were written against */
#define CALL_TIMEOUT_MS 10000L
#define LIST_LIMIT	(16UL << 20) /* of the reply's bytes */

struct docker {
	struct http_call call;
	char *socket_path;
	uint16_t log_port;
	unsigned int api_minor; /* of version 1 */
	uint64_t deadline_ns;	/* of its own calls, on CLOCK_BOOTTIME */
};

/* "1.41" */
static int parse_api_version(const char *text, unsigned int *ret_minor)
{
	uint64_t minor;

	if (!text || strncmp(text, "1.", 2) || parse_u64(text + 2, 1, 999, &minor))
		return -EBADMSG;
	*ret_minor = (unsigned int)minor;
	return 0;
}

static int get_api_version(const cJSON *json, const char *name, unsigned int *ret_minor)
{
	const char *text;
	int err = json_string(json, name, false, &text);

	return err ? err : parse_api_version(text, ret_minor);
}

/* Performs a request on the docker's own call, within its deadline. */
static int run_own(struct docker *docker, long timeout_ms, long *ret_status)
{
	uint64_t now_ns = boottime_ns();

	if (docker->deadline_ns) {
		uint64_t left_ns = docker->deadline_ns > now_ns ? docker->deadline_ns - now_ns : 0;

		if (left_ns < NS_PER_MS)
			return -ETIMEDOUT;
		if (left_ns / NS_PER_MS < (uint64_t)timeout_ms)
			timeout_ms = (long)(left_ns / NS_PER_MS);
	}
	http_call_limit(&docker->call, timeout_ms);
	return http_call_run(&docker->call, ret_status);
}

/* {"ApiVersion":"1.45","MinAPIVersion":"1.24",…} */
static int negotiate(struct docker *docker)
{
	unsigned int newest = 0, oldest = 0;
	long status;
	cJSON *json;
	int err =
		http_call_set(&docker->call, "GET", "http://docker/version", NULL, CALL_TIMEOUT_MS);

	if (!err)
		err = run_own(docker, CALL_TIMEOUT_MS, &status);
	if (err)
		return err;
	json = http_call_json(&docker->call);
	err = status == 200 ? get_api_version(json, "ApiVersion", &newest) : -EBADMSG;
	if (!err)
		err = get_api_version(json, "MinAPIVersion", &oldest);
	cJSON_Delete(json);
	if (!err && oldest > newest)
		err = -EBADMSG;
	if (err)
		return err;
	docker->api_minor = newest < API_NEWEST ? newest : API_NEWEST;
	if (docker->api_minor < oldest)
		docker->api_minor = oldest;
	return 0;
}

bool docker_is_url(const char *url)
{
	return !strncmp(url, SCHEME "/", strlen(SCHEME "/"));
}

int docker_open(const char *url, uint16_t log_port, struct docker **ret)
{
	struct docker *docker;
	int err = -ENOMEM;

	if (!docker_is_url(url))
		return -EPROTONOSUPPORT;
	docker = calloc(1, sizeof(*docker));
	if (!docker)
		return -ENOMEM;
	docker->log_port = log_port;
	docker->socket_path = strdup(url + strlen(SCHEME));
	if (docker->socket_path)
		err = docker_call_init(docker, &docker->call);
	if (!err)
		err = negotiate(docker);
	if (err) {
		docker_close(docker);
		return err;
	}
	*ret = docker;
	return 0;
}

void docker_limit(struct docker *docker, uint64_t deadline_ns)
{
	docker->deadline_ns = deadline_ns;
}

void docker_close(struct docker *docker)
{
	if (!docker)
		return;
	http_call_free(&docker->call);
	free(docker->socket_path);
	free(docker);
}

int docker_call_set(const struct docker *docker, struct http_call *call, const char *method,
		    const char *path, const char *json, long timeout_ms)
{
	_cleanup_free_ char *url = format_text("http://docker/v1.%u%s", docker->api_minor, path);

	return url ? http_call_set(call, method, url, json, timeout_ms) : -ENOMEM;
}

int docker_list(struct docker *docker, struct container_list *ret, char **ret_why)
{
	long status;
	int err = docker_call_set(docker, &docker->call, "GET", "/containers/json", NULL,
				  CALL_TIMEOUT_MS);

	docker->call.limit = LIST_LIMIT;
	if (!err)
		err = run_own(docker, CALL_TIMEOUT_MS, &status);
	if (!err && status == 200)
		err = docker_list_result(&docker->call, docker->log_port, ret);
	else if (!err) {
		*ret_why = docker_why(&docker->call, -EIO, status);
		negotiate(docker); /* an engine that was upgraded may refuse our version */
		return -EIO;
	}
	if (err)
		*ret_why = docker_why(&docker->call, err, 0);
	return err;
}

int docker_inspect(struct docker *docker, struct container *container)
{
	struct docker_state state = {};
	long status;
	int err = docker_call_inspect(docker, &docker->call, container->id);

	if (!err)
		err = run_own(docker, CALL_TIMEOUT_MS, &status);
	if (!err)
		err = docker_inspect_result(&docker->call, status, &state);
	if (!err && strcmp(state.id, container->id))
		err = -EBADMSG;
	if (!err) {
		free(container->started_at);
		container->started_at = state.started_at;
		state.started_at = NULL;
	}
	docker_state_free(&state);
	return err;
}

void docker_state_free(struct docker_state *state)
{
	free(state->name);
	free(state->started_at);
	*state = (struct docker_state){};
}

int docker_call_init(const struct docker *docker, struct http_call *call)
{
	return http_call_init(call, docker->socket_path);
}

int docker_call_inspect(const struct docker *docker, struct http_call *call, const char *id)
{
	_cleanup_free_ char *path = format_text("/containers/%s/json", id);

	return path ? docker_call_set(docker, call, "GET", path, NULL, CALL_TIMEOUT_MS) : -ENOMEM;
}

/* Without v=1: volumes are never removed. */
int docker_call_action(const struct docker *docker, struct http_call *call, const char *id,
		       enum action action)
{
	_cleanup_free_ char *path = NULL;
	const char *method = "POST";

	switch (action) {
	case ACTION_REMOVE:
		method = "DELETE";
		path = format_text("/containers/%s?force=1", id);
		break;
	case ACTION_STOP:
		path = format_text("/containers/%s/stop?t=2", id);
		break;
	case ACTION_PAUSE:
		path = format_text("/containers/%s/pause", id);
		break;
	case ACTION_KEEP:
		return -EINVAL;
	}
	return path ? docker_call_set(docker, call, method, path, NULL, action_timeout_ms())
		    : -ENOMEM;
}

int docker_call_remove_stopped(const struct docker *docker, struct http_call *call, const char *id)
{
	_cleanup_free_ char *path = format_text("/containers/%s", id);

	return path ? docker_call_set(docker, call, "DELETE", path, NULL, CALL_TIMEOUT_MS)
		    : -ENOMEM;
}

// SPDX-License-Identifier: GPL-2.0
#include "engine/docker.h"

#include <errno.h>
#include <string.h>

#include "engine/limits.h"
#include "util.h"

#define SCHEME		"unix://"
#define API_NEWEST	44 /* 1.44: the newest that we were written against */
#define CALL_TIMEOUT_MS 10000L
/* Whatever the engine says, it is kept in so much. */
#define LIST_LIMIT	 (16UL << 20)
#define ROWS_LIMIT	 10000
#define VALUES_LIMIT	 (100 * ROWS_LIMIT) /* of JSON, in a list */
#define IMAGE_LIMIT	 1024
#define STARTED_AT_LIMIT 64
#define MESSAGE_LIMIT	 512

struct docker {
	struct http_call call;
	char *socket_path;
	uint16_t log_port;
	unsigned int api_minor; /* of version 1 */
	uint64_t deadline_ns;	/* of its own calls, on CLOCK_BOOTTIME */
};

/* Cut to @limit bytes at the beginning of a UTF-8 sequence; to be freed, NULL without memory. */
static char *printable(const char *text, size_t limit)
{
	/* A sequence that is cut here ends beyond the limit. */
	_cleanup_free_ char *beginning = strndup(text, limit + 4);
	char *clean = beginning ? to_printable(beginning) : NULL;

	if (!clean || strlen(clean) <= limit)
		return clean;
	while (limit && ((unsigned char)clean[limit] & 0xc0) == 0x80)
		limit--;
	clean[limit] = '\0';
	return clean;
}

/* Where nothing is said of them, one that protects may be there. */
static int labels_of(const cJSON *json, const cJSON **ret)
{
	if (!cJSON_GetObjectItemCaseSensitive(json, "Labels"))
		return -EBADMSG;
	return json_member(json, "Labels", ret);
}

/* NULL: none. */
static int parse_labels(const cJSON *labels, bool *ret_managed, bool *ret_protect)
{
	const char *managed, *protect;
	int err;

	if (!labels)
		return 0;
	err = json_string(labels, LABEL_MANAGED, true, &managed);
	if (!err)
		err = json_string(labels, LABEL_PROTECT, true, &protect);
	if (err)
		return err;
	*ret_managed = managed && !strcmp(managed, "true");
	*ret_protect = protect && !strcmp(protect, "true");
	return 0;
}

int docker_copy_id(const char *id, char *ret)
{
	if (!id || strlen(id) != CONTAINER_ID_DIGITS ||
	    strspn(id, "0123456789abcdef") != CONTAINER_ID_DIGITS)
		return -EBADMSG;
	memcpy(ret, id, CONTAINER_ID_DIGITS + 1);
	return 0;
}

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

/* ["/N2Cnmb5c"]: a linked container has other names too, with a second slash. */
static const char *own_name(const cJSON *names)
{
	const cJSON *item;

	if (!cJSON_IsArray(names))
		return NULL;
	cJSON_ArrayForEach(item, names) {
		const char *name = cJSON_GetStringValue(item);

		if (name && name[0] == '/' && name[1] && !strchr(name + 1, '/'))
			return name + 1;
	}
	return NULL;
}

/* [{"PrivatePort":8000,"PublicPort":8000,"Type":"tcp"},…], or null */
static int parse_ports(const cJSON *ports, uint16_t port, bool *ret_published)
{
	const cJSON *item, *public;

	if (ports && !cJSON_IsArray(ports))
		return -EBADMSG;
	cJSON_ArrayForEach(item, ports) {
		int err = json_member(item, "PublicPort", &public);

		if (err || (public && !cJSON_IsNumber(public)))
			return -EBADMSG;
		if (port && public && public->valueint == port)
			*ret_published = true;
	}
	return 0;
}

/* {"Id":"0f3c…","Names":["/N2Cnmb5c"],"Image":"cmgr-cpu-low","State":"running","Labels":{…}} */
static int parse_container(const struct docker *docker, const cJSON *json, struct container *c)
{
	const cJSON *labels, *names, *ports;
	const char *id, *image, *state, *name;

	if (json_string(json, "Id", false, &id) || json_string(json, "Image", false, &image) ||
	    json_string(json, "State", false, &state) || json_member(json, "Names", &names) ||
	    labels_of(json, &labels) || json_member(json, "Ports", &ports))
		return -EBADMSG;
	name = own_name(names);
	if (!name || docker_copy_id(id, c->id) ||
	    parse_labels(labels, &c->managed, &c->labelled_protect) ||
	    parse_ports(ports, docker->log_port, &c->is_log_server))
		return -EBADMSG;
	c->running = !strcmp(state, "running");
	c->name = printable(name, CONTAINER_NAME_LIMIT);
	c->image = printable(image, IMAGE_LIMIT);
	return c->name && c->image ? 0 : -ENOMEM;
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_ids(const struct container_list *list)
{
	_cleanup_free_ const char **ids = calloc(list->count + 1, sizeof(*ids));
	size_t i;

	if (!ids)
		return -ENOMEM;
	for (i = 0; i < list->count; i++)
		ids[i] = list->items[i].id;
	qsort(ids, list->count, sizeof(*ids), compare_ids);
	for (i = 1; i < list->count; i++)
		if (!strcmp(ids[i - 1], ids[i]))
			return -EBADMSG;
	return 0;
}

static int parse_list(const struct docker *docker, const cJSON *json, struct container_list *list)
{
	const cJSON *item;

	if (!cJSON_IsArray(json))
		return -EBADMSG;
	cJSON_ArrayForEach(item, json) {
		int err = list->count < ROWS_LIMIT ? grow_array((void **)&list->items, list->count,
								sizeof(*list->items))
						   : -EFBIG;

		if (err)
			return err;
		list->items[list->count] = (struct container){};
		err = parse_container(docker, item, &list->items[list->count++]);
		if (err)
			return err;
	}
	return check_ids(list);
}

static const char *error_words(int err)
{
	switch (err) {
	case -EBADMSG:
		return "the engine's answer is malformed";
	case -EFBIG:
		return "the engine's answer is too large";
	case -ETIMEDOUT:
		return "the engine did not answer in time";
	default:
		return strerror(-err);
	}
}

char *docker_why(const struct http_call *call, int err, long status)
{
	_cleanup_free_ char *text = NULL;

	if (!status || (status == 200 && err))
		return strdup(error_words(err));
	text = docker_error_text(call);
	return text ? format_text("status %ld: %s", status, text) : NULL;
}

/* Each value takes many times its text in memory: no list of containers has as many. */
static bool has_too_many_values(const struct http_call *call)
{
	size_t values = 0, i;
	bool quoted = false;

	for (i = 0; i < call->size; i++) {
		char c = call->body[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == ',' || c == '[' || c == '{'))
			values++;
	}
	return values > VALUES_LIMIT;
}

static int list_result(struct docker *docker, struct container_list *ret)
{
	struct container_list list = {};
	cJSON *json;
	int err;

	if (has_too_many_values(&docker->call))
		return -EFBIG;
	json = http_call_json(&docker->call);
	err = parse_list(docker, json, &list);

	cJSON_Delete(json);
	if (err)
		container_list_free(&list);
	else
		*ret = list;
	return err;
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
		err = list_result(docker, ret);
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

static int create_result(struct docker *docker, long status, char *ret_id)
{
	const char *id;
	cJSON *reply;
	int err;

	if (status != 201)
		return status == 404 ? -ENOENT : status == 409 ? -EEXIST : -EIO;
	reply = http_call_json(&docker->call);
	err = json_string(reply, "Id", false, &id);
	if (!err)
		err = docker_copy_id(id, ret_id);
	cJSON_Delete(reply);
	return err;
}

static int create(struct docker *docker, const struct docker_spec *spec, char *ret_id,
		  char **ret_why)
{
	_cleanup_free_ char *json = spec_json(spec);
	_cleanup_free_ char *path = format_text("/containers/create?name=%s", spec->name);
	long status = 0;
	int call_err = -ENOMEM, err;

	if (json && path)
		call_err = docker_call_set(docker, &docker->call, "POST", path, json,
					   action_timeout_ms());
	if (!call_err)
		call_err = http_call_run(&docker->call, &status);
	err = call_err ? call_err : create_result(docker, status, ret_id);
	if (err)
		*ret_why = docker_why(&docker->call, call_err, status);
	return err;
}

static int start(struct docker *docker, const char *id, char **ret_why)
{
	_cleanup_free_ char *path = format_text("/containers/%s/start", id);
	long status = 0;
	int err = -ENOMEM;

	if (path)
		err = docker_call_set(docker, &docker->call, "POST", path, NULL,
				      action_timeout_ms());
	if (!err)
		err = http_call_run(&docker->call, &status);
	if (!err && (status == 204 || status == 304))
		return 0;
	*ret_why = docker_why(&docker->call, err, status);
	return err ? err : -EIO;
}

int docker_run(struct docker *docker, const struct docker_spec *spec, char **ret_why)
{
	char id[CONTAINER_ID_DIGITS + 1];
	long status;
	int err = create(docker, spec, id, ret_why);

	if (err)
		return err;
	err = start(docker, id, ret_why);
	/* What was created but could not start would stay behind, unseen. */
	if (err && !docker_call_action(docker, &docker->call, id, ACTION_REMOVE))
		http_call_run(&docker->call, &status);
	return err;
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

/* {"AutoRemove":true,…}: what is not there is not so. */
static int parse_host_config(const cJSON *json, bool *ret_auto_remove)
{
	const cJSON *host = NULL, *is = NULL;
	int err = json_member(json, "HostConfig", &host);

	if (!err && host)
		err = json_member(host, "AutoRemove", &is);
	if (err || (is && !cJSON_IsBool(is)))
		return -EBADMSG;
	*ret_auto_remove = cJSON_IsTrue(is);
	return 0;
}

static int parse_state(const cJSON *json, struct docker_state *state)
{
	const cJSON *s, *config, *labels;
	const char *id, *name, *status, *started_at;

	if (json_string(json, "Id", false, &id) || json_string(json, "Name", false, &name) ||
	    json_member(json, "State", &s) || json_member(json, "Config", &config) ||
	    json_string(s, "Status", false, &status) ||
	    json_string(s, "StartedAt", false, &started_at) || labels_of(config, &labels))
		return -EBADMSG;
	if (strlen(started_at) > STARTED_AT_LIMIT || docker_copy_id(id, state->id) ||
	    parse_labels(labels, &state->managed, &state->labelled_protect) ||
	    parse_host_config(json, &state->auto_remove))
		return -EBADMSG;
	state->running = !strcmp(status, "running");
	state->name = printable(name + (name[0] == '/'), CONTAINER_NAME_LIMIT);
	state->started_at = strdup(started_at);
	return state->name && state->started_at ? 0 : -ENOMEM;
}

/* {"Id":"0f3c…","Name":"/N2Cn…","State":{"Status":"running","StartedAt":"2026-…Z",…},"Config":{"Labels":{…},…},"HostConfig":{"AutoRemove":false,…},…} */
int docker_inspect_result(const struct http_call *call, long status, struct docker_state *ret)
{
	cJSON *json;
	int err;

	if (status == 404)
		return -ENOENT;
	if (status != 200)
		return -EIO;
	json = http_call_json(call);
	err = parse_state(json, ret);
	cJSON_Delete(json);
	if (err)
		docker_state_free(ret);
	return err;
}

enum docker_result docker_action_result(const struct http_call *call, enum action action,
					long status)
{
	_cleanup_free_ char *text = NULL;

	if (status == 204 || (status == 304 && action == ACTION_STOP))
		return DOCKER_DONE;
	if (status == 404)
		return DOCKER_GONE;
	if (status != 409)
		return DOCKER_REFUSED;
	text = docker_error_text(call);
	if (text && strstr(text, "already in progress"))
		return DOCKER_REMOVING;
	if (text && action == ACTION_PAUSE && strstr(text, "already paused"))
		return DOCKER_DONE;
	return DOCKER_REFUSED;
}

char *docker_error_text(const struct http_call *call)
{
	cJSON *json = http_call_json(call);
	const char *message = NULL;
	char *text;

	json_string(json, "message", true, &message);
	text = printable(message ? message : "no explanation", MESSAGE_LIMIT);
	cJSON_Delete(json);
	return text;
}

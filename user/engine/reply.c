// SPDX-License-Identifier: GPL-2.0
/* What the engine answers, strictly parsed. */
#include <errno.h>
#include <string.h>

#include "engine/docker.h"
#include "util.h"

/* Whatever the engine says, it is kept in so much. */
#define ROWS_LIMIT	 10000
#define VALUES_LIMIT	 (100 * ROWS_LIMIT) /* of JSON, in a list */
#define IMAGE_LIMIT	 1024
#define STARTED_AT_LIMIT 64
#define MESSAGE_LIMIT	 512

/* Cut to @limit bytes at the beginning of a UTF-8 sequence; to be freed, NULL without memory. */
static char *printable(const char *text, size_t limit)
{
	/* A sequence that is cut here ends beyond the limit. */
	_cleanup_free_ char *beginning = strndup(text, limit + 4);
	char *clean = beginning ? to_printable(beginning) : NULL;

	if (clean)
		clean[whole_characters(clean, limit)] = '\0';
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
static int parse_container(const cJSON *json, uint16_t log_port, struct container *c)
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
	    parse_ports(ports, log_port, &c->is_log_server))
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

static int parse_list(const cJSON *json, uint16_t log_port, struct container_list *list)
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
		err = parse_container(item, log_port, &list->items[list->count++]);
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

int docker_list_result(const struct http_call *call, uint16_t log_port, struct container_list *ret)
{
	struct container_list list = {};
	cJSON *json;
	int err;

	if (has_too_many_values(call))
		return -EFBIG;
	json = http_call_json(call);
	err = parse_list(json, log_port, &list);
	cJSON_Delete(json);
	if (err)
		container_list_free(&list);
	else
		*ret = list;
	return err;
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
	const char *id, *name, *status, *started_at, *spawned;

	if (json_string(json, "Id", false, &id) || json_string(json, "Name", false, &name) ||
	    json_member(json, "State", &s) || json_member(json, "Config", &config) ||
	    json_string(s, "Status", false, &status) ||
	    json_string(s, "StartedAt", false, &started_at) || labels_of(config, &labels))
		return -EBADMSG;
	if (strlen(started_at) > STARTED_AT_LIMIT || docker_copy_id(id, state->id) ||
	    parse_labels(labels, &state->managed, &state->labelled_protect) ||
	    parse_host_config(json, &state->auto_remove))
		return -EBADMSG;
	if (labels && json_string(labels, LABEL_SPAWNED, true, &spawned))
		return -EBADMSG;
	state->unstarted =
		labels && spawned && !strcmp(spawned, "true") && !strcmp(status, "created");
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

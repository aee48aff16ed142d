// SPDX-License-Identifier: GPL-2.0
#include "report/record.h"

#include <string.h>
#include <time.h>

#include "report/json.h"
#include "util.h"

static void add_share(cJSON *object, const char *name, uint64_t ppb)
{
	cJSON_AddNumberToObject(object, name, (double)ppb / (double)PPB_WHOLE);
}

static void add_text(cJSON *object, const char *name, const char *text)
{
	if (text)
		cJSON_AddStringToObject(object, name, text);
	else
		cJSON_AddNullToObject(object, name);
}

/* Until it is told, the daemon may end before it can be. */
static const char *outcome_of(const struct container *container)
{
	if (container->outcome)
		return container->outcome;
	return container->decision == ACTION_KEEP ? "kept" : "unknown";
}

/* Cut to @limit bytes, at the beginning of a UTF-8 sequence. */
static void add_cut(cJSON *object, const char *name, const char *text, size_t limit)
{
	_cleanup_free_ char *cut = text ? strndup(text, whole_characters(text, limit)) : NULL;

	add_text(object, name, cut);
}

void record_time(uint64_t unix_time_ns, char *ret)
{
	char seconds[sizeof("2026-11-23T20:04:05")];
	time_t time = (time_t)(unix_time_ns / NS_PER_S);
	struct tm utc;

	gmtime_r(&time, &utc);
	strftime(seconds, sizeof(seconds), "%FT%T", &utc);
	snprintf(ret, RECORD_TIME_SIZE, "%s.%03uZ", seconds,
		 (unsigned int)(unix_time_ns / NS_PER_MS % 1000));
}

static void add_time(cJSON *object, uint64_t unix_time_ns)
{
	char text[RECORD_TIME_SIZE];

	record_time(unix_time_ns, text);
	add_text(object, "time", text);
}

static void add_memory(cJSON *object, const struct memory *memory)
{
	cJSON *json = cJSON_AddObjectToObject(object, "memory_kib");

	json_add_u64(json, "total", memory->total_kib);
	json_add_u64(json, "free", memory->free_kib);
	json_add_u64(json, "available", memory->available_kib);
}

static void add_usage(cJSON *json, const struct container *container)
{
	json_add_u64(json, "ran_ns", container->ran_ns);
	json_add_u64(json, "waited_ns", container->waited_ns);
	json_add_u64(json, "anon_kib", container->anon_kib);
	json_add_u64(json, "file_kib", container->file_kib);
	json_add_u64(json, "usage_kib", container->usage_kib);
	add_share(json, "cpu_share", container->cpu_ppb);
	add_share(json, "memory_share", container->memory_ppb);
}

static cJSON *container_json(const struct container *container)
{
	cJSON *json = cJSON_CreateObject();

	add_text(json, "id", container->id);
	add_cut(json, "name", container->name, RECORD_NAME_LIMIT);
	add_cut(json, "image", container->image, RECORD_IMAGE_LIMIT);
	json_add_u64(json, "cgroup_id", container->cgroup_id);
	add_usage(json, container);
	add_share(json, "score", container->score_ppb);
	if (is_ranked(container))
		json_add_u64(json, "rank", container->rank);
	else
		cJSON_AddNullToObject(json, "rank");
	add_text(json, "class", class_name(container->class));
	add_text(json, "decision", action_name(container->decision));
	add_cut(json, "reason", container->reason, RECORD_MESSAGE_LIMIT);
	if (container->has_margin)
		add_share(json, "margin", container->margin_ppb);
	else
		cJSON_AddNullToObject(json, "margin");
	add_cut(json, "outcome", outcome_of(container), RECORD_MESSAGE_LIMIT);
	return json;
}

static cJSON *gone_json(const struct gone *gone)
{
	_cleanup_free_ char *path = gone->path ? to_utf8(gone->path) : NULL;
	cJSON *json = cJSON_CreateObject();

	add_text(json, "id", gone->id);
	add_cut(json, "name", gone->name, RECORD_NAME_LIMIT);
	add_cut(json, "image", gone->image, RECORD_IMAGE_LIMIT);
	json_add_u64(json, "cgroup_id", gone->cgroup_id);
	add_cut(json, "path", path, RECORD_MESSAGE_LIMIT);
	cJSON_AddBoolToObject(json, "removed", gone->removed);
	json_add_u64(json, "ran_ns", gone->ran_ns);
	json_add_u64(json, "waited_ns", gone->waited_ns);
	json_add_u64(json, "freed_kib", gone->freed_kib);
	return json;
}

static cJSON *late_json(const struct late *late)
{
	cJSON *json = cJSON_CreateObject();

	json_add_u64(json, "seq", late->seq);
	add_text(json, "id", late->id);
	add_cut(json, "name", late->name, RECORD_NAME_LIMIT);
	add_text(json, "decision", action_name(late->decision));
	add_cut(json, "outcome", late->outcome, RECORD_MESSAGE_LIMIT);
	return json;
}

static void add_self(cJSON *object, const struct self_cost *self)
{
	cJSON *json;

	if (!self) {
		cJSON_AddNullToObject(object, "self");
		return;
	}
	json = cJSON_AddObjectToObject(object, "self");
	json_add_u64(json, "cpu_ns", self->cpu_ns);
	json_add_u64(json, "rss_kib", self->rss_kib);
	if (self->has_bpf) {
		json_add_u64(json, "bpf_ns", self->bpf_ns);
		json_add_u64(json, "bpf_runs", self->bpf_runs);
	} else {
		cJSON_AddNullToObject(json, "bpf_ns");
		cJSON_AddNullToObject(json, "bpf_runs");
	}
	json_add_u64(json, "snapshot_us", self->snapshot_us);
	json_add_u64(json, "cycle_us", self->cycle_us);
}

static void add_head(cJSON *json, const struct record *record)
{
	const struct window *window = record->window;

	add_text(json, "boot_id", record->run->boot_id);
	add_text(json, "run_id", record->run->run_id);
	json_add_u64(json, "seq", record->seq);
	add_text(json, "host", record->run->host);
	add_time(json, window->end_unix_ns);
	json_add_u64(json, "interval_ms", window->length_ns / NS_PER_MS);
	json_add_u64(json, "missed_ticks", record->missed_ticks);
	json_add_u64(json, "cpus", window->cpus);
	cJSON_AddBoolToObject(json, "final", record->final);
	cJSON_AddBoolToObject(json, "last", record->last);
	add_cut(json, "no_removal", window->distrust, RECORD_MESSAGE_LIMIT);
	json_add_u64(json, "dropped", record->dropped);
	add_memory(json, &window->memory);
}

char *record_json(const struct record *record)
{
	const struct window *window = record->window;
	cJSON *json = cJSON_CreateObject(), *array;
	char *text;
	size_t i;

	add_head(json, record);
	array = cJSON_AddArrayToObject(json, "containers");
	for (i = 0; i < window->containers.count; i++)
		cJSON_AddItemToArray(array, container_json(&window->containers.items[i]));
	array = cJSON_AddArrayToObject(json, "gone");
	for (i = 0; i < window->gone_count; i++)
		cJSON_AddItemToArray(array, gone_json(&window->gone[i]));
	array = cJSON_AddArrayToObject(json, "late");
	for (i = 0; i < window->late_count; i++)
		cJSON_AddItemToArray(array, late_json(&window->late[i]));
	add_self(json, record->self);
	text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	return text;
}

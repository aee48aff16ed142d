// SPDX-License-Identifier: GPL-2.0
#include "report/export.h"

#include <string.h>

#include "container.h"
#include "report/json.h"
#include "util.h"

static void add_text(cJSON *object, const char *name, const char *text)
{
	_cleanup_free_ char *utf8 = to_utf8(text ? text : "");

	cJSON_AddStringToObject(object, name, utf8);
}

static double percent(uint64_t part, double whole)
{
	return whole > 0 ? (double)part * 100 / whole : 0;
}

static cJSON *process_json(const struct process *process, const struct snapshot *snapshot,
			   unsigned int cpus)
{
	cJSON *json = cJSON_CreateObject();
	double lived_ns = (double)(snapshot->boottime_ns - process->start_ns);

	json_add_u64(json, "pid", process->pid);
	add_text(json, "name", process->comm);
	add_text(json, "cmd_line", process->cmdline);
	json_add_u64(json, "vsz", process->vsz_kib);
	json_add_u64(json, "rss", process->rss_kib);
	cJSON_AddNumberToObject(json, "memory_usage",
				percent(process->rss_kib, (double)snapshot->memory.total_kib));
	cJSON_AddNumberToObject(json, "cpu_usage", percent(process->cpu_ns, lived_ns * cpus));
	return json;
}

static bool is_below(const struct cgroup *cgroup, const struct cgroup *top)
{
	size_t length = strlen(top->path);

	return cgroup->path && !strncmp(cgroup->path, top->path, length) &&
	       (!cgroup->path[length] || cgroup->path[length] == '/');
}

static cJSON *container_json(const struct snapshot *snapshot, const struct cgroup *top,
			     const char *id)
{
	cJSON *json = cJSON_CreateObject();
	char digits[CONTAINER_ID_DIGITS + 1] = "";
	uint64_t anon_kib = 0, file_kib = 0;
	size_t i;

	for (i = 0; i < snapshot->cgroup_count; i++) {
		if (is_below(&snapshot->cgroups[i], top)) {
			anon_kib += snapshot->cgroups[i].anon_kib;
			file_kib += snapshot->cgroups[i].file_kib;
		}
	}
	memcpy(digits, id, CONTAINER_ID_DIGITS);
	add_text(json, "id", digits);
	json_add_u64(json, "cgroup_id", top->id);
	add_text(json, "cgroup_path", top->path);
	json_add_u64(json, "usage_kib", top->usage_kib);
	json_add_u64(json, "anon_kib", anon_kib);
	json_add_u64(json, "file_kib", file_kib);
	return json;
}

static void add_containers(cJSON *array, const struct snapshot *snapshot)
{
	size_t i;

	for (i = 0; i < snapshot->cgroup_count; i++) {
		const struct cgroup *cgroup = &snapshot->cgroups[i];
		bool top = false;
		const char *id = container_id_in(cgroup->path, &top);

		if (id && top)
			cJSON_AddItemToArray(array, container_json(snapshot, cgroup, id));
	}
}

char *export_json(const struct snapshot *snapshot, unsigned int cpus)
{
	const struct memory *memory = &snapshot->memory;
	cJSON *json = cJSON_CreateObject(), *processes;
	_cleanup_free_ char *text = NULL;
	size_t i;

	json_add_u64(json, "total_ram", memory->total_kib);
	json_add_u64(json, "free_ram", memory->free_kib);
	json_add_u64(json, "used_ram", memory->total_kib - memory->free_kib);
	processes = cJSON_AddArrayToObject(json, "processes");
	for (i = 0; i < snapshot->process_count; i++)
		cJSON_AddItemToArray(processes,
				     process_json(&snapshot->processes[i], snapshot, cpus));
	add_containers(cJSON_AddArrayToObject(json, "containers"), snapshot);
	text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	return text ? format_text("%s\n", text) : NULL;
}

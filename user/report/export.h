/* SPDX-License-Identifier: GPL-2.0 */
/* The exporter: /proc/sysinfo as JSON. */
#ifndef CMGR_REPORT_EXPORT_H
#define CMGR_REPORT_EXPORT_H

#include "observe/sysinfo.h"

/*
 * {"total_ram":…,"free_ram":…,"used_ram":…, KiB
 *  "processes":[{"pid","name","cmd_line","vsz","rss", KiB "memory_usage","cpu_usage"}], percent of the
 *  host, CPU since the process started
 *  "containers":[{"id","cgroup_id","cgroup_path","usage_kib","anon_kib","file_kib"}]}
 * with a newline; a container's figures include the cgroups below its own. Bytes that are not UTF-8
 * become U+FFFD. To be freed, or NULL without memory.
 */
char *export_json(const struct snapshot *snapshot, unsigned int cpus);

#endif

// SPDX-License-Identifier: GPL-2.0
#include "own.h"

#include <string.h>
#include <sys/stat.h>

#include "observe/sysinfo.h"
#include "util.h"

#define FILE_LIMIT (4UL << 20)
#define PLACE	   "containers/"

static char *text_of(const char *root, const char *path)
{
	_cleanup_free_ char *full = format_text("%s%s", root, path);
	char *text = NULL;
	size_t size;

	return full && !read_file(full, FILE_LIMIT, &text, &size) ? text : NULL;
}

/* 0::/system.slice/docker-0f3c….scope, or 0::/ in a cgroup namespace. */
static bool find_in_cgroup(const char *root, char *ret_id)
{
	_cleanup_free_ char *text = text_of(root, "/proc/self/cgroup");
	const char *id;
	char *own;
	bool top;

	if (!text)
		return false;
	/* Hierarchies of version 1 stand before it. */
	own = strncmp(text, "0::", 3) ? strstr(text, "\n0::") : text;
	if (!own)
		return false;
	own += strcspn(own, "/");
	own[strcspn(own, "\n")] = '\0';
	id = container_id_in(own, &top);
	if (id)
		memcpy(ret_id, id, CONTAINER_ID_DIGITS);
	return id;
}

/* 812 790 254:1 /var/lib/docker/containers/0f3c…/hostname /etc/hostname rw,relatime - ext4 /dev/vda1 rw */
static bool find_in_mount(char *line, char *ret_id)
{
	const char *id;
	char *rest = NULL, *source = NULL, *place;
	bool top;
	int i;

	for (i = 0; i < 4; i++)
		source = strtok_r(i ? NULL : line, " ", &rest);
	place = source ? strtok_r(NULL, " ", &rest) : NULL;
	if (!place || strcmp(place, "/etc/hostname"))
		return false;
	id = container_id_in(source, &top);
	if (!id || id - source < (ptrdiff_t)strlen(PLACE) ||
	    strncmp(id - strlen(PLACE), PLACE, strlen(PLACE)))
		return false;
	memcpy(ret_id, id, CONTAINER_ID_DIGITS);
	return true;
}

static bool find_in_mounts(const char *root, char *ret_id)
{
	_cleanup_free_ char *text = text_of(root, "/proc/self/mountinfo");
	char *rest = NULL, *line;
	bool found = false;

	for (line = text ? strtok_r(text, "\n", &rest) : NULL; line && !found;
	     line = strtok_r(NULL, "\n", &rest))
		found = find_in_mount(line, ret_id);
	return found;
}

/*
 * In a cgroup namespace its cgroup tells no ID. The engine's file that is mounted as /etc/hostname does,
 * and so does the root of its cgroups, unless those of the host are mounted over them.
 */
void find_own_container(const char *root, struct policy *policy)
{
	_cleanup_free_ char *cgroups = format_text("%s/sys/fs/cgroup", root);
	struct stat st;

	if (find_in_cgroup(root, policy->own_id))
		return;
	find_in_mounts(root, policy->own_id);
	if (cgroups && !stat(cgroups, &st))
		policy->own_cgroup_id = st.st_ino;
}

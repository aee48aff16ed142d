// SPDX-License-Identifier: GPL-2.0
#include "host.h"

#include <glob.h>
#include <string.h>

#include "act/schedule.h"
#include "util.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define SECURE_BOOT "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define FILE_LIMIT  (64UL << 20) /* of /proc/mounts, with thousands of containers */

static bool may(const char *root, const char *path, int mode)
{
	_cleanup_free_ char *full = format_text("%s%s", root, path);

	return full && !access(full, mode);
}

static bool matches(const char *root, const char *pattern, char **ret_first)
{
	_cleanup_free_ char *full = format_text("%s%s", root, pattern);
	glob_t found = {};
	bool any = full && !glob(full, 0, NULL, &found) && found.gl_pathc;

	if (any && ret_first)
		*ret_first = strdup(found.gl_pathv[0] + strlen(root));
	globfree(&found);
	return any;
}

/* A file, to be freed; NULL: it cannot be read. */
static char *text_of(const char *root, const char *path, size_t *ret_size)
{
	_cleanup_free_ char *full = format_text("%s%s", root, path);
	char *text = NULL;

	return full && !read_file(full, FILE_LIMIT, &text, ret_size) ? text : NULL;
}

/* "6.12.43+deb13-amd64" */
static void look_at_kernel(const char *root, struct host *host)
{
	_cleanup_free_ char *pattern = NULL, *build = NULL, *text = NULL;
	size_t size;

	text = text_of(root, "/proc/sys/kernel/osrelease", &size);
	if (!text || sscanf(text, "%u.%u", &host->major, &host->minor) != 2)
		return;
	text[strcspn(text, "\n")] = '\0';
	if (strlen(text) >= sizeof(host->release))
		return;
	memcpy(host->release, text, strlen(text) + 1);
	pattern = format_text("/lib/modules/%s/*/sysinfo.ko*", text);
	host->has_module = pattern && matches(root, pattern, NULL);
	free(pattern);
	pattern = format_text("/lib/modules/%s/*/dkms/sysinfo.ko*", text);
	host->has_module |= pattern && matches(root, pattern, NULL);
	build = format_text("/lib/modules/%s/build/Makefile", text);
	host->has_headers = build && may(root, build, F_OK);
	host->has_dkms_source = matches(root, "/usr/src/cmgr-bpf-*/dkms.conf", NULL);
}

/* "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev 0 0": of two at one place the later is in sight. */
static void look_at_mount(char *line, struct host *host, bool *ret_v1, bool *ret_v2)
{
	char *rest = NULL, *place, *type;

	strtok_r(line, " ", &rest);
	place = strtok_r(NULL, " ", &rest);
	type = strtok_r(NULL, " ", &rest);
	if (!place || !type)
		return;
	if (!strcmp(place, "/sys/fs/bpf"))
		host->has_bpffs = !strcmp(type, "bpf");
	if (strncmp(place, CGROUP_ROOT, strlen(CGROUP_ROOT)))
		return;
	if (!place[strlen(CGROUP_ROOT)]) {
		host->cgroups = strcmp(type, "cgroup2") ? CGROUPS_NONE : CGROUPS_V2;
		*ret_v1 = *ret_v2 = false;
	}
	*ret_v1 |= !strcmp(type, "cgroup");
	*ret_v2 |= !strcmp(type, "cgroup2");
}

static void look_at_mounts(const char *root, struct host *host)
{
	bool v1 = false, v2 = false;
	size_t size;
	_cleanup_free_ char *text = text_of(root, "/proc/self/mounts", &size);
	char *rest = NULL, *line;

	for (line = text ? strtok_r(text, "\n", &rest) : NULL; line;
	     line = strtok_r(NULL, "\n", &rest))
		look_at_mount(line, host, &v1, &v2);
	if (v1 && host->cgroups != CGROUPS_V2)
		host->cgroups = v2 ? CGROUPS_HYBRID : CGROUPS_V1;
}

/* "none [integrity] confidentiality"; the variable has four bytes of attributes before its one. */
static void look_at_security(const char *root, struct host *host)
{
	size_t size = 0, boot_size = 0, sig_size = 0;
	_cleanup_free_ char *lockdown = text_of(root, "/sys/kernel/security/lockdown", &size);
	_cleanup_free_ char *boot = text_of(root, SECURE_BOOT, &boot_size);
	_cleanup_free_ char *enforce =
		text_of(root, "/sys/module/module/parameters/sig_enforce", &sig_size);

	if (lockdown && strstr(lockdown, "[integrity]"))
		host->lockdown = LOCKDOWN_INTEGRITY;
	if (lockdown && strstr(lockdown, "[confidentiality]"))
		host->lockdown = LOCKDOWN_CONFIDENTIALITY;
	host->secure_boot = boot && boot_size == 5 && boot[4] == 1;
	host->signed_only = host->lockdown != LOCKDOWN_NONE || (enforce && enforce[0] == 'Y');
}

static bool may_any(const char *root, const char *const *paths, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (may(root, paths[i], X_OK))
			return true;
	return false;
}

/* What commands can mend it. */
static void look_at_programs(const char *root, struct host *host)
{
	static const char *const docker[] = {"/usr/bin/dockerd", "/usr/sbin/dockerd",
					     "/usr/local/bin/dockerd", "/snap/bin/dockerd"};
	static const char *const grubby[] = {"/usr/sbin/grubby", "/usr/bin/grubby"};

	host->installer = may(root, "/usr/bin/apt-get", X_OK)  ? INSTALLER_APT
			  : may(root, "/usr/bin/dnf", X_OK)    ? INSTALLER_DNF
			  : may(root, "/usr/bin/pacman", X_OK) ? INSTALLER_PACMAN
							       : INSTALLER_NONE;
	host->has_update_grub =
		may(root, "/usr/sbin/update-grub", X_OK) && may(root, "/etc/default/grub", F_OK);
	host->has_grubby = may_any(root, grubby, ARRAY_SIZE(grubby));
	host->has_docker = may_any(root, docker, ARRAY_SIZE(docker));
}

void host_look(const char *root, const char *sysinfo, struct host *ret)
{
	*ret = (struct host){.is_root = !geteuid()};
	look_at_kernel(root, ret);
	look_at_mounts(root, ret);
	look_at_security(root, ret);
	look_at_programs(root, ret);
	ret->has_btf = may(root, "/sys/kernel/btf/vmlinux", R_OK);
	ret->has_cron = may(root, SCHEDULE_DIR, W_OK | X_OK);
	ret->has_sysinfo = may(root, sysinfo, F_OK);
	ret->may_read_sysinfo = may(root, sysinfo, R_OK);
	if (!matches(root, "/run/user/*/docker.sock", &ret->other_socket) &&
	    !matches(root, "/run/podman/podman.sock", &ret->other_socket))
		matches(root, "/run/user/*/podman/podman.sock", &ret->other_socket);
}

void host_free(struct host *host)
{
	free(host->other_socket);
	*host = (struct host){};
}

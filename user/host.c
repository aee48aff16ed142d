// SPDX-License-Identifier: GPL-2.0
#include "host.h"

#include <fcntl.h>
#include <glob.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

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

/* What "modinfo -F srcversion" says of the module at @path; "" where it cannot be asked. */
static void ask_modinfo(const char *path, char *ret, size_t size)
{
	char *const words[] = {(char *)"modinfo", (char *)"-F", (char *)"srcversion", (char *)path,
			       NULL};
	posix_spawn_file_actions_t actions;
	int ends[2], err;
	ssize_t length;
	pid_t pid;

	*ret = '\0';
	if (pipe2(ends, O_CLOEXEC))
		return;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	err = posix_spawnp(&pid, words[0], &actions, NULL, words, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	length = err ? 0 : read(ends[0], ret, size - 1);
	ret[length > 0 ? length : 0] = '\0';
	close(ends[0]);
	if (!err)
		waitpid(pid, NULL, 0);
}

/* "0F3C8A1B2C3D4E5F6071829" each, whatever their version is. */
static bool is_other(const char *root, const char *module)
{
	_cleanup_free_ char *path = format_text("%s%s", root, module), *loaded = NULL;
	char installed[64];
	size_t size;

	loaded = text_of(root, "/sys/module/sysinfo/srcversion", &size);
	if (!path || !loaded)
		return false;
	ask_modinfo(path, installed, sizeof(installed));
	return *installed && strcmp(installed, loaded);
}

/* "6.12.43+deb13-amd64" */
static void look_at_kernel(const char *root, struct host *host)
{
	_cleanup_free_ char *pattern = NULL, *build = NULL, *text = NULL, *module = NULL;
	_cleanup_free_ char *version = NULL;
	size_t size;

	text = text_of(root, "/proc/sys/kernel/osrelease", &size);
	if (!text || sscanf(text, "%u.%u", &host->major, &host->minor) != 2)
		return;
	text[strcspn(text, "\n")] = '\0';
	if (strlen(text) >= sizeof(host->release))
		return;
	memcpy(host->release, text, strlen(text) + 1);
	version = text_of(root, "/proc/sys/kernel/version", &size);
	host->is_realtime = version && strstr(version, "PREEMPT_RT");
	pattern = format_text("/lib/modules/%s/*/dkms/sysinfo.ko*", text);
	host->has_module = pattern && matches(root, pattern, &module);
	free(pattern);
	pattern = format_text("/lib/modules/%s/*/sysinfo.ko*", text);
	if (!host->has_module)
		host->has_module = pattern && matches(root, pattern, &module);
	host->has_other_module = module && is_other(root, module);
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

/* Those that read /etc/cron.d: Debian's, and cronie under its names. A timer may stand in for a daemon. */
static void look_at_cron(const char *root, struct host *host)
{
	static const struct {
		const char *program, *unit;
	} installed[] = {
		{"/usr/sbin/cron", "cron"},
		{"/usr/lib/systemd/system/crond.service", "crond"},
		{"/usr/lib/systemd/system/cronie.service", "cronie"},
	};
	_cleanup_free_ char *pattern = format_text("%s/proc/[0-9]*/comm", root);
	glob_t found = {};
	size_t i, size;

	host->has_cron = may(root, SCHEDULE_DIR, host->is_root ? W_OK | X_OK : X_OK);
	for (i = ARRAY_SIZE(installed); i--;)
		if (may(root, installed[i].program, F_OK))
			host->cron_unit = installed[i].unit;
	host->cron_runs =
		may(root, "/usr/lib/systemd/system-generators/systemd-crontab-generator", X_OK);
	if (pattern)
		glob(pattern, GLOB_NOSORT, NULL, &found);
	for (i = 0; i < found.gl_pathc && !host->cron_runs; i++) {
		_cleanup_free_ char *comm = text_of("", found.gl_pathv[i], &size);

		host->cron_runs = comm && (!strcmp(comm, "cron\n") || !strcmp(comm, "crond\n"));
	}
	globfree(&found);
}

/* "cpuset cpu io memory pids" */
static bool has_memory_controller(const char *root)
{
	size_t size;
	_cleanup_free_ char *text = text_of(root, CGROUP_ROOT "/cgroup.controllers", &size);
	char *rest = NULL, *word;

	for (word = text ? strtok_r(text, " \n", &rest) : NULL; word;
	     word = strtok_r(NULL, " \n", &rest))
		if (!strcmp(word, "memory"))
			return true;
	return false;
}

void host_look(const char *root, const char *sysinfo, struct host *ret)
{
	*ret = (struct host){.is_root = !geteuid()};
	look_at_kernel(root, ret);
	look_at_mounts(root, ret);
	look_at_security(root, ret);
	look_at_programs(root, ret);
	look_at_cron(root, ret);
	ret->has_btf = may(root, "/sys/kernel/btf/vmlinux", R_OK);
	ret->has_memory_controller = has_memory_controller(root);
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

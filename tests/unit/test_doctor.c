// SPDX-License-Identifier: GPL-2.0
/* Hosts that are folders of files, and engines that are the answers they give. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "doctor.h"
#include "remedy.h"
#include "unit.h"
#include "util.h"

#define SECURE_BOOT "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define V2	    "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n"
#define BPF	    "bpf /sys/fs/bpf bpf rw 0 0\n"
#define KO	    "/lib/modules/6.12.43+deb13-amd64/updates/dkms/sysinfo.ko.xz"
#define HEADERS	    "/lib/modules/6.12.43+deb13-amd64/build/Makefile"
#define SOURCE	    "/usr/src/cmgr-bpf-0.1.0/dkms.conf"
#define LOADED	    "/sys/module/sysinfo/srcversion"
#define LOCKDOWN    "/sys/kernel/security/lockdown"

#define MODINFO "#!/bin/sh\n[ \"$*\" = \"-F srcversion ${0%/bin/*}" KO "\" ] && echo A1\n"

static char root[] = "/tmp/cmgr-host.XXXXXX";

/* A file below the root with all its folders. */
static void put(const char *path, const char *text, size_t size)
{
	_cleanup_free_ char *full = format_text("%s%s", root, path);
	_cleanup_close_ int fd = -1;
	char *slash;

	for (slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(full, 0755);
		*slash = '/';
	}
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size), size);
}

static void drop(const char *path)
{
	_cleanup_free_ char *full = format_text("%s%s", root, path);

	unlink(full);
}

struct file {
	const char *path, *text; /* NULL text: there is none */
};

static const struct file good[] = {
	{"/proc/sys/kernel/osrelease", "6.12.43+deb13-amd64\n"},
	{"/proc/self/mounts", "proc /proc proc rw 0 0\n" V2 BPF},
	{"/proc/sysinfo", ""},
	{"/sys/kernel/btf/vmlinux", ""},
	{LOCKDOWN, "[none] integrity confidentiality\n"},
	{KO, ""},
	{HEADERS, ""},
	{SOURCE, ""},
	{"/etc/cron.d/.placeholder", ""},
	{"/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n"},
	{"/proc/7/comm", "init\n"},
	{"/proc/77/comm", "cron\n"},
	{LOADED, "A1\n"},
	{"/usr/bin/apt-get", ""},
	{"/usr/sbin/update-grub", ""},
	{"/etc/default/grub", ""},
};

static void build(const struct file *changes, size_t count)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++)
		put(good[i].path, good[i].text, strlen(good[i].text));
	for (i = 0; i < count && changes[i].path; i++)
		if (changes[i].text)
			put(changes[i].path, changes[i].text, strlen(changes[i].text));
		else
			drop(changes[i].path);
}

static struct engine_about docker(void)
{
	return (struct engine_about){.version = (char *)"26.1.5"};
}

/* Judges @view, of a host that is looked at; the finding @name. */
static enum verdict judge(struct doctor_view *view, const char *name, char *ret_text, size_t size)
{
	static const struct options defaults = {.sysinfo = "/proc/sysinfo",
						.docker_host = "unix:///var/run/docker.sock",
						.log_url = "http://127.0.0.1:8000"};
	struct finding findings[DOCTOR_FINDINGS];
	enum verdict verdict = VERDICT_OK;
	size_t i, count;
	bool found = false;

	if (!view->options)
		view->options = &defaults;
	count = doctor_judge(view, findings);
	assert_int_equal(count, DOCTOR_FINDINGS);
	for (i = 0; i < count; i++) {
		if (!strcmp(findings[i].name, name)) {
			verdict = findings[i].verdict;
			snprintf(ret_text, size, "%s", findings[i].text ? findings[i].text : "");
			found = true;
		}
		free(findings[i].text);
	}
	assert_true(found);
	return verdict;
}

static void expect(struct doctor_view *view, size_t row, const char *name, enum verdict wanted,
		   const char *told)
{
	char text[512];
	enum verdict verdict = judge(view, name, text, sizeof(text));

	if (verdict != wanted || !strstr(text, told))
		fail_msg("row %zu, %s: verdict %d: %s", row, name, verdict, text);
}

static const struct {
	const char *name;
	struct file changes[4];
	enum verdict verdict;
	const char *told;
} file_rows[] = {
	{"kernel", {}, VERDICT_OK, "6.12.43+deb13-amd64"},
	{"kernel", {{"/proc/sys/kernel/osrelease", "7.0.1\n"}}, VERDICT_OK, "7.0.1"},
	{"kernel", {{"/proc/sys/kernel/osrelease", "6.1.0\n"}}, VERDICT_OK, "6.1.0"},
	{"kernel", {{"/proc/sys/kernel/osrelease", "6.0.9\n"}}, VERDICT_MISSING, "older than 6.1"},
	{"kernel",
	 {{"/proc/sys/kernel/osrelease", "6.1.0-50-rt-amd64\n"},
	  {"/proc/sys/kernel/version", "#1 SMP PREEMPT_RT Debian 6.1.170-1\n"}},
	 VERDICT_MISSING,
	 "older than 6.4 and real-time"},
	{"kernel",
	 {{"/proc/sys/kernel/osrelease", "5.15.0\n"}},
	 VERDICT_MISSING,
	 "apt-get install linux-image-amd64"},
	{"kernel module", {}, VERDICT_OK, ""},
	{"kernel module", {{"/proc/sysinfo", NULL}}, VERDICT_MISSING, "run: sudo modprobe sysinfo"},
	{"kernel module",
	 {{"/proc/sysinfo", NULL}, {KO, NULL}},
	 VERDICT_MISSING,
	 "run: sudo dkms autoinstall && sudo modprobe sysinfo"},
	{"kernel module",
	 {{"/proc/sysinfo", NULL}, {KO, NULL}, {HEADERS, NULL}},
	 VERDICT_MISSING,
	 "run: sudo apt-get update && sudo apt-get install linux-image-amd64 linux-headers-amd64, "
	 "and restart if a newer kernel came"},
	{"kernel module",
	 {{"/proc/sysinfo", NULL}, {KO, NULL}, {SOURCE, NULL}},
	 VERDICT_MISSING,
	 "run: sudo insmod kmod/sysinfo.ko"},
	{"kernel module",
	 {{"/proc/sysinfo", NULL},
	  {KO, NULL},
	  {SOURCE, NULL},
	  {LOCKDOWN, "none [integrity] confidentiality\n"}},
	 VERDICT_MISSING,
	 "run: sudo make install && sudo modprobe sysinfo; where modprobe says 'Key was rejected', "},
	{"kernel module",
	 {{"/proc/sysinfo", NULL}, {LOCKDOWN, "none [integrity] confidentiality\n"}},
	 VERDICT_MISSING,
	 "run: sudo modprobe sysinfo; where modprobe says 'Key was rejected', enrol the key that "
	 "DKMS signs with, and restart: sudo mokutil --import /var/lib/dkms/mok.pub"},
	{"kernel module",
	 {{"/proc/sysinfo", NULL}, {"/sys/module/module/parameters/sig_enforce", "Y\n"}},
	 VERDICT_MISSING,
	 "mokutil --import"},
	{"module signing", {}, VERDICT_OK, "any module is loaded"},
	{"module signing",
	 {{"/proc/sysinfo", NULL}, {LOCKDOWN, "none [integrity] confidentiality\n"}},
	 VERDICT_WARNING,
	 "lockdown integrity; where modprobe says 'Key was rejected', enrol"},
	{"module signing",
	 {{LOCKDOWN, "none [integrity] confidentiality\n"}},
	 VERDICT_OK,
	 "Secure Boot off, lockdown integrity"},
	{"module signing",
	 {{LOCKDOWN, "none integrity [confidentiality]\n"}},
	 VERDICT_WARNING,
	 "lockdown=integrity"},
	{"module signing", {{LOCKDOWN, NULL}}, VERDICT_OK, "any module is loaded"},
	{"cgroup v2", {}, VERDICT_OK, ""},
	{"cgroup v2",
	 {{"/proc/self/mounts", V2 "none /sys/fs/cgroup/net_cls cgroup rw 0 0\n"}},
	 VERDICT_OK,
	 ""},
	{"cgroup v2",
	 {{"/proc/self/mounts", V2 "none /sys/fs/cgroup tmpfs rw 0 0\n"}},
	 VERDICT_MISSING,
	 "no cgroup file system"},
	{"cgroup v2",
	 {{"/proc/self/mounts", "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n"
				"cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"}},
	 VERDICT_MISSING,
	 "version 1 is there"},
	{"cgroup v2",
	 {{"/proc/self/mounts", "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n"
				"cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
				"cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"}},
	 VERDICT_MISSING,
	 "a hybrid is there"},
	{"cgroup v2",
	 {{"/proc/self/mounts", NULL}},
	 VERDICT_MISSING,
	 "systemd.unified_cgroup_hierarchy=1"},
	{"kernel BTF", {}, VERDICT_OK, ""},
	{"kernel BTF",
	 {{"/sys/kernel/btf/vmlinux", NULL}},
	 VERDICT_MISSING,
	 "CONFIG_DEBUG_INFO_BTF=y, and another one alone helps, such as the distribution's; run: "
	 "sudo apt-get update && sudo apt-get install linux-image-amd64"},
	{"BPF file system", {}, VERDICT_OK, ""},
	{"BPF file system",
	 {{"/proc/self/mounts", V2}},
	 VERDICT_MISSING,
	 "sudo mount -t bpf -o mode=700 bpf /sys/fs/bpf"},
	{"BPF file system",
	 {{"/proc/self/mounts", V2 BPF "none /sys/fs/bpf tmpfs rw 0 0\n"}},
	 VERDICT_MISSING,
	 "sudo mount"},
	{"cron", {}, VERDICT_OK, ""},
	{"cron", {{"/proc/77/comm", "crond\n"}}, VERDICT_OK, ""},
	{"cron",
	 {{"/proc/77/comm", "crontab\n"}},
	 VERDICT_WARNING,
	 "no cron runs that would read /etc/cron.d; run: sudo apt-get update && "
	 "sudo apt-get install cron, or use --no-cron"},
	{"cron",
	 {{"/proc/77/comm", NULL}, {"/usr/sbin/cron", ""}},
	 VERDICT_WARNING,
	 "run: sudo systemctl enable --now cron, or"},
	{"kernel module", {{LOADED, "B2\n"}}, VERDICT_WARNING, "run: sudo modprobe -r sysinfo && "},
	{"kernel module", {{LOADED, "B2\n"}, {KO, NULL}}, VERDICT_OK, ""},
	{"kernel module", {{LOADED, NULL}}, VERDICT_OK, ""},
	{"cgroup v2",
	 {{"/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids\n"}},
	 VERDICT_MISSING,
	 "no memory controller (/sys/fs/cgroup/cgroup.controllers); run: sudo sed -i "
	 "'s/cgroup_disable=memory//' /etc/default/grub && sudo update-grub, and restart"},
	{"cgroup v2",
	 {{"/proc/self/mounts", NULL}},
	 VERDICT_MISSING,
	 "run: sudo sed -i 's/systemd.unified_cgroup_hierarchy=[^ \"]*//g; "
	 "s/^GRUB_CMDLINE_LINUX=\"/&systemd.unified_cgroup_hierarchy=1 /' "
	 "/etc/default/grub && sudo update-grub, and restart"},
	{"cgroup v2",
	 {{"/proc/self/mounts", NULL}, {"/usr/sbin/update-grub", NULL}, {"/usr/sbin/grubby", ""}},
	 VERDICT_MISSING,
	 "run: sudo grubby --update-kernel=ALL --args=systemd.unified_cgroup_hierarchy=1, and restart"},
	{"cgroup v2",
	 {{"/proc/self/mounts", NULL}, {"/usr/sbin/update-grub", NULL}, {"/usr/sbin/grubby", NULL}},
	 VERDICT_MISSING,
	 "in the boot loader, and restart: with systemd.unified_cgroup_hierarchy=1"},
};

static void looks_at_files(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(file_rows); i++) {
		struct doctor_view view = {.about = docker()};

		drop("/sys/module/module/parameters/sig_enforce");
		drop("/usr/sbin/cron");
		drop("/usr/sbin/grubby");
		build(file_rows[i].changes, ARRAY_SIZE(file_rows[i].changes));
		host_look(root, "/proc/sysinfo", &view.host);
		expect(&view, i, file_rows[i].name, file_rows[i].verdict, file_rows[i].told);
		host_free(&view.host);
	}
}

static void looks_at_secure_boot(void **state)
{
	static const struct {
		const char *variable;
		size_t size;
		bool on;
	} rows[] = {
		{"\6\0\0\0\1", 5, true},    {"\6\0\0\0\0", 5, false}, {"\6\0\0\0", 4, false},
		{"\6\0\0\0\1\0", 6, false}, {"", 0, false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct host host;

		put(SECURE_BOOT, rows[i].variable, rows[i].size);
		host_look(root, "/proc/sysinfo", &host);
		assert_int_equal(host.secure_boot, rows[i].on);
		host_free(&host);
	}
	drop(SECURE_BOOT);
}

static const struct options scheduled = {.sysinfo = "/x", .docker_host = "unix:///x"};
static const struct options alone = {
	.sysinfo = "/x", .docker_host = "unix:///x", .no_cron = true, .no_log = true};

static const struct {
	const char *name;
	struct doctor_view view;
	enum verdict verdict;
	const char *told;
} view_rows[] = {
	{"root", {.host.is_root = true}, VERDICT_OK, ""},
	{"root", {}, VERDICT_MISSING, "must be run by root; run: sudo "},
	{"kernel", {}, VERDICT_OK, ""},
	{"kernel module", {.host.has_sysinfo = true}, VERDICT_MISSING, "may be read by root alone"},
	{"kernel module",
	 {.host = {.has_module = true, .signed_only = true, .secure_boot = true}},
	 VERDICT_MISSING,
	 "run: sudo modprobe sysinfo; where"},
	{"cron", {.options = &scheduled}, VERDICT_MISSING, "or use --no-cron"},
	{"cron", {.options = &alone}, VERDICT_OK, ""},
	{"log server", {.log_err = -ECONNREFUSED}, VERDICT_WARNING, "sudo docker run"},
	{"log server", {.log_status = 200}, VERDICT_OK, ""},
	{"log server", {.log_status = 421}, VERDICT_WARNING, "by its PYGRAPH_HOSTS"},
	{"log server", {.log_status = 500}, VERDICT_WARNING, "with an error (500): its own log"},
	{"log server", {.options = &alone, .log_err = -EIO}, VERDICT_OK, ""},
	{"Docker engine", {.about.version = (char *)"26.1.5"}, VERDICT_OK, "Docker 26.1.5"},
	{"Docker engine",
	 {.about = {.version = (char *)"26.1.5", .is_rootless = true}},
	 VERDICT_OK,
	 "rootless Docker 26.1.5"},
	{"Docker engine",
	 {.about = {.version = (char *)"20.10", .is_rootless = true, .no_cgroups = true}},
	 VERDICT_MISSING,
	 "gives its containers no cgroups; let systemd delegate them to its user, and restart: "
	 "printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' | sudo install -D"},
	{"Docker engine",
	 {.about = {.version = (char *)"5.4.2", .is_podman = true}},
	 VERDICT_WARNING,
	 "Podman 5.4.2 by Docker's API"},
	{"Docker engine",
	 {.engine_err = -ENOENT, .host.has_docker = true},
	 VERDICT_MISSING,
	 "has a socket at unix:///var/run/docker.sock; run: sudo systemctl start docker"},
	{"Docker engine",
	 {.engine_err = -ENOENT, .host.installer = INSTALLER_APT},
	 VERDICT_MISSING,
	 "has a socket at unix:///var/run/docker.sock, and Docker is not installed; run: "
	 "sudo apt-get update && sudo apt-get install docker.io"},
	{"Docker engine", {.engine_err = -ENOENT}, VERDICT_MISSING, "; install Docker"},
	{"Docker engine",
	 {.engine_err = -ENOENT, .host.other_socket = (char *)"/run/user/1000/docker.sock"},
	 VERDICT_MISSING,
	 "test_doctor --docker-host unix:///run/user/1000/docker.sock"},
	{"Docker engine",
	 {.engine_err = -ECONNREFUSED, .host.has_docker = true},
	 VERDICT_MISSING,
	 "no Docker engine answers at unix:///var/run/docker.sock; run: sudo systemctl start"},
	{"Docker engine",
	 {.engine_err = -EACCES},
	 VERDICT_MISSING,
	 "no right to use the Docker socket"},
	{"Docker engine",
	 {.engine_err = -EBADMSG},
	 VERDICT_MISSING,
	 "is no Docker engine that we can use"},
	{"Docker engine",
	 {.engine_err = -EPROTONOSUPPORT},
	 VERDICT_MISSING,
	 "is not of the form unix:///PATH"},
};

static void tells_other_things(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(view_rows); i++) {
		struct doctor_view view = view_rows[i].view;

		if (!view.about.version)
			view.about = docker();
		expect(&view, i, view_rows[i].name, view_rows[i].verdict, view_rows[i].told);
	}
}

static void finds_other_engines(void **state)
{
	static const char *const sockets[] = {
		/* The later hides the earlier. */
		"/run/user/1000/podman/podman.sock",
		"/run/podman/podman.sock",
		"/run/user/1000/docker.sock",
	};
	struct host host;
	size_t i;

	(void)state;
	host_look(root, "/x", &host);
	assert_null(host.other_socket);
	for (i = 0; i < ARRAY_SIZE(sockets); i++) {
		put(sockets[i], "", 0);
		host_look(root, "/x", &host);
		assert_string_equal(host.other_socket, sockets[i]);
		host_free(&host);
	}
}

static void knows_engines_apart(void **state)
{
	static const struct {
		const char *version, *info;
		int err;
		bool podman, rootless, no_cgroups;
	} rows[] = {
		{"{\"Version\":\"26.1.5\",\"Components\":[{\"Name\":\"Engine\"}]}",
		 "{\"SecurityOptions\":[\"name=seccomp,profile=builtin\",\"name=cgroupns\"],"
		 "\"CgroupDriver\":\"systemd\"}",
		 0, false, false, false},
		{"{\"Version\":\"26.1.5\",\"Components\":[{\"Name\":\"Engine\"}]}",
		 "{\"SecurityOptions\":[\"name=seccomp\",\"name=rootless\"],\"CgroupDriver\":\"systemd\"}",
		 0, false, true, false},
		{"{\"Version\":\"20.10.24\"}",
		 "{\"SecurityOptions\":[\"name=rootless\"],\"CgroupDriver\":\"none\"}", 0, false,
		 true, true},
		{"{\"Version\":\"5.4.2\",\"Components\":[{\"Name\":\"Podman Engine\"},{\"Name\":\"Conmon\"}]}",
		 "{\"SecurityOptions\":[\"name=seccomp,profile=default\",\"name=rootless\"]}", 0,
		 true, true, false},
		{"{\"Version\":\"1\",\"Components\":null}", "{\"SecurityOptions\":null}", 0, false,
		 false, false},
		{"{\"Version\":\"1\",\"Components\":[1,{}]}", "{\"SecurityOptions\":[1,{}]}", 0,
		 false, false, false},
		{"{}", "{}", -EBADMSG, false, false, false},
		{"{\"Version\":1}", "{}", -EBADMSG, false, false, false},
		{"{\"Version\":\"1\"}", "[]", -EBADMSG, false, false, false},
		{"{\"Version\":\"1\"}", "{\"CgroupDriver\":1}", -EBADMSG, false, false, false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		cJSON *version = cJSON_Parse(rows[i].version), *info = cJSON_Parse(rows[i].info);
		struct engine_about about = {};
		int err = engine_about_parse(version, info, &about);

		if (err != rows[i].err || about.is_podman != rows[i].podman ||
		    about.is_rootless != rows[i].rootless || about.no_cgroups != rows[i].no_cgroups)
			fail_msg("row %zu", i);
		engine_about_free(&about);
		cJSON_Delete(version);
		cJSON_Delete(info);
	}
}

static void quotes_words(void **state)
{
	static const struct {
		const char *words;
		size_t size;
		const char *line;
	} rows[] = {
		{"", 0, ""},
		{"./cmgr-bpf", sizeof("./cmgr-bpf"), "./cmgr-bpf"},
		{"x\0--dry-run\0--cycles=1", sizeof("x\0--dry-run\0--cycles=1"),
		 "x --dry-run --cycles=1"},
		{"x\0", sizeof("x\0"), "x ''"},
		{"a b\0$HOME;\0it's", sizeof("a b\0$HOME;\0it's"), "'a b' '$HOME;' 'it'\\''s'"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *line = quote_words(rows[i].words, rows[i].size);

		assert_string_equal(line, rows[i].line);
	}
}

static void names_packages(void **state)
{
	static const struct {
		const char *release;
		enum installer installer;
		const char *told;
	} rows[] = {
		{"6.12.43+deb13-amd64", INSTALLER_APT, "linux-image-amd64 linux-headers-amd64,"},
		{"6.12.43+deb13-cloud-arm64", INSTALLER_APT,
		 "linux-image-cloud-arm64 linux-headers-cloud-arm64,"},
		{"6.1.0-37-rt-amd64", INSTALLER_APT,
		 "linux-image-rt-amd64 linux-headers-rt-amd64,"},
		{"6.8.0-45-generic", INSTALLER_APT, "linux-image-generic linux-headers-generic,"},
		{"7.0.0-rc1", INSTALLER_APT, "sudo apt-get install linux-headers-7.0.0-rc1"},
		{"6.8.0-1021-aws", INSTALLER_APT,
		 "sudo apt-get install linux-headers-6.8.0-1021-aws"},
		{"6.19.1+bpo-amd64", INSTALLER_APT, "install linux-headers-6.19.1+bpo-amd64"},
		{"6.9.1-200.fc40.x86_64", INSTALLER_DNF,
		 "run: sudo dnf install kernel-devel-6.9.1-200.fc40.x86_64"},
		{"6.9.1-arch1-1", INSTALLER_PACMAN, "run: sudo pacman -S linux-headers"},
		{"6.9.1", INSTALLER_NONE, "install the headers of Linux 6.9.1"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct host host = {.installer = rows[i].installer};
		_cleanup_free_ char *text = NULL;

		strcpy(host.release, rows[i].release);
		text = remedy_install(&host, PACKAGE_HEADERS);
		if (!text || !strstr(text, rows[i].told))
			fail_msg("row %zu: %s", i, text);
	}
}

/* As somebody who is not root, where we are. */
static int reach_as_nobody(const char *url)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (!geteuid() && setuid(65534))
			_exit(255);
		_exit(-engine_reach(url));
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : 1;
}

static void tells_what_is_in_the_way(void **state)
{
	_cleanup_free_ char *path = format_text("%s/engine.sock", root);
	_cleanup_free_ char *url = format_text("unix://%s", path);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(engine_reach("tcp://x"), -EPROTONOSUPPORT);
	assert_int_equal(engine_reach(url), -ENOENT);
	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(engine_reach(url), -ECONNREFUSED);
	listen(fd, 1);
	assert_int_equal(engine_reach(url), 0);
	chmod(path, 0);
	assert_int_equal(reach_as_nobody(url), -EACCES);
	close(fd);
	unlink(path);
}

static int make_root(void **state)
{
	_cleanup_free_ char *path = NULL;

	(void)state;
	if (!mkdtemp(root) || chmod(root, 0755))
		return -1;
	/* The module that is installed is always the same. */
	put("/bin/modinfo", MODINFO, strlen(MODINFO));
	path = format_text("%s/bin:%s", root, getenv("PATH"));
	return path ? setenv("PATH", path, 1) : -1;
}

static int remove_root(void **state)
{
	(void)state;
	return remove_tree(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_other_engines),	cmocka_unit_test(looks_at_files),
		cmocka_unit_test(looks_at_secure_boot), cmocka_unit_test(tells_other_things),
		cmocka_unit_test(quotes_words),		cmocka_unit_test(names_packages),
		cmocka_unit_test(knows_engines_apart),	cmocka_unit_test(tells_what_is_in_the_way),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}

// SPDX-License-Identifier: GPL-2.0
#include "doctor.h"

#include <errno.h>
#include <string.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "act/schedule.h"
#include "engine/docker.h"
#include "report/ship.h"
#include "util.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define BPF_ROOT    "/sys/fs/bpf"
#define KERNEL_BTF  "/sys/kernel/btf/vmlinux"

struct requirement {
	const char *name;
	/* What is wrong and what mends it, to be freed; NULL when all is well. */
	char *(*problem)(const struct options *options);
	bool optional;
};

static char *root_problem(const struct options *options)
{
	(void)options;
	return geteuid() ? strdup("must be run by root; run: sudo ./cmgr-bpf") : NULL;
}

static char *module_problem(const struct options *options)
{
	if (!access(options->sysinfo, R_OK))
		return NULL;
	return format_text("%s is missing: the kernel module is not loaded; run: "
			   "sudo insmod kmod/sysinfo.ko",
			   options->sysinfo);
}

static bool is_filesystem(const char *path, unsigned long magic)
{
	struct statfs fs;

	return !statfs(path, &fs) && (unsigned long)fs.f_type == magic;
}

static char *cgroup_problem(const struct options *options)
{
	(void)options;
	if (is_filesystem(CGROUP_ROOT, CGROUP2_SUPER_MAGIC))
		return NULL;
	return strdup("cgroup v2 is missing at " CGROUP_ROOT "; boot the kernel with: "
		      "systemd.unified_cgroup_hierarchy=1");
}

static char *btf_problem(const struct options *options)
{
	(void)options;
	if (!access(KERNEL_BTF, R_OK))
		return NULL;
	return strdup(KERNEL_BTF
		      " is missing: the kernel tells no types to BPF; boot a kernel built "
		      "with: CONFIG_DEBUG_INFO_BTF=y");
}

static char *bpffs_problem(const struct options *options)
{
	(void)options;
	if (is_filesystem(BPF_ROOT, BPF_FS_MAGIC))
		return NULL;
	return strdup("the BPF file system is missing; run: sudo mount -t bpf bpf " BPF_ROOT);
}

static char *engine_error(const struct options *options, int err)
{
	if (err == -EPROTONOSUPPORT)
		return format_text("the engine's URL '%s' is not of the form unix:///PATH; run: "
				   "cmgr-bpf --docker-host unix:///var/run/docker.sock",
				   options->docker_host);
	if (err == -ECONNREFUSED)
		return format_text(
			"no Docker engine answers at %s; run: sudo systemctl start docker",
			options->docker_host);
	return format_text("what answers at %s is no Docker engine that we can use (%s); run: "
			   "sudo systemctl restart docker",
			   options->docker_host, strerror(-err));
}

static char *engine_problem(const struct options *options)
{
	struct docker *docker = NULL;
	int err = docker_open(options->docker_host, 0, &docker);

	docker_close(docker);
	return err ? engine_error(options, err) : NULL;
}

static char *cron_problem(const struct options *options)
{
	if (options->no_cron || options->dry_run || !access(SCHEDULE_DIR, W_OK | X_OK))
		return NULL;
	return strdup(SCHEDULE_DIR " is missing: there is no cron; install cron (Debian) or "
				   "cronie (Arch, Fedora), or use --no-cron");
}

static char *log_problem(const struct options *options)
{
	struct ship ship;
	int err;

	if (options->no_log)
		return NULL;
	err = ship_open(options->log_url, &ship);
	if (!err) {
		err = ship_probe(&ship);
		ship_close(&ship);
	}
	if (!err)
		return NULL;
	return format_text("no log server answers at %s; records wait on disk; run: "
			   "sudo docker run -d -p 127.0.0.1:8000:8000 -v /DIR:/data cmgr-pygraph",
			   options->log_url);
}

static const struct requirement requirements[] = {
	{"root", root_problem, false},
	{"kernel module", module_problem, false},
	{"cgroup v2", cgroup_problem, false},
	{"kernel BTF", btf_problem, false},
	{"BPF file system", bpffs_problem, false},
	{"Docker engine", engine_problem, false},
	{"cron", cron_problem, false},
	{"log server", log_problem, true},
};

int doctor_require(const struct options *options)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(requirements); i++) {
		_cleanup_free_ char *problem = NULL;

		if (requirements[i].optional)
			continue;
		problem = requirements[i].problem(options);
		if (problem) {
			log_line("%s", problem);
			return EXIT_MISSING;
		}
	}
	return 0;
}

int doctor_report(const struct options *options)
{
	int status = EXIT_DONE;
	size_t i;

	/* Without root the other checks would blame what is only unreadable. */
	if (geteuid()) {
		log_line("must be run by root; run: sudo ./cmgr-bpf doctor");
		return EXIT_MISSING;
	}
	for (i = 0; i < ARRAY_SIZE(requirements); i++) {
		_cleanup_free_ char *problem = requirements[i].problem(options);
		const char *verdict = !problem			 ? "ok"
				      : requirements[i].optional ? "warning"
								 : "missing";

		printf("%-8s %-16s %s\n", verdict, requirements[i].name, problem ? problem : "");
		if (problem && !requirements[i].optional)
			status = EXIT_MISSING;
	}
	return status;
}

int doctor_engine_missing(const struct options *options, int err)
{
	_cleanup_free_ char *problem = engine_error(options, err);

	log_line("%s", problem ? problem : strerror(ENOMEM));
	return EXIT_MISSING;
}

static bool is_http(CURLU *url)
{
	char *scheme = NULL;
	bool http = !curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) &&
		    (!strcmp(scheme, "http") || !strcmp(scheme, "https"));

	curl_free(scheme);
	return http;
}

uint16_t url_port(const char *url)
{
	char *port = NULL;
	CURLU *parsed = curl_url();
	uint64_t number = 0;

	if (parsed && !curl_url_set(parsed, CURLUPART_URL, url, 0) && is_http(parsed) &&
	    !curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) &&
	    parse_u64(port, 1, UINT16_MAX, &number))
		number = 0;
	curl_free(port);
	curl_url_cleanup(parsed);
	return (uint16_t)number;
}

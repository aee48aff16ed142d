// SPDX-License-Identifier: GPL-2.0
#include "doctor.h"

#include <errno.h>
#include <string.h>

#include "act/schedule.h"
#include "engine/docker.h"
#include "remedy.h"
#include "report/ship.h"
#include "util.h"

#define KERNEL_BTF "/sys/kernel/btf/vmlinux"
/* An enrolled key cannot be seen from here. */
#define REFUSED                                                                                       \
	"; where modprobe says 'Key was rejected', enrol the key that DKMS signs with, and restart: " \
	"sudo mokutil --import /var/lib/dkms/mok.pub"

/* What is wrong and what mends it, or a note on what is well: to be freed, NULL where there is none. */
struct requirement {
	const char *name;
	enum verdict (*judge)(const struct doctor_view *view, char **ret_text);
};

/* @problem and @remedy, which is freed, as one text. */
static char *told(const char *problem, char *remedy)
{
	char *text = remedy ? format_text("%s%s", problem, remedy) : NULL;

	free(remedy);
	return text;
}

static enum verdict judge_root(const struct doctor_view *view, char **ret_text)
{
	if (view->host.is_root)
		return VERDICT_OK;
	*ret_text = told("must be run by root; run: ", remedy_sudo(NULL));
	return VERDICT_MISSING;
}

static enum verdict judge_kernel(const struct doctor_view *view, char **ret_text)
{
	const struct host *host = &view->host;

	/* Before 6.4, what BPF allocates where a task is born takes locks that sleep with PREEMPT_RT. */
	unsigned int minor = host->is_realtime ? 4 : 1;

	*ret_text = host->release[0] ? strdup(host->release) : NULL;
	if (!host->release[0] || host->major > 6 || (host->major == 6 && host->minor >= minor))
		return VERDICT_OK;
	free(*ret_text);
	*ret_text =
		format_text("Linux %s is older than 6.%u%s; boot a newer one, as Debian 13 has: "
			    "sudo apt-get install linux-image-amd64",
			    host->release, minor, host->is_realtime ? " and real-time" : "");
	return VERDICT_MISSING;
}

static char *tell_unloaded(const struct host *host, const char *sysinfo)
{
	const char *refused = host->signed_only ? REFUSED : "";
	_cleanup_free_ char *headers = NULL;

	if (host->has_module)
		return format_text("%s is missing: the kernel module is not loaded; run: "
				   "sudo modprobe sysinfo%s",
				   sysinfo, refused);
	if (!host->has_dkms_source && !host->signed_only)
		return format_text("%s is missing: the kernel module is not loaded; run: "
				   "sudo insmod kmod/sysinfo.ko",
				   sysinfo);
	if (!host->has_dkms_source)
		return format_text("%s is missing: the kernel module is not loaded, and the kernel "
				   "loads none without a signature, such as DKMS gives; run: "
				   "sudo make install && sudo modprobe sysinfo%s",
				   sysinfo, refused);
	if (host->has_headers)
		return format_text("%s is missing: the kernel module is not built for %s; run: "
				   "sudo dkms autoinstall && sudo modprobe sysinfo%s",
				   sysinfo, host->release, refused);
	headers = remedy_install(host, PACKAGE_HEADERS);
	return format_text("%s is missing: the kernel module cannot be built without headers; %s",
			   sysinfo, headers ? headers : "");
}

static enum verdict judge_module(const struct doctor_view *view, char **ret_text)
{
	const char *sysinfo = view->options->sysinfo;
	_cleanup_free_ char *again = NULL;

	if (view->host.may_read_sysinfo && view->host.has_other_module) {
		*ret_text = strdup("the kernel module that is loaded is not the one that is "
				   "installed; run: sudo modprobe -r sysinfo && "
				   "sudo modprobe sysinfo");
		return VERDICT_WARNING;
	}
	if (view->host.may_read_sysinfo)
		return VERDICT_OK;
	again = remedy_sudo(NULL);
	*ret_text = view->host.has_sysinfo ? format_text("%s may be read by root alone; run: %s",
							 sysinfo, again ? again : "")
					   : tell_unloaded(&view->host, sysinfo);
	return VERDICT_MISSING;
}

static enum verdict judge_signing(const struct doctor_view *view, char **ret_text)
{
	const struct host *host = &view->host;

	if (host->lockdown == LOCKDOWN_CONFIDENTIALITY) {
		*ret_text =
			told("lockdown=confidentiality: BPF may not read the kernel's memory; ",
			     remedy_boot(host, "lockdown=confidentiality", "lockdown=integrity"));
		return VERDICT_WARNING;
	}
	if (!host->signed_only) {
		*ret_text = strdup(host->secure_boot ? "Secure Boot is on, any module is loaded"
						     : "any module is loaded");
		return VERDICT_OK;
	}
	*ret_text = format_text("signed modules alone are loaded: Secure Boot %s, lockdown %s%s",
				host->secure_boot ? "on" : "off",
				host->lockdown == LOCKDOWN_NONE ? "none" : "integrity",
				host->has_sysinfo ? "" : REFUSED);
	return host->has_sysinfo ? VERDICT_OK : VERDICT_WARNING;
}

static enum verdict judge_cgroups(const struct doctor_view *view, char **ret_text)
{
	static const char *const instead[] = {
		[CGROUPS_NONE] = "no cgroup file system is there",
		[CGROUPS_V1] = "version 1 is there",
		[CGROUPS_HYBRID] = "a hybrid is there, whose controllers are of version 1",
	};

	const struct host *host = &view->host;
	_cleanup_free_ char *remedy = NULL;

	if (host->cgroups == CGROUPS_V2 && host->has_memory_controller)
		return VERDICT_OK;
	if (host->cgroups == CGROUPS_V2) {
		*ret_text = told("cgroup v2 has no memory controller (/sys/fs/cgroup/"
				 "cgroup.controllers); ",
				 remedy_boot(host, "cgroup_disable=memory", NULL));
		return VERDICT_MISSING;
	}
	remedy = remedy_boot(host, NULL, "systemd.unified_cgroup_hierarchy=1");
	*ret_text = format_text("cgroup v2 is missing at /sys/fs/cgroup: %s; %s",
				instead[host->cgroups], remedy ? remedy : "");
	return VERDICT_MISSING;
}

static enum verdict judge_btf(const struct doctor_view *view, char **ret_text)
{
	if (view->host.has_btf)
		return VERDICT_OK;
	*ret_text = told(KERNEL_BTF " is missing: the kernel was built without "
				    "CONFIG_DEBUG_INFO_BTF=y, and another one alone helps, such as "
				    "the distribution's",
			 view->host.installer == INSTALLER_APT
				 ? told("; ", remedy_install(&view->host, PACKAGE_HEADERS))
				 : strdup(""));
	return VERDICT_MISSING;
}

static enum verdict judge_bpffs(const struct doctor_view *view, char **ret_text)
{
	if (view->host.has_bpffs)
		return VERDICT_OK;
	*ret_text = strdup(
		"the BPF file system is missing; run: sudo mount -t bpf -o mode=700 bpf /sys/fs/bpf");
	return VERDICT_MISSING;
}

static char *tell_no_engine(const struct host *host, const char *url, const char *what)
{
	_cleanup_free_ char *remedy = host->has_docker ? strdup("run: sudo systemctl start docker")
						       : remedy_install(host, PACKAGE_DOCKER);

	return format_text("no Docker engine %s %s%s; %s", what, url,
			   host->has_docker ? "" : ", and Docker is not installed",
			   remedy ? remedy : "");
}

/* Another engine's socket is named where ours is not there. */
static char *engine_error(const struct host *host, const char *url, int err)
{
	_cleanup_free_ char *option = NULL, *again = NULL;

	switch (err) {
	case -EPROTONOSUPPORT:
		again = remedy_sudo("--docker-host unix:///var/run/docker.sock");
		return format_text("the engine's URL '%s' is not of the form unix:///PATH; run: %s",
				   url, again ? again : "");
	case -EACCES:
	case -EPERM:
		again = remedy_sudo(NULL);
		return format_text("no right to use the Docker socket %s; run: %s", url,
				   again ? again : "");
	case -ENOENT:
		if (!host->other_socket)
			return tell_no_engine(host, url, "has a socket at");
		option = format_text("--docker-host unix://%s", host->other_socket);
		again = option ? remedy_sudo(option) : NULL;
		return format_text("no Docker engine has a socket at %s, but a rootless one or "
				   "Podman has; run: %s",
				   url, again ? again : "");
	case -ECONNREFUSED:
		return tell_no_engine(host, url, "answers at");
	default:
		return format_text(
			"what answers at %s is no Docker engine that we can use (%s); run: "
			"sudo systemctl restart docker",
			url, strerror(-err));
	}
}

static enum verdict judge_about(const struct engine_about *about, char **ret_text)
{
	if (about->no_cgroups) {
		*ret_text = format_text(
			"%s %s gives its containers no cgroups; let systemd delegate "
			"them to its user, and restart: printf '[Service]\\n"
			"Delegate=cpu cpuset io memory pids\\n' | sudo install -D -m 644 "
			"/dev/stdin /etc/systemd/system/user@.service.d/delegate.conf",
			about->is_podman ? "Podman" : "Docker", about->version);
		return VERDICT_MISSING;
	}
	*ret_text = format_text("%s%s %s%s", about->is_rootless ? "rootless " : "",
				about->is_podman ? "Podman" : "Docker", about->version,
				about->is_podman ? " by Docker's API, which is not tested; for "
						   "Docker: sudo apt-get install docker.io"
						 : "");
	return about->is_podman ? VERDICT_WARNING : VERDICT_OK;
}

static enum verdict judge_engine(const struct doctor_view *view, char **ret_text)
{
	if (!view->engine_err)
		return judge_about(&view->about, ret_text);
	*ret_text = engine_error(&view->host, view->options->docker_host, view->engine_err);
	return VERDICT_MISSING;
}

static enum verdict judge_cron(const struct doctor_view *view, char **ret_text)
{
	const struct options *options = view->options;

	const struct host *host = &view->host;
	_cleanup_free_ char *remedy = NULL;

	if (options->no_cron || options->dry_run || (host->has_cron && host->cron_runs))
		return VERDICT_OK;
	remedy = host->has_cron && host->cron_unit
			 ? format_text("run: sudo systemctl enable --now %s", host->cron_unit)
			 : remedy_install(host, PACKAGE_CRON);
	*ret_text = format_text("%s; %s, or use --no-cron",
				host->has_cron ? "no cron runs that would read " SCHEDULE_DIR
					       : SCHEDULE_DIR " is missing: there is no cron",
				remedy ? remedy : "");
	return host->has_cron ? VERDICT_WARNING : VERDICT_MISSING;
}

static enum verdict judge_log(const struct doctor_view *view, char **ret_text)
{
	if (view->options->no_log || (!view->log_err && view->log_status == 200))
		return VERDICT_OK;
	if (!view->log_err) {
		*ret_text = ship_error(view->options->log_url, view->log_status);
		return VERDICT_WARNING;
	}
	*ret_text = format_text("no log server answers at %s; records wait on disk; run: %s",
				view->options->log_url, ship_remedy());
	return VERDICT_WARNING;
}

static const struct requirement requirements[] = {
	{"root", judge_root},
	{"kernel", judge_kernel},
	{"kernel module", judge_module},
	{"module signing", judge_signing},
	{"cgroup v2", judge_cgroups},
	{"kernel BTF", judge_btf},
	{"BPF file system", judge_bpffs},
	{"Docker engine", judge_engine},
	{"cron", judge_cron},
	{"log server", judge_log},
};

size_t doctor_judge(const struct doctor_view *view, struct finding *ret)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(requirements); i++) {
		ret[i] = (struct finding){.name = requirements[i].name};
		ret[i].verdict = requirements[i].judge(view, &ret[i].text);
	}
	return i;
}

static int log_server_error(const struct options *options, long *ret_status)
{
	struct ship ship;
	int err;

	if (options->no_log)
		return 0;
	err = ship_open(options->log_url, &ship);
	if (!err) {
		err = ship_probe(&ship, ret_status);
		ship_close(&ship);
	}
	return err;
}

/* What is in the way where docker_open() has ended with @err. */
static int engine_why(const struct options *options, int err)
{
	int reach_err = err == -ECONNREFUSED ? engine_reach(options->docker_host) : 0;

	return reach_err ? reach_err : err;
}

/* For a run it is enough that the engine answers. */
static int engine_opens(const struct options *options)
{
	struct docker *docker = NULL;
	int err = docker_open(options->docker_host, 0, &docker);

	docker_close(docker);
	return engine_why(options, err);
}

static void view_free(struct doctor_view *view)
{
	host_free(&view->host);
	engine_about_free(&view->about);
}

static void findings_free(struct finding *findings, size_t count)
{
	while (count--)
		free(findings[count].text);
}

int doctor_require(const struct options *options)
{
	struct doctor_view view = {.options = options};
	struct finding findings[DOCTOR_FINDINGS];
	size_t i, count;
	int status = 0;

	host_look("", options->sysinfo, &view.host);
	view.engine_err = engine_opens(options);
	count = doctor_judge(&view, findings);
	for (i = 0; i < count && !status; i++) {
		if (findings[i].verdict != VERDICT_MISSING)
			continue;
		log_line("%s", findings[i].text ? findings[i].text : strerror(ENOMEM));
		status = EXIT_MISSING;
	}
	findings_free(findings, count);
	view_free(&view);
	return status;
}

int doctor_report(const struct options *options)
{
	static const char *const words[] = {"ok", "warning", "missing"};
	struct doctor_view view = {.options = options};
	struct finding findings[DOCTOR_FINDINGS];
	int status = EXIT_DONE;
	size_t i, count;

	host_look("", options->sysinfo, &view.host);
	view.engine_err = engine_ask(options->docker_host, &view.about);
	view.log_err = log_server_error(options, &view.log_status);
	count = doctor_judge(&view, findings);
	for (i = 0; i < count; i++) {
		const struct finding *finding = &findings[i];

		printf("%-8s %-16s %s\n", words[finding->verdict], finding->name,
		       finding->text ? finding->text : "");
		if (finding->verdict == VERDICT_MISSING)
			status = EXIT_MISSING;
	}
	findings_free(findings, count);
	view_free(&view);
	return status;
}

int doctor_engine_missing(const struct options *options, int err)
{
	_cleanup_free_ char *problem = NULL;
	struct host host;

	host_look("", options->sysinfo, &host);
	problem = engine_error(&host, options->docker_host, engine_why(options, err));
	log_line("%s", problem ? problem : strerror(ENOMEM));
	host_free(&host);
	return EXIT_MISSING;
}

int doctor_module_missing(const struct options *options)
{
	struct doctor_view view = {.options = options};
	_cleanup_free_ char *problem = NULL;

	host_look("", options->sysinfo, &view.host);
	judge_module(&view, &problem);
	log_line("%s", problem ? problem : strerror(ENOMEM));
	view_free(&view);
	return EXIT_MISSING;
}

int doctor_root_missing(void)
{
	const struct doctor_view view = {};
	_cleanup_free_ char *problem = NULL;

	judge_root(&view, &problem);
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

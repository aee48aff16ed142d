// SPDX-License-Identifier: GPL-2.0
#include "engine/about.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "engine/docker.h"
#include "util.h"

#define TIMEOUT_MS 10000L

static const char *socket_path(const char *url)
{
	return url + strlen("unix://");
}

int engine_reach(const char *url)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;

	if (!docker_is_url(url))
		return -EPROTONOSUPPORT;
	if (strlen(socket_path(url)) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, socket_path(url));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* A queue that is full (EAGAIN) is one of somebody who listens. */
	return connect(fd, (struct sockaddr *)&address, sizeof(address)) && errno != EAGAIN ? -errno
											    : 0;
}

/* {"Components":[{"Name":"Podman Engine",…}],…} */
static bool tells_podman(const cJSON *version)
{
	const cJSON *components, *item;
	const char *name;

	if (json_member(version, "Components", &components))
		return false;
	cJSON_ArrayForEach(item, components) {
		if (!json_string(item, "Name", true, &name) && name && strstr(name, "Podman"))
			return true;
	}
	return false;
}

/* {"SecurityOptions":["name=seccomp,profile=builtin","name=rootless"],…} */
static bool tells_rootless(const cJSON *info)
{
	const cJSON *options, *item;

	if (json_member(info, "SecurityOptions", &options))
		return false;
	cJSON_ArrayForEach(item, options) {
		const char *text = cJSON_GetStringValue(item);

		if (text && !strncmp(text, "name=rootless", strlen("name=rootless")))
			return true;
	}
	return false;
}

int engine_about_parse(const cJSON *version, const cJSON *info, struct engine_about *ret)
{
	const char *number, *driver;
	char *text;

	if (json_string(version, "Version", false, &number) ||
	    json_string(info, "CgroupDriver", true, &driver))
		return -EBADMSG;
	text = to_printable(number);
	if (!text)
		return -ENOMEM;
	*ret = (struct engine_about){
		.is_podman = tells_podman(version),
		.is_rootless = tells_rootless(info),
		.no_cgroups = driver && !strcmp(driver, "none"),
		.version = text,
	};
	return 0;
}

static int get(struct http_call *call, const char *url, cJSON **ret)
{
	long status;
	int err = http_call_set(call, "GET", url, NULL, TIMEOUT_MS);

	if (!err)
		err = http_call_run(call, &status);
	if (!err && status != 200)
		err = -EBADMSG;
	if (err)
		return err;
	*ret = http_call_json(call);
	return *ret ? 0 : -EBADMSG;
}

int engine_ask(const char *url, struct engine_about *ret)
{
	cJSON *version = NULL, *info = NULL;
	struct http_call call;
	int err = engine_reach(url);

	if (err)
		return err;
	err = http_call_init(&call, socket_path(url));
	if (err)
		return err;
	err = get(&call, "http://docker/version", &version);
	if (!err)
		err = get(&call, "http://docker/info", &info);
	if (!err)
		err = engine_about_parse(version, info, ret);
	cJSON_Delete(version);
	cJSON_Delete(info);
	http_call_free(&call);
	return err;
}

void engine_about_free(struct engine_about *about)
{
	free(about->version);
	*about = (struct engine_about){};
}

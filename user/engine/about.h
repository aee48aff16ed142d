/* SPDX-License-Identifier: GPL-2.0 */
/* Which engine it is that answers as Docker does, and how it runs its containers. */
#ifndef CMGR_ENGINE_ABOUT_H
#define CMGR_ENGINE_ABOUT_H

#include <cjson/cJSON.h>
#include <stdbool.h>

struct engine_about {
	bool is_podman;
	bool is_rootless;
	bool no_cgroups; /* its containers have none of their own */
	char *version;
};

/*
 * Asks the engine at @url. 0, or what is in the way: -ENOENT (no socket), -EACCES (no right to use it),
 * -ECONNREFUSED (nobody listens), -EBADMSG (no engine) or another -errno. engine_about_free() after 0.
 */
int engine_ask(const char *url, struct engine_about *ret);
void engine_about_free(struct engine_about *about);

/* What is in the way to the socket of @url: 0, or as engine_ask() has it. */
int engine_reach(const char *url);

/* The answers to /version and /info. 0 or -EBADMSG or -ENOMEM. */
int engine_about_parse(const cJSON *version, const cJSON *info, struct engine_about *ret);

#endif

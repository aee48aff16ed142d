/* SPDX-License-Identifier: GPL-2.0 */
/* The Docker Engine API over its unix socket: just the calls that are needed. */
#ifndef CMGR_ENGINE_DOCKER_H
#define CMGR_ENGINE_DOCKER_H

#include "container.h"
#include "engine/http.h"

#define LABEL_MANAGED "cmgr.managed"
#define LABEL_PROTECT "cmgr.protect"
#define LABEL_SPAWNED "cmgr.spawned" /* docker_run() made it */

struct docker;

/* What an inspection says of a container. */
struct docker_state {
	char id[CONTAINER_ID_DIGITS + 1];
	char *name;
	char *started_at;
	bool running; /* and not paused, restarting or being removed */
	bool managed;
	bool labelled_protect;
	bool unstarted;	  /* docker_run() made it, and nobody has started it */
	bool auto_remove; /* the engine removes it, with its volumes, once it has stopped */
};

/* Whether it is of the form unix:///PATH, the only one that there is. */
bool docker_is_url(const char *url);

/*
 * Connects to the engine at @url ("unix:///var/run/docker.sock") and negotiates the API version.
 * @log_port: containers that publish this TCP port count as the log server; 0 for none.
 * 0; -EPROTONOSUPPORT: not a unix:// URL; -ECONNREFUSED: no engine there; -EIO, -ETIMEDOUT, -EBADMSG:
 * it does not answer as an engine does.
 */
int docker_open(const char *url, uint16_t log_port, struct docker **ret);
void docker_close(struct docker *docker);

/*
 * What docker_list() and docker_inspect() ask for ends by then, on CLOCK_BOOTTIME, with -ETIMEDOUT;
 * 0: each call has its own time-out alone.
 */
void docker_limit(struct docker *docker, uint64_t deadline_ns);

void docker_state_free(struct docker_state *state);

/*
 * The identity of every container that is not stopped. 0 or -errno; *ret_why then tells it in words,
 * to be freed, and @ret is untouched.
 */
int docker_list(struct docker *docker, struct container_list *ret, char **ret_why);

/* Fills @container->started_at. 0, -ENOENT (gone) or -errno: the engine does not answer as it should. */
int docker_inspect(struct docker *docker, struct container *container);

struct docker_spec {
	const char *name;
	const char *image;
	const char *const *env; /* ends with NULL */
	uint64_t memory_limit_bytes;
	const _Atomic unsigned long long *end_ns; /* as of struct http_call */
};

/*
 * Creates and starts a managed container. 0; -ENOENT: no such image; -EEXIST: the name is taken;
 * other -errno. On error *ret_why tells it in words, to be freed. One that is given up at @spec->end_ns is
 * removed, as far as the engine answers in two seconds.
 */
int docker_run(const struct docker *docker, const struct docker_spec *spec, char **ret_why);

/*
 * Removes what docker_run() created and, killed, did not come to start, where that was at least
 * @min_age_s ago; 0: all of it. What has started meanwhile stays. 0 or -errno of the first failure;
 * *ret_count is how many were removed.
 */
int docker_remove_unstarted(const struct docker *docker, uint64_t min_age_s,
			    unsigned int *ret_count);

/* Requests on calls of the caller's own, such as run side by side. All return 0 or -errno. */
int docker_call_init(const struct docker *docker, struct http_call *call);
int docker_call_set(const struct docker *docker, struct http_call *call, const char *method,
		    const char *path, const char *json, long timeout_ms);
int docker_call_inspect(const struct docker *docker, struct http_call *call, const char *id);
int docker_call_action(const struct docker *docker, struct http_call *call, const char *id,
		       enum action action);

/* Removes it if it does not run: the engine refuses (409) one that does. */
int docker_call_remove_stopped(const struct docker *docker, struct http_call *call, const char *id);

/*
 * The answer to a list. @log_port: as for docker_open(). 0, -EBADMSG, -EFBIG or -ENOMEM; @ret is then
 * untouched.
 */
int docker_list_result(const struct http_call *call, uint16_t log_port, struct container_list *ret);

/* The answer to docker_call_inspect(). -ENOENT: gone. docker_state_free() after 0. */
int docker_inspect_result(const struct http_call *call, long status, struct docker_state *ret);

enum docker_result {
	DOCKER_DONE, /* or it was so already */
	DOCKER_GONE,
	DOCKER_REMOVING, /* somebody has asked for that before */
	DOCKER_REFUSED,
};

/* The answer to docker_call_action(), or to docker_call_remove_stopped() as to ACTION_REMOVE. */
enum docker_result docker_action_result(const struct http_call *call, enum action action,
					long status);

/* Copies an ID of CONTAINER_ID_DIGITS digits and its NUL. 0 or -EBADMSG: it is none. */
int docker_copy_id(const char *id, char *ret);

/* The engine's own words in an error reply, to be freed; NULL without memory. */
char *docker_error_text(const struct http_call *call);

/*
 * Why a call failed with @err, to be freed; NULL without memory. "status 500: driver failed" where it was
 * answered so.
 */
char *docker_why(const struct http_call *call, int err, long status);

#endif

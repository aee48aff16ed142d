// SPDX-License-Identifier: GPL-2.0
#include "report/ship.h"

#include <errno.h>
#include <string.h>

#include "util.h"

/* A record is stored in a moment; one that was stored in a longer time is taken twice, stored once. */
#define CALL_TIMEOUT_MS	  30000L
#define PROBE_TIMEOUT_MS  5000L
#define FINISH_TIMEOUT_MS 3000L
#define REASON_LIMIT	  300 /* bytes of what a server says */

enum {
	TOLD_DOWN = 1,
	TOLD_TOKEN = 2,
};

int ship_token(const char **ret)
{
	const char *token = getenv("CMGR_TOKEN"), *c;

	for (c = token; c && *c; c++)
		if (*c <= ' ' || *c > '~') {
			log_line(
				"CMGR_TOKEN may hold printable ASCII characters only, and no space");
			return -EINVAL;
		}
	*ret = token && *token ? token : NULL;
	return 0;
}

int ship_open(const char *url, struct ship *ret)
{
	struct ship ship = {.url = strdup(url)};

	if (!ship.url || http_call_init(&ship.call, NULL)) {
		ship_close(&ship);
		return -ENOMEM;
	}
#if LIBCURL_VERSION_NUM >= 0x075700
	/* A name that is still being looked up must not hold up the end of the run. */
	curl_easy_setopt(ship.call.easy, CURLOPT_QUICK_EXIT, 1L);
#endif
	*ret = ship;
	return 0;
}

int ship_authorize(struct ship *ship, const char *token)
{
	_cleanup_free_ char *header = format_text("Authorization: Bearer %s", token);

	return header && curl_slist_append(ship->call.headers, header) ? 0 : -ENOMEM;
}

void ship_end_at(struct ship *ship, const _Atomic unsigned long long *end_ns)
{
	ship->call.end_ns = end_ns;
}

void ship_close(struct ship *ship)
{
	http_call_free(&ship->call);
	free(ship->url);
	*ship = (struct ship){};
}

static int call(struct ship *ship, const char *method, const char *path, const char *json,
		long timeout_ms, long *ret_status)
{
	_cleanup_free_ char *url = format_text("%s%s", ship->url, path);
	int err = url ? http_call_set(&ship->call, method, url, json, timeout_ms) : -ENOMEM;

	return err ? err : http_call_run(&ship->call, ret_status);
}

const char *ship_remedy(void)
{
	static const char *const units[] = {
		"/usr/lib/systemd/system/pygraph.service",
		"/usr/local/lib/systemd/system/pygraph.service",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(units); i++)
		if (!access(units[i], F_OK))
			return "sudo systemctl start pygraph";
	return "sudo docker run -d -p 127.0.0.1:8000:8000 -v /srv/cmgr:/data cmgr-pygraph";
}

char *ship_error(const char *url, long status)
{
	return format_text(
		"the log server %s answers with an error (%ld): %s; records wait on disk", url,
		status,
		status == 421 ? "pygraph has to be told of that name by its PYGRAPH_HOSTS"
			      : "its own log tells why");
}

static void tell_down(struct ship *ship, int err, long status)
{
	_cleanup_free_ char *error = err ? NULL : ship_error(ship->url, status);

	if (ship->told & TOLD_DOWN)
		return;
	if (err)
		log_line("the log server %s %s; records wait on disk; start it: %s", ship->url,
			 err == -ECONNREFUSED ? "is not there" : "does not answer", ship_remedy());
	else
		log_line("%s", error ? error : "out of memory");
	ship->told |= TOLD_DOWN;
}

static void tell_token(struct ship *ship)
{
	if (!(ship->told & TOLD_TOKEN))
		log_line(
			"the log server %s wants its token (401): start cmgr-bpf with the CMGR_TOKEN "
			"that pygraph has; records wait on disk",
			ship->url);
	ship->told |= TOLD_TOKEN;
}

static void tell_up(struct ship *ship)
{
	if (ship->told)
		log_line("the log server %s answers again", ship->url);
	ship->told = 0;
}

static void tell_failure(struct ship *ship, int err, long status)
{
	if (!err && status == 401)
		tell_token(ship);
	else
		tell_down(ship, err, status);
}

int ship_probe(struct ship *ship, long *ret_status)
{
	*ret_status = 0;
	return call(ship, "GET", "/healthz", NULL, PROBE_TIMEOUT_MS, ret_status);
}

void ship_look(struct ship *ship)
{
	long status;
	int err = ship_probe(ship, &status);

	if (err || status != 200)
		tell_failure(ship, err, status);
}

bool ship_is_down(const struct ship *ship)
{
	return ship->told;
}

/* A record that the server refuses as it is would hold up the others for ever. */
static bool is_refusal(long status)
{
	return status == 400 || status == 413 || status == 415 || status == 422;
}

enum ship_result ship_record(struct ship *ship, const char *json, long *ret_status)
{
	long status = 0;
	int err = call(ship, "POST", "/api/v1/cycles", json, CALL_TIMEOUT_MS, &status);

	*ret_status = status;
	if (!err && (status == 200 || status == 201)) {
		tell_up(ship);
		return SHIP_STORED;
	}
	if (!err && is_refusal(status)) {
		tell_up(ship);
		return SHIP_REFUSED;
	}
	tell_failure(ship, err, status);
	return SHIP_FAILED;
}

char *ship_reason(const struct ship *ship, long status)
{
	cJSON *reply = http_call_json(&ship->call);
	const char *said = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(reply, "error"));
	_cleanup_free_ char *shown = said ? to_printable(said) : NULL;
	char *reason = format_text("status %ld%s%.*s", status, shown ? ": " : "",
				   shown ? (int)whole_characters(shown, REASON_LIMIT) : 0,
				   shown ? shown : "");

	cJSON_Delete(reply);
	return reason;
}

int ship_finish(struct ship *ship, const struct run *run)
{
	_cleanup_free_ char *json =
		format_text("{\"boot_id\":\"%s\",\"run_id\":\"%s\"}", run->boot_id, run->run_id);
	long status;
	int err = json ? call(ship, "POST", "/api/v1/finish", json, FINISH_TIMEOUT_MS, &status)
		       : -ENOMEM;

	if (!err && status != 200 && status != 202)
		err = -EIO;
	if (err)
		log_line("no final graphs: the log server %s did not take the request", ship->url);
	return err;
}

// SPDX-License-Identifier: GPL-2.0
#include "report/ship.h"

#include <errno.h>
#include <string.h>

#include "util.h"

#define CALL_TIMEOUT_MS 5000L

int ship_open(const char *url, struct ship *ret)
{
	struct ship ship = {.url = strdup(url), .timeout_ms = CALL_TIMEOUT_MS};

	if (!ship.url || http_call_init(&ship.call, NULL)) {
		ship_close(&ship);
		return -ENOMEM;
	}
	*ret = ship;
	return 0;
}

void ship_close(struct ship *ship)
{
	http_call_free(&ship->call);
	free(ship->url);
	*ship = (struct ship){};
}

static int call(struct ship *ship, const char *method, const char *path, const char *json,
		long *ret_status)
{
	_cleanup_free_ char *url = format_text("%s%s", ship->url, path);
	int err = url ? http_call_set(&ship->call, method, url, json, ship->timeout_ms) : -ENOMEM;

	return err ? err : http_call_run(&ship->call, ret_status);
}

int ship_probe(struct ship *ship)
{
	long status;
	int err = call(ship, "GET", "/healthz", NULL, &status);

	return err ? err : status == 200 ? 0 : -EIO;
}

void ship_tell_down(struct ship *ship, const char *why)
{
	if (!ship->down)
		log_line("the log server %s %s; records wait on disk; start it: "
			 "sudo docker run -d -p 127.0.0.1:8000:8000 -v /DIR:/data cmgr-pygraph",
			 ship->url, why);
	ship->down = true;
}

static void tell_up(struct ship *ship)
{
	if (ship->down)
		log_line("the log server %s answers again", ship->url);
	ship->down = false;
}

/* A record that the server refuses as it is would be refused for ever, and hold up the others. */
static bool is_refusal(long status)
{
	return status == 400 || status == 413 || status == 415 || status == 422;
}

int ship_record(struct ship *ship, const char *json)
{
	long status;
	int err = call(ship, "POST", "/api/v1/cycles", json, &status);

	return err ? err : status == 200 || status == 201 ? 0 : -EIO;
}

/* Sends one record. True when it left the spool. */
static bool send_one(struct ship *ship, struct spool *spool, uint64_t number, const char *json)
{
	long status;
	int err = call(ship, "POST", "/api/v1/cycles", json, &status);

	if (err) {
		ship_tell_down(ship, err == -ECONNREFUSED ? "is not there" : "does not answer");
		return false;
	}
	if (status == 200 || status == 201) {
		tell_up(ship);
		return !spool_drop(spool, number);
	}
	if (is_refusal(status)) {
		log_line("the log server %s refuses a record with status %ld; it is kept as "
			 "%s/%020llu.rejected",
			 ship->url, status, spool->dir, (unsigned long long)number);
		return !spool_reject(spool, number);
	}
	ship_tell_down(ship, "answers with an error");
	return false;
}

static long time_left_ms(uint64_t end_ns)
{
	uint64_t now_ns = boottime_ns();
	uint64_t left_ms = end_ns > now_ns ? (end_ns - now_ns) / NS_PER_MS : 0;

	return left_ms < CALL_TIMEOUT_MS ? (long)left_ms + 1 : CALL_TIMEOUT_MS;
}

void ship_pending(struct ship *ship, struct spool *spool, uint64_t budget_ms)
{
	uint64_t end_ns = boottime_ns() + budget_ms * NS_PER_MS;
	bool sent = true;

	while (sent && boottime_ns() < end_ns) {
		_cleanup_free_ char *json = NULL;
		uint64_t number;
		int found = spool_oldest(spool, &number, &json);

		if (found < 0)
			log_line("cannot read the spool %s: %s", spool->dir, strerror(-found));
		if (found <= 0)
			return;
		ship->timeout_ms = time_left_ms(end_ns);
		sent = send_one(ship, spool, number, json);
		ship->timeout_ms = CALL_TIMEOUT_MS;
	}
}

int ship_finish(struct ship *ship, const struct run *run)
{
	_cleanup_free_ char *json =
		format_text("{\"boot_id\":\"%s\",\"run_id\":\"%s\"}", run->boot_id, run->run_id);
	long status;
	int err = json ? call(ship, "POST", "/api/v1/finish", json, &status) : -ENOMEM;

	if (!err && status != 200 && status != 202)
		err = -EIO;
	if (err)
		log_line("no final graphs: the log server %s did not take the request", ship->url);
	return err;
}

/* SPDX-License-Identifier: GPL-2.0 */
/* A bounded HTTP call over libcurl: time-outs, a cap on the reply, no redirects, no signals. */
#ifndef CMGR_ENGINE_HTTP_H
#define CMGR_ENGINE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <curl/curl.h>

/* May be used for one call after another; the connection is kept. */
struct http_call {
	CURL *easy;
	struct curl_slist *headers;
	char *body; /* of the reply, NUL-terminated; NULL while empty */
	size_t size;
	size_t room;	   /* for it, the NUL included */
	size_t limit;	   /* of the body; http_call_set() makes it HTTP_REPLY_LIMIT */
	size_t head;	   /* bytes of the headers so far */
	uint64_t began_ns; /* http_call_run(), on CLOCK_BOOTTIME */
	bool given_up;
	/* When it is given up, on CLOCK_BOOTTIME; 0: never. NULL: when the run is to end. */
	const _Atomic unsigned long long *end_ns;
};

#define HTTP_REPLY_LIMIT (4UL << 20)

/* @unix_socket: path of the socket to connect to, NULL for TCP. 0 or -ENOMEM. */
int http_call_init(struct http_call *call, const char *unix_socket);
void http_call_free(struct http_call *call);

/* Prepares a request. @json: its body, copied; NULL for none. 0 or -ENOMEM. */
int http_call_set(struct http_call *call, const char *method, const char *url, const char *json,
		  long timeout_ms);

/*
 * What came of a prepared request that libcurl ended with @code: 0 and the reply's status, or
 * -ECONNREFUSED (nobody there), -ECONNRESET (the connection ended before the reply did), -ETIMEDOUT,
 * -EFBIG (reply over the cap) or -EIO.
 */
int http_call_result(const struct http_call *call, CURLcode code, long *ret_status);

/*
 * Performs a prepared request. As http_call_result(). One that is under way when the run is to end has a
 * second more, then it is given up, unless @call->end_ns tells another time: -ETIMEDOUT.
 */
int http_call_run(struct http_call *call, long *ret_status);

/* Makes a prepared request end @timeout_ms after its beginning. */
void http_call_limit(struct http_call *call, long timeout_ms);

/* The reply as JSON, to be deleted; NULL when it is not one whole JSON text. */
cJSON *http_call_json(const struct http_call *call);

/*
 * The member @name of @object: 0, with NULL when it has none or null; -EBADMSG when @object is none, or
 * has two of that name.
 */
int json_member(const cJSON *object, const char *name, const cJSON **ret);

/* The same; anything but a string is -EBADMSG, too, and so is none unless @optional. */
int json_string(const cJSON *object, const char *name, bool optional, const char **ret);

#endif

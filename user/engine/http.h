/* SPDX-License-Identifier: GPL-2.0 */
/* A bounded HTTP call over libcurl: time-outs, a cap on the reply, no redirects, no signals. */
#ifndef CMGR_ENGINE_HTTP_H
#define CMGR_ENGINE_HTTP_H

#include <stddef.h>

#include <cjson/cJSON.h>
#include <curl/curl.h>

/* May be used for one call after another; the connection is kept. */
struct http_call {
	CURL *easy;
	struct curl_slist *headers;
	char *body; /* of the reply, NUL-terminated; NULL while empty */
	size_t size;
};

/* @unix_socket: path of the socket to connect to, NULL for TCP. 0 or -ENOMEM. */
int http_call_init(struct http_call *call, const char *unix_socket);
void http_call_free(struct http_call *call);

/* Prepares a request. @json: its body, copied; NULL for none. 0 or -ENOMEM. */
int http_call_set(struct http_call *call, const char *method, const char *url, const char *json,
		  long timeout_ms);

/*
 * What came of a prepared request that libcurl ended with @code: 0 and the reply's status, or
 * -ECONNREFUSED (nobody there), -ETIMEDOUT, -EFBIG (reply over the cap) or -EIO.
 */
int http_call_result(const struct http_call *call, CURLcode code, long *ret_status);

/* Performs a prepared request. As http_call_result(). */
int http_call_run(struct http_call *call, long *ret_status);

/* The reply as JSON, to be deleted; NULL when it is not one whole JSON text. */
cJSON *http_call_json(const struct http_call *call);

#endif

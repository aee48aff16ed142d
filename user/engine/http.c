// SPDX-License-Identifier: GPL-2.0
#include "engine/http.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "leave.h"
#include "util.h"

#define GRACE_NS	   NS_PER_S
#define CONNECT_TIMEOUT_MS 2000L
#define HEAD_LIMIT	   (64UL << 10)

static size_t receive(char *data, size_t size, size_t count, void *user)
{
	struct http_call *call = user;
	size_t more = size * count;

	if (more > call->limit - call->size)
		return 0;
	if (call->size + more >= call->room) {
		size_t room = 2 * (call->size + more + 1);
		char *larger = realloc(call->body, room);

		if (!larger)
			return 0;
		call->body = larger;
		call->room = room;
	}
	memcpy(call->body + call->size, data, more);
	call->size += more;
	call->body[call->size] = '\0';
	return more;
}

/* Lines of headers without end are never a body that has a cap. */
static size_t count_head(char *data, size_t size, size_t count, void *user)
{
	struct http_call *call = user;

	(void)data;
	call->head += size * count;
	return call->head > HEAD_LIMIT ? 0 : size * count;
}

int http_call_init(struct http_call *call, const char *unix_socket)
{
	*call = (struct http_call){.easy = curl_easy_init()};
	if (!call->easy)
		return -ENOMEM;
	call->headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (!call->headers ||
	    curl_easy_setopt(call->easy, CURLOPT_UNIX_SOCKET_PATH, unix_socket) != CURLE_OK) {
		http_call_free(call);
		return -ENOMEM;
	}
	curl_easy_setopt(call->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(call->easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(call->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(call->easy, CURLOPT_HEADERFUNCTION, count_head);
	curl_easy_setopt(call->easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	return 0;
}

void http_call_free(struct http_call *call)
{
	curl_easy_cleanup(call->easy);
	curl_slist_free_all(call->headers);
	free(call->body);
	*call = (struct http_call){};
}

int http_call_set(struct http_call *call, const char *method, const char *url, const char *json,
		  long timeout_ms)
{
	CURL *easy = call->easy;

	free(call->body);
	call->body = NULL;
	call->size = 0;
	call->room = 0;
	call->head = 0;
	call->limit = HTTP_REPLY_LIMIT;
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	/* HTTPGET undoes what an earlier request with a body has set. */
	curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, json ? call->headers : NULL);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
	if (json && curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, json) != CURLE_OK)
		return -ENOMEM;
	if (curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method) != CURLE_OK ||
	    curl_easy_setopt(easy, CURLOPT_URL, url) != CURLE_OK)
		return -ENOMEM;
	return 0;
}

int http_call_result(const struct http_call *call, CURLcode code, long *ret_status)
{
	switch (code) {
	case CURLE_OK:
		curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, ret_status);
		return 0;
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_ABORTED_BY_CALLBACK:
		return -ECONNRESET;
	case CURLE_WRITE_ERROR:
		return -EFBIG;
	default:
		return -EIO;
	}
}

void http_call_limit(struct http_call *call, long timeout_ms)
{
	curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, timeout_ms);
}

static bool is_over(const struct http_call *call)
{
	uint64_t now_ns = boottime_ns(), asked_ns = leave_asked_ns();

	if (call->end_ns) {
		uint64_t end_ns = atomic_load(call->end_ns);

		return end_ns && now_ns >= end_ns;
	}
	return asked_ns && call->began_ns < asked_ns && now_ns - asked_ns >= GRACE_NS;
}

/* Called about once a second, and when a signal interrupts the wait. */
static int give_up(void *user, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
		   curl_off_t up)
{
	struct http_call *call = user;

	(void)down_total;
	(void)down;
	(void)up_total;
	(void)up;
	call->given_up = is_over(call);
	return call->given_up;
}

int http_call_run(struct http_call *call, long *ret_status)
{
	CURLcode code;

	call->began_ns = boottime_ns();
	call->given_up = false;
	curl_easy_setopt(call->easy, CURLOPT_XFERINFOFUNCTION, give_up);
	curl_easy_setopt(call->easy, CURLOPT_XFERINFODATA, call);
	curl_easy_setopt(call->easy, CURLOPT_NOPROGRESS, 0L);
	code = curl_easy_perform(call->easy);
	return http_call_result(call, call->given_up ? CURLE_OPERATION_TIMEDOUT : code, ret_status);
}

cJSON *http_call_json(const struct http_call *call)
{
	const char *end;
	cJSON *json;

	if (!call->body)
		return NULL;
	json = cJSON_ParseWithLengthOpts(call->body, call->size, &end, 0);
	if (json && strspn(end, " \t\r\n") != call->size - (size_t)(end - call->body)) {
		cJSON_Delete(json);
		return NULL;
	}
	return json;
}

int json_member(const cJSON *object, const char *name, const cJSON **ret)
{
	const cJSON *item, *found = NULL;

	if (!cJSON_IsObject(object))
		return -EBADMSG;
	cJSON_ArrayForEach(item, object) {
		if (strcmp(item->string, name))
			continue;
		if (found)
			return -EBADMSG;
		found = item;
	}
	*ret = cJSON_IsNull(found) ? NULL : found;
	return 0;
}

int json_string(const cJSON *object, const char *name, bool optional, const char **ret)
{
	const cJSON *item;
	int err = json_member(object, name, &item);

	if (!err && (item ? !cJSON_IsString(item) : !optional))
		err = -EBADMSG;
	if (!err)
		*ret = cJSON_GetStringValue(item);
	return err;
}

// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/docker.h"
#include "unit.h"
#include "util.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct http_call reply(const char *body)
{
	return (struct http_call){.body = (char *)body, .size = strlen(body)};
}

static void reads_an_inspection(void **state)
{
	struct docker_state s = {};
	struct http_call call = reply(
		"{\"Id\":\"" ID
		"\",\"Name\":\"/N2Cnmb5c\",\"State\":{\"Status\":\"running\",\"StartedAt\":\"2026Z\"},"
		"\"Config\":{\"Labels\":{\"cmgr.managed\":\"true\",\"cmgr.protect\":\"no\"}}}\n");

	(void)state;
	assert_int_equal(docker_inspect_result(&call, 200, &s), 0);
	assert_string_equal(s.id, ID);
	assert_string_equal(s.name, "N2Cnmb5c");
	assert_string_equal(s.started_at, "2026Z");
	assert_true(s.running);
	assert_true(s.managed);
	assert_false(s.labelled_protect);
	assert_false(s.auto_remove);
	docker_state_free(&s);
}

static void refuses_other_inspections(void **state)
{
	static const struct {
		long status;
		const char *body;
		int err;
	} rows[] = {
		{404, "{\"message\":\"No such container\"}", -ENOENT},
		{500, "{}", -EIO},
		{200, "", -EBADMSG},
		{200, "{", -EBADMSG},
		{200, "[]", -EBADMSG},
		{200, "{\"Id\":\"" ID "\"}", -EBADMSG},
		{200, "{\"Id\":7,\"State\":{\"Status\":\"running\",\"StartedAt\":\"x\"}}",
		 -EBADMSG},
		{200, "{\"Id\":\"0123\",\"State\":{\"Status\":\"running\",\"StartedAt\":\"x\"}}",
		 -EBADMSG},
		{200, "{\"Id\":\"" ID "\",\"State\":{\"Status\":1,\"StartedAt\":\"x\"}}", -EBADMSG},
		{200,
		 "{\"Id\":\"" ID "\",\"State\":{\"Status\":\"running\",\"StartedAt\":\"x\"}} {}",
		 -EBADMSG},
		{200, "{\"id\":\"" ID "\",\"state\":{\"status\":\"running\",\"startedat\":\"x\"}}",
		 -EBADMSG},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct http_call call = reply(rows[i].body);
		struct docker_state s = {};

		if (docker_inspect_result(&call, rows[i].status, &s) != rows[i].err)
			fail_msg("row %zu: %s", i, rows[i].body);
	}
}

static void only_a_running_container_is_running(void **state)
{
	static const char *const others[] = {"paused", "restarting", "removing", "exited", "dead"};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		struct docker_state s = {};
		_cleanup_free_ char *body = format_text(
			"{\"Id\":\"" ID
			"\",\"Name\":\"/x\",\"State\":{\"Status\":\"%s\",\"StartedAt\":\"x\"},"
			"\"Config\":{\"Labels\":null}}",
			others[i]);
		struct http_call call = reply(body);

		assert_int_equal(docker_inspect_result(&call, 200, &s), 0);
		assert_false(s.running);
		assert_false(s.managed);
		docker_state_free(&s);
	}
}

static void judges_what_came_of_an_action(void **state)
{
	static const struct {
		enum action action;
		long status;
		const char *body;
		enum docker_result result;
	} rows[] = {
		{ACTION_REMOVE, 204, "", DOCKER_DONE},
		{ACTION_STOP, 304, "", DOCKER_DONE},
		{ACTION_REMOVE, 304, "", DOCKER_REFUSED},
		{ACTION_REMOVE, 404, "{\"message\":\"No such container\"}", DOCKER_GONE},
		{ACTION_REMOVE, 409,
		 "{\"message\":\"removal of container x is already in progress\"}",
		 DOCKER_REMOVING},
		{ACTION_PAUSE, 409, "{\"message\":\"Container x is already paused\"}", DOCKER_DONE},
		{ACTION_STOP, 409, "{\"message\":\"Container x is already paused\"}",
		 DOCKER_REFUSED},
		{ACTION_REMOVE, 409, "{\"message\":\"You cannot remove a running container\"}",
		 DOCKER_REFUSED},
		{ACTION_REMOVE, 409, "no JSON", DOCKER_REFUSED},
		{ACTION_REMOVE, 500, "{\"message\":\"driver failed\"}", DOCKER_REFUSED},
		{ACTION_REMOVE, 200, "", DOCKER_REFUSED},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct http_call call = reply(rows[i].body);

		if (docker_action_result(&call, rows[i].action, rows[i].status) != rows[i].result)
			fail_msg("row %zu: %ld %s", i, rows[i].status, rows[i].body);
	}
}

static void only_unix_urls(void **state)
{
	static const char *const urls[] = {"tcp://127.0.0.1:2375", "unix://relative", "unix://",
					   "/var/run/docker.sock", "ssh://host",      ""};
	struct docker *docker;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(urls); i++)
		assert_int_equal(docker_open(urls[i], 0, &docker), -EPROTONOSUPPORT);
	assert_int_equal(docker_open("unix:///nonexistent", 0, &docker), -ECONNREFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_an_inspection),
		cmocka_unit_test(refuses_other_inspections),
		cmocka_unit_test(only_a_running_container_is_running),
		cmocka_unit_test(judges_what_came_of_an_action),
		cmocka_unit_test(only_unix_urls),
	};

	return cmocka_run_group_tests_name("docker", tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "own.h"
#include "unit.h"
#include "util.h"

#define ID    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define MOUNT "812 790 254:1 /var/lib/docker/containers/"

static char root[] = "/tmp/cmgr-own.XXXXXX";

static void put(const char *path, const char *text)
{
	_cleanup_free_ char *full = format_text("%s%s", root, path);

	if (text)
		assert_int_equal(write_file(full, text, 0644), 0);
	else
		unlink(full);
}

struct own {
	const char *cgroup, *mountinfo; /* NULL: there is none */
	const char *id;			/* "": none is found */
	bool by_cgroup_id;
};

static const struct own rows[] = {
	/* The host's cgroups, of either driver, and a host with both versions. */
	{"0::/system.slice/docker-" ID ".scope\n", NULL, ID, false},
	{"0::/docker/" ID "\n", NULL, ID, false},
	{"0::/system.slice/docker-" ID ".scope/init\n", NULL, ID, false},
	{"12:cpu:/docker/" OTHER "\n0::/docker/" ID "\n", NULL, ID, false},
	/* A namespace of its own. */
	{"0::/\n", NULL, "", true},
	{"0::/\n", "800 1 0:5 / /proc rw - proc proc rw\n", "", true},
	{"0::/\n", MOUNT ID "/hostname /etc/hostname rw,relatime - ext4 /dev/vda1 rw\n", ID, true},
	{"0::/\n",
	 "800 1 0:5 / /proc rw - proc proc rw\n" MOUNT OTHER
	 "/resolv.conf /etc/resolv.conf rw - x x x\n"
	 "813 790 0:4 /containers/" ID "/hostname /etc/hostname rw - ext4 /dev/vdb rw",
	 ID, true},
	{"0::/\n",
	 "813 790 0:4 /containers/storage/overlay-containers/" ID
	 "/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw\n",
	 ID, true},
	/* What the cgroup tells goes first. */
	{"0::/docker/" ID "\n", MOUNT OTHER "/hostname /etc/hostname rw - x x x\n", ID, false},
	/* Other files, other folders, half an ID, half a line. */
	{"0::/\n", MOUNT ID "/hostname /etc/hostnames rw - x x x\n", "", true},
	{"0::/\n", "812 790 254:1 /srv/" ID "/hostname /etc/hostname rw - x x x\n", "", true},
	{"0::/\n", "812 790 254:1 /" ID " /etc/hostname rw - x x x\n", "", true},
	{"0::/\n", MOUNT "0123/hostname /etc/hostname rw - x x x\n", "", true},
	{"0::/\n", MOUNT ID "/hostname", "", true},
	{"0::/\n", "812 790\n\n \n", "", true},
	/* No container. */
	{"0::/system.slice/cmgr-bpf.service\n", NULL, "", true},
	{"1:name=systemd:/\n", NULL, "", true},
	{NULL, NULL, "", true},
};

static void finds_itself(void **state)
{
	_cleanup_free_ char *cgroups = format_text("%s/sys/fs/cgroup", root);
	struct stat st;
	size_t i;

	(void)state;
	assert_int_equal(stat(cgroups, &st), 0);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct policy policy = {};

		put("/proc/self/cgroup", rows[i].cgroup);
		put("/proc/self/mountinfo", rows[i].mountinfo);
		find_own_container(root, &policy);
		if (strcmp(policy.own_id, rows[i].id) ||
		    policy.own_cgroup_id != (rows[i].by_cgroup_id ? st.st_ino : 0))
			fail_msg("row %zu: '%s'", i, policy.own_id);
	}
}

static int make_root(void **state)
{
	static const char *const folders[] = {"/proc", "/proc/self", "/sys", "/sys/fs",
					      "/sys/fs/cgroup"};
	size_t i;

	(void)state;
	if (!mkdtemp(root))
		return -1;
	for (i = 0; i < ARRAY_SIZE(folders); i++) {
		_cleanup_free_ char *full = format_text("%s%s", root, folders[i]);

		if (mkdir(full, 0755))
			return -1;
	}
	return 0;
}

static int remove_root(void **state)
{
	(void)state;
	return remove_tree(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_itself),
	};

	return cmocka_run_group_tests_name("own", tests, make_root, remove_root);
}

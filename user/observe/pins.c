// SPDX-License-Identifier: GPL-2.0
#include "observe/pins.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <bpf/libbpf.h>

#include "observe/cgroup_cpu.h"
#include "util.h"

#define PIN_CGROUP_CPU CGROUP_CPU_PIN_DIR "/cgroup_cpu"
#define PIN_LOST       CGROUP_CPU_PIN_DIR "/lost"

/* The folder of the pins is also the lock: one daemon a kernel. Its descriptor, or -errno. */
static int try_lock_pins(void)
{
	struct stat held, named;
	int fd = open(CGROUP_CPU_PIN_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &held))
		err = -errno;
	else if (held.st_uid != geteuid())
		err = -EPERM;
	else if (flock(fd, LOCK_EX | LOCK_NB))
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
	else if (stat(CGROUP_CPU_PIN_DIR, &named) || held.st_ino != named.st_ino)
		err = -EAGAIN; /* the one before us has just removed it */
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

static int tell_pins(int err)
{
	if (err == -EBUSY)
		log_line("another cmgr-bpf is running (its pins are in " CGROUP_CPU_PIN_DIR ")");
	else if (err < 0)
		log_line("cannot use the folder " CGROUP_CPU_PIN_DIR ": %s",
			 err == -EPERM ? "it is not root's alone to write; remove it"
				       : strerror(-err));
	return err;
}

int pins_lock(void)
{
	int fd;

	do {
		int err = make_own_dir(CGROUP_CPU_PIN_DIR, 0700);

		if (err)
			return tell_pins(err);
		fd = try_lock_pins();
	} while (fd == -EAGAIN || fd == -ENOENT);
	return tell_pins(fd);
}

static void remove_pins(void)
{
	unlink(PIN_CGROUP_CPU);
	unlink(PIN_LOST);
}

int pins_replace(struct bpf_map *cgroup_cpu, struct bpf_map *lost)
{
	int err;

	remove_pins();
	err = bpf_map__pin(cgroup_cpu, PIN_CGROUP_CPU);
	if (!err)
		err = bpf_map__pin(lost, PIN_LOST);
	return err;
}

void pins_remove(int fd)
{
	remove_pins();
	rmdir(CGROUP_CPU_PIN_DIR);
	close(fd);
}

/* In a BPF file system that all may write to. */
static bool is_others(void)
{
	struct stat st;

	return !lstat(CGROUP_CPU_PIN_DIR, &st) && (st.st_uid != geteuid() || !S_ISDIR(st.st_mode));
}

int cgroup_cpu_unpin(void)
{
	_cleanup_close_ int fd = try_lock_pins();

	if (fd == -ENOENT || fd == -EAGAIN || (fd < 0 && is_others()))
		return 0;
	if (fd < 0)
		return tell_pins(fd);
	remove_pins();
	/* Somebody else's pins may be there. */
	return rmdir(CGROUP_CPU_PIN_DIR) && errno != ENOTEMPTY ? tell_pins(-errno) : 0;
}

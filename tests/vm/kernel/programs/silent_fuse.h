// SPDX-License-Identifier: GPL-2.0
/* A FUSE file system with one file, "file", whose server answers everything but reads. */
#ifndef SILENT_FUSE_H
#define SILENT_FUSE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SILENT_FILE_BYTES (1 << 20)

static void fuse_reply(int fd, uint64_t unique, int error, void *body, size_t bytes)
{
	struct fuse_out_header head = {
		.len = sizeof(head) + bytes, .error = error, .unique = unique};
	struct iovec parts[] = {{&head, sizeof(head)}, {body, bytes}};

	if (writev(fd, parts, 2) < 0 && errno != ENOENT)
		perror("fuse reply");
}

static struct fuse_attr fuse_attr_of(uint64_t node)
{
	bool is_folder = node == FUSE_ROOT_ID;

	return (struct fuse_attr){
		.ino = node,
		.size = is_folder ? 0 : SILENT_FILE_BYTES,
		.mode = is_folder ? S_IFDIR | 0755 : S_IFREG | 0644,
		.nlink = 1,
	};
}

static void fuse_answer(int fd, struct fuse_in_header *in)
{
	struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION,
				     .minor = FUSE_KERNEL_MINOR_VERSION,
				     .flags = FUSE_ASYNC_READ | FUSE_ASYNC_DIO,
				     .max_readahead = 65536,
				     .max_background = 1000,
				     .congestion_threshold = 1000,
				     .max_write = 65536};
	struct fuse_entry_out entry = {
		.nodeid = 2, .entry_valid = 3600, .attr_valid = 3600, .attr = fuse_attr_of(2)};
	struct fuse_attr_out attr = {.attr_valid = 3600, .attr = fuse_attr_of(in->nodeid)};
	struct fuse_open_out opened = {.fh = 1};

	switch (in->opcode) {
	case FUSE_INIT:
		fuse_reply(fd, in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		fuse_reply(fd, in->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		fuse_reply(fd, in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		fuse_reply(fd, in->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		fuse_reply(fd, in->unique, -ENOSYS, NULL, 0);
	}
}

static void fuse_serve(int fd)
{
	static char request[1 << 20] __attribute__((aligned(8)));

	while (read(fd, request, sizeof(request)) > 0 || errno == EINTR || errno == ENOENT)
		fuse_answer(fd, (struct fuse_in_header *)request);
	_exit(0);
}

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

/* Mounts it where only this process and its children see it, and opens the file. */
static int silent_file(int flags)
{
	char folder[] = "/tmp/silent.XXXXXX", options[100], file[64];
	int device = open("/dev/fuse", O_RDWR | O_CLOEXEC), fd;

	if (device < 0 || !mkdtemp(folder))
		die("/dev/fuse");
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("unshare");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
	if (mount("silent", folder, "fuse", 0, options))
		die("mount");
	if (!fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fuse_serve(device);
	}
	close(device);
	snprintf(file, sizeof(file), "%s/file", folder);
	fd = open(file, flags | O_CLOEXEC);
	if (fd < 0)
		die("silent file");
	return fd;
}

#endif

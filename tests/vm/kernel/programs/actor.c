// SPDX-License-Identifier: GPL-2.0
/*
 * A process that makes itself hard to read. Its arguments are anything; what it is told stands in its
 * environment: ROLE, and in hexadecimal COMM (its name) and TEXT. Prints "ready" when it is in place.
 */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "silent_fuse.h"

#define PAGE	   4096UL
#define MAP_BYTES  (16 * PAGE)
#define AIO_DEATHS 100

static char *arguments, *arguments_end, *text;
static size_t text_bytes;

static char *from_hex(const char *hex, size_t *ret_bytes)
{
	char *bytes = calloc(1, strlen(hex) / 2 + 1);

	*ret_bytes = strlen(hex) / 2;
	for (size_t i = 0; i < *ret_bytes; i++)
		if (sscanf(hex + 2 * i, "%2hhx", (unsigned char *)&bytes[i]) != 1)
			die("hexadecimal digits");
	return bytes;
}

/* Tells the kernel that the arguments are elsewhere; @from is below the stack. */
static void move_arguments(char *from, char *to)
{
	if (prctl(PR_SET_MM, PR_SET_MM_ARG_START, from, 0, 0) ||
	    prctl(PR_SET_MM, PR_SET_MM_ARG_END, to, 0, 0))
		die("PR_SET_MM");
}

static char *map(size_t bytes)
{
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		die("mmap");
	return at;
}

static char *map_silent(void)
{
	char *at = mmap(NULL, MAP_BYTES, PROT_READ, MAP_PRIVATE, silent_file(O_RDONLY), 0);

	if (at == MAP_FAILED)
		die("mmap of the silent file");
	return at;
}

static void ready(void)
{
	puts("ready");
	fflush(stdout);
}

static void rest(void)
{
	for (;;)
		pause();
}

static void be_shrunk(void)
{
	if (prctl(PR_SET_MM, PR_SET_MM_ARG_END, arguments, 0, 0))
		die("PR_SET_MM");
}

static void be_rewritten(void)
{
	memcpy(arguments, text, text_bytes);
}

static void be_moved(void)
{
	char *at = map(MAP_BYTES);

	memcpy(at, text, text_bytes);
	move_arguments(at, at + text_bytes);
}

/* The text ends at a page that is not there. */
static void be_before_hole(void)
{
	char *at = map(2 * PAGE);

	munmap(at + PAGE, PAGE);
	at += PAGE - text_bytes;
	memcpy(at, text, text_bytes);
	move_arguments(at, at + 2 * PAGE);
}

/* The text is where a stack would grow to. */
static void be_below_stack(void)
{
	char *at = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);

	if (at == MAP_FAILED)
		die("mmap");
	memset(at, 'x', 3 * PAGE);
	munmap(at, 2 * PAGE);
	move_arguments(at + PAGE, at + 2 * PAGE);
}

static void be_unreadable(void)
{
	char *at = map(PAGE);

	memcpy(at, text, text_bytes);
	move_arguments(at, at + text_bytes);
	mprotect(at, PAGE, PROT_NONE);
}

/* Nothing was ever written there: not a page is present. */
static void be_untouched(void)
{
	char *at = map(MAP_BYTES);

	move_arguments(at, at + MAP_BYTES);
}

static void be_on_fuse(void)
{
	char *at = map_silent();

	move_arguments(at, at + MAP_BYTES);
}

/* The pages that hold nothing but arguments become the silent file's. */
static void be_over_fuse(void)
{
	uintptr_t from = ((uintptr_t)arguments + PAGE - 1) & ~(PAGE - 1);
	size_t bytes = ((uintptr_t)arguments_end - from) & ~(PAGE - 1);
	int fd = silent_file(O_RDONLY);

	if (mmap((void *)from, bytes, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED)
		die("mmap over the arguments");
}

static void *touch(void *at)
{
	return (void *)(uintptr_t) * (volatile char *)at;
}

static void *change_map(void *unused)
{
	for (;;) {
		munmap(map(PAGE), PAGE);
		usleep(1000);
	}
	return unused;
}

static void start_thread(void *(*run)(void *), void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, argument))
		die("pthread_create");
}

/* One thread hangs in a page fault, one wants to change the map meanwhile. */
static void be_faulting(void)
{
	char *at = map_silent();

	move_arguments(at, at + MAP_BYTES);
	start_thread(touch, at);
	start_thread(change_map, NULL);
}

static void hang_reading(void)
{
	int fd = silent_file(O_RDONLY);

	ready();
	if (read(fd, text, 1) < 0)
		rest();
}

static void be_on_userfaultfd(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	char *at = map(MAP_BYTES);
	struct uffdio_register range = {.range = {(uintptr_t)at, MAP_BYTES},
					.mode = UFFDIO_REGISTER_MODE_MISSING};

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range))
		die("userfaultfd");
	move_arguments(at, at + MAP_BYTES);
}

/* By a module of the tests. */
static void hold_mmap_lock(void)
{
	int fd = open("/proc/hold_mmap_lock", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		die("/proc/hold_mmap_lock");
	ready();
	if (write(fd, "x", 1) < 0)
		rest();
}

/* The child has the parent's memory, and the parent waits for it. */
static void wait_for_vforked(void)
{
	ready();
	if (!vfork())
		for (;;)
			syscall(SYS_pause);
	rest();
}

static void *rest_thread(void *unused)
{
	rest();
	return unused;
}

static void leave_zombie_leader(void)
{
	start_thread(rest_thread, NULL);
	ready();
	syscall(SYS_exit, 0);
}

/* The kernel that ends this process's memory has to wait for a read that never ends. */
static void begin_endless_aio(int fd)
{
	struct iocb read_page = {
		.aio_fildes = fd,
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_buf = (uintptr_t)aligned_alloc(PAGE, PAGE),
		.aio_nbytes = PAGE,
	};
	struct iocb *list[] = {&read_page};
	aio_context_t context = 0;

	if (syscall(SYS_io_setup, 1, &context) || syscall(SYS_io_submit, context, 1, list) != 1)
		die("aio");
}

/* Children die one after another, each with its read in flight, after TEXT arrived on the input. */
static void die_with_aio(void)
{
	int fd = silent_file(O_RDONLY | O_DIRECT), go[2], done[2];
	char byte;

	if (pipe(go) || pipe(done))
		die("pipe");
	for (int i = 0; i < AIO_DEATHS; i++) {
		if (fork())
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(go[1]);
		begin_endless_aio(fd);
		if (write(done[1], "x", 1) != 1 || read(go[0], &byte, 1) < 0)
			die("pipe");
		usleep(i * 10000);
		_exit(0);
	}
	for (int i = 0; i < AIO_DEATHS; i++)
		if (read(done[0], &byte, 1) != 1)
			die("a child");
	ready();
	if (read(STDIN_FILENO, &byte, 1) < 0)
		die("input");
	close(go[1]);
	rest();
}

static const struct role {
	const char *name;
	void (*become)(void);
} roles[] = {
	{"rest", NULL},
	{"shrunk", be_shrunk},
	{"rewritten", be_rewritten},
	{"moved", be_moved},
	{"before-hole", be_before_hole},
	{"below-stack", be_below_stack},
	{"unreadable", be_unreadable},
	{"untouched", be_untouched},
	{"fuse", be_on_fuse},
	{"over-fuse", be_over_fuse},
	{"faulting", be_faulting},
	{"hang-reading", hang_reading},
	{"userfaultfd", be_on_userfaultfd},
	{"hold-mmap-lock", hold_mmap_lock},
	{"vfork", wait_for_vforked},
	{"zombie-leader", leave_zombie_leader},
	{"aio", die_with_aio},
};

static void find_arguments(int argc, char **argv)
{
	arguments = argv[0];
	arguments_end = argv[argc - 1] + strlen(argv[argc - 1]) + 1;
}

int main(int argc, char **argv)
{
	const char *role = getenv("ROLE"), *comm = getenv("COMM");
	size_t unused;

	/* Without a single argument, as no shell would start it; the kernel then adds an empty one. */
	if (!strcmp(role, "bare")) {
		setenv("ROLE", "rest", 1);
		execve("/proc/self/exe", (char *[]){NULL}, environ);
	}
	find_arguments(argc, argv);
	text = from_hex(getenv("TEXT"), &text_bytes);
	if (comm && prctl(PR_SET_NAME, from_hex(comm, &unused)))
		die("PR_SET_NAME");
	for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++) {
		if (strcmp(roles[i].name, role))
			continue;
		if (roles[i].become)
			roles[i].become();
		ready();
		rest();
	}
	die(role);
}

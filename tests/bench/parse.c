// SPDX-License-Identifier: GPL-2.0
/* What one reading of a large host costs the daemon: CPU time of snapshot_read(), many times over. */
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "tests/fuzz/print.h"
#include "util.h"

#define CGROUPS	  1000
#define PROCESSES 10000
#define ROUNDS	  201
#define BAR_MS	  10

/* Every tenth cgroup is a host's slice or service, the others are containers. */
static char *path_of(uint64_t i)
{
	if (!i)
		return format_text("/");
	if (!(i % 10))
		return format_text("/system.slice/some-service-%" PRIu64 ".service", i);
	return format_text("/system.slice/docker-%064" PRIx64 ".scope", i * 0x9e3779b97f4a7c15);
}

static char *cmdline_of(uint64_t i)
{
	static const char *const lines[] = {
		"/usr/bin/python3 -m http.server --bind 0.0.0.0 8%03" PRIu64,
		"nginx: worker process %" PRIu64,
		"java -Xmx512m -XX:+UseG1GC -Dserver.port=8080 -Djava.security.egd=file:/dev/./urandom "
		"-jar /srv/app/service-%" PRIu64 ".jar --spring.profiles.active=production",
		"sh -c while true; do echo \"round %" PRIu64 "\"; sleep 1; done",
	};

	return format_text(lines[i % ARRAY_SIZE(lines)], i);
}

static void fill(struct snapshot *s)
{
	uint64_t i;

	s->boottime_ns = 864 * NS_PER_S * 1000;
	s->memory = (struct memory){263921820, 120394108, 180394108};
	for (i = 0; i < CGROUPS; i++)
		s->cgroups[i] = (struct cgroup){.id = 1 + i * 37,
						.usage_kib = 67188 + i * 64,
						.anon_kib = 65536 + i * 32,
						.file_kib = 1024 + i,
						.path = path_of(i)};
	for (i = 0; i < PROCESSES; i++)
		s->processes[i] = (struct process){
			.pid = 1 + i * 3,
			.cgroup_id = s->cgroups[i % CGROUPS].id,
			.start_ns = 587257204 + i * 86400000000,
			.cpu_ns = 9006132 + i * 1000003,
			.vsz_kib = 226000 + i * 4,
			.rss_kib = 14640 + i * 4,
			.comm = i % 3 ? "python3" : "worker thread",
			.cmdline = i % CGROUPS % 10 ? cmdline_of(i) : NULL,
		};
	s->cgroup_count = CGROUPS;
	s->process_count = PROCESSES;
}

static void write_reading(const char *path)
{
	static struct cgroup cgroups[CGROUPS];
	static struct process processes[PROCESSES];
	struct snapshot s = {.cgroups = cgroups, .processes = processes};
	_cleanup_free_ char *text = NULL;
	size_t size;
	int error;

	fill(&s);
	text = snapshot_print(&s, &size);
	error = overwrite_file(path, text, 0600);
	if (error)
		errx(1, "%s: %s", path, strerror(-error));
	printf("%d processes, %d cgroups, %zu KiB of text, %d rounds\n", PROCESSES, CGROUPS,
	       size / 1024, ROUNDS);
}

/* A counter of user instructions, or -1 where there is none. */
static int open_counter(void)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_HARDWARE,
				       .size = sizeof(attr),
				       .config = PERF_COUNT_HW_INSTRUCTIONS,
				       .exclude_kernel = 1,
				       .exclude_hv = 1};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static uint64_t instructions(int counter)
{
	uint64_t value;

	return counter >= 0 && read(counter, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void print_row(const char *what, uint64_t *took_ns, uint64_t instructions_each)
{
	qsort(took_ns, ROUNDS, sizeof(*took_ns), by_value);
	printf("%-16s median %6.2f ms of CPU, %.2f to %.2f", what,
	       (double)took_ns[ROUNDS / 2] / 1e6, (double)took_ns[0] / 1e6,
	       (double)took_ns[ROUNDS - 1] / 1e6);
	if (instructions_each)
		printf(", %.1f million instructions\n", (double)instructions_each / 1e6);
	else
		printf("; no instruction counter here\n");
}

static void read_only(const char *path)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	int error = read_file(path, SIZE_MAX, &text, &size);

	if (error)
		errx(1, "%s: %s", path, strerror(-error));
}

static void read_and_parse(const char *path)
{
	struct snapshot snapshot;
	int error = snapshot_read(path, &snapshot);

	if (error)
		errx(1, "%s: %s", path, strerror(-error));
	snapshot_free(&snapshot);
}

static uint64_t measure(const char *what, void (*run)(const char *), const char *path, int counter)
{
	uint64_t took_ns[ROUNDS], before, i;

	run(path);
	before = instructions(counter);
	for (i = 0; i < ROUNDS; i++) {
		uint64_t start_ns = cpu_ns();

		run(path);
		took_ns[i] = cpu_ns() - start_ns;
	}
	print_row(what, took_ns, (instructions(counter) - before) / ROUNDS);
	return took_ns[ROUNDS / 2];
}

int main(int argc, char **argv)
{
	uint64_t median_ns;
	int counter;

	if (argc != 2)
		errx(2, "usage: parse FILE, which is overwritten");
	counter = open_counter();
	write_reading(argv[1]);
	measure("read", read_only, argv[1], counter);
	median_ns = measure("read and parse", read_and_parse, argv[1], counter);
	printf("bar: under %d ms: %s\n", BAR_MS,
	       median_ns < BAR_MS * NS_PER_MS ? "met" : "NOT MET");
	return 0;
}

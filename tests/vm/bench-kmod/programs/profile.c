// SPDX-License-Identifier: GPL-2.0
/*
 * profile SECONDS < /proc/kallsyms
 *
 * Reads /proc/sysinfo again and again while a clock takes samples of this process's kernel stack.
 * Prints what the fastest of some readings took in ns, and the shares of the samples in 1/100 %:
 *
 *   reading <ns>
 *   samples <count>
 *   part <share> <function of the module, or - outside of it> <what it called, or - for itself>
 *   leaf <share> <function that ran>
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS   250000
#define RING_PAGES  512
#define SYMBOLS_MAX 400000
#define COUNTS_MAX  1024
#define NS	    1000000000LL
#define READINGS    20

struct symbol {
	uint64_t address;
	char name[56];
	bool ours;
};

struct count {
	const char *by, *name;
	unsigned int samples;
};

struct sample {
	struct perf_event_header header;
	uint64_t depth;
	uint64_t address[];
};

struct table {
	struct count counts[COUNTS_MAX];
	unsigned int used;
};

static struct symbol *symbols;
static size_t symbol_count;
static struct table parts, leaves;
static unsigned int samples;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int by_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return (x->address > y->address) - (x->address < y->address);
}

/* "ffffffffc0a81000 t show_process	[sysinfo]" */
static void load_symbols(void)
{
	char line[512], type, module[64];

	symbols = calloc(SYMBOLS_MAX, sizeof(*symbols));
	if (!symbols)
		die("symbols");
	while (symbol_count < SYMBOLS_MAX && fgets(line, sizeof(line), stdin)) {
		struct symbol *symbol = &symbols[symbol_count];
		int fields = sscanf(line, "%lx %c %55s %63s", &symbol->address, &type, symbol->name,
				    module);

		if (fields < 3 || !strchr("tTwW", type))
			continue;
		symbol->ours = fields == 4 && !strcmp(module, "[sysinfo]");
		symbol_count++;
	}
	qsort(symbols, symbol_count, sizeof(*symbols), by_address);
}

static const struct symbol *symbol_at(uint64_t address)
{
	size_t low = 0, high = symbol_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (symbols[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &symbols[low - 1] : &symbols[0];
}

static void count_in(struct table *table, const char *by, const char *name)
{
	struct count *count = table->counts;

	for (; count < table->counts + table->used; count++)
		if (count->by == by && count->name == name)
			break;
	if (count == table->counts + table->used) {
		if (table->used == COUNTS_MAX)
			return;
		table->used++;
		*count = (struct count){.by = by, .name = name};
	}
	count->samples++;
}

static void take_sample(const struct sample *sample)
{
	static const char none[] = "-";
	const char *by = none, *below = none, *leaf = NULL;
	uint64_t i;

	for (i = 0; i < sample->depth; i++) {
		const struct symbol *symbol;

		if (sample->address[i] >= PERF_CONTEXT_MAX)
			continue;
		symbol = symbol_at(sample->address[i]);
		if (!leaf)
			leaf = symbol->name;
		if (symbol->ours) {
			by = symbol->name;
			break;
		}
		below = symbol->name;
	}
	if (!leaf)
		return;
	samples++;
	count_in(&leaves, none, leaf);
	count_in(&parts, by, by == none ? none : below);
}

static void drain(struct perf_event_mmap_page *ring)
{
	static union {
		struct sample sample;
		char bytes[65536];
	} copy;
	const char *data = (char *)ring + ring->data_offset;
	uint64_t head = __atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = ring->data_tail, i;

	while (tail < head) {
		const struct perf_event_header *header =
			(const void *)(data + tail % ring->data_size);

		for (i = 0; i < header->size; i++)
			copy.bytes[i] = data[(tail + i) % ring->data_size];
		if (copy.sample.header.type == PERF_RECORD_SAMPLE)
			take_sample(&copy.sample);
		tail += copy.sample.header.size;
	}
	__atomic_store_n(&ring->data_tail, tail, __ATOMIC_RELEASE);
}

static struct perf_event_mmap_page *open_clock(int *ret_fd)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = PERIOD_NS,
		.sample_type = PERF_SAMPLE_CALLCHAIN,
		.exclude_user = 1,
		.exclude_callchain_user = 1,
		.disabled = 1,
	};
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *ring;
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		die("perf_event_open");
	ring = mmap(NULL, page * (1 + RING_PAGES), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED)
		die("ring");
	*ret_fd = fd;
	return ring;
}

static long long clock_ns(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		die("clock_gettime");
	return ts.tv_sec * NS + ts.tv_nsec;
}

static long long one_reading_ns(void)
{
	static char buffer[1024 * 1024];
	long long start_ns = clock_ns(CLOCK_MONOTONIC);
	int fd = open("/proc/sysinfo", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("/proc/sysinfo");
	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
	close(fd);
	return clock_ns(CLOCK_MONOTONIC) - start_ns;
}

static int by_samples(const void *a, const void *b)
{
	const struct count *x = a, *y = b;

	return (x->samples < y->samples) - (x->samples > y->samples);
}

static void print_table(const char *name, struct table *table, bool with_caller)
{
	struct count *count = table->counts;

	qsort(table->counts, table->used, sizeof(*count), by_samples);
	for (; count < table->counts + table->used; count++) {
		printf("%s %u ", name, count->samples * 10000U / samples);
		if (with_caller)
			printf("%s ", count->by);
		printf("%s\n", count->name);
	}
}

int main(int argc, char **argv)
{
	long long plain_ns, end_ns;
	struct perf_event_mmap_page *ring;
	int fd, i, seconds = argc > 1 ? atoi(argv[1]) : 10;

	load_symbols();
	/* The samples cost time themselves: what a reading costs is measured before they begin. */
	for (plain_ns = one_reading_ns(), i = 1; i < READINGS; i++) {
		long long ns = one_reading_ns();

		plain_ns = ns < plain_ns ? ns : plain_ns;
	}
	ring = open_clock(&fd);
	end_ns = clock_ns(CLOCK_MONOTONIC) + seconds * NS;
	while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
		ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
		one_reading_ns();
		ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
		drain(ring);
	}
	if (!samples) {
		fputs("profile: not one sample\n", stderr);
		return 1;
	}
	printf("reading %lld\nsamples %u\n", plain_ns, samples);
	print_table("part", &parts, true);
	print_table("leaf", &leaves, false);
	return 0;
}

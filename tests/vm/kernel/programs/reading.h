// SPDX-License-Identifier: GPL-2.0
/*
 * A strict judge of readings of /proc/sysinfo, fed with pieces of any size.
 *
 *   reading_begin(r, PART_WHOLE); reading_feed(r, bytes, n)...; reading_end(r);
 *
 * Each returns 0, or -1 with what is wrong in r->fault. What has to be in every whole reading, just
 * once and as the same process or cgroup each time, is listed in a file: "process PID", "cgroup ID".
 */
#ifndef READING_H
#define READING_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES   (256 << 10)
#define PID_LIMIT    (4 << 20)
#define CGROUP_SLOTS (1 << 16)

enum part {
	PART_WHOLE, /* from the first byte to the last */
	PART_HEAD,  /* from the first byte, abandoned later */
	PART_TAIL,  /* from some byte inside; the line that it is in cannot be judged */
};

enum stage { BEFORE_HEAD, BEFORE_MEMORY, IN_CGROUPS, IN_PROCESSES, ENDED };

struct lasting {
	uint64_t id;	   /* PID, or cgroup id */
	uint64_t start_ns; /* of a process; 0 before it was first seen */
	uint64_t cpu_ns;
	uint32_t round;
};

struct reading {
	enum part part;
	enum stage stage;
	uint32_t round;
	bool skipping; /* to the end of the line that a tail begins in */
	size_t length;
	uint64_t boottime_ns, bytes;
	unsigned long cgroups, processes, lasting_seen;
	struct lasting *processes_lasting, *cgroups_lasting;
	size_t n_processes, n_cgroups;
	uint32_t *pid_round; /* in which reading a PID was last seen */
	struct lasting **pid_lasting;
	struct lasting *cgroup_slots; /* a hash of the ids in this reading */
	char line[LINE_BYTES], fault[512];
};

static int fault(struct reading *r, const char *what)
{
	snprintf(r->fault, sizeof(r->fault),
		 "%s after %lu cgroups, %lu processes, %" PRIu64 " bytes: %.200s", what, r->cgroups,
		 r->processes, r->bytes, r->line);
	return -1;
}

/* Goes on to the field behind the blank at @s, or stays at the end of the line. */
static int skip_blank(char **at, char *s)
{
	if (*s == ' ' ? !s[1] : *s != '\0')
		return -1;
	*at = *s ? s + 1 : s;
	return 0;
}

/* "12 …": a number as printf() writes it, and the blank or the end behind it. */
static int take_number(char **at, uint64_t *ret)
{
	char *s = *at;
	uint64_t n = 0;

	if (*s < '0' || *s > '9' || (*s == '0' && s[1] >= '0' && s[1] <= '9'))
		return -1;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
			return -1;
	if (skip_blank(at, s))
		return -1;
	*ret = n;
	return 0;
}

static int take_numbers(char **at, uint64_t *ret, int n)
{
	for (int i = 0; i < n; i++)
		if (!**at || take_number(at, &ret[i]))
			return -1;
	return 0;
}

/* "\040a\n …": printable bytes and escapes, at least one, and the blank or the end behind them. */
static int take_text(char **at)
{
	char *s = *at;

	while (*s > ' ' && *s <= '~') {
		if (*s != '\\') {
			s++;
		} else if (s[1] && strchr("nrtvfae\\\"", s[1])) {
			s += 2;
		} else if (s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
			   s[3] >= '0' && s[3] <= '7') {
			s += 4;
		} else {
			return -1;
		}
	}
	return s == *at ? -1 : skip_blank(at, s);
}

/* The slot of a cgroup's id; one that this reading has not had yet has another round. */
static struct lasting *cgroup_slot(struct reading *r, uint64_t id)
{
	uint64_t i = id * 0x9e3779b97f4a7c15ULL >> 48;

	while (r->cgroup_slots[i].round == r->round && r->cgroup_slots[i].id != id)
		i = (i + 1) % CGROUP_SLOTS;
	return &r->cgroup_slots[i];
}

/* "12 1024 512 256 /path" */
static int judge_cgroup(struct reading *r, char *at)
{
	struct lasting *slot;
	uint64_t number[4];

	if (r->stage != IN_CGROUPS || take_numbers(&at, number, 4) || take_text(&at) || *at)
		return fault(r, "bad cgroup record");
	slot = cgroup_slot(r, number[0]);
	if (slot->round == r->round)
		return fault(r, "cgroup twice");
	slot->id = number[0];
	slot->round = r->round;
	r->cgroups++;
	return 0;
}

/* start_ns tells one process from the next with its PID; CPU time never goes back. */
static int judge_lasting(struct reading *r, struct lasting *l, uint64_t start_ns, uint64_t cpu_ns)
{
	r->lasting_seen++;
	if (l->start_ns && l->start_ns != start_ns)
		return fault(r, "lasting process has another start");
	if (l->cpu_ns > cpu_ns)
		return fault(r, "lasting process lost CPU time");
	l->start_ns = start_ns;
	l->cpu_ns = cpu_ns;
	return 0;
}

/* "1 12 1000 2000 300 40 comm cmdline" */
static int judge_process(struct reading *r, char *at)
{
	uint64_t number[6];

	if (r->stage != IN_CGROUPS && r->stage != IN_PROCESSES)
		return fault(r, "process record out of place");
	r->stage = IN_PROCESSES;
	if (take_numbers(&at, number, 6) || take_text(&at) || !*at || take_text(&at) || *at ||
	    !number[0] || number[0] >= PID_LIMIT)
		return fault(r, "bad process record");
	if (r->pid_round[number[0]] == r->round)
		return fault(r, "process twice");
	r->pid_round[number[0]] = r->round;
	r->processes++;
	if (r->pid_lasting[number[0]])
		return judge_lasting(r, r->pid_lasting[number[0]], number[2], number[3]);
	return 0;
}

/* "10 5000" */
static int judge_end(struct reading *r, char *at)
{
	bool tail = r->part == PART_TAIL;
	uint64_t number[2];

	if (take_numbers(&at, number, 2) || *at)
		return fault(r, "bad end record");
	r->stage = ENDED;
	if (tail ? number[0] < r->cgroups || number[1] < r->processes
		 : number[0] != r->cgroups || number[1] != r->processes)
		return fault(r, "wrong counts at the end");
	if (tail)
		return 0;
	if (r->lasting_seen != r->n_processes)
		return fault(r, "lasting process missing");
	for (size_t i = 0; i < r->n_cgroups; i++)
		if (cgroup_slot(r, r->cgroups_lasting[i].id)->round != r->round)
			return fault(r, "lasting cgroup missing");
	return 0;
}

/* "sysinfo 1 123", then "memory 4 2 3" */
static int judge_first(struct reading *r)
{
	char *at = r->line + strlen("sysinfo 1 ");
	uint64_t number[3];

	if (r->stage == BEFORE_HEAD) {
		if (strncmp(r->line, "sysinfo 1 ", 10) || take_numbers(&at, number, 1) || *at ||
		    number[0] < r->boottime_ns)
			return fault(r, "bad head");
		r->boottime_ns = number[0];
		r->stage = BEFORE_MEMORY;
		return 0;
	}
	at = r->line + strlen("memory ");
	if (strncmp(r->line, "memory ", 7) || take_numbers(&at, number, 3) || *at ||
	    number[1] > number[0] || number[2] > number[0])
		return fault(r, "bad memory record");
	r->stage = IN_CGROUPS;
	return 0;
}

static int judge_line(struct reading *r)
{
	r->line[r->length] = '\0';
	if (strlen(r->line) != r->length)
		return fault(r, "NUL in line");
	r->length = 0;
	if (r->skipping) {
		r->skipping = false;
		return 0;
	}
	/* A tail may begin in the very first line. */
	if (r->part == PART_TAIL && !r->cgroups && !strncmp(r->line, "memory ", 7))
		r->stage = BEFORE_MEMORY;
	if (r->stage < IN_CGROUPS)
		return judge_first(r);
	if (r->stage == ENDED)
		return fault(r, "line after the end");
	if (!strncmp(r->line, "cgroup ", 7))
		return judge_cgroup(r, r->line + 7);
	if (!strncmp(r->line, "process ", 8))
		return judge_process(r, r->line + 8);
	if (!strncmp(r->line, "end ", 4))
		return judge_end(r, r->line + 4);
	return fault(r, "unknown record");
}

static void reading_begin(struct reading *r, enum part part)
{
	r->part = part;
	r->stage = part == PART_TAIL ? IN_CGROUPS : BEFORE_HEAD;
	r->skipping = part == PART_TAIL;
	r->round++;
	r->length = r->bytes = r->cgroups = r->processes = r->lasting_seen = 0;
}

static int reading_feed(struct reading *r, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		r->bytes++;
		if (bytes[i] == '\n') {
			if (judge_line(r))
				return -1;
			continue;
		}
		if (r->length == LINE_BYTES - 1) {
			r->line[r->length] = '\0';
			return fault(r, "line too long");
		}
		r->line[r->length++] = bytes[i];
	}
	return 0;
}

/* read() has returned 0 */
static int reading_end(struct reading *r)
{
	r->line[r->length] = '\0';
	/* A tail may begin behind the end, or in the last line. */
	if (r->part == PART_TAIL && r->skipping && !r->length)
		return 0;
	if (r->part == PART_TAIL && r->stage == IN_CGROUPS && !r->cgroups && !r->length)
		return 0;
	return r->stage == ENDED && !r->length ? 0 : fault(r, "no end");
}

/* Reads what lasts from a file; "-" is an empty one. */
static struct reading *reading_new(const char *list)
{
	struct reading *r = calloc(1, sizeof(*r));
	FILE *file = strcmp(list, "-") ? fopen(list, "re") : NULL;
	char kind[16];
	uint64_t id;

	r->pid_round = calloc(PID_LIMIT, sizeof(*r->pid_round));
	r->pid_lasting = calloc(PID_LIMIT, sizeof(struct lasting *));
	r->cgroup_slots = calloc(CGROUP_SLOTS, sizeof(*r->cgroup_slots));
	r->processes_lasting = calloc(PID_LIMIT, sizeof(struct lasting));
	r->cgroups_lasting = calloc(CGROUP_SLOTS, sizeof(struct lasting));
	while (file && fscanf(file, "%15s %" SCNu64, kind, &id) == 2) {
		if (!strcmp(kind, "process")) {
			r->pid_lasting[id] = &r->processes_lasting[r->n_processes];
			r->processes_lasting[r->n_processes++].id = id;
		} else {
			r->cgroups_lasting[r->n_cgroups++].id = id;
		}
	}
	if (file)
		fclose(file);
	return r;
}

#endif

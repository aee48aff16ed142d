// SPDX-License-Identifier: GPL-2.0
#include "report/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "decide/rank.h"
#include "report/rows.h"
#include "util.h"

/* A container and the number that stands for it in the file. */
struct numbered {
	uint64_t number;
	bool listed;
	struct container is; /* who it is, and no more */
};

struct recording {
	char *path;
	int fd;
	uint64_t numbers; /* given so far */
	struct numbered *containers;
	size_t count;
	/* The block that is being made; NULL: none */
	FILE *out;
	char *text;
	size_t size;
};

uint64_t recording_checksum(const char *text, size_t size)
{
	uint64_t hash = 0xcbf29ce484222325;
	size_t i;

	for (i = 0; i < size; i++)
		hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3;
	return hash;
}

size_t recording_whole(const char *text, size_t size)
{
	const char *newline = memrchr(text, '\n', size);

	while (newline) {
		size_t end = (size_t)(newline - text) + 1, start;

		newline = memrchr(text, '\n', end - 1);
		start = newline ? (size_t)(newline - text) + 1 : 0;
		if (end - start > 4 && !memcmp(text + start, "end ", 4))
			return end;
	}
	return 0;
}

/* As much of a name and version as there is has to be ours: nothing else is ever cut. */
static bool is_recording(const char *text, size_t size)
{
	static const char head[] = RECORDING_NAME " 1\n";
	size_t length = size < strlen(head) ? size : strlen(head);

	return !memcmp(text, head, length);
}

static int cut_tail(int fd, const char *path, size_t size)
{
	size_t whole;
	char *text;
	bool ours;

	if (!size)
		return 0;
	text = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		return -errno;
	ours = is_recording(text, size);
	whole = recording_whole(text, size);
	munmap(text, size);
	if (!ours)
		return -EBADMSG;
	if (whole == size)
		return 0;
	log_line("%s: %zu bytes of an unfinished block are cut off its end", path, size - whole);
	return ftruncate(fd, (off_t)whole) ? -errno : 0;
}

/* A regular file of our own that nobody else writes now. */
static int take(int fd, const char *path)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1)
		return -EPERM;
	if (flock(fd, LOCK_EX | LOCK_NB) || fchmod(fd, 0600))
		return -errno;
	return fstat(fd, &st) ? -errno : cut_tail(fd, path, (size_t)st.st_size);
}

static const char *open_error(int err)
{
	if (err == -EPERM || err == -ELOOP)
		return "it is no file of our own";
	if (err == -EBADMSG)
		return "it is something else than a recording of version 1";
	return err == -EWOULDBLOCK ? "another cmgr-bpf records there" : strerror(-err);
}

int recording_open(const char *path, struct recording **ret)
{
	struct recording *recording = calloc(1, sizeof(*recording));
	int err = -ENOMEM;

	if (recording) {
		recording->fd = open(
			path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
			0600);
		err = take(recording->fd, path);
		recording->path = strdup(path);
		if (!err && !recording->path)
			err = -ENOMEM;
	}
	if (err) {
		log_line("cannot record in %s: %s", path, open_error(err));
		recording_close(recording);
		return err;
	}
	*ret = recording;
	return 0;
}

static void forget_block(struct recording *recording)
{
	if (recording->out)
		fclose(recording->out);
	free(recording->text);
	recording->out = NULL;
	recording->text = NULL;
}

static void numbered_free(struct numbered *numbered)
{
	free(numbered->is.name);
	free(numbered->is.image);
	free(numbered->is.started_at);
}

void recording_close(struct recording *recording)
{
	size_t i;

	if (!recording)
		return;
	forget_block(recording);
	for (i = 0; i < recording->count; i++)
		numbered_free(&recording->containers[i]);
	free(recording->containers);
	if (recording->fd >= 0)
		close(recording->fd);
	free(recording->path);
	free(recording);
}

/* A window without its reading cannot be decided again: what comes later is left out, too. */
static void give_up(struct recording *recording, int err)
{
	log_line("nothing more is recorded in %s: %s", recording->path, strerror(-err));
	forget_block(recording);
	close(recording->fd);
	recording->fd = -1;
}

static bool begin_block(struct recording *recording)
{
	if (!recording || recording->fd < 0)
		return false;
	forget_block(recording);
	recording->out = open_memstream(&recording->text, &recording->size);
	if (!recording->out)
		give_up(recording, -ENOMEM);
	return recording->out;
}

/* All of it or nothing. */
static int append(int fd, const char *text, size_t size)
{
	off_t start = lseek(fd, 0, SEEK_END);
	ssize_t written;
	int err;

	if (start >= 0 && start + (off_t)size > RECORDING_LIMIT)
		return -EFBIG;
	written = start < 0 ? -1 : write(fd, text, size);
	err = written < 0 ? -errno : (size_t)written == size ? 0 : -ENOSPC;
	if (err && start >= 0 && ftruncate(fd, start))
		log_line("cannot cut off what was recorded in part: %s", strerror(errno));
	return err;
}

static size_t count_lines(const char *text, size_t size)
{
	const char *end = text + size;
	size_t lines = 0;

	while ((text = memchr(text, '\n', (size_t)(end - text)))) {
		text++;
		lines++;
	}
	return lines;
}

static void end_block(struct recording *recording)
{
	int err = 0;

	if (fflush(recording->out)) {
		give_up(recording, -ENOMEM);
		return;
	}
	fprintf(recording->out, "end %zu %016" PRIx64 "\n",
		count_lines(recording->text, recording->size),
		recording_checksum(recording->text, recording->size));
	if (ferror(recording->out) || fclose(recording->out))
		err = -ENOMEM;
	recording->out = NULL;
	if (!err)
		err = append(recording->fd, recording->text, recording->size);
	if (err)
		give_up(recording, err);
	forget_block(recording);
}

static void put_policy(FILE *out, const struct options *options)
{
	const struct policy *policy = &options->policy;
	size_t i;

	fprintf(out, "policy %u %u %s %s %" PRIu64 " %s %" PRIu64 "\n", policy->keep_high,
		policy->keep_low, rank_key_name(policy->rank), policy->scope_all ? "all" : "label",
		policy->min_age_ns, action_name(policy->action), options->interval_s);
	fprintf(out, "own %s %" PRIu64 "\n", *policy->own_id ? policy->own_id : "-",
		policy->own_cgroup_id);
	for (i = 0; i < policy->protect_count; i++)
		rows_put_line(out, "protect", policy->protect[i]);
}

void recording_begin(struct recording *recording, const struct options *options,
		     const struct run *run, const struct readings *first)
{
	const struct readings none = {};

	if (!begin_block(recording))
		return;
	fprintf(recording->out, RECORDING_NAME " %d\nrun %s %s", RECORDING_VERSION, run->boot_id,
		run->run_id);
	rows_put_text(recording->out, run->host);
	putc('\n', recording->out);
	put_policy(recording->out, options);
	rows_put_readings(recording->out, first, &none);
	end_block(recording);
}

static void put_container(FILE *out, const struct numbered *numbered)
{
	const struct container *c = &numbered->is;
	const char *flags =
		c->running || c->managed || c->labelled_protect || c->is_log_server ? "" : "-";

	fprintf(out, "container %" PRIu64 " %s %s%s%s%s%s", numbered->number, c->id, flags,
		c->running ? "r" : "", c->managed ? "m" : "", c->labelled_protect ? "p" : "",
		c->is_log_server ? "l" : "");
	rows_put_text(out, c->started_at);
	rows_put_text(out, c->unsure);
	rows_put_text(out, c->name);
	rows_put_text(out, c->image);
	putc('\n', out);
}

static bool same_identity(const struct container *a, const struct container *b)
{
	return a->running == b->running && a->managed == b->managed &&
	       a->labelled_protect == b->labelled_protect && a->is_log_server == b->is_log_server &&
	       rows_same_text(a->started_at, b->started_at) &&
	       rows_same_text(a->unsure, b->unsure) && rows_same_text(a->name, b->name) &&
	       rows_same_text(a->image, b->image);
}

static int copy_text(char **ret, const char *text)
{
	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

static int copy_identity(struct numbered *numbered, const struct container *c)
{
	struct container copy = {
		.running = c->running,
		.managed = c->managed,
		.labelled_protect = c->labelled_protect,
		.is_log_server = c->is_log_server,
		.unsure = c->unsure,
	};
	int err;

	memcpy(copy.id, c->id, sizeof(copy.id));
	err = copy_text(&copy.name, c->name);
	if (!err)
		err = copy_text(&copy.image, c->image);
	if (!err)
		err = copy_text(&copy.started_at, c->started_at);
	numbered_free(numbered);
	numbered->is = copy;
	return err;
}

static void drop_gone(struct recording *recording)
{
	size_t i, kept = 0;

	for (i = 0; i < recording->count; i++) {
		if (recording->containers[i].listed)
			recording->containers[kept++] = recording->containers[i];
		else
			numbered_free(&recording->containers[i]);
	}
	recording->count = kept;
}

/* Those that are known, in the order of their numbers. */
static int put_known(struct recording *recording, const struct container_list *list)
{
	size_t i;

	for (i = 0; i < recording->count; i++) {
		struct numbered *numbered = &recording->containers[i];
		const struct container *now = find_container(list, numbered->is.id);

		numbered->listed = now;
		if (!now) {
			fprintf(recording->out, "container %" PRIu64 " gone\n", numbered->number);
		} else if (!same_identity(now, &numbered->is)) {
			if (copy_identity(numbered, now))
				return -ENOMEM;
			put_container(recording->out, numbered);
		}
	}
	drop_gone(recording);
	return 0;
}

static const struct numbered *find_numbered(const struct recording *recording, size_t count,
					    const char *id)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!strcmp(recording->containers[i].is.id, id))
			return &recording->containers[i];
	return NULL;
}

static int put_new(struct recording *recording, const struct container_list *list)
{
	size_t known = recording->count, i;

	for (i = 0; i < list->count; i++) {
		struct numbered *numbered;

		if (find_numbered(recording, known, list->items[i].id))
			continue;
		if (recording->count % 64 == 0 || !recording->containers) {
			void *larger = reallocarray(recording->containers, recording->count + 64,
						    sizeof(*numbered));

			if (!larger)
				return -ENOMEM;
			recording->containers = larger;
		}
		numbered = &recording->containers[recording->count++];
		*numbered = (struct numbered){.number = ++recording->numbers, .listed = true};
		if (copy_identity(numbered, &list->items[i]))
			return -ENOMEM;
		put_container(recording->out, numbered);
	}
	return 0;
}

void recording_note(struct recording *recording, uint64_t seq, const struct readings *last,
		    const struct observation *seen)
{
	int err;

	if (!begin_block(recording))
		return;
	fprintf(recording->out, "cycle %" PRIu64 " %d %" PRIu64 " %u\n", seq, seen->final,
		seen->end_unix_ns, seen->cpus);
	if (seen->no_list)
		rows_put_line(recording->out, "no-list", seen->no_list);
	err = put_known(recording, &seen->containers);
	if (!err)
		err = put_new(recording, &seen->containers);
	if (err)
		give_up(recording, err);
	else if (seen->no_reading)
		rows_put_line(recording->out, "no-reading", seen->no_reading);
	else
		rows_put_readings(recording->out, &seen->now, last);
}

static void put_decision(FILE *out, uint64_t number, const struct container *c)
{
	fprintf(out, "decided %" PRIu64 " %s %s %u %" PRIu64, number, class_name(c->class),
		action_name(c->decision), c->rank, c->score_ppb);
	if (c->has_margin)
		fprintf(out, " %" PRIu64, c->margin_ppb);
	else
		fputs(" -", out);
	fprintf(out, " %d", c->acted);
	rows_put_text(out, c->outcome);
	putc('\n', out);
}

void recording_commit(struct recording *recording, const struct window *window)
{
	size_t i;

	if (!recording || !recording->out)
		return;
	if (window->distrust)
		rows_put_line(recording->out, "distrust", window->distrust);
	for (i = 0; i < recording->count; i++) {
		const struct numbered *numbered = &recording->containers[i];

		put_decision(recording->out, numbered->number,
			     find_container(&window->containers, numbered->is.id));
	}
	end_block(recording);
}

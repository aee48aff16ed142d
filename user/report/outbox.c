// SPDX-License-Identifier: GPL-2.0
#include "report/outbox.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "report/limits.h"
#include "report/ship.h"
#include "report/spool.h"
#include "util.h"

/* So many records, then a pause: a long backlog is no load on the host that is measured. */
#define BATCH	 64
#define PAUSE_MS 100

struct outbox {
	struct spool spool;
	struct ship ship;
	pthread_t thread;
	bool started;
	_Atomic unsigned long long
		end_ns; /* when the last call ends; 0 before the end of the run */

	pthread_mutex_t lock; /* of the spool and what follows */
	pthread_cond_t changed;
	bool ending;
	bool disk_failed; /* and that has been told */
	uint64_t backoff_ms;
	unsigned int batch; /* records sent since the last pause */
};

/* Until the time is over or the run ends. */
static void pause_ms(struct outbox *outbox, uint64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000 * NS_PER_MS);
	if (until.tv_nsec >= (long)NS_PER_S) {
		until.tv_nsec -= (long)NS_PER_S;
		until.tv_sec++;
	}
	while (!outbox->ending && !pthread_cond_timedwait(&outbox->changed, &outbox->lock, &until))
		;
}

/* Each failure in a row makes the pause longer. */
static void back_off(struct outbox *outbox)
{
	uint64_t ms = outbox->backoff_ms ? outbox->backoff_ms : report_limits()->backoff_first_ms;

	pause_ms(outbox, ms);
	outbox->backoff_ms = 2 * ms < report_limits()->backoff_most_ms
				     ? 2 * ms
				     : report_limits()->backoff_most_ms;
}

static enum ship_result send_unlocked(struct outbox *outbox, const char *json, long *ret_status)
{
	enum ship_result result;

	pthread_mutex_unlock(&outbox->lock);
	result = ship_record(&outbox->ship, json, ret_status);
	pthread_mutex_lock(&outbox->lock);
	return result;
}

static int set_aside_refused(struct outbox *outbox, uint64_t number, long status)
{
	_cleanup_free_ char *reason = ship_reason(&outbox->ship, status);

	log_line("the log server %s refuses a record with %s; it is kept in %s as %020" PRIu64
		 ".rejected",
		 outbox->ship.url, reason ? reason : "an error", outbox->spool.dir, number);
	return spool_reject(&outbox->spool, number);
}

/* 1 when the oldest record is sent or set aside, 0 when there is none, -errno. */
static int send_oldest(struct outbox *outbox)
{
	struct spool *spool = &outbox->spool;
	_cleanup_free_ char *json = NULL;
	enum ship_result result;
	uint64_t number;
	long status;
	int err = spool_oldest(spool, &number, &json);

	if (err <= 0)
		return err;
	spool->sending = number;
	result = send_unlocked(outbox, json, &status);
	spool->sending = 0;
	if (result == SHIP_FAILED)
		return -EAGAIN;
	outbox->backoff_ms = 0;
	err = result == SHIP_STORED ? spool_drop(spool, number)
				    : set_aside_refused(outbox, number, status);
	return err ? err : 1;
}

static void pause_after_batch(struct outbox *outbox)
{
	if (++outbox->batch < BATCH)
		return;
	pause_ms(outbox, PAUSE_MS);
	outbox->batch = 0;
}

/* What the spool holds has been sent, or cannot be. */
static void send_all(struct outbox *outbox)
{
	while (true) {
		bool ending = outbox->ending;
		int sent = send_oldest(outbox);

		if (sent < 0 && sent != -EAGAIN)
			log_line("cannot use the spool %s: %s", outbox->spool.dir, strerror(-sent));
		if (ending && (sent <= 0 || boottime_ns() >= atomic_load(&outbox->end_ns)))
			return;
		if (sent > 0)
			pause_after_batch(outbox);
		else if (sent < 0)
			back_off(outbox);
		else if (!outbox->ending)
			pthread_cond_wait(&outbox->changed, &outbox->lock);
	}
}

static void *run(void *user)
{
	struct outbox *outbox = user;
	bool empty;

	pthread_mutex_lock(&outbox->lock);
	empty = !spool_waiting(&outbox->spool);
	pthread_mutex_unlock(&outbox->lock);
	/* Whoever starts the daemon without it is told now, not at the first record. */
	if (empty)
		ship_look(&outbox->ship);
	pthread_mutex_lock(&outbox->lock);
	send_all(outbox);
	pthread_mutex_unlock(&outbox->lock);
	return NULL;
}

/* Signals are the main thread's. */
static int start(struct outbox *outbox)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&outbox->thread, NULL, run, outbox);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	outbox->started = !err;
	return -err;
}

int outbox_open(const char *dir, const char *url, const char *token, struct outbox **ret)
{
	struct outbox *outbox = calloc(1, sizeof(*outbox));
	pthread_condattr_t attributes;
	int err;

	if (!outbox)
		return -ENOMEM;
	pthread_mutex_init(&outbox->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&outbox->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	err = spool_open(dir, report_limits()->spool_bytes, &outbox->spool);
	if (!err)
		err = ship_open(url, &outbox->ship);
	if (!err && token)
		err = ship_authorize(&outbox->ship, token);
	if (!err) {
		ship_end_at(&outbox->ship, &outbox->end_ns);
		err = start(outbox);
	}
	if (err)
		outbox_close(outbox);
	else
		*ret = outbox;
	return err;
}

static void tell_disk(struct outbox *outbox, uint64_t seq, int err)
{
	if (err && !outbox->disk_failed)
		log_line("cannot write record %" PRIu64 " to %s: %s; it waits in memory", seq,
			 outbox->spool.dir, strerror(-err));
	else if (!err && outbox->disk_failed)
		log_line("records are written to %s again", outbox->spool.dir);
	outbox->disk_failed = err;
}

void outbox_decide(struct outbox *outbox, uint64_t seq, const char *json)
{
	if (!outbox)
		return;
	pthread_mutex_lock(&outbox->lock);
	tell_disk(outbox, seq, spool_decide(&outbox->spool, json));
	/* One that was left without outcomes can be sent now. */
	pthread_cond_signal(&outbox->changed);
	pthread_mutex_unlock(&outbox->lock);
}

void outbox_complete(struct outbox *outbox, uint64_t seq, const char *json)
{
	if (!outbox)
		return;
	pthread_mutex_lock(&outbox->lock);
	tell_disk(outbox, seq, spool_complete(&outbox->spool, json));
	pthread_cond_signal(&outbox->changed);
	pthread_mutex_unlock(&outbox->lock);
}

uint64_t outbox_dropped(struct outbox *outbox)
{
	uint64_t dropped;

	if (!outbox)
		return 0;
	pthread_mutex_lock(&outbox->lock);
	dropped = outbox->spool.dropped;
	pthread_mutex_unlock(&outbox->lock);
	return dropped;
}

static void end_thread(struct outbox *outbox, uint64_t end_ns)
{
	if (!outbox->started)
		return;
	atomic_store(&outbox->end_ns, end_ns);
	pthread_mutex_lock(&outbox->lock);
	outbox->ending = true;
	pthread_cond_signal(&outbox->changed);
	pthread_mutex_unlock(&outbox->lock);
	pthread_join(outbox->thread, NULL);
	outbox->started = false;
}

void outbox_end(struct outbox *outbox, uint64_t end_ns)
{
	size_t waiting;

	if (!outbox)
		return;
	end_thread(outbox, end_ns);
	waiting = spool_waiting(&outbox->spool);
	if (waiting)
		log_line("%zu records wait in %s for the next run", waiting, outbox->spool.dir);
}

void outbox_finish(struct outbox *outbox, const struct run *run, uint64_t end_ns)
{
	if (!outbox)
		return;
	atomic_store(&outbox->end_ns, end_ns);
	if (ship_is_down(&outbox->ship))
		log_line(
			"no final graphs yet: the log server %s draws them once it has all records",
			outbox->ship.url);
	else if (!ship_finish(&outbox->ship, run))
		log_line("final graphs: %s/", outbox->ship.url);
}

void outbox_close(struct outbox *outbox)
{
	if (!outbox)
		return;
	end_thread(outbox, boottime_ns());
	ship_close(&outbox->ship);
	spool_close(&outbox->spool);
	pthread_cond_destroy(&outbox->changed);
	pthread_mutex_destroy(&outbox->lock);
	free(outbox);
}

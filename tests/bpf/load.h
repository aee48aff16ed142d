/* SPDX-License-Identifier: GPL-2.0 */
/* Work for the scheduler, each kind in processes of its own that die with the test. */
#ifndef CMGR_TESTS_BPF_LOAD_H
#define CMGR_TESTS_BPF_LOAD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The first argument of a program that is to do load_exec, with the second as its argument. */
#define LOAD_EXEC "--exec"

/* What a process does; each returns in its own time, or never. */
typedef void load_body(uint64_t argument);

load_body load_spin;	 /* for ever */
load_body load_mixed;	 /* for ever: busy, asleep, and on another CPU, by turns */
load_body load_hop;	 /* for ever: changes CPU each millisecond */
load_body load_threads;	 /* @argument threads that spin for ever */
load_body load_short;	 /* @argument processes of a millisecond each, one after the other */
load_body load_storm;	 /* for @argument ms: processes that end at once */
load_body load_ends;	 /* for @argument ms: threads that end at once, and that nobody waits for */
load_body load_rest;	 /* for ever: what all others leave of a CPU */
load_body load_alone;	 /* for ever, in real time: it leaves its CPU to hardly anybody */
load_body load_fifo;	 /* for ever: half of the time as a real-time task */
load_body load_deadline; /* for ever: 3 ms in 10 as a deadline task */
load_body load_burst;	 /* spins for @argument ms of its own CPU time */
load_body
	load_exec; /* @argument times a thread execs: it takes the PID of the first, which spins */

/* Runs LOAD_EXEC, if @argv says so, and then does not return. */
void load_exec_main(int argc, char **argv);

/* Starts @body in cgroup @folder, on @cpu (-1: any). Its PID. */
pid_t load_start(load_body *body, uint64_t argument, const char *folder, int cpu);

/* Waits until it has ended. */
void load_wait(pid_t pid);
/* Kills it and waits. */
void load_stop(pid_t pid);

/* Writes a PID into a cgroup. 0 or -errno. */
int load_move(pid_t pid, const char *folder);

#endif

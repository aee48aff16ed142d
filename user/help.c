// SPDX-License-Identifier: GPL-2.0
#include "help.h"

static const char run_help[] =
	"Usage: cmgr-bpf [run] [OPTION...]\n"
	"       cmgr-bpf snapshot|spawn|replay FILE|doctor|cleanup [OPTION...]\n"
	"Keep the highest and the lowest consumers among a host's containers, remove the\n"
	"rest. The others: the reading as JSON; random workloads; decide on a recording\n"
	"again; check what is required; undo what a killed run left. Each has --help.\n"
	"  --interval SECONDS              length of a cycle (10)\n"
	"  --cycles N, --once              end after N cycles, after one\n"
	"  --keep-high N, --keep-low N     how many of each are kept (2, 3)\n"
	"  --rank KEY                      dominant, cpu, memory or demand (dominant)\n"
	"  --scope SCOPE                   label: labelled cmgr.managed=true; all (label)\n"
	"  --protect NAME                  never touch it (name or ID); may be repeated\n"
	"  --min-age SECONDS               younger ones are not ranked (10)\n"
	"  --action ACTION                 remove, stop or pause (remove)\n"
	"  --dry-run                       decide and report, touch nothing\n"
	"  --json, --record FILE           a JSON line a cycle on stdout; for 'replay'\n"
	"  --log-url URL, --no-log         pygraph (http://127.0.0.1:8000)\n"
	"  --no-cron, --spawn-count N      no cron entry; containers by it a minute (10)\n"
	"  --docker-host URL               $DOCKER_HOST or unix:///var/run/docker.sock\n"
	"  --sysinfo PATH                  the module's file (/proc/sysinfo)\n"
	"  --state-dir DIR, --run-dir DIR  /var/lib/cmgr-bpf, /run/cmgr-bpf\n"
	"  --help, --version\n"
	"Exit codes: 0 done, 1 failed while running, 2 bad usage, 3 something required is\n"
	"missing, 4 already running.\n";

static const char snapshot_help[] =
	"Usage: cmgr-bpf snapshot [OPTION...]\n"
	"Print the kernel module's reading, of the host, its containers and processes,\n"
	"as JSON.\n"
	"  -o, --output FILE    write to FILE instead of stdout\n"
	"  --sysinfo PATH       the module's file (/proc/sysinfo)\n";

static const char spawn_help[] =
	"Usage: cmgr-bpf spawn [OPTION...]\n"
	"Create and start random workload containers, labelled cmgr.managed=true, each of\n"
	"one of these images, which 'make images' builds:\n"
	"  cmgr-cpu-high   computes for 10 to 100 % of the time\n"
	"  cmgr-ram-high   holds 16 to 128 MiB\n"
	"  cmgr-cpu-low    wakes up every 1 to 10 seconds\n"
	"  cmgr-ram-low    sleeps\n"
	"\n"
	"  -n, --count N        how many (10)\n"
	"  --docker-host URL    the engine ($DOCKER_HOST or unix:///var/run/docker.sock)\n"
	"  --run-dir DIR        only while the daemon there runs\n"
	"\n"
	"SIGINT, SIGTERM and SIGHUP end it once the container in hand has started, and a\n"
	"second one gives that up. What a killed one had created and not started is\n"
	"removed by the next, and by 'cleanup'.\n";

static const char replay_help[] =
	"Usage: cmgr-bpf replay FILE [OPTION...]\n"
	"Rank and decide again on what 'run --record FILE' has kept, by the policy that\n"
	"is recorded or the options that are given; touch nothing. Ends with 1 where, by\n"
	"the policy that is recorded, a decision is not as recorded.\n"
	"  --keep-high N, --keep-low N    how many of each are kept\n"
	"  --rank KEY                     dominant, cpu, memory or demand\n"
	"  --scope SCOPE                  label or all\n"
	"  --protect NAME                 may be repeated\n"
	"  --min-age SECONDS              younger ones are not ranked\n"
	"  --action ACTION                remove, stop or pause\n"
	"  --json                         one JSON line a cycle\n";

static const char doctor_help[] =
	"Usage: cmgr-bpf doctor [OPTION...]\n"
	"Check what is required, a line each: ok, warning or missing, and the command\n"
	"that mends it. Judges what a run needs, with any options of 'run'.\n"
	"\n"
	"Exit codes: 0 nothing that is required is missing, 2 bad usage, 3 something is.\n";

static const char cleanup_help[] =
	"Usage: cmgr-bpf cleanup [OPTION...]\n"
	"Undo what a killed run left behind: the cron entry, the BPF pins, the run\n"
	"directory and containers that were created and not started.\n"
	"  --docker-host URL    the engine ($DOCKER_HOST or unix:///var/run/docker.sock)\n"
	"  --run-dir DIR        the lock and sysinfo.json (/run/cmgr-bpf)\n"
	"  --state-dir DIR      the journal (/var/lib/cmgr-bpf)\n"
	"\n"
	"Exit codes: 0 done, 1 something could not be undone, 2 bad usage, 3 not root,\n"
	"4 a daemon is running.\n";

const char *help_text(enum command command)
{
	switch (command) {
	case COMMAND_SNAPSHOT:
		return snapshot_help;
	case COMMAND_SPAWN:
		return spawn_help;
	case COMMAND_REPLAY:
		return replay_help;
	case COMMAND_DOCTOR:
		return doctor_help;
	case COMMAND_CLEANUP:
		return cleanup_help;
	case COMMAND_RUN:
		break;
	}
	return run_help;
}

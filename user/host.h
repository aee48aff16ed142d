/* SPDX-License-Identifier: GPL-2.0 */
/* What this host is like, as far as the doctor judges it. */
#ifndef CMGR_HOST_H
#define CMGR_HOST_H

#include <stdbool.h>

enum cgroup_layout {
	CGROUPS_NONE,
	CGROUPS_V1,
	CGROUPS_HYBRID, /* version 2 is there, beside the controllers of version 1 */
	CGROUPS_V2,
};

enum installer {
	INSTALLER_NONE,
	INSTALLER_APT,
	INSTALLER_DNF,
	INSTALLER_PACMAN,
};

enum lockdown {
	LOCKDOWN_NONE,
	LOCKDOWN_INTEGRITY,
	LOCKDOWN_CONFIDENTIALITY,
};

struct host {
	bool is_root;
	char release[65]; /* of the kernel; "": not known */
	unsigned int major, minor;
	bool is_realtime; /* PREEMPT_RT */
	enum cgroup_layout cgroups;
	enum lockdown lockdown;
	bool secure_boot;
	bool signed_only; /* the kernel refuses modules without a signature that it knows */
	enum installer installer;
	bool has_update_grub, has_grubby;
	bool has_docker; /* its daemon is installed */
	bool has_btf, has_bpffs;
	bool has_memory_controller; /* of cgroup v2 */
	bool has_cron, cron_runs;
	const char *cron_unit;		    /* of the cron that is installed; NULL: none */
	bool has_sysinfo, may_read_sysinfo; /* the module's file */
	bool has_module;		    /* it is installed for this kernel */
	bool has_other_module;		    /* and is not the one that is loaded */
	bool has_dkms_source, has_headers;
	char *other_socket; /* of an engine, where rootless Docker and Podman have it; NULL: none */
};

/*
 * Looks at the files below @root, which is "" but in tests; @sysinfo is the module's file. What cannot
 * be read is as if it were not there. host_free() afterwards.
 */
void host_look(const char *root, const char *sysinfo, struct host *ret);
void host_free(struct host *host);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* The maps that others may look into, in CGROUP_CPU_PIN_DIR, a folder that is also a lock. */
#ifndef CMGR_OBSERVE_PINS_H
#define CMGR_OBSERVE_PINS_H

struct bpf_map;

/* Makes the folder and locks it. A descriptor that holds the lock, or -errno with one line logged. */
int pins_lock(void);

/* Pins the maps in place of what a killed daemon may have left. 0 or -errno. */
int pins_replace(struct bpf_map *cgroup_cpu, struct bpf_map *lost);

/* Removes pins and folder, then closes @fd of pins_lock(). */
void pins_remove(int fd);

#endif

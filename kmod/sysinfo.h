/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /proc/sysinfo, format version 1: the one contract between kmod/ and user/.
 *
 * Text, one record a line, fields separated by one space:
 *
 *   sysinfo 1 <boottime_ns>
 *   memory <total_kib> <free_kib> <available_kib>
 *   cgroup <id> <usage_kib> <anon_kib> <file_kib> <path>
 *   process <pid> <cgroup_id> <start_ns> <cpu_ns> <vsz_kib> <rss_kib> <comm> <cmdline>
 *   end <number of cgroup records> <number of process records>
 *
 * boottime_ns  CLOCK_BOOTTIME when the reading began.
 * cgroup       Every live cgroup of the v2 hierarchy; one without a memory controller of its own,
 *              which is charged to the one above it, has three zeros. usage_kib is what the kernel
 *              charges to it and to all below it; anon_kib and file_kib are its own, with what
 *              removed cgroups below it still hold: summed over a live subtree, no page is told
 *              twice, and none is missed but up to 31 that a CPU has not put on a list yet, and
 *              those of a cgroup that is removed during the reading.
 *              anon_kib is what reclaim cannot simply drop (anonymous, shared and locked memory),
 *              file_kib the page cache, by the lists that reclaim keeps: anonymous memory that was
 *              given up with MADV_FREE is on those of the page cache, even if it is used again.
 *              <path> is cut after 256 names or about 4,000 bytes: the id tells two apart.
 * process      Every user process once, with PIDs of the initial namespace. start_ns is on
 *              CLOCK_BOOTTIME; cpu_ns sums all threads, live and dead.
 *              <cmdline> is given only for processes of a container (see below), as much as fits
 *              in about 4,000 bytes; it is "-" where any of that could not be had without waiting
 *              (swapped out, on a file, the process is changing its own memory map), and once a
 *              reading has 1 MiB of them.
 * end          A reading without it, or with other counts, is partial.
 *
 * Text fields are printable ASCII. Space, backslash and every other byte are escaped as by
 * seq_escape_str(): "\040", "\n", "\\", "\303". A field that could not be had, or is empty, is "-";
 * a value that is just one dash is "\055".
 *
 * A container's cgroup, for this file, is one with SYSINFO_ID_DIGITS hexadecimal digits in a row in
 * its path: "docker-<id>.scope", "docker/<id>", "libpod-<id>.scope".
 *
 * Records come in this order, each with at least one field after its name. Readers skip record names
 * that they do not know and refuse other versions.
 */
#ifndef CMGR_SYSINFO_H
#define CMGR_SYSINFO_H

#define SYSINFO_NAME	  "sysinfo"
#define SYSINFO_VERSION	  1
#define SYSINFO_ID_DIGITS 64

#endif

// SPDX-License-Identifier: GPL-2.0
#include "remedy.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "util.h"

#define LINE_LIMIT (4UL << 20)

static bool is_plain(const char *word)
{
	if (!*word)
		return false;
	for (; *word; word++)
		if (!isalnum((unsigned char)*word) && !strchr("/._+-:,=@%", *word))
			return false;
	return true;
}

static void put_quoted(FILE *file, const char *word)
{
	if (is_plain(word)) {
		fputs(word, file);
		return;
	}
	putc('\'', file);
	for (; *word; word++)
		if (*word == '\'')
			fputs("'\\''", file);
		else
			putc(*word, file);
	putc('\'', file);
}

char *quote_words(const char *words, size_t size)
{
	const char *word, *end = words + size;
	char *text = NULL;
	size_t length;
	FILE *file = open_memstream(&text, &length);

	if (!file)
		return NULL;
	for (word = words; word < end; word += strlen(word) + 1) {
		if (word > words)
			putc(' ', file);
		put_quoted(file, word);
	}
	if (fclose(file)) {
		free(text);
		return NULL;
	}
	return text;
}

/* What sudo would leave out. */
static const char *kept_variables(void)
{
	const char *host = getenv("DOCKER_HOST"), *token = getenv("CMGR_TOKEN");

	if (host && token)
		return "--preserve-env=DOCKER_HOST,CMGR_TOKEN ";
	return host ? "--preserve-env=DOCKER_HOST " : token ? "--preserve-env=CMGR_TOKEN " : "";
}

char *remedy_sudo(const char *more)
{
	_cleanup_free_ char *words = NULL, *line = NULL;
	size_t size = 0;

	if (!read_file("/proc/self/cmdline", LINE_LIMIT, &words, &size) && size)
		line = quote_words(words, size);
	return format_text("sudo %s%s%s%s", kept_variables(), line ? line : program_invocation_name,
			   more ? " " : "", more ? more : "");
}

/* "amd64" of "6.12.43+deb13-amd64", "cloud-amd64" of "6.1.0-37-cloud-amd64": what packages are named by. */
static const char *flavour(const char *release)
{
	static const char *const known[] = {"amd64", "arm64", "generic"};
	const char *name = strchr(release, '-');
	size_t i, digits;

	if (!name++)
		return NULL;
	digits = strspn(name, "0123456789");
	if (digits && name[digits] == '-')
		name += digits + 1;
	for (i = 0; i < ARRAY_SIZE(known); i++) {
		size_t length = strlen(name), end = strlen(known[i]);

		if (length >= end && !strcmp(name + length - end, known[i]))
			return name;
	}
	return NULL;
}

/* The headers of a kernel that is not the newest are soon not to be had any more. */
static char *install_headers(const struct host *host)
{
	/* Of a backport, the archive's own name has another kernel. */
	const char *name = strstr(host->release, "+bpo") ? NULL : flavour(host->release);

	switch (host->installer) {
	case INSTALLER_APT:
		if (!name)
			return format_text("run: sudo apt-get update && "
					   "sudo apt-get install linux-headers-%s",
					   host->release);
		return format_text(
			"run: sudo apt-get update && sudo apt-get install linux-image-%s "
			"linux-headers-%s, and restart if a newer kernel came",
			name, name);
	case INSTALLER_DNF:
		return format_text("run: sudo dnf install kernel-devel-%s", host->release);
	case INSTALLER_PACMAN:
		return strdup("run: sudo pacman -S linux-headers");
	case INSTALLER_NONE:
		break;
	}
	return format_text("install the headers of Linux %s", host->release);
}

char *remedy_install(const struct host *host, enum package what)
{
	static const char *const docker[] = {
		[INSTALLER_NONE] = "install Docker",
		[INSTALLER_APT] = "run: sudo apt-get update && sudo apt-get install docker.io",
		[INSTALLER_DNF] = "run: sudo dnf install moby-engine && "
				  "sudo systemctl enable --now docker",
		[INSTALLER_PACMAN] = "run: sudo pacman -S docker && "
				     "sudo systemctl enable --now docker",
	};
	static const char *const cron[] = {
		[INSTALLER_NONE] = "install cron",
		[INSTALLER_APT] = "run: sudo apt-get update && sudo apt-get install cron",
		[INSTALLER_DNF] = "run: sudo dnf install cronie && "
				  "sudo systemctl enable --now crond",
		[INSTALLER_PACMAN] = "run: sudo pacman -S cronie && "
				     "sudo systemctl enable --now cronie",
	};

	switch (what) {
	case PACKAGE_DOCKER:
		return strdup(docker[host->installer]);
	case PACKAGE_CRON:
		return strdup(cron[host->installer]);
	case PACKAGE_HEADERS:
		break;
	}
	return install_headers(host);
}

static char *boot_by_grub(const char *without, const char *with)
{
	static const char rest[] = "/' /etc/default/grub && sudo update-grub, and restart";
	int name;

	if (without)
		return format_text("run: sudo sed -i 's/%s/%s%s", without, with ? with : "", rest);
	/* Of two values the last counts: one that is there already goes. */
	name = (int)strcspn(with, "=");
	return format_text("run: sudo sed -i 's/%.*s=[^ \"]*//g; s/^GRUB_CMDLINE_LINUX=\"/&%s %s",
			   name, with, with, rest);
}

char *remedy_boot(const struct host *host, const char *without, const char *with)
{
	if (host->has_update_grub)
		return boot_by_grub(without, with);
	if (host->has_grubby)
		return format_text("run: sudo grubby --update-kernel=ALL%s%s%s%s, and restart",
				   without ? " --remove-args=" : "", without ? without : "",
				   with ? " --args=" : "", with ? with : "");
	return format_text(
		"change the kernel's command line in the boot loader, and restart:%s%s%s%s",
		without ? " without " : "", without ? without : "", with ? " with " : "",
		with ? with : "");
}

# SPDX-License-Identifier: GPL-2.0
# Installing, and Debian packages. The Makefile includes this file.
# make install, uninstall   PREFIX=, DESTDIR=; the module by DKMS, where there is dkms and no DESTDIR
# make deb                  packages for the Debian that this runs on, in build/deb/
# make test-deb             as root: the same for Debian 13, installed, run, upgraded and purged in a chroot
# make cli                  the command line, and what is installed
PREFIX ?= /usr/local
DESTDIR ?=
SYSCONFDIR ?= /etc
SBINDIR := $(PREFIX)/sbin
DATADIR := $(PREFIX)/share
UNITDIR := $(PREFIX)/lib/systemd/system
# The one folder that DKMS looks into.
MODULE_SOURCE := /usr/src/cmgr-bpf-$(VERSION)
MODULE_FILES := sysinfo.c sysinfo.h compat.h Kbuild dkms.conf

DAEMON_FILES := $(SBINDIR)/cmgr-bpf $(UNITDIR)/cmgr-bpf.service $(PREFIX)/lib/tmpfiles.d/cmgr-bpf.conf \
	$(DATADIR)/man/man8/cmgr-bpf.8 $(DATADIR)/bash-completion/completions/cmgr-bpf
MODULE_LOAD := $(PREFIX)/lib/modules-load.d/cmgr-bpf.conf $(DATADIR)/man/man4/cmgr-sysinfo.4

# $(call put,MODE,SOURCE,TARGET): a file, with the places and the version in it
put = $(Q)install -d "$(DESTDIR)$(dir $(3))" && \
	sed 's|@SBINDIR@|$(SBINDIR)|g; s|@DATADIR@|$(DATADIR)|g; s|@VERSION@|$(VERSION)|g' $(2) >"$(DESTDIR)$(3)" && \
	chmod $(1) "$(DESTDIR)$(3)"

# What both ways put below /usr/src, dpkg would no longer know.
not-packaged:
	$(if $(DESTDIR),,$(Q)! dpkg -S '/usr/src/cmgr-bpf-*/dkms.conf' >/dev/null 2>&1 || \
		{ echo 'the Debian packages are installed here; first run: sudo apt-get purge cmgr-bpf cmgr-bpf-dkms' >&2; exit 1; })

# Of other versions: DKMS would go on building them for each new kernel.
forget_others = $(Q)for folder in "$(DESTDIR)"/usr/src/cmgr-bpf-*; do \
		[ -e "$$folder/dkms.conf" ] && [ "$$folder" != "$(DESTDIR)$(MODULE_SOURCE)" ] || continue; \
		$(if $(DESTDIR),,! command -v dkms >/dev/null || dkms remove "cmgr-bpf/$$(basename "$$folder" | cut -d- -f3-)" --all || :;) \
		rm -rf "$$folder"; done

# What DKMS has built of a version it would install again, whatever the source has become.
install: install-daemon install-module
	$(forget_others)
	$(if $(DESTDIR),,$(Q)if command -v dkms >/dev/null; then \
		dkms remove cmgr-bpf/$(VERSION) --all >/dev/null 2>&1; dkms install --force cmgr-bpf/$(VERSION); else \
		echo '  SKIP     DKMS is not installed: the module is not built; see README'; fi)
	$(if $(DESTDIR),,$(Q)! [ -d /run/systemd/system ] || systemctl daemon-reload)

install-daemon: not-packaged
	$(Q)$(as_user) $(MAKE) cmgr-bpf
	$(call say,INSTALL,$(DESTDIR)$(SBINDIR)/cmgr-bpf)
	$(Q)install -D -m 755 cmgr-bpf "$(DESTDIR)$(SBINDIR)/cmgr-bpf"
	$(call put,644,packaging/systemd/cmgr-bpf.service,$(UNITDIR)/cmgr-bpf.service)
	$(call put,644,packaging/systemd/tmpfiles.conf,$(PREFIX)/lib/tmpfiles.d/cmgr-bpf.conf)
	$(call put,644,packaging/man/cmgr-bpf.8,$(DATADIR)/man/man8/cmgr-bpf.8)
	$(call put,644,packaging/completion.bash,$(DATADIR)/bash-completion/completions/cmgr-bpf)
	$(Q)[ -e "$(DESTDIR)$(SYSCONFDIR)/default/cmgr-bpf" ] || \
		install -D -m 640 packaging/cmgr-bpf.default "$(DESTDIR)$(SYSCONFDIR)/default/cmgr-bpf"

install-module: not-packaged
	$(call say,INSTALL,$(DESTDIR)$(MODULE_SOURCE))
	$(Q)install -d "$(DESTDIR)$(MODULE_SOURCE)"
	$(Q)install -m 644 $(MODULE_FILES:%=kmod/%) "$(DESTDIR)$(MODULE_SOURCE)"
	$(call put,644,packaging/systemd/modules-load.conf,$(PREFIX)/lib/modules-load.d/cmgr-bpf.conf)
	$(call put,644,packaging/man/cmgr-sysinfo.4,$(DATADIR)/man/man4/cmgr-sysinfo.4)

# Without a container, with the modules of the distribution.
install-pygraph:
	$(call say,INSTALL,$(DESTDIR)$(DATADIR)/pygraph)
	$(Q)install -d "$(DESTDIR)$(DATADIR)/pygraph"
	$(Q)cd pygraph && find pygraph -name __pycache__ -prune -o -type f -print | while read -r file; do \
		install -D -m 644 "$$file" "$(abspath $(DESTDIR)/)$(DATADIR)/pygraph/$$file" || exit; done
	$(call put,644,packaging/systemd/pygraph.service,$(UNITDIR)/pygraph.service)
	$(Q)[ -e "$(DESTDIR)$(SYSCONFDIR)/default/pygraph" ] || \
		install -D -m 640 packaging/pygraph.default "$(DESTDIR)$(SYSCONFDIR)/default/pygraph"

# Settings and data stay, as with a package that is removed and not purged. A unit that is not there would
# have systemctl refuse the whole call.
uninstall: not-packaged
	$(call say,REMOVE,$(DESTDIR)$(SBINDIR)/cmgr-bpf)
	$(if $(DESTDIR),,$(Q)! [ -d /run/systemd/system ] || for unit in cmgr-bpf pygraph; do \
		! [ -e $(UNITDIR)/$$unit.service ] || systemctl -q disable --now $$unit.service || exit; done)
	$(if $(DESTDIR),,$(Q)! [ -x $(SBINDIR)/cmgr-bpf ] || $(SBINDIR)/cmgr-bpf cleanup || [ $$? -ne 4 ])
	$(if $(DESTDIR),,$(Q)! command -v modprobe >/dev/null || modprobe -q -r sysinfo || :)
	$(if $(DESTDIR),,$(Q)! command -v dkms >/dev/null || dkms remove cmgr-bpf/$(VERSION) --all || :)
	$(forget_others)
	$(Q)rm -f $(patsubst %,"$(DESTDIR)%",$(DAEMON_FILES) $(MODULE_LOAD) $(UNITDIR)/pygraph.service)
	$(Q)rm -rf "$(DESTDIR)$(MODULE_SOURCE)" "$(DESTDIR)$(DATADIR)/pygraph"
	$(if $(DESTDIR),,$(Q)! [ -d /run/systemd/system ] || systemctl daemon-reload)

# dpkg-buildpackage wants its folder at the top: in a copy of the tree.
DEB := $(BUILD)/deb
DEB_TREE := $(DEB)/cmgr-bpf-$(VERSION)

deb-tree:
	$(Q)rm -rf $(DEB)/cmgr-bpf-[0-9]*
	$(Q)mkdir -p $(DEB_TREE)
	$(Q)git -c safe.directory='*' ls-files -z --cached --others --exclude-standard -- \
		Makefile LICENSE README.md kmod bpf user vmlinux.h docker pygraph packaging | \
		xargs -0 cp --parents --no-dereference -t $(DEB_TREE)
	$(Q)cp -R packaging/debian $(DEB_TREE)/debian
	$(Q)printf 'cmgr-bpf (%s) unstable; urgency=medium\n\n  * Built from its source tree.\n\n -- cmgr-bpf <cmgr-bpf@localhost>  %s\n' \
		'$(or $(DEB_VERSION),$(VERSION))' "$$(date -R -d @$${SOURCE_DATE_EPOCH:-$$(git -c safe.directory='*' log -1 --format=%ct)})" \
		>$(DEB_TREE)/debian/changelog

deb: deb-tree
	$(call say,DEB,$(DEB))
	$(Q)tests/host-packages deb
	$(Q)rm -f $(DEB)/*.deb
	$(Q)cd $(DEB_TREE) && dpkg-buildpackage -us -uc -b >../log 2>&1 || { tail -n 40 ../log >&2; exit 1; }
	$(Q)ls $(DEB)/*.deb

test-deb:
	$(Q)$(as_user) $(MAKE) deb-tree
	$(Q)tests/host-packages deb-test
	$(Q)$(PYTHON) tests/packaging/deb $(DEB)

cli: cmgr-bpf
	$(Q)$(PYTHON) -m pytest -q -p no:cacheprovider tests/packaging

.PHONY: not-packaged install install-daemon install-module install-pygraph uninstall deb-tree deb test-deb cli

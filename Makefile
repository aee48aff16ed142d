# SPDX-License-Identifier: GPL-2.0
# make              the daemon and, where kernel headers are installed, the module
# make demo         the whole of it in a guest: CYCLES=N ends after N cycles, PORT=N moves the page
# make check        quick check for each change: builds, unit tests, lint, a sample of pytest and fault
# make test         everything a change must pass, in parallel; PARTS="unit fault" runs only these parts
# make test-long    in full what test only samples, hours; PARTS="kernels soak" runs only these parts
# make unit, fault, fuzz, pytest, browser, scenario, kernels-sample (the part kernels)  parts of test; FUZZ_SECONDS=N
# make fault       the daemon against an engine, a log server and a disk that do everything wrong, a sample
# make test-faults the same for long: 10,000 random interleavings, every system call; SEED=N repeats, CYCLES=N
# make scenario-old  the scenario on Debian 12: Docker 20.10 and Linux 6.1
# make soak        10,000 cycles, the clock a thousand times faster; what 1,000 containers take; CYCLES=N
# make test-property  a million random hosts, decided about (make unit: 20,000); SEED=N repeats, HOSTS=N
# make test-kernels  module and BPF program on every series of Debian's kernels; KERNEL=6.12 CHECKS=format: a part
# make test-pressure  the BPF program in a small guest under memory pressure: 10 minutes a kernel
# make bench-parse  what reading a large host's /proc/sysinfo costs the daemon
# make bench-kmod   what one reading of the module costs, beside ps, the cgroups' files, docker stats
# make bench-reap   what removing 100 containers takes, beside docker rm -f, in a guest
# make test-debug-kernel  the module on a kernel with KASAN, lockdep and kmemleak; CHECKS=format: a part
# make bench-pygraph  records a second, and what a year of them answers in; YEAR_CYCLES=N
# make test-postgres  pygraph on PostgreSQL; needs the package postgresql
# make bench-replay  how long an hour with 100 containers takes to be decided again
# make images       the four workload images; needs a Docker engine
# make run          builds, then sudo ./cmgr-bpf
# make exact        as root: the BPF program's account next to the kernel's; SECONDS=, WINDOWS=, CASES=
# make bench-bpf    as root: what the BPF program costs; ROUNDS=, PARTS=switches|pipe|reading
# make kmod         the module alone, for the headers in KDIR=
# make install, uninstall, deb, test-deb, cli: packaging/install.mk tells
# make clean        removes what was built, but not the guests in build/vm, nor the roots in build/deb
# make lint, fmt, vmlinux.h
# V=1 shows every command.
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules

V ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-8s %s\n' '$(1)' '$(2)')

BUILD := build
ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PKG_CONFIG ?= pkg-config
OBJCOPY ?= objcopy
PYTHON ?= /usr/bin/python3
KDIR ?= /lib/modules/$(shell uname -r)/build
BTF ?= /sys/kernel/btf/vmlinux

# ccache is used if it is installed and this user can write to its cache directory.
ifeq ($(origin CCACHE),undefined)
CCACHE := $(shell dir=$$(ccache --get-config cache_dir 2>/dev/null) && mkdir -p "$$dir" 2>/dev/null && \
	[ -w "$$dir" ] && echo ccache)
endif

# What root's targets build belongs to whoever called sudo: a plain make has to be able to build it again. In
# a checkout that is not theirs it would not be.
as_user = $(if $(filter 0,$(shell id -u)),$(if $(filter $(SUDO_UID),$(shell stat -c %u .)), \
	setpriv --reuid=$(SUDO_UID) --regid=$(SUDO_GID) --clear-groups))

VERSION := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' kmod/dkms.conf)
PACKAGES := libbpf libcjson libcurl
CPPFLAGS += -D_GNU_SOURCE -DCMGR_VERSION=\"$(VERSION)\" -I. -Iuser -isystem $(BUILD)
CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wconversion $(if $(CI)$(WERROR),-Werror)
PACKAGE_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PACKAGES) 2>/dev/null)
ALL_CFLAGS = -std=gnu11 $(WARNINGS) $(CFLAGS) $(PACKAGE_CFLAGS)
LDLIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES) 2>/dev/null)

BPF_ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(shell uname -m)))
BPF_CFLAGS := -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_$(BPF_ARCH) -Wall -Wextra -Wno-unused-parameter \
	$(addprefix -I,$(wildcard /usr/include/$(shell uname -m)-linux-gnu)) \
	$(if $(MAX_MARKS),-DMAX_MARKS=$(MAX_MARKS) -DMAX_TASK_MOVES=64)

SOURCES := $(wildcard user/*.c user/*/*.c)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
C_FILES := $(filter-out %.mod.c,$(wildcard kmod/*.[ch])) $(wildcard bpf/*.[ch] user/*.[ch] user/*/*.[ch] docker/*/*.c \
	docker/*.h tests/unit/*.[ch] tests/fuzz/*.[ch] tests/bench/*.[ch] \
	tests/vm/bench-kmod/programs/*.c tests/bpf/*.[ch] tests/property/*.[ch] tests/world/*.[ch] tests/fault/*.[ch])

all: cmgr-bpf $(if $(wildcard $(KDIR)/Makefile),kmod,kmod-skipped)

kmod-skipped:
	@echo '  SKIP     kmod: no kernel headers in $(KDIR); install them, or name them with KDIR='

cmgr-bpf: $(OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Another compiler or other flags compile everything again.
COMPILER_VERSIONS := $(shell $(CC) -dumpfullversion 2>/dev/null; $(CLANG) -dumpversion 2>/dev/null)
COMPILED_WITH = $(CC) $(CLANG) $(COMPILER_VERSIONS) $(BPF_CFLAGS) $(filter-out -Werror,$(CPPFLAGS) $(ALL_CFLAGS)) / $(SANITIZE)

$(BUILD)/compiled-with: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)printf '%s\n' '$(COMPILED_WITH)' | cmp -s - $@ || printf '%s\n' '$(COMPILED_WITH)' >$@

# $(call compile,COMPILER,FLAGS): an object that had warnings is compiled again by the next make, which fails
# with WERROR=1.
compile = $(Q)mkdir -p $(@D) && \
	{ $(CCACHE) $(1) $(CPPFLAGS) $(ALL_CFLAGS) $(2) -MMD -MP -c -o $@ $< 2>$@.log || { cat $@.log >&2; exit 1; }; } && \
	cat $@.log >&2
WARNED := $(patsubst %.log,%,$(shell find $(BUILD)/user $(BUILD)/tests $(BUILD)/sanitized -name '*.o.log' \
	-size +0 2>/dev/null))
$(if $(WARNED),$(eval $(WARNED): FORCE))

$(BUILD)/%.o: %.c $(BUILD)/compiled-with
	$(call say,CC,$<)
	$(call compile,$(CC))

# The system's headers and what is generated are in no list of dependencies.
INCLUDE_SKELETON := user/observe/cgroup_cpu user/observe/cgroup_read
$(INCLUDE_SKELETON:%=$(BUILD)/%.o): $(BUILD)/cgroup_cpu.skel.h

$(BUILD)/%.bpf.o: bpf/%.bpf.c bpf/%.h $(wildcard bpf/*.bpf.h) vmlinux.h
	$(call say,BPF,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CCACHE) $(CLANG) $(BPF_CFLAGS) -I. -c -o $@.tmp $<
	$(Q)$(BPFTOOL) gen object $@ $@.tmp

$(BUILD)/%.skel.h: $(BUILD)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(*F)_bpf > $@

kmod:
	$(if $(wildcard $(KDIR)/Makefile),,$(error no kernel headers in $(KDIR); install them, or name them with KDIR=))
	$(call say,KMOD,kmod/sysinfo.ko)
	$(Q)$(MAKE) -C $(KDIR) M=$(CURDIR)/kmod $(if $(filter 1,$(V)),,-s) modules

# The kernel types that bpf/ uses, and no others, taken from a kernel with BTF. Padding is left out:
# the loader relocates every access. (__LINUX_BPF_H__ keeps out what the full dump has anyway.)
ifneq ($(filter vmlinux.h,$(MAKECMDGOALS)),)
.PHONY: vmlinux.h
endif
vmlinux.h:
	$(call say,BTF,vmlinux.h)
	$(Q)mkdir -p $(BUILD)/full
	$(Q)$(BPFTOOL) btf dump file $(BTF) format c > $(BUILD)/full/vmlinux.h
	$(Q)$(CLANG) $(BPF_CFLAGS) -w -D__LINUX_BPF_H__ -I$(BUILD)/full -c \
		-o $(BUILD)/full/cgroup_cpu.bpf.o bpf/cgroup_cpu.bpf.c
	$(Q)$(BPFTOOL) gen min_core_btf $(BTF) $(BUILD)/full/min.btf $(BUILD)/full/cgroup_cpu.bpf.o
	$(Q)$(BPFTOOL) btf dump file $(BUILD)/full/min.btf format c | \
		sed -E '/^\t[a-z ]*: [0-9]+;$$/d' | cat -s > vmlinux.h

images:
	$(Q)$(MAKE) -C docker images

# One line instead of pages when something is not installed.
tools:
	@for tool in $(firstword $(CC)) $(CLANG) $(BPFTOOL) $(PKG_CONFIG); do \
		command -v $$tool >/dev/null || \
		{ echo "no $$tool here; install the build packages: tests/host-packages build" >&2; exit 1; }; \
	done
	@$(PKG_CONFIG) --exists --print-errors $(PACKAGES) || \
		{ echo "install the build packages: tests/host-packages build" >&2; exit 1; }

$(OBJECTS): | tools

objects: $(OBJECTS)

# Neither gcc nor clang may warn. Some gcc warnings need the optimizer, so the normal objects are compiled;
# for clang a syntax check is enough.
compilers:
	$(Q)$(MAKE) objects syntax CC=gcc WERROR=1

SYNTAX := $(SOURCES:%.c=$(BUILD)/clang/%.ok)
$(INCLUDE_SKELETON:%=$(BUILD)/clang/%.ok): $(BUILD)/cgroup_cpu.skel.h

$(BUILD)/clang/%.ok: %.c $(BUILD)/compiled-with
	$(call say,CLANG,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS) $(ALL_CFLAGS) -Werror -fsyntax-only -MMD -MP -MF $(@:.ok=.d) -MT $@ $<
	$(Q)touch $@

syntax: $(SYNTAX)

# Built with sanitizers, for unit and fault tests: every object, and a thin archive of all but main.o.
SANITIZE := -O1 -g1 -fPIC -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LIBRARY_SOURCES := $(filter-out user/main.c,$(SOURCES))

$(BUILD)/sanitized/%.o: %.c $(BUILD)/compiled-with
	$(call say,CC,$< (sanitized))
	$(call compile,$(CC),$(SANITIZE))

$(INCLUDE_SKELETON:%=$(BUILD)/sanitized/%.o): $(BUILD)/cgroup_cpu.skel.h

$(BUILD)/daemon.a: $(LIBRARY_SOURCES:%.c=$(BUILD)/%.o)
$(BUILD)/sanitized/daemon.a: $(LIBRARY_SOURCES:%.c=$(BUILD)/sanitized/%.o)

%/daemon.a:
	$(Q)rm -f $@
	$(Q)$(AR) rcsT $@ $^

UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
# private: not inherited by prerequisites.
$(BUILD)/sanitized/tests/unit/%.o: private WARNINGS += -Wno-conversion

# The daemon as a library: when it changes, the unit tests need not be linked again.
DAEMON_LIBRARY := $(BUILD)/sanitized/libdaemon.so
$(DAEMON_LIBRARY): $(LIBRARY_SOURCES:%.c=$(BUILD)/sanitized/%.o)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANITIZE) -shared -Wl,-Bsymbolic-functions -o $@ $^ $(LDLIBS)

$(BUILD)/tests/%: $(BUILD)/sanitized/tests/unit/%.o | $(DAEMON_LIBRARY)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(DAEMON_LIBRARY) -Wl,-rpath,'$$ORIGIN/../sanitized' $(LDLIBS) -lcmocka

# What the fuzzer checks, on its corpus.
REPLAYED := $(patsubst %.c,$(BUILD)/sanitized/%.o,$(filter-out %/mutator.c,$(wildcard tests/fuzz/*.c)))
$(BUILD)/tests/test_sysinfo_fuzz: $(REPLAYED)

# Hosts that are made up.
$(BUILD)/tests/test_recording: $(BUILD)/sanitized/tests/world/world.o
$(BUILD)/tests/test_property: $(BUILD)/sanitized/tests/property/host.o

# Prints the number of passed tests and the seeds, or the whole log if a test failed.
$(UNIT_TESTS:%=%.run): %.run: % $(DAEMON_LIBRARY)
	$(Q)$< >$<.log 2>&1 || { cat $<.log >&2; exit 1; }
	$(Q)sed -n 's/^SEED=.*/           &/p; s/^\[  PASSED  \] \(.*\)\./  PASS     $(*F): \1/p' $<.log

unit: $(UNIT_TESTS:%=%.run)

test-programs: $(UNIT_TESTS) $(BUILD)/fault/cmgr-bpf $(BUILD)/fault/cmgr-bpf-plain

# What runs them is itself Python.
check: test-packages
	$(Q)tests/suite check

# libFuzzer on the parser of /proc/sysinfo. What makes it fail is put into the corpus.
FUZZ_SECONDS ?= 20
FUZZED := $(wildcard tests/fuzz/*.c) user/observe/sysinfo.c user/util.c

$(BUILD)/fuzz/%.o: %.c $(BUILD)/compiled-with
	$(call say,CC,$< (fuzzed))
	$(Q)mkdir -p $(@D)
	$(Q)$(CCACHE) $(CLANG) $(CPPFLAGS) $(ALL_CFLAGS) $(SANITIZE) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

$(BUILD)/fuzz/sysinfo: $(FUZZED:%.c=$(BUILD)/fuzz/%.o)
	$(call say,LINK,$@)
	$(Q)$(CLANG) $(SANITIZE) -fsanitize=fuzzer -o $@ $^

fuzz: $(BUILD)/fuzz/sysinfo
	$(call say,FUZZ,$(FUZZ_SECONDS) s)
	$(Q)mkdir -p $(BUILD)/fuzz/corpus
	$(Q)$< -max_total_time=$(FUZZ_SECONDS) -max_len=2048 -dict=tests/fuzz/sysinfo.dict \
		-report_slow_units=1200 -artifact_prefix=tests/fuzz/corpus/ -print_final_stats=1 \
		$(BUILD)/fuzz/corpus tests/fuzz/corpus tests/fixtures/sysinfo 2> $(BUILD)/fuzz/log || \
		{ tail -n 60 $(BUILD)/fuzz/log >&2; exit 1; }
	$(Q)grep -E '^stat::(number|average)' $(BUILD)/fuzz/log

$(BUILD)/bench/parse: tests/bench/parse.c tests/fuzz/print.c user/observe/sysinfo.c user/util.c
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -o $@ $^

bench-parse: $(BUILD)/bench/parse
	$(Q)$< $(BUILD)/bench/sysinfo.txt

# Is the BPF program's account the kernel's own? As root, here or in a guest: SECONDS=, WINDOWS=, CASES=.
EXACT_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/bpf/*.c)) \
	$(filter-out $(BUILD)/user/main.o,$(OBJECTS))
SECONDS ?= 10
WINDOWS ?= 1

$(BUILD)/exact: $(EXACT_OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Systemd mounts it; elsewhere it may be missing.
bpf-file-system:
	$(Q)mountpoint -q /sys/fs/bpf || mount -t bpf -o mode=700 bpf /sys/fs/bpf

exact: bpf-file-system
	$(Q)$(as_user) $(MAKE) $(BUILD)/exact
	$(Q)$(BUILD)/exact --seconds $(SECONDS) --windows $(WINDOWS) $(CASES)

# The same, where nearly all marks are in task storage, as where PIDs collide.
exact-few:
	$(Q)$(MAKE) BUILD=$(BUILD)/few MAX_MARKS=2U $(BUILD)/few/exact

# What the BPF program costs, next to an empty one and to others. As root; ROUNDS=N.
ROUNDS ?= 7
LIBRARY := $(filter-out $(BUILD)/user/main.o,$(OBJECTS))

$(BUILD)/empty.bpf.o: tests/bench/empty.bpf.c vmlinux.h
	$(call say,BPF,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -I. -c -o $@.tmp $<
	$(Q)$(BPFTOOL) gen object $@ $@.tmp

$(BUILD)/tests/bench/hold.o: $(BUILD)/empty.skel.h

$(BUILD)/bench/hold $(BUILD)/bench/reading $(BUILD)/bench/ring: $(BUILD)/bench/%: $(BUILD)/tests/bench/%.o $(LIBRARY)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

bench-packages:
	$(Q)tests/host-packages bench

bench-bpf: bench-packages bpf-file-system
	$(Q)$(as_user) $(MAKE) $(addprefix $(BUILD)/bench/,hold reading ring)
	$(Q)$(as_user) $(MAKE) BUILD=$(BUILD)/few MAX_MARKS=2U $(BUILD)/few/bench/hold
	$(Q)$(PYTHON) tests/bench/bpf.py $(BUILD)/bench $(ROUNDS) $(PARTS)

$(BUILD)/bench/replay: $(addprefix $(BUILD)/,tests/bench/replay.o tests/world/world.o) \
		$(filter-out %/main.o,$(OBJECTS))
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $^ $(LDLIBS)

bench-replay: $(BUILD)/bench/replay cmgr-bpf
	$(Q)$< $(BUILD)/bench/hour.recording
	$(Q)$(PYTHON) tests/bench/replay ./cmgr-bpf $(BUILD)/bench/hour.recording

# The daemon, all of it but the BPF program, for which tests/fault/host.c stands in, as it does for a few
# functions that these objects call. Built with sanitizers, and without them for strace.
FAULT_CALLS_user/doctor := host_look
FAULT_CALLS_user/util := clock_gettime
FAULT_CALLS_user/main := timerfd_settime
FAULT_CALLS_user/report/spool_file := openat pwrite fsync ftruncate
FAULT_CALLS_user/observe/pins := bpf_map__pin cgroup_cpu_unpin
FAULT_CALLERS := $(patsubst FAULT_CALLS_%,%,$(filter FAULT_CALLS_%,$(.VARIABLES)))

$(BUILD)/fault/%.o: $(BUILD)/%.o
	$(Q)mkdir -p $(@D)
	$(Q)$(OBJCOPY) $(foreach call,$(FAULT_CALLS_$(*:sanitized/%=%)),--redefine-sym $(call)=fault_$(call)) $< $@

# A symbol that one of the first objects defines is not taken from the archive.
$(BUILD)/fault/cmgr-bpf: $(addprefix $(BUILD)/,sanitized/tests/fault/host.o \
		$(FAULT_CALLERS:%=fault/sanitized/%.o) sanitized/daemon.a)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(LDLIBS)

$(BUILD)/fault/cmgr-bpf-plain: $(addprefix $(BUILD)/,tests/fault/host.o $(FAULT_CALLERS:%=fault/%.o) daemon.a)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# $(call faults,CYCLES,PYTEST'S OPTIONS)
faults = $(Q)DAEMON=$< CYCLES=$(1) $(PYTHON) -m pytest -q -p no:cacheprovider $(2) tests/fault

# In parallel: most tests wait. -rP prints the output of passing tests too, which includes their seeds.
FAULT_JOBS ?= 6

fault: $(BUILD)/fault/cmgr-bpf $(BUILD)/fault/cmgr-bpf-plain
	$(call faults,$(or $(CYCLES),60),-rfEP -n $(FAULT_JOBS) --dist loadgroup)

# Finds faults that fault's sample can miss: a reply cut after a particular byte, a kill or an error at a
# particular system call of startup, shutdown or the spool, a rare order of events, each way in which a peer
# can die. Runs serially, so that the timing of most cycles can be checked.
test-faults: $(BUILD)/fault/cmgr-bpf $(BUILD)/fault/cmgr-bpf-plain
	$(call faults,$(or $(CYCLES),10000),-s)

soak: $(BUILD)/fault/cmgr-bpf-plain
	$(Q)PLAIN=$< CYCLES=$(or $(CYCLES),10000) $(PYTHON) -m pytest -q -s -p no:cacheprovider tests/fault/soak.py

$(BUILD)/test_property: $(addprefix $(BUILD)/,tests/unit/test_property.o tests/property/host.o daemon.a)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

# 50 times as many hosts as make unit: finds a wrong class or order that only a rare mix of traits, ages and
# shares triggers.
test-property: $(BUILD)/test_property
	$(Q)HOSTS=$${HOSTS:-1000000} $<

# Prometheus's own check of /metrics, taken out of Debian's package: installing it would start a server.
PROMTOOL := $(BUILD)/promtool/usr/bin/promtool

$(PROMTOOL):
	$(call say,GET,promtool)
	$(Q)mkdir -p $(BUILD)/promtool
	$(Q)cd $(BUILD)/promtool && apt-get -q download prometheus >log 2>&1 && \
		dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xm ./usr/bin/promtool && rm prometheus_*.deb || \
		{ rm -rf usr; tail -n 5 log >&2; echo 'no promtool: that check is left out' >&2; }

promtool: $(if $(shell command -v promtool),,$(PROMTOOL))

pytest: promtool
	$(Q)$(PYTHON) -m pytest -q -p no:cacheprovider tests/vm/tests
	$(Q)$(PYTHON) -m pytest -q -p no:cacheprovider pygraph/tests

# pygraph's page in Chromium; PICTURES=FOLDER keeps screenshots.
browser:
	$(Q)$(PYTHON) -m pytest -q -p no:cacheprovider pygraph/tests/browser.py

test-postgres:
	$(Q)$(PYTHON) -m pytest -q -p no:cacheprovider pygraph/tests/postgres.py

# Prints figures; ends with 1 where they miss their bars.
YEAR_CYCLES ?= 300000

bench-pygraph:
	$(Q)$(PYTHON) pygraph/bench/ingest.py
	$(Q)mkdir -p $(BUILD)/bench
	$(Q)$(PYTHON) pygraph/bench/year.py $(BUILD)/bench/year $(YEAR_CYCLES)

test-packages:
	$(Q)tests/host-packages test

test: guest-packages
	$(Q)tests/suite test $(PARTS)

test-long: guest-packages
	$(Q)tests/suite long $(PARTS)

# What starts the machines is itself Python.
guest-root scenario scenario-old kernels-sample test-pressure test-kernels bench-kmod bench-reap test-debug-kernel demo: guest-packages

guest-packages:
	$(Q)tests/host-packages guest

guest-root:
	$(Q)tests/vm/run root

scenario:
	$(Q)tests/vm/run scenario

# On Debian 12, with the oldest kernel and engine.
scenario-old:
	$(Q)tests/vm/run scenario-old

kernels-sample:
	$(Q)tests/vm/run kernels-sample

test-pressure:
	$(Q)tests/vm/run pressure

test-kernels:
	$(Q)tests/vm/run kernels

# Prints figures, judges none: they belong to the machine that it runs on.
bench-kmod:
	$(Q)tests/vm/run bench-kmod
	$(Q)$(MAKE) bench-parse

bench-reap:
	$(Q)tests/vm/run bench-reap

test-debug-kernel:
	$(Q)tests/vm/run debug-kernel

demo:
	$(Q)CYCLES=$(CYCLES) PORT=$(PORT) tests/vm/run demo

run: cmgr-bpf
	sudo ./cmgr-bpf

lint: $(BUILD)/linted

# Only changed files, or all of them if the style changed.
$(BUILD)/linted: .clang-format $(C_FILES)
	$(call say,LINT,)
	$(Q)mkdir -p $(@D)
	$(Q)clang-format --dry-run -Werror $(if $(filter .clang-format,$?),$(C_FILES),$?)
	$(Q)touch $@

fmt:
	$(Q)clang-format -i $(C_FILES)

clean:
	$(call say,CLEAN,)
	$(Q)rm -rf $(BUILD)/user $(BUILD)/sanitized $(BUILD)/tests $(BUILD)/fault $(BUILD)/fuzz $(BUILD)/bench $(BUILD)/clang $(BUILD)/lint* $(BUILD)/compiled-with $(BUILD)/daemon.a $(BUILD)/full $(BUILD)/*.bpf.o* $(BUILD)/*.skel.h $(BUILD)/exact $(BUILD)/few $(BUILD)/test_property cmgr-bpf
	$(Q)! [ -d $(DEB) ] || find $(DEB) -mindepth 1 -maxdepth 1 ! -name 'root-*' -exec rm -rf {} +
	$(Q)rm -f kmod/*.o kmod/*.ko kmod/*.mod kmod/*.mod.c kmod/.*.cmd kmod/Module.symvers \
		kmod/modules.order
	$(Q)$(MAKE) -s -C docker clean

include packaging/install.mk

-include $(OBJECTS:.o=.d) $(SOURCES:%.c=$(BUILD)/sanitized/%.d) $(SYNTAX:.ok=.d) $(FUZZED:%.c=$(BUILD)/fuzz/%.d) \
	$(wildcard $(BUILD)/tests/*/*.d $(BUILD)/sanitized/tests/*/*.d)
.PHONY: FORCE syntax test-programs check $(UNIT_TESTS:%=%.run) all scenario-old bench-reap guest-packages kmod kmod-skipped tools objects compilers images unit fuzz bench-parse pytest test-packages test test-long guest-root scenario kernels-sample test-kernels test-pressure bench-kmod demo run lint fmt clean test-debug-kernel exact exact-few bpf-file-system bench-packages bench-bpf test-property bench-replay promtool browser test-postgres bench-pygraph fault test-faults soak

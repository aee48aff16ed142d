# SPDX-License-Identifier: GPL-2.0
# make              the daemon and, where kernel headers are installed, the module
# make demo         the whole of it in a guest: CYCLES=N ends after N cycles, PORT=N moves the page
# make test         unit tests, pygraph's tests, and the scenario in a guest
# make unit, pytest, scenario      its parts
# make images       the four workload images; needs a Docker engine
# make run          builds, then sudo ./cmgr-bpf
# make kmod         the module alone, for the headers in KDIR=
# make clean        removes what was built, but not the guest in build/vm
# make lint, fmt, vmlinux.h
# V=1 shows every command.
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules

V ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-8s %s\n' '$(1)' '$(2)')

BUILD := build
CC ?= gcc
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PKG_CONFIG ?= pkg-config
PYTHON ?= /usr/bin/python3
KDIR ?= /lib/modules/$(shell uname -r)/build
BTF ?= /sys/kernel/btf/vmlinux

PACKAGES := libbpf libcjson libcurl
CPPFLAGS += -D_GNU_SOURCE -I. -Iuser -isystem $(BUILD)
CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wconversion $(if $(CI)$(WERROR),-Werror)
ALL_CFLAGS = -std=gnu11 $(WARNINGS) $(CFLAGS) $(shell $(PKG_CONFIG) --cflags $(PACKAGES))
LDLIBS = $(shell $(PKG_CONFIG) --libs $(PACKAGES))

BPF_ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(shell uname -m)))
BPF_CFLAGS := -g -O2 -target bpf -D__TARGET_ARCH_$(BPF_ARCH) -Wall -Wextra -Wno-unused-parameter \
	$(addprefix -I,$(wildcard /usr/include/$(shell uname -m)-linux-gnu))

SOURCES := $(wildcard user/*.c user/*/*.c)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
C_FILES := $(filter-out %.mod.c,$(wildcard kmod/*.[ch])) $(wildcard bpf/*.[ch] user/*.[ch] user/*/*.[ch] docker/*/*.c \
	docker/*.h tests/unit/*.[ch])

all: cmgr-bpf $(if $(wildcard $(KDIR)/Makefile),kmod,kmod-skipped)

kmod-skipped:
	@echo '  SKIP     kmod: no kernel headers in $(KDIR); install them, or name them with KDIR='

cmgr-bpf: $(OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/user/observe/cgroup_cpu.o: $(BUILD)/cgroup_cpu.skel.h

$(BUILD)/%.bpf.o: bpf/%.bpf.c bpf/%.h vmlinux.h
	$(call say,BPF,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -I. -c -o $@.tmp $<
	$(Q)$(BPFTOOL) gen object $@ $@.tmp

$(BUILD)/%.skel.h: $(BUILD)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

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

# No compiler that people use may have a complaint.
compilers:
	$(Q)$(MAKE) objects BUILD=$(BUILD)/gcc CC=gcc WERROR=1
	$(Q)$(MAKE) objects BUILD=$(BUILD)/clang CC=clang WERROR=1

# Unit tests: every object but main.o once more, with sanitizers.
SANITIZE := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
UNIT_OBJECTS := $(patsubst %.c,$(BUILD)/sanitized/%.o,$(filter-out user/main.c,$(SOURCES)))

$(BUILD)/sanitized/%.o: %.c
	$(call say,CC,$< (sanitized))
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(SANITIZE) -MMD -MP -c -o $@ $<

$(BUILD)/sanitized/user/observe/cgroup_cpu.o: $(BUILD)/cgroup_cpu.skel.h

$(BUILD)/tests/%: tests/unit/%.c tests/unit/unit.h $(UNIT_OBJECTS)
	$(call say,TEST,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -Wno-conversion $(SANITIZE) -o $@ $< $(UNIT_OBJECTS) \
		$(LDLIBS) -lcmocka

unit: $(UNIT_TESTS)
	$(Q)for test in $^; do $$test || exit 1; done

pytest:
	$(Q)$(PYTHON) -m pytest -q -p no:cacheprovider tests/vm/tests
	$(Q)$(PYTHON) -m pytest -q -p no:cacheprovider pygraph/tests

test-packages:
	$(Q)tests/host-packages test

# In turn: two cores are not enough for a guest and a compiler at once.
test: test-packages
	$(Q)$(MAKE) compilers
	$(Q)test "$$($(MAKE) -s -C docker images DOCKER=echo | grep -c -- '-t cmgr-')" = 4
	$(Q)$(MAKE) unit
	$(Q)$(MAKE) pytest
	$(Q)$(MAKE) scenario

scenario:
	$(Q)tests/vm/run scenario

demo:
	$(Q)CYCLES=$(CYCLES) PORT=$(PORT) tests/vm/run demo

run: cmgr-bpf
	sudo ./cmgr-bpf

lint:
	$(Q)clang-format --dry-run -Werror $(C_FILES)

fmt:
	$(Q)clang-format -i $(C_FILES)

clean:
	$(call say,CLEAN,)
	$(Q)rm -rf $(BUILD)/user $(BUILD)/sanitized $(BUILD)/tests $(BUILD)/gcc $(BUILD)/clang $(BUILD)/full $(BUILD)/*.bpf.o* $(BUILD)/*.skel.h cmgr-bpf
	$(Q)rm -f kmod/*.o kmod/*.ko kmod/*.mod kmod/*.mod.c kmod/.*.cmd kmod/Module.symvers \
		kmod/modules.order
	$(Q)$(MAKE) -s -C docker clean

-include $(OBJECTS:.o=.d) $(UNIT_OBJECTS:.o=.d)
.PHONY: all kmod kmod-skipped tools objects compilers images unit pytest test-packages test scenario demo run lint fmt clean

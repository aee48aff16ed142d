# SPDX-License-Identifier: GPL-2.0
# Installing, and Debian packages. The Makefile includes this file.

cli: cmgr-bpf
	$(Q)$(PYTHON) -m pytest -q -p no:cacheprovider tests/packaging

.PHONY: cli

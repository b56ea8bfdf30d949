# SPDX-License-Identifier: BSD-2-Clause
# Suites that others wrote, plain and preloaded; nothing of them is part of this project.
#
#     make check-nptl [T=PATTERN] [TIMES=5] [MODES="plain 1 2"] [JOBS=2]
#                     glibc's own tests, from Debian's glibc-source; see tests/foreign/nptl.sh

FOREIGN := tests/foreign
FOREIGN_DIR := $(B)/foreign

$(FOREIGN_DIR)/guard: $(REAL)/tools/guard.c
	@mkdir -p $(@D)
	$(Q)$(CC) -O2 -std=gnu17 -Wall -Wextra $(CFLAGS) -o $@ $<

.PHONY: check-nptl
check-nptl: $(SO) $(FOREIGN_DIR)/guard
	$(Q)GT_SO=$(abspath $(SO)) $(FOREIGN)/nptl.sh -d $(abspath $(FOREIGN_DIR)) -n $(TIMES) \
	    -P "$(MODES)" $(if $(JOBS),-j $(JOBS)) '$(T)'

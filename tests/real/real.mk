# SPDX-License-Identifier: BSD-2-Clause
# Real programs, plain and preloaded; see tests/real/run.sh.
#
#     make check-real [T="NAME..."] [TIMES=20] [MODES="plain 1 2"] [SECS=.. CONNS=.. N=..]
#     make check-real-deps         the Debian packages without which cases are skipped

REAL := tests/real
REAL_TOOLS := $(B)/real/guard $(B)/real/peer
REAL_PACKAGES := $(shell sed -n 's/^needs [^ ]* //p' $(REAL)/*.sh | sort -u)

TIMES ?= 1
MODES ?= plain 1 2

$(REAL_TOOLS): $(B)/real/%: $(REAL)/tools/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) -O2 -std=gnu17 -Wall -Wextra $(CFLAGS) -o $@ $<

.PHONY: check-real-deps
run-check-real: $(SO) $(REAL_TOOLS)
	$(Q)GT_SO=$(SO) REAL_TOOLS=$(abspath $(B)/real) $(REAL)/run.sh -n $(TIMES) -P "$(MODES)" \
	    -k $(abspath $(B)/real/log) $(T)

check-real-deps:
	@echo $(REAL_PACKAGES)

# SPDX-License-Identifier: BSD-2-Clause
#
#     make check-python [T="FILE..."|T=all] [TIMES=5] [MODES="plain 1 2"] [BOUND=400]
#                     CPython's own tests, from Debian's libpython3.11-testsuite; see python.sh

BOUND ?= 400

.PHONY: check-python
check-python: $(SO) $(LAUNCHER)
	$(Q)GT_SO=$(abspath $(SO)) GT_LAUNCHER=$(abspath $(LAUNCHER)) tests/foreign/python.sh \
	    -n $(TIMES) -P "$(MODES)" -t $(BOUND) -k $(abspath $(B)/foreign/python) $(T)

# SPDX-License-Identifier: BSD-2-Clause
#
# The fuzzer of the allocation API (tests/fuzz); a short run belongs to `make check`.
#   make fuzz    FUZZ_SECS=600 SEED=
#   FUZZ_SEED=N build/tests/fuzz/suite    repeats what the suite ran

CHECK_SUITES += $(TB)/fuzz/suite

# An ordinary program; the compiler is not to know what malloc and the others promise.
$(TB)/fuzz/fuzz: tests/fuzz/fuzz.c tests/fuzz/failing.c tests/fuzz/failing.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(T_CFLAGS) -fno-builtin -MF $@.d -o $@ $(filter %.c,$^) -lstdc++

$(TB)/fuzz/suite: | $(TB)/fuzz/fuzz

FUZZ_SECS ?= 600
.PHONY: fuzz
fuzz: $(TB)/fuzz/fuzz $(SO)
	$(Q)sh tests/fuzz/run.sh $(abspath $(TB)/fuzz/fuzz) $(abspath $(SO)) $(FUZZ_SECS) $(SEED)

-include $(wildcard $(TB)/fuzz/*.d)

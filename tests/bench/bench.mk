# SPDX-License-Identifier: BSD-2-Clause
#
# The examples, the demo and the benchmarks.
#   make demo     DEMO_CONNS= DEMO_SECS=; BENCH_PRELOAD=none: plain twice
#   make bench    BENCH=name,... BENCH_PAIRS= BENCH_SECS= BENCH_PRELOAD=none BENCH_STRICT=1
#   make examples

BENCH_CFLAGS = -std=gnu17 -O2 -g -D_GNU_SOURCE -I. -DBENCH_BUILD='"$(B)"' -pthread -MMD -MP \
	-Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes

EXAMPLES := $(patsubst examples/%.c,$(B)/examples/%,$(wildcard examples/*.c))
BENCH_BIN := $(addprefix $(B)/bench/,load bench run demo)
BENCH_GO := $(wildcard tests/bench/go/*.go)
GO ?= $(shell command -v go 2>/dev/null)

CHECK_SUITES += $(B)/bench/test_load

.PHONY: examples
examples: $(EXAMPLES)

# Programs like any user's: none of the flags that the runtime is built with.
$(B)/examples/%: examples/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -O2 -g -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes \
		-Wmissing-prototypes -pthread -MMD -MP -MF $@.d -o $@ $<

$(B)/bench/%.o: tests/bench/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(BENCH_CFLAGS) -c -o $@ $<

$(B)/bench/load: $(addprefix $(B)/bench/,load.o harness.o proc.o)
$(B)/bench/bench: $(addprefix $(B)/bench/,bench.o proc.o)
$(B)/bench/run: $(addprefix $(B)/bench/,run.o harness.o)
$(B)/bench/demo: $(addprefix $(B)/bench/,demo.o harness.o)
$(B)/bench/test_load: $(addprefix $(B)/bench/,test_load.o harness.o)
$(B)/bench/test_load: BENCH_LIBS = $(shell pkg-config --libs check)
$(B)/bench/test_load: | $(B)/bench/load $(B)/examples/echo_server

$(BENCH_BIN) $(B)/bench/test_load:
	$(Q)$(CC) -pthread -o $@ $(filter %.o,$^) $(BENCH_LIBS)

# Go's figures are shown where go is installed; the sources need nothing but its own library.
$(B)/bench/gobench: $(BENCH_GO)
	@mkdir -p $(@D)
	$(Q)GOCACHE=$(abspath $(B)/gocache) GOFLAGS=-mod=mod GOPROXY=off \
		$(GO) build -o $@ $(BENCH_GO)

# With BENCH_PRELOAD=none nothing of the runtime is needed, nor built.
ifeq ($(BENCH_PRELOAD),none)
run-demo run-bench: BENCH_LAUNCHER = none
else
run-demo: $(LAUNCHER) $(SO)
run-bench: $(SO)
run-demo run-bench: BENCH_LAUNCHER = $(LAUNCHER)
endif

run-demo: $(BENCH_BIN) $(B)/examples/echo_server
	$(Q)$(B)/bench/demo $(BENCH_LAUNCHER)

run-bench: $(BENCH_BIN) $(B)/examples/echo_server $(if $(GO),$(B)/bench/gobench)
	$(Q)GT_SO=$(SO) BENCH='$(BENCH)' BENCH_PAIRS='$(BENCH_PAIRS)' BENCH_SECS='$(BENCH_SECS)' \
		BENCH_PRELOAD='$(BENCH_PRELOAD)' BENCH_STRICT='$(BENCH_STRICT)' $(B)/bench/run

-include $(wildcard $(B)/bench/*.d $(B)/examples/*.d)

# SPDX-License-Identifier: BSD-2-Clause
#
# Ordinary pthread programs run plain and preloaded (tests/pthread), the stress program
# (tests/stress), bad input and exhaustion (tests/fault), what the object exports (tests/abi).
#   make stress   STRESS_SECS=600 STRESS_THREADS=10000 SEED=
# Each suite: T=pattern selects, GT_SO unset runs everything plain.

TB := $(B)/tests
T_LIBNAMES := libatfork libdtor libheap liblazy libstatic libwrap
T_PROG_C := $(filter-out suite libplug $(T_LIBNAMES),\
	$(basename $(notdir $(wildcard tests/pthread/*.c))))
T_PROG_CC := $(filter-out $(T_LIBNAMES),$(basename $(notdir $(wildcard tests/pthread/*.cc))))
T_ENVS := $(notdir $(wildcard tests/pthread/*.env))
T_PROGRAMS := $(addprefix $(TB)/pthread/,$(T_PROG_C) $(T_PROG_CC))
T_PLUGS := $(addprefix $(TB)/pthread/,libplug_gd.so libplug_ie.so libplug_ld.so libplug_desc.so \
	libplug_xs.so)
T_LIBS := $(patsubst %,$(TB)/pthread/%.so,$(T_LIBNAMES))
T_FIXTURES := $(T_PROGRAMS) $(T_PLUGS) $(T_LIBS) $(addprefix $(TB)/pthread/,$(T_ENVS)) \
	$(TB)/stress/stress $(TB)/fault/victim $(TB)/fault/badfree $(TB)/fault/badfree_fixed \
	$(TB)/abi/probe $(TB)/abi/objects
T_SUITES := $(addprefix $(TB)/,pthread/suite stress/suite fault/suite abi/suite)

# The programs are like any user's: none of the flags that the runtime is built with.
T_WARN := -Wall -Wextra -Werror -Wshadow
T_CFLAGS := -std=gnu17 -O2 -g $(T_WARN) -pthread -MMD -MP
T_CXXFLAGS := -std=gnu++20 -O2 -g $(T_WARN) -pthread -MMD -MP
T_SUITE_CFLAGS := -std=gnu17 -O2 -g -D_GNU_SOURCE -I. -I$(TB)/pthread $(T_WARN) \
	-Wstrict-prototypes -Wmissing-prototypes -MMD -MP

CHECK_SUITES += $(T_SUITES)

.PHONY: check-programs
check-programs: $(T_FIXTURES) $(T_SUITES)

$(addprefix $(TB)/pthread/,$(T_PROG_C)): $(TB)/pthread/%: tests/pthread/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(T_CFLAGS) -MF $@.d -o $@ $< $(T_LDLIBS) -lm

$(TB)/pthread/malloc_linked: $(TB)/pthread/libheap.so
$(TB)/pthread/malloc_linked: T_LDLIBS = -L$(TB)/pthread -lheap -Wl,-rpath,'$$ORIGIN'
$(TB)/pthread/once_nounwind: T_CFLAGS += -fno-asynchronous-unwind-tables -fno-exceptions

$(addprefix $(TB)/pthread/,$(T_PROG_CC)): $(TB)/pthread/%: tests/pthread/%.cc
	@mkdir -p $(@D)
	$(Q)$(CXX) $(T_CXXFLAGS) -MF $@.d -o $@ $<

$(TB)/pthread/cancel_exc: T_CFLAGS += -fexceptions
$(TB)/pthread/cancel_exc: tests/pthread/cancel_cleanup.c

$(TB)/pthread/openmp $(TB)/pthread/openmp_bind: T_CFLAGS += -fopenmp
$(TB)/pthread/%.env: tests/pthread/%.env
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(TB)/pthread/libplug_gd.so: T_MODEL = global-dynamic
$(TB)/pthread/libplug_ie.so: T_MODEL = initial-exec
$(TB)/pthread/libplug_xs.so: T_MODEL = global-dynamic
$(TB)/pthread/libplug_xs.so: T_LINK = -Wl,-z,execstack
$(TB)/pthread/libplug_ld.so: T_MODEL = local-dynamic
$(TB)/pthread/libplug_desc.so: T_MODEL = global-dynamic
$(TB)/pthread/libplug_desc.so: T_CFLAGS += -mtls-dialect=gnu2
$(T_PLUGS): tests/pthread/libplug.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(T_CFLAGS) -MF $@.d -fPIC -shared -DMODEL='"$(T_MODEL)"' $(T_LINK) -o $@ $<

# Libraries that one program loads: libNAME.c or libNAME.cc.
$(TB)/pthread/liblazy.so: T_LINK = -Wl,-z,lazy
$(TB)/pthread/lib%.so: tests/pthread/lib%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(T_CFLAGS) -MF $@.d -fPIC -shared $(T_LINK) -o $@ $<
$(TB)/pthread/lib%.so: tests/pthread/lib%.cc
	@mkdir -p $(@D)
	$(Q)$(CXX) $(T_CXXFLAGS) -MF $@.d -fPIC -shared -o $@ $<

# The list of programs: written again only when it changes.
$(TB)/pthread/programs.inc: FORCE
	@mkdir -p $(@D)
	@printf 'P("%s")\n' $(sort $(T_PROG_C) $(T_PROG_CC)) > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

.PHONY: FORCE
FORCE:

$(TB)/stress/stress: tests/stress/stress.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(T_CFLAGS) -MF $@.d -o $@ $<

# what gcc knows of malloc would keep it from the wrong calls
$(TB)/fault/badfree $(TB)/fault/badfree_fixed: T_CFLAGS += -fno-builtin -O1 -w
$(TB)/fault/victim $(TB)/fault/badfree: $(TB)/fault/%: tests/fault/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(T_CFLAGS) -MF $@.d -o $@ $<

$(TB)/fault/badfree_fixed: tests/fault/badfree.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(T_CFLAGS) -fno-pie -no-pie -MF $@.d -o $@ $<

$(TB)/abi/objects: tests/abi/objects.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(T_CFLAGS) -MF $@.d -o $@ $<

# References as a program's linker makes them, to every name that the list holds.
$(TB)/abi/probe: tests/abi/probe.c $(wildcard interpose/*.def)
	@mkdir -p $(@D)
	$(Q)$(CC) $(T_CFLAGS) -I. -fPIC -MF $@.d -o $@ $< -lm -lrt -lresolv -ldl

$(TB)/run_pair.o: tests/run_pair.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(T_SUITE_CFLAGS) -MF $@.d -c -o $@ $<

$(TB)/%/suite: tests/%/suite.c $(TB)/run_pair.o $(TB)/pthread/programs.inc
	@mkdir -p $(@D)
	$(Q)$(CC) $(T_SUITE_CFLAGS) -MF $@.d -pthread -o $@ $< $(TB)/run_pair.o \
		$$(pkg-config --libs check)

$(T_SUITES): | $(T_FIXTURES)

STRESS_SECS ?= 600
STRESS_THREADS ?= 10000
run-stress: $(TB)/stress/stress $(SO)
	$(Q)sh tests/stress/run.sh $(abspath $(TB)/stress/stress) $(abspath $(SO)) \
		$(STRESS_SECS) $(STRESS_THREADS) $(SEED)

-include $(wildcard $(TB)/*.d $(TB)/pthread/*.d $(TB)/stress/*.d $(TB)/fault/*.d $(TB)/abi/*.d)

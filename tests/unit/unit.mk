# SPDX-License-Identifier: BSD-2-Clause
#
# Unit tests of core (tests/unit).  A suite links the objects of core that it tests, and fakes of
# what lies below or beside them.  Each is built three times: test_NAME links core's objects as they
# are shipped, test_NAME_asan (addresses, undefined behaviour) and test_NAME_tsan (threads) core
# built with a sanitizer.
#   SEED=N build/tests/unit/test_NAME    repeats a run of random steps

UB := $(B)/tests/unit
U_SUITES := kit heap runq wire timer park sema disk stack netpoll sync
# The thread sanitizer does not know our context switches, but no suite makes one: goroutines are
# kernel threads here.  Left out: cfg, which has one thread only (test_cfg itself is built beside
# the launcher).
U_TSAN := $(U_SUITES)
U_ASAN := $(U_SUITES) cfg

# The fakes that a suite links, and its linker flags.
U_FAKES_runq := tcb_fake
U_FAKES_wire := tcb_fake
U_FAKES_stack := tcb_fake
$(foreach s,timer park sema disk netpoll sync,$(eval U_FAKES_$(s) := tcb_fake sched_fake) \
	$(eval U_LDFLAGS_$(s) := -Wl,--wrap=gt_nanotime))
U_LDFLAGS_runq := -Wl,--wrap=gt_wake_netpoller
U_LDFLAGS_wire := -Wl,--wrap=gt_wake_netpoller

U_FLAGS = -std=gnu17 -D_GNU_SOURCE $(if $(DEBUG),-DGT_DEBUG) -I. -pthread $(WARN) \
	$(shell pkg-config --cflags check)
U_LIBS = $(shell pkg-config --libs check)
U_SAN_asan := -fsanitize=address,undefined -fno-sanitize-recover=all
# It knows no fences; ours order atomics only, never plain data.
U_SAN_tsan := -fsanitize=thread -Wno-tsan
# All of core but the thread blocks; the linker takes what is needed.
U_CORE := $(filter-out core/os/tcb.o,$(CORE_SRCS:.c=.o)) \
	$(patsubst %.S,%.o,$(filter core/%,$(SO_ASM)))

$(UB)/plain/libcore.a: $(U_CORE:%=$(B)/so/%)
$(UB)/asan/libcore.a: $(U_CORE:%=$(UB)/asan/%)
$(UB)/tsan/libcore.a: $(U_CORE:%=$(UB)/tsan/%)
$(UB)/%/libcore.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

# $(1): plain, asan, tsan
define U_OBJECTS
$(UB)/$(1)/core/%.o: core/%.c
	@mkdir -p $$(@D)
	$(Q)$(CC) $(SO_FLAGS) $(CFLAGS) $(U_SAN_$(1)) -MMD -MP -c $$< -o $$@
$(UB)/$(1)/core/%.o: core/%.S
	@mkdir -p $$(@D)
	$(Q)$(CC) -I. $(CFLAGS) -MMD -MP -c $$< -o $$@
$(UB)/$(1)/%.o: tests/unit/%.c
	@mkdir -p $$(@D)
	$(Q)$(CC) $$(U_FLAGS) $(CFLAGS) $(U_SAN_$(1)) -MMD -MP -c $$< -o $$@
endef
$(foreach v,plain asan tsan,$(eval $(call U_OBJECTS,$(v))))

# $(1): suite  $(2): plain, asan, tsan  $(3): the binary's name
define U_BINARY
$(UB)/$(3): $(addprefix $(UB)/$(2)/,test_$(1).o unit.o $(U_FAKES_$(1):=.o) libcore.a)
	$(Q)$(CC) $(CFLAGS) $(U_SAN_$(2)) $(LDFLAGS) $(U_LDFLAGS_$(1)) -pthread -o $$@ $$^ $$(U_LIBS)
CHECK_SUITES += $(UB)/$(3)
endef
$(foreach s,$(U_SUITES),$(eval $(call U_BINARY,$(s),plain,test_$(s))))
$(foreach s,$(U_ASAN),$(eval $(call U_BINARY,$(s),asan,test_$(s)_asan)))
$(foreach s,$(U_TSAN),$(eval $(call U_BINARY,$(s),tsan,test_$(s)_tsan)))

.SECONDARY: $(foreach v,plain asan tsan,$(UB)/$(v)/unit.o)
-include $(wildcard $(UB)/*/*.d $(UB)/*/core/*/*.d)

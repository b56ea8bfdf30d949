# SPDX-License-Identifier: BSD-2-Clause
# The launcher, its man page, and their tests. Uses B, CC, CFLAGS, LDFLAGS, Q of the Makefile.
# The configuration parser is compiled here once more: the launcher's copy is an ordinary one.

VERSION ?= 0.1
PREFIX ?= /usr/local

LAUNCHER_OBJS := $(addprefix $(B)/launcher/,preload/gothread.o preload/check_elf.o \
	preload/symbolize.o core/kit/cfg.o)
LAUNCHER_FLAGS := -std=gnu17 -D_GNU_SOURCE -I. -Wall -Wextra -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -DGT_VERSION='"$(VERSION)"' -DGT_LIBDIR='"$(PREFIX)/lib/gothread"'
# libdw brings libelf's compressed sections and mini debug information with it.
LAUNCHER_LIBS := -Wl,-Bstatic -ldw -lelf -llzma -lbz2 -lz -Wl,-Bdynamic -ldl -lpthread

$(B)/launcher/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(LAUNCHER_FLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(B)/gothread: $(LAUNCHER_OBJS)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LAUNCHER_LIBS) -o $@

$(B)/gothread.1: preload/gothread.1 $(B)/gothread
	$(Q)$(B)/gothread help man > $@.env
	$(Q)sed -e '/^@ENVIRONMENT@$$/{r $@.env' -e 'd;}' -e 's/@VERSION@/$(VERSION)/' $< > $@.new
	$(Q)mv $@.new $@

# ---- tests ----

CHECK_FLAGS = $(shell pkg-config --cflags check)
CHECK_LIBS = $(shell pkg-config --libs check)
LT := $(B)/tests/launcher

$(B)/tests/unit/test_cfg: $(B)/launcher/tests/unit/test_cfg.o $(B)/launcher/core/kit/cfg.o
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(CHECK_LIBS) -o $@

$(B)/launcher/tests/unit/test_cfg.o: LAUNCHER_FLAGS += $(CHECK_FLAGS)
$(B)/launcher/tests/launcher/test_launcher.o: LAUNCHER_FLAGS += $(CHECK_FLAGS)

# An installation of its own, with an object that only has to load: what is tested is the launcher.
LAUNCHER_FIXTURES := $(addprefix $(LT)/,inst/bin/gothread inst/lib/gothread/libgothread.so \
	lost/bin/gothread static musl plain cloner mallocer addresses addresses-stripped gobin \
	libjemalloc.so.2 jemalloced libasan.so.8 asaned addresses-nopie threader marked) \
	$(B)/gothread.1

$(LT)/test_launcher: $(B)/launcher/tests/launcher/test_launcher.o $(LAUNCHER_FIXTURES)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $< $(CHECK_LIBS) -o $@

$(LT)/inst/bin/gothread: $(B)/gothread
	@mkdir -p $(@D)
	$(Q)cp $< $@

# The one without an object; its prefix is a folder that a test makes and removes.
$(LT)/lost/bin/gothread: preload/gothread.c $(filter-out %/gothread.o,$(LAUNCHER_OBJS))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LAUNCHER_FLAGS) -UGT_LIBDIR -DGT_LIBDIR='"$(abspath $(LT))/prefix/lib/gothread"' \
		$(CFLAGS) $(LDFLAGS) $^ $(LAUNCHER_LIBS) -o $@

LT_CC = $(Q)mkdir -p $(@D); $(CC) -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -O1 -g $(LDFLAGS)

$(LT)/inst/lib/gothread/libgothread.so $(LT)/libjemalloc.so.2 $(LT)/libasan.so.8: \
		tests/launcher/object.c
	$(LT_CC) -shared -fPIC -Wl,-soname,$(@F) $< -o $@
$(LT)/plain: tests/launcher/plain.c
	$(LT_CC) $< -o $@
$(LT)/static: tests/launcher/plain.c
	$(LT_CC) -static $< -o $@
$(LT)/musl: tests/launcher/plain.c
	$(LT_CC) -Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1 $< -o $@
$(LT)/gobin: tests/launcher/plain.c
	$(LT_CC) -DGO_SECTION $< -o $@
$(LT)/cloner: tests/launcher/plain.c
	$(LT_CC) -DUSE_CLONE $< -o $@
$(LT)/mallocer: tests/launcher/plain.c
	$(LT_CC) -DOWN_MALLOC -rdynamic $< -o $@
$(LT)/threader: tests/launcher/plain.c
	$(LT_CC) -DUSE_THREADS $< -o $@
$(LT)/marked: tests/launcher/plain.c
	$(LT_CC) -Wl,-z,ibt -Wl,-z,shstk $< -o $@
$(LT)/jemalloced: tests/launcher/plain.c $(LT)/libjemalloc.so.2
	$(LT_CC) $< -Wl,--no-as-needed $(LT)/libjemalloc.so.2 -o $@
$(LT)/asaned: tests/launcher/plain.c $(LT)/libasan.so.8
	$(LT_CC) $< -Wl,--no-as-needed $(LT)/libasan.so.8 -o $@
$(LT)/addresses: tests/launcher/addresses.c
	$(LT_CC) $< -o $@
$(LT)/addresses-nopie: tests/launcher/addresses.c
	$(LT_CC) -no-pie $< -o $@
$(LT)/addresses-stripped: $(LT)/addresses
	$(Q)strip -o $@ $<

CHECK_SUITES += $(B)/tests/unit/test_cfg $(LT)/test_launcher

-include $(LAUNCHER_OBJS:.o=.d) $(B)/launcher/tests/unit/test_cfg.d \
	$(B)/launcher/tests/launcher/test_launcher.d

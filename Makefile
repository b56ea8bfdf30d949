# SPDX-License-Identifier: BSD-2-Clause
#
# make            build/gothread and build/libgothread.so
# make demo       an unmodified server, plain and as goroutines, side by side
# make check      all tests   [T=name] [DEBUG=1]
# make check-real unmodified Debian programs under real clients
# make check-nptl glibc's own tests, plain and preloaded
# make bench-malloc  the allocator beside others
# make fuzz      random traces over the allocation functions, checked
# make bench, lint, stress, install PREFIX= DESTDIR=, uninstall, clean, deps
# V=1 shows the commands.

B := $(if $(DEBUG),build/debug,build)
CC := gcc
OBJCOPY ?= objcopy
Q := $(if $(V),,@)
PREFIX ?= /usr/local
VERSION ?= 0.1
SO := $(B)/libgothread.so
LAUNCHER := $(B)/gothread
CFLAGS ?= -O2 -g

all: $(SO) $(LAUNCHER) $(B)/gothread.1

# ---- the preloaded object ----

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef
SO_FLAGS := -std=gnu17 -D_GNU_SOURCE -D_LARGEFILE64_SOURCE -U_FORTIFY_SOURCE -I. -I$(B) -fPIC \
	-fvisibility=hidden -fno-builtin -fno-stack-protector -ftls-model=initial-exec \
	-fno-omit-frame-pointer -fno-tree-loop-distribute-patterns -fno-strict-aliasing \
	-fasynchronous-unwind-tables $(WARN)
ifdef DEBUG
# lock ranks are checked; objects of their own
SO_FLAGS += -DGT_DEBUG
endif
CORE_SRCS := $(wildcard core/*/*.c core/arch/x86_64/*.c)
SO_SRCS := $(CORE_SRCS) $(wildcard interpose/*.c) preload/init.c preload/unwind.c
SO_ASM := $(wildcard core/arch/x86_64/*.S interpose/*.S)
# First what every program runs, then what one with goroutines does, then the rest: the kernel maps
# 64 KiB around a page of the object that is touched, and the pages that stay out cost nothing.
# What a program without threads touches of the code lies in 140 KiB of it, and another 64 serve one
# with threads.
SO_FIRST := $(wildcard core/mem/*.c core/kit/*.c) core/os/os.c preload/init.c preload/unwind.c \
	$(addprefix interpose/,alloc.c allocnext.c goruntime.c interpose.c) \
	core/arch/x86_64/sigframe.c core/arch/x86_64/switch.S \
	$(addprefix interpose/,thread.c cancel.c fork.c) core/sched/proc.c \
	$(addprefix interpose/,allocxx.c fd.c stdio.c stdio_out.c) \
	$(addprefix core/sched/,sched.c park.c sync.c sema.c stack.c timer.c sysmon.c signal.c \
	sigact.c sigmask.c sigroute.c sigtake.c sigtramp.c \
	sigq.c disk.c cputime.c wire.c netpoll.c sigwatch.c) core/os/tcb.c \
	$(addprefix interpose/,pshared.c dl.c futex.c mutex.c cond.c once.c ident.c wired.c \
	timer.c sleep.c io.c sem.c)
SO_OBJS := $(patsubst %,$(B)/so/%.o,\
	$(basename $(SO_FIRST) $(filter-out $(SO_FIRST),$(SO_SRCS) $(SO_ASM))))

$(B)/so/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(SO_FLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(B)/so/%.o: %.S
	@mkdir -p $(@D)
	$(Q)$(CC) -I. $(CFLAGS) -MMD -MP -c $< -o $@

# frames that a C++ exception or a cancellation may cross with work to do
$(B)/so/interpose/%.o: SO_FLAGS += -fexceptions

# run seldom, and stand among what every program runs, or every one with threads
$(addprefix $(B)/so/,core/kit/cfg.o core/sched/wire.o core/sched/sigq.o \
	$(addprefix interpose/,ident.o wired.o timer.o dl.o)): CFLAGS += -Os

# their fast paths need no frame
$(B)/so/interpose/alloc.o $(B)/so/interpose/allocxx.o: SO_FLAGS += -fomit-frame-pointer

# The export map: exactly the names of symbols.def, under no version (a named one would hide them).
$(B)/exports.map: $(wildcard interpose/*.def)
	@mkdir -p $(@D)
	$(Q)(echo '{ global:'; $(CC) -E -P -I. -D'X(ret,name,params,version)=@name;' \
		-x c interpose/symbols.def | grep -o '@[A-Za-z0-9_]*' | tr -d '@ ' | sed 's/$$/;/'; \
		echo 'local: *; };') > $@

# The compiler's unwinder under names of its own, for tracebacks (preload/unwind.c).
$(B)/unwind.o: preload/unwind.syms
	@mkdir -p $(B)/unwind
	$(Q)cd $(B)/unwind && $(AR) x $$($(CC) -print-file-name=libgcc_eh.a) unwind-dw2.o unwind-dw2-fde-dip.o
	$(Q)$(LD) -r -o $@ $(B)/unwind/unwind-dw2.o $(B)/unwind/unwind-dw2-fde-dip.o
	$(Q)$(OBJCOPY) --redefine-syms=preload/unwind.syms $@

$(SO): $(SO_OBJS) $(B)/unwind.o $(B)/exports.map preload/layout.ld
	$(Q)$(CC) -shared $(CFLAGS) $(LDFLAGS) -static-libgcc -nostartfiles -Wl,-z,defs -Wl,-z,now -Wl,-z,relro \
		-Wl,-z,nodelete -Wl,--version-script=$(B)/exports.map -Wl,--exclude-libs,ALL \
		-Wl,-soname,libgothread.so -Wl,-T,preload/layout.ld -o $@ $(SO_OBJS) $(B)/unwind.o -lc

-include $(SO_OBJS:.o=.d)

# The table of size classes is in the repository; the unit tests derive it again.
sizeclass:
	$(Q)awk -f tools/sizeclass.awk >core/mem/sizeclass.def

# ---- the rest, each beside its sources ----

CHECK_SUITES :=
include preload/launcher.mk tests/pthread/pthread.mk tests/bench/bench.mk tests/real/real.mk
include tests/foreign/foreign.mk tests/foreign/python.mk
include tests/bench_malloc/bench_malloc.mk tests/fuzz/fuzz.mk
-include tests/unit/unit.mk tools/lint/lint.mk

# ---- what must be installed ----

DEPS_BUILD := gcc libc6-dev make binutils libelf-dev libdw-dev liblzma-dev libbz2-dev zlib1g-dev
DEPS_CHECK := check pkg-config g++ procps
DEPS_LINT := clang clang-format clang-tidy cppcheck
DEPS_DEMO := python3

deps-build:
	@tools/deps.sh $(DEPS_BUILD)
deps-check: deps-build
	@tools/deps.sh $(DEPS_CHECK)
deps-demo: deps-build
	@tools/deps.sh $(DEPS_DEMO) || true
deps-lint: deps-check
	@tools/deps.sh $(DEPS_LINT)
deps: deps-build
	@tools/deps.sh $(DEPS_CHECK) $(DEPS_LINT) $(DEPS_DEMO) $(REAL_PACKAGES)

# ---- tests ----

# Each suite prints its own summary; all run, and what failed is told again at the end.
check: deps-check
	@$(MAKE) --no-print-directory all $(CHECK_SUITES)
	@GT_SO=$(abspath $(SO)) GT_LAUNCHER=$(abspath $(LAUNCHER)) T='$(T)' tools/check.sh $(B)/check $(CHECK_SUITES)

# What these need is installed before make looks at what to build; T= and the like go through.
DEPS_demo := deps-demo
DEPS_lint := deps-lint
ENTRIES := demo bench lint stress check-real
.SECONDEXPANSION:
$(ENTRIES): $$(or $$(DEPS_$$@),deps-build)
	@$(MAKE) --no-print-directory run-$@

.PHONY: sizeclass all check $(ENTRIES) $(ENTRIES:%=run-%) install uninstall clean deps deps-build deps-check \
	deps-demo deps-lint
.DEFAULT_GOAL := all

clean:
	rm -rf $(B)

install: all
	install -D -m 755 $(LAUNCHER) $(DESTDIR)$(PREFIX)/bin/gothread
	install -D -m 755 $(SO) $(DESTDIR)$(PREFIX)/lib/gothread/libgothread.so
	install -D -m 644 $(B)/gothread.1 $(DESTDIR)$(PREFIX)/share/man/man1/gothread.1
	install -D -m 644 share/gothread-gdb.py $(DESTDIR)$(PREFIX)/share/gothread/gothread-gdb.py

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/gothread $(DESTDIR)$(PREFIX)/share/man/man1/gothread.1
	rm -rf $(DESTDIR)$(PREFIX)/lib/gothread $(DESTDIR)$(PREFIX)/share/gothread

# SPDX-License-Identifier: BSD-2-Clause
#
# Our allocator beside glibc's and those that Debian packages, in one run of some minutes.
#   make bench-malloc   BENCH=pattern,... PAIRS=5 PERCENT=100 BENCH_CLOCK=cpu BENCH_STRICT=1

BM_BIN := $(addprefix $(B)/bench_malloc/,work gen run)
BM_PACKAGES := libjemalloc2 libtcmalloc-minimal4 libmimalloc2.0 python3-minimal redis-server \
	redis-tools mariadb-server mariadb-client sysbench

$(B)/bench_malloc/%: tests/bench_malloc/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(BENCH_CFLAGS) -MF $@.d -o $@ $(filter %.c %.o,$^) -lm
$(B)/bench_malloc/run: $(B)/bench/harness.o

.PHONY: bench-malloc
bench-malloc: $(BM_BIN) $(SO)
	@tools/deps.sh $(BM_PACKAGES) || true
	$(Q)GT_SO=$(SO) BENCH='$(BENCH)' PAIRS='$(PAIRS)' PERCENT='$(PERCENT)' \
		BENCH_CLOCK='$(BENCH_CLOCK)' BENCH_STRICT='$(BENCH_STRICT)' $(B)/bench_malloc/run

-include $(wildcard $(B)/bench_malloc/*.d)

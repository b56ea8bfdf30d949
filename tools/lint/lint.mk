# SPDX-License-Identifier: BSD-2-Clause
#
# make lint [L="STEP..."]      the checks of tools/lint/lint.sh, all of them or some
# LINT_JOBS=2: clang-tidy and cppcheck on two CPUs

LINT_JOBS ?= 1

# tests/pthread/suite.c includes the generated list.
run-lint: $(SO) $(B)/tests/pthread/programs.inc
	@B='$(B)' SO='$(SO)' SO_FLAGS='$(SO_FLAGS)' WARN='$(WARN)' SO_SRCS='$(SO_SRCS)' \
		CORE_OBJS='$(filter $(B)/so/core/%,$(SO_OBJS))' LINT_JOBS='$(LINT_JOBS)' \
		sh tools/lint/lint.sh $(L)

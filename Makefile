# oms: the extension (PGXS), its worker, tests and benchmarks. `make` alone explains the targets.
#
# The targets that only run something call scripts/, test/ and bench/; what is here is how the extension is built.

# --- PostgreSQL -------------------------------------------------------------------------------------------------------

PG_CONFIG := $(or $(PG_CONFIG),$(shell scripts/pg_config.sh))
export PG_CONFIG
ifneq ($(PG_CONFIG),$(if $(shell command -v '$(PG_CONFIG)'),$(PG_CONFIG)))
$(error PG_CONFIG=$(PG_CONFIG) does not exist)
endif
PGXS := $(if $(PG_CONFIG),$(wildcard $(shell $(PG_CONFIG) --pgxs)))

# --- what the extension is made of ------------------------------------------------------------------------------------

EXTENSION = oms
MODULE_big = oms
DATA = $(wildcard oms--*.sql)
SOURCES := $(sort $(wildcard src/*.cpp src/*/*.cpp))
OBJS := $(SOURCES:.cpp=.o)

# No exceptions, no RTTI, no guarded statics: PostgreSQL leaves C++ frames by longjmp (src/pg/README.md). Hidden visibility
# leaves the exported functions as the only names that can collide with another library in the server.
OMS_VERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" oms.control)
PG_CPPFLAGS = -Isrc -MMD -MP -DOMS_VERSION='"$(OMS_VERSION)"'
PG_CXXFLAGS = -std=c++20 -fno-exceptions -fno-rtti -fno-threadsafe-statics -fvisibility=hidden \
	-Wall -Wextra -Wshadow -Wconversion -Wno-register
ifdef STRICT
PG_CXXFLAGS += -Werror
endif
ifdef DEBUG
# The trap needs no sanitizer runtime in the server: undefined behaviour ends the backend with SIGILL. xxHash calls its
# always_inline functions through pointers, which g++ cannot inline at -Og.
PG_CXXFLAGS += -Og -DUSE_ASSERT_CHECKING -fsanitize=undefined -fsanitize-undefined-trap-on-error -DXXH_NO_INLINE_HINTS=1
endif

# The bitcode rule ignores PG_CXXFLAGS and would compile C++20 as C++14.
override with_llvm := no

NO_INSTALLCHECK = yes
CLEAN_FILES = $(OBJS:.o=.d) build
EXTRA_CLEAN = $(CLEAN_FILES)

WORKER := $(wildcard worker/Makefile)

.DEFAULT_GOAL := help
.PHONY: help all extension worker install install-worker uninstall uninstall-worker setup test demo unit lint installcheck isolation bench soak format hooks FORCE clean distclean

help:
	@echo 'oms: an order management system inside PostgreSQL'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 } /^## / { print substr($$0, 4) }' Makefile

## First steps
demo: setup ## a private server with orders living their lives; see the README
	@$(MAKE) --no-print-directory -j"$$(nproc)" all
	@$(MAKE) --no-print-directory install
	@scripts/demo.sh
test: setup ## build, install, run every suite in a private server; the last line is the count
	@test/run.sh
setup: ## install from Debian what is missing, and only that
	@scripts/setup.sh

## Build
all: extension worker ## the extension (oms.so) and the worker
extension: ## the extension alone
worker: ## the worker alone
install: ## extension and worker, into the server that PG_CONFIG names; asks sudo where needed; DESTDIR=... for packages
uninstall: ## remove what install has put there
clean: ## remove what was built
distclean: clean ## also remove the private servers and everything in .run/
	@scripts/cluster.sh destroy --all
	rm -rf .run

## Single suites (test/run.sh SUITE[:TEST] ... runs any of them; make test ONLY="regress:create_order lint" too)
unit: ## the decisions of src/core without PostgreSQL
	@test/run.sh unit
lint: ## layers, jump rule, sizes, formats; each finding names its remedy
	@test/run.sh lint
installcheck: ## pg_regress over sql/ in a private server
	@test/run.sh regress
isolation: ## the races: interleavings of sessions, test/isolation/specs
	@test/run.sh isolation
bench: setup ## rivals and ours in one run; minutes
	@$(MAKE) --no-print-directory -j"$$(nproc)" all
	@$(MAKE) --no-print-directory install
	@bench/run.sh
soak: setup ## faults, round after round: ROUNDS=... sets how many
	@$(MAKE) --no-print-directory -j"$$(nproc)" all
	@$(MAKE) --no-print-directory install
	@test/soak.sh

## For developers
format: ## lay out the C++ as .clang-format says
	find src worker test bench -name '*.[ch]pp' -print0 2>/dev/null | xargs -0 -r clang-format -i --style=file
hooks: ## format, lints and unit tests before each commit
	git config core.hooksPath .githooks

## Variables: PG_CONFIG=/path/to/pg_config  WORKER_BINDIR=/usr/local/bin (for oms-worker)  STRICT=1 (warnings are errors)  DEBUG=1 (assertions, undefined behaviour traps)

worker:
	$(if $(WORKER),+$(MAKE) -C worker)

ifneq ($(PGXS),)

include $(PGXS)

extension: build/symbols.checked

# The symbol gate: nothing that needs the C++ runtime may be in the library (no exceptions, no operator new, no unwinding).
build/symbols.checked: oms.so scripts/symbol_gate.sh
	scripts/symbol_gate.sh $<
	@touch $@

# Objects are rebuilt when their flags, compiler or server change, not only when their sources do.
BUILD_STAMP := $(PG_CONFIG) $(CXX) $(CXXFLAGS) $(CPPFLAGS)
build/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(BUILD_STAMP)' | cmp -s - $@ || echo '$(BUILD_STAMP)' >$@
FORCE:
$(OBJS): build/flags
-include $(OBJS:.o=.d)

# The worker goes beside the server's own programs unless told otherwise: it is of one version with the extension.
WORKER_BINDIR ?= $(bindir)
install: install-worker
install-worker: worker
	$(MKDIR_P) '$(DESTDIR)$(WORKER_BINDIR)'
	$(INSTALL_PROGRAM) build/worker/oms-worker '$(DESTDIR)$(WORKER_BINDIR)/'
uninstall: uninstall-worker
uninstall-worker:
	rm -f '$(DESTDIR)$(WORKER_BINDIR)/oms-worker'

# Only the copying runs with rights, so that no file of root's is left in the checkout.
NOT_WRITABLE = $(shell for place in '$(pkglibdir)' '$(datadir)/extension' '$(WORKER_BINDIR)'; do \
	test -w "$$place" || echo "$$place"; done)
SUDO := $(if $(DESTDIR),,$(if $(NOT_WRITABLE),scripts/as_root.sh))
INSTALL := $(SUDO) $(INSTALL)
MKDIR_P := $(SUDO) $(MKDIR_P)

else

# Nothing to build against: set up once, then do what was asked. A second failure is an error, not a loop.
.NOTPARALLEL:
extension install:
	$(if $(OMS_SET_UP),$(error no PostgreSQL with server headers (PG_CONFIG='$(PG_CONFIG)')))
	scripts/setup.sh
	+$(MAKE) OMS_SET_UP=1 $@
clean:
	rm -rf oms.so $(OBJS) $(CLEAN_FILES)

endif

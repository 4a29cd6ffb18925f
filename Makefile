# tmbridge: `make` builds, `make help` lists the rest. All that is made goes to .build/VARIANT/.
#
# VARIANT is release (the default, by gcc), debug (clang's ASan and UBSan, and what fuzzers need), tsan (ThreadSanitizer) or
# coverage (what its report is made of).

VERSION := 0.1.0
VARIANT ?= release
B := .build/$(VARIANT)

# The one list of packages (Debian 12). `make deps` installs what is missing.
BUILD_PACKAGES := gcc make pkg-config libc6-dev libpcap-dev libnet1-dev libmnl-dev libiniparser-dev \
	libseccomp-dev libcap-ng-dev libbpf-dev libjansson-dev libmicrohttpd-dev zlib1g-dev clang
TEST_PACKAGES := check llvm libclang-rt-14-dev valgrind bats iproute2 iputils-ping iputils-arping ethtool tcpdump \
	tshark curl openssl nginx-light iperf3 jq procps util-linux git mandoc clang-format nftables bsdextrautils \
	python3-prometheus-client libjs-dygraphs
# Servers, for checks of real ones, and a browser; `make deps` alone doesn't install them, as a package may start its server, and
# the browser is 100 MB with what it needs.
SERVER_PACKAGES := python3 redis-server slapd postgresql-15 chromium-headless-shell
BENCH_PACKAGES := haproxy wrk sockperf
DEB_PACKAGES := dpkg-dev debhelper fakeroot lintian
VM_PACKAGES := qemu-system-x86 mmdebstrap cpio kmod bpftool
# Those in the virtual machine, beside its kernel: systemd, what tmbridge and the units are linked with, what tests call.
VM_GUEST_PACKAGES := systemd-sysv kmod libpcap0.8 libnet1 libmnl0 libiniparser1 libseccomp2 libcap-ng0 libbpf1 libjansson4 zlib1g libsubunit0 \
	bats bpftool iproute2 iputils-ping iputils-arping ethtool tcpdump curl openssl nginx-light iperf3 jq procps nftables logrotate \
	libmicrohttpd12 libjs-dygraphs netbase
# For tests/vm/short.sh, which does without systemd.
VM_SHORT_PACKAGES := bash coreutils findutils mawk grep sed libc-bin mount util-linux kmod bats bpftool iproute2 jq procps
PACKAGES = $(BUILD_PACKAGES) $(TEST_PACKAGES)
VM_PROGRAMS := $(patsubst %.c,.build/release/%.o,$(wildcard tests/vm/*.bpf.c)) # for its kernel to judge

SHELL := /bin/bash

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=

# Warnings are errors where tmbridge is worked on: in CI, and for any goal but those that who only uses
# it has. A compiler that is newer than these lines may warn of more, which is no reason not to build.
USERS_GOALS := all install install-console uninstall demo deps help clean $(B)/tmbridge
WERROR ?= $(if $(CI)$(filter-out $(USERS_GOALS),$(MAKECMDGOALS)),-Werror)
WARNINGS := -Wall -Wextra -Wconversion -Wshadow $(WERROR)
CPPFLAGS += -D_GNU_SOURCE -DTMBRIDGE_VERSION='"$(VERSION)"'
# CI compiles for one run, of whose reports lines are enough (-g1).
COMMON := -std=c11 $(WARNINGS) -g$(if $(CI),1) -fno-strict-aliasing -MMD -MP
LIBS := -lbpf -lpcap -lnet -lmnl -liniparser -lseccomp -lcap-ng -ljansson -lz

SANITIZE := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
ifeq ($(VARIANT),release)
  CC := gcc
  AR := gcc-ar
  CFLAGS ?= $(if $(findstring tests/unit/,$@),-O1,-O3) -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE $(if $(filter $(LINKED_LATER),$@),$(LTO))
  LDFLAGS ?= -O3 $(LTO) -pie -Wl,-z,relro,-z,now
  # By the linker is optimized what handles frames: not tests, nor what reads files and talks with operators.
  LINKED_LATER = $(filter-out $(B)/bridge/operator/% $(B)/bridge/client/% $(B)/bridge/console/%,$(LB) $(BRIDGE) $(B)/bridge/main.o)
  LTO := $(if $(findstring clang,$(CC)),,-flto=auto -ffat-lto-objects)
else ifeq ($(VARIANT),debug)
  CC := clang
  CFLAGS ?= $(SANITIZE) $(ONCE) $(if $(filter $(FUZZED),$@),-fsanitize=fuzzer-no-link)
  # For one run the compiler would spend more time on units' own code than it spares.
  ONCE = $(if $(CI),$(if $(findstring tests/unit/,$@),-O0))
  LDFLAGS ?= -fsanitize=address,undefined
else ifeq ($(VARIANT),tsan)
  CC := clang
  CFLAGS ?= -O1 -fsanitize=thread -fno-omit-frame-pointer
  LDFLAGS ?= -fsanitize=thread
else ifeq ($(VARIANT),coverage)
  CC := clang
  CFLAGS ?= -O0 -DNDEBUG $(INSTRUMENT) # asserts never fail: no branches to be taken
  LDFLAGS ?= -fprofile-instr-generate
  INSTRUMENT = $(if $(filter $(B)/lb/% $(B)/cfg/%,$@),-fprofile-instr-generate -fcoverage-mapping)
else
  $(error VARIANT=$(VARIANT): release, debug, tsan or coverage)
endif

LB := $(patsubst %.c,$(B)/%.o,$(wildcard lb/*.c))
CFG := $(patsubst %.c,$(B)/%.o,$(wildcard cfg/*.c))
CONSOLE := $(patsubst %.c,$(B)/%.o,$(wildcard bridge/console/*.c)) $(B)/bridge/console/page.o
BRIDGE := $(patsubst %.c,$(B)/%.o,$(filter-out bridge/main.c bridge/console/% %.bpf.c,$(wildcard bridge/*.c bridge/*/*.c))) \
	$(B)/bridge/fastpath/program.o $(B)/bridge/fastpath/any_program.o $(B)/bridge/fastpath/image_program.o $(B)/bridge/fastpath/guard_program.o $(B)/bridge/fastpath/bouncer_program.o
UNIT := $(patsubst %.c,$(B)/%.o,$(wildcard tests/unit/*.c tests/oracle/*.c) tests/fuzz/books.c)
TOOLS := $(patsubst tests/tools/%.c,$(B)/tools/%,$(filter-out %.bpf.c,$(wildcard tests/tools/*.c)))

HAS_HTTP := $(shell pkg-config --exists libmicrohttpd && echo yes)
.PHONY: all
all: $(B)/tmbridge $(if $(HAS_HTTP),$(B)/tmbridge-console) ## build .build/release/tmbridge and, if libmicrohttpd is there, tmbridge-console

$(B)/tmbridge: $(B)/bridge/main.o $(B)/bridge.a $(B)/cfg.a $(B)/lb.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# The console: its page is in it, as arrays of bytes.
PAGE := bridge/console/page

$(B)/tmbridge-console: $(CONSOLE) $(B)/bridge.a
	$(CC) $(LDFLAGS) -o $@ $^ -lmicrohttpd -ljansson -lm

$(B)/bridge/console/page.c: $(PAGE)/index.html $(PAGE)/console.css $(PAGE)/console.js
	@mkdir -p $(@D)
	@{ echo '#include <stddef.h>'; for file in $^; do name=page_$${file##*.}; \
	echo "extern const unsigned char $$name[]; extern const size_t $${name}_bytes;"; \
	echo "const unsigned char $$name[] = {"; od -An -v -tu1 -w32 $$file | sed 's/ *\([0-9][0-9]*\)/\1,/g'; \
	echo "};"; echo "const size_t $${name}_bytes = sizeof($$name);"; done; } >$@

$(B)/bridge/console/page.o: $(B)/bridge/console/page.c
	$(CC) $(CPPFLAGS) $(COMMON) $(CFLAGS) -c -o $@ $<

$(B)/lb.a: $(LB)
$(B)/cfg.a: $(CFG)
$(B)/bridge.a: $(BRIDGE)
$(B)/%.a:
	@rm -f $@
	$(AR) rcs $@ $^

# The units may run out of memory: see tests/unit/memory.c; get messages from nowhere, and send them there: inlet_test.c, outlet_test.c; stand still: clock_test.c; and find programs loaded: kept_programs.c. Check notes
# where each assertion is: see main.c.
WRAP := -Wl,--wrap=_mark_point,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=recvmmsg,--wrap=sendmmsg,--wrap=clock_gettime,--wrap=bpf_object__load \
	-Wl,--wrap=loaded_open,--wrap=loaded_close,--wrap=guard_open,--wrap=guard_close

$(B)/unit: LDFLAGS += -fno-lto # it need not be fast
$(B)/unit: $(UNIT) $(patsubst %,$(B)/bridge/console/%.o,address guard history seats) $(B)/bridge.a $(B)/cfg.a $(B)/lb.a
	$(CC) $(LDFLAGS) $(WRAP) -o $@ $^ $(LIBS) $$(pkg-config --libs check)

BENCH := $(patsubst %.c,$(B)/%.o,$(filter-out %.bpf.c,$(wildcard tests/bench/*.c))) $(B)/tests/bench/feed_program.o
$(B)/tests/bench/%.o: CPPFLAGS += -DBENCH_CC='"$(shell $(CC) --version | head -1)"' -DBENCH_CFLAGS='"$(CFLAGS) $(LDFLAGS)"'

$(B)/bench-engine: $(BENCH) $(addprefix $(B)/bridge/process/,memory.o log.o recent.o details.o text.o clock.o journal.o datagram.o) \
		$(addprefix $(B)/bridge/fastpath/,maps.o loaded.o object.o known.o heritage.o pins.o program.o any_program.o image_program.o) $(B)/cfg.a $(B)/lb.a
	$(CC) $(LDFLAGS) -o $@ $^ -liniparser -lbpf

$(B)/tools/natcheck $(B)/tools/asks: TOOL_LIBS := -lpcap
$(B)/tools/%: tests/tools/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(COMMON) $(CFLAGS) $(LDFLAGS) -o $@ $< $(TOOL_LIBS)

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(COMMON) $(CFLAGS) -c -o $@ $<

# What runs in the kernel, as an array of bytes: bridge/fastpath/program.h. clang is the compiler for it, whatever CC is, and makes it once for
# all variants.
BPF_CLANG ?= clang
K := .build/release
BPF_FLAGS := -target bpf -mcpu=v3 -std=gnu11 -O2 -g -Wall -Wextra $(WERROR) -D__$(shell uname -m)__ \
	-I/usr/include/$(shell gcc -print-multiarch)

$(K)/%.bpf.o: %.bpf.c Makefile
	@mkdir -p $(@D)
	$(BPF_CLANG) $(BPF_FLAGS) -MMD -MP -c -o $@ $<

as_bytes = { echo '\#include "$(patsubst $(K)/%.c,%.h,$@)"'; \
	echo '_Alignas(8) const unsigned char $(1)[] = {'; \
	od -An -v -tu1 -w32 $< | sed 's/ *\([0-9][0-9]*\)/\1,/g'; \
	echo '};'; echo 'const size_t $(1)_bytes = sizeof($(1));'; } >$@

$(K)/bridge/fastpath/fastpath.bpf.o: BPF_FLAGS += -DSUMMED_IS_SEEN
$(K)/bridge/fastpath/fastpath_any.bpf.o: bridge/fastpath/fastpath.bpf.c Makefile
	@mkdir -p $(@D)
	$(BPF_CLANG) $(BPF_FLAGS) -MMD -MP -c -o $@ $<

$(K)/bridge/fastpath/program.c: $(K)/bridge/fastpath/fastpath.bpf.o
	@$(call as_bytes,fastpath_program)

$(K)/bridge/fastpath/any_program.c: $(K)/bridge/fastpath/fastpath_any.bpf.o
	@$(call as_bytes,fastpath_any_program)

$(K)/bridge/fastpath/image.bpf.o: BPF_FLAGS += -mcpu=v2 # without registers of 32 bits: see there

$(K)/bridge/fastpath/image_program.c: $(K)/bridge/fastpath/image.bpf.o
	@$(call as_bytes,image_program)

$(K)/bridge/fastpath/guard_program.c: $(K)/bridge/fastpath/guard.bpf.o
	@$(call as_bytes,guard_program)

$(K)/bridge/fastpath/bouncer_program.c: $(K)/bridge/fastpath/bouncer.bpf.o
	@$(call as_bytes,bouncer_program)

$(K)/tests/bench/feed_program.c: $(K)/tests/bench/feed.bpf.o
	@$(call as_bytes,feed_program)

$(B)/bridge/fastpath/program.o $(B)/bridge/fastpath/any_program.o $(B)/bridge/fastpath/image_program.o $(B)/bridge/fastpath/guard_program.o $(B)/bridge/fastpath/bouncer_program.o $(B)/tests/bench/feed_program.o: $(B)/%.o: $(K)/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(COMMON) $(CFLAGS) -I. -c -o $@ $<

.PHONY: programs
programs: $(patsubst %,$(K)/bridge/fastpath/%.c,program any_program image_program guard_program bouncer_program)

-include $(shell find $(B) -name '*.d' 2>/dev/null) $(shell find $(K) -name '*.bpf.d' 2>/dev/null)

# Sets up and tests

.PHONY: deps
deps: ## install what is missing of the packages (as root)
	@missing=$$(dpkg-query -W -f '$${db:Status-Status} $${Package}\n' $(PACKAGES) 2>/dev/null | \
		sed -n 's/^installed //p' | sort | comm -13 - <(printf '%s\n' $(PACKAGES) | sort -u)); \
	if [ -n "$$missing" ]; then \
		[ "$$(id -u)" = 0 ] || { echo "make deps needs root to install:" $$missing >&2; exit 1; }; \
		echo "installing" $$missing; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi

.PHONY: everything
everything: $(B)/tmbridge $(B)/tmbridge-console $(B)/unit $(B)/bench-engine $(TOOLS)

.PHONY: test
test: PACKAGES += $(SERVER_PACKAGES)
test: deps vm-packages ## install what is missing, build, and run all tests, also under ASan and UBSan
	$(MAKE) -j$$(nproc) for-live-tests
	BUILD="release debug" VM_SHORT_PACKAGES="$(VM_SHORT_PACKAGES)" tests/run.sh

# The tests do without them.
.PHONY: vm-packages
vm-packages: deps # not both at a time
	-@$(MAKE) -s deps PACKAGES="$(VM_PACKAGES)"

.PHONY: check
check: ## units, rooms and replays (not by valgrind), as released and sanitized: under a minute; installs nothing, needs no root
	$(MAKE) -s -j$$(nproc) release debug
	VARIANTS="release debug" QUICK=yes COMPUTE_JOBS=$$(($$(nproc) + 1)) tests/run.sh unit rooms replay

# What tests/run.sh begins with, and what it has made meanwhile, each of a variant.
.PHONY: release debug for-live-tests for-tests-release for-tests-debug
release: programs # not by two at a time
	$(MAKE) VARIANT=$@ .build/$@/tmbridge .build/$@/tmbridge-console .build/$@/unit $(BENCH:$(B)/%=.build/$@/%) $(TOOLS:$(B)/%=.build/$@/%)
debug: programs # the tools are always those of release
	$(MAKE) VARIANT=$@ $(addprefix .build/$@/,tmbridge tmbridge-console unit bench-engine)
for-live-tests:
	$(MAKE) VARIANT=release .build/release/tmbridge .build/release/tmbridge-console $(TOOLS:$(B)/%=.build/release/%)
for-tests-release: release check-format $(VM_PROGRAMS)
for-tests-debug: debug
	$(MAKE) VARIANT=debug fuzzers

# The virtual machine with Debian 12's kernel: see tests/vm/README.md.

VM_FILES := $(patsubst %,tests/vm/%.bats,service bond trunk fastpath kernel)
VM_TESTS ?= unit:1/2 unit:2/2 $(VM_FILES) tests/vm/netem.bats tests/live/wire.bats tests/live/balance.bats demo \
	fast:tests/live/wire.bats fast:tests/live/balance.bats tests/replay/golden.bats
RUN_VM = VM_IMAGE=$$(tests/vm/image.sh .build/vm/image $(VM_GUEST_PACKAGES)) && export VM_IMAGE && tests/vm/run.sh

.PHONY: vm vm-short vm-shell
vm vm-short vm-shell: PACKAGES += $(VM_PACKAGES) $(DEB_PACKAGES)
vm: deps vm-build vm-deb ## tests in a virtual machine with Debian 12's kernel (VM_TESTS="FILE..."; emulated 12 min.)
	@$(RUN_VM) $(VM_TESTS)
vm-short: deps vm-build ## a few of those that no other kernel can stand in for (2 min.)
	@$(RUN_VM) $(VM_FILES:%=short:%)
vm-shell: deps vm-build ## a shell in that machine, the project and its tests beside it
	@$(RUN_VM) shell

.PHONY: vm-build vm-deb
vm-build:
	@$(MAKE) -s -j$$(nproc) VARIANT=release everything $(VM_PROGRAMS)
vm-deb: vm-build # the package's test installs it
	@$(MAKE) -s deb >.build/deb.log 2>&1 || { cat .build/deb.log; false; }

# The live tests under ThreadSanitizer, which makes a process 5 to 15 times slower. A test that fails fails it, and so does any report. Those
# tagged plain are about time, which is another one then: of these only reports count. A file may take TSAN_LIMIT_S.
TSAN_WORKERS ?= 2 4
TSAN_PLAIN = $(shell grep -l 'tags=plain' $(if $(LIVE),$(LIVE:%=tests/live/%.bats),tests/live/*.bats))
TSAN_ENV = LAB_PATIENCE=5 REPORTS=$(CURDIR)/.build/tsan/reports
TSAN_LIMIT_S := 1800

.PHONY: tsan tsan-build
tsan-build:
	$(MAKE) -j$$(nproc) everything
	$(MAKE) -j$$(nproc) VARIANT=tsan .build/tsan/tmbridge .build/tsan/tmbridge-console
tsan: deps tsan-build ## the live tests under ThreadSanitizer, with 2 and 4 workers (LIVE="workers reload" TSAN_WORKERS=2; all: hours)
	rm -f .build/tsan/reports
	failed=; for n in $(TSAN_WORKERS); do echo "$$n workers:"; export WORKERS=$$n $(TSAN_ENV); \
		LIVE="$(LIVE)" VARIANTS=tsan LIMIT_S=$(TSAN_LIMIT_S) LIVE_JOBS=$$(nproc) tests/run.sh live fast || failed=yes; \
		for file in $(TSAN_PLAIN); do echo "$$file, plain:"; \
			VARIANT=tsan timeout -k 5 $(TSAN_LIMIT_S) tests/lab.sh bats --tap --timing --filter-tags plain $$file; done; done; \
	! grep -s . .build/tsan/reports && [ -z "$$failed" ]

.PHONY: console-test
console-test: PACKAGES += python3 chromium-headless-shell
console-test: deps everything ## the console in a browser; screenshots in .build/screenshots
	tests/lab.sh bats tests/live/browser.bats

.PHONY: demo
demo: deps ## install what is missing, build, and walk through the pool in a lab (MODE=routed, one-armed; STAY=1: it stays up to be looked at)
	@$(MAKE) -s everything WERROR=
	@STAY=$(STAY) MODE=$(MODE) tests/demo.sh

.PHONY: bench-limits
bench-limits: deps $(B)/tmbridge ## what a flood from one address costs the others, under client_rate (RUNS=5; 1 min.)
	@tests/lab.sh bash tests/bench/limits.sh

.PHONY: bench-live
bench-live: PACKAGES += $(BENCH_PACKAGES)
bench-live: deps $(B)/tmbridge ## beside the kernel and HAProxy, live (RUNS=5 JSON=FILE; 15 min.)
	@tests/lab.sh tests/bench/live.sh

.PHONY: bench-filters
bench-filters: PACKAGES += $(BENCH_PACKAGES)
bench-filters: deps everything ## what 64 filters cost the wire that match none of its frames (RUNS=5 KINDS="hosts mixed"; 6 min.)
	@tests/lab.sh bash tests/bench/filters.sh

.PHONY: bench-burst bench-probes
bench-burst: deps everything ## 124,000 connections that speak at once, beside the kernel's bridge (RUNS=5; 5 min.)
	@tests/lab.sh tests/bench/burst.sh $(RUNS) bridge off off:nice=-20 kernel
bench-probes: deps everything ## what 4095 servers with 16 checks each cost the wire's round trips (RUNS=5; 3 min.)
	@tests/lab.sh tests/bench/probes.sh $(RUNS)

FLOWS ?= 1000 100000 1000000 10000000
RUNS ?= 5

.PHONY: bench-engine
bench-engine: deps $(B)/bench-engine ## what the engine costs (FLOWS="1000 10000000" RUNS=5 JSON=FILE; 3 min.)
	@$(B)/bench-engine -r $(RUNS) $(if $(JSON),-j $(JSON)) $(FLOWS)

.PHONY: bench-operators
bench-operators: PACKAGES += $(BENCH_PACKAGES)
bench-operators: deps everything ## what operators who ask each second cost the wire (FLOWS=200000 ROUNDS=20; 4 min.)
	@FLOWS=$(if $(findstring command line,$(origin FLOWS)),$(FLOWS)) ROUNDS=$(ROUNDS) tests/lab.sh tests/bench/operators.sh

.PHONY: bench
bench: ## both (JSON=FILE gets all the figures)
	@$(MAKE) -s bench-engine JSON=.build/engine.json
	@$(MAKE) -s bench-live JSON=.build/live.json
	@$(if $(JSON),jq -cs add .build/engine.json .build/live.json >$(JSON))

.PHONY: pcaps
pcaps: deps ## record the captures of pcaps/ anew in the lab
	$(MAKE) everything
	tests/record.sh

# Fuzzing: FUZZ_S seconds of each fuzzer, seeded by frames of the captures and lb.ini samples; what
# they learn stays in .build/fuzz/NAME.corpus.

FUZZ_S ?= 600
FUZZERS := frame sequence ini adopt check request
FUZZ := $(patsubst %,$(B)/tests/fuzz/%.o,books engine packets witness)
FUZZED_REQUEST := $(patsubst %,$(B)/bridge/%.o,operator/filter operator/request process/quantity process/text)
FUZZED_CHECK := $(patsubst %,$(B)/bridge/worker/%.o,chat answer fault)
FUZZED := $(LB) $(CFG) $(FUZZED_REQUEST) $(FUZZED_CHECK)

$(B)/fuzz.a: $(FUZZ)

$(B)/fuzz_request: $(FUZZED_REQUEST)

$(B)/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(B)/fuzz.a $(B)/cfg.a $(B)/lb.a
	$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(filter %.a,$^) -liniparser

$(B)/seeds: $(B)/tests/fuzz/seeds.o $(B)/fuzz.a
	$(CC) $(LDFLAGS) -o $@ $^ -lpcap

$(B)/fuzz_check: $(FUZZED_CHECK)

.PHONY: fuzzers
fuzzers: $(FUZZERS:%=$(B)/fuzz_%) $(B)/seeds

.PHONY: fuzz
fuzz: deps ## fuzz the engine and lb.ini, FUZZ_S seconds each (600)
	$(MAKE) VARIANT=debug fuzzers
	tests/fuzz/run.sh $(FUZZ_S) $(FUZZERS)

# Coverage

.PHONY: coverage
coverage: deps ## how much of lb/ and cfg/ the unit and golden tests reach
	$(MAKE) -j$$(nproc) VARIANT=coverage everything
	$(MAKE) -j$$(nproc) everything
	tests/coverage.sh

# The oracle: the engine beside a slow and obvious model of it, over ORACLE_EVENTS random events from
# each of ORACLE_SEEDS.

ORACLE_EVENTS ?= 5000000
ORACLE_SEEDS ?= 1 1000001 2000001 $(shell date +%s)

.PHONY: oracle
oracle: $(B)/unit ## compare the engine with a model of it, ORACLE_EVENTS events from each of ORACLE_SEEDS
	@for seed in $(ORACLE_SEEDS); do \
		CK_FORK=no CK_RUN_SUITE=oracle ORACLE_SEED=$$seed ORACLE_EVENTS=$(ORACLE_EVENTS) $(B)/unit || exit 1; \
	done

# The engine and a reader beside it, under the thread sanitizer.

.PHONY: race
race: ## see that what the engine shares with the kernel's program is free of data races
	$(MAKE) -s VARIANT=tsan .build/tsan/unit
	CK_FORK=no CK_RUN_SUITE=lane .build/tsan/unit

# The program in the kernel beside the engine, over FASTPATH_EVENTS random segments of either version of IP as a cable, and as many in each
# of the two other modes: six times that.

FASTPATH_EVENTS ?= 1000000

.PHONY: program
program: $(B)/unit ## compare the kernel's program with the engine, FASTPATH_EVENTS segments for each mode and version of IP (as root; 5 min.)
	CK_FORK=no CK_RUN_SUITE=fastpath FASTPATH_EVENTS=$(FASTPATH_EVENTS) $(B)/unit

# kill -9 at random moments under load, also in the middle of a start. A few times is a live test.

KILLS ?= 100

.PHONY: kills
kills: deps everything ## kill it -9 KILLS times at random moments: no connection may be lost (100; 5 min.)
	KILLS=$(KILLS) tests/lab.sh bats -f 'kill -9 at random' tests/live/adopt.bats

# A long life in little time: see tests/soak.sh. FAST_PATH=kernel, WORKERS=2 in the environment are others.

SOAK_S ?= 1200

.PHONY: soak
soak: deps everything ## reload every 5 s while servers die and return, with connections all the time, for SOAK_S seconds (1200)
	SOAK_S=$(SOAK_S) tests/soak.sh

# Raw frames against connections that are held: see tests/attack.sh. FAST_PATH=kernel, FAMILY=6 or WORKERS=2 in the environment
# are other forms.

ATTACK_S ?= 20

.PHONY: attack
attack: deps everything ## forge segments, ICMP errors and ARP against 50 held connections during reloads, for ATTACK_S seconds (20)
	ATTACK_S=$(ATTACK_S) tests/attack.sh

# What honest clients notice of a flood of SYNs, and connects that stall: see tests/bench/flood.sh.

.PHONY: bench-flood
bench-flood: deps everything ## floods of SYNs at three rates against tables of three sizes; stalls at 10,000 connections/s (4 min.)
	tests/bench/flood.sh

# Installation

SHARE := $(DESTDIR)$(PREFIX)/share
UNITS := $(DESTDIR)$(PREFIX)/lib/systemd/system
SERVICE := bridge/process/service

# One template makes the unit for one pair of interfaces, and the one for several: tmbridge@NAME.
UNIT_PATHS = s|@SBINDIR@|$(PREFIX)/sbin|; s|@SYSCONFDIR@|$(SYSCONFDIR)|
UNIT_ONE = s|@DASH@||; s|@SLASH@||; s|@CONFIG@|lb|; s|@TITLE@||
UNIT_EACH = s|@DASH@|-%i|; s|@SLASH@|/%i|; s|@CONFIG@|%i|; s|@TITLE@| (%i)|

.PHONY: install
install: $(B)/tmbridge ## install to DESTDIR/PREFIX: program, man pages, systemd units, users, samples
	install -D -m 755 $(B)/tmbridge $(DESTDIR)$(PREFIX)/sbin/tmbridge
	install -D -m 644 bridge/tmbridge.8 $(SHARE)/man/man8/tmbridge.8
	install -D -m 644 cfg/lb.ini.5 $(SHARE)/man/man5/lb.ini.5
	install -D -m 644 bridge/client/tmbridge.bash $(SHARE)/bash-completion/completions/tmbridge
	install -D -m 644 cfg/example.ini $(SHARE)/doc/tmbridge/lb.ini
	install -D -m 644 $(SERVICE)/tmbridge.logrotate $(SHARE)/doc/tmbridge/logrotate
	install -D -m 644 $(SERVICE)/tmbridge.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/tmbridge.conf
	install -d $(UNITS)
	sed '$(UNIT_PATHS); $(UNIT_ONE)' $(SERVICE)/tmbridge.service.in >$(UNITS)/tmbridge.service
	sed '$(UNIT_PATHS); $(UNIT_EACH)' $(SERVICE)/tmbridge.service.in >$(UNITS)/tmbridge@.service

.PHONY: install-console
install-console: $(B)/tmbridge-console ## the same of the console
	install -D -m 755 $(B)/tmbridge-console $(DESTDIR)$(PREFIX)/sbin/tmbridge-console
	install -D -m 644 bridge/console/tmbridge-console.8 $(SHARE)/man/man8/tmbridge-console.8
	install -D -m 644 bridge/console/tmbridge-console.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/tmbridge-console.conf
	install -d $(UNITS)
	sed '$(UNIT_PATHS)' bridge/console/tmbridge-console.service.in >$(UNITS)/tmbridge-console.service

.PHONY: uninstall
uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/sbin/tmbridge $(SHARE)/man/man8/tmbridge.8 $(SHARE)/man/man5/lb.ini.5 \
		$(SHARE)/bash-completion/completions/tmbridge $(SHARE)/doc/tmbridge/{lb.ini,logrotate} $(DESTDIR)$(PREFIX)/lib/sysusers.d/tmbridge.conf \
		$(UNITS)/tmbridge.service $(UNITS)/tmbridge@.service \
		$(DESTDIR)$(PREFIX)/sbin/tmbridge-console $(SHARE)/man/man8/tmbridge-console.8 \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d/tmbridge-console.conf $(UNITS)/tmbridge-console.service

# Packages for Debian: what bridge/process/debian/ says, of what `make install` installs, in .build/deb/.

DEB := .build/deb
DEBIAN := bridge/process/debian

.PHONY: deb
deb: PACKAGES += $(DEB_PACKAGES)
deb: deps $(B)/tmbridge $(B)/tmbridge-console ## Debian packages, in .build/deb/
	rm -rf $(DEB) && mkdir -p $(DEB)/source/debian
	cp -r $(DEBIAN)/* $(DEB)/source/debian
	cp $(SERVICE)/tmbridge.sysusers $(SERVICE)/tmbridge.logrotate bridge/console/tmbridge-console.sysusers \
		$(DEB)/source/debian
	printf 'tmbridge (%s) unstable; urgency=medium\n\n  * See the project'"'"'s history.\n\n -- %s  %s\n' $(VERSION) \
		"$$(sed -n 's/^Maintainer: //p' $(DEBIAN)/control)" "$$(git log -1 --format=%cD 2>/dev/null || date -R)" \
		>$(DEB)/source/debian/changelog
	sed -e "s/@HOLDER@/$$(sed -n 's/^Copyright (c) //p' LICENSE)/" -e '/@LICENSE@/{' \
		-e 'r /dev/stdin' -e 'd' -e '}' $(DEBIAN)/copyright <<<"$$(sed '1,4d; s/^$$/./; s/^/ /' LICENSE)" \
		>$(DEB)/source/debian/copyright
	cd $(DEB)/source && TOP=$(CURDIR) DEB_BUILD_OPTIONS=noautodbgsym dpkg-buildpackage -us -uc -b
	lintian --allow-root --fail-on error $(DEB)/*.changes

# Housekeeping

C_FILES = $(wildcard */*.[ch] bridge/*/*.[ch] tests/*/*.[ch])

.PHONY: check-format
check-format: ## fail if clang-format would lay out any C file differently
	clang-format --dry-run -Werror $(C_FILES)

.PHONY: format
format: ## lay out all C files with clang-format
	clang-format -i $(C_FILES)

.PHONY: clean
clean: ## remove all that was built
	rm -rf .build

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

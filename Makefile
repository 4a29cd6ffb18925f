# tmbridge: `make` builds, `make help` lists the rest. All that is made goes to .build/VARIANT/.
#
# VARIANT is release (the default), debug (ASan and UBSan), or clang-debug.

VERSION := 0.1.0
VARIANT ?= release
B := .build/$(VARIANT)

# The one list of packages (Debian 12). `make deps` installs what is missing.
BUILD_PACKAGES := gcc make pkg-config libc6-dev libpcap-dev libnet1-dev libmnl-dev libiniparser-dev
TEST_PACKAGES := check clang libclang-rt-14-dev bats iproute2 iputils-ping iputils-arping ethtool tcpdump \
	tshark curl openssl nginx-light iperf3 jq procps util-linux mandoc clang-format

PREFIX ?= /usr/local
DESTDIR ?=

WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Werror
CPPFLAGS += -D_GNU_SOURCE -DTMBRIDGE_VERSION='"$(VERSION)"'
COMMON := -std=c11 $(WARNINGS) -g -fno-strict-aliasing -MMD -MP
LIBS := -lpcap -lnet -lmnl -liniparser

SANITIZE := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
ifeq ($(VARIANT),release)
  CC := gcc
  CFLAGS ?= -O3 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
  LDFLAGS ?= -pie -Wl,-z,relro,-z,now
else ifeq ($(VARIANT),debug)
  CC := gcc
  CFLAGS ?= $(SANITIZE)
  LDFLAGS ?= -fsanitize=address,undefined
else ifeq ($(VARIANT),clang-debug)
  CC := clang
  CFLAGS ?= $(SANITIZE)
  LDFLAGS ?= -fsanitize=address,undefined
else
  $(error VARIANT=$(VARIANT): release, debug or clang-debug)
endif

LB := $(patsubst %.c,$(B)/%.o,$(wildcard lb/*.c))
CFG := $(patsubst %.c,$(B)/%.o,$(wildcard cfg/*.c))
BRIDGE := $(patsubst %.c,$(B)/%.o,$(filter-out bridge/main.c,$(wildcard bridge/*.c)))
UNIT := $(patsubst %.c,$(B)/%.o,$(wildcard tests/unit/*.c tests/oracle/*.c))
TOOLS := $(patsubst tests/tools/%.c,$(B)/tools/%,$(wildcard tests/tools/*.c))

.PHONY: all
all: $(B)/tmbridge ## build .build/release/tmbridge

$(B)/tmbridge: $(B)/bridge/main.o $(B)/bridge.a $(B)/cfg.a $(B)/lb.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(B)/lb.a: $(LB)
$(B)/cfg.a: $(CFG)
$(B)/bridge.a: $(BRIDGE)
$(B)/%.a:
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/unit: $(UNIT) $(B)/bridge.a $(B)/cfg.a $(B)/lb.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) $$(pkg-config --libs check)

$(B)/tools/%: tests/tools/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(COMMON) $(CFLAGS) $(LDFLAGS) -o $@ $<

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(COMMON) $(CFLAGS) -c -o $@ $<

-include $(shell find $(B) -name '*.d' 2>/dev/null)

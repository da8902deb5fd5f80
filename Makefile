NGINX_SRC    ?= /usr/share/nginx/src
BUILD        ?= $(CURDIR)/build
CC           ?= cc
CLANG        ?= clang
CFLAGS       ?= -g -O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2
WERROR       ?= -Werror
OPTIMIZE     ?= $(whole_program)
WARNINGS     ?= -Wdeclaration-after-statement -Wvla -Wshadow \
                -Wmissing-prototypes -Wstrict-prototypes
NGINX_BINARY ?= $(shell PATH="$$PATH:/usr/sbin" command -v nginx)
MODULES_DIR  ?= $(shell $(NGINX_BINARY) -V 2>&1 \
                        | sed -n 's/.*--modules-path=\([^ ]*\).*/\1/p')
DESTDIR      ?=
JOBS         ?= $(shell nproc)
TEST_JOBS    ?= $(shell expr 3 \* $(JOBS))
PROVE        ?= misc/prove.sh
TESTS        ?= $(wildcard t/*.t)
FUZZ_SECONDS ?= 60
MODEL_SECONDS ?= 180
SUITE        ?= trixie

override BUILD := $(abspath $(BUILD))

# told once: from 4.4 on make gives what it exports to each $(shell), which
# would find these two by one another
JOBS      := $(JOBS)
TEST_JOBS := $(TEST_JOBS)

modules := ngx_http_ratelimit_redis_module.so ngx_http_optcache_module.so
sources := config $(sort $(shell find src -name '*.[ch]'))
units   := $(patsubst t/%.c,$(BUILD)/%,$(wildcard t/unit/*.c t/unit/*/*.c))
races   := $(patsubst t/%.c,$(BUILD)/%,$(wildcard t/race/*.c))
fuzzers := $(patsubst t/%.c,$(BUILD)/%,$(wildcard t/fuzz/*.c t/fuzz/*/*.c))

# a tenth less code for a miss to fetch; nginx's own flags are not for linking,
# where clang wants them, too
compiler := $(shell $(CC) --version 2>/dev/null)
whole_program := $(if $(findstring clang,$(compiler)),,-flto=auto -fno-plt)

# an outer make's job server is used if there is one
jobs = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(JOBS))

export BUILD CC CLANG JOBS NGINX_SRC TEST_JOBS

# nginx would take these in place of its own, which have its warnings
unexport CFLAGS
MAKEOVERRIDES :=

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

# what is done at once is decided below: packages come before what needs them,
# and the library before the C tests, which are linked one beside the other
ifndef linking
.NOTPARALLEL:
always := FORCE
endif


.PHONY: all
all: $(BUILD)/objs/Makefile  ## build both modules into build/
	$(MAKE) -s $(jobs) -C $(BUILD)/tree -f $(BUILD)/objs/Makefile modules
	@cd $(BUILD)/objs && install -m 644 $(modules) $(BUILD)

$(BUILD)/objs/Makefile: config config.make misc/configure.sh $(BUILD)/inputs
	misc/configure.sh $(NGINX_SRC) $(BUILD) --with-cc="$(CC)" \
	    --with-cc-opt="$(CFLAGS) $(OPTIMIZE) $(WARNINGS) $(WERROR)" \
	    --add-dynamic-module=$(CURDIR)

# configure runs again when the list of sources changes, not their text
$(BUILD)/inputs: FORCE
	@mkdir -p $(BUILD)
	@echo '$(NGINX_SRC) $(CC) $(CFLAGS) $(OPTIMIZE) $(WARNINGS) $(WERROR)' \
	    '$(sources)' > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

.PHONY: run
run: setup-run all  ## a demo gateway on loopback; REDIS=off: without Redis
	@demo/run.sh

.PHONY: tour
tour: setup-run all  ## drives the demo and tells what happens and why
	@demo/tour.sh

.PHONY: test
test: setup-test all unit  ## everything: t/unit and t/*.t
	@OPTCACHE_BUILD=$(BUILD) $(PROVE) $(units) $(TESTS)

.PHONY: unit
unit: $(BUILD)/asan/libnginx.a  ## build the C tests of t/unit
	@$(MAKE) -s $(jobs) linking=yes $(units)

.PHONY: test-asan
test-asan: setup-test asan all  ## t/*.t on the sanitizer build
	@ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 \
	    TEST_NGINX_BINARY=$(BUILD)/asan/objs/nginx \
	    OPTCACHE_BUILD=$(BUILD) $(PROVE) $(TESTS)

.PHONY: asan
asan: setup-test $(BUILD)/asan/libnginx.a  ## nginx, static, ASan and UBSan

# its OpenSSL may be newer than ours, so it is built, and tested, here
.PHONY: newer
newer: setup-test  ## test with the nginx of a later Debian, SUITE
	src=$$(misc/source.sh - $(BUILD)/src-$(SUITE) $(SUITE)) \
	    && $(MAKE) unit test-asan BUILD=$(BUILD)/$(SUITE) NGINX_SRC="$$src"

.PHONY: coverage
coverage: setup-test all  ## which lines the tests reach
	misc/static.sh coverage $(BUILD)/coverage
	OPTCACHE_BUILD=$(BUILD) misc/coverage.sh $(TESTS)

# where memory is laid out more at random than the sanitizer knows, it is not
.PHONY: race
race: setup-test $(races)  ## what workers share, by ThreadSanitizer
	@for race in $(races); do \
	    $$(setarch -R true 2>/dev/null && echo setarch -R) $$race || exit; \
	done

.PHONY: fuzz
fuzz: setup-fuzz $(fuzzers)  ## each of t/fuzz for FUZZ_SECONDS
	misc/fuzz.sh $(FUZZ_SECONDS) $(fuzzers)

.PHONY: conformance
conformance: setup-conformance all  ## the public tests of HTTP caches
	@t/conformance/run.sh

.PHONY: bench
bench: setup-bench all  ## beside nginx, HAProxy, Varnish and Lua
	@bench/run.sh
	@bench/entries.sh space hits
	@[ -n "$$BENCH_ONLY" ] || /usr/bin/python3 bench/fleet.py \
	    --build $(BUILD) --nginx $(NGINX_BINARY)

.PHONY: model
model: setup-test all  ## three hosts while all breaks, for MODEL_SECONDS
	@/usr/bin/python3 t/model/invalidation.py --build $(BUILD) \
	    --nginx $(NGINX_BINARY) --seconds $(MODEL_SECONDS)

.PHONY: install
install: all  ## copy the modules to DESTDIR and MODULES_DIR
	$(if $(MODULES_DIR),,$(error no MODULES_DIR, and no nginx to tell it))
	install -d "$(DESTDIR)$(MODULES_DIR)"
	cd $(BUILD) && install -m 644 $(modules) "$(DESTDIR)$(MODULES_DIR)"

.PHONY: dist
dist:  ## build/optcache-VERSION.tar.gz, of this tree
	@misc/dist.sh

.PHONY: deb
deb: setup-deb  ## two Debian packages into build/
	misc/deb.sh

.PHONY: deb-test
deb-test: setup-deb-test  ## install, upgrade and remove them in a root thrown away
	@misc/deb-test.sh $(BUILD)/libnginx-mod-http-*.deb

.PHONY: setup
setup: setup-test  ## install missing packages by apt

.PHONY: clean
clean:  ## remove build/
	rm -rf $(BUILD)

.PHONY: help
help:  ## this list
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## */\1\t/p' $(MAKEFILE_LIST) \
	    | expand -t 12


setup-%: FORCE
	@misc/setup.sh $*

# all of nginx as a library, which the C tests are linked with
$(BUILD)/asan/libnginx.a $(BUILD)/libfuzz/libnginx.a \
$(BUILD)/tsan/libnginx.a: $(always)
	misc/static.sh $(patsubst lib%,%,$(notdir $(@D))) $(@D)

$(BUILD)/unit/%: t/unit/%.c $(wildcard t/unit/*.h t/unit/*/*.h) \
                 $(BUILD)/asan/libnginx.a
	@mkdir -p $(@D)
	$(CC) $$(cat $(BUILD)/asan/cflags) -o $@ $< $(BUILD)/asan/libnginx.a \
	    -lcmocka $$(cat $(BUILD)/asan/libs)

$(BUILD)/race/%: t/race/%.c $(wildcard t/race/*.h t/unit/store/*.h) \
                 $(BUILD)/tsan/libnginx.a
	@mkdir -p $(@D)
	$(CC) $$(cat $(BUILD)/tsan/cflags) -o $@ $< $(BUILD)/tsan/libnginx.a \
	    -lcmocka $$(cat $(BUILD)/tsan/libs)

$(BUILD)/fuzz/%: t/fuzz/%.c $(BUILD)/libfuzz/libnginx.a
	@mkdir -p $(@D)
	$(CLANG) $$(cat $(BUILD)/libfuzz/cflags) -fsanitize=fuzzer -o $@ $< \
	    $(BUILD)/libfuzz/libnginx.a $$(cat $(BUILD)/libfuzz/libs)

.PHONY: FORCE
FORCE:

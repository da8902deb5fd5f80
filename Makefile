NGINX_SRC  ?= /usr/share/nginx/src
BUILD      ?= $(CURDIR)/build
CC         ?= cc
CFLAGS     ?= -g -O2
WERROR     ?= -Werror

modules = ngx_http_ratelimit_redis_module.so ngx_http_optcache_module.so

.DEFAULT_GOAL := all

.PHONY: all
all: $(BUILD)/nginx/Makefile  ## build both modules into build/
	$(MAKE) -C $(BUILD)/tree -f $(BUILD)/nginx/Makefile modules
	for m in $(modules); do cp $(BUILD)/nginx/$$m $(BUILD)/; done

# configure writes a Makefile beside the sources, which may be read-only:
# it runs in a tree of links
$(BUILD)/nginx/Makefile: config $(wildcard src/*/*.c)
	rm -rf $(BUILD)/tree && mkdir -p $(BUILD)
	cp -as $(NGINX_SRC)/. $(BUILD)/tree
	cd $(BUILD)/tree && bash -c 'NGX_CONF_FLAGS=(--with-compat); \
	    [ ! -f conf_flags ] || . ./conf_flags; \
	    ./configure "$${NGX_CONF_FLAGS[@]}" --builddir=$(BUILD)/nginx \
	    --with-cc="$(CC)" --with-cc-opt="$(CFLAGS) $(WERROR)" \
	    --add-dynamic-module=$(CURDIR)' > $(BUILD)/configure.log \
	    || { tail -20 $(BUILD)/configure.log; exit 1; }

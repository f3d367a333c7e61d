# Plumb's only makefile. `make help` lists the targets.
#
# Sources are found by folder, objects go to $(O), one archive a layer. A unit test links its own
# layer and those to its left, so the order of LAYERS is a wall that the linker guards too.

O        ?= build
CC       ?= gcc
PREFIX   ?= /usr/local
VERSION  := 0.1.0
V        ?= 0
Q        := $(if $(filter 1,$(V)),,@)
say       = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' '$(1)' '$(2)')

# What may be used from where: a layer sees itself and what stands left of it.
LIBS     := lib/base lib/json lib/schema lib/os lib/http lib/kube secrets
PARTS    := apiserver controllers scheduler kubelet proxy reconciler
LAYERS   := $(LIBS) $(PARTS) cli
# Folders in which a file is an entry of a generated registry: folder:struct:prefix
REGISTRIES := apiserver/kinds:kind apiserver/admission:admission controllers:controller \
              scheduler/plugins:plugin reconciler/health:health cli/verbs:verb

# What every role needs is linked in, what few need is mapped at its first use (lib/os/lazy.h).
CORE_PKGS := sqlite3 libsodium yaml-0.1 openssl zlib
LAZY_PKGS := libgit2 libnftables libarchive libcurl
LAZY_LIBS := git2 nftables archive curl
PKGS     := $(CORE_PKGS) libmnl $(LAZY_PKGS)
TESTPKGS := cmocka jansson

WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wwrite-strings \
            -Wswitch-enum -Wpointer-arith -Wundef -Wformat=2
HARDEN   := -fno-common -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2
OPT      ?= -O2 -g -ffunction-sections -fdata-sections
SAN      ?=
ifneq ($(SAN),)
OPT      := -O1 -g -fno-omit-frame-pointer -fsanitize=$(SAN) -DARENA_DEBUG
HARDEN   := -fno-common -fPIE
# The sanitizers' own null checks make gcc 12 see null formats where there are none.
WARN     += -Wno-format-truncation -Wno-format-overflow
endif
WERROR   ?= $(if $(CI),-Werror)
CPPFLAGS := -I. -I$(O)/gen -D_GNU_SOURCE -DPLUMB_VERSION='"$(VERSION)"' -include lib/base/banned.h \
            $(shell pkg-config --cflags-only-I $(PKGS) 2>/dev/null)
CFLAGS   := -std=gnu17 $(OPT) $(WARN) $(WERROR) $(HARDEN) $(EXTRA_CFLAGS)
LDFLAGS  := -pie -Wl,-z,relro,-z,now,-z,pack-relative-relocs -Wl,--as-needed,--gc-sections $(if $(SAN),-fsanitize=$(SAN)) $(EXTRA_LDFLAGS)
LDLIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread -lm
# The program carries OpenSSL, SQLite, libsodium and libyaml itself: shared, each process pays for all of each.
CORELIBS := -Wl,-Bstatic $(shell pkg-config --libs $(CORE_PKGS) 2>/dev/null) -Wl,-Bdynamic $(shell pkg-config --libs libmnl 2>/dev/null) -lpthread -lm

.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: all help deps demo test unit sim history e2e check format lint headers layers asan tsan fuzz bench install clean FORCE
all: $(O)/plumb

# ---- sources ----------------------------------------------------------------------------------
src       = $(sort $(wildcard $(1)/*.c $(1)/*/*.c))
obj       = $(patsubst %.c,$(O)/%.o,$(1))
archive   = $(O)/$(subst /,-,$(1)).a
gen       = $(foreach r,$(filter $(1)/%,$(REGISTRIES)) $(filter $(1):%,$(REGISTRIES)),$(O)/gen/$(subst /,_,$(firstword $(subst :, ,$(r)))).c)
layer_obj = $(call obj,$(call src,$(1))) $(patsubst %.c,%.o,$(call gen,$(1))) $(if $(filter lib/schema,$(1)),$(SCHEMA_OBJ)) $(if $(filter cli,$(1)),$(O)/gen/repo_template.o)
# Archives from a layer down, in link order (right to left).
reverse   = $(if $(1),$(call reverse,$(wordlist 2,$(words $(1)),$(1))) $(firstword $(1)))
upto      = $(if $(filter $(1),$(LIBS)),$(call libs_upto,$(1),$(LIBS)),$(1) $(call reverse,$(LIBS)))
libs_upto = $(if $(filter $(1),$(firstword $(2))),$(1),$(call libs_upto,$(1),$(wordlist 2,$(words $(2)),$(2))) $(firstword $(2)))

-include lib/schema/data/schema.mk

define layer_rules
$(call archive,$(1)): $(call layer_obj,$(1))
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call layer_rules,$(l))))

PROGRAM := $(call archive,cli) $(foreach p,$(PARTS),$(call archive,$(p))) $(foreach l,$(call reverse,$(LIBS)),$(call archive,$(l)))
$(O)/plumb: $(PROGRAM) $(O)/gen/lazy.o
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(O)/cli/main.o $(O)/gen/lazy.o -Wl,--start-group $(PROGRAM) -Wl,--end-group $(CORELIBS)
$(O)/gen/lazy.S: $(PROGRAM) tools/lazylib
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && CC='$(CC)' tools/lazylib '$(LAZY_LIBS)' $(PROGRAM) > $@
$(O)/gen/lazy.o: $(O)/gen/lazy.S
	$(Q)$(CC) -c -o $@ $<

# ---- objects: rebuilt when flags change --------------------------------------------------------
FLAGS := $(CC) $(CPPFLAGS) $(CFLAGS)
$(O)/flags: FORCE
	$(Q)mkdir -p $(O) && printf '%s\n' '$(subst ','\'',$(FLAGS))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(FLAGS))' > $@

COMMIT := $(shell git rev-parse -q --verify HEAD 2>/dev/null)
$(O)/commit: FORCE
	$(Q)mkdir -p $(O) && echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' > $@
$(O)/apiserver/health.o: $(O)/commit
$(O)/apiserver/health.o: CPPFLAGS += $(if $(COMMIT),-DPLUMB_COMMIT='"$(COMMIT)"')

$(O)/%.o: %.c $(O)/flags | $(GENERATED)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
# Test functions are found by name, not declared.
$(O)/tests/%.o $(O)/gen/tests/%.o: CFLAGS += -Wno-missing-prototypes
$(O)/gen/%.o: $(O)/gen/%.c $(O)/flags
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# ---- registries: one sorted array of what a folder's files declare -----------------------------
define registry_rule
$(O)/gen/$(subst /,_,$(1)).c: $(wildcard $(1)/*.c) tools/registry | $(O)/flags
	$$(call say,GEN,$$@)
	$$(Q)mkdir -p $$(@D) && tools/registry $(1) $(2) > $$@
endef
$(foreach r,$(REGISTRIES),$(eval $(call registry_rule,$(word 1,$(subst :, ,$(r))),$(word 2,$(subst :, ,$(r))))))

$(O)/gen/repo_template.c: $(shell find repo-template -type f 2>/dev/null) tools/embed
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && tools/embed repo-template repo_template > $@

# ---- unit tests: tests/unit/<layer with dashes>/test_x.c, its functions found by name ----------
UNIT     := $(sort $(wildcard tests/unit/*/test_*.c))
UNITBIN  := $(patsubst tests/unit/%.c,$(O)/tests/%,$(UNIT))
unit_layer = $(or $(filter $(subst -,/,$(1)) $(1),$(LAYERS)),$(error tests/unit/$(1): no such layer))
TESTLIBS := $(shell pkg-config --libs $(TESTPKGS) 2>/dev/null)

define unit_rule
$(O)/tests/$(1)/$(2): $(O)/tests/unit/$(1)/$(2).o $(O)/gen/tests/$(1)/$(2).o $(foreach l,$(call upto,$(call unit_layer,$(1))),$(call archive,$(l)))
	$$(call say,LD,$$@)
	$$(Q)mkdir -p $$(@D) && $$(CC) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $$(LDLIBS) $$(TESTLIBS)
$(O)/gen/tests/$(1)/$(2).c: tests/unit/$(1)/$(2).c tools/unit-main
	$$(Q)mkdir -p $$(@D) && tools/unit-main $$< > $$@
endef
$(foreach t,$(UNIT),$(eval $(call unit_rule,$(notdir $(patsubst %/,%,$(dir $(t)))),$(basename $(notdir $(t))))))
.PRECIOUS: $(O)/%.o $(O)/gen/%.c

unit: $(UNITBIN)
	$(Q)tools/run-tests $(UNITBIN)
unit-%: ; $(Q)$(MAKE) --no-print-directory $(filter $(O)/tests/$*/%,$(UNITBIN)) && tools/run-tests $(filter $(O)/tests/$*/%,$(UNITBIN))

# ---- the whole cluster in one process, under a virtual clock ------------------------------------
SIMSRC := $(wildcard tests/sim/*.c)
$(O)/sim: $(call obj,$(SIMSRC)) $(foreach p,$(PARTS),$(call archive,$(p))) $(foreach l,$(call reverse,$(LIBS)),$(call archive,$(l)))
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)
SEEDS ?= 2000
sim: $(O)/sim
	$(Q)$(O)/sim $(if $(SEED),--seed $(SEED) --verbose,--seeds $(SEEDS))

# ---- the API server, killed again and again while clients write down what they see ---------------
HISTSRC := $(wildcard tests/history/*.c)
$(O)/history: $(call obj,$(HISTSRC)) $(foreach l,$(call reverse,$(LIBS)),$(call archive,$(l)))
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)
KILLS ?= 500
history: all $(O)/history
	$(Q)$(O)/history --kills $(KILLS) $(if $(SEED),--seed $(SEED))

# ---- a forge for end-to-end tests: GitHub, GitLab and Gitea in one, as far as we ask them ---------
$(O)/forge: $(O)/tests/forge/forge.o $(foreach l,$(call reverse,$(LIBS)),$(call archive,$(l)))
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)
# Prints the requests that we make of forges: see tests/forge/published.
$(O)/requests: $(O)/tests/forge/requests.o $(call archive,reconciler) $(foreach l,$(call reverse,$(LIBS)),$(call archive,$(l)))
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)
.PHONY: published
published: $(O)/requests ; $(Q)tests/forge/published

# ---- fuzz targets: replayed with gcc in `make test`, explored with clang in `make fuzz` ---------
FUZZ := $(basename $(notdir $(wildcard tests/fuzz/fuzz_*.c)))
ALL_ARCHIVES = $(foreach p,$(PARTS),$(call archive,$(p))) $(foreach l,$(call reverse,$(LIBS)),$(call archive,$(l)))
$(O)/fuzz/%: $(O)/tests/fuzz/%.o $(if $(FUZZER),,$(O)/tests/fuzz/replay.o) $(ALL_ARCHIVES)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) $(if $(FUZZER),-fsanitize=fuzzer) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS) $(TESTLIBS)
FUZZ_SECONDS ?= 60
fuzz: ; $(Q)$(MAKE) O=$(O)/clang-fuzz CC=clang FUZZER=1 SAN=address,undefined EXTRA_CFLAGS=-fsanitize=fuzzer-no-link fuzz-build && tools/run-fuzz $(O)/clang-fuzz/fuzz $(FUZZ_SECONDS)
fuzz-build: $(patsubst %,$(O)/fuzz/%,$(FUZZ))

# ---- what people and CI call --------------------------------------------------------------------
deps:
	$(Q)tools/deps
demo: deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tools/demo $(if $(KEEP),--keep)
E2E ?= $(sort $(wildcard tests/e2e/[0-9]*.sh))
test: deps
	$(Q)$(MAKE) --no-print-directory test-run
build-tests: $(UNITBIN) $(O)/sim $(O)/history $(O)/forge $(O)/requests $(patsubst %,$(O)/fuzz/%,$(FUZZ))
test-run: all build-tests
	$(Q)O=$(O) tools/run-tests $(UNITBIN) $(patsubst %,$(O)/fuzz/%,$(FUZZ)) $(O)/sim $(O)/history $(E2E)
e2e: all $(O)/forge
	$(Q)O=$(O) tools/run-tests $(E2E)
asan:
	$(Q)$(MAKE) O=$(O)/asan SAN=address,undefined asan-run
asan-run: $(UNITBIN) $(O)/sim $(patsubst %,$(O)/fuzz/%,$(FUZZ))
	$(Q)O=$(O) SIM_SEEDS=100 tools/run-tests $(UNITBIN) $(patsubst %,$(O)/fuzz/%,$(FUZZ)) $(O)/sim
tsan:
	$(Q)$(MAKE) O=$(O)/tsan SAN=thread UNITBIN='$(patsubst %,$(O)/tsan/tests/%,lib-os/test_loop lib-http/test_server lib-http/test_client)' unit
BENCH := $(patsubst %.c,$(O)/%,$(wildcard bench/*.c))
$(O)/bench/%: $(O)/bench/%.o $(foreach l,$(call reverse,$(LIBS)),$(call archive,$(l)))
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)
bench: all $(BENCH)
	$(Q)O=$(O) bench/run
check: format headers layers lint
format:
	$(Q)tools/check-format
headers layers: all
	$(Q)O=$(O) tools/check-$@
lint:
	$(Q)O=$(O) tools/check-lint
	$(Q)tools/check-secrets $(wildcard secrets/*.c cli/seal*.c cli/sops.c cli/keybackup.c $(patsubst %,cli/verbs/%.c,seal keys merge_sops) controllers/*seal*.c reconciler/reseal*.c reconciler/run_keys.c apiserver/rootkey.c)
	$(Q)[ "$$(tools/check-secrets tests/lint/unwiped.c | grep -c "secret '")" = 4 ] || { echo "tools/check-secrets misses a planted mistake" >&2; exit 1; }
install: all
	install -D -m 755 $(O)/plumb $(DESTDIR)$(PREFIX)/bin/plumb
	cp -R repo-template $(DESTDIR)$(PREFIX)/share/plumb-template 2>/dev/null || { mkdir -p $(DESTDIR)$(PREFIX)/share && cp -R repo-template $(DESTDIR)$(PREFIX)/share/plumb-template; }
clean:
	rm -rf $(O)
help:
	@echo 'make            build $(O)/plumb'
	@echo 'make deps       install what Debian packages it needs'
	@echo 'make demo       a git push runs a container; KEEP=1 leaves it running'
	@echo 'make test       unit, simulation, fuzz corpora and end-to-end tests'
	@echo 'make check      format, headers, layers, static analysis'
	@echo 'make asan fuzz bench install clean'

-include $(shell find $(O) -name '*.d' 2>/dev/null)

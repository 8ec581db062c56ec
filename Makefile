# SPDX-License-Identifier: GPL-2.0
# The only entry to everything here; "make help" lists what there is. The
# work is done by the scripts in tools/testing/checkpoint/.

BUILD		?= $(CURDIR)/build
# Torture is for the debug kernel, unless somebody asks for another one.
TORTURE_KERNEL	:= $(or $(KERNEL),debug)
KERNEL		?= normal
CMD		?= uname -a
MEM		?= 4096
CPUS		?= 2
TIMEOUT		?= 600
SHARE		?=
ROOT_EXTRA	?=
CMDLINE		?=
TESTS		?=
SIZES		?= 16 64 256 1024 4096
TREES		?= 10 100 1000
RUNS		?= 5
MINUTES		?= 15
SEED		?=
PROGRAMS	?=
COVERAGE_SECONDS ?= 60

export BUILD KERNEL ROOT_EXTRA CMD

SCRIPTS	:= tools/testing/checkpoint
# One build at a time; -o: nothing started meanwhile (ccache ...) keeps the lock.
LOCKED	= mkdir -p $(BUILD) && flock -o $(BUILD)/.lock
# Set in the recipe, so that the packages are there before anything is asked of them.
VM_ARGS	= --build $(BUILD) --rootfs "$$($(SCRIPTS)/mkrootfs.sh)" --kernel $(KERNEL) \
	  --mem $(MEM) --cpus $(CPUS) --cmdline "$(CMDLINE)" --share "$(SHARE)"

.PHONY: help
help:
	@echo 'make kernel           build the kernel'
	@echo 'make vm CMD=...       boot it, run CMD as root, exit with its status'
	@echo 'make shell            boot it, run an interactive shell'
	@echo 'make test             lint, KUnit and kselftests'
	@echo 'make test TESTS=...   only the tests whose names match one of these shell patterns;'
	@echo '                      "!pattern" leaves out'
	@echo 'make lint             checkpatch, sparse, W=1'
	@echo 'make torture          faults, signals, hostile images ... on the debug kernel'
	@echo 'make coverage         which lines the tests reach'
	@echo 'make demo             the demonstration'
	@echo 'make bench            measure, beside fork(), CRIU, cp and dd; plot (MEM=12000)'
	@echo 'make export           the whole as a git-am series in build/series'
	@echo 'make clean            remove what was built'
	@echo 'make distclean        remove the kernel tree and the root file systems too'
	@echo
	@echo 'KERNEL=normal|debug|...   which kernel        ($(KERNEL))'
	@echo 'MEM=MiB CPUS=n        size of the machine     ($(MEM), $(CPUS))'
	@echo 'TIMEOUT=seconds       for vm and demo         ($(TIMEOUT))'
	@echo 'SIZES=MiB... TREES=processes... RUNS=n   for bench'
	@echo '                      ($(SIZES); $(TREES); $(RUNS))'
	@echo 'MINUTES=n SEED=n PROGRAMS=patterns   for torture'
	@echo '                      ($(MINUTES); a random one, printed; all)'
	@echo 'COVERAGE_SECONDS=n    for each torture program in coverage ($(COVERAGE_SECONDS))'
	@echo 'SHARE=dir             shown at /host          ($(SHARE))'
	@echo 'ROOT_EXTRA=packages   more for the guest      ($(ROOT_EXTRA))'
	@echo 'CMDLINE=arguments     more for the kernel     ($(CMDLINE))'
	@echo 'BUILD=dir             where everything goes   ($(BUILD))'

.PHONY: deps
deps:
	@$(SCRIPTS)/deps.sh

.PHONY: kernel
kernel: deps
	@$(LOCKED) $(SCRIPTS)/kernel.sh $(KERNEL)

.PHONY: guest
guest: kernel
	@$(LOCKED) $(SCRIPTS)/guest.sh $(KERNEL)
	@$(SCRIPTS)/mkrootfs.sh >/dev/null

.PHONY: vm
vm: guest
	@$(SCRIPTS)/vm.py $(VM_ARGS) --timeout $(TIMEOUT) --cmd "$$CMD"

.PHONY: shell
shell: guest
	@$(SCRIPTS)/vm.py $(VM_ARGS) --timeout 864000 --shell

# The guest's results go to $(BUILD)/results.
.PHONY: demo
demo: SHARE = $(BUILD)/results
demo: guest
	@mkdir -p $(BUILD)/results
	@$(SCRIPTS)/vm.py $(VM_ARGS) --timeout $(TIMEOUT) --name demo \
		--cmd "RESULTS=/host bash /opt/checkpoint/test/demo.sh"

# Table, CSV and plot go to $(BUILD)/bench. What was measured is drawn even if
# a step failed.
.PHONY: bench
bench: SHARE = $(BUILD)/bench
bench: MEM = 12000
bench: TIMEOUT = 14400
bench: guest
	@$(SCRIPTS)/deps.sh gnuplot-nox
	@mkdir -p $(BUILD)/bench
	@rm -f $(BUILD)/bench/*
	@$(SCRIPTS)/vm.py $(VM_ARGS) --timeout $(TIMEOUT) --name bench \
		--cmd "RESULTS=/host SIZES='$(SIZES)' TREES='$(TREES)' RUNS=$(RUNS) \
			bash /opt/checkpoint/test/bench.sh"; \
	status=$$?; \
	if [ -s $(BUILD)/bench/bench.csv ]; then $(SCRIPTS)/bench_plot.py $(BUILD)/bench; fi; \
	exit $$status

.PHONY: lint
lint: kernel
	@$(LOCKED) $(SCRIPTS)/lint.sh

.PHONY: test
test: guest
	@$(SCRIPTS)/test.py $(VM_ARGS) --tests "$(TESTS)"

# Figures go to $(BUILD)/torture.
.PHONY: torture
torture: KERNEL = $(TORTURE_KERNEL)
torture: guest
	@$(SCRIPTS)/torture.py $(VM_ARGS) --minutes "$(MINUTES)" --seed "$(SEED)" \
		--programs "$(PROGRAMS)"

# Counters, table and marked sources are in $(BUILD)/coverage.
.PHONY: coverage
coverage: KERNEL = coverage
coverage: guest
	@$(SCRIPTS)/coverage.py $(VM_ARGS) --timeout 14400 --tests "$(TESTS)" \
		--torture-seconds "$(COVERAGE_SECONDS)"

.PHONY: export
export: kernel
	@$(LOCKED) $(SCRIPTS)/export.py $(BUILD)

.PHONY: clean
clean:
	rm -rf $(BUILD)/kernel $(BUILD)/kernel-* $(BUILD)/guest $(BUILD)/tools $(BUILD)/helpers \
		$(BUILD)/selftests $(BUILD)/selftests.install $(BUILD)/lint \
		$(BUILD)/series $(BUILD)/export $(BUILD)/lint-passed $(BUILD)/logs $(BUILD)/results $(BUILD)/bench $(BUILD)/torture $(BUILD)/coverage

.PHONY: distclean
distclean:
	rm -rf $(BUILD)

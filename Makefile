# Aval. `make help` lists what can be done.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The version stamped into the binary: the tag and commit, or "devel" outside a git checkout.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X aval/internal/cli.version=$(VERSION)

# make demo CHECK=1 verifies every figure and exits; plain make demo stays up until Ctrl-C.
CHECK ?=

# Packages tested without the race detector, each with its reason; all others run with it.
#   internal/tidy  parses the repository in one goroutine; nothing in it can race
#   internal/sim   simulates 200 networks, each on one thread; the parts that it drives are raced in their own packages
#   internal/sim/nodes  lives through 30 networks of whole nodes, ten times slower with it; make race does 3 of them, and the parts are
#                  raced in their own packages
#   internal/bench loads validators for fixed lengths of time, most of which the race detector would take
RACE_EXEMPT := internal/tidy internal/sim internal/sim/nodes internal/bench

# How many packages are tested at once: one more than there are processors, since those that run networks wait much of the time.
TEST_JOBS ?= $(shell expr $$(nproc) + 1)

# How long the tests of one package may take.
TEST_TIMEOUT ?= 12m
# How long each fuzz target runs.
FUZZTIME ?= 20s
# How many executions make fuzz-long gives each target.
FUZZEXECS ?= 1000000
# Which benchmarks run, and how long each.
BENCH ?= .
BENCHTIME ?= 1s

# Packages for go test: make test PKG=./internal/state/...
PKG ?= ./...
RACE_EXEMPT_PATHS := $(addprefix aval/,$(RACE_EXEMPT))

.PHONY: help build demo test race lint fuzz fuzz-long soak bench microbench figures faults mutants cover clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  variables: CHECK=1 (demo)  PKG=./dir/... (test, race, cover, microbench)  FUZZTIME=$(FUZZTIME)  FUZZ=regexp"
	@echo "             BENCH=regexp  BENCHTIME=$(BENCHTIME) (microbench)  TEST_TIMEOUT=$(TEST_TIMEOUT)  GOVULNDB=url  VULN_REQUIRED=1 (lint)"

# Pure Go: the binary needs no C compiler and no C library.
build: ## build bin/aval, version stamped
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/aval ./cmd/aval

demo: build ## four validators and a gateway play the demo case; CHECK=1 verifies every figure and exits
	bin/aval demo $(if $(filter-out 0,$(CHECK)),--check)

# Both runs are always made, so that one failure does not hide another; the output is go test's own.
test: ## vet, then test everything, with the race detector where it can tell something
	go vet $(PKG)
	@status=0; \
	raced="$$(go list $(PKG) | grep -vxF $(addprefix -e ,$(RACE_EXEMPT_PATHS)) || true)"; \
	plain="$$(go list $(PKG) | grep -xF $(addprefix -e ,$(RACE_EXEMPT_PATHS)) || true)"; \
	if [ -n "$$raced" ]; then \
	  echo "==> with the race detector: $$(wc -w <<<"$$raced") packages"; \
	  go test -race -p $(TEST_JOBS) -timeout $(TEST_TIMEOUT) $$raced || status=1; \
	fi; \
	if [ -n "$$plain" ]; then \
	  echo "==> without (RACE_EXEMPT in the Makefile says why):" $$plain; \
	  go test -p $(TEST_JOBS) -timeout $(TEST_TIMEOUT) $$plain || status=1; \
	fi; \
	exit $$status

race: ## test everything with the race detector, exempted packages too
	go test -race -timeout $(TEST_TIMEOUT) $(PKG)

lint: ## golangci-lint and govulncheck, pinned in tools/go.mod
	@tools/lint

fuzz: ## run every fuzz target for FUZZTIME
	@FUZZTIME='$(FUZZTIME)' FUZZ='$(FUZZ)' PKG='$(PKG)' tools/fuzz

fuzz-long: ## run every fuzz target for FUZZEXECS executions; goes on where it was interrupted; ends with a table
	@FUZZEXECS='$(FUZZEXECS)' FUZZ='$(FUZZ)' PKG='$(PKG)' tools/fuzz-long

soak: ## run seeds of all simulators until 20,000, 4,000 and 48,000 have held, or for SOAKTIME; goes on where it was interrupted; totals go to docs/RELIABILITY.md
	@SOAKTIME='$(SOAKTIME)' SOAK='$(SOAK)' SOAKJOBS='$(SOAKJOBS)' SOAKSEEDS='$(SOAKSEEDS)' tools/soak

bench: build ## measure the standard set of aval bench (tools/bench, docs/BENCHMARKS.md); results go to bench-results
	tools/bench

microbench: ## run the Go benchmarks
	go test -run '^$$' -bench '$(BENCH)' -benchmem -benchtime $(BENCHTIME) $(PKG)

figures: ## measure networks of real processes: failover, cost at rest; takes minutes
	go test ./internal/e2e -run 'Figures|KillAny' -v -figures -timeout 30m

mutants: ## plant known safety bugs, one at a time, and see that the simulators catch each; ONLY=regexp; takes minutes
	go test ./internal/sim/mutants -run Caught -v -timeout 3h -plant -only '$(ONLY)'

# One test at a time: what it measures is judged, so it needs the machine to itself. Root, or user namespaces, are needed.
faults: ## the long fault tests on real processes: 500 kills, pauses, partitions, full disks, damaged files, linearizability; about 2 h
	go test ./internal/consensus/bft -run 'EveryByte|DamagedEngine' -faults -timeout 1h
	go test ./internal/e2e -run 'Kill|Pauses|Silent|Partitions|DiskFull|Damaged|Linear|Checker|FiguresRestart' -v -faults -parallel 1 -timeout 4h

cover: ## test with coverage of all packages; writes coverage.html
	go test -timeout $(TEST_TIMEOUT) -coverpkg=./... -coverprofile=coverage.out $(PKG)
	@go tool cover -func=coverage.out | tail -n 1
	@go tool cover -html=coverage.out -o coverage.html

clean: ## remove what was built
	rm -rf bin bench-results fuzz-results coverage.out coverage.html

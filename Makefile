# The commands of this repository. Each target builds what it needs, once; `make help` lists them.
# Go, gcc, make and git are all that a machine needs.

GO := go
# More arguments for the command of a target: make run ARGS="--port 7244 --ui-port 8244"
ARGS :=

# The version is in the file's name, so that another version is another file.
GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT := bin/golangci-lint-$(GOLANGCI_LINT_VERSION)
WORKFLOWCHECK := bin/workflowcheck

# A `temporal` on PATH is used; else the pinned one of go.tool.mod is built (some minutes, once).
TEMPORAL := $(if $(shell command -v temporal 2>/dev/null),,bin/temporal)

# What goes into bin/schedules: Go code, and the files below api/ that it embeds.
SOURCES := $(shell find . -name "*.go" -not -name "*_test.go") $(shell find api config/schema -type f) go.mod go.sum

.DEFAULT_GOAL := help
.PHONY: help run build test lint fuzz bench soak test-faults cluster cluster-down test-cluster screenshots clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: bin/schedules $(TEMPORAL) ## start Temporal, the reconciler and a stand-in worker on examples/quickstart
	bin/schedules dev --project examples/quickstart $(ARGS)

build: bin/schedules ## build bin/schedules, which needs nothing at run time

# Most packages start a Temporal server of their own: two at a time leave their clocks in peace. The two longest come
# first, so that none is left over at the end. `make lint` vets.
test: $(TEMPORAL) ## run all tests, with the race detector
	$(GO) test -race -vet=off -timeout 10m -p 2 $(ARGS) ./cmd ./worker ./...

# They kill, stop and cut off what they start. Some need root, and say so where they are skipped: docs/reliability.md.
test-faults: $(TEMPORAL) ## break what the processes stand on while they work: some twenty minutes
	$(GO) test ./cmd/faults -count=1 -timeout 90m -parallel 3 -v -faults $(ARGS)

# Package:target pairs, one after the other. What they find becomes a file below testdata/fuzz, which `make test` plays.
FUZZTIME := 10m
FUZZ := config:FuzzLoad activities:FuzzTranslate activities:FuzzCronText api:FuzzRequest workflows:FuzzMessages

fuzz: $(TEMPORAL) ## look for inputs that break it, FUZZTIME for each target: make fuzz FUZZTIME=30s
	@set -e; for pair in $(FUZZ); do \
		echo "== $${pair#*:} in ./$${pair%:*} for $(FUZZTIME)"; \
		$(GO) test ./$${pair%:*} -run '^$$' -fuzz "^$${pair#*:}$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x -parallel 1 $(ARGS); \
	done

lint: $(GOLANGCI_LINT) $(WORKFLOWCHECK) ## check format, mistakes, import arrows and the workflow's determinism
	@files=$$(gofmt -l .) && test -z "$$files" || { echo "run gofmt -w on: $$files"; exit 1; }
	$(GO) vet ./...
	$(GOLANGCI_LINT) run
	$(WORKFLOWCHECK) -config .workflowcheck.yml ./workflows/...

# On a quiet machine: the figures of docs/benchmarks.md are of two processors that do nothing else.
bench: $(TEMPORAL) ## measure what docs/benchmarks.md promises, and write its table
	$(GO) test ./cmd/bench -count=1 -timeout 0 -v -measure -bench-page docs/benchmarks.md $(ARGS)

# How long the soak goes on.
SOAK := 1h

soak: $(TEMPORAL) ## let replicas work for SOAK (1h) while things break, and hold that nothing is lost and nothing grows
	$(GO) test ./cmd/soak -count=1 -timeout 0 -v -soak $(SOAK) $(ARGS)

# The test that reads these pages makes their pictures too. It needs chromium, node and npm on PATH.
screenshots: $(TEMPORAL) ## make the pictures of docs/temporal-ui.md anew
	mkdir -p docs/images
	SCREENSHOTS=$(CURDIR)/docs/images $(GO) test ./cmd -run '^TestTemporalUI$$' -count=1 -v $(ARGS)

clean: ## remove what was built, and the state of `make run`
	rm -rf bin examples/*/.schedules

bin/schedules: $(SOURCES)
	CGO_ENABLED=0 $(GO) build -trimpath -o $@ .

bin/temporal: go.tool.mod go.tool.sum
	@echo "building the Temporal CLI: some minutes, once"
	$(GO) build -modfile=go.tool.mod -o $@ github.com/temporalio/cli/cmd/temporal

$(WORKFLOWCHECK): go.tool.mod go.tool.sum
	$(GO) build -modfile=go.tool.mod -o $@ go.temporal.io/sdk/contrib/tools/workflowcheck

# A Temporal server of five processes on PostgreSQL, on loopback: docs/cluster.md. Besides the above it needs
# PostgreSQL; on Debian, root gets it installed.
CLUSTER := deploy/cluster/cluster.sh
export CLUSTER_HOME ?= $(CURDIR)/deploy/cluster/.state
export CLUSTER_PORT ?= 27233
ON_CLUSTER := TEMPORAL_TEST_ADDRESS=127.0.0.1:$(CLUSTER_PORT) $(GO) test -count=1
# How many schedules the benchmark of `make test-cluster` takes.
CLUSTER_SCHEDULES := 10000

cluster: bin/temporal-server bin/temporal-sql-tool $(TEMPORAL) ## start Temporal as production has it: five processes on PostgreSQL
	$(CLUSTER) up

cluster-down: ## stop what `make cluster` started; its state stays
	$(CLUSTER) down

test-cluster: cluster ## run the end-to-end tests, the large benchmark and the faults on `make cluster`
	CLUSTER_DYNAMIC_CONFIG=deploy/cluster/tests.yaml $(CLUSTER) up
	$(ON_CLUSTER) -timeout 60m -p 1 $(ARGS) ./activities ./api/manager ./worker ./cmd
	$(CLUSTER) up
	$(ON_CLUSTER) -timeout 90m -v -run '^TestLarge$$' ./cmd/bench -measure -replicas 3 -schedules $(CLUSTER_SCHEDULES)
	$(ON_CLUSTER) -timeout 30m -v -run '^TestCluster$$' ./cmd/faults -faults

bin/temporal-server bin/temporal-sql-tool &: deploy/cluster/go.mod deploy/cluster/go.sum
	@echo "building the Temporal server: some minutes, once"
	cd deploy/cluster && CGO_ENABLED=0 $(GO) build -o ../../bin/temporal-server go.temporal.io/server/cmd/server
	cd deploy/cluster && CGO_ENABLED=0 $(GO) build -o ../../bin/temporal-sql-tool go.temporal.io/server/cmd/tools/sql

# Not in go.tool.mod: its makers advise against sharing a module with it.
$(GOLANGCI_LINT):
	GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv bin/golangci-lint $@

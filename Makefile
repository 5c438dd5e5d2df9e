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
.PHONY: help run build test lint bench screenshots clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: bin/schedules $(TEMPORAL) ## start Temporal, the reconciler and a stand-in worker on examples/quickstart
	bin/schedules dev --project examples/quickstart $(ARGS)

build: bin/schedules ## build bin/schedules, which needs nothing at run time

# Most packages start a Temporal server of their own: two at a time leave their clocks in peace.
test: $(TEMPORAL) ## run all tests, with the race detector
	$(GO) test -race -timeout 10m -p 2 $(ARGS) ./...

lint: $(GOLANGCI_LINT) $(WORKFLOWCHECK) ## check format, mistakes, import arrows and the workflow's determinism
	@files=$$(gofmt -l .) && test -z "$$files" || { echo "run gofmt -w on: $$files"; exit 1; }
	$(GO) vet ./...
	$(GOLANGCI_LINT) run
	$(WORKFLOWCHECK) -config .workflowcheck.yml ./workflows/...

bench: $(TEMPORAL) ## run the benchmarks, one package after the other
	$(GO) test -run '^$$' -bench . -benchmem -timeout 60m -p 1 $(ARGS) ./...

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

# Not in go.tool.mod: its makers advise against sharing a module with it.
$(GOLANGCI_LINT):
	GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv bin/golangci-lint $@

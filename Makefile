# Targets for people and CI. `make help` lists them. What a target needs it builds itself, into a cache outside the tree.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
export PREHEAT_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/preheat
TOOLS := $(PREHEAT_CACHE)/tools-$(shell sha256sum .tools/go.sum | cut -c1-12)
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
FUZZTIME ?= 60s
# Linters, tests and binaries compile alike, so that the Kubernetes libraries are compiled once; only the race detector
# needs C, and a copy of its own.
export CGO_ENABLED := 0
# A cache for each path: a shared one answers with findings of other checkouts, whose files may be gone.
export GOLANGCI_LINT_CACHE := $(PREHEAT_CACHE)/lint-$(shell pwd | sha256sum | cut -c1-12)
# Packages with end-to-end tests; one at a time, since they measure times on one machine.
E2E := $(sort $(dir $(shell grep -rl --include '*_test.go' '^//go:build e2e' ./pkg ./deploy ./simulations)))
RACE := $(if $(shell command -v gcc || command -v cc),-race)
# Packages with goroutines of their own: tested with the race detector. `make lint` vets, so that tests need not vet all
# that they depend on, which takes minutes on a fresh machine.
CONCURRENT := ./pkg/compare/... ./pkg/prom/... ./pkg/controlloop/... ./pkg/history/... ./pkg/store/... ./pkg/scrape/... ./pkg/kube/... ./pkg/metricsapi/... ./pkg/servingcert/... \
	./pkg/apiservice/... ./pkg/telemetry/... ./simulations/emulator/... ./simulations/loadgen/... ./simulations/demo/...

.PHONY: help
help: ## List the targets.
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: build
build: ## Build preheat into bin/.
	go build -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: test
test: ## Run the tests, those of concurrent packages with the race detector. Needs no cluster.
	@[ -n '$(RACE)' ] || echo 'no C compiler, which the race detector needs: concurrent packages are tested without it' >&2
	go test -vet=off $$(go list ./... | grep -vxF -f <(go list $(CONCURRENT)))
	CGO_ENABLED=$(if $(RACE),1,0) go test -vet=off $(RACE) $(CONCURRENT)

.PHONY: lint
lint: $(TOOLS)/golangci-lint ## Run the linters, among them those that keep the core pure.
	$(TOOLS)/golangci-lint run --allow-parallel-runners ./...
	@.ci/lint-selftest $(TOOLS)/golangci-lint

.PHONY: format
format: $(TOOLS)/golangci-lint ## Format the code.
	$(TOOLS)/golangci-lint fmt ./...

.PHONY: generate
generate: $(TOOLS)/controller-gen ## Generate deepcopy functions and the CRD.
	PATH="$(TOOLS):$$PATH" go generate ./pkg/api/...

.PHONY: verify
verify: generate ## Fail where generated files or go.mod are not up to date.
	go mod tidy -diff
	@git diff --exit-code -- pkg/api deploy/crds || { echo 'generated files are stale: run `make generate` and commit' >&2; exit 1; }

.PHONY: cluster
cluster: ## Build the control plane's binaries (8 minutes cold on 2 cores, cached).
	simulations/cluster/build.sh controlplane >/dev/null

.PHONY: e2e
e2e: build ## Run the end-to-end tests on a real control plane; on a real node too where root allows it.
	simulations/cluster/build.sh all >/dev/null
	go test -vet=off -tags e2e -count 1 -p 1 -timeout 45m -v $(E2E) 2>&1

.PHONY: demo
demo: build cluster ## Scale the same trace three ways on a real control plane, side by side.
	go run ./simulations/demo $(DEMO)

.PHONY: run
run: build ## Run the service against the cluster of KUBECONFIG: engines are scraped and decisions taken from here.
	@[ -n "$$KUBECONFIG" ] || { echo 'set KUBECONFIG to the cluster to run against' >&2; exit 1; }
	bin/preheat --kubeconfig="$$KUBECONFIG" --bind-address=127.0.0.1 --leader-elect=false --serving-cert-secret= $(RUN)

.PHONY: bench
bench: ## Run the benchmarks, each beside what it is compared with.
	@mkdir -p bin
	go test -run '^$$' -bench . -benchtime 2s ./benchmarks/... | tee bin/bench.txt

.PHONY: fidelity
fidelity: ## Compare the model of a replica with measured runs, POINTS=file.csv or those beside the repository (COMPUTED=share).
	go run ./benchmarks/fidelity $(if $(POINTS),--points=$(POINTS)) $(if $(COMPUTED),--computed=$(COMPUTED))

.PHONY: forecast-bench
forecast-bench: ## Score the forecaster on recorded and generated series beside simple ones (ABLATE=1: what each expert adds; BENCH=flags).
	go run ./benchmarks/forecast $(if $(ABLATE),--ablate=$(patsubst 1,all,$(ABLATE))) $(BENCH)

.PHONY: frontier
frontier: ## Set policies beside a clairvoyant oracle, by trace, profile and lead time (FRONTIER=--quick: minutes; FRONTIER=--perturb; FRONTIER=--help).
	go run ./benchmarks/frontier $(FRONTIER)

.PHONY: sensitivity
sensitivity: ## Measure the planner with each part off, and with each number in its code halved and doubled (SENSITIVITY=--list; SENSITIVITY='--only ^capacity[.]'; SENSITIVITY=--help).
	go run ./benchmarks/sensitivity $(SENSITIVITY)

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME.
	@for p in $$(grep -rlE '^func Fuzz' --include '*_test.go' pkg simulations | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' $$p/*_test.go | cut -c6-); do \
	    echo "== $$p $$f"; go test ./$$p -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x -parallel 2; done; done

.PHONY: image
image: ## Pack the service into a container image archive, bin/preheat.tar, without a container engine.
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/image/ ./cmd/preheat
	cd simulations/cluster/mkimg && go build -o ../../../bin/mkimg .
	bin/mkimg bin/preheat.tar preheat.dev/preheat:$(VERSION) /preheat=bin/image/preheat -- /preheat

# The directory carries the hash of go.sum, so that what is there is right.
$(TOOLS)/%: | .tools/go.sum
	@echo "building $* (once)" >&2
	@mkdir -p $(TOOLS)
	@go -C .tools build -o $@ $$(go -C .tools list -f '{{if eq .Name "main"}}{{.ImportPath}}{{end}}' tool | grep '/$*$$')
	@touch $@

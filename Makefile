# flipvisor. "make help" lists the targets.

GO ?= go

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## the program, as ./flipvisor
	$(GO) build -o flipvisor ./cmd/flipvisor

# ---- tests ---------------------------------------------------------------

.PHONY: test
test: check hv-check kernels-check ## everything CI runs; installs what it needs
	$(GO) test -timeout 14m ./...

.PHONY: check
check: ## formatting, vet, staticcheck, generated files, go.mod
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool -modfile=tools/go.mod staticcheck ./...
	$(GO) mod tidy -diff
	./tools/check-generated

.PHONY: generate
generate: ## write the generated Go files anew
	$(GO) generate ./...

.PHONY: test-long
test-long: ## the long forms: 2,000,000 differential cases, more
	FLIPVISOR_LONG=1 $(GO) test -timeout 300m ./...

.PHONY: clean-entries
clean-entries: ## count false positives over 1,000,000 VM entries without a fault
	$(GO) run ./cmd/flipvisor clean campaigns/xentry.hcl --entries 1000000

.PHONY: difftest
difftest: ## 2,000,000 instructions against the host's processor
	FLIPVISOR_LONG=1 $(GO) test -timeout 60m -v ./cpu/difftest

.PHONY: evaluation
evaluation: ## 10,000 register flips in root mode: results/xentry
	$(GO) run ./cmd/flipvisor run campaigns/xentry.hcl --samples 10000 --out results/xentry

.PHONY: train-check
train-check: ## train the transition model again and compare with the committed one
	$(GO) run ./cmd/flipvisor train campaigns/xentry-train.hcl
	git diff --exit-code campaigns/models

.PHONY: bench
bench: ## benchmarks; BENCHMARKS.md holds results
	$(GO) test -run '^$$' -bench . -benchtime 2s ./cpu/... ./mmu ./machine/... ./campaigns/...

# ---- images --------------------------------------------------------------

.PHONY: hv
hv: toolchain ## build the hypervisor's and the guests' images
	$(MAKE) -C hv/src

.PHONY: hv-check
hv-check: toolchain ## rebuild the images elsewhere and compare with those committed
	$(MAKE) -C hv/src check
	$(MAKE) -C hv/src/guest check

.PHONY: kernels
kernels: toolchain ## build the test kernels
	$(MAKE) -C testdata/kernels

.PHONY: kernels-check
kernels-check: toolchain ## rebuild the test kernels elsewhere and compare with those committed
	$(MAKE) -C testdata/kernels check

.PHONY: toolchain
toolchain:
	@./tools/need gcc ld objcopy

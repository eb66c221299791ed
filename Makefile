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
test: check hv-check ## everything CI runs; installs what it needs
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
test-long: ## the long forms: millions of differential cases, fuzzing
	FLIPVISOR_LONG=1 $(GO) test -timeout 120m ./...

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

.PHONY: toolchain
toolchain:
	@./tools/need gcc ld objcopy

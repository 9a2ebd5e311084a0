# make run    starts a gateway with a simulated fleet on 127.0.0.1:8480
# make test   runs every test
# The other targets: make help

GO        ?= go

# A release is named in one place, and tagged v$(RELEASE). Every other commit is RELEASE+COMMITS.gHASH: dpkg and rpm sort
# those by the number of commits.
RELEASE   := $(shell sed -n 's/^const lastRelease = "\(.*\)"$$/\1/p' daemon/version.go)
VERSION   ?= $(RELEASE)$(shell git describe --tags --exact-match --match 'v$(RELEASE)' >/dev/null 2>&1 || \
               git log -1 --format=+$$(git rev-list --count HEAD 2>/dev/null).g%h --abbrev=12 2>/dev/null)$(shell \
               git diff --quiet HEAD 2>/dev/null || [ $$? -gt 1 ] || echo .dirty)
COMMIT    ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
BUILT     ?= $(shell git log -1 --format=%cI 2>/dev/null)
TOOLS     := $(CURDIR)/.tools/bin
BUILD     := $(CURDIR)/.build
LDFLAGS   := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.built=$(BUILT)
FUZZTIME  ?= 20s

# Tools, pinned here and installed into the checkout: they are no part of the product, so go.mod does not know them.
GOLANGCI_VERSION := v2.15.0
AXE_VERSION      := 4.14.1
NFPM_VERSION     := v2.45.0
SBOM_VERSION     := v1.10.0

# testdata is passed over by ./..., so its packages are named.
PACKAGES := ./... ./testdata/firmware/... ./testdata/crash/... ./testdata/buildfolder ./testdata/gotest/... ./testdata/syncs ./testdata/contract ./testdata/described ./testdata/lasting ./testdata/peak ./testdata/clients ./testdata/tryout/...

# The race detector needs a C compiler; the product itself is built without one. It does not look into scrypt, which is made to
# take long and takes several times as long under it: it starts no goroutine, and its memory is nobody else's.
RACE := $(shell command -v $${CC:-gcc} >/dev/null 2>&1 && echo -race -gcflags=golang.org/x/crypto/scrypt=-race=false)

export CGO_ENABLED ?= 0

# What `make package` makes, and where; Go's GOARCH=arm GOARM=7 is arm7.
PACKAGE_ARCHES ?= amd64 arm64 arm7
PACKAGE_OUT    ?= $(BUILD)/packages

.PHONY: help version run build cross package test test-syncs test-faults test-rollouts test-rollouts-live test-component test-clients test-32 test-boot test-package test-emulated test-gdb test-page corpus lint fmt fuzz bench clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

version: ## the version that would be built
	@echo $(VERSION)

build: ## the binary, into .build/slipway
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BUILD)/slipway ./daemon

run: build ## a gateway on 127.0.0.1:8480 with a fleet of 40 simulated devices, and one to try by hand
	@GO='$(GO)' testdata/tryout/run.sh $(BUILD)/slipway $(CURDIR)/.run

test: ## every test, and which were skipped; with the race detector where a C compiler is
	@[ -n '$(RACE)' ] || echo 'no C compiler: running without the race detector'
	@$(GO) build -o $(BUILD)/gotest ./testdata/gotest
	CGO_ENABLED=$(if $(RACE),1,0) $(BUILD)/gotest $(GO) $(RACE) -timeout 60m $(PACKAGES)

test-syncs: ## takes each sync out in turn, in a copy, and prints the test that fails without it
	$(GO) run ./testdata/syncs

test-faults: ## what befalls a gateway, as a table; five minutes, hours with SLIPWAY_FAULTS=long; RUN=NAME: only some rows
	cd daemon && $(GO) test -tags faults -count=1 -timeout 12h -run '^TestFaults$(RUN)'

test-rollouts: ## what halts a rollout at how many devices, as a table beside the reference's: 1,000 good builds, 100 of each bad one
	SLIPWAY_ROLLOUTS=long $(GO) test -v -count=1 -timeout 2h -run '^TestTheTable' ./pkg/rollout

test-rollouts-live: ## rollouts against the real gateway: good and bad builds, a line that is cut, kills, CI; four minutes
	cd daemon && $(GO) test -tags live -count=1 -parallel 4 -timeout 30m -run '^TestLive'

test-component: ## the components for devices: compiled for RISC-V, 200 boots with cut links and a gateway that is killed; gcc, clang, gcc-riscv64-unknown-elf
	@$(GO) build -o $(BUILD)/gotest ./testdata/gotest
	$(BUILD)/gotest $(GO) -tags component -count=1 -timeout 30m -run Component ./daemon

test-clients: ## curl, Python's requests, Node and Go against the gateway, as they are installed; some seconds
	$(GO) test -tags clients -count=1 -timeout 10m -run '^TestRealClients' ./pkg/gateway

test-32: ## the packages' tests where an int has 32 bits: as 386, or where the kernel runs none as armv7 under an emulator (root, qemu-user-static)
	@GO='$(GO)' testdata/int32.sh

cross: ## binaries for the three architectures, into .build/
	GOARCH=amd64 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BUILD)/slipway-amd64 ./daemon
	GOARCH=arm64 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BUILD)/slipway-arm64 ./daemon
	GOARCH=arm GOARM=7 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BUILD)/slipway-armv7 ./daemon

package: $(TOOLS)/nfpm-$(NFPM_VERSION) $(TOOLS)/cyclonedx-gomod-$(SBOM_VERSION) ## .deb and .rpm for three architectures, into .build/packages/
	@GO='$(GO)' LDFLAGS='$(LDFLAGS)' VERSION='$(VERSION)' NFPM='$(word 1,$^)' SBOM='$(word 2,$^)' \
	  packaging/build.sh $(PACKAGE_OUT) $(PACKAGE_ARCHES)

test-package: ## the packages: lintian, rpmlint, what is in them, and the same bytes from another folder
	rm -rf $(BUILD)/tested
	@$(MAKE) --no-print-directory package PACKAGE_OUT=$(BUILD)/tested
	packaging/lint.sh $(BUILD)/tested
	SLIPWAY_PACKAGES=$(BUILD)/tested SLIPWAY_VERSION=$(VERSION) SLIPWAY_COMMIT=$(COMMIT) \
	  $(GO) test -tags packages -count=1 -v -run '^TestPackage' ./packaging

test-emulated: ## the arm64 and armv7 binaries of the packages under an emulator: Debian, root, qemu-user-static
	@$(MAKE) --no-print-directory package PACKAGE_ARCHES='arm64 arm7' PACKAGE_OUT=$(BUILD)/emulated
	SLIPWAY_STAGED=$(BUILD)/package $(GO) test -tags emulated -count=1 -v -run '^TestEmulated' ./packaging

test-page: build $(TOOLS)/axe-$(AXE_VERSION).js ## each view of the page in Chromium, with pictures in .build/screenshots; npm is asked for axe-core once
	SLIPWAY_BINARY=$(BUILD)/slipway SLIPWAY_AXE=$(TOOLS)/axe-$(AXE_VERSION).js SLIPWAY_SCREENSHOTS=$(BUILD)/screenshots \
	  $(GO) test -tags browser -count=1 -timeout 20m -run '^TestBrowser$(RUN)' ./pkg/page

test-boot: ## the packages on a real systemd in a box: Debian, root; installs what it needs
	@packaging/test-boot.sh $(GO) $(MAKE)

test-gdb: ## asks gdb-multiarch about the corpus's ELFs and dumps, and compares with the committed answers
	cd testdata/crash/corpus && $(GO) run ./recipe gdb

corpus: ## makes testdata/crash/corpus anew: gcc-riscv64-unknown-elf, clang, lld, qemu-system-misc, gdb-multiarch
	cd testdata/crash/corpus && $(GO) run ./recipe make

lint: $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION) ## formatting, linters, and who may import whom
	$< fmt --config configs/golangci.yml --diff ./...
	$< run --allow-parallel-runners --config configs/golangci.yml $(PACKAGES)

fmt: $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION) ## formats the code
	$< fmt --config configs/golangci.yml ./...

fuzz: ## every fuzz target for FUZZTIME
	@GO='$(GO)' testdata/fuzz.sh $(FUZZTIME)

bench: ## every benchmark once
	$(GO) test -run '^$$' -bench . -benchmem -benchtime 1x -timeout 30m $(PACKAGES)

clean: ## removes what make made
	rm -rf $(BUILD) .run

$(TOOLS)/golangci-lint-$(GOLANGCI_VERSION):
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(TOOLS)/golangci-lint $@

$(TOOLS)/nfpm-$(NFPM_VERSION):
	GOBIN=$(TOOLS) $(GO) install github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM_VERSION)
	mv $(TOOLS)/nfpm $@

$(TOOLS)/cyclonedx-gomod-$(SBOM_VERSION):
	GOBIN=$(TOOLS) $(GO) install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(SBOM_VERSION)
	mv $(TOOLS)/cyclonedx-gomod $@

$(TOOLS)/axe-$(AXE_VERSION).js:
	mkdir -p $(TOOLS)/axe
	npm install --silent --no-save --no-audit --no-fund --prefix $(TOOLS)/axe axe-core@$(AXE_VERSION)
	mv $(TOOLS)/axe/node_modules/axe-core/axe.min.js $@

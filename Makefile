# `make` lists the targets.

GO          ?= $(or $(shell command -v go),/usr/local/go/bin/go)
FUZZTIME    ?= 60s
STATICCHECK  = honnef.co/go/tools/cmd/staticcheck@v0.8.2
CORPUS       = $(abspath $(wildcard ../shared/corpus))

# Packages that need no kernel of their own to be tested, and packages that
# compile elsewhere than on Linux.
PURE     = ./session ./protocol ./compare ./findings ./report ./replay ./tui ./doctor ./capture/...
PORTABLE = $(PURE) ./sandbox

# Programs of the checks themselves, which ./... passes over.
CHECKS = ./.ci/gotest ./.ci/vuln

# One static file, which knows its revision unless git will not tell: it refuses
# in a checkout that is somebody else's.
export CGO_ENABLED = 0
# sudo takes Go out of the PATH, and tests call it.
export PATH := $(dir $(GO)):$(PATH)
BUILD = -trimpath -ldflags='-s -w' -buildvcs=$(shell git status >/dev/null 2>&1 && echo true || echo false)

# Without the captures of other people some tests have nothing to read.
export TCPSANDBOX_CORPUS ?= $(CORPUS)
ifneq ($(TCPSANDBOX_CORPUS),)
check: export TCPSANDBOX_NEED ?= all
endif

.PHONY: help build demo test check soak endure bench fuzz screen

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## make bin/tcpsandbox, one static file
	$(GO) build $(BUILD) -o bin/tcpsandbox ./cmd/tcpsandbox

demo: build ## production, clients and a test application with a bug, on this machine (as root)
	@if [ "$$(id -u)" != 0 ]; then echo "make demo: it makes network namespaces, which needs root: sudo make demo" >&2; exit 1; fi
	@bin/tcpsandbox demo

test: ## all tests; as root those in namespaces too; says what it skipped, and why
	@$(GO) run ./.ci/gotest -timeout 10m ./...

check: ## what CI does: format, vet, staticcheck, vulnerabilities, all tests, again with the race detector, three minutes of churn (as root)
	@bad=$$(gofmt -l .); if [ -n "$$bad" ]; then echo "gofmt -w" $$bad; exit 1; fi
	$(GO) vet ./... $(CHECKS)
	$(GO) vet -tags soak ./e2e
	GOOS=darwin $(GO) vet $(PORTABLE)
	$(GO) run $(STATICCHECK) ./... $(CHECKS)
	@$(GO) run ./.ci/vuln ./...
	@[ "$$TCPSANDBOX_NEED" = all ] || echo "make check: TCPSANDBOX_NEED=all is not set: tests may be skipped"
	@$(GO) run ./.ci/gotest -timeout 20m ./... $(CHECKS)
	@if command -v $$($(GO) env CC) >/dev/null; then set -ex; export CGO_ENABLED=1; \
		$(GO) test -race -timeout 40m $$($(GO) list ./... | grep -v '/e2e$$'); $(GO) test -race -timeout 40m ./e2e; \
	elif [ "$$TCPSANDBOX_NEED" = all ]; then echo "make check: the race detector needs a C compiler" >&2; exit 1; \
	else echo "make check: no C compiler, so the race detector was not run"; fi
	@$(MAKE) --no-print-directory endure

soak: ## what check shows in small, at full size and rate: 35 minutes on a machine with nothing else to do (as root)
	$(GO) test -tags soak -count 1 -parallel 1 -timeout 30m -run TestSoak -v ./e2e
	TCPSANDBOX_SOAK=$${TCPSANDBOX_SOAK:-30m} $(MAKE) endure

endure: ## sessions that come and go for TCPSANDBOX_SOAK, 3m if not set: nothing grows (as root)
	TCPSANDBOX_SOAK=$${TCPSANDBOX_SOAK:-3m} $(GO) test -tags soak -count 1 -timeout 12h -run TestEndure -v ./e2e

bench: ## the table of measurements against the kernel's own sockets (as root)
	$(GO) run ./e2e/bench

screen: ## docs/screen.svg, from a screen of the tests
	$(GO) test ./tui -run '^TestPicture$$' -update

fuzz: ## every fuzz target for FUZZTIME each, 60s if not set
	@set -e; for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$package; \
		done; \
	done

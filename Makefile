# SPDX-License-Identifier: BSD-2-Clause
# The front door: each target is one line of cmake, ctest or a script in tools/. What is built, CMakeLists.txt says.

PRESET ?= release
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
MAKEFLAGS += --no-print-directory

.PHONY: all demo test check bench format docs install clean

all:
	@cmake --preset $(PRESET) --log-level=WARNING >/dev/null
	@cmake --build build/$(PRESET) -j $(JOBS)

demo: all
	@sh tools/demo.sh build/$(PRESET)

test: all
	@cd build/$(PRESET) && ctest -j $(JOBS) --output-on-failure -LE '^(long|model|mutants)$$'

check:
	@bash tools/check.sh

bench: all
	@sh bench/run.sh build/$(PRESET)

format:
	@sh tools/format.sh -i

docs:
	@sh tools/docs.sh build/$(PRESET)/docs

install: all
	@cmake --install build/$(PRESET) --prefix '$(PREFIX)'

clean:
	@rm -rf build

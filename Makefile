# make demo    a mixed model on 100,000 rows, from a gzipped CSV to tables, figures and a report
# make test    all tests: the C++ core, plain and under sanitizers, then the R package
# Both install what they are missing by themselves, and only once. The other goals are for those who
# work on the package:
# make bench   measure lmm() beside lme4 and glmmTMB         (BENCH="--cases sleepstudy --quick")
# make bench-kernels   kernel models, scans and expectation propagation
# make document   man/, NAMESPACE and RcppExports            make install   into .make/lib
# make check   R CMD check --as-cran on the built tarball    make clean     remove what was built
# make check-alone   the same where none of the suggested packages is installed
# make format  apply the formatters    make lint   ask the linters    make distclean  .make/ as well
# make site    the documentation as web pages, in .make/site

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := demo

export R_LIBS := $(shell bash tools/libraries.sh)
RSCRIPT := Rscript
JOBS := $(shell nproc 2>/dev/null || echo 2)
PARALLEL := $(MAKE) --silent --no-print-directory --jobs=$(JOBS)

HEADERS := $(wildcard src/core/*.h src/*.h)
SOURCES := DESCRIPTION NAMESPACE $(wildcard R/*.R src/*.cpp src/Makevars data/* man/*.Rd) \
  $(HEADERS) $(shell find inst -type f 2>/dev/null)
CPP_TESTS := $(patsubst tests/cpp/%.cpp,%,$(wildcard tests/cpp/*.cpp))
CPP_PROGRAMS := $(CPP_TESTS:%=.make/cpp/%) $(CPP_TESTS:%=.make/cpp/%.sanitized)

.PHONY: demo test bench bench-kernels document check check-alone format lint site install clean \
  distclean setup-demo setup-test setup-bench setup-develop setup-site

setup-demo setup-test setup-bench setup-develop setup-site:
	@bash tools/setup.sh $(@:setup-%=%)

demo: install
	@$(RSCRIPT) tools/demo.R

test: setup-test
	@$(PARALLEL) .make/installed $(CPP_PROGRAMS)
	@$(RSCRIPT) tools/test.R $(CPP_PROGRAMS)

bench: setup-bench
	@$(PARALLEL) .make/installed
	@$(RSCRIPT) bench/run.R $(BENCH)

bench-kernels: setup-bench
	@$(PARALLEL) .make/installed
	@$(RSCRIPT) bench/kernels.R $(BENCH)

install: setup-demo
	@$(PARALLEL) .make/installed

document: setup-develop
	@$(RSCRIPT) -e 'Rcpp::compileAttributes()'
	@# From the installed package: loading the sources would leave unoptimised objects in src/
	@$(PARALLEL) .make/installed
	@$(RSCRIPT) -e 'roxygen2::roxygenise(load_code = roxygen2::load_installed)'
	@$(PARALLEL) .make/installed

check: setup-test
	@bash tools/check.sh

check-alone: setup-test
	@bash tools/check.sh --alone

site: setup-site
	@$(PARALLEL) .make/installed
	@$(RSCRIPT) tools/site.R

format: setup-develop
	@bash tools/format.sh

lint: setup-develop
	@bash tools/format.sh --check

clean:
	rm -rf .make/cpp .make/check .make/installed .make/headers .make/lib/partialpool demo-output
	rm -f src/*.o src/*.so src/*.dll

distclean: clean
	rm -rf .make

# R's own rules do not know which headers an object was compiled from
.make/headers: $(HEADERS) src/Makevars | .make/lib
	@rm -f src/*.o src/*.so
	@touch $@

.make/Makevars: tools/makevars.sh
	@bash $<

.make/installed: $(SOURCES) .make/headers .make/Makevars | .make/lib
	@echo "installing partialpool into .make/lib (compiles C++: a minute or two the first time)"
	@MAKEFLAGS=-j$(JOBS) R_MAKEVARS_USER="$(CURDIR)/.make/Makevars" R CMD INSTALL --strip \
	  --library=.make/lib . > .make/install.log 2>&1 || { cat .make/install.log; exit 1; }
	@touch $@

.make/lib .make/cpp:
	@mkdir -p $@

# The tests of the core see Eigen, the standard library and the core's headers: no R. Sanitizers are
# silent about what they do not check, so that the plain program has to pass as well.
# Not those of the undefined ones that double the time to compile Eigen and find nothing in it
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all \
  -fno-sanitize=alignment,object-size,pointer-overflow,vptr
CPP_FLAGS = -std=gnu++17 -Wall -Wextra -Isrc/core \
  -isystem "$$($(RSCRIPT) -e 'cat(system.file("include", package = "RcppEigen"))')"

.make/cpp/%: tests/cpp/%.cpp $(HEADERS) $(wildcard tests/cpp/*.h) | .make/cpp
	@echo "compiling $<"
	@g++ $(CPP_FLAGS) -O2 $< -o $@

.make/cpp/%.sanitized: tests/cpp/%.cpp $(HEADERS) $(wildcard tests/cpp/*.h) | .make/cpp
	@echo "compiling $< with sanitizers"
	@g++ $(CPP_FLAGS) -O1 -g1 $(SANITIZE) $< -o $@

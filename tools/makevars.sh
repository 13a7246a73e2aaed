#!/usr/bin/env bash
# Writes .make/Makevars: the compiler settings that every build of the package shares. The check
# builds it twice more; with ccache, if it is there, what one build compiled the others find.
set -euo pipefail
cd "$(dirname "$0")/.."
cached() { if command -v ccache >/dev/null 2>&1; then echo "ccache $1"; else echo "$1"; fi; }
unset R_MAKEVARS_USER
# The flags of some systems ask for debug symbols: those of Eigen's templates would be nine tenths of
# the installed size
flags=$(R CMD config CXX17FLAGS | sed -E 's/(^| )-g[0-9]?( |$)/ /g')
mkdir -p .make
{
  echo "CXX17 = $(cached "$(R CMD config CXX17)")"
  echo "CXX17FLAGS = $flags"
} > .make/Makevars

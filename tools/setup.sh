#!/usr/bin/env bash
# Makes a machine that has R and a compiler ready for one goal of the Makefile:
#   tools/setup.sh demo|test|bench|site|develop
# Installs only what is missing, says what it installs, and does nothing when called again.
# Packages from R's repository leave the user's own library alone: see tools/libraries.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
goal=${1:-demo}

if ! command -v R >/dev/null 2>&1 || ! command -v Rscript >/dev/null 2>&1; then
  echo "setup: R is not on the PATH. Install R 4.1 or later first." >&2
  exit 1
fi
compiler=$(R CMD config CXX17 2>/dev/null || true)
if ! command -v "${compiler%% *}" >/dev/null 2>&1; then
  echo "setup: R's C++17 compiler ('${compiler:-none configured}') is not on the PATH." >&2
  exit 1
fi

R_LIBS=$(bash tools/libraries.sh)
export R_LIBS
exec Rscript tools/setup.R "$goal"

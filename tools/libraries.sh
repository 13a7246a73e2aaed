#!/usr/bin/env bash
# Prints R_LIBS for all goals: .make/lib, where the package itself is installed; a library that all
# checkouts on the machine share, for what comes from R's repository; then what R_LIBS held.
# Makes both where they are missing.
set -euo pipefail
cd "$(dirname "$0")/.."
own="$PWD/.make/lib"
mkdir -p "$own"
case "${R_LIBS:-}" in "$own":*) echo "$R_LIBS"; exit ;; esac

version=$(Rscript --version 2>&1 | sed -E 's/.*version ([0-9]+\.[0-9]+).*/\1/' || true)
shared="${XDG_CACHE_HOME:-${HOME:-/nowhere}/.cache}/R/partialpool/library-$version"
# A machine without a home for it installs into the checkout
mkdir -p "$shared" 2>/dev/null || shared="$PWD/.make/lib"
echo "$own:$shared${R_LIBS:+:$R_LIBS}"

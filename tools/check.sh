#!/usr/bin/env bash
# R CMD check --as-cran on the tarball that R CMD build makes of the tree. Prints the check's status
# and whatever it noted; fails on an ERROR or a WARNING. With --alone the check itself runs where no
# suggested package is installed, without tests and vignettes, which are written with some of them.
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$PWD
R_LIBS=$(bash tools/libraries.sh)
export R_LIBS

export _R_CHECK_FORCE_SUGGESTS_=false
# No network is needed to check, and none may be there
export _R_CHECK_CRAN_INCOMING_REMOTE_=false
export _R_CHECK_SYSTEM_CLOCK_=0
export OMP_THREAD_LIMIT=2
# The package is compiled twice here, once to build its vignettes
MAKEFLAGS="-j$(nproc 2>/dev/null || echo 2)"
export MAKEFLAGS
unset NOT_CRAN

options=(--as-cran)
command -v pdflatex >/dev/null 2>&1 || options+=(--no-manual)
build_options=()
if ! command -v pandoc >/dev/null 2>&1; then
  echo "check: without pandoc the vignettes are not built"
  build_options+=(--no-build-vignettes)
  options+=(--ignore-vignettes)
fi

rm -rf .make/check
mkdir -p .make/check/web/packages
cd .make/check
# Who maintains a suggested package that is not installed is looked up in a list from the network:
# here it is empty
Rscript -e 'db <- data.frame(Package = character(), Maintainer = character())' \
  -e 'saveRDS(db, "web/packages/packages.rds")'
export R_CRAN_WEB="file://$PWD"
bash "$tree/tools/makevars.sh"
export R_MAKEVARS_USER="$tree/.make/Makevars"
echo "check: R CMD build"
R CMD build "${build_options[@]}" "$tree" > build.log 2>&1 || { cat build.log; exit 1; }
if [ "${1:-}" = --alone ]; then
  (cd "$tree" && Rscript tools/alone.R)
  export R_LIBS="$tree/.make/alone" R_LIBS_SITE=/none R_LIBS_USER=/none
  options+=(--ignore-vignettes)
fi
echo "check: R CMD check ${options[*]}"
R CMD check "${options[@]}" partialpool_*.tar.gz > check.log 2>&1 || true

log=partialpool.Rcheck/00check.log
if [ ! -f "$log" ] || ! grep -q '^Status:' "$log"; then
  cat check.log
  echo "check: R CMD check did not come to an end"
  exit 1
fi
# Every check that was not OK, with what it said
awk '/^\* /{show = /(NOTE|WARNING|ERROR)$/} show' "$log"
grep '^Status:' "$log"
if grep -Eq '^Status:.*(ERROR|WARNING)' "$log"; then
  find partialpool.Rcheck -name '*.Rout.fail' -exec tail -n 60 {} +
  exit 1
fi

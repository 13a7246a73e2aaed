#!/usr/bin/env bash
# Formats C++ and R code; with --check only asks, and fails on what it finds. A formatter that is not
# installed is left out, and that is said.
set -euo pipefail
cd "$(dirname "$0")/.."
check=${1:-}
status=0

mapfile -t cpp < <(find src tests/cpp \( -name '*.h' -o -name '*.cpp' \) ! -name 'RcppExports.cpp')
if ! command -v clang-format >/dev/null 2>&1; then
  echo "format: clang-format is not installed; the C++ files are left alone"
elif [ "${#cpp[@]}" -gt 0 ]; then
  if [ "$check" = "--check" ]; then
    clang-format --dry-run --Werror "${cpp[@]}" || status=1
  else
    clang-format -i "${cpp[@]}"
  fi
fi

if [ "$check" = "--check" ]; then
  Rscript -e '
    if (!requireNamespace("lintr", quietly = TRUE)) {
      message("lint: lintr is not installed; the R files are not looked at")
    } else {
      folders <- intersect(c("R", "bench", "data-raw", "tests", "tools"), list.files())
      found <- do.call(c, lapply(folders, function(folder) lintr::lint_dir(folder)))
      if (length(found) > 0) {
        print(structure(found, class = "lints"))
        quit(status = 1)
      }
    }' || status=1
else
  Rscript -e '
    if (!requireNamespace("styler", quietly = TRUE)) {
      message("format: styler is not installed; the R files are left alone")
    } else {
      files <- list.files(
        c("R", "bench", "data-raw", "tests", "tools"), "[.]R$", recursive = TRUE, full.names = TRUE
      )
      # Line breaks in calls are the authors own; only spaces and indentation are set
      invisible(styler::style_file(
        setdiff(files, "R/RcppExports.R"), scope = "indention", strict = FALSE
      ))
    }'
fi
exit "$status"

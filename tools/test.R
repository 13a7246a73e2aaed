# Runs the compiled tests of the C++ core (paths as arguments), then the tests of the installed
# package, and closes with one line "N passed, N failed, N skipped". Called by make test.

main <- function(programs) {
  sanitized <- grepl("\\.sanitized$", programs)
  counts <- c(passed = 0L, failed = 0L, skipped = 0L)
  for (program in programs[!sanitized]) counts <- counts + run_program(program)
  # The same checks a second time: only what they find is counted
  for (program in programs[sanitized]) {
    counts["failed"] <- counts["failed"] + run_program(program)["failed"]
  }
  counts <- counts + run_testthat()
  cat(sprintf(
    "%d passed, %d failed, %d skipped\n", counts["passed"], counts["failed"], counts["skipped"]
  ))
  quit(status = if (counts["failed"] > 0 || counts["passed"] == 0) 1 else 0)
}

# A program prints "N checks, N failed" last and exits with a status other than 0 if one failed. One
# that ends without that line, or badly after it, has failed once more.
run_program <- function(program) {
  # Leak detection needs rights that a container may not have
  output <- suppressWarnings(system2(
    program, stdout = TRUE, stderr = TRUE, env = "ASAN_OPTIONS=detect_leaks=0"
  ))
  status <- attr(output, "status")
  pattern <- "^([0-9]+) checks?, ([0-9]+) failed$"
  line <- grep(pattern, output, value = TRUE)
  checks <- if (length(line) == 1) as.integer(sub(pattern, "\\1", line)) else 0L
  failed <- if (length(line) == 1) as.integer(sub(pattern, "\\2", line)) else 1L
  if (!is.null(status) && failed == 0L) failed <- 1L
  cat(sprintf("%-50s %d checks, %d failed\n", basename(program), checks, failed))
  if (failed > 0L) cat(paste0("  ", output), sep = "\n")
  c(passed = max(checks - failed, 0L), failed = failed, skipped = 0L)
}

run_testthat <- function() {
  Sys.setenv(NOT_CRAN = "true")
  results <- as.data.frame(testthat::test_dir(
    "tests/testthat", package = "partialpool", load_package = "installed",
    reporter = testthat::SummaryReporter$new(show_praise = FALSE), stop_on_failure = FALSE
  ))
  slowest <- utils::head(results[order(-results$real), c("file", "test", "real")], 5)
  cat("\nSlowest tests:\n")
  cat(sprintf("  %6.1f s  %s: %s\n", slowest$real, slowest$file, slowest$test), sep = "")
  cat("\n")
  c(
    passed = sum(results$passed),
    # A test that stopped with an error counts as one failure beside its failed expectations
    failed = sum(results$failed) + sum(results$error),
    skipped = sum(results$skipped)
  )
}

main(commandArgs(trailingOnly = TRUE))

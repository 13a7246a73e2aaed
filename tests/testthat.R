if (requireNamespace("testthat", quietly = TRUE)) {
  library(testthat)
  library(partialpool)

  test_check("partialpool")
}

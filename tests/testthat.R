library(testthat)
library(partialpool)

test_check("partialpool")

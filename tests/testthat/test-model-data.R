m <- cbind(c(1.5, 2.5, 0.5, 2), c(2, -1, 0, 10), c(1, 1, 0, NA))

test_that("columns get their names and types, levels in numerical order (SEEDS 1)", {
  before <- m
  d <- model_data(m, c("y", "my group", "z"), c("continuous", "categorical", "continuous"))
  expect_identical(names(d), c("y", "my group", "z"))
  expect_identical(d$y, m[, 1])
  expect_identical(d$`my group`, factor(m[, 2]))
  expect_identical(levels(d$`my group`), c("-1", "0", "2", "10"))
  expect_identical(d$z, m[, 3])
  expect_identical(m, before)
})

test_that("names and types have defaults", {
  d <- model_data(`colnames<-`(m, c("a", "b", "c")))
  expect_identical(vapply(d, class, ""), c(a = "numeric", b = "numeric", c = "numeric"))
  expect_identical(model_data(data.frame(a = 1:2), factor_type = "categorical")$a, factor(1:2))
  expect_identical(dim(model_data(m[0, ], c("a", "b", "c"))), c(0L, 3L))
})

test_that("wrong input is refused by name (SEEDS 26: nothing else changes)", {
  objects <- ls(globalenv())
  expect_error(
    model_data(m, c("a", "b", "c"), c("continuous", "nominal", "continuous")), "nominal.*b",
    class = "partialpool_error_argument"
  )
  expect_error(model_data(m), "label_name", class = "partialpool_error_argument")
  expect_error(model_data(m, c("a", "b")), class = "partialpool_error_argument")
  expect_error(model_data(m, c("a", "a", "b")), "a", class = "partialpool_error_argument")
  expect_error(
    model_data(m, c("a", "b", "c"), "continuous"), "factor_type",
    class = "partialpool_error_argument"
  )
  expect_error(model_data(1:3, "a"), class = "partialpool_error_data")
  expect_error(model_data(matrix("a"), "a"), class = "partialpool_error_data")
  expect_identical(ls(globalenv()), objects)
})

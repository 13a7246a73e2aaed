coded_factor <- function(x) {
  coded <- code_variable(x, "x")
  factor(coded$levels[coded$codes], levels = coded$levels)
}

test_that("variables of any type are coded as factor() does", {
  set.seed(1)
  n <- 300L
  variables <- list(
    integer = sample(-5:40, n, TRUE),
    spread = sample(c(-2e9L, 7L, 2e9L), n, TRUE),
    double = sample(c(0.1, 1 / 3, -2, 1e5, 1e-20, 0), n, TRUE),
    character = sample(c("b", "a", "B", "10", "9", ""), n, TRUE),
    logical = sample(c(TRUE, FALSE), n, TRUE),
    factor = factor(sample(c("z", "y"), n, TRUE), levels = c("z", "unused", "y")),
    ordered = factor(sample(3:1, n, TRUE), ordered = TRUE, levels = 3:1),
    date = as.Date("2020-01-30") + sample(0:9, n, TRUE),
    time = as.POSIXct("2020-01-01", tz = "UTC") + 3600 * sample(0:9, n, TRUE),
    lag = as.difftime(sample(0:9, n, TRUE), units = "days"),
    complex = complex(real = sample(3, n, TRUE), imaginary = 1)
  )
  for (name in names(variables)) {
    x <- variables[[name]]
    expected <- factor(as.character(factor(x)), levels = levels(factor(x)))
    expect_identical(coded_factor(x), expected, info = name)
    x[c(2, 9)] <- NA
    expected <- factor(as.character(factor(x)), levels = levels(factor(x)))
    expect_identical(coded_factor(x), expected, info = paste(name, "with NA"))
  }
})

test_that("many levels of wide range are coded as few are", {
  set.seed(2)
  x <- sample.int(2e9, 5000)
  expect_identical(coded_factor(x), factor(x))
  y <- stats::rnorm(5000)
  expect_identical(coded_factor(y), factor(y))
})

test_that("one string in two encodings is one level", {
  latin <- iconv("caf\u00e9", "UTF-8", "latin1")
  coded <- code_variable(c(latin, "caf\u00e9", "a"), "x")
  expect_identical(coded$codes, c(2L, 2L, 1L))
})

test_that("values that print alike are one level, -0 is 0", {
  expect_identical(code_variable(c(0.3, 0.1 + 0.2, 0), "x")$codes, c(2L, 2L, 1L))
  expect_identical(code_variable(c(-0, 0), "x")$codes, c(1L, 1L))
})

test_that("interactions have lme4's names and order of levels", {
  columns <- list(a = c("x", "y", "x", "x", NA), b = c(2L, 1L, 10L, 2L, 1L))
  ab <- code_group(quote(a:b), columns)
  expect_identical(ab$levels, c("x:2", "x:10", "y:1"))
  expect_identical(ab$codes, c(1L, 3L, 2L, 1L, NA))
  abc <- code_group(quote(a:b:(a)), columns)
  expect_identical(abc$levels, c("x:2:x", "x:10:x", "y:1:y"))
})

test_that("pairs that only look alike stay apart", {
  columns <- list(a = c("p:q", "p"), b = c("r", "q:r"))
  ab <- code_group(quote(a:b), columns)
  expect_identical(length(unique(ab$codes)), 2L)
  expect_identical(anyDuplicated(ab$levels), 0L)
})

test_that("what is not one value a row is no grouping factor", {
  for (x in list(NULL, list(1, 2), diag(2), mean, data.frame(1:2))) {
    expect_error(code_variable(x, "g"), "`g`", class = "partialpool_error_group")
  }
  expect_identical(code_variable(scale(1:3), "g")$codes, 1:3)
})

test_that("unused levels go, contrast functions stay", {
  f <- factor(c("a", "b"), levels = c("a", "z", "b"))
  expect_identical(drop_unused_levels(f, "f"), factor(c("a", "b")))
  contrasts(f) <- "contr.sum"
  expect_identical(attr(drop_unused_levels(f, "f"), "contrasts"), "contr.sum")
  contrasts(f) <- stats::contr.helmert(3)
  expect_warning(drop_unused_levels(f, "f"), "`f`", class = "partialpool_warning_variable")
  o <- factor(1:2, levels = 1:3, ordered = TRUE)
  expect_identical(drop_unused_levels(o, "o"), factor(1:2, ordered = TRUE))
})

test_that("nesting is recognised", {
  expect_true(is_nested_in(c(1L, 2L, 3L, 1L), c(1L, 1L, 2L, 1L), 3L))
  expect_false(is_nested_in(c(1L, 2L, 1L), c(1L, 1L, 2L), 2L))
})

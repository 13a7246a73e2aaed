bars_of <- function(formula) split_formula(formula)$bars

labels_of <- function(formula) vapply(bars_of(formula), function(bar) label_of(bar$expr), "")

test_that("check_formula() expands the fixed part in R's order (SEEDS 22)", {
  full <- check_formula(y ~ a * b * c + (1 | g))
  expect_setequal(full$fixed, c("a", "b", "a:b", "c", "a:c", "b:c", "a:b:c"))
  expect_identical(full$random, "1 | g")
  expect_identical(
    check_formula(y ~ (a + b + c)^2)$fixed, c("a", "b", "c", "a:b", "a:c", "b:c")
  )
  without <- check_formula(y ~ a - 1)
  expect_identical(without$fixed, "a")
  expect_false(without$intercept)
  expect_identical(without$random, character())
})

test_that("check_formula() takes text, one-sided formulas and odd names", {
  expect_identical(check_formula("y~x")$response, "y")
  expect_identical(check_formula(~ x + (1 | g))$response, character())
  odd <- check_formula("log(`pitch (Hz)`) ~ `a-b` + I(x^2) + offset(o) + (1 + x1 | `Subject ID`)")
  expect_identical(odd$response, "log(`pitch (Hz)`)")
  expect_identical(odd$fixed, c("`a-b`", "I(x^2)"))
  expect_identical(odd$random, "1 + x1 | `Subject ID`")
  expect_error(check_formula(y ~ .), class = "partialpool_error_formula")
})

test_that("grouping expressions expand as in lme4", {
  expect_identical(labels_of(y ~ (1 | a / b)), c("1 | b:a", "1 | a"))
  expect_identical(labels_of(y ~ (1 | a / b / c)), c("1 | c:b:a", "1 | b:a", "1 | a"))
  expect_identical(labels_of(y ~ (1 | a:b)), "1 | a:b")
  expect_identical(labels_of(y ~ (x | g + h)), c("x | g", "x | h"))
  expect_identical(labels_of(y ~ (1 | a * b)), c("1 | a", "1 | b", "1 | a:b"))
  expect_identical(labels_of(y ~ (1 | a / (b + c))), c("1 | b:a", "1 | c:a", "1 | a"))
  expect_identical(labels_of(y ~ (1 | factor(g))), "1 | factor(g)")
  expect_identical(labels_of(y ~ (1 | paste(a, "/", b))), "1 | paste(a, \"/\", b)")
  expect_identical(labels_of(y ~ (1 | (g))), "1 | g")
})

test_that("covariance structures and their synonyms are read", {
  kinds <- lapply(bars_of(
    y ~ (x | g) + us(x | g) + diag(x | g) + homdiag(x | g) + cs(x | g) + cs(x | g, hom = TRUE) +
      homcs(x | g) + ar1(x | g) + ar1(x | g, hom = FALSE) + hetar1(x | g) + (x || g)
  ), function(bar) paste(bar$structure, bar$hom))
  expect_identical(unlist(kinds), c(
    "us FALSE", "us FALSE", "diag FALSE", "diag TRUE", "cs FALSE", "cs TRUE", "cs TRUE",
    "ar1 TRUE", "ar1 FALSE", "ar1 FALSE", "diag FALSE"
  ))
  hom <- TRUE
  expect_true(bars_of(y ~ diag(x | g, hom = hom))[[1]]$hom)
  expect_identical(labels_of(y ~ cs(x | a / b)), c("cs(x | b:a)", "cs(x | a)"))
})

test_that("structures that do not exist or contradict are refused", {
  for (f in c(
    y ~ toep(x | g), y ~ us(x | g, hom = TRUE), y ~ cs(x | g, homo = TRUE), y ~ cs(x || g),
    y ~ cs(x | g, TRUE)
  )) {
    expect_error(split_formula(f), class = "partialpool_error_random")
  }
  expect_error(split_formula(y ~ cs(x | g, hom = NA)), class = "partialpool_error_argument")
})

test_that("the fixed part keeps all but the random terms", {
  fixed <- function(f) split_formula(f)$fixed
  expect_identical(fixed(y ~ (1 | g)), 1)
  expect_identical(fixed(y ~ (1 | g) - 1), quote(-1))
  expect_identical(fixed(y ~ 0 + (1 | g)), 0)
  expect_identical(fixed(y ~ (1 | g) + a * b + (0 + x | h) - c), quote(a * b - c))
  expect_identical(fixed(y ~ a + (b + (1 | g))), quote(a + (b)))
  expect_identical(fixed(y ~ I(a | b) + (1 | g)), quote(I(a | b)))
  expect_length(bars_of(y ~ factor(a | b)), 0L)
})

test_that("missing parentheses are found and shown", {
  expect_error(
    split_formula(y ~ x + 1 | g), "y ~ x + (1 | g)", fixed = TRUE,
    class = "partialpool_error_formula"
  )
  expect_error(
    split_formula(y ~ x | g), "y ~ 1 + (x | g)", fixed = TRUE, class = "partialpool_error_formula"
  )
  expect_error(split_formula(y ~ (1 | g) + x || h), class = "partialpool_error_formula")
})

test_that("formulas that cannot be meant are refused", {
  for (f in c(
    ~ x + (1 | g), y ~ x * (1 | g), y ~ x - (1 | g), y ~ x:(1 | g), y ~ (x | g | h)
  )) {
    expect_error(split_formula(f), class = "partialpool_error_formula")
  }
  expect_error(check_formula("y ~ x + (1 | g"), class = "partialpool_error_formula")
  expect_error(check_formula(3), class = "partialpool_error_formula")
})

test_that("a formula without an environment gets the caller's", {
  f <- as_model_formula(quote(y ~ x), environment())
  expect_s3_class(f, "formula")
  expect_identical(environment(f), environment())
})

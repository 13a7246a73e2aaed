test_that("formula and arguments change, and NULL removes", {
  fit <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
  without <- update(fit, . ~ . - Days)
  expect_identical(deparse1(formula(without)), "Reaction ~ (1 | Subject)")
  expect_named(fixef(without), "(Intercept)")
  by_ml <- update(fit, REML = FALSE)
  expect_false(by_ml$REML)
  expect_identical(update(by_ml, REML = NULL)$criterion, fit$criterion)
  expect_identical(
    deparse1(update(fit, . ~ . + I(Days^2), evaluate = FALSE)),
    "lmm(formula = Reaction ~ Days + (1 | Subject) + I(Days^2), data = sleepstudy)"
  )
})

test_that("data are found where update is called, else where the formula was made", {
  make <- function(hidden) lmm(Reaction ~ Days + (1 | Subject), hidden)
  fit <- make(sleepstudy)
  expect_named(fixef(update(fit, . ~ . - Days)), "(Intercept)")
  seen <- function(hidden) update(fit, . ~ .)
  expect_identical(nobs(seen(sleepstudy[1:60, ])), 60L)
})

test_that("a function of the same name as the data does not count", {
  make <- function(df) lmm(Reaction ~ Days + (1 | Subject), df)
  fit <- make(sleepstudy)
  expect_identical(nobs(update(fit, REML = FALSE)), 180L)
})

test_that("the call names the function, and works where the package is not attached", {
  fit <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
  expect_identical(fit$call[[1]], quote(lmm))
  bare <- new.env(parent = baseenv())
  expect_identical(reachable(quote(lmm(y ~ x)), bare), quote(partialpool::lmm(y ~ x)))
  expect_identical(reachable(quote(lmm(y ~ x)), environment()), quote(lmm(y ~ x)))
})

test_that("an argument without a name is an error", {
  fit <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
  expect_error(update(fit, . ~ ., FALSE), class = "partialpool_error_argument")
})

test_that("the fit by ML comes from the stored design", {
  data <- sleepstudy
  fit <- lmm(Reaction ~ Days + (Days | Subject), data)
  rm(data)
  by_ml <- refit_ml(fit)
  expect_false(by_ml$REML)
  expect_false(by_ml$call$REML)
  expect_equal(as.numeric(logLik(by_ml)), -875.969672232, tolerance = 1e-9)
  expect_identical(refit_ml(by_ml), by_ml)
})

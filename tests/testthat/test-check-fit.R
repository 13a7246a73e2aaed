sleep <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
quiet <- function(code) suppressWarnings(suppressMessages(code))
row_of <- function(fit, check) {
  table <- check_fit(fit)
  as.list(table[table$check == check, ])
}

test_that("a sound fit has ticks alone, but for an outlier", {
  table <- check_fit(sleep)
  expect_s3_class(table, c("pp_check", "data.frame"), exact = TRUE)
  expect_named(table, c("check", "status", "finding", "next_step"))
  expect_identical(table$status[table$check != "residuals"], rep("ok", 6))
  expect_match(row_of(sleep, "residuals")$finding, "1 beyond 5 standard .* the largest 5.18")
  expect_true(all(is.na(table$next_step) == (table$status == "ok")))
})

test_that("the page is the one that was looked at", {
  table <- check_fit(sleep)
  table$finding[1] <- "found"
  expect_snapshot(print(table))
})

test_that("singular and undetermined covariances are told apart", {
  batch <- quiet(lmm(Yield ~ 1 + (1 | Batch), Dyestuff2))
  expect_identical(row_of(batch, "random effects")$status, "note")
  expect_match(row_of(batch, "random effects")$finding, "in Batch, the variance of \\(Intercept\\)")
  sleep$convergence$undetermined <- 1L
  expect_identical(row_of(sleep, "random effects")$status, "problem")
})

test_that("a search that stopped is a problem with a next step", {
  stopped <- quiet(lmm(Reaction ~ Days + (Days | Subject), sleepstudy,
    control = pp_control(max_iterations = 1)))
  expect_identical(row_of(stopped, "optimum")$status, "problem")
  expect_match(row_of(stopped, "optimum")$next_step, "max_iterations")
})

test_that("columns are checked for dependence and units", {
  d <- transform(sleepstudy, twice = 2 * Days, near = Days + 1e-3 * cos(seq_along(Days)),
    large = 1e7 * sin(seq_along(Days)))
  expect_match(row_of(quiet(lmm(Reaction ~ Days + twice + (1 | Subject), d)), "columns")$finding,
    "twice")
  expect_match(row_of(quiet(lmm(Reaction ~ Days + near + (1 | Subject), d)), "scale")$finding,
    "condition number")
  expect_match(row_of(quiet(lmm(Reaction ~ Days + large + (1 | Subject), d)), "scale")$finding,
    "units of large and Days")
})

test_that("generalised models: separation, integral, dispersion, groups", {
  d <- data.frame(x = rep(0:1, each = 30), g = gl(4, 15))
  d$y <- d$x
  apart <- quiet(glmm(y ~ x + (1 | g), d, binomial()))
  expect_identical(row_of(apart, "separation")$status, "problem")
  expect_match(row_of(apart, "groups")$finding, "g 4")
  ticks <- glmm(TICKS ~ YEAR + HEIGHT + (1 | BROOD), grouseticks, poisson())
  expect_match(row_of(ticks, "dispersion")$next_step, "nbinom2")
  herds <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial())
  expect_true(all(check_fit(herds)$status == "ok"))
  expect_output(print(check_fit(herds)), "Nothing to object")
  pql <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial(),
    method = "pql")
  expect_match(row_of(pql, "integral")$next_step, "laplace")
})

test_that("every kind of fit can be checked", {
  set.seed(4)
  K <- exp(-as.matrix(dist(1:30)) / 3)
  y <- drop(crossprod(chol(K), rnorm(30))) + rnorm(30, sd = 0.3)
  x <- rnorm(30)
  expect_s3_class(check_fit(kernel_lmm(y, cbind(1, x), K)), "pp_check")
  expect_s3_class(check_fit(quiet(kernel_lmm(cbind(y, rev(y)), cbind(1, x), K))), "pp_check")
  given <- kernel_lmm(y, cbind(1, x), K, fit = FALSE)
  expect_match(row_of(given, "optimum")$finding, "not fitted")
  expect_s3_class(check_fit(quiet(lmm(Reaction ~ 1, sleepstudy))), "pp_check")
  expect_s3_class(check_fit(lmm(Reaction ~ 0 + Days + (1 | Subject), sleepstudy)), "pp_check")
  expect_s3_class(check_fit(lmm(Reaction ~ 0 + (1 | Subject), sleepstudy)), "pp_check")
  inflated <- quiet(glmm(TICKS ~ YEAR + (1 | BROOD), grouseticks, nbinom2(), ziformula = ~1))
  expect_s3_class(check_fit(inflated), "pp_check")
  expect_error(check_fit(lm(y ~ x)), class = "partialpool_error_argument")
})

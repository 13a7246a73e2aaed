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
  expect_identical(table$status[table$check != "residuals"], rep("ok", 7))
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
  table <- check_fit(herds)
  expect_true(all(table$status[table$check != "influence"] == "ok"))
  expect_output(print(table[table$status == "ok", ]), "Nothing to object")
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

test_that("the optimum has a gradient and a curvature", {
  expect_match(row_of(sleep, "optimum")$finding, "scaled gradient .*, curvature 0[.]7")
  # By the Hessian of the criterion in units of standard errors.
  H <- vapply(1:3, function(i) {
    step <- replace(numeric(3), i, 1e-5)
    (gradient(sleep, sleep$theta + step) - gradient(sleep, sleep$theta - step)) / 2e-5
  }, numeric(3))
  expected <- 1 / eigen(cov2cor(solve((H + t(H)) / 2)))$values[1]
  expect_equal(smallest_curvature(sleep), expected, tolerance = 1e-4)
  expect_null(smallest_curvature(quiet(lmm(Yield ~ 1 + (1 | Batch), Dyestuff2))))
  # A point that is no minimum.
  away <- sleep
  away$theta[] <- c(3, 0, 0.01)
  expect_identical(check_curvature(away, "found")$status, "problem")
})

test_that("the facts are in the fit as data", {
  facts <- sleep$convergence
  expect_equal(facts$scaled_gradient, sqrt(2 * facts$decrement))
  expect_lt(facts$scaled_gradient, 1e-3)
  expect_identical(facts$aliased, character())
  d <- transform(sleepstudy, twice = 2 * Days)
  dropped <- quiet(lmm(Reaction ~ Days + twice + (1 | Subject), d))
  expect_identical(dropped$convergence$aliased, "twice")
  again <- quiet(refit(dropped, rev(d$Reaction)))
  expect_identical(again$convergence$aliased, "twice")
  expect_true(all(c("status", "decrement", "scaled_gradient", "min_eigenvalue", "singular",
                    "components", "undetermined", "aliased", "separation") %in%
    c(names(glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp,
                 binomial())$convergence), "separation")))
})

test_that("a group that moves an estimate by more than its standard error is named", {
  d <- sleepstudy
  d$Reaction[d$Subject == "335"] <- d$Reaction[d$Subject == "335"] - 40 * (0:9)
  fit <- quiet(lmm(Reaction ~ Days + (1 | Subject), d))
  found <- row_of(fit, "influence")
  expect_identical(found$status, "note")
  expect_match(found$finding, "335 of Subject the estimate of Days")
  expect_match(found$next_step, "influence\\(fit, .Subject")
  # The number is that of the one-step deletion.
  one <- influence(fit, "Subject", method = "one-step")
  size <- max(abs(t(dfbeta(one)) / sqrt(diag(vcov(fit)))))
  expect_match(found$finding, sprintf("by %.2f standard", size))
})

test_that("counts: zeros and dispersion on both sides", {
  set.seed(1)
  g <- gl(20, 20)
  x <- rnorm(400)
  mu <- exp(1.5 + 0.3 * x + rnorm(20, sd = 0.4)[g])
  d <- data.frame(x, g, even = round(mu), zero = rpois(400, mu) * rbinom(400, 1, 0.6))
  even <- glmm(even ~ x + (1 | g), d, poisson())
  expect_match(row_of(even, "dispersion")$next_step, "less than the family says.*quasipoisson")
  zero <- glmm(zero ~ x + (1 | g), d, poisson())
  expect_match(row_of(zero, "zeros")$next_step, "ziformula")
  expect_match(row_of(zero, "zeros")$finding, paste(sum(d$zero == 0), "seen"))
  # The expectation is that of the densities.
  expect_equal(count_zeros(zero)[["expected"]], sum(dpois(0, fitted(zero))))
  inflated <- glmm(zero ~ x + (1 | g), d, poisson(), ziformula = ~1)
  expect_identical(row_of(inflated, "zeros")$status, "ok")
  expect_identical(row_of(inflated, "dispersion")$status, "ok")
  # The generator is left alone.
  set.seed(3)
  before <- .Random.seed
  check_fit(inflated)
  expect_identical(.Random.seed, before)
})

test_that("responses of a sound model are neither too even nor too uneven", {
  set.seed(2)
  g <- gl(40, 3)
  y <- rpois(120, exp(-1 + rnorm(40, sd = 0.8)[g]))
  fit <- quiet(glmm(y ~ 1 + (1 | g), data.frame(y, g), poisson()))
  expect_identical(row_of(fit, "dispersion")$status, "ok")
  expect_identical(row_of(fit, "zeros")$status, "ok")
})

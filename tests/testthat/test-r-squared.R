p <- probe()
seed_data <- function(name) utils::read.csv(test_path("fixtures", name))

test_that("row 75: one less the share of the residuals", {
  d <- seed_data("B_naplib_seed0.csv")
  fit <- lmm(output ~ feature_1 + feature_2 + (1 | subject), d)
  expect_equal(r_squared(fit)[["residual"]], 0.9799369389, tolerance = 1e-9)
  fit <- quietly(lmm(output ~ feature_1 + feature_2, d))
  expect_equal(r_squared(fit)[["residual"]], 0.8561720042, tolerance = 1e-9)
  d <- seed_data("B_naplib_unittest_rng1.csv.gz")
  fit <- lmm(output ~ feature_1 + feature_2 + (1 | subject), d)
  # the row's 0.9910296836 belongs to an optimum that was not reached; to 2e-10 it is the same
  expect_equal(r_squared(fit)[["residual"]], 0.9910296836, tolerance = 1e-8)
})

test_that("the FiNN example has a marginal share of 0.02516", {
  r <- r_squared(quietly(lmm(finn_formula, finn_factors())))
  expect_equal(r[["marginal"]], 0.0251608978, tolerance = 1e-7)
  expect_equal(r[["conditional"]], r[["marginal"]], tolerance = 1e-7)
})

test_that("shares are those of the variances, slopes averaged over the rows", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  Z <- cbind(1, sleepstudy$Days)
  fixed <- var(drop(fit$X %*% coef(fit)))
  random <- mean(rowSums((Z %*% VarCorr(fit)$Subject) * Z))
  total <- fixed + random + sigma(fit)^2
  r <- r_squared(fit)
  expect_equal(r[["marginal"]], fixed / total, tolerance = 1e-12)
  expect_equal(r[["conditional"]], (fixed + random) / total, tolerance = 1e-12)
  expect_equal(r[["residual"]], 1 - sum(residuals(fit)^2) /
    sum((sleepstudy$Reaction - mean(sleepstudy$Reaction))^2), tolerance = 1e-12)
  expect_equal(unname(attr(r, "variance")), c(fixed, random, sigma(fit)^2), tolerance = 1e-10)
  expect_equal(icc(fit), c(adjusted = random / (random + sigma(fit)^2), unadjusted = random / total))
  by_term <- icc(lmm(strength ~ 1 + (1 | batch / cask), Pastes), by_term = TRUE)
  expect_equal(colnames(by_term), c("adjusted", "unadjusted"))
  expect_equal(nrow(by_term), 2L)
  expect_true(all(is.na(icc(quietly(lmm(y ~ x, p))))))
})

test_that("shares do not depend on the units of the response or of weights", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  tiny <- lmm(I(Reaction * 1e-170) ~ Days + (Days | Subject), sleepstudy)
  expect_equal(c(r_squared(tiny)), c(r_squared(fit)), tolerance = 1e-6, ignore_attr = TRUE)
  weighted <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy, weights = rep(7, 180))
  expect_equal(c(r_squared(weighted)), c(r_squared(fit)), tolerance = 1e-6, ignore_attr = TRUE)
})

test_that("the variance of the distribution is that of Nakagawa, Johnson and Schielzeth", {
  fit <- glmm(yp ~ A + x + (1 | g), p, poisson())
  null <- glmm(yp ~ 1 + (1 | g), p, poisson())
  lambda <- exp(fixef(null)[[1]] + VarCorr(null)$g[1] / 2)
  fixed <- var(drop(fit$X %*% coef(fit)))
  random <- VarCorr(fit)$g[1]
  for (method in c("lognormal", "delta", "trigamma")) {
    rest <- switch(method,
      lognormal = log1p(1 / lambda), delta = 1 / lambda, trigamma = trigamma(lambda)
    )
    r <- r_squared(fit, method)
    expect_equal(r[["marginal"]], fixed / (fixed + random + rest), tolerance = 1e-6)
    expect_equal(r[["conditional"]], (fixed + random) / (fixed + random + rest), tolerance = 1e-6)
  }
  expect_equal(attr(r_squared(fit), "method"), "lognormal")

  fit <- glmm(yb ~ A + x + (1 | g), p, binomial())
  fixed <- var(drop(fit$X %*% coef(fit)))
  random <- VarCorr(fit)$g[1]
  expect_equal(r_squared(fit)[["marginal"]], fixed / (fixed + random + pi^2 / 3), tolerance = 1e-12)
  null <- glmm(yb ~ 1 + (1 | g), p, binomial())
  share <- stats::integrate(function(b) {
    stats::plogis(fixef(null) + b) * stats::dnorm(b, 0, sqrt(VarCorr(null)$g[1]))
  }, -Inf, Inf)$value
  rest <- 1 / (share * (1 - share))
  expect_equal(r_squared(fit, "delta")[["marginal"]], fixed / (fixed + random + rest),
    tolerance = 1e-5
  )

  d <- transform(p, v = exp(y / 3))
  fit <- glmm(v ~ A + x + (1 | g), d, Gamma("log"))
  parts <- attr(r_squared(fit, "trigamma"), "variance")
  expect_equal(parts[["residual"]], trigamma(1 / sigma(fit)^2), tolerance = 1e-8)
  fit <- quietly(glmm(yp ~ A + x + (1 | g), p, "nbinom2"))
  null <- quietly(glmm(yp ~ 1 + (1 | g), p, "nbinom2"))
  lambda <- exp(fixef(null)[[1]] + VarCorr(null)$g[1] / 2)
  rest <- log1p(1 / lambda + 1 / sigma(fit))
  expect_equal(attr(r_squared(fit), "variance")[["residual"]], rest, tolerance = 1e-5)
})

test_that("an effect for each row is residual variance", {
  set.seed(5)
  d <- transform(p, row = factor(seq_len(600)), z = rpois(600, exp(0.3 * x + rnorm(600, 0, 0.7))))
  fit <- quietly(glmm(z ~ x + (1 | row) + (1 | g), d, poisson()))
  parts <- attr(r_squared(fit), "variance")
  expect_named(parts, c("fixed", "g", "residual"))
  expect_gt(parts[["residual"]], VarCorr(fit)$row[1])
})

test_that("bad arguments are errors, and the result prints", {
  fit <- lmm(y ~ x + (1 | g), p)
  counts <- glmm(yp ~ x + (1 | g), p, poisson())
  for (call in expression(
    r_squared(1), icc("a"), r_squared(fit, "delta"), r_squared(counts, "theoretical"),
    r_squared(counts, "x"), icc(fit, by_term = NA), r_squared(fit, 1, 2)
  )) {
    expect_error(eval(call), class = "partialpool_error_argument", info = deparse(call))
  }
  K <- exp(-as.matrix(dist(1:20)) / 5)
  k <- quietly(kernel_lmm(sin(1:20), cbind(1, 1:20), K))
  expect_error(r_squared(k), class = "partialpool_error_argument")
  expect_snapshot(print(r_squared(fit)))
  expect_snapshot(print(r_squared(counts)))
})

test_that("links that are not defined everywhere have a number", {
  set.seed(6)
  d <- data.frame(g = gl(12, 15), x = rnorm(180))
  mu <- 1 / sqrt(0.6 + 0.1 * d$x^2 + runif(12, 0, 0.4)[d$g])
  d$y <- mu * rgamma(180, 30, 30)
  fit <- suppressWarnings(quietly(glmm(y ~ I(x^2) + (1 | g), d, inverse.gaussian())))
  expect_warning(value <- r_squared(fit)[c("marginal", "conditional")], NA)
  expect_true(all(is.finite(value) & value >= 0 & value <= 1))
})

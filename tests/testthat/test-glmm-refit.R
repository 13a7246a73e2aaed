# Refits of generalised models: the new response goes the way of the first one.

set.seed(11)
d <- data.frame(g = factor(rep(1:12, each = 8)), x = rnorm(96), n = sample(3:9, 96, TRUE))
effect <- rnorm(12, sd = 0.6)[d$g]
d$s <- rbinom(96, d$n, plogis(0.3 * d$x + effect))
d$yes <- rbinom(96, 1, plogis(0.3 * d$x + effect))
d$count <- rpois(96, exp(1 + 0.3 * d$x + effect))

same_fit <- function(a, b, tolerance = 1e-6) {
  expect_equal(a$criterion, b$criterion, tolerance = 1e-9)
  expect_equal(unname(fixef(a)), unname(fixef(b)), tolerance = tolerance)
  expect_equal(unname(a$theta), unname(b$theta), tolerance = tolerance)
}

test_that("a refit is a new fit", {
  fit <- glmm(count ~ x + (1 | g), d, nbinom2(), ziformula = ~1, prior = 3)
  d$new <- rev(d$count)
  fresh <- glmm(new ~ x + (1 | g), d, nbinom2(), ziformula = ~1, prior = 3)
  again <- refit(fit, d$new)
  same_fit(again, fresh, 1e-4)
  expect_s3_class(again, c("pp_glmm", "pp_fit"), exact = TRUE)
  expect_identical(names(again), names(fit))
  expect_identical(again$call, fit$call)
  expect_identical(unname(model.frame(again)[[1]]), d$new)
})

test_that("the integral, REML and the quasi-likelihood stay", {
  for (extra in list(list(nAGQ = 5), list(nAGQ = 0), list(REML = TRUE), list(method = "pql"))) {
    call <- c(list(count ~ x + (1 | g), d, poisson()), extra)
    fit <- do.call(glmm, call)
    call[[2]] <- transform(d, count = rev(count))
    fresh <- do.call(glmm, call)
    again <- refit(fit, rev(d$count))
    expect_identical(again[c("method", "nAGQ", "REML")], fit[c("method", "nAGQ", "REML")])
    expect_equal(fixef(again), fixef(fresh), tolerance = 1e-6)
  }
})

test_that("a binomial response may have any of its forms", {
  pair <- glmm(cbind(s, n - s) ~ x + (1 | g), d, binomial())
  again <- refit(pair, with(d, cbind(n - s, s)))
  same_fit(again, glmm(cbind(n - s, s) ~ x + (1 | g), d, binomial()))
  same_fit(refit(pair, 1 - d$s / d$n), again)
  other <- refit(pair, with(d, cbind(s, n)))
  expect_equal(other$trials, d$s + d$n)

  share <- glmm(s / n ~ x + (1 | g), d, binomial(), weights = n)
  same_fit(refit(share, 1 - d$s / d$n), again)
  same_fit(refit(share, with(d, cbind(n - s, s))), again)

  yes <- glmm(yes ~ x + (1 | g), d, binomial())
  swapped <- glmm(I(1 - yes) ~ x + (1 | g), d, binomial())
  same_fit(refit(yes, 1 - d$yes), swapped)
  same_fit(refit(yes, d$yes == 0), swapped)
  text <- glmm(ifelse(yes == 1, "b", "a") ~ x + (1 | g), d, binomial())
  same_fit(refit(text, ifelse(d$yes == 1, "a", "b")), swapped)
})

test_that("what simulate() returns is accepted", {
  for (fit in list(
    glmm(cbind(s, n - s) ~ x + (1 | g), d, binomial()),
    glmm(factor(yes) ~ x + (1 | g), d, binomial()), glmm(yes == 1 ~ x + (1 | g), d, binomial()),
    glmm(count ~ x + (1 | g), d, poisson())
  )) {
    again <- quietly(refit(fit, simulate(fit, seed = 5)))
    expect_identical(again$convergence$status, "converged")
    expect_false(identical(again$criterion, fit$criterion))
    expect_identical(dim(again$frame[[1]]), dim(fit$frame[[1]]))
  }
})

test_that("rows dropped for missing values may be in the new response", {
  data <- d
  data$x[5] <- NA
  short <- glmm(cbind(s, n - s) ~ x + (1 | g), data, binomial())
  same_fit(refit(short, with(d, cbind(s, n - s))), short)
  same_fit(refit(short, with(d, cbind(s, n - s))[-5, ]), short)
})

test_that("columns left out stay left out", {
  data <- transform(d, twice = 2 * x)
  fit <- quietly(glmm(count ~ x + twice + (1 | g), data, poisson()))
  again <- refit(fit, rev(d$count))
  expect_identical(again$aliased, "twice")
  expect_identical(again$column_names, fit$column_names)
})

test_that("a response that the family does not have is refused", {
  fit <- glmm(count ~ x + (1 | g), d, poisson())
  refused <- function(y, text) {
    expect_error(refit(fit, y), text, class = "partialpool_error_response")
  }
  refused(1:3, "96 values.*has 3")
  refused(d$count - 9, "Negative values.*newresp")
  refused(replace(d$count, 2, NA), "missing or infinite values in row 2")
  refused(rep("a", 96), "must be numeric")
  refused(list(1, 2), "must be a vector")
  refused(NULL, "must be a vector")
  expect_warning(refit(fit, d$count + 0.5), "non-integer", class = "partialpool_warning_response")
  expect_error(refit(fit, d$count, 2), class = "partialpool_error_argument")
})

test_that("the fit by ML comes from the stored design", {
  by_reml <- glmm(count ~ x + (1 | g), d, poisson(), REML = TRUE)
  by_ml <- refit_ml(by_reml)
  expect_false(by_ml$REML)
  expect_equal(by_ml$criterion, glmm(count ~ x + (1 | g), d, poisson())$criterion)
})

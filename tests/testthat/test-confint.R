# Confidence intervals: profile, Wald, bootstrap, against lme4 and exact results.

# lme4's intervals are read off a spline through its profile: good for four to five digits.
test_that("profile intervals are those of lme4", {
  found <- confint(lmm(Yield ~ 1 + (1 | Batch), Dyestuff))
  expect_equal(unname(found[, 1]), c(12.198535, 38.229985, 1486.4515), tolerance = 2e-5)
  expect_equal(unname(found[, 2]), c(84.063047, 67.657696, 1568.5485), tolerance = 2e-5)
  formula <- cbind(incidence, size - incidence) ~ period + (1 | herd)
  found <- confint(glmm(formula, cbpp, binomial))
  lower <- c(0.3460732, -1.901212, -1.6167833, -1.8010244, -2.5007506)
  upper <- c(1.0999746, -0.94775401, -0.40776307, -0.51153607, -0.80075532)
  expect_equal(unname(found), cbind(lower, upper), tolerance = 4e-5, ignore_attr = TRUE)
  found <- confint(glmm(formula, cbpp, binomial, nAGQ = 9))
  lower <- c(0.34880155, -1.904683, -1.6160838, -1.8004083, -2.500192)
  upper <- c(1.1112921, -0.94621345, -0.40661106, -0.51045015, -0.79959239)
  expect_equal(unname(found), cbind(lower, upper), tolerance = 2e-6, ignore_attr = TRUE)
})

test_that("sleepstudy: the interval of every parameter (lme4's, solved to the last digit)", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  found <- confint(fit)
  expect_identical(colnames(found), c("2.5 %", "97.5 %"))
  expect_equal(unname(found[, 1]), c(14.381434, -0.48150044, 3.8011647, 22.898266, 237.6807,
                                      7.3586533), tolerance = 1e-5)
  expect_equal(unname(found[, 2]), c(37.716012, 0.68498621, 8.7533667, 28.857997, 265.12951,
                                      13.575919), tolerance = 1e-5)
  # A limit is where the deviance has risen by the quantile.
  f <- objective(design_of(lmm(Reaction ~ Days + (Days | Subject), sleepstudy)), REML = FALSE)
  best <- optimum(f)$criterion
  for (limit in found["cor_Days.(Intercept)|Subject", ]) {
    at <- stats::nlminb(c(0, -1.5), function(p) {
      f$value(c(exp(p[1]), exp(p[2]) * c(limit, sqrt(1 - limit^2))))
    }, control = list(rel.tol = 1e-14))$objective
    expect_equal(at - best, stats::qchisq(0.95, 1), tolerance = 1e-7)
  }
})

test_that("Penicillin, crossed", {
  skip_if_not_installed("lme4")
  data("Penicillin", package = "lme4", envir = environment())
  found <- confint(lmm(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin))
  expect_equal(unname(found[, 1]), c(0.63356597, 1.0957894, 0.4858454, 21.266627), tolerance = 2e-5)
  expect_equal(unname(found[, 2]), c(1.182104, 3.5562918, 0.62945348, 24.677818), tolerance = 2e-5)
})

test_that("at the boundary an interval ends there: Dyestuff2", {
  skip_if_not_installed("lme4")
  fit <- quietly(lmm(Yield ~ 1 + (1 | Batch), Dyestuff2))
  found <- confint(fit)
  reference <- suppressMessages(suppressWarnings(
    confint(lme4::lmer(Yield ~ 1 + (1 | Batch), Dyestuff2), quiet = TRUE)
  ))
  expect_equal(unname(found), unname(reference), tolerance = 1e-4)
  expect_identical(found[1, 1], 0)
})

test_that("an estimate at a correlation of one has an interval with one free end", {
  set.seed(3)
  d <- data.frame(g = gl(8, 5), x = rep(0:4, 8))
  d$y <- 1 + d$x + rnorm(8)[d$g] * (1 + 0.5 * d$x) + rnorm(40)
  d$y <- d$x + rnorm(40)
  fit <- quietly(lmm(y ~ x + (x | g), d))
  expect_true(is_singular(fit))
  found <- confint(fit, "theta_")
  expect_identical(found[2, 1], -1)
  expect_equal(found[2, 2], -0.7101318, tolerance = 1e-5)
})

test_that("a profile holds the intervals of all levels up to its own", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  pr <- profile(fit)
  for (level in c(0.5, 0.9, 0.95, 0.99)) {
    expect_equal(confint(pr, level = level), confint(fit, level = level), tolerance = 2e-5)
  }
  expect_identical(colnames(confint(pr, level = 0.999 - 0.009)), c("0.5 %", "99.5 %"))
  expect_error(confint(pr, level = 0.995), class = "partialpool_error_argument")
  expect_equal(confint(pr, "Days"), confint(pr)["Days", , drop = FALSE])
})

test_that("parameters by name, number, kind, and by lme4's names", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  all <- confint(fit)
  same <- function(parm, rows) expect_equal(confint(fit, parm), all[rows, , drop = FALSE])
  same("Days", 6)
  same(c(6, 1), c(6, 1))
  same("theta_", 1:4)
  same("beta_", 5:6)
  same(c(".sig02", ".sigma"), c(2, 4))
  same("sd_Days|Subject", 3)
  expect_error(confint(fit, "day"), class = "partialpool_error_argument")
  expect_error(confint(fit, 0), class = "partialpool_error_argument")
  expect_error(confint(fit, TRUE), class = "partialpool_error_argument")
  expect_error(confint(fit, level = 2), class = "partialpool_error_argument")
  expect_error(confint(fit, method = "exact"), class = "partialpool_error_argument")
  expect_error(confint(fit, ddf = "none"), class = "partialpool_error_argument")
  expect_error(confint(fit, levl = 0.9), class = "partialpool_error_argument")
})

test_that("Wald intervals: t for fixed effects, possible values for the rest", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  found <- confint(fit, method = "wald")
  se <- sqrt(diag(vcov(fit)))
  expect_equal(found[5:6, 1], fixef(fit) - qt(0.975, 17) * se, tolerance = 1e-6)
  z <- confint(fit, "beta_", method = "wald", ddf = "none")
  expect_equal(z[, 2], fixef(fit) + qnorm(0.975) * se, tolerance = 1e-12)
  wald <- natural_wald(fit)
  expect_equal(log(found[1, 2]), log(wald$value[1]) + qnorm(0.975) * wald$std.error[1])
  expect_equal(atanh(found[2, 1]), atanh(wald$value[2]) - qnorm(0.975) * wald$std.error[2])
  singular <- confint(quietly(lmm(Yield ~ 1 + (1 | Batch), Dyestuff2)), method = "wald")
  expect_identical(unname(is.na(singular[, 1])), c(TRUE, FALSE, FALSE))
  expect_error(confint(fit, method = "wald", ddf = "many"), class = "partialpool_error_argument")
})

test_that("Wald intervals of a glmm are from the exact Hessian", {
  fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
  found <- confint(fit, "beta_", method = "wald")
  se <- c(0.2325, 0.3066, 0.3266, 0.4274) # glmmTMB's
  expect_equal(unname(found[, 2] - fixef(fit)), qnorm(0.975) * se, tolerance = 3e-4,
               ignore_attr = TRUE)
})

test_that("without random effects the intervals are those of lm()", {
  fit <- quietly(lmm(Reaction ~ Days, sleepstudy))
  ordinary <- lm(Reaction ~ Days, sleepstudy)
  expect_equal(confint(fit, "beta_"), confint(ordinary), tolerance = 1e-10)
  exact <- sqrt(deviance(ordinary) / qchisq(c(0.975, 0.025), 178))
  expect_equal(unname(confint(fit, "sigma")[1, ]), exact, tolerance = 1e-10)
  # Profiles: (1 + t^2 / df)^n = exp(cutoff).
  t <- sqrt(178 * expm1(qchisq(0.95, 1) / 180))
  reach <- t * sqrt(diag(vcov(ordinary)))
  expect_equal(confint(fit, "beta_", method = "profile")[, 2], coef(ordinary) + reach,
               tolerance = 1e-8)
})

test_that("dropped columns keep a row of their own", {
  d <- sleepstudy
  d$twice <- 2 * d$Days
  fit <- quietly(lmm(Reaction ~ Days + twice + (1 | Subject), d))
  for (method in c("profile", "wald")) {
    found <- confint(fit, method = method)
    expect_identical(rownames(found)[3:5], c("(Intercept)", "Days", "twice"))
    expect_identical(unname(is.na(found[, 1])), c(FALSE, FALSE, FALSE, FALSE, TRUE))
  }
  expect_true(all(is.na(confint(fit, "twice"))))
})

test_that("a coefficient at infinity has one limit", {
  set.seed(1)
  d <- data.frame(g = gl(20, 8), s = rep(0:1, c(120, 40)))
  d$y <- ifelse(d$s == 1, 1, rbinom(160, 1, plogis(0.5 + rnorm(20, 0, 0.7)[d$g])))
  fit <- suppressWarnings(quietly(glmm(y ~ s + (1 | g), d, binomial)))
  expect_message(found <- confint(fit, "s"), class = "partialpool_message_separation")
  expect_identical(found[1, 2], Inf)
  with_s <- deviance(fit)
  d$shift <- found[1, 1] * d$s
  held <- quietly(glmm(y ~ 1 + (1 | g), d, binomial, offset = shift))
  expect_equal(as.numeric(-2 * logLik(held) + 2 * logLik(fit)), qchisq(0.95, 1), tolerance = 1e-4)
})

test_that("the bootstrap's intervals", {
  fit <- lmm(Yield ~ 1 + (1 | Batch), Dyestuff)
  found <- quietly(confint(fit, "sigma", method = "boot", nsim = 60, seed = 1))
  expect_identical(dimnames(found), list("sigma", c("2.5 %", "97.5 %")))
  expect_true(found[1, 1] < fit$sigma && fit$sigma < found[1, 2])
})

test_that("lme4's names and its quiet are taken", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  ours <- confint(fit, method = "wald")
  old <- confint(fit, method = "wald", oldNames = TRUE, quiet = TRUE)
  expect_identical(
    rownames(old), c(".sig01", ".sig02", ".sig03", ".sigma", "(Intercept)", "Days")
  )
  expect_identical(unname(old), unname(ours))
  expect_identical(
    rownames(confint(fit, c("Days", ".sig03"), method = "wald", oldNames = TRUE)),
    c("Days", ".sig03")
  )
})

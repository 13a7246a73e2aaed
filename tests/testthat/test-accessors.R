linear_fit <- function() suppressMessages(lmm(Reaction ~ Days, sleepstudy))
sleep_fit <- function(...) lmm(Reaction ~ Days + (Days | Subject), sleepstudy, ...)
sleep_lme4 <- function(...) lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy, ...)

test_that("fixed effects and their covariance are lme4's", {
  skip_if_not_installed("lme4")
  fit <- sleep_fit()
  reference <- sleep_lme4()
  expect_equal(fixef(fit), lme4::fixef(reference), tolerance = 1e-7)
  expect_identical(coef(fit), fixef(fit))
  expect_equal(vcov(fit), as.matrix(vcov(reference)), tolerance = 1e-4)
  expect_identical(rownames(vcov(fit)), names(coef(fit)))
  by_group <- coef(fit, "group")
  expect_s3_class(by_group, "coef.pp_fit")
  expect_equal(unclass(by_group), unclass(coef(reference)), tolerance = 1e-4)
  expect_output(print(by_group), "\\$Subject")
})

test_that("coefficients by group hold effects that are random only", {
  skip_if_not_installed("lme4")
  fit <- lmm(Reaction ~ 1 + (Days | Subject), sleepstudy)
  reference <- lme4::lmer(Reaction ~ 1 + (Days | Subject), sleepstudy)
  expect_equal(unclass(coef(fit, "group")), unclass(coef(reference)), tolerance = 1e-3)
})

test_that("several terms on one factor and several factors are put together as in lme4", {
  skip_if_not_installed("lme4")
  fit <- lmm(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)
  reference <- lme4::lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)
  expect_equal(unclass(coef(fit, "group")), unclass(coef(reference)), tolerance = 1e-4)
})

test_that("dropped columns come back as NA on request", {
  d <- transform(sleepstudy, Twice = 2 * Days)
  fit <- suppressMessages(lmm(Reaction ~ Days + Twice + (1 | Subject), d))
  expect_named(fixef(fit), c("(Intercept)", "Days"))
  all_columns <- fixef(fit, add.dropped = TRUE)
  expect_named(all_columns, c("(Intercept)", "Days", "Twice"))
  expect_identical(is.na(all_columns), c("(Intercept)" = FALSE, Days = FALSE, Twice = TRUE))
})

test_that("the joint covariance is block-diagonal with the variance parameters", {
  fit <- sleep_fit()
  joint <- vcov(fit, full = TRUE)
  expect_identical(dim(joint), c(6L, 6L))
  expect_equal(joint[1:2, 1:2], vcov(fit))
  expect_true(all(joint[1:2, 3:6] == 0))
  expect_equal(joint, t(joint))
  # Wald standard errors of Sigma and sigma^2 on the natural scale
  expect_equal(
    sort(sqrt(diag(joint))[3:6], decreasing = TRUE), c(288.738, 77.184, 46.550, 14.780),
    tolerance = 1e-2, ignore_attr = TRUE
  )
})

test_that("likelihoods, criteria and counts are lme4's, for both criteria of both fits", {
  skip_if_not_installed("lme4")
  for (reml in c(TRUE, FALSE)) {
    fit <- sleep_fit(REML = reml)
    reference <- sleep_lme4(REML = reml)
    expect_equal(logLik(fit), logLik(reference), tolerance = 1e-7)
    for (restricted in c(TRUE, FALSE)) {
      expect_equal(
        as.numeric(logLik(fit, REML = restricted)),
        as.numeric(logLik(reference, REML = restricted)),
        tolerance = 1e-7
      )
    }
    expect_equal(AIC(fit), AIC(reference), tolerance = 1e-7)
    expect_equal(BIC(fit), BIC(reference), tolerance = 1e-7)
    expect_equal(extractAIC(fit), extractAIC(reference), tolerance = 1e-7)
    expect_equal(deviance(fit, REML = FALSE), deviance(reference, REML = FALSE), tolerance = 1e-7)
    expect_equal(sigma(fit), sigma(reference), tolerance = 1e-4)
    expect_identical(nobs(fit), nobs(reference))
    expect_equal(df.residual(fit), df.residual(reference))
  }
})

test_that("weighted likelihoods are lme4's under both criteria", {
  skip_if_not_installed("lme4")
  d <- transform(sleepstudy, w = 1 + seq_along(Reaction) %% 3)
  fit <- lmm(Reaction ~ Days + (1 | Subject), d, weights = w)
  reference <- lme4::lmer(Reaction ~ Days + (1 | Subject), d, weights = w)
  for (restricted in c(TRUE, FALSE)) {
    expect_equal(
      as.numeric(logLik(fit, REML = restricted)), as.numeric(logLik(reference, REML = restricted)),
      tolerance = 1e-7
    )
  }
  expect_equal(weights(fit), weights(reference))
})

test_that("the deviance of a REML fit is its criterion, with a warning", {
  fit <- sleep_fit()
  expect_warning(value <- deviance(fit), class = "partialpool_warning_fit")
  expect_equal(value, -2 * as.numeric(logLik(fit)))
  expect_silent(deviance(sleep_fit(REML = FALSE)))
})

test_that("a fit without random terms has the likelihood of lm", {
  fit <- linear_fit()
  reference <- lm(Reaction ~ Days, sleepstudy)
  expect_equal(as.numeric(logLik(fit, REML = FALSE)), as.numeric(logLik(reference)))
  expect_equal(as.numeric(logLik(fit)), as.numeric(logLik(reference, REML = TRUE)))
  expect_equal(attr(logLik(fit), "df"), 3)
  expect_equal(vcov(fit), vcov(reference))
  expect_identical(unclass(coef(fit, "group")), structure(list(), names = character()))
})

test_that("formula, terms and frame come apart as in lme4", {
  skip_if_not_installed("lme4")
  reference <- sleep_lme4()
  fit <- sleep_fit()
  same <- function(a, b) expect_identical(deparse1(a), deparse1(b))
  same(formula(fit), formula(reference))
  same(formula(fit, fixed.only = TRUE), formula(reference, fixed.only = TRUE))
  same(formula(fit, random.only = TRUE), formula(reference, random.only = TRUE))
  expect_identical(environment(formula(fit, random.only = TRUE)), environment(formula(fit)))
  expect_identical(attr(terms(fit), "term.labels"), "Days")
  expect_true("Subject" %in% all.vars(terms(fit, fixed.only = FALSE)))
  expect_setequal(all.vars(terms(fit, random.only = TRUE)), c("Reaction", "Days", "Subject"))
  expect_identical(dim(model.frame(fit)), dim(model.frame(reference)))
  expect_named(model.frame(fit, fixed.only = TRUE), c("Reaction", "Days"))
  expect_error(formula(fit, TRUE, TRUE), class = "partialpool_error_argument")
  expect_error(terms(fit, TRUE, TRUE), class = "partialpool_error_argument")
})

test_that("the random part of a formula keeps covariance structures", {
  fit <- lmm(Reaction ~ Days + offset(Days) + cs(Days | Subject), sleepstudy)
  expect_identical(deparse1(formula(fit, random.only = TRUE)), "Reaction ~ cs(Days | Subject)")
  expect_identical(
    deparse1(formula(fit, fixed.only = TRUE)), "Reaction ~ Days + offset(Days)"
  )
  expect_identical(
    deparse1(formula(linear_fit(), random.only = TRUE)), "Reaction ~ 0"
  )
})

test_that("model matrices are lme4's", {
  skip_if_not_installed("lme4")
  fit <- sleep_fit()
  reference <- sleep_lme4()
  expect_equal(model.matrix(fit), model.matrix(reference), ignore_attr = TRUE)
  expect_equal(
    as.matrix(model.matrix(fit, "random")), as.matrix(lme4::getME(reference, "Z")),
    ignore_attr = TRUE
  )
  expect_error(model.matrix(fit, "ranom"), class = "partialpool_error_argument")
})

test_that("weights are one where none were given, and follow na.exclude", {
  expect_identical(weights(sleep_fit()), rep(1, 180))
  d <- sleepstudy
  d$Reaction[4] <- NA
  fit <- lmm(Reaction ~ Days + (1 | Subject), d, na.action = na.exclude)
  expect_identical(which(is.na(weights(fit))), 4L)
  expect_identical(weights(fit, "working"), weights(fit))
  expect_error(weights(fit, "none"), class = "partialpool_error_argument")
})

test_that("the family is gaussian", {
  expect_identical(family(sleep_fit())$family, "gaussian")
})

test_that("misspelt arguments and options are errors that name them", {
  fit <- sleep_fit()
  expect_error(fixef(fit, add.droped = TRUE), "add.droped", class = "partialpool_error_argument")
  expect_error(coef(fit, "grop"), "grop", class = "partialpool_error_argument")
  expect_error(vcov(fit, fll = TRUE), "fll", class = "partialpool_error_argument")
  expect_error(logLik(fit, RML = TRUE), class = "partialpool_error_argument")
})

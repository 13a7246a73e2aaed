# The numbers of the performance package for our fits are those for fits of lme4 to the same model.

binomial_pair <- function() {
  formula <- cbind(incidence, size - incidence) ~ period + (1 | herd)
  list(
    ours = glmm(formula, cbpp, binomial),
    lme4 = lme4::glmer(formula, cbpp, binomial, control = lme4::glmerControl(tolPwrss = 1e-12))
  )
}

poisson_pair <- function() {
  ticks <- lme4::grouseticks
  ticks$height <- as.numeric(scale(ticks$HEIGHT))
  formula <- TICKS ~ YEAR + height + (1 | BROOD)
  control <- lme4::glmerControl(optimizer = "bobyqa", tolPwrss = 1e-12)
  list(
    ours = glmm(formula, ticks, poisson),
    lme4 = lme4::glmer(formula, ticks, poisson, control = control)
  )
}

expect_same_numbers <- function(f, pair, tolerance = 1e-5) {
  quietly <- function(fit) {
    utils::capture.output(value <- suppressMessages(suppressWarnings(f(fit))))
    value
  }
  numbers <- function(x) {
    x <- unlist(lapply(unclass(x), function(part) if (is.numeric(part)) part))
    as.numeric(x)
  }
  expect_equal(numbers(quietly(pair$ours)), numbers(quietly(pair$lme4)), tolerance = tolerance)
}

test_that("indices of a linear mixed model are those of lme4", {
  skip_if_not_installed("performance")
  skip_if_not_installed("lme4")
  pair <- lmm_pair()
  expect_same_numbers(performance::model_performance, pair)
  expect_same_numbers(function(fit) performance::model_performance(fit, estimator = "ML"), pair)
  expect_same_numbers(performance::icc, pair)
  expect_same_numbers(function(fit) performance::icc(fit, by_group = TRUE), pair)
  expect_same_numbers(performance::r2, pair)
  expect_same_numbers(performance::performance_aicc, pair)
  expect_same_numbers(performance::performance_rmse, pair)
  expect_same_numbers(performance::performance_rse, pair)
  ml <- lmm_pair(Reaction ~ Days + (1 | Subject), REML = FALSE)
  expect_same_numbers(performance::icc, ml)
  expect_same_numbers(performance::r2, ml)
})

test_that("our own functions give the same shares", {
  skip_if_not_installed("performance")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  r2 <- performance::r2(fit)
  own <- r_squared(fit)
  expect_equal(unname(unlist(r2)), unname(own[c("conditional", "marginal")]))
  expect_equal(performance::icc(fit)$ICC_adjusted, icc(fit)[["adjusted"]])
})

test_that("the criterion of a fit by ML is its AIC, where lme4's fits get that of REML", {
  skip_if_not_installed("performance")
  fit <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy, REML = FALSE)
  expect_equal(performance::performance_aic(fit), AIC(fit))
  expect_equal(performance::model_performance(fit)$AIC, AIC(fit))
})

test_that("indices of generalised models are those of lme4", {
  skip_if_not_installed("performance")
  skip_if_not_installed("lme4")
  # Laplace's optimum in lme4 is found to about 1e-5 of the estimates.
  pair <- binomial_pair()
  expect_same_numbers(performance::model_performance, pair, 1e-4)
  expect_same_numbers(performance::icc, pair, 1e-4)
  expect_same_numbers(performance::r2, pair, 1e-4)
  pair <- poisson_pair()
  expect_same_numbers(performance::performance_score, pair, 1e-4)
  expect_same_numbers(performance::check_collinearity, pair, 1e-2)
  # Releases before 0.20.4 of insight took another mean for the Poisson distribution.
  skip_if_not_installed("insight", "0.20.4")
  expect_same_numbers(performance::icc, pair, 1e-4)
  expect_same_numbers(performance::model_performance, pair, 1e-4)
})

test_that("checks of a fit tell what they tell of lme4's", {
  skip_if_not_installed("performance")
  skip_if_not_installed("lme4")
  pair <- poisson_pair()
  expect_same_numbers(performance::check_zeroinflation, pair)
  expect_true(performance::check_convergence(pair$ours))
  expect_false(performance::check_singularity(pair$ours))
  pearson <- sum(residuals(pair$ours, "pearson")^2) / df.residual(pair$ours)
  arguments <- list(pair$ours)
  if (utils::packageVersion("performance") >= "0.13") arguments$residual_type <- "normal"
  found <- do.call(performance::check_overdispersion, arguments)
  expect_equal(found$dispersion_ratio, pearson)
  expect_equal(found$dispersion_ratio, sum(residuals(pair$lme4, "pearson")^2) /
    df.residual(pair$lme4), tolerance = 1e-4)
  linear <- lmm_pair()
  expect_same_numbers(performance::check_heteroscedasticity, linear)
  random <- function(fit) performance::check_normality(fit, effects = "random")
  expect_same_numbers(random, linear, 1e-4)
})

test_that("a singular fit is one, by name of the term", {
  skip_if_not_installed("performance")
  fit <- suppressMessages(lmm(Yield ~ 1 + (1 | Batch), Dyestuff2))
  expect_true(performance::check_singularity(fit))
  skip_if_not_installed("performance", "0.13")
  expect_equal(performance::check_singularity(fit, check = "terms"), c(Batch = TRUE))
  expect_error(performance::check_singularity(fit, check = "all"),
    class = "partialpool_error_argument"
  )
})

test_that("simulated residuals have the dispersion of lme4's", {
  skip_if_not_installed("performance", "0.13")
  skip_if_not_installed("DHARMa")
  skip_if_not_installed("lme4")
  pair <- binomial_pair()
  ratio <- function(fit) {
    set.seed(1)
    performance::check_overdispersion(fit, iterations = 250)$dispersion_ratio
  }
  expect_silent(ours <- ratio(pair$ours))
  expect_equal(ours, ratio(pair$lme4), tolerance = 1e-3)
  expect_s3_class(performance::check_residuals(pair$ours), "check_residuals")
})

test_that("fits without random effects have the indices of lm()", {
  skip_if_not_installed("performance")
  fit <- suppressMessages(lmm(Reaction ~ Days, sleepstudy, REML = FALSE))
  lm <- stats::lm(Reaction ~ Days, sleepstudy)
  expect_equal(performance::r2(fit)$R2, performance::r2(lm)$R2)
  expect_equal(unname(performance::r2(fit)$R2_adjusted), unname(performance::r2(lm)$R2_adjusted))
  expect_equal(performance::model_performance(fit)$AIC, AIC(lm))
})

test_that("several fits are compared as lme4's", {
  skip_if_not_installed("performance")
  skip_if_not_installed("lme4")
  small <- lmm_pair(Reaction ~ Days + (1 | Subject))
  large <- lmm_pair()
  compare <- function(a, b) {
    suppressMessages(suppressWarnings(performance::compare_performance(a, b)))
  }
  ours <- compare(small$ours, large$ours)
  theirs <- compare(small$lme4, large$lme4)
  kept <- setdiff(names(ours), c("Name", "Model"))
  expect_setequal(names(ours), names(theirs))
  expect_equal(as.list(ours)[kept], as.list(theirs)[kept], tolerance = 1e-5)
  test <- function(a, b) suppressMessages(suppressWarnings(performance::test_likelihoodratio(a, b)))
  expect_equal(test(small$ours, large$ours)$Chi2, test(small$lme4, large$lme4)$Chi2,
    tolerance = 1e-5
  )
})

test_that("a likelihood-ratio test of fixed effects is that of anova(), by maximum likelihood", {
  skip_if_not_installed("performance")
  small <- lmm(Reaction ~ 1 + (1 | Subject), sleepstudy)
  large <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
  found <- performance::test_likelihoodratio(small, large)
  expect_equal(found$Name, c("small", "large"))
  expect_equal(found$Chi2[2L], suppressMessages(anova(small, large))$Chisq[2L])
})

test_that("limits come from a parametric bootstrap, as for lme4's fits", {
  skip_if_not_installed("performance")
  skip_if_not_installed("boot")
  skip_if_not_installed("lme4")
  pair <- lmm_pair(Reaction ~ Days + (1 | Subject))
  shares <- function(fit) performance::icc(fit)$ICC_adjusted
  set.seed(1)
  limits <- performance::icc(pair$ours, ci = 0.9, iterations = 60)$ICC_adjusted
  # boot() draws rows before any response, and the first response is for the estimate itself.
  set.seed(1)
  sample.int(180, 180 * 60, replace = TRUE)
  simulate(pair$ours)
  draws <- replicate(60, shares(refit(pair$ours, simulate(pair$ours)[[1L]])))
  expect_equal(limits[-1L], quantile(draws, c(0.05, 0.95), names = FALSE))
  found <- performance::r2(pair$ours, ci = 0.9, iterations = 20)$R2_conditional
  expect_named(found, c("Conditional R2", "CI_low", "CI_high"))
  expect_true(found[["CI_low"]] < found[[1L]] && found[[1L]] < found[["CI_high"]])
  skip_if_not_installed("performance", "0.13")
  # Of single rows, where that is asked for.
  rows <- function(fit) {
    set.seed(1)
    performance::icc(fit, ci = 0.9, iterations = 10, ci_method = "boot")$ICC_adjusted
  }
  ours <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
  theirs <- lme4::lmer(Reaction ~ Days + (1 | Subject), sleepstudy)
  expect_equal(rows(ours), rows(theirs), tolerance = 1e-3)
})

test_that("data chosen in the call are no obstacle", {
  skip_if_not_installed("performance")
  fit <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy[sleepstudy$Days > 1, ])
  expect_equal(performance::model_performance(fit, verbose = FALSE)$Sigma, sigma(fit))
})

# insight on our fits beside insight on the same fits of lme4: functions, formulas, parameters.

skip_if_not_installed("insight", "0.19.0")
skip_if_not_installed("lme4")

# The optimum of lme4, found as sharply as its optimiser can.
tight_lmer <- function(...) {
  control <- lme4::lmerControl(optCtrl = list(xtol_abs = 1e-11, ftol_abs = 1e-13))
  lme4::lmer(..., control = control)
}
tight_glmer <- function(...) {
  control <- lme4::glmerControl(
    optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5), tolPwrss = 1e-13
  )
  lme4::glmer(..., control = control)
}
loose <- function(x) {
  if (inherits(x, "formula")) {
    return(deparse1(x))
  }
  if (is.list(x) && !is.data.frame(x)) lapply(x, loose) else x
}

lmer_fit <- tight_lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
lmm_fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
glmer_fit <- tight_glmer(
  cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, stats::binomial()
)
glmm_fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
pairs <- list(list(lmer_fit, lmm_fit), list(glmer_fit, glmm_fit))

mixed_data <- function(n = 240L) {
  withr::with_seed(4, {
    d <- data.frame(
      g = gl(24, 10), h = gl(4, 60, labels = letters[1:4]), k = factor(rep(1:6, 40)),
      x = rnorm(n), z = rnorm(n), f = factor(sample(c("u", "v", "w"), n, TRUE)),
      ch = sample(c("p", "q"), n, TRUE), lo = rnorm(n) > 0, off = rnorm(n),
      nt = sample(5:9, n, TRUE)
    )
    d$y <- 2 + 0.5 * d$x + rnorm(24)[d$g] + rnorm(6, 0, 0.7)[d$k] + rnorm(n)
    d$bin <- rbinom(n, 1, plogis(rnorm(24)[d$g]))
    d$suc <- rbinom(n, d$nt, plogis(rnorm(24)[d$g] - 0.4))
    d$cnt <- rpois(n, exp(0.3 * d$x + rnorm(24, 0, 0.5)[d$g]))
    d$`odd name` <- d$x^2
    d
  })
}

test_that("what a model is made of is found as for lme4", {
  same <- c(
    "find_formula", "find_terms", "find_variables", "find_predictors", "find_response",
    "find_random", "find_random_slopes", "find_parameters", "find_offset", "find_weights",
    "find_interactions", "is_mixed_model", "is_nullmodel", "is_multivariate", "is_gam_model",
    "has_intercept", "n_obs", "n_parameters", "n_grouplevels", "clean_parameters", "get_response",
    "get_predictors", "get_random", "get_weights"
  )
  for (pair in pairs) {
    for (name in same) {
      f <- getExportedValue("insight", name)
      expect_equal(loose(f(pair[[2L]])), loose(f(pair[[1L]])), info = name, ignore_attr = TRUE)
    }
    info <- lapply(pair, insight::model_info)
    expect_equal(info[[2L]], info[[1L]])
  }
  expect_equal(insight::get_data(lmm_fit), sleepstudy, ignore_attr = TRUE)
  expect_equal(
    insight::get_data(glmm_fit), cbpp[c("incidence", "size", "period", "herd")], ignore_attr = TRUE
  )
})

test_that("formulas of all kinds are read as those of lme4", {
  d <- mixed_data()
  formulas <- list(
    sqrt(y + 9) ~ poly(x, 2) * f + splines::ns(z, 3) + x:ch + (x | g), y ~ x + lo + (1 | h / g),
    y ~ x + (x + z || g) + (1 | k), y ~ 0 + ch + `odd name` + (1 | g),
    y ~ 1 + (0 + x | g), y ~ factor(k) + I(x^2) + scale(z) + offset(off) + (1 | g)
  )
  same <- c(
    "find_formula", "find_terms", "find_variables", "find_predictors", "find_response",
    "find_random", "find_random_slopes", "find_parameters", "find_offset", "find_interactions",
    "get_data", "n_grouplevels", "get_parameters", "is_nullmodel"
  )
  for (formula in formulas) {
    theirs <- suppressWarnings(suppressMessages(lme4::lmer(formula, d)))
    ours <- suppressMessages(lmm(formula, d))
    for (name in same) {
      # insight warns of names that are not syntactic.
      f <- function(fit) suppressWarnings(getExportedValue("insight", name)(fit))
      # The estimates at lme4's own tolerance.
      expect_equal(loose(f(ours)), loose(f(theirs)),
        info = paste(name, deparse1(formula)), tolerance = 1e-3, ignore_attr = TRUE
      )
    }
  }
})

test_that("model_info() knows the kind of response", {
  d <- mixed_data()
  flags <- c("is_binomial", "is_count", "is_trial", "is_linear", "is_mixed")
  # The old release does not look at the response of glmer().
  if (utils::packageVersion("insight") >= "1.0.0") flags <- c(flags, "is_bernoulli")
  kinds <- list(
    list(bin == 1 ~ x + (1 | g), binomial("probit"), NULL),
    list(factor(bin) ~ x + (1 | g), binomial, NULL), list(suc / nt ~ x + (1 | g), binomial, "nt"),
    list(cbind(suc, nt - suc) ~ x + (1 | g), binomial, NULL)
  )
  for (kind in kinds) {
    w <- if (!is.null(kind[[3L]])) d[[kind[[3L]]]]
    theirs <- suppressWarnings(
      lme4::glmer(kind[[1L]], d, kind[[2L]], weights = w, nAGQ = 0)
    )
    ours <- suppressMessages(glmm(kind[[1L]], d, kind[[2L]], weights = w))
    expect_equal(
      insight::model_info(ours)[flags], insight::model_info(theirs)[flags],
      info = deparse1(kind[[1L]])
    )
    expect_equal(insight::find_response(ours), insight::find_response(theirs))
    expect_equal(insight::get_response(ours), insight::get_response(theirs), ignore_attr = TRUE)
  }
  expect_true(insight::model_info(glmm(bin ~ x + (1 | g), d, binomial))$is_bernoulli)
  hurdle <- suppressMessages(glmm(cnt ~ x + (1 | g), d, truncated_poisson(), ziformula = ~1))
  expect_true(insight::model_info(hurdle)$is_hurdle)
  expect_true(insight::model_info(suppressMessages(lmm(y ~ x, d)))$is_linear)
  expect_false(insight::is_mixed_model(suppressMessages(lmm(y ~ x, d))))
})

test_that("dispersion and zero inflation are components, as of glmmTMB", {
  skip_if_not_installed("glmmTMB")
  utils::data("Salamanders", package = "glmmTMB", envir = environment())
  theirs <- glmmTMB::glmmTMB(count ~ mined + (1 | site),
    ziformula = ~mined, dispformula = ~DOY, family = glmmTMB::nbinom2, data = Salamanders
  )
  ours <- glmm(count ~ mined + (1 | site), Salamanders, nbinom2(),
    ziformula = ~mined, dispformula = ~DOY
  )
  same <- c(
    "find_formula", "find_terms", "find_variables", "find_predictors", "find_parameters",
    "get_parameters", "get_statistic", "n_parameters", "get_data", "get_predictors",
    "get_df", "get_varcov"
  )
  info <- insight::model_info(ours)
  expect_true(info$is_zero_inflated && info$is_negbin && info$is_dispersion && !info$is_hurdle)
  for (name in same) {
    f <- getExportedValue("insight", name)
    # Two optimisers: standard errors agree to four digits.
    expect_equal(loose(f(ours)), loose(f(theirs)),
      info = name, tolerance = 1e-4, ignore_attr = TRUE
    )
  }
  for (component in c("conditional", "zero_inflated", "dispersion")) {
    expect_equal(
      insight::get_parameters(ours, component = component),
      insight::get_parameters(theirs, component = component),
      tolerance = 1e-4, ignore_attr = TRUE
    )
    expect_equal(
      insight::find_predictors(ours, component = component),
      insight::find_predictors(theirs, component = component)
    )
    expect_equal(
      unname(insight::get_varcov(ours, component = component)),
      unname(insight::get_varcov(theirs, component = component)), tolerance = 1e-3
    )
  }
  # The order of find_parameters(): zero inflation before dispersion.
  all <- insight::get_varcov(ours, component = "all")
  expect_equal(all, vcov(ours, full = TRUE)[c(1:2, 5:6, 3:4), c(1:2, 5:6, 3:4)])
  expect_equal(
    insight::get_statistic(ours, component = "zi")$Parameter, names(fixef(ours, component = "zi"))
  )
})

test_that("statistics, algorithms and convergence are told", {
  expect_equal(insight::find_algorithm(lmm_fit)$algorithm, "REML")
  expect_equal(insight::find_algorithm(glmm_fit)$algorithm, "ML")
  pql <- glmm(incidence ~ period + (1 | herd), cbpp, poisson, method = "pql")
  expect_equal(insight::find_algorithm(pql)$algorithm, "PQL")
  expect_true(insight::is_converged(lmm_fit))
  expect_lt(attr(insight::is_converged(lmm_fit), "gradient"), 1e-3)
  stopped <- suppressWarnings(lmm(Reaction ~ Days + (Days | Subject), sleepstudy,
    start = c(9, 9, 9), control = pp_control(max_iterations = 1)
  ))
  expect_false(insight::is_converged(stopped))
  expect_equal(
    insight::get_statistic(lmm_fit)$Statistic, unname(coef(summary(lmm_fit))[, "t value"])
  )
  expect_equal(insight::get_statistic(lmm_fit), insight::get_statistic(lmer_fit), tolerance = 1e-5)
  expect_equal(
    insight::get_statistic(glmm_fit)$Statistic, unname(coef(summary(glmm_fit))[, "z value"])
  )
  skip_if_not_installed("insight", "1.0.0")
  expect_equal(insight::find_statistic(lmm_fit), "t-statistic")
  expect_equal(insight::find_statistic(glmm_fit), "z-statistic")
  logged <- lmm(log(Reaction) ~ Days + (1 | Subject), sleepstudy)
  expect_equal(insight::find_transformation(logged), "log")
  expect_equal(insight::find_transformation(lmm_fit), "identity")
})

test_that("kernel models give what they have and no wrong number", {
  K <- exp(-as.matrix(stats::dist(1:30)) / 5)
  data <- withr::with_seed(1, list(
    X = cbind("(Intercept)" = 1, x = rnorm(30)), y = drop(t(chol(K)) %*% rnorm(30)) + rnorm(30)
  ))
  fit <- kernel_lmm(data$y, data$X, K)
  expect_true(insight::is_mixed_model(fit))
  expect_true(insight::model_info(fit)$is_linear)
  expect_null(insight::find_formula(fit))
  expect_null(insight::get_data(fit))
  expect_equal(insight::get_parameters(fit)$Estimate, unname(fixef(fit)))
  table <- coef(summary(fit))
  expect_equal(insight::get_statistic(fit)$Statistic, unname(table[, "t value"]))
  expect_equal(insight::get_df(fit), 28)
  expect_equal(as.numeric(insight::get_loglikelihood(fit)), as.numeric(logLik(fit)))
  expect_equal(as.numeric(insight::get_predicted(fit)), unname(fitted(fit)))
  expect_error(insight::get_predicted(fit, ci = 0.95), class = "partialpool_error_argument")
  expect_error(insight::get_variance(fit), class = "partialpool_error_argument")
  expect_false(insight::is_nullmodel(fit))
  skip_if_not_installed("insight", "1.0.0")
  expect_equal(names(fixef(insight::null_model(fit))), "(Intercept)")
  expect_equal(insight::get_response(fit), unname(data$y))
})

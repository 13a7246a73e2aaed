# insight on our fits beside insight on the same fits of lme4: numbers.

skip_if_not_installed("insight", "0.19.0")
skip_if_not_installed("lme4")

# The optimum of lme4, found as sharply as its optimisers can.
lmer_fit <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy,
  control = lme4::lmerControl(optCtrl = list(xtol_abs = 1e-11, ftol_abs = 1e-13))
)
lmm_fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
sharp <- lme4::glmerControl(
  optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5), tolPwrss = 1e-13
)
glmer_fit <- lme4::glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp,
  stats::binomial(), control = sharp
)
glmm_fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
new_days <- data.frame(Days = c(0, 10), Subject = "308", Reaction = 0)

test_that("scalars and vectors are those of lme4", {
  for (name in c("get_sigma", "get_deviance", "get_intercept", "get_df", "get_residuals")) {
    f <- getExportedValue("insight", name)
    expect_equal(as.numeric(f(lmm_fit)), as.numeric(f(lmer_fit)), tolerance = 1e-5, info = name)
    expect_equal(as.numeric(f(glmm_fit)), as.numeric(f(glmer_fit)), tolerance = 1e-4, info = name)
  }
  expect_equal(insight::get_parameters(lmm_fit), insight::get_parameters(lmer_fit),
    tolerance = 1e-6
  )
  expect_equal(insight::get_parameters(glmm_fit), insight::get_parameters(glmer_fit),
    tolerance = 1e-4
  )
  expect_equal(
    insight::get_parameters(lmm_fit, effects = "random")$Subject,
    insight::get_parameters(lmer_fit, effects = "random")$Subject,
    tolerance = 1e-4, ignore_attr = TRUE
  )
  expect_equal(insight::get_varcov(lmm_fit), as.matrix(vcov(lmer_fit)), tolerance = 1e-4)
  expect_equal(insight::get_modelmatrix(lmm_fit, data = new_days),
    insight::get_modelmatrix(lmer_fit, data = new_days), ignore_attr = TRUE
  )
})

test_that("likelihoods are those of lme4, transformed responses included", {
  for (REML in c(FALSE, TRUE)) {
    expect_equal(
      as.numeric(insight::get_loglikelihood(lmm_fit, REML = REML)),
      as.numeric(stats::logLik(lmer_fit, REML = REML)), tolerance = 1e-7
    )
  }
  # lme4's theta at its own tolerance: the likelihood is flat there.
  expect_equal(
    as.numeric(insight::get_loglikelihood(glmm_fit)), as.numeric(stats::logLik(glmer_fit)),
    tolerance = 1e-6
  )
  expect_equal(attr(insight::get_loglikelihood(lmm_fit), "df"), 6)
  ours <- lmm(log(Reaction) ~ Days + (1 | Subject), sleepstudy, REML = FALSE)
  value <- as.numeric(insight::get_loglikelihood(ours, check_response = TRUE))
  expect_equal(value, as.numeric(logLik(ours)) - sum(log(sleepstudy$Reaction)))
  rooted <- lmm(sqrt(Reaction + 3) ~ Days + (1 | Subject), sleepstudy, REML = FALSE)
  expect_equal(
    as.numeric(insight::get_loglikelihood(rooted, check_response = TRUE)),
    as.numeric(logLik(rooted)) + sum(log(0.5 / sqrt(sleepstudy$Reaction + 3)))
  )
})

test_that("degrees of freedom are exact, and those of rows too", {
  expect_equal(insight::get_df(lmm_fit, type = "wald"), 174)
  expect_equal(insight::get_df(glmm_fit, type = "wald"), Inf)
  expect_equal(insight::get_df(lmm_fit, type = "normal"), Inf)
  expect_equal(insight::get_df(lmm_fit, type = "model"), 6)
  table <- coef(summary(lmm_fit))
  expect_equal(insight::get_df(lmm_fit, type = "satterthwaite"), table[, "df"])
  rows <- insight::get_df(lmm_fit, type = "satterthwaite", df_per_obs = TRUE, data = new_days)
  expect_equal(rows, inference(lmm_fit)$df(cbind(1, c(0, 10))))
  kr <- insight::get_df(lmm_fit, type = "kenward")
  expect_equal(kr, inference(lmm_fit, "kenward-roger")$df(diag(2)), ignore_attr = TRUE)
  by_ml <- update(lmm_fit, REML = FALSE)
  expect_equal(insight::get_df(by_ml, type = "kenward"), kr, tolerance = 1e-6)
  expect_equal(insight::get_df(suppressMessages(lmm(Reaction ~ Days, sleepstudy))), 178)
  expect_error(insight::get_df(glmm_fit, type = "satterthwaite"),
    class = "partialpool_error_argument"
  )
  expect_error(insight::get_df(lmm_fit, type = "none such"), class = "partialpool_error_argument")
  skip_if_not_installed("lmerTest")
  tested <- lmerTest::as_lmerModLmerTest(lmer_fit)
  theirs <- lmerTest::contest1D(tested, c(1, 10))$df
  # lmerTest differentiates numerically.
  expect_equal(rows[2L], theirs, tolerance = 1e-4)
})

test_that("robust covariances have the names of sandwich and clubSandwich", {
  V <- function(...) vcov(lmm_fit, type = "sandwich", cluster = "Subject", ...)
  expect_equal(insight::get_varcov(lmm_fit, vcov = "CR2"), V(correction = "CR2"))
  expect_equal(
    insight::get_varcov(lmm_fit, vcov = "vcovCR", vcov_args = list(type = "CR1S")),
    V(correction = "CR1S")
  )
  expect_equal(
    insight::get_varcov(lmm_fit, vcov = "vcovCL", vcov_args = list(cluster = ~Subject)),
    V(correction = "CR1")
  )
  expect_equal(insight::get_varcov(lmm_fit, vcov = function(x) vcov(x) * 2), vcov(lmm_fit) * 2)
  expect_equal(insight::get_varcov(lmm_fit, vcov = diag(2)), diag(2))
  expect_equal(
    insight::get_varcov(lmm_fit, vcov = "kenward-roger"), summary(lmm_fit, ddf = "ken")$vcov
  )
  expect_error(insight::get_varcov(lmm_fit, vcov = "HC3"), class = "partialpool_error_argument")
  # Without random effects the rows are independent: as for lm().
  plain <- suppressMessages(lmm(Reaction ~ Days, sleepstudy))
  skip_if_not_installed("sandwich")
  lm_fit <- stats::lm(Reaction ~ Days, sleepstudy)
  for (type in c("HC0", "HC1", "HC2", "HC3")) {
    expect_equal(insight::get_varcov(plain, vcov = type), sandwich::vcovHC(lm_fit, type = type),
      info = type
    )
  }
  skip_if_not_installed("clubSandwich")
  theirs <- clubSandwich::vcovCR(lmer_fit, type = "CR2", cluster = sleepstudy$Subject)
  expect_equal(insight::get_varcov(lmm_fit, vcov = "CR2"), as.matrix(theirs),
    tolerance = 1e-4, ignore_attr = TRUE
  )
})

test_that("variances are those of lme4 to four digits, and our own", {
  skip_if_not_installed("performance")
  for (pair in list(list(lmer_fit, lmm_fit), list(glmer_fit, glmm_fit))) {
    theirs <- insight::get_variance(pair[[1L]])
    ours <- insight::get_variance(pair[[2L]])
    expect_named(ours, names(theirs))
    expect_equal(unlist(ours), unlist(theirs), tolerance = 1e-4, ignore_attr = TRUE)
    expect_equal(insight::get_variance_random(pair[[2L]])[[1L]], ours$var.random)
  }
  parts <- variance_parts(lmm_fit)
  expect_equal(insight::get_variance_fixed(lmm_fit)[[1L]], parts$unit^2 * parts$fixed)
  expect_equal(insight::get_variance_slope(lmm_fit), c(var.slope.Subject.Days =
    VarCorr(lmm_fit)$Subject[2L, 2L]))
  # A variance of zero is a result: lme4's through insight is not there at all.
  flat <- suppressMessages(lmm(y ~ (1 | g), data.frame(y = rep(1:4, 6), g = gl(6, 4))))
  expect_equal(insight::get_variance_random(flat)[[1L]], 0)
})

test_that("variances of counts are those of lme4", {
  # Before, the mean was that of the fixed effects alone.
  skip_if_not_installed("insight", "1.0.0")
  skip_if_not_installed("performance")
  theirs <- lme4::glmer(incidence ~ period + (1 | herd), cbpp, stats::poisson(), control = sharp)
  ours <- glmm(incidence ~ period + (1 | herd), cbpp, poisson)
  for (method in c("lognormal", "delta", "trigamma")) {
    expect_equal(
      unlist(insight::get_variance(ours, approximation = method)),
      unlist(insight::get_variance(theirs, approximation = method)),
      tolerance = 1e-4, ignore_attr = TRUE
    )
  }
})

test_that("the null model keeps random terms, weights and offset", {
  d <- transform(cbpp, w = rep(1:2, 28), o = rep(c(0.1, 0.3), 28))
  ours <- glmm(incidence ~ period + offset(o) + (1 | herd), d, poisson, weights = w)
  again <- glmm(incidence ~ 1 + offset(o) + (1 | herd), d, poisson, weights = w)
  null <- insight::null_model(ours)
  skip_if_not_installed("insight", "1.0.0")
  expect_equal(as.numeric(logLik(null)), as.numeric(logLik(again)), tolerance = 1e-8)
  expect_equal(fixef(null), fixef(again), tolerance = 1e-6)
  null <- insight::null_model(lmm_fit)
  expect_equal(as.numeric(logLik(null)),
    as.numeric(stats::logLik(insight::null_model(lmer_fit))), tolerance = 1e-6
  )
  expect_equal(predict(null, new_days, re.form = NA), rep(fixef(null), 2), ignore_attr = TRUE)
})

test_that("predictions and intervals are those of lme4", {
  calls <- list(
    list(data = new_days, ci = 0.95, include_random = FALSE),
    list(data = new_days, ci = c(0.8, 0.95), include_random = FALSE),
    list(data = new_days, ci = 0.9, include_random = FALSE, predict = "prediction"),
    list(ci = 0.95, include_random = FALSE), list(data = new_days[1:2])
  )
  for (arguments in calls) {
    theirs <- as.data.frame(do.call(insight::get_predicted, c(list(lmer_fit), arguments)))
    ours <- as.data.frame(do.call(insight::get_predicted, c(list(lmm_fit), arguments)))
    expect_equal(ours, theirs, tolerance = 1e-4, ignore_attr = TRUE)
  }
  cows <- data.frame(period = factor(1:4), herd = "unknown", incidence = 1, size = 10)
  for (predict in c("expectation", "link")) {
    arguments <- list(data = cows, predict = predict, ci = 0.95)
    theirs <- as.data.frame(do.call(insight::get_predicted, c(list(glmer_fit), arguments)))
    ours <- as.data.frame(do.call(insight::get_predicted, c(list(glmm_fit), arguments)))
    # Standard errors of glmer() come from finite differences of its deviance.
    expect_equal(ours$Predicted, theirs$Predicted, tolerance = 1e-4)
    expect_equal(ours, theirs, tolerance = 1e-2, ignore_attr = TRUE)
    own <- predict(glmm_fit, cows, NA,
      type = if (predict == "link") "link" else "response", se.fit = TRUE, interval = "confidence"
    )
    expect_equal(unname(as.matrix(ours)), unname(cbind(own$fit[, 1L], own$se.fit, own$fit[, -1L])))
  }
})

test_that("intervals follow the method asked for", {
  satterthwaite <- as.data.frame(insight::get_predicted(lmm_fit,
    data = new_days, ci = 0.95, include_random = FALSE, ci_method = "satterthwaite"
  ))
  own <- contrast_table(inference(lmm_fit), cbind(1, new_days$Days))
  expect_equal(satterthwaite$CI_low, own$conf.low)
  expect_equal(satterthwaite$SE, own$std.error)
  kr <- as.data.frame(insight::get_predicted(lmm_fit,
    data = new_days, ci = 0.95, include_random = FALSE, ci_method = "kenward-roger"
  ))
  own <- contrast_table(inference(lmm_fit, "kenward-roger"), cbind(1, new_days$Days))
  expect_equal(kr$CI_high, own$conf.high)
  robust <- as.data.frame(insight::get_predicted(lmm_fit,
    data = new_days, ci = 0.95, include_random = FALSE, vcov = "CR2"
  ))
  V <- vcov(lmm_fit, type = "sandwich", correction = "CR2")
  expect_equal(robust$SE, sqrt(rowSums((cbind(1, c(0, 10)) %*% V) * cbind(1, c(0, 10)))))
  # With the random effects, the uncertainty of these too.
  group <- as.data.frame(insight::get_predicted(lmm_fit, data = new_days, ci = 0.95))
  own <- predict(lmm_fit, new_days, se.fit = TRUE)
  expect_equal(group$SE, unname(own$se.fit))
  expect_equal(group$Predicted, unname(own$fit))
  table <- insight::get_predicted_ci(lmm_fit, predictions = c(1, 2), data = new_days)
  expect_equal(table$SE, contrast_table(inference(lmm_fit), cbind(1, c(0, 10)))$std.error)
})

test_that("predictions cover counts, classes, extra zeros and draws", {
  d <- withr::with_seed(5, data.frame(g = gl(10, 12), x = rnorm(120)))
  d$n <- withr::with_seed(6, rpois(120, exp(0.5 + 0.3 * d$x)))
  fit <- glmm(n ~ x + (1 | g), d, poisson)
  range <- as.data.frame(
    insight::get_predicted(fit, predict = "prediction", ci = 0.9, include_random = FALSE)
  )
  mu <- unname(predict(fit, re.form = NA, type = "response"))
  expect_equal(range$CI_low, stats::qpois(0.05, mu))
  expect_equal(range$CI_high, stats::qpois(0.95, mu))
  p <- list(mu = c(0.5, 3), phi = c(2, 2), zero = c(0, 0), trials = c(1, 1), shape = NULL)
  expect_equal(response_quantile(distributions$Gamma, 0.3, p), qgamma(0.3, 0.5, scale = 2 * p$mu))
  expect_equal(response_quantile(distributions$gaussian, 0.01, p), qnorm(0.01, p$mu, sqrt(2)))
  expect_equal(response_quantile(distributions$nbinom2, 0.9, p), qnbinom(0.9, 2, mu = p$mu))

  yes <- glmm(factor(n > 1, labels = c("no", "yes")) ~ x + (1 | g), d, binomial)
  classes <- as.data.frame(insight::get_predicted(yes, predict = "classification"))$Predicted
  expect_equal(as.character(classes), ifelse(fitted(yes) > 0.5, "yes", "no"), ignore_attr = TRUE)

  zero <- glmm(n ~ x + (1 | g), d, poisson, ziformula = ~1, control = pp_control(check = FALSE))
  expect_equal(as.numeric(insight::get_predicted(zero)), unname(fitted(zero)))

  draws <- withr::with_seed(1, insight::get_predicted(lmm_fit,
    data = new_days, ci = 0.95, iterations = 8
  ))
  table <- as.data.frame(draws)
  expect_equal(dim(table), c(2L, 12L))
  expect_equal(table$SE, unname(apply(table[paste0("iter_", 1:8)], 1L, stats::sd)))
})

test_that("the data are those of the fit, whatever became of them", {
  d <- sleepstudy
  d$w <- rep(1:2, 90)
  made <- (function(local) {
    lmm(log(Reaction) ~ poly(Days, 2) + (1 | Subject), local, weights = w)
  })(d)
  expect_equal(insight::get_data(made),
    d[c("Reaction", "Days", "Subject", "w")], ignore_attr = TRUE
  )
  plain <- lmm(Reaction ~ Days + (1 | Subject), d)
  curved <- lmm(log(Reaction) ~ poly(Days, 2) + (1 | Subject), d)
  counted <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
  counted$call$data <- quote(nothing)
  d$Days <- rev(d$Days)
  expect_equal(insight::get_data(plain)$Days, sleepstudy$Days)
  expect_equal(insight::get_data(counted)[["size"]], cbpp$size)
  # Never other values than those fitted.
  expect_warning(left <- insight::get_data(curved), class = "partialpool_warning_variable")
  expect_named(left, c("Reaction", "Subject"))
  expect_equal(left$Reaction, sleepstudy$Reaction)
  expect_equal(insight::get_data(plain, effects = "random"), sleepstudy["Subject"],
    ignore_attr = TRUE
  )
  d$Reaction[3] <- NA
  missing <- lmm(Reaction ~ Days + (1 | Subject), d, na.action = stats::na.exclude)
  expect_length(insight::get_predicted(missing), nrow(insight::get_data(missing)))
})

test_that("grids, comparisons and draws are made", {
  grid <- insight::get_datagrid(lmm_fit)
  expect_equal(grid$Days, seq(0, 9, length.out = nrow(grid)))
  expect_equal(unique(grid$Subject), 0)
  expect_identical(attr(grid, "model"), lmm_fit)
  expect_equal(as.numeric(insight::get_predicted(lmm_fit, data = grid)),
    unname(predict(lmm_fit, as.data.frame(grid), re.form = NA)))
  smaller <- update(lmm_fit, . ~ . - Days)
  fits <- insight::ellipsis_info(lmm_fit, smaller)
  expect_named(fits, c("lmm_fit", "smaller"))
  named <- do.call(insight::ellipsis_info, list(one = lmm_fit, two = smaller, verbose = FALSE))
  expect_named(named, c("one", "two"))
  expect_true(attr(fits, "same_response"))
  expect_true(attr(fits, "is_nested"))
  expect_s3_class(fits[[1L]], "pp_lmm")
  expect_warning(insight::ellipsis_info(lmm_fit, smaller, 3), class = "partialpool_warning")
  skip_if_not_installed("insight", "1.0.0")
  draws <- insight::get_simulated(lmm_fit, iterations = 2, seed = 1)
  expect_equal(unname(as.list(draws)), unname(as.list(simulate(lmm_fit, 2, seed = 1))))
})

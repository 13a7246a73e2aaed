local_ggeffects <- function(frame = parent.frame()) {
  skip_if_not_installed("ggeffects", "1.2.0")
  skip_if_not_installed("lme4")
  loadNamespace("ggeffects")
  withr::local_options(ggeffects_warning_bias_correction = FALSE, .local_envir = frame)
}

new_ggeffects <- function() utils::packageVersion("ggeffects") >= "2.0.0"

grid_twins <- function() {
  formula <- cbind(incidence, size - incidence) ~ period + (1 | herd)
  list(
    lmm = lmm(Reaction ~ Days + (Days | Subject), sleepstudy),
    lmer = lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy, control = lme4::lmerControl(
      optCtrl = list(ftol_abs = 1e-14, xtol_abs = 1e-14, maxeval = 1e5)
    )),
    glmm = glmm(formula, cbpp, binomial),
    # With lme4's default tolerances 4 digits of the fit would be left.
    glmer = lme4::glmer(formula, cbpp, binomial, control = lme4::glmerControl(
      "bobyqa", tolPwrss = 1e-13, optCtrl = list(rhoend = 1e-9)
    ))
  )
}

expect_same_grid <- function(ours, theirs, tolerance = 1e-5) {
  columns <- c("x", "predicted", "std.error", "conf.low", "conf.high", "group")
  ours <- as.data.frame(ours)
  theirs <- as.data.frame(theirs)
  expect_true(all(c("conf.low", "conf.high") %in% names(ours)))
  columns <- intersect(columns, intersect(names(ours), names(theirs)))
  expect_equal(ours[columns], theirs[columns], tolerance = tolerance, ignore_attr = TRUE)
}

ask <- function(...) suppressMessages(suppressWarnings(ggeffects::ggpredict(...)))

test_that("predictions for the population are lme4's, with their intervals", {
  local_ggeffects()
  twins <- grid_twins()
  expect_same_grid(ask(twins$lmm, "Days [0,5]"), ask(twins$lmer, "Days [0,5]"))
  expect_same_grid(ask(twins$lmm, "Days"), ask(twins$lmer, "Days"))
  expect_same_grid(ask(twins$glmm, "period"), ask(twins$glmer, "period"))
  ours <- ask(twins$lmm)
  expect_named(ours, "Days")
  expect_equal(ask(twins$lmm, "Days [0]")$predicted, coef(twins$lmm)[[1L]])
  shown <- paste(capture.output(print(ask(twins$lmm, "Days [0,5]"))), collapse = " ")
  expect_match(shown, "0 (population-level)", fixed = TRUE)
})

test_that("predictions for groups, and conditions, are lme4's", {
  local_ggeffects()
  twins <- grid_twins()
  terms <- c("Days [0,5]", "Subject [308,309]")
  ours <- ask(twins$lmm, terms, type = "random")
  theirs <- ask(twins$lmer, terms, type = "random")
  expect_equal(ours$predicted, theirs$predicted, tolerance = 1e-5)
  if (new_ggeffects()) {
    # Theirs has the standard error of the fixed effects, as if the group's effects were known.
    new <- data.frame(Days = as.numeric(as.character(ours$x)), Subject = ours$group)
    se <- predict(twins$lmm, new, se.fit = TRUE)$se.fit
    expect_equal(ours$std.error, se, ignore_attr = TRUE)
  }
  ours <- ask(twins$glmm, c("period", "herd [1,2]"), type = "random")
  theirs <- ask(twins$glmer, c("period", "herd [1,2]"), type = "random")
  expect_equal(ours$predicted, theirs$predicted, tolerance = 1e-5)
  ours <- ask(twins$lmm, "Days", condition = c(Subject = "308"), type = "random")
  theirs <- ask(twins$lmer, "Days", condition = c(Subject = "308"), type = "random")
  expect_equal(ours$predicted, theirs$predicted, tolerance = 1e-5)
  population <- ask(twins$lmm, "Days", type = "random")
  expect_same_grid(population, ask(twins$lmer, "Days", type = "random"))
})

test_that("intervals of new observations", {
  local_ggeffects()
  twins <- grid_twins()
  ours <- ask(twins$lmm, "Days [0,5]", interval = "prediction")
  # Old releases have no such interval for lme4's fits.
  if (new_ggeffects()) {
    expect_same_grid(ours, ask(twins$lmer, "Days [0,5]", interval = "prediction"))
  }
  fit <- twins$lmm
  X <- cbind(1, c(0, 5))
  se <- sqrt(diag(X %*% vcov(fit) %*% t(X)) + sigma(fit)^2)
  half <- se * qt(0.975, insight::get_df(fit, type = "wald"))
  expect_equal(ours$conf.high, ours$predicted + half)
  expect_error(
    ask(twins$glmm, "period", interval = "prediction"), class = "partialpool_error_argument"
  )
})

test_that("robust covariances, bias correction and simulation", {
  local_ggeffects()
  skip_if_not_installed("ggeffects", "2.0.0")
  twins <- grid_twins()
  V <- vcov(twins$lmm, type = "sandwich")
  X <- cbind(1, c(0, 5))
  ours <- ask(twins$lmm, "Days [0,5]", vcov = V)
  expect_equal(ours$std.error, sqrt(diag(X %*% V %*% t(X))))
  ours <- ask(twins$glmm, "period", bias_correction = TRUE)
  theirs <- ask(twins$glmer, "period", bias_correction = TRUE)
  expect_equal(ours$predicted, theirs$predicted, tolerance = 1e-5)
  # Its bounds for lme4's fits are corrected twice: ours are monotone in what they correct.
  plain <- ask(twins$glmm, "period")
  corrected <- insight::get_variance_residual(twins$glmm) / 2 * 1000 *
    (dlogis(qlogis(plain$conf.low) + 5e-4) - dlogis(qlogis(plain$conf.low) - 5e-4))
  expect_equal(ours$conf.low, plain$conf.low + corrected, tolerance = 1e-6)
  withr::with_seed(1, ours <- ask(twins$lmm, "Days", type = "simulate", nsim = 20))
  withr::with_seed(1, theirs <- ask(twins$lmer, "Days", type = "simulate", nsim = 20))
  expect_same_grid(ours, theirs)
  expect_error(ask(twins$glmm, "period", type = "simulate"), class = "partialpool_error_argument")
})

test_that("averages over the data by marginaleffects are lme4's", {
  local_ggeffects()
  skip_if_not_installed("ggeffects", "2.0.0")
  skip_if_not_installed("marginaleffects", "1.0.0")
  if (!exists("%||%", baseenv())) {
    assign("%||%", rlang::`%||%`, globalenv())
    withr::defer(rm("%||%", envir = globalenv()))
  }
  withr::local_options(marginaleffects_model_classes = getOption("marginaleffects_model_classes"))
  twins <- grid_twins()
  average <- function(...) suppressWarnings(ggeffects::ggaverage(...))
  expect_same_grid(average(twins$lmm, "Days"), average(twins$lmer, "Days"), 1e-4)
  expect_same_grid(average(twins$glmm, "period"), average(twins$glmer, "period"), 1e-4)
})

test_that("zero-inflated models have intervals without simulation", {
  local_ggeffects()
  skip_if_not_installed("ggeffects", "2.0.0")
  skip_if_not_installed("glmmTMB")
  data <- glmmTMB::Salamanders
  fit <- glmm(count ~ mined + (1 | site), data, poisson, ziformula = ~mined)
  twin <- glmmTMB::glmmTMB(count ~ mined + (1 | site), data, family = poisson, ziformula = ~mined)
  # glmmTMB's numbers have 5 digits with its default tolerance.
  expect_same_grid(ask(fit, "mined"), ask(twin, "mined"), 1e-4)
  expect_same_grid(ask(fit, "mined", type = "zi_prob"), ask(twin, "mined", type = "zi_prob"), 1e-4)
  ours <- ask(fit, "mined", type = "zero_inflated")
  twin <- ask(twin, "mined", type = "zero_inflated", ci_level = NA)
  expect_equal(ours$predicted, twin$predicted, tolerance = 1e-4)
  new <- data.frame(mined = factor(c("yes", "no")))
  bounds <- predict(fit, new, re.form = NA, type = "response", interval = "confidence")
  expect_equal(cbind(ours$conf.low, ours$conf.high), bounds[, c("lwr", "upr")], ignore_attr = TRUE)
})

test_that("its plots are drawn; kernel models are refused", {
  local_ggeffects()
  skip_if_not_installed("ggplot2")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  p <- plot(ask(fit, "Days"))
  expect_s3_class(p, "ggplot")
  expect_identical(as.character(fit), "<pp_lmm>")
  skip_if_not_installed("ggeffects", "2.0.0")
  get_predictions <- getExportedValue("ggeffects", "get_predictions")
  kernel_fit <- structure(list(), class = c("pp_kernel_lmm", "pp_kernel_fit", "pp_fit"))
  expect_error(get_predictions(kernel_fit), class = "partialpool_error_argument")
})

test_that("marginal means by emmeans and effects are lme4's", {
  local_ggeffects()
  twins <- grid_twins()
  if (requireNamespace("emmeans", quietly = TRUE)) {
    ours <- suppressMessages(ggeffects::ggemmeans(twins$glmm, "period"))
    theirs <- suppressMessages(ggeffects::ggemmeans(twins$glmer, "period"))
    expect_same_grid(ours, theirs)
    ours <- suppressMessages(ggeffects::ggemmeans(twins$lmm, "Days [0,5]"))
    theirs <- suppressMessages(ggeffects::ggemmeans(twins$lmer, "Days [0,5]"))
    expect_equal(ours$predicted, theirs$predicted)
  }
  if (requireNamespace("effects", quietly = TRUE)) {
    ours <- suppressMessages(ggeffects::ggeffect(twins$glmm, "period"))
    theirs <- suppressMessages(ggeffects::ggeffect(twins$glmer, "period"))
    expect_same_grid(ours, theirs)
  }
})

test_that("contrasts of predictions are lme4's", {
  local_ggeffects()
  skip_if_not_installed("ggeffects", "2.3.0")
  skip_if_not_installed("emmeans")
  twins <- grid_twins()
  ours <- ggeffects::test_predictions(twins$lmm, "Days [0,5]")
  theirs <- ggeffects::test_predictions(twins$lmer, "Days [0,5]")
  expect_equal(ours$Contrast, theirs$Contrast, tolerance = 1e-5)
})

# marginaleffects needs an operator that base R has from 4.4 on.
local_null_default <- function(frame = parent.frame()) {
  if (exists("%||%", baseenv())) {
    return(invisible())
  }
  assign("%||%", rlang::`%||%`, globalenv())
  withr::defer(rm("%||%", envir = globalenv()), frame)
}

local_marginaleffects <- function(frame = parent.frame()) {
  skip_if_not_installed("marginaleffects", "1.0.0")
  skip_if_not_installed("lme4")
  loadNamespace("marginaleffects")
  local_null_default(frame)
  withr::local_options(
    marginaleffects_safe = FALSE,
    marginaleffects_model_classes = getOption("marginaleffects_model_classes"), .local_envir = frame
  )
}

# lme4 stops where neither its deviance nor its weighted residuals change any more, which leaves
# 4 digits: with these settings it leaves more.
tight_lmer <- function() {
  lme4::lmerControl(optCtrl = list(ftol_abs = 1e-14, xtol_abs = 1e-14, maxeval = 1e5))
}
tight_glmer <- function() {
  lme4::glmerControl("bobyqa", tolPwrss = 1e-13, optCtrl = list(rhoend = 1e-9))
}

expect_same_table <- function(ours, theirs, tolerance) {
  ours <- as.data.frame(ours)
  theirs <- as.data.frame(theirs)
  columns <- c("estimate", "std.error", "conf.low", "conf.high", "df")
  columns <- intersect(columns, intersect(names(ours), names(theirs)))
  expect_true(all(c("estimate", "std.error") %in% columns))
  expect_equal(ours[columns], theirs[columns], tolerance = tolerance, ignore_attr = TRUE)
}

# The argument re.form is known for lme4's classes only, and warned about for all others.
quietly <- function(expr) suppressWarnings(expr)

test_that("predictions, comparisons and slopes of a linear model are lme4's", {
  local_marginaleffects()
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  twin <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy, control = tight_lmer())
  same <- function(f, ..., tolerance = 2e-5) {
    expect_same_table(f(fit, ...), f(twin, ...), tolerance = tolerance)
  }
  same(marginaleffects::predictions)
  same(marginaleffects::avg_predictions, by = "Days")
  same(marginaleffects::predictions, newdata = marginaleffects::datagrid(model = fit, Days = 0:3))
  same(marginaleffects::avg_comparisons, variables = list(Days = 2))
  same(marginaleffects::hypotheses, hypothesis = "Days = 10")
  same(marginaleffects::slopes, eps = 1)
  # By its default step a slope's standard error is a difference of differences: 3 digits.
  same(marginaleffects::avg_slopes, tolerance = 1e-3)
  quietly(same(marginaleffects::predictions, re.form = NA))
  new <- data.frame(Days = 1, Subject = "new")
  quietly(same(marginaleffects::predictions, newdata = new, allow.new.levels = TRUE))
})

test_that("degrees of freedom by row are those of lmerTest and pbkrtest", {
  local_marginaleffects()
  skip_if_not_installed("lmerTest")
  skip_if_not_installed("pbkrtest")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  twin <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy, control = tight_lmer())
  grid <- data.frame(Days = c(0, 4, 9), Subject = "308")
  for (method in c("satterthwaite", "kenward-roger")) {
    ours <- quietly(marginaleffects::predictions(fit, grid, vcov = method, re.form = NA))
    theirs <- quietly(marginaleffects::predictions(twin, grid, vcov = method, re.form = NA))
    expect_same_table(ours, theirs, tolerance = 1e-4)
    L <- cbind(1, grid$Days)
    expect_equal(ours$df, contrast_table(inference(fit, method), L)$df)
  }
  ml <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy, REML = FALSE)
  expect_error(
    marginaleffects::predictions(ml, vcov = "kenward-roger"),
    class = "partialpool_error_argument"
  )
})

test_that("binomial and Poisson models with offset are lme4's", {
  local_marginaleffects()
  formula <- cbind(incidence, size - incidence) ~ period + (1 | herd)
  fit <- glmm(formula, cbpp, binomial)
  twin <- lme4::glmer(formula, cbpp, binomial, control = tight_glmer())
  same <- function(f, ...) expect_same_table(f(fit, ...), f(twin, ...), tolerance = 1e-4)
  same(marginaleffects::predictions)
  same(marginaleffects::avg_comparisons)
  same(marginaleffects::avg_comparisons, comparison = "lnoravg")
  quietly(same(marginaleffects::predictions, type = "link", re.form = NA))
  cbpp$exposure <- cbpp$size / 10
  formula <- incidence ~ period + offset(log(exposure)) + (1 | herd)
  fit <- glmm(formula, cbpp, poisson)
  twin <- lme4::glmer(formula, cbpp, poisson, control = tight_glmer())
  same(marginaleffects::avg_predictions, by = "period")
  same(marginaleffects::avg_slopes, variables = "period")
})

test_that("negative binomial and zero-inflated models are glmmTMB's", {
  local_marginaleffects()
  skip_if_not_installed("glmmTMB")
  data <- glmmTMB::Salamanders
  # TMB's numbers have 5 digits with its default tolerance.
  same <- function(f, fit, twin, ...) {
    quietly(expect_same_table(f(fit, re.form = NA, ...), f(twin, re.form = NA, ...), 1e-4))
  }
  fit <- glmm(count ~ mined + cover + (1 | site), data, nbinom2())
  twin <- glmmTMB::glmmTMB(
    count ~ mined + cover + (1 | site), data, family = glmmTMB::nbinom2
  )
  same(marginaleffects::avg_predictions, fit, twin, by = "mined")
  same(marginaleffects::avg_slopes, fit, twin)
  fit <- glmm(count ~ mined + (1 | site), data, poisson, ziformula = ~mined)
  twin <- glmmTMB::glmmTMB(
    count ~ mined + (1 | site), data, family = poisson, ziformula = ~mined
  )
  for (type in c("response", "conditional", "zprob", "link")) {
    same(marginaleffects::avg_predictions, fit, twin, by = "mined", type = type)
  }
  same(marginaleffects::avg_comparisons, fit, twin)
  expect_named(marginaleffects::get_coef(fit),
    c("(Intercept)", "minedno", "zi~(Intercept)", "zi~minedno")
  )
})

test_that("coefficients that are set change predictions exactly", {
  local_marginaleffects()
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  moved <- marginaleffects::set_coef(fit, c(Days = coef(fit)[["Days"]] + 1))
  expect_equal(predict(moved) - predict(fit), setNames(sleepstudy$Days, names(predict(fit))))
  expect_identical(marginaleffects::set_coef(fit, marginaleffects::get_coef(fit)), fit)
  skip_if_not_installed("glmmTMB")
  zi <- glmm(count ~ mined + (1 | site), glmmTMB::Salamanders, poisson, ziformula = ~mined)
  moved <- marginaleffects::set_coef(zi, c("zi~minedno" = 2))
  expect_identical(moved$zi$coefficients[["minedno"]], 2)
  expect_identical(moved$coefficients, zi$coefficients)
})

test_that("robust covariances are those of vcov()", {
  local_marginaleffects()
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  get_vcov <- marginaleffects::get_vcov
  robust <- function(...) vcov(fit, type = "sandwich", ...)
  expect_equal(get_vcov(fit, "HC0"), robust(correction = "CR0"))
  expect_equal(get_vcov(fit, "stata"), robust(correction = "CR1S"))
  expect_equal(get_vcov(fit, "HC3"), robust(correction = "CR3"))
  expect_equal(get_vcov(fit, ~Subject), robust(cluster = "Subject", correction = "CR1"))
  se <- marginaleffects::avg_slopes(fit, vcov = "HC0")$std.error
  expect_equal(se, sqrt(robust()[2, 2]), tolerance = 1e-4, ignore_attr = TRUE)
  V <- 4 * vcov(fit)
  expect_equal(get_vcov(fit, V[2:1, 2:1]), V)
  expect_equal(get_vcov(fit, vcov), vcov(fit))
  expect_null(get_vcov(fit, FALSE))
  expect_error(get_vcov(fit, "HAC"), class = "partialpool_error_argument")
  expect_error(get_vcov(fit, V[1, 1, drop = FALSE]), class = "partialpool_error_argument")
})

test_that("transformed, aliased and missing terms, and fits without random effects", {
  local_marginaleffects()
  make <- function() {
    d <- sleepstudy
    d$x <- d$Days
    d$x[7] <- NA
    d$twice <- 2 * d$x
    d$kind <- rep(c("a", "b"), 90)
    d
  }
  fit_inside <- function(f) {
    local_data <- make()
    f(Reaction ~ poly(x, 2, raw = TRUE) + log(x + 1) * kind + (1 | Subject), local_data)
  }
  d <- make()
  expect_same_table(
    marginaleffects::avg_comparisons(fit_inside(lmm), newdata = na.omit(d)),
    marginaleffects::avg_comparisons(fit_inside(lme4::lmer), newdata = na.omit(d)), 1e-4
  )
  aliased <- suppressMessages(suppressWarnings(lmm(Reaction ~ x + twice + (1 | Subject), d)))
  slope <- marginaleffects::avg_slopes(aliased, variables = "x")
  expect_equal(slope$estimate, coef(aliased)[["x"]], tolerance = 1e-6)
  plain <- suppressMessages(lmm(Reaction ~ x * kind, d))
  twin <- lm(Reaction ~ x * kind, d)
  expect_same_table(marginaleffects::avg_slopes(plain), marginaleffects::avg_slopes(twin), 1e-4)
})

test_that("the user's model classes stay, and the note comes once", {
  local_marginaleffects()
  withr::local_options(marginaleffects_model_classes = "mine", marginaleffects_safe = NULL)
  rlang::reset_warning_verbosity("partialpool_marginaleffects")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_warning(marginaleffects::avg_slopes(fit), class = "partialpool_warning_argument")
  expect_identical(getOption("marginaleffects_model_classes"), c("mine", "pp_fit"))
  expect_no_warning(marginaleffects::avg_slopes(fit))
  set.seed(1)
  K <- exp(-as.matrix(dist(1:20)) / 5)
  kernel_fit <- kernel_lmm(as.numeric(t(chol(K)) %*% rnorm(20)) + rnorm(20), NULL, K)
  expect_error(marginaleffects::predictions(kernel_fit), class = "partialpool_error_argument")
})

test_that("its plots are drawn", {
  local_marginaleffects()
  skip_if_not_installed("ggplot2", "4.0.0")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  p <- marginaleffects::plot_predictions(fit, condition = "Days")
  expect_s3_class(p, "ggplot")
  p <- marginaleffects::plot_slopes(fit, variables = "Days", condition = "Days")
  expect_s3_class(p, "ggplot")
  sleepstudy$late <- sleepstudy$Days > 4
  fit <- lmm(Reaction ~ late * Days + (1 | Subject), sleepstudy)
  p <- marginaleffects::plot_comparisons(fit, variables = "Days", condition = "late", draw = FALSE)
  expect_equal(as.numeric(p$estimate), c(0, coef(fit)[["lateTRUE:Days"]]) + coef(fit)[["Days"]])
})

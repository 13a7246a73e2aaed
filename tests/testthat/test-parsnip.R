engine_of <- function(model, ...) parsnip::set_engine(model, "partialpool", ...)

test_that("linear_reg() fits lmm() and predicts", {
  skip_if_not_installed("parsnip")
  formula <- Reaction ~ Days + (Days | Subject)
  fit <- parsnip::fit(engine_of(parsnip::linear_reg()), formula, data = sleepstudy)
  own <- lmm(formula, sleepstudy)
  expect_equal(fixef(fit$fit), fixef(own))
  new <- data.frame(Days = c(3, 4, NA), Subject = c("308", "new", "309"))
  expected <- unname(predict(own, new, allow.new.levels = TRUE))
  expect_identical(predict(fit, new)$.pred, expected)
  expect_equal(expected[2], sum(fixef(own) * c(1, 4)))
  for (type in c("conf_int", "pred_int")) {
    ours <- predict(fit, new, type = type, level = 0.8, std_error = TRUE)
    interval <- if (type == "conf_int") "confidence" else "prediction"
    theirs <- predict(own, new, interval = interval, level = 0.8, allow.new.levels = TRUE)
    expect_equal(as.matrix(ours[1:2]), theirs[, -1], ignore_attr = TRUE)
    width <- (ours$.pred_upper - ours$.pred_lower) / (2 * stats::qnorm(0.9))
    expect_equal(ours$.std_error, width)
  }
  population <- predict(fit, new, type = "raw", opts = list(re.form = NA))
  expect_equal(population, predict(own, new, re.form = NA))
})

test_that("arguments of the engine and case weights reach the fit", {
  skip_if_not_installed("parsnip")
  formula <- Reaction ~ Days + (Days | Subject)
  by_ml <- parsnip::fit(engine_of(parsnip::linear_reg(), REML = FALSE), formula, data = sleepstudy)
  expect_false(by_ml$fit$REML)
  skip_if_not_installed("hardhat")
  w <- rep(c(1, 2), 90)
  weighted <- parsnip::fit(engine_of(parsnip::linear_reg()), formula, data = sleepstudy,
                           case_weights = hardhat::importance_weights(w))
  expect_equal(fixef(weighted$fit), fixef(lmm(formula, sleepstudy, weights = w)))
})

test_that("logistic_reg() gives classes, probabilities and their intervals", {
  skip_if_not_installed("parsnip")
  d <- transform(cbpp, y = factor(ifelse(incidence > 1, "ill", "healthy")))
  formula <- y ~ period + size + (1 | herd)
  fit <- quietly(parsnip::fit(engine_of(parsnip::logistic_reg()), formula, data = d))
  own <- quietly(glmm(formula, d, binomial()))
  p <- unname(predict(own, d, type = "response"))
  expect_equal(predict(fit, d, type = "prob")$.pred_ill, p)
  expect_identical(predict(fit, d)$.pred_class, factor(ifelse(p >= 0.5, "ill", "healthy")))
  expect_equal(predict(fit, d, type = "linear_pred")$.pred_linear_pred, stats::qlogis(p))
  interval <- predict(fit, d, type = "conf_int")
  theirs <- predict(own, d, type = "response", interval = "confidence")
  expect_equal(interval$.pred_lower_ill, unname(theirs[, "lwr"]))
  expect_equal(interval$.pred_upper_healthy, unname(1 - theirs[, "lwr"]))
  probit <- engine_of(parsnip::logistic_reg(), family = stats::binomial("probit"), nAGQ = 3)
  expect_identical(quietly(parsnip::fit(probit, formula, data = d))$fit$family$link, "probit")
})

test_that("poisson_reg() fits counts, of other families too", {
  skip_if_not_installed("parsnip")
  formula <- incidence ~ period + (1 | herd)
  fit <- parsnip::fit(engine_of(parsnip::poisson_reg()), formula, data = cbpp)
  own <- glmm(formula, cbpp, poisson())
  expect_equal(predict(fit, cbpp)$.pred, unname(predict(own, cbpp, type = "response")))
  expect_named(predict(fit, cbpp, type = "conf_int"), c(".pred_lower", ".pred_upper"))
  other <- engine_of(parsnip::poisson_reg(), family = nbinom2())
  expect_identical(quietly(parsnip::fit(other, formula, data = cbpp))$fit$family$family, "nbinom2")
})

test_that("estimates and predictions for the population are those of lme4's engine", {
  skip_if_not_installed("parsnip")
  skip_if_not_installed("lme4")
  formula <- Reaction ~ Days + (Days | Subject)
  fit <- parsnip::fit(engine_of(parsnip::linear_reg()), formula, data = sleepstudy)
  reference <- lme4::lmer(formula, sleepstudy)
  expect_equal(predict(fit, sleepstudy)$.pred, unname(predict(reference)), tolerance = 1e-5)
  expect_equal(
    predict(fit, sleepstudy, type = "raw", opts = list(re.form = NA)),
    predict(reference, re.form = NA), tolerance = 1e-6, ignore_attr = TRUE
  )
})

test_that("workflows take the formula with the model", {
  skip_if_not_installed("parsnip")
  skip_if_not_installed("workflows")
  formula <- Reaction ~ Days + (Days | Subject)
  steps <- workflows::add_variables(workflows::workflow(), outcomes = "Reaction",
                                    predictors = c("Days", "Subject"))
  steps <- workflows::add_model(steps, engine_of(parsnip::linear_reg()), formula = formula)
  fit <- parsnip::fit(steps, sleepstudy)
  expect_equal(predict(fit, sleepstudy)$.pred, unname(fitted(lmm(formula, sleepstudy))))
})

test_that("registering twice changes nothing", {
  skip_if_not_installed("parsnip")
  before <- parsnip::get_from_env("linear_reg_predict")
  partialpool:::register_engines()
  expect_identical(parsnip::get_from_env("linear_reg_predict"), before)
})

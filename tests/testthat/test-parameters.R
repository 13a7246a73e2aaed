# The numbers of the parameters package for our fits are those for fits of lme4 to the same model.

herd_pair <- function() {
  formula <- cbind(incidence, size - incidence) ~ period + (1 | herd)
  list(
    ours = glmm(formula, cbpp, binomial),
    lme4 = lme4::glmer(formula, cbpp, binomial, control = lme4::glmerControl(
      optimizer = "bobyqa", tolPwrss = 1e-13, optCtrl = list(rhoend = 1e-10)
    ))
  )
}

# The columns of a table that hold numbers, in lme4's order of columns.
same_table <- function(f, pair, columns, tolerance = 1e-5) {
  tables <- lapply(pair, function(fit) {
    as.data.frame(suppressMessages(suppressWarnings(f(fit))))
  })
  expect_true(all(columns %in% names(tables$ours)))
  expect_equal(
    unname(as.list(tables$ours[columns])), unname(as.list(tables$lme4[columns])),
    tolerance = tolerance
  )
}

fixed_columns <- c("Parameter", "Coefficient", "SE", "CI_low", "CI_high", "df_error", "p")

test_that("the default table is that of summary()", {
  skip_if_not_installed("parameters")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  table <- parameters::model_parameters(fit, effects = "fixed")
  own <- coef(summary(fit))
  expect_equal(table$Coefficient, unname(own[, "Estimate"]))
  expect_equal(table$SE, unname(own[, "Std. Error"]))
  expect_equal(table$df_error, unname(own[, "df"]))
  expect_equal(table$t, unname(own[, "t value"]))
  expect_equal(table$p, unname(own[, "Pr(>|t|)"]))
  limits <- confint(fit, "beta_", method = "wald")
  expect_equal(table$CI_low, unname(limits[, 1L]))
})

test_that("tables by each method are those of lme4", {
  skip_if_not_installed("parameters")
  skip_if_not_installed("lme4")
  skip_if_not_installed("lmerTest")
  skip_if_not_installed("pbkrtest")
  pair <- lmm_pair()
  for (method in c("residual", "wald", "satterthwaite", "kenward", "normal", "ml1")) {
    columns <- if (method == "normal") setdiff(fixed_columns, "df_error") else fixed_columns
    same_table(function(fit) {
      parameters::model_parameters(fit, ci_method = method, effects = "fixed")
    }, pair, c(columns, "t"), 1e-4)
  }
  herds <- herd_pair()
  same_table(function(fit) parameters::model_parameters(fit, effects = "fixed"), herds,
    c(fixed_columns, "z"), 1e-4)
  same_table(function(fit) {
    parameters::model_parameters(fit, effects = "fixed", exponentiate = TRUE)
  }, herds, fixed_columns, 1e-4)
})

test_that("random effects have lme4's rows, and intervals of their own", {
  skip_if_not_installed("parameters")
  skip_if_not_installed("lme4")
  pair <- lmm_pair()
  whole <- function(fit) parameters::model_parameters(fit, ci_method = "residual")
  same_table(whole, pair, c("Parameter", "Coefficient", "Effects", "Group"))
  ours <- parameters::model_parameters(pair$ours, effects = "random")
  expect_equal(
    cbind(ours$CI_low, ours$CI_high)[c(1L, 3L, 2L, 4L), ],
    unname(confint(pair$ours, "theta_", method = "wald"))
  )
  expect_false(anyNA(ours$SE))
  none <- parameters::model_parameters(pair$ours, effects = "random", ci_random = FALSE)
  expect_true(is.null(none$CI_low) || all(is.na(none$CI_low)))
  levels <- function(fit) parameters::model_parameters(fit, effects = "random", group_level = TRUE)
  same_table(levels, pair, c("Parameter", "Level", "Coefficient", "SE", "CI_low"), 1e-4)
})

test_that("profile intervals are those of confint()", {
  skip_if_not_installed("parameters")
  fit <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
  table <- parameters::model_parameters(fit, ci_method = "profile")
  limits <- confint(fit)
  expect_equal(table$CI_high, unname(limits[c(3L, 4L, 1L, 2L), 2L]), tolerance = 1e-6)
})

test_that("the total coefficients are those of each group", {
  skip_if_not_installed("parameters", "0.25")
  skip_if_not_installed("lme4")
  same_table(function(fit) parameters::model_parameters(fit, effects = "total"), lmm_pair(),
    c("Group", "Level", "Parameter", "Coefficient"), 1e-4)
})

test_that("standard errors, p-values, intervals and degrees of freedom can be had alone", {
  skip_if_not_installed("parameters")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  own <- coef(summary(fit))
  expect_equal(parameters::standard_error(fit)$SE, unname(own[, "Std. Error"]))
  expect_equal(parameters::p_value(fit)$p, unname(own[, "Pr(>|t|)"]))
  kr <- coef(summary(fit, ddf = "kenward-roger"))
  expect_equal(parameters::p_value(fit, method = "kenward")$p, unname(kr[, "Pr(>|t|)"]))
  expect_equal(unname(parameters::dof_satterthwaite(fit)), unname(own[, "df"]))
  expect_equal(parameters::ci(fit, method = "normal")$CI_low,
    unname(own[, 1L] - qnorm(0.975) * own[, 2L]))
  random <- parameters::standard_error(fit, effects = "random")
  expect_equal(unname(random$Subject[, 1L]), as.data.frame(ranef(fit))$condsd[1:18])
})

test_that("robust standard errors are those of vcov()", {
  skip_if_not_installed("parameters")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  V <- vcov(fit, type = "sandwich", correction = "CR2")
  by_matrix <- parameters::model_parameters(fit, effects = "fixed", vcov = V)
  expect_equal(by_matrix$SE, unname(sqrt(diag(V))))
  expect_equal(by_matrix$t, by_matrix$Coefficient / by_matrix$SE)
  by_function <- parameters::standard_error(fit, vcov = function(x) V)
  expect_equal(by_function$SE, by_matrix$SE)
  expect_error(parameters::standard_error(fit, vcov = V[1L, 1L, drop = FALSE]),
    class = "partialpool_error_argument"
  )
})

test_that("models with several linear predictors have a row for each coefficient", {
  skip_if_not_installed("parameters")
  set.seed(5)
  d <- data.frame(g = gl(20, 15), x = rnorm(300))
  d$y <- rpois(300, exp(0.5 + 0.3 * d$x + rnorm(20)[d$g] / 3)) * rbinom(300, 1, 0.7)
  fit <- glmm(y ~ x + (1 | g), d, poisson, ziformula = ~x)
  expect_silent(table <- parameters::model_parameters(fit))
  expect_equal(table$Component, rep(c("conditional", "zero_inflated", "conditional"), c(2, 2, 1)))
  expect_equal(table$Coefficient[3:4], unname(fixef(fit, component = "zi")))
  expect_equal(table$SE[3:4], unname(sqrt(diag(vcov(fit, component = "zi")))))
  only <- parameters::model_parameters(fit, component = "zi", effects = "fixed")
  expect_equal(only$Coefficient, table$Coefficient[3:4])
})

test_that("standardised coefficients are those of lme4 for standardised data", {
  skip_if_not_installed("parameters")
  skip_if_not_installed("lme4")
  ours <- parameters::standardize_parameters(lmm(Reaction ~ Days + (Days | Subject), sleepstudy))
  scaled <- transform(sleepstudy, Reaction = c(scale(Reaction)), Days = c(scale(Days)))
  lme4 <- lme4::lmer(Reaction ~ Days + (Days | Subject), scaled)
  expect_equal(ours$Std_Coefficient, unname(nlme::fixef(lme4)), tolerance = 1e-5)
  # Nothing is looked up where the fit was made.
  made <- local({
    formula <- Reaction ~ Days + (Days | Subject)
    data <- sleepstudy
    lmm(formula, data)
  })
  again <- parameters::standardize_parameters(made)
  expect_equal(again$Std_Coefficient, ours$Std_Coefficient, tolerance = 1e-6)
})

test_that("bootstrap and simulation give tables of the fixed effects", {
  skip_if_not_installed("parameters")
  fit <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
  set.seed(2)
  draws <- parameters::bootstrap_model(fit, iterations = 10)
  expect_named(draws, c("(Intercept)", "Days"))
  expect_equal(nrow(draws), 10L)
  table <- parameters::model_parameters(fit, bootstrap = TRUE, iterations = 30)
  expect_equal(table$Coefficient, unname(fixef(fit)), tolerance = 0.1)
  simulated <- parameters::simulate_parameters(fit, iterations = 200)
  expect_equal(simulated$Coefficient, unname(fixef(fit)), tolerance = 0.1)
})

test_that("tests of equivalence have the degrees of freedom of summary()", {
  skip_if_not_installed("parameters", "0.25")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  found <- parameters::equivalence_test(fit, range = c(-10, 10))
  expect_equal(found$CI_low, unname(confint(fit, c("(Intercept)", "Days"), 0.9, "wald")[, 1L]))
  row <- coef(summary(fit))["Days", ]
  upper <- pt((10 + row[[1L]]) / row[[2L]], row[["df"]], lower.tail = FALSE)
  expect_equal(found$p[2L], pt((row[[1L]] - 10) / row[[2L]], row[["df"]]) + upper)
})

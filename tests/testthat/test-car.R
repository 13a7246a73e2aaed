# The numbers of car for lme4, at the same theta: neither depends on how far an optimiser got.
lmer_at <- function(formula, data, fit, ...) {
  suppressMessages(lme4::lmer(formula, data, ...,
    start = unname(fit$theta), REML = fit$REML,
    control = lme4::lmerControl(optimizer = NULL, calc.derivs = FALSE)
  ))
}

cake <- function() lme4::cake

# Without the heading, which differs between releases of car.
plain <- function(table) structure(as.data.frame(table), heading = NULL)

test_that("Anova() gives car's tables for lme4", {
  skip_if_not_installed("car", "3.1.1")
  skip_if_not_installed("lme4")
  skip_if_not_installed("pbkrtest")
  formulas <- list(
    angle ~ recipe * temperature + (1 | recipe:replicate),
    angle ~ recipe + temp + (temp | replicate),
    angle ~ 0 + recipe * temp + (1 | replicate),
    angle ~ recipe * poly(temp, 2) + I(2 * temp) + (1 | replicate) # two columns are dropped
  )
  for (f in formulas) {
    fit <- suppressMessages(lmm(f, cake()))
    m <- lmer_at(f, cake(), fit)
    for (type in c("II", "III")) {
      for (test in c("Chisq", "F")) {
        ours <- car::Anova(fit, type = type, test.statistic = test)
        theirs <- car::Anova(m, type = type, test.statistic = test)
        # car counts 0 denominator df for a term without columns, which has none.
        if (test == "F") theirs$Df.res[theirs$Df == 0] <- NA
        expect_equal(as.data.frame(ours), as.data.frame(theirs), tolerance = 1e-5)
        expect_identical(attr(ours, "heading"), attr(theirs, "heading"))
      }
    }
  }
})

test_that("Anova() follows contrasts, weights and a covariance of the user", {
  skip_if_not_installed("car", "3.1.1")
  skip_if_not_installed("lme4")
  data <- transform(cake(), w = 1 + as.integer(replicate) %% 3)
  f <- angle ~ recipe * temp + (1 | replicate)
  contrasts <- list(recipe = "contr.sum")
  fit <- lmm(f, data, weights = w, contrasts = contrasts)
  m <- suppressMessages(lme4::lmer(f, data,
    weights = w, contrasts = contrasts, start = unname(fit$theta),
    control = lme4::lmerControl(optimizer = NULL, calc.derivs = FALSE)
  ))
  expect_equal(as.data.frame(car::Anova(fit, 3)), as.data.frame(car::Anova(m, 3)),
    tolerance = 1e-6
  )
  V <- 2 * vcov(fit)
  expect_equal(car::Anova(fit, vcov. = V)$Chisq, car::Anova(fit)$Chisq / 2)
  expect_equal(
    car::Anova(fit, vcov. = function(x, ...) V)$Chisq,
    suppressMessages(car::Anova(m, vcov. = V))$Chisq, tolerance = 1e-6
  )
  expect_warning(car::Anova(fit, test = "F", vcov. = V), class = "partialpool_warning_argument")
})

test_that("Anova() takes our degrees of freedom", {
  skip_if_not_installed("car", "3.1.1")
  ml <- lmm(angle ~ recipe + temp + (1 | replicate), lme4::cake, REML = FALSE)
  table <- car::Anova(ml, test = "F")
  expect_match(attr(table, "heading")[1L], "Satterthwaite")
  expect_equal(table$Df.res, anova(ml, type = 2)$DenDF, tolerance = 1e-6)
  # Without random effects: car's own table of a linear model.
  linear <- suppressMessages(lmm(angle ~ recipe * temp, lme4::cake))
  of_lm <- car::Anova(lm(angle ~ recipe * temp, lme4::cake))
  expect_equal(car::Anova(linear, test = "F")$F, of_lm[["F value"]][1:3])
  expect_equal(car::Anova(linear, test = "F")$Df.res, rep(of_lm$Df[4L], 3L))
  only <- lmm(angle ~ 1 + (1 | replicate), lme4::cake)
  expect_identical(nrow(car::Anova(only)), 0L)
  expect_identical(row.names(car::Anova(only, 3)), "(Intercept)")
})

test_that("Anova() of a generalised model is that of car for lme4", {
  skip_if_not_installed("car", "3.1.1")
  skip_if_not_installed("lme4")
  f <- cbind(incidence, size - incidence) ~ period * I(size > 10) + (1 | herd)
  fit <- glmm(f, cbpp, binomial)
  m <- lme4::glmer(f, lme4::cbpp, binomial, control = lme4::glmerControl(
    optimizer = "bobyqa", tolPwrss = 1e-10, optCtrl = list(rhoend = 1e-9)
  ))
  # The standard errors of lme4 are by finite differences.
  for (type in 2:3) {
    expect_equal(as.data.frame(car::Anova(fit, type)), as.data.frame(car::Anova(m, type)),
      tolerance = 2e-4
    )
  }
  expect_equal(car::vif(fit), car::vif(m), tolerance = 2e-4)
  expect_equal(car::Confint(fit), car::Confint(m), tolerance = 2e-4)
  expect_error(car::Anova(fit, test = "F"), class = "partialpool_error_argument")
  expect_error(car::Anova(fit, type = 1), class = "partialpool_error_argument")
})

test_that("linearHypothesis() gives car's numbers and heading", {
  skip_if_not_installed("car", "3.1.1")
  skip_if_not_installed("lme4")
  skip_if_not_installed("pbkrtest")
  f <- angle ~ recipe * temp + (1 | replicate)
  fit <- lmm(f, cake())
  m <- lmer_at(f, cake(), fit)
  h <- c("recipeB = 0", "temp = 0.1 + recipeC")
  ours <- car::linearHypothesis(fit, h)
  expect_equal(plain(ours), plain(car::linearHypothesis(m, h)), tolerance = 1e-6)
  expect_identical(attr(ours, "heading")[2:3], c("recipeB = 0", "- recipeC  + temp = 0.1"))
  names <- car::matchCoefs(fit, "recipe")
  expect_identical(names, car::matchCoefs(m, "recipe"))
  for (test in c("Chisq", "F")) {
    expect_equal(
      plain(car::linearHypothesis(fit, names, test = test)),
      plain(car::linearHypothesis(m, names, test = test)), tolerance = 1e-6
    )
  }
  # car forgets `rhs` of a matrix for a fit of lme4.
  L <- rbind(c(0, 1, 1, 0, 0, 0))
  expect_equal(
    car::linearHypothesis(fit, L, rhs = 1)$Chisq[2L],
    attr(linear_hypothesis(fit, L, rhs = 1, test = "Chisq"), "joint")$statistic
  )
  satterthwaite <- car::linearHypothesis(fit, "temp", test = "F", ddf = "satterthwaite")
  expect_equal(satterthwaite$F[2L], summary(fit)$coefficients["temp", "t value"]^2)
  expect_output(car::linearHypothesis(fit, L, verbose = TRUE), "Hypothesis matrix")
  expect_error(car::linearHypothesis(fit, diag(2)), class = "partialpool_error_argument")
})

test_that("deltaMethod(), vif(), Confint() and S() work", {
  skip_if_not_installed("car", "3.1.1")
  skip_if_not_installed("lme4")
  f <- angle ~ recipe * temp + (1 | replicate)
  fit <- lmm(f, cake())
  m <- lmer_at(f, cake(), fit)
  expect_equal(
    as.data.frame(car::deltaMethod(fit, "temp / recipeB")),
    as.data.frame(car::deltaMethod(m, "temp / recipeB")), tolerance = 1e-6
  )
  b <- paste0("b", 0:5)
  expect_equal(
    as.data.frame(car::deltaMethod(fit, "b1 / b3^2", parameterNames = b)),
    as.data.frame(car::deltaMethod(m, "b1 / b3^2", parameterNames = b)), tolerance = 1e-6
  )
  expect_equal(car::vif(fit), car::vif(m), tolerance = 1e-6)
  # car takes normal quantiles; ours are those of Satterthwaite's t, unless they are turned off.
  expect_equal(car::Confint(fit, ddf = "none"), car::Confint(m), tolerance = 1e-6)
  expect_equal(car::Confint(fit)[, -1L], confint(fit, names(coef(fit)), method = "wald"))
  expect_output(print(car::S(fit)), "Fixed effects")
  expect_equal(car::S(fit, KR = TRUE)$coefficients,
    summary(fit, ddf = "kenward-roger")$coefficients
  )
  expect_error(car::Boot(fit, R = 3), class = "partialpool_error_argument")
})

test_that("a kernel model has no terms to test", {
  skip_if_not_installed("car", "3.1.1")
  K <- exp(-as.matrix(dist(1:20)) / 5)
  fit <- kernel_lmm(sin(1:20), cbind(x = 1:20), K)
  expect_error(car::Anova(fit), class = "partialpool_error_argument")
  expect_equal(car::Confint(fit)[, -1L], confint(fit)[1L, ])
  test <- car::linearHypothesis(fit, "x")
  expect_equal(test$Chisq[2L], unname(coef(fit)["x"]^2 / vcov(fit)["x", "x"]))
})

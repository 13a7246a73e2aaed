formulas <- list(Reaction ~ Days + (Days | Subject), Reaction ~ Days + (1 | Subject))

cells <- function(fits, ...) {
  suppressWarnings(modelsummary::modelsummary(fits, output = "data.frame", ...))
}

test_that("modelsummary() by broom gives what it gives for lmerTest's fits", {
  skip_if_not_installed("modelsummary")
  skip_if_not_installed("broom.mixed")
  skip_if_not_installed("lmerTest")
  withr::local_options(modelsummary_get = "broom")
  loadNamespace("broom.mixed")
  ours <- lapply(formulas, lmm, data = sleepstudy)
  control <- lme4::lmerControl(optCtrl = list(xtol_abs = 1e-12, ftol_abs = 1e-14))
  theirs <- lapply(formulas, lmerTest::lmer, data = sleepstudy, control = control)
  for (statistic in c("std.error", "p.value")) {
    table <- function(fits) cells(fits, statistic = statistic, gof_omit = "REMLcrit", fmt = 2)
    expect_identical(table(ours), table(theirs))
  }
  expect_true(any(grepl("237.007, 265.804", unlist(cells(ours, statistic = "conf.int")))))
})

test_that("modelsummary() as it comes has the coefficients with their standard errors", {
  skip_if_not_installed("modelsummary")
  ours <- lapply(formulas, lmm, data = sleepstudy)
  table <- cells(ours, stars = TRUE)
  expect_identical(table[table$term == "Days", ][["(1)"]][1:2], c("10.467***", "(1.546)"))
  gm <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
  table <- cells(list(gm), exponentiate = TRUE, statistic = NULL)
  expect_identical(table[table$term == "period2", ][["(1)"]], "0.371")
})

test_that("texreg makes its table from the tidied fit", {
  skip_if_not_installed("texreg")
  skip_if_not_installed("broom")
  fit <- lmm(formulas[[1L]], sleepstudy)
  table <- suppressWarnings(texreg::extract(fit))
  expect_equal(table@coef[1:2], unname(fixef(fit)))
  expect_equal(table@pvalues[1:2], unname(coef(summary(fit))[, "Pr(>|t|)"]))
  expect_equal(table@gof[table@gof.names == "AIC"], AIC(fit))
})

test_that("glance() has broom.mixed's columns and numbers for lme4", {
  skip_if_not_installed("broom.mixed")
  skip_if_not_installed("lme4")
  control <- lme4::lmerControl(optCtrl = list(xtol_abs = 1e-12, ftol_abs = 1e-14))
  for (reml in c(TRUE, FALSE)) {
    ours <- glance(lmm(Reaction ~ Days + (Days | Subject), sleepstudy, REML = reml))
    theirs <- broom.mixed::glance(
      lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy, REML = reml, control = control)
    )
    expect_identical(names(ours), names(theirs))
    expect_equal(ours, theirs, tolerance = 1e-5, ignore_attr = TRUE)
  }
  ours <- glance(glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial))
  theirs <- broom.mixed::glance(
    lme4::glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), lme4::cbpp, binomial)
  )
  expect_identical(names(ours), names(theirs))
  expect_equal(ours, theirs, tolerance = 1e-4, ignore_attr = TRUE)
})

test_that("fits without a likelihood or with several traits have a row", {
  quasi <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial,
    method = "pql"
  )
  row <- expect_silent(glance(quasi))
  expect_true(is.na(row$AIC))
  expect_equal(row$deviance, deviance(quasi))
  d <- kernel_data()
  row <- glance(suppressMessages(kernel_lmm(d$y, d$X, d$K)))
  expect_identical(names(row)[6:9], c("REMLcrit", "df.residual", "scale", "delta"))
  both <- suppressMessages(kernel_lmm(cbind(a = d$y, b = rev(d$y)), d$X, d$K))
  expect_identical(nrow(glance(both)), 1L)
})

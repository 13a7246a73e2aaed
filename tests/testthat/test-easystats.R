# Packages that stand on insight and parameters: report, effectsize, modelbased.

test_that("report() writes what it writes of lme4's fits, with our degrees of freedom", {
  skip_if_not_installed("report")
  fit <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
  text <- paste(utils::capture.output(print(report::report(fit))), collapse = " ")
  text <- gsub("\\s+", " ", text)
  expect_match(text, "We fitted a linear mixed model (estimated using REML", fixed = TRUE)
  expect_match(text, "conditional R2 = 0.70", fixed = TRUE)
  expect_match(text, "beta = 10.47, 95% CI [8.88, 12.06], t(161.00) = 13.02", fixed = TRUE)
  table <- report::report_table(fit)
  expect_true("AIC" %in% table$Parameter)
})

test_that("effect sizes are those of lmerTest", {
  skip_if_not_installed("effectsize")
  skip_if_not_installed("lmerTest")
  days <- transform(sleepstudy, Days = factor(Days))
  fit <- lmm(Reaction ~ Days + (1 | Subject), days)
  peer <- lmerTest::lmer(Reaction ~ Days + (1 | Subject), days)
  own <- effectsize::eta_squared(anova(fit), verbose = FALSE)
  theirs <- effectsize::eta_squared(stats::anova(peer), verbose = FALSE)
  expect_equal(own$Eta2_partial, theirs$Eta2_partial, tolerance = 1e-5)
  expect_equal(own$CI_low, theirs$CI_low, tolerance = 1e-5)
})

test_that("group levels are the conditional modes", {
  skip_if_not_installed("modelbased")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  levels <- as.data.frame(modelbased::estimate_grouplevel(fit))
  modes <- as.data.frame(ranef(fit))
  at <- match(paste(levels$Level, levels$Parameter), paste(modes$grp, modes$term))
  expect_equal(levels$Coefficient, modes$condval[at])
  expect_equal(levels$SE, modes$condsd[at])
})

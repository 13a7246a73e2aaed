p <- probe()

test_that("row 24: effects over the total standard deviation, and beta weights", {
  fit <- quietly(lmm(finn_formula, finn_factors()))
  table <- effects_table(fit, coding = "fitted", standardise = "total")
  expect_equal(table$std.estimate[1:4],
    c(0.318650847024, -0.008688057371, 0.014510513119, -0.005792158983),
    tolerance = 1e-9
  )
  table <- effects_table(fit, coding = "fitted", standardise = "sd")
  expect_equal(table$std.estimate,
    c(0.157311590947, -0.004289036022, 0.014443745400, -0.004101604966, 0),
    tolerance = 1e-8
  )
})

test_that("the total standard deviation counts slopes and weights", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  Z <- cbind(1, sleepstudy$Days)
  V <- sum(diag(Z %*% VarCorr(fit)$Subject %*% t(Z))) / 180 + sigma(fit)^2
  table <- effects_table(fit, standardise = "total")
  expect_equal(table$std.estimate, table$estimate / sqrt(V), tolerance = 1e-10)
  # weights that are all equal change nothing
  heavy <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy, weights = rep(4, 180))
  expect_equal(effects_table(heavy, standardise = "total")$std.estimate, table$std.estimate,
    tolerance = 1e-6
  )
})

test_that("standardised effects do not depend on units", {
  fit <- lmm(y ~ B + x + (1 | g), p)
  scaled <- lmm(y ~ B + x + (1 | g), transform(p, y = 1e3 * y, x = x / 100))
  sd <- function(fit) effects_table(fit, standardise = "sd")$std.estimate
  expect_equal(sd(scaled), sd(fit), tolerance = 1e-8)
  total <- function(fit) effects_table(fit, standardise = "total")$std.estimate[1:3]
  expect_equal(total(scaled), total(fit), tolerance = 1e-8)
})

test_that("what has no column of its own has no beta weight", {
  table <- effects_table(lmm(y ~ B + x + (1 | g), p), standardise = "sd", levels = "pairwise")
  expect_equal(is.na(table$std.estimate), c(FALSE, FALSE, FALSE, TRUE, FALSE, FALSE))
})

test_that("generalised models are standardised on the scale of the link", {
  fit <- glmm(yb ~ A + x + (1 | g), p, binomial())
  table <- effects_table(fit, standardise = "total")
  total <- sqrt(VarCorr(fit)$g[1] + pi^2 / 3)
  expect_equal(table$std.estimate, table$estimate / total, tolerance = 1e-12)
})

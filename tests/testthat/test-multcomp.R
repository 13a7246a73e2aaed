# Simultaneous tests of multcomp: the numbers that it has for lme4.

glht_table <- function(fit, ...) {
  test <- summary(multcomp::glht(fit, ...), test = multcomp::adjusted("holm"))$test
  unname(cbind(test$coefficients, test$sigma, test$tstat, test$pvalues))
}

oven_fits <- function() {
  d <- lme4::cake
  d$batch <- interaction(d$recipe, d$replicate)
  control <- lme4::lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10))
  formula <- angle ~ recipe + temperature + (1 | batch)
  list(lmm(formula, d), lme4::lmer(formula, d, control = control))
}

test_that("glht() with mcp(), a matrix, text, emm(); normal and t quantiles", {
  skip_if_not_installed("multcomp")
  skip_if_not_installed("lme4")
  fits <- oven_fits()
  expect_same <- function(...) {
    expect_equal(glht_table(fits[[1L]], ...), glht_table(fits[[2L]], ...), tolerance = 1e-6)
  }
  expect_same(linfct = multcomp::mcp(recipe = "Tukey", temperature = "Dunnett"))
  expect_same(linfct = multcomp::mcp(recipe = "Tukey"), df = 40)
  expect_same(linfct = c("recipeB = 0", "recipeB - recipeC = 1"))
  expect_same(linfct = diag(8L)[2:3, ])
  tested <- multcomp::glht(fits[[1L]], multcomp::mcp(recipe = "Tukey"))
  ours <- linear_hypothesis(fits[[1L]], tested$linfct, ddf = "none")
  expect_equal(summary(tested, test = multcomp::adjusted("none"))$test$pvalues, ours$p.value,
               ignore_attr = TRUE)
  skip_if_not_installed("emmeans", "1.8.4")
  # It takes the degrees of freedom of emmeans, and says so.
  suppressMessages(expect_same(linfct = emmeans::emm(pairwise ~ recipe)))
})

test_that("intervals and letters", {
  skip_if_not_installed("multcomp")
  skip_if_not_installed("lme4")
  fits <- lapply(oven_fits(), multcomp::glht, linfct = multcomp::mcp(temperature = "Tukey"))
  intervals <- function(tested) withr::with_seed(1, unname(confint(tested)$confint[, 1:3]))
  expect_equal(intervals(fits[[1L]]), intervals(fits[[2L]]), tolerance = 1e-6)
  letters_of <- function(tested) withr::with_seed(1, multcomp::cld(summary(tested)))
  expect_equal(letters_of(fits[[1L]])$mcletters$Letters, letters_of(fits[[2L]])$mcletters$Letters)
})

test_that("a robust covariance, generalised models, kernel models", {
  skip_if_not_installed("multcomp")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  robust <- function(fit) vcov(fit, type = "sandwich")
  tested <- multcomp::glht(fit, "Days = 0", vcov. = robust)
  expect_equal(sqrt(vcov(tested)[1L, 1L]), sqrt(robust(fit)["Days", "Days"]))
  general <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
  table <- glht_table(general, linfct = multcomp::mcp(period = "Dunnett"))
  expect_equal(table[, 1:3], unname(summary(general)$coefficients[-1L, 1:3]))
  y <- sin((1:20)^2)
  K <- exp(-as.matrix(dist(1:20)) / 5)
  kernel <- suppressMessages(kernel_lmm(y, cbind(one = 1, x = 1:20), K))
  tested <- multcomp::glht(kernel, "x = 0")
  expect_equal(unname(coef(tested)), coef(kernel)[["x"]])
})

test_that("mcp() takes a variable of text, as lme4's frame has it", {
  skip_if_not_installed("multcomp")
  skip_if_not_installed("lme4")
  d <- transform(lme4::cake, text = as.character(recipe))
  fits <- list(
    lmm(angle ~ text + temp + (1 | replicate), d),
    lme4::lmer(angle ~ text + temp + (1 | replicate), d)
  )
  pairs <- multcomp::mcp(text = "Tukey")
  expect_equal(glht_table(fits[[1L]], pairs), glht_table(fits[[2L]], pairs), tolerance = 1e-4)
})

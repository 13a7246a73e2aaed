test_that("lme4::bootMer() draws and fits as for lme4", {
  skip_if_not_installed("lme4")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  m <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  ours <- lme4::bootMer(fit, fixef, nsim = 10, seed = 1)
  # The same draws, as far as the two optima agree.
  expect_equal(ours$t, lme4::bootMer(m, lme4::fixef, nsim = 10, seed = 1)$t, tolerance = 1e-4)
  expect_identical(attr(ours, "bootFail"), 0L)
  given <- lme4::bootMer(fit, sigma, nsim = 2, use.u = TRUE, type = "semiparametric")
  expect_length(given$t, 2L)
  general <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
  drawn <- lme4::bootMer(general, function(x) lme4::getME(x, "theta"), nsim = 2, seed = 1)
  expect_equal(dim(drawn$t), c(2L, 1L))
})

test_that("simulate() takes parameters, as lme4's", {
  skip_if_not_installed("lme4")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  m <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  new <- list(theta = c(2, 0.1, 0.5), beta = c(100, 3), sigma = 5)
  for (re.form in list(NA, NULL)) {
    theirs <- suppressMessages(simulate(m, newparams = new, seed = 1, re.form = re.form))
    ours <- simulate(fit, newparams = new, seed = 1, re.form = re.form)
    expect_equal(ours$sim_1, theirs$sim_1, tolerance = 1e-4)
  }
  structured <- lmm(Reaction ~ Days + ar1(0 + factor(Days) | Subject), sleepstudy)
  same <- list(theta = structured$theta, beta = fixef(structured), sigma = sigma(structured))
  expect_equal(simulate(structured, seed = 1, newparams = same), simulate(structured, seed = 1))
  expect_error(simulate(fit, newparams = list(beta = 1)), class = "partialpool_error_argument")
  expect_error(simulate(fit, newparams = list(bet = 1)), class = "partialpool_error_argument")
})

test_that("vcov(complete = TRUE) shows the columns that were dropped", {
  fit <- suppressMessages(lmm(Reaction ~ Days + I(2 * Days) + (1 | Subject), sleepstudy))
  V <- vcov(fit, complete = TRUE)
  expect_identical(rownames(V), names(fixef(fit, add.dropped = TRUE)))
  expect_equal(V[1:2, 1:2], vcov(fit))
  expect_true(all(is.na(V[3L, ])))
})

test_that("car::compareCoefs() and lmerTest::show_tests() run", {
  skip_if_not_installed("car", "3.1.1")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  table <- car::compareCoefs(fit, update(fit, . ~ . - Days), print = FALSE)
  expect_equal(table[, "SE 1"], sqrt(diag(vcov(fit))), ignore_attr = TRUE)
  skip_if_not_installed("lmerTest")
  expect_equal(lmerTest::show_tests(anova(fit))$Days, rbind(c(0, 1)), ignore_attr = TRUE)
})

test_that("ranova() of either package serves either fit", {
  skip_if_not_installed("lmerTest")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_equal(ranova(fit, reduce.terms = FALSE), ranova(fit, reduce_terms = FALSE))
  m <- lmerTest::lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  expect_equal(ranova(m)$LRT, ranova(fit)$LRT, tolerance = 1e-5)
})

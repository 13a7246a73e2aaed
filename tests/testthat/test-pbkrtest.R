# lme4's fits at our theta, so that the numbers are those of the same model.
lmer_at <- function(formula, fit, data = lme4::sleepstudy) {
  suppressWarnings(suppressMessages(lme4::lmer(formula, data,
    start = unname(fit$theta), control = lme4::lmerControl(optimizer = NULL, calc.derivs = FALSE)
  )))
}

large_formula <- Reaction ~ Days + I(Days^2) + (Days | Subject)
small_formula <- Reaction ~ 1 + (Days | Subject)

test_that("KRmodcomp() gives the numbers of pbkrtest for lme4", {
  skip_if_not_installed("pbkrtest", "0.5.2")
  skip_if_not_installed("lme4")
  large <- lmm(large_formula, sleepstudy)
  small <- lmm(small_formula, sleepstudy)
  m <- lmer_at(large_formula, large)
  ours <- pbkrtest::KRmodcomp(large, small)
  theirs <- pbkrtest::KRmodcomp(m, lmer_at(small_formula, small))
  expect_equal(ours$test, theirs$test, tolerance = 1e-6)
  expect_equal(pbkrtest::getKR(ours, "ddf"), theirs$stats$ddf, tolerance = 1e-6)
  expect_output(print(ours), "F.scaling")
  expect_output(summary(ours), "Kenward-Roger")
  # the smaller one first, as a formula, and as a restriction
  expect_equal(pbkrtest::KRmodcomp(small, large)$test, ours$test)
  expect_equal(pbkrtest::KRmodcomp(large, . ~ . - Days - I(Days^2))$test, ours$test)
  expect_equal(pbkrtest::KRmodcomp(large, diag(3)[2:3, ])$test, ours$test)
  at <- c(0, 10, 0)
  expect_equal(
    pbkrtest::KRmodcomp(large, rbind(c(0, 1, 1)), betaH = at)$test,
    pbkrtest::KRmodcomp(m, rbind(c(0, 1, 1)), betaH = at)$test, tolerance = 1e-6
  )
  # A fit by ML is fitted again by REML, as there.
  ml <- lmm(large_formula, sleepstudy, REML = FALSE)
  expect_equal(pbkrtest::KRmodcomp(ml, small)$test, ours$test, tolerance = 1e-6)
})

test_that("SATmodcomp() gives the numbers of pbkrtest for lme4", {
  skip_if_not_installed("pbkrtest", "0.5.2")
  skip_if_not_installed("lme4")
  large <- lmm(large_formula, sleepstudy)
  small <- lmm(small_formula, sleepstudy)
  # It evaluates the call again; the derivatives there are by finite differences.
  tight <- lme4::lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10))
  of_lme4 <- function(f) eval(bquote(lme4::lmer(.(f), lme4::sleepstudy, control = .(tight))))
  ours <- pbkrtest::SATmodcomp(large, small)
  theirs <- pbkrtest::SATmodcomp(of_lme4(large_formula), of_lme4(small_formula))
  expect_equal(ours$test[1:3], theirs$test[1:3], tolerance = 1e-5)
  expect_equal(pbkrtest::getSAT(ours, "ddf"), theirs$test$ddf, tolerance = 1e-5)
  expect_output(print(ours), "statistic")
})

test_that("vcovAdj() has what the functions for degrees of freedom need", {
  skip_if_not_installed("pbkrtest", "0.5.2")
  skip_if_not_installed("lme4")
  fit <- lmm(large_formula, sleepstudy)
  m <- lmer_at(large_formula, fit)
  adjusted <- pbkrtest::vcovAdj(fit)
  theirs <- pbkrtest::vcovAdj(m)
  expect_equal(as.matrix(adjusted), as.matrix(theirs), tolerance = 1e-6, ignore_attr = TRUE)
  expect_equal(dimnames(adjusted), dimnames(vcov(fit)))
  l <- c(1, 2, 4)
  expect_equal(pbkrtest::ddf_Lb(adjusted, l, vcov(fit)), pbkrtest::ddf_Lb(theirs, l, vcov(m)),
    tolerance = 1e-6
  )
  expect_equal(pbkrtest::Lb_ddf(l, vcov(fit), adjusted), pbkrtest::get_Lb_ddf(m, l),
    tolerance = 1e-6
  )
  L <- rbind(c(0, 1, 0), c(0, 0, 1))
  for (contrast in list(l, L)) {
    expect_equal(pbkrtest::get_Lb_ddf(fit, contrast), pbkrtest::get_Lb_ddf(m, contrast),
      tolerance = 1e-6
    )
  }
})

test_that("models and restrictions turn into each other", {
  skip_if_not_installed("pbkrtest", "0.5.2")
  large <- lmm(large_formula, sleepstudy)
  small <- lmm(small_formula, sleepstudy)
  L <- pbkrtest::model2restriction_matrix(large, small)
  expect_equal(crossprod(L), diag(c(0, 1, 1)))
  expect_s4_class(pbkrtest::model2restriction_matrix(large, small, sparse = TRUE), "Matrix")
  back <- pbkrtest::restriction_matrix2model(large, L)
  # Restricted likelihoods depend on the coding: compare the others.
  expect_equal(logLik(update(small, REML = FALSE)),
    logLik(pbkrtest::restriction_matrix2model(large, L, REML = FALSE)), tolerance = 1e-8
  )
  expect_equal(fitted(back), fitted(small), tolerance = 1e-6)
  other <- lmm(Reaction ~ sin(Days) + (1 | Subject), sleepstudy)
  expect_error(pbkrtest::KRmodcomp(large, other), class = "partialpool_error_argument")
  expect_error(pbkrtest::KRmodcomp(large, diag(2)), class = "partialpool_error_argument")
})

test_that("PBmodcomp() is our bootstrap in its class", {
  skip_if_not_installed("pbkrtest", "0.5.2")
  large <- lmm(large_formula, sleepstudy)
  small <- lmm(small_formula, sleepstudy)
  ratio <- pbkrtest::getLRT(large, small)
  expect_equal(ratio[["tobs"]], anova(small, large)$Chisq[2L], tolerance = 1e-6)
  result <- pbkrtest::PBmodcomp(large, small, nsim = 20, seed = 1)
  expect_s3_class(result, "PBmodcomp")
  own <- bootstrap_test(
    update(small, REML = FALSE), update(large, REML = FALSE), nsim = 20, seed = 1
  )
  expect_equal(result$test["PBtest", "p.value"], own$p.value)
  expect_equal(sort(as.numeric(result$ref)), sort(as.numeric(own$bootstrap$t)), tolerance = 1e-6)
  expect_output(print(summary(result)), "Bartlett")
  general <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
  result <- pbkrtest::PBmodcomp(general, update(general, . ~ . - period), nsim = 5, seed = 1)
  expect_identical(result$test$df[1L], 3)
  result <- pbkrtest::PBmodcomp(general, diag(4)[2:4, ], nsim = 5, seed = 1)
  expect_equal(result$test$stat[1L], 25.61, tolerance = 1e-3)
  expect_error(pbkrtest::KRmodcomp(general, diag(4)[2:4, ]), class = "partialpool_error_argument")
})

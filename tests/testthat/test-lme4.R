test_that("lme4's questions about a fit have answers", {
  skip_if_not_installed("lme4")
  fit <- lmm(Reaction ~ Days + (Days || Subject), sleepstudy)
  general <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
  expect_true(lme4::isLMM(fit))
  expect_false(lme4::isGLMM(fit))
  expect_true(lme4::isGLMM(general))
  expect_false(lme4::isLMM(general))
  expect_false(lme4::isNLMM(fit))
  expect_true(lme4::isREML(fit))
  expect_false(lme4::isREML(general))
  expect_identical(lme4::ngrps(fit), c(Subject = 18L))
  expect_identical(lme4::fixef(fit), coef(fit))
  expect_s3_class(lme4::VarCorr(fit), "VarCorr.pp_fit")
  K <- exp(-as.matrix(dist(1:20)) / 5)
  kernel <- suppressMessages(kernel_lmm(sin(1:20), cbind(x = 1:20), K))
  expect_true(lme4::isLMM(kernel))
  expect_false(lme4::isGLMM(kernel))
})

test_that("refitML(), refit() and rePCA() give lme4's numbers", {
  skip_if_not_installed("lme4")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  m <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  ml <- lme4::refitML(fit)
  expect_false(ml$REML)
  expect_equal(logLik(ml), logLik(lme4::refitML(m)), tolerance = 1e-7, ignore_attr = TRUE)
  y <- rev(sleepstudy$Reaction)
  expect_equal(fixef(lme4::refit(fit, y)), lme4::fixef(lme4::refit(m, y)), tolerance = 1e-5)
  ours <- lme4::rePCA(fit)
  expect_equal(ours$Subject$sdev, lme4::rePCA(m)$Subject$sdev, tolerance = 1e-4)
  expect_output(print(summary(ours)), "Proportion of Variance")
  # The columns of a `||` belong to one factor.
  double <- lme4::rePCA(lmm(Reaction ~ Days + (Days || Subject), sleepstudy))
  expect_length(double$Subject$sdev, 2L)
})

test_that("lattice has lme4's pictures", {
  skip_if_not_installed("lattice")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  general <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
  pictures <- c(
    lattice::dotplot(ranef(fit)), lattice::dotplot(ranef(fit, condVar = FALSE)),
    lattice::dotplot(ranef(general), transf = exp), lattice::qqmath(ranef(fit)),
    lattice::dotplot(coef(fit, "group"))
  )
  expect_named(pictures, c("Subject", "Subject", "herd", "Subject", "Subject"))
  pictures <- c(pictures, list(lattice::qqmath(fit), lattice::qqmath(general)))
  withr::with_pdf(NULL, for (picture in pictures) {
    expect_s3_class(picture, "trellis")
    expect_no_error(print(picture))
  })
})

test_that("nlme's generics answer from what is stored", {
  make <- function() {
    gone <- sleepstudy
    lmm(Reaction ~ Days + (Days | Subject), gone)
  }
  fit <- make()
  m <- nlme::lme(Reaction ~ Days, sleepstudy, ~ Days | Subject)
  expect_equal(nlme::getGroups(fit), sleepstudy$Subject, ignore_attr = TRUE)
  expect_equal(nlme::getData(fit)$Days, sleepstudy$Days)
  expect_equal(unname(nlme::getResponse(fit)), sleepstudy$Reaction)
  nested <- lmm(strength ~ 1 + (1 | batch / cask), lme4::Pastes)
  expect_named(nlme::getGroups(nested, level = 1:2), c("cask:batch", "batch"))
  expect_identical(nlevels(nlme::getGroups(nested, level = "batch")), 10L)
  expect_error(nlme::getGroups(nested, level = 3), class = "partialpool_error_argument")
  # lme()'s optimum has about five digits.
  expect_equal(nlme::getVarCov(fit), unclass(nlme::getVarCov(m)),
    tolerance = 1e-4, ignore_attr = TRUE
  )
  for (type in c("conditional", "marginal")) {
    expect_equal(
      nlme::getVarCov(fit, "309", type = type), nlme::getVarCov(m, "309", type = type)[[1L]],
      tolerance = 1e-4, ignore_attr = TRUE
    )
  }
  expect_length(nlme::getVarCov(fit, 1:3, type = "marginal"), 3L)
  expect_error(nlme::getVarCov(fit, "x", type = "marginal"), class = "partialpool_error_argument")
})

test_that("intervals() sorts what confint() gives", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  parts <- nlme::intervals(fit, method = "wald")
  table <- confint(fit, method = "wald")
  expect_equal(parts$fixed[, "lower"], table[names(coef(fit)), 1L])
  expect_equal(parts$fixed[, "est."], coef(fit))
  expect_equal(unname(parts$random["sigma", ]),
    c(table["sigma", 1L], sigma(fit), table["sigma", 2L]), ignore_attr = TRUE
  )
  expect_named(nlme::intervals(fit, which = "fixed", method = "wald"), "fixed")
  expect_output(print(parts), "Random effects")
})

test_that("intervals() and getVarCov() of a model of a kernel", {
  K <- exp(-as.matrix(dist(1:20)) / 5)
  fit <- kernel_lmm(sin((1:20) / 3) + cos(11 * (1:20)), cbind(x = 1:20), K)
  table <- confint(fit, full = TRUE)
  expect_equal(unname(nlme::intervals(fit)$random[, -2L]), unname(table[-1L, ]))
  expect_equal(nlme::intervals(fit)$random["delta", "est."], fit$delta)
  expect_error(nlme::getVarCov(fit), class = "partialpool_error_argument")
})

test_that("refitML() keeps the kernel of a model", {
  skip_if_not_installed("lme4")
  K <- exp(-as.matrix(dist(1:20)) / 5)
  y <- sin((1:20) / 3) + cos(11 * (1:20)) / 3
  fit <- kernel_lmm(y, cbind(x = 1:20), K)
  expect_equal(lme4::refitML(fit)$delta, update(fit, REML = FALSE)$delta)
})

test_that("refit() of this package passes lme4's fits on", {
  skip_if_not_installed("lme4")
  theirs <- lme4::lmer(Yield ~ 1 + (1 | Batch), Dyestuff)
  y <- rev(Dyestuff$Yield)
  expect_identical(lme4::fixef(refit(theirs, y)), lme4::fixef(lme4::refit(theirs, y)))
})

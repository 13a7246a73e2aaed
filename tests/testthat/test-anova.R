fits <- function(fitter, ...) {
  list(
    fitter(Reaction ~ Days + (Days | Subject), sleepstudy, ...),
    fitter(Reaction ~ Days + (1 | Subject), sleepstudy, ...),
    fitter(Reaction ~ 1 + (1 | Subject), sleepstudy, ...)
  )
}

test_that("the comparison table is lme4's", {
  skip_if_not_installed("lme4")
  ours <- fits(lmm, REML = FALSE)
  theirs <- fits(lme4::lmer, REML = FALSE)
  plain <- lm(Reaction ~ 1, sleepstudy)
  table <- anova(ours[[1]], ours[[2]], ours[[3]], plain)
  reference <- anova(theirs[[1]], theirs[[2]], theirs[[3]], plain)
  expect_s3_class(table, c("pp_anova", "anova", "data.frame"), exact = TRUE)
  expect_identical(
    names(table),
    c("npar", "AIC", "BIC", "logLik", "deviance", "Chisq", "Df", "Pr(>Chisq)")
  )
  expect_equal(
    as.matrix(table), as.matrix(reference[names(table)]),
    tolerance = 1e-5, ignore_attr = TRUE
  )
})

test_that("fits by REML are fitted again by ML, with a message", {
  ours <- fits(lmm)
  expect_message(table <- anova(ours[[1]], ours[[2]]), class = "partialpool_message_fit")
  by_ml <- fits(lmm, REML = FALSE)
  expect_equal(
    as.matrix(table), as.matrix(anova(by_ml[[1]], by_ml[[2]])),
    tolerance = 1e-6, ignore_attr = TRUE
  )
})

test_that("without a refit, restricted likelihoods of different fixed effects are doubtful", {
  ours <- fits(lmm)
  expect_silent(table <- anova(ours[[1]], ours[[2]], refit = FALSE))
  expect_equal(table$logLik, vapply(ours[2:1], function(f) as.numeric(logLik(f)), 0))
  expect_warning(anova(ours[[1]], ours[[3]], refit = FALSE), class = "partialpool_warning_fit")
  mixed <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy, REML = FALSE)
  expect_warning(anova(ours[[1]], mixed, refit = FALSE), class = "partialpool_warning_fit")
})

test_that("models are named, ordered and listed", {
  large <- fits(lmm, REML = FALSE)[[1]]
  small <- fits(lmm, REML = FALSE)[[2]]
  table <- anova(large, small)
  expect_identical(row.names(table), c("small", "large"))
  heading <- attr(table, "heading")
  expect_true("small: Reaction ~ Days + (1 | Subject)" %in% heading)
  expect_identical(row.names(anova(large, small, model.names = c("b", "a"))), c("a", "b"))
  expect_error(anova(large, small, model.names = "b"), class = "partialpool_error_argument")
  expect_identical(row.names(anova(small, small)), c("model1", "model2"))
  written_out <- anova(large, lmm(Reaction ~ Days + (1 | Subject), sleepstudy, REML = FALSE))
  expect_identical(row.names(written_out), c("model2", "large"))
})

test_that("equal numbers of parameters have no p-value", {
  a <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy, REML = FALSE)
  b <- lmm(Reaction ~ I(Days^2) + (1 | Subject), sleepstudy, REML = FALSE)
  expect_true(is.na(anova(a, b)[2, "Pr(>Chisq)"]))
})

test_that("fits to different rows or responses are not compared", {
  a <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy, REML = FALSE)
  fewer <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy[-1, ], REML = FALSE)
  expect_error(anova(a, fewer), "179", class = "partialpool_error_argument")
  logged <- lmm(log(Reaction) ~ Days + (1 | Subject), sleepstudy, REML = FALSE)
  expect_error(anova(a, logged), "response", class = "partialpool_error_argument")
  expect_error(
    anova(a, lm(log(Reaction) ~ 1, sleepstudy)),
    class = "partialpool_error_argument"
  )
})

test_that("unknown arguments are errors", {
  a <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
  expect_error(anova(a, tst = "F"), "tst", class = "partialpool_error_argument")
  expect_error(anova(a, 3), class = "partialpool_error_argument")
})

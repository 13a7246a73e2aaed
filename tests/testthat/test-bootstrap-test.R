small <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
large <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)

test_that("ratios are those of two fits to each response", {
  b <- bootstrap_test(small, large, 5, seed = 1)
  draw <- partialpool:::parametric_response(small, FALSE)
  states <- partialpool:::replicate_streams(1, 5)$states
  before <- .Random.seed
  ratios <- vapply(states, function(state) {
    assign(".Random.seed", state, envir = globalenv())
    y <- draw()
    suppressMessages(refit(small, y)$criterion - refit(large, y)$criterion)
  }, 0)
  assign(".Random.seed", before, envir = globalenv())
  expect_equal(b$bootstrap$t[, 1], ratios, tolerance = 1e-5)
  # The fixed effects are the same: restricted likelihoods are compared.
  expect_equal(b$statistic[["LRT"]], small$criterion - large$criterion)
  expect_equal(b$p.value, 1 / 6)
  expect_equal(b$parameter, c(df = 2, replicates = 5))
})

test_that("fixed effects are compared by ML", {
  d <- subset(sleepstudy, Subject %in% levels(Subject)[1:5])
  set.seed(3)
  d$u <- rnorm(nrow(d))
  one <- lmm(Reaction ~ u + (1 | Subject), d)
  none <- lmm(Reaction ~ 1 + (1 | Subject), d)
  expect_no_message(b <- bootstrap_test(none, one, 200, seed = 1))
  by_ml <- function(fit) as.numeric(logLik(update(fit, REML = FALSE)))
  expect_equal(b$statistic[["LRT"]], 2 * (by_ml(one) - by_ml(none)))
  # Under the smaller model the ratio has about its chi-square distribution.
  expect_equal(mean(b$bootstrap$t), 1, tolerance = 0.25)
  expect_lt(abs(b$p.value - b$p.chisq), 0.1)
})

test_that("generalised models, and what cannot be compared", {
  d <- cbpp
  large <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), d, binomial)
  small <- glmm(cbind(incidence, size - incidence) ~ 1 + (1 | herd), d, binomial)
  b <- bootstrap_test(small, large, 19, seed = 1)
  expect_equal(b$p.value, 0.05)
  expect_s3_class(b, "htest")
  bad <- function(...) expect_error(bootstrap_test(...), class = "partialpool_error_argument")
  bad(large, small)
  bad(small, lm(size ~ 1, cbpp))
  bad(small, suppressMessages(update(large, method = "pql")))
  expect_snapshot(print(b))
})

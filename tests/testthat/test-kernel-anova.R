kernel_example <- function(n = 40) {
  set.seed(1)
  K <- exp(-as.matrix(dist(seq_len(n))) / 5)
  x <- rnorm(n)
  y <- drop(0.5 * x + crossprod(chol(K), rnorm(n)) + rnorm(n))
  list(y = y, X = cbind(mean = 1, x = x), K = K)
}

test_that("tests of columns are those of the summary", {
  d <- kernel_example()
  fit <- kernel_lmm(d$y, d$X, d$K)
  table <- anova(fit)
  expect_s3_class(table, "anova")
  expect_identical(row.names(table), c("mean", "x"))
  expect_equal(table$`F value`, unname(coef(summary(fit))[, "t value"]^2))
  expect_equal(table$`Pr(>F)`, unname(coef(summary(fit))[, 5]))
  expect_equal(table$DenDF, c(38, 38))
  both <- anova(fit, terms = list(all = 1:2, x = "x"), test = "Chisq")
  expect_equal(both["all", "Chisq"], drop(coef(fit) %*% solve(vcov(fit), coef(fit))))
  expect_identical(both$Df, c(2, 1))
  by_ml <- kernel_lmm(d$y, d$X, d$K, REML = FALSE)
  expect_identical(names(anova(by_ml)), c("Chisq", "Df", "Pr(>Chisq)"))
  general <- quietly(kernel_glmm(rep(c(0, 3, 1, 5), 10), d$X, d$K, "poisson"))
  expect_equal(anova(general)$`Pr(>Chisq)`, unname(coef(summary(general))[, 4]))
})

test_that("likelihood-ratio tests: REML is refitted, lm and lmm can join", {
  d <- kernel_example()
  large <- kernel_lmm(d$y, d$X, d$K)
  small <- kernel_lmm(d$y, d$X[, 1, drop = FALSE], d$K)
  expect_message(table <- anova(large, small), class = "partialpool_message_fit")
  by_ml <- c(
    logLik(kernel_lmm(d$y, d$X[, 1, drop = FALSE], d$K, REML = FALSE)),
    logLik(kernel_lmm(d$y, d$X, d$K, REML = FALSE))
  )
  expect_equal(table$logLik, by_ml, tolerance = 1e-8)
  expect_equal(table$Chisq[2], 2 * diff(by_ml), tolerance = 1e-6)
  expect_identical(row.names(table), c("small", "large"))
  expect_match(attr(table, "heading"), "kernel", all = FALSE)
  plain <- lm(d$y ~ d$X[, "x"])
  with_lm <- quietly(anova(large, plain))
  expect_equal(with_lm["plain", "logLik"], as.numeric(logLik(plain)))
  expect_error(anova(large, kernel_lmm(d$y + 1, d$X, d$K)), class = "partialpool_error_argument")
})

test_that("doubtful comparisons warn; unknown arguments are errors", {
  d <- kernel_example()
  fit <- kernel_lmm(d$y, d$X, d$K, REML = FALSE)
  given <- kernel_lmm(d$y, d$X, d$K, REML = FALSE, fit = FALSE)
  expect_warning(anova(fit, given), "given parameters", class = "partialpool_warning_fit")
  expect_error(anova(fit, tst = "F"), "tst", class = "partialpool_error_argument")
  expect_error(anova(fit, terms = list(a = "z")), "z", class = "partialpool_error_argument")
  expect_error(anova(fit, terms = "x"), class = "partialpool_error_argument")
  expect_error(anova(fit, ddf = "sat"), class = "partialpool_error_argument")
  expect_error(anova(fit, test = "LRT"), class = "partialpool_error_argument")
})

test_that("coefficients that were given have no test", {
  d <- kernel_example()
  fit <- kernel_lmm(d$y, d$X, d$K, fix = list(beta = c(0, 1)), REML = FALSE)
  expect_true(all(is.na(anova(fit)$`Pr(>Chisq)`)))
})

# Scans on top of fits: each marker against the model refitted with it.

n <- 120
markers <- genotypes(n, 30, seed = 31)
K <- tcrossprod(scale(markers)) / 30
X <- withr::with_seed(32, cbind(1, rnorm(n)))
y <- withr::with_seed(33, rnorm(n) + 0.5 * markers[, 7])

test_that("a scan is the fit with the marker at the delta of the null model", {
  for (REML in c(TRUE, FALSE)) {
    fit <- kernel_lmm(y, X, K, REML = REML)
    scan <- marker_scan(fit, markers)
    for (j in c(1, 7)) {
      with <- kernel_lmm(y, cbind(X, markers[, j]), K, REML = REML, fix = list(delta = fit$delta))
      expect_equal(scan$logLik[j], with$logLik, tolerance = 1e-11)
      expect_equal(scan$effect[j], with$coefficients[[3]], tolerance = 1e-9)
      expect_equal(scan$se[j], sqrt(with$vcov[3, 3]), tolerance = 1e-9)
    }
  }
})

test_that("so is the scan with known noise variances, at scale and delta of the null model", {
  noise <- withr::with_seed(34, runif(n, 0.1, 0.5))
  fit <- kernel_lmm(y, X, K, noise_var = noise)
  scan <- marker_scan(fit, markers)
  held <- list(scale = fit$scale, delta = fit$delta)
  with <- kernel_lmm(y, cbind(X, markers[, 7]), K, noise_var = noise, fix = held)
  expect_equal(scan$logLik[7], with$logLik, tolerance = 1e-9)
  expect_equal(scan$effect[7], with$coefficients[[3]], tolerance = 1e-7)
})

test_that("the score test on expectation propagation is near the likelihood ratio", {
  count <- withr::with_seed(35, rbinom(n, 10, plogis(0.5 * markers[, 7] - 0.5)))
  trials <- rep(10, n)
  fit <- suppressMessages(kernel_glmm(count, X, K, family = binomial(), trials = trials))
  scan <- marker_scan(fit, markers)
  held <- list(scale = fit$scale, delta = fit$delta)
  for (j in c(1, 7)) {
    with <- suppressMessages(kernel_glmm(
      count, cbind(X, markers[, j]), K, family = binomial(), trials = trials, fix = held
    ))
    ratio <- 2 * (with$logLik - fit$logLik)
    expect_equal(scan$lrt[j], ratio, tolerance = 0.03)
    expect_equal(scan$effect[j], with$coefficients[[3]], tolerance = 0.03)
  }
})

test_that("several traits are scanned together", {
  Y <- cbind(a = y, b = withr::with_seed(36, rnorm(n)))
  fit <- suppressMessages(kernel_lmm(Y, X, K))
  scan <- marker_scan(fit, markers, block_size = 7)
  direct <- scan_traits(fit, markers)
  expect_equal(scan$p, direct$p, tolerance = 1e-10)
  expect_equal(scan$effect_a, unname(direct$effects[, "a"]), tolerance = 1e-10)
  expect_equal(scan$se_b, unname(direct$se[, "b"]), tolerance = 1e-10)
  expect_equal(scan$df, rep(2L, 30))
  sets <- marker_scan(fit, markers, sets = list(u = 1:3, v = 9))
  expect_equal(sets$p, scan_traits(fit, markers[, c(1:3, 9)], c(3, 4))$p, tolerance = 1e-10)
  holes <- cbind(replace(markers[, 1], 3, NA), 1)
  imputed <- replace(markers[, 1], 3, mean(markers[-3, 1]))
  some <- marker_scan(fit, holes)
  expect_identical(some$missing, c(1L, 0L))
  expect_equal(some$p[1], scan_traits(fit, cbind(imputed))$p, tolerance = 1e-10)
  expect_identical(is.na(some$p), c(FALSE, TRUE))
  expect_output(print(scan), "2 traits")
})

# What is fed to kernel models and scans by accident, and what must come back.

set.seed(20)
n <- 24L
G <- scale(matrix(rbinom(n * 40, 2, 0.4), n))
K <- exp(-abs(outer(seq_len(n), seq_len(n), `-`)) / 5)
ids <- paste0("s", seq_len(n))
named <- K
dimnames(named) <- list(ids, ids)
x <- rnorm(n)
X <- cbind(1, x)
y <- 0.3 + 0.5 * x + drop(t(chol(K)) %*% rnorm(n)) + rnorm(n, sd = 0.5)
count <- rpois(n, exp(0.3 + 0.5 * x))
yes <- rbinom(n, 1, plogis(x))
markers <- matrix(rbinom(n * 4, 2, 0.4), n)
shuffled <- K
dimnames(shuffled) <- list(rev(seq_len(n)), rev(seq_len(n)))
quietly <- function(expr) suppressWarnings(suppressMessages(expr))
fit <- kernel_lmm(y, X, K)

walk(
  ends("kernel: scale of a factor", kernel(factor = G * 1e200), kernel(factor = G * 1e-200),
    error = "kernel", text = "Rescale"
  ),
  ends("kernel: tolerance that leaves nothing", kernel(K, tolerance = 0.5),
    kernel(factor = G[, 1:3], tolerance = 0.9),
    error = "argument", text = "leaves nothing"
  ),
  ends("kernel too large for its variance to be seen", kernel_lmm(y, X, K * 1e150),
    error = "kernel", text = "too large"
  ),
  ends("response that is no vector", kernel_lmm(Matrix::Matrix(y, sparse = TRUE), X, K),
    kernel_lmm(list(1, 2)), kernel_lmm(mean), error = "response", text = "`y` must be the response"
  ),
  ends("response without columns", kernel_lmm(matrix(0, n, 0), X, K),
    error = "response", text = "24 rows and 0 columns"
  ),
  ends("as many columns as rows", quietly(kernel_lmm(y, cbind(1, G), K)),
    error = "rank", text = "Leave columns of `X` out"
  ),
  ends("some rows without a name", kernel_lmm(setNames(y, c("", ids[-1])), X, named),
    kernel_lmm(setNames(y, c(NA, ids[-1])), X, named),
    error = "response", text = "no name: see row 1"
  ),
  ends("rows numbered, kernel numbered otherwise", kernel_lmm(setNames(y, seq_len(n)), X, shuffled),
    kernel_lmm(y, model.matrix(~x), shuffled), error = "kernel", text = "in another order"
  ),
  ends("offset and noise in another order",
    kernel_glmm(setNames(count, ids), X, K, poisson(), offset = setNames(x, rev(ids))),
    error = "offset", text = "not named as the rows"
  ),
  ends("noise in another order",
    kernel_lmm(setNames(y, ids), X, K, noise_var = setNames(rep(1, n), rev(ids))),
    error = "argument", text = "not named as the rows"
  ),
  ends("noise that is next to nothing", suppressMessages(kernel_lmm(y, X, K, noise_var = 1e-12)),
    warning = "fit", text = "digits are lost"
  ),
  ends("no variance at all without noise", kernel_lmm(y, X, K, fix = list(scale = 0)),
    error = "argument", text = "positive"
  ),
  ends("all successes, no event",
    kernel_glmm(rep(1, n), X, K, binomial(), fix = list(delta = 0)),
    kernel_glmm(rep(1, n), NULL, K, binomial(), fix = list(delta = 0)),
    kernel_glmm(rep(0, n), NULL, K, poisson()),
    warning = "separation", text = "run(s?) to infinity"
  ),
  ends("no maximum", kernel_glmm(count, X, K, tweedie()),
    kernel_glmm(2 + 1e-9 * x, NULL, K, Gamma("log")),
    warning = "fit", text = "maximum was not found"
  ),
  ends("infinite marker", marker_scan(fit, cbind(Inf, x)),
    error = "markers", text = "infinite values in `markers`: marker \"marker1\""
  ),
  ends("markers that are a factor", marker_scan(fit, factor(markers[, 1])),
    error = "markers", text = "<factor>"
  ),
  ends("results into a folder", marker_scan(fit, markers, file = tempdir()),
    error = "argument", text = "is a folder"
  ),
  ends("no residual variance, no quantile residuals",
    residuals(quietly(kernel_lmm(seq_len(n), NULL, K)), "quantile"),
    error = "argument", text = "no quantile residuals"
  ),
  ends("no new samples", predict(fit, newX = X[0, ]),
    predict(fit, newX = X[0, ], K_new = K[0, ]), value = length(x) == 0L
  )
)

test_that("an intercept beside a column of any size is kept", {
  for (s in c(1e-12, 1e12, 1e150)) {
    scaled <- kernel_lmm(y, cbind(1, x * s), K)
    expect_equal(unname(coef(scaled)) * c(1, s), unname(coef(fit)), tolerance = 1e-8)
    expect_equal(scaled$logLik, fit$logLik - log(s), tolerance = 1e-8)
  }
  expect_message(
    dusty <- kernel_lmm(y, cbind(1e-17, x), K),
    class = "partialpool_message_rank"
  )
  expect_length(coef(dusty), 1L)
})

test_that("a large mean costs no digits with known noise", {
  small <- kernel_lmm(y, X, K, noise_var = 0.3)
  large <- kernel_lmm(y + 1e8, X, K, noise_var = 0.3)
  expect_equal(large$logLik, small$logLik, tolerance = 1e-6)
  expect_equal(unname(coef(large)) - c(1e8, 0), unname(coef(small)), tolerance = 1e-5)
  expect_equal(large$scale, small$scale, tolerance = 1e-5)
  # and an exact fit leaves no variance
  exact <- quietly(kernel_lmm(1 + x, X, K, noise_var = 1))
  expect_identical(exact$scale, 0)
  expect_equal(exact$posterior$mean, 1 + x)
  held <- kernel_lmm(y, X, K, noise_var = 0.3, fix = list(beta = c(1, 2)))
  expect_identical(unname(coef(held)), c(1, 2))
  V <- held$scale * ((1 - held$delta) * K + held$delta * diag(n)) + 0.3 * diag(n)
  r <- y - X %*% c(1, 2)
  expect_equal(held$logLik, -0.5 * as.numeric(
    n * log(2 * pi) + determinant(V)$modulus + sum(r * solve(V, r))
  ))
})

test_that("coefficients that are held are what was given", {
  expect_identical(unname(coef(kernel_lmm(y, X, K, fix = list(beta = c(0, 0.1))))), c(0, 0.1))
})

test_that("a variance of zero can be given, held, and updated", {
  for (fit in list(
    quietly(kernel_glmm(rep(3, n), X, K, poisson())),
    quietly(kernel_lmm(1 + x, X, K, noise_var = 1)),
    quietly(kernel_glmm(yes, X, NULL, binomial()))
  )) {
    expect_identical(fit$scale, 0)
    again <- quietly(update(fit))
    expect_equal(again$logLik, fit$logLik, tolerance = 1e-10)
    expect_identical(again$scale, 0)
    expect_equal(update(fit, fit = FALSE)$logLik, fit$logLik, tolerance = 1e-10)
    expect_output(print(fit), "Proportion of the kernel: 0|No kernel|Number of obs")
    expect_false(any(grepl("NaN", capture.output(print(summary(fit))))))
  }
  free <- stats::glm(count ~ x, family = poisson())
  none <- expect_silent(kernel_glmm(count, X, K, poisson(), fix = list(scale = 0)))
  expect_equal(none$logLik, as.numeric(logLik(free)), tolerance = 1e-8)
  expect_identical(none$convergence$boundary, character())
  same <- kernel_glmm(count, X, K, poisson(), fix = list(v0 = 0, v1 = 0))
  expect_equal(same$logLik, none$logLik)
  at_zero <- kernel_glmm(count, X, K, poisson(), start = list(scale = 0), fit = FALSE)
  expect_equal(at_zero$logLik, sum(dpois(count, 1, log = TRUE)))
})

test_that("summaries of coefficients at infinity have no NaN and no warning", {
  infinite <- quietly(kernel_glmm(rep(1, n), X, K, binomial()))
  expect_silent(shown <- capture.output(print(summary(infinite))))
  expect_false(any(grepl("NaN", shown)))
  expect_silent(intervals <- confint(infinite, full = TRUE))
  expect_false(any(is.nan(intervals)))
})

test_that("a scale that runs away is not reported as separation", {
  conditions <- list()
  withCallingHandlers(
    kernel_glmm(rep(1:0, n / 2), matrix(0, n, 0), K, binomial(), fix = list(delta = 0)),
    warning = function(w) {
      conditions[[length(conditions) + 1L]] <<- class(w)
      invokeRestart("muffleWarning")
    },
    message = function(m) invokeRestart("muffleMessage")
  )
  expect_false("partialpool_warning_separation" %in% unlist(conditions))
})

test_that("a .bed file may hold no markers", {
  stem <- tempfile()
  writeBin(as.raw(c(0x6c, 0x1b, 0x01)), paste0(stem, ".bed"))
  writeLines(paste("F", ids, 0, 0, 1, -9), paste0(stem, ".fam"))
  writeLines(character(), paste0(stem, ".bim"))
  scan <- marker_scan(fit, stem)
  expect_identical(nrow(scan), 0L)
  expect_true("allele" %in% names(scan))
})

test_that("several traits: no plot, and what is said of parameters is true", {
  traits <- quietly(kernel_lmm(cbind(y, rnorm(n)), X, K))
  expect_error(plot(traits), class = "partialpool_error_argument")
  problem <- expect_error(confint(traits, "none"), class = "partialpool_error_argument")
  expect_false(grepl("full", conditionMessage(problem)))
  one <- update(traits, y = y)
  expect_equal(one$logLik, fit$logLik)
  expect_error(kernel_lmm(cbind(y, 1), X, K), "Column .?2", class = "partialpool_error_response")
})

test_that("stats::kernel() is still there", {
  expect_s3_class(stats::kernel("daniell", 2), "tskernel")
})

reference <- readRDS(test_path("fixtures", "kernel-glmm.rds"))
seeds <- reference$seeds
quietly <- pp_control(check = FALSE)

# Sites of EP as they are: the likelihood of eta / tau with noise 1 / tau.
normal_fit <- function(x, kernel = x$K, fit = TRUE, REML = FALSE, ...) {
  inputs <- kernel_inputs(x$eta / x$tau, x$X, kernel, noise_var = 1 / x$tau, fit = fit, ...)
  fit_kernel_normal(inputs, REML, fit, quietly, NULL)
}

set.seed(4)
n <- 25
normal <- list(
  G = matrix(rnorm(n * 40), n), X = cbind(a = 1, b = rnorm(n)), noise = runif(n, 0.1, 2)
)
normal$K <- tcrossprod(normal$G) / 40
normal$y <- drop(normal$X %*% c(1, -0.5) + normal$G %*% rnorm(40, sd = 0.2)) +
  rnorm(n, sd = sqrt(normal$noise + 0.3))

# Derivatives of f, of one or several values, by central differences of fourth order.
differences <- function(f, x, h = 1e-3) {
  columns <- lapply(seq_along(x), function(i) {
    at <- function(step) f(replace(x, i, x[[i]] + step * h))
    (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)
  })
  unname(drop(do.call(cbind, columns)))
}

# Log density of y by brute force, restricted or not.
dense_value <- function(at, REML = FALSE, y = normal$y, K = normal$K, noise = normal$noise) {
  X <- normal$X
  V <- at$scale * ((1 - at$delta) * K + at$delta * diag(n)) + diag(noise)
  r <- y - drop(X %*% at$beta)
  log_det <- function(M) as.numeric(determinant(M)$modulus)
  value <- -0.5 * (n * log(2 * pi) + log_det(V) + sum(r * solve(V, r)))
  if (!REML) {
    return(value)
  }
  value + ncol(X) / 2 * log(2 * pi) - 0.5 * log_det(crossprod(X, solve(V, X)))
}

test_that("row 44: heterogeneous normal, value and gradient", {
  at <- list(beta = c(1, 0, 0.5, 0.1, 0.4), scale = 1, delta = 0.5)
  fit <- normal_fit(seeds$unittest_normal, start = at, fit = FALSE)
  expect_lt(abs(fit$logLik + 15.283903065912), 1e-11)
  expected <- c(-1.9610384137, -1.1526864843, -4.5809841776, -0.97064389503, -2.8780600105,
                -1.5029088883, 0.25270211535)
  expect_equal(unname(fit$gradient), expected, tolerance = 1e-9)
  expect_s3_class(fit, "pp_kernel_lmm")
  expect_identical(fit$model, "normal")
})

test_that("row 45: heterogeneous normal, fit", {
  x <- seeds$unittest_normal_copy
  # The published search stops at a scale of 0.001.
  held <- normal_fit(x, fix = list(scale = 0.001))
  expect_lt(abs(held$logLik + 3.8330651547), 1e-7)
  start <- normal_fit(x, NULL, fit = FALSE)
  expect_lt(abs(start$logLik + 9.1281034769), 1e-9)
  none <- normal_fit(x, NULL)
  expect_lt(abs(none$logLik + 3.8142246446), 1e-9)
  fit <- normal_fit(x)
  expect_identical(fit$scale, 0)
  expect_equal(fit$logLik, none$logLik, tolerance = 1e-12)
  expect_setequal(fit$convergence$boundary, c("v0 = 0", "v1 = 0"))
  moved <- normal_fit(x, fit = FALSE, start = list(
    beta = held$coefficients, scale = 0.92, delta = held$delta
  ))
  expect_lt(abs(moved$logLik + 10.6251452), 1e-5)
})

test_that("row 46: the sites of EP in the normal model give the posterior of EP", {
  x <- seeds$doc_binomial
  ep <- kernel_glmm(x$y, x$X, x$K, binomial(), x$ntrials, fit = FALSE, control = quietly)
  same <- normal_fit(
    list(eta = ep$sites$nu, tau = ep$sites$tau, X = x$X, K = x$K), fit = FALSE,
    start = list(beta = ep$coefficients, scale = ep$scale, delta = ep$delta)
  )
  expect_equal(same$posterior$mean, ep$posterior$mean, tolerance = 1e-10)
  expect_equal(same$posterior$variance, ep$posterior$variance, tolerance = 1e-10)
  # The gradient is that of EP too: sites may be held fixed.
  expect_equal(same$gradient, ep$gradient, tolerance = 1e-7)
})

test_that("simulated data: values, gradients, optima", {
  for (name in names(reference$normal)) {
    record <- reference$normal[[name]]
    size <- as.integer(sub("n([0-9]+)_.*", "\\1", name))
    if (size != 50L) next
    data <- reference$data$n50
    G <- reference$geno$n50
    Z <- sweep(G, 2L, colMeans(G))
    Z <- Z / rep(sqrt(colMeans(Z^2)), each = size)
    K <- switch(sub(".*_", "", name),
      lowrank = tcrossprod(Z[, 1:5]) / 5, grm = tcrossprod(Z) / ncol(Z),
      expkern = exp(-abs(outer(data$t, data$t, "-")) / 0.1)
    )
    x <- list(eta = data$eta, tau = data$tau, X = as.matrix(data[c("x0", "x1", "x2")]), K = K)
    for (at in record$points) {
      fit <- normal_fit(x, fit = FALSE, start = at[c("beta", "scale", "delta")])
      expect_equal(fit$logLik, at$lml, tolerance = 1e-10)
      expect_equal(unname(fit$gradient), at$gradient, tolerance = 1e-8)
    }
    fit <- normal_fit(x)
    expect_gt(fit$logLik, record$fit$lml - 1e-8)
    expect_lt(fit$logLik - record$fit$lml, 1e-3)
  }
})

test_that("values are those of brute force, restricted or not", {
  at <- list(beta = c(0.2, 0.1), scale = 1.4, delta = 0.3)
  for (REML in c(FALSE, TRUE)) {
    fit <- kernel_lmm(normal$y, normal$X, normal$K, REML = REML, noise_var = normal$noise,
                      start = at, fit = FALSE, control = quietly)
    expect_equal(fit$logLik, dense_value(at, REML), tolerance = 1e-12)
  }
})

test_that("gradients and covariances are those of numerical derivatives", {
  for (REML in c(FALSE, TRUE)) {
    value <- function(x) {
      kernel_lmm(normal$y, normal$X, normal$K, REML = REML, noise_var = normal$noise, fit = FALSE,
                 start = list(beta = x[1:2], scale = exp(x[3]), delta = plogis(x[4])),
                 control = quietly)
    }
    x <- c(0.2, 0.1, 0.3, -0.6)
    expect_equal(unname(value(x)$gradient), differences(function(x) value(x)$logLik, x),
                 tolerance = 1e-8)
    fit <- kernel_lmm(normal$y, normal$X, normal$K, REML = REML, noise_var = normal$noise,
                      fix = list(delta = 0.4), control = quietly)
    expect_lt(max(abs(fit$gradient[1:3])), 1e-6)
    at <- c(fit$coefficients, log(fit$scale))
    information <- -differences(function(x) value(c(x, qlogis(0.4)))$gradient[1:3], at)
    expect_equal(unname(fit$vcov_full), solve(information), tolerance = 1e-6)
  }
})

test_that("equal noise is a shift of the variance of the rows", {
  y <- drop(normal$X %*% c(1, -0.5) + 2 * normal$G[, 1L]) + rnorm(n)
  K <- tcrossprod(normal$G[, 1:3])
  for (REML in c(FALSE, TRUE)) {
    plain <- kernel_lmm(y, normal$X, K, REML = REML, control = quietly)
    noise <- 0.5 * plain$scale * plain$delta
    fit <- kernel_lmm(y, normal$X, K, REML = REML, noise_var = noise, control = quietly)
    expect_equal(fit$logLik, plain$logLik, tolerance = 1e-10)
    expect_equal(kernel_variances(fit) + c(0, noise), kernel_variances(plain), tolerance = 1e-5)
    expect_equal(fit$coefficients, plain$coefficients, tolerance = 1e-6)
  }
})

test_that("a site without information leaves its row out", {
  tau <- 1 / normal$noise
  tau[c(2, 9)] <- 0
  keep <- tau > 0
  inputs <- kernel_inputs(normal$y, normal$X, normal$K, noise_var = normal$noise)
  fit <- fit_kernel_normal(inputs, FALSE, TRUE, quietly, NULL, list(tau = tau, nu = tau * normal$y))
  without <- kernel_lmm(normal$y[keep], normal$X[keep, ], normal$K[keep, keep], REML = FALSE,
                        noise_var = normal$noise[keep], control = quietly)
  expect_equal(fit$logLik, without$logLik, tolerance = 1e-10)
  expect_equal(fit$coefficients, without$coefficients, tolerance = 1e-6)
})

test_that("units of the response do not matter", {
  fit <- kernel_lmm(normal$y, normal$X, normal$K, noise_var = normal$noise, control = quietly)
  for (factor in c(1e-6, 1e6)) {
    scaled <- kernel_lmm(normal$y * factor, normal$X, normal$K, control = quietly,
                         noise_var = normal$noise * factor^2)
    expect_equal(scaled$coefficients, fit$coefficients * factor, tolerance = 1e-6)
    expect_equal(kernel_variances(scaled), kernel_variances(fit) * factor^2, tolerance = 1e-5)
  }
})

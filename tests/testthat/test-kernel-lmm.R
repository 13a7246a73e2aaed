# The spectral model against published fits, against its definition written out with dense matrices,
# and against itself on data that are the same in other units.

kernel_records <- readRDS(test_path("fixtures", "kernel_lmm.rds"))

standard_genotypes <- function(G) {
  G <- sweep(G, 2L, colMeans(G))
  sweep(G, 2L, sqrt(colMeans(G^2)), "/")
}

record_kernel <- function(n, kernel) {
  data <- kernel_records[[paste0("n", n)]]
  Z <- standard_genotypes(data$G)
  r <- c(n50 = 5, n200 = 20)[[paste0("n", n)]]
  switch(kernel,
    lowrank = tcrossprod(Z[, seq_len(r)]) / r,
    grm = tcrossprod(Z) / ncol(Z),
    expkern = exp(-abs(outer(data$t, data$t, "-")) / 0.1)
  )
}

record_response <- function(n, kernel) {
  kernel_records[[paste0("n", n)]]$y[, paste0("y_normal_", kernel)]
}

# Other programs add this to the restricted log-likelihood.
log_det_crossed <- function(X) 0.5 * as.numeric(determinant(crossprod(X))$modulus)

dense_log_likelihood <- function(y, X, K, beta, scale, delta, REML) {
  n <- length(y)
  V <- scale * ((1 - delta) * K + delta * diag(n))
  e <- y - drop(X %*% beta)
  value <- -0.5 * (n * log(2 * pi) + as.numeric(determinant(V)$modulus) + sum(e * solve(V, e)))
  if (REML) {
    value <- value + 0.5 * ncol(X) * log(2 * pi) -
      0.5 * as.numeric(determinant(crossprod(X, solve(V, X)))$modulus)
  }
  value
}

dense_beta <- function(y, X, K, delta) {
  V <- (1 - delta) * K + delta * diag(length(y))
  drop(solve(crossprod(X, solve(V, X)), crossprod(X, solve(V, y))))
}

small_kernel_data <- function(seed = 1, n = 40, r = 12, delta = 0.4) {
  set.seed(seed)
  G <- matrix(rnorm(n * r), n)
  K <- tcrossprod(G) / r
  X <- cbind("(Intercept)" = 1, x = rnorm(n), z = rbinom(n, 1, 0.4))
  y <- drop(X %*% c(2, 0.5, -1) + sqrt(1 - delta) * G %*% rnorm(r) / sqrt(r) +
              sqrt(delta) * rnorm(n))
  list(y = y, X = X, K = K, G = G)
}

test_that("published fits are reached: ten data sets, ML and REML, the optimum each time", {
  for (name in names(kernel_records$lmm)) {
    record <- kernel_records$lmm[[name]]
    X <- kernel_records[[paste0("n", record$n)]]$X
    y <- record_response(record$n, record$kernel)
    K <- record_kernel(record$n, record$kernel)
    fit <- suppressWarnings(kernel_lmm(y, X, K, REML = record$reml))
    shift <- if (record$reml) log_det_crossed(X) else 0
    # Where the likelihood is unbounded the record is its interior optimum.
    mark <- if (name == "n50_grm_ml") record$fit else record$optimum
    expect_equal(fit$logLik + shift, mark$lml, tolerance = 1e-11, info = name)
    # The recorded minimiser of a flat minimum is known to half of the digits of the minimum.
    expect_equal(fit$delta, mark$delta, tolerance = 1e-6, info = name)
    expect_equal(fit$scale, mark$scale, tolerance = 1e-6, info = name)
    expect_equal(unname(fit$coefficients), mark$beta, tolerance = 1e-6, info = name)
    covariance <- if (name == "n50_grm_ml") mark$beta_covariance else mark$beta_cov
    expect_equal(unname(fit$vcov), covariance, tolerance = 1e-6, info = name)
    expect_lt(max(abs(fit$gradient)), 1e-9)
    expect_equal(fit$convergence$status, "converged")
  }
})

test_that("published values at given parameters are reproduced", {
  for (record in kernel_records$lmm) {
    X <- kernel_records[[paste0("n", record$n)]]$X
    y <- record_response(record$n, record$kernel)
    kernel <- kernel(record_kernel(record$n, record$kernel))
    shift <- if (record$reml) log_det_crossed(X) else 0
    for (i in seq_len(nrow(record$fixed))) {
      at <- record$fixed[i, ]
      fit <- kernel_lmm(y, X, kernel, REML = record$reml, fit = FALSE,
                        start = list(beta = at$beta[[1L]], scale = at$scale, delta = at$delta))
      expect_equal(fit$logLik + shift, at$lml, tolerance = 1e-11)
      expect_false(fit$fitted)
    }
  }
})

test_that("the log-likelihood, its gradient and the information are those of the definition", {
  for (r in c(3, 12, 60)) {
    d <- small_kernel_data(r, r = r)
    for (REML in c(TRUE, FALSE)) {
      at <- c(1.5, 0.2, -0.3, log(1.7), qlogis(0.3))
      value <- function(x) {
        kernel_lmm(d$y, d$X, d$K, REML = REML, fit = FALSE,
                   start = list(beta = x[1:3], scale = exp(x[4]), delta = plogis(x[5])))
      }
      dense <- function(x) {
        dense_log_likelihood(d$y, d$X, d$K, x[1:3], exp(x[4]), plogis(x[5]), REML)
      }
      expect_equal(value(at)$logLik, dense(at), tolerance = 1e-11)
      expect_equal(unname(value(at)$gradient), numDeriv::grad(dense, at), tolerance = 1e-7)
      fit <- kernel_lmm(d$y, d$X, d$K, REML = REML)
      best <- c(fit$coefficients, log(fit$scale), qlogis(fit$delta))
      expect_equal(fit$logLik, dense(best), tolerance = 1e-11)
      information <- -numDeriv::jacobian(function(x) value(x)$gradient, best)
      expect_equal(unname(fit$vcov_full), solve(information), tolerance = 1e-6)
      expect_equal(unname(fit$coefficients), unname(dense_beta(d$y, d$X, d$K, fit$delta)),
                   tolerance = 1e-10)
    }
  }
})

test_that("nothing on a fine grid of delta is better", {
  for (seed in 1:8) {
    d <- small_kernel_data(seed, n = 25, r = 40, delta = c(0.05, 0.5)[seed %% 2 + 1])
    for (REML in c(TRUE, FALSE)) {
      fit <- suppressMessages(kernel_lmm(d$y, d$X, d$K, REML = REML))
      kernel <- kernel(d$K)
      grid <- vapply(c(0, plogis(seq(-16, 16, 0.37)), 1), function(delta) {
        kernel_lmm(d$y, d$X, kernel, REML = REML, fix = list(delta = delta))$logLik
      }, 0)
      expect_gte(fit$logLik, max(grid) - 1e-10)
    }
  }
})

test_that("two interior minima are told apart", {
  # Two groups of eigenvalues far apart, each with a variance of its own.
  set.seed(4)
  n <- 60
  Q <- qr.Q(qr(matrix(rnorm(n * n), n)))
  S <- rep(c(1e4, 1, 1e-4), each = 20)
  y <- drop(Q %*% (rnorm(n) * sqrt(rep(c(100, 1, 0.01), each = 20))))
  K <- Q %*% (S * t(Q))
  f <- function(u) kernel_lmm(y, matrix(0, n, 0), kernel(K), fix = list(delta = plogis(u)))$logLik
  u <- seq(-16, 16, 0.25)
  values <- vapply(u, f, 0)
  fit <- kernel_lmm(y, matrix(0, n, 0), K)
  expect_gte(fit$logLik, max(values) - 1e-10)
  peaks <- sum(diff(sign(diff(values))) < 0)
  expect_equal(fit$convergence$minima, peaks)
})

test_that("the edges of delta are reached, certified and named", {
  d <- small_kernel_data(2, n = 40, r = 60)
  # No kernel in the response.
  set.seed(3)
  noise <- rnorm(40)
  expect_message(fit <- kernel_lmm(noise, d$X, d$K), "variance of the kernel is zero",
                 class = "partialpool_message_singular")
  expect_identical(fit$delta, 1)
  expect_identical(fit$convergence$boundary, "v0 = 0")
  expect_true(is_singular(fit))
  ols <- lm(noise ~ d$X - 1)
  expect_equal(fit$logLik, as.numeric(logLik(ols, REML = TRUE)), tolerance = 1e-11)
  expect_equal(unname(fit$vcov), unname(vcov(ols)), tolerance = 1e-10)
  expect_equal(rownames(fit$vcov_full), c("(Intercept)", "x", "z", "log(scale)"))
  near <- kernel_lmm(noise, d$X, d$K, fix = list(delta = 1 - 1e-4))
  expect_lt(near$logLik, fit$logLik)
  expect_silent(kernel_lmm(noise, d$X, d$K, control = pp_control(check = FALSE)))

  # Nothing but the kernel.
  set.seed(5)
  pure <- drop(d$X %*% c(1, 1, 1) + d$G %*% rnorm(60))
  expect_message(fit <- kernel_lmm(pure, d$X, d$K + 1e-2 * diag(40), REML = FALSE),
                 "variance of the rows is zero", class = "partialpool_message_singular")
  expect_identical(fit$delta, 0)
  K <- d$K + 1e-2 * diag(40)
  beta <- dense_beta(pure, d$X, K, 0)
  expect_equal(unname(fit$coefficients), unname(beta), tolerance = 1e-9)
  expect_equal(fit$logLik, dense_log_likelihood(pure, d$X, K, beta, fit$scale, 0, FALSE),
               tolerance = 1e-11)
})

test_that("a complement that X fits makes plain likelihood unbounded, restricted likelihood not", {
  data <- kernel_records$n50
  y <- record_response(50, "grm")
  K <- record_kernel(50, "grm")
  expect_warning(fit <- kernel_lmm(y, data$X, K, REML = FALSE), "grows without limit",
                 class = "partialpool_warning_identifiability")
  expect_equal(fit$delta, 0.16314200424626368, tolerance = 1e-6)
  at <- function(delta, REML) {
    kernel_lmm(y, data$X, K, REML = REML, fix = list(delta = delta))$logLik
  }
  # -1/2 log(delta), once the rest has settled
  expect_equal(at(1e-12, FALSE) - at(1e-9, FALSE), 1.5 * log(10), tolerance = 1e-3)
  expect_error(at(0, FALSE), "not finite", class = "partialpool_error_fit")
  # Restricted likelihood has a limit, and a value there.
  expect_equal(at(0, TRUE), at(1e-13, TRUE), tolerance = 1e-8)
  # A response made of the kernel alone has its optimum there, and only the complement knows the
  # intercept, exactly.
  set.seed(8)
  Q <- svd(scale(matrix(rnorm(50 * 49), 50), scale = FALSE))$u[, 1:49]
  smooth <- Q %*% (1.1^-(1:49) * t(Q))
  pure <- 3 + drop(Q %*% (1.1^-(1:49) * rnorm(49)))
  expect_message(fit <- kernel_lmm(pure, kernel = smooth), class = "partialpool_message_singular")
  expect_identical(fit$delta, 0)
  expect_equal(unname(fit$coefficients), mean(pure), tolerance = 1e-10)
  expect_equal(c(fit$vcov), 0)
  expect_error(kernel_lmm(pure, kernel = smooth, REML = FALSE), "no maximum",
               class = "partialpool_error_fit")
})

test_that("a kernel of low rank that leaves a residual makes delta = 0 infeasible", {
  d <- small_kernel_data(7, r = 5)
  value <- function(delta) kernel_lmm(d$y, d$X, d$K, fix = list(delta = delta))$logLik
  # (n - r - p) / 2 log(delta) - (n - p) / 2 log(1 / delta)
  expect_lt(value(1e-12), value(1e-6) - 10)
  expect_error(value(0), "singular", class = "partialpool_error_fit")
  expect_error(
    kernel_lmm(d$y, d$X, d$K, fit = FALSE, start = list(delta = 0)), "not finite",
    class = "partialpool_error_fit"
  )
})

test_that("other units change nothing but units", {
  d <- small_kernel_data(11)
  for (REML in c(TRUE, FALSE)) {
    fit <- kernel_lmm(d$y, d$X, d$K, REML = REML)
    shifted <- kernel_lmm(d$y + 1e6, d$X, d$K, REML = REML)
    expect_equal(shifted$logLik, fit$logLik, tolerance = 1e-8)
    expect_equal(shifted$delta, fit$delta, tolerance = 1e-7)
    for (c in c(1e-8, 1e8)) {
      nu <- 40 - 3 * REML
      scaled <- kernel_lmm(d$y * c, d$X, d$K, REML = REML)
      expect_equal(scaled$logLik, fit$logLik - nu * log(c), tolerance = 1e-10)
      expect_equal(scaled$scale, fit$scale * c^2, tolerance = 1e-8)
      expect_equal(scaled$delta, fit$delta, tolerance = 1e-8)
      columns <- d$X %*% diag(c(1, c, 1 / c))
      turned <- kernel_lmm(d$y, columns, d$K, REML = REML)
      expect_equal(turned$logLik, fit$logLik, tolerance = 1e-10)
      expect_equal(unname(turned$coefficients), unname(fit$coefficients) / c(1, c, 1 / c),
                   tolerance = 1e-8)
      kernel <- kernel_lmm(d$y, d$X, d$K * c, REML = REML)
      expect_equal(kernel$logLik, fit$logLik, tolerance = 1e-10)
      # v0 is what scales with the kernel; what is left of 1 - delta has few digits.
      expect_equal(kernel$scale * kernel$delta, fit$scale * fit$delta, tolerance = 1e-8)
    }
    kernel <- kernel_lmm(d$y, d$X, d$K * 100, REML = REML)
    expect_equal(kernel$scale * (1 - kernel$delta) * 100, fit$scale * (1 - fit$delta),
                 tolerance = 1e-9)
    order <- sample(40)
    permuted <- kernel_lmm(d$y[order], d$X[order, ], d$K[order, order], REML = REML)
    expect_equal(permuted$logLik, fit$logLik, tolerance = 1e-11)
    expect_equal(permuted$coefficients, fit$coefficients, tolerance = 1e-9)
    expect_equal(permuted$posterior$mean, fit$posterior$mean[order], tolerance = 1e-9)
  }
})

test_that("a kernel by its matrix, its factor and its decomposition give one fit", {
  d <- small_kernel_data(12, n = 10, r = 5)
  one <- kernel_lmm(d$y, d$X, d$K)
  K <- kernel(d$K)
  expect_equal(K$rank, 5L)
  expect_equal(K$vectors %*% (K$values * t(K$vectors)), d$K, tolerance = 1e-10)
  expect_equal(kernel_lmm(d$y, d$X, K)$logLik, one$logLik, tolerance = 1e-12)
  by_factor <- kernel_lmm(d$y, d$X, kernel(factor = d$G / sqrt(5)))
  expect_equal(by_factor$logLik, one$logLik, tolerance = 1e-11)
  expect_equal(by_factor$delta, one$delta, tolerance = 1e-9)
})

test_that("without a kernel the fit is ordinary least squares", {
  d <- small_kernel_data(13)
  ols <- lm(d$y ~ d$X - 1)
  for (REML in c(TRUE, FALSE)) {
    fit <- kernel_lmm(d$y, d$X, REML = REML)
    expect_equal(fit$logLik, as.numeric(logLik(ols, REML = REML)), tolerance = 1e-12)
    expect_equal(unname(fit$coefficients), unname(coef(ols)), tolerance = 1e-12)
    expect_identical(fit$delta, 1)
    expect_equal(fit$scale, sum(resid(ols)^2) / (40 - 3 * REML), tolerance = 1e-12)
    expect_equal(fit$df, 4L)
  }
  expect_error(kernel_lmm(d$y, d$X, fix = list(delta = 0)), class = "partialpool_error_argument")
})

test_that("parameters are held where they are fixed", {
  d <- small_kernel_data(14)
  fit <- kernel_lmm(d$y, d$X, d$K, fix = list(scale = 2, delta = 0.25))
  expect_equal(c(fit$scale, fit$delta), c(2, 0.25), tolerance = 1e-14)
  expect_equal(unname(kernel_variances(fit)), c(1.5, 0.5), tolerance = 1e-12)
  expect_equal(kernel_lmm(d$y, d$X, d$K, fix = list(v0 = 1.5, v1 = 0.5))$logLik, fit$logLik)
  expect_equal(fit$df, 3L)

  # The profile over the scale, and over beta, by a general optimiser.
  scaled <- kernel_lmm(d$y, d$X, d$K, fix = list(scale = 3))
  profile <- function(u) {
    b <- dense_beta(d$y, d$X, d$K, plogis(u))
    dense_log_likelihood(d$y, d$X, d$K, b, 3, plogis(u), TRUE)
  }
  best <- optimize(profile, c(-12, 12), maximum = TRUE, tol = 1e-8)
  expect_equal(scaled$logLik, best$objective, tolerance = 1e-10)
  expect_equal(qlogis(scaled$delta), best$maximum, tolerance = 1e-5)
  expect_lt(abs(scaled$gradient[["logit(delta)"]]), 1e-9)

  held <- kernel_lmm(d$y, d$X, d$K, fix = list(beta = c(2, 0.5, -1)))
  expect_false(held$REML)
  profile <- function(x) {
    dense_log_likelihood(d$y, d$X, d$K, c(2, 0.5, -1), exp(x[1]), plogis(x[2]), FALSE)
  }
  best <- optim(c(0, 0), profile, control = list(fnscale = -1, reltol = 1e-14, maxit = 1000))
  expect_equal(held$logLik, best$value, tolerance = 1e-9)
  expect_lt(max(abs(held$gradient[4:5])), 1e-9)
  expect_equal(held$df, 2L)
  expect_error(kernel_lmm(d$y, d$X, d$K, REML = TRUE, fix = list(beta = c(2, 0.5, -1))),
               class = "partialpool_error_argument")
})

test_that("the posterior is that of the definition", {
  d <- small_kernel_data(15)
  fit <- kernel_lmm(d$y, d$X, d$K)
  v <- kernel_variances(fit)
  V <- v[["v0"]] * d$K + v[["v1"]] * diag(40)
  mean <- drop(d$X %*% fit$coefficients)
  expect_equal(fit$posterior$mean, mean + drop(v[["v0"]] * d$K %*% solve(V, d$y - mean)),
               tolerance = 1e-10)
  expect_equal(fit$posterior$variance,
               diag(v[["v0"]] * d$K - v[["v0"]]^2 * d$K %*% solve(V, d$K)), tolerance = 1e-9)
})

test_that("known noise goes through the same call", {
  record <- kernel_records$noise
  at <- record$evaluations
  fit <- kernel_lmm(record$eta / record$tau, record$X, record$K, REML = FALSE,
                    noise_var = 1 / record$tau, fit = FALSE,
                    start = list(beta = at$beta[[1L]], scale = at$scale, delta = at$delta))
  expect_equal(fit$logLik, at$lml, tolerance = 1e-11)
  expect_equal(unname(fit$gradient), c(at$grad_beta[[1L]], at$grad_logscale, at$grad_logitdelta),
               tolerance = 1e-8)
  expect_equal(fit$model, "normal")
  # Equal noise in all rows is a part of v1.
  d <- small_kernel_data(17)
  one <- kernel_lmm(d$y, d$X, d$K, REML = FALSE)
  two <- kernel_lmm(d$y, d$X, d$K, REML = FALSE, noise_var = 0.1)
  expect_equal(two$logLik, one$logLik, tolerance = 1e-8)
  expect_equal(kernel_variances(two)[["v1"]] + 0.1, kernel_variances(one)[["v1"]],
               tolerance = 1e-3)
})

test_that("the latent variable has the mean and the covariance of the model", {
  d <- small_kernel_data(18)
  fit <- kernel_lmm(d$y, d$X, d$K, start = list(beta = 1:3, scale = 6, delta = 0.1), fit = FALSE)
  v <- kernel_variances(fit)
  expect_equal(unname(v), c(5.4, 0.6), tolerance = 1e-12)
  again <- kernel_lmm(d$y, d$X, d$K, start = list(beta = 1:3, v0 = 5.4, v1 = 0.6), fit = FALSE)
  expect_equal(c(again$scale, again$delta), c(6, 0.1), tolerance = 1e-12)
  prior <- latent(fit, "prior")
  expect_true(is.matrix(prior$covariance))
  expect_equal(unname(prior$covariance), 5.4 * d$K, tolerance = 1e-10)
  # With known noise the variance of each row is latent too.
  noisy <- kernel_lmm(d$y, d$X, d$K, noise_var = 1, fit = FALSE,
                      start = list(beta = 1:3, v0 = 5.4, v1 = 0.6))
  expect_equal(unname(latent(noisy, "prior")$covariance), 5.4 * d$K + 0.6 * diag(40),
               tolerance = 1e-10)
  expect_equal(unname(prior$mean), drop(d$X %*% 1:3), tolerance = 1e-12)
  posterior <- latent(fit)
  expect_equal(unname(posterior$mean), fit$posterior$mean, tolerance = 1e-10)
  expect_equal(unname(diag(posterior$covariance)), fit$posterior$variance, tolerance = 1e-8)
})

test_that("input that cannot be fitted is refused with a reason", {
  d <- small_kernel_data(16)
  expect_error(kernel_lmm(d$y, d$X, diag(40)), "cannot tell",
               class = "partialpool_error_identifiability")
  # The identity after the intercept is taken out.
  expect_error(kernel_lmm(d$y, kernel = diag(40) + 1), "cannot tell",
               class = "partialpool_error_identifiability")
  expect_error(kernel_lmm(drop(d$X %*% 1:3), d$X, d$K), "exactly", class = "partialpool_error_fit")
  expect_error(kernel_lmm(d$y, d$X, d$K, rank = 1), class = "partialpool_error_argument")
  expect_error(kernel_lmm(d$y[-1], d$X, d$K), class = "partialpool_error")
  expect_error(kernel_lmm(replace(d$y, 3, NA), d$X, d$K), class = "partialpool_error_response")
  expect_error(kernel_lmm(d$y, d$X, d$K, REML = NA), class = "partialpool_error_argument")
  expect_error(kernel_lmm(d$y, d$X, d$K, start = list(delta = 2), fit = FALSE),
               class = "partialpool_error_start")
  expect_message(kernel_lmm(d$y, cbind(d$X, 2 * d$X[, 2]), d$K), class = "partialpool_message_rank")
})

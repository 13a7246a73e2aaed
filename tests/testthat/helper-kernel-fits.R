# Fits of kernel models made by hand, with dense matrices and nothing of the engine.

kernel_data <- function(n = 14, seed = 4, ids = TRUE) {
  set.seed(seed)
  t <- sort(runif(n, 0, 3))
  K <- exp(-abs(outer(t, t, `-`)))
  dimnames(K) <- if (ids) list(paste0("s", seq_len(n)), paste0("s", seq_len(n)))
  x <- rnorm(n)
  z <- 0.4 + 0.5 * x + as.vector(t(chol(K)) %*% rnorm(n)) + 0.4 * rnorm(n)
  names <- if (ids) rownames(K)
  list(
    n = n, K = K, X = cbind("(Intercept)" = 1, x = x), z = z,
    count = stats::setNames(rpois(n, exp(z)), names),
    yes = stats::setNames(rbinom(n, 1, plogis(2 * z)), names),
    trials = rep(c(5, 8), length.out = n),
    successes = stats::setNames(rbinom(n, rep(c(5, 8), length.out = n), plogis(z)), names),
    normal = stats::setNames(z + rnorm(n), names)
  )
}

# z ~ N(X beta, v0 K + v1 I) observed with known variances.
noise_fit <- function(d = kernel_data(), noise = seq(0.5, 2, length.out = d$n), scale = 2,
                      delta = 0.3, beta = c(0.3, 0.6), ...) {
  inputs <- kernel_inputs(d$normal, d$X, d$K, noise_var = noise)
  V <- scale * ((1 - delta) * d$K + delta * diag(d$n)) + diag(noise)
  r <- d$normal - d$X %*% beta
  new_kernel_fit(inputs,
    call = quote(kernel_lmm(y, X, K, noise_var = noise)), model = "normal", coefficients = beta,
    scale = scale, delta = delta, fixed = c(beta = FALSE, scale = FALSE, delta = FALSE),
    logLik = -0.5 * (d$n * log(2 * pi) + determinant(V)$modulus + sum(r * solve(V, r))),
    vcov = solve(t(d$X) %*% solve(V, d$X)),
    sites = list(tau = 1 / noise, nu = unname(d$normal) / noise), ...
  )
}

# The same observed without noise: generalised least squares.
spectral_fit <- function(d = kernel_data(), scale = 2, delta = 0.3, REML = TRUE, kernel = d$K,
                         ...) {
  inputs <- kernel_inputs(d$normal, d$X, kernel)
  K <- if (is.null(kernel)) 0 * diag(d$n) else kernel_matrix(inputs$kernel)
  V <- scale * ((1 - delta) * K + delta * diag(d$n))
  vcov <- solve(t(d$X) %*% solve(V, d$X))
  beta <- vcov %*% t(d$X) %*% solve(V, d$normal)
  r <- d$normal - d$X %*% beta
  p <- ncol(d$X)
  value <- d$n * log(2 * pi) + determinant(V)$modulus + sum(r * solve(V, r))
  if (REML) value <- value - p * log(2 * pi) - determinant(vcov)$modulus
  new_kernel_fit(inputs,
    call = quote(kernel_lmm(y, X, K)), model = "spectral", coefficients = beta, scale = scale,
    delta = delta, fixed = c(beta = FALSE, scale = FALSE, delta = FALSE), logLik = -value / 2,
    vcov = vcov, REML = REML, convergence = list(status = "converged", evaluations = 61L), ...
  )
}

# Parallel expectation propagation with dense matrices; tilted moments by a fine trapezoid rule.
dense_ep <- function(log_density, mean, prior, sweeps = 200L) {
  n <- length(mean)
  tau <- nu <- rep(0, n)
  for (sweep in seq_len(sweeps)) {
    covariance <- solve(solve(prior) + diag(tau))
    m <- as.vector(covariance %*% (solve(prior, mean) + nu))
    v <- diag(covariance)
    cavity <- v / (1 - v * tau)
    centre <- (m - v * nu) / (1 - v * tau)
    tilted <- vapply(seq_len(n), function(i) {
      eta <- centre[i] + sqrt(cavity[i]) * seq(-11, 11, length.out = 801L)
      w <- log_density(i, eta) - (eta - centre[i])^2 / (2 * cavity[i])
      w <- exp(w - max(w))
      first <- sum(w * eta) / sum(w)
      c(first, sum(w * (eta - first)^2) / sum(w))
    }, c(0, 0))
    new_tau <- 1 / tilted[2L, ] - 1 / cavity
    new_nu <- tilted[1L, ] / tilted[2L, ] - centre / cavity
    moved <- max(abs(new_tau - tau), abs(new_nu - nu))
    tau <- 0.3 * tau + 0.7 * new_tau
    nu <- 0.3 * nu + 0.7 * new_nu
    if (moved < 1e-11) break
  }
  list(tau = tau, nu = nu, mean = m, variance = v, covariance = covariance)
}

ep_fit <- function(family, y, log_density, d = kernel_data(), scale = 0.8, delta = 0.25,
                   beta = c(0.3, 0.5), trials = NULL, offset = NULL, dispersion = NULL, ...) {
  inputs <- kernel_inputs(y, d$X, d$K, family, trials = trials, offset = offset)
  mean <- as.vector(d$X %*% beta) + if (is.null(offset)) 0 else offset
  prior <- unname(scale * ((1 - delta) * d$K + delta * diag(d$n)))
  found <- dense_ep(log_density, mean, prior)
  e <- found$nu - found$tau * found$mean
  R <- solve(diag(d$n) + found$tau * unname(prior), diag(found$tau))
  names <- c(colnames(d$X), "log(scale)", "logit(delta)")
  vcov <- solve(t(d$X) %*% R %*% d$X)
  full <- matrix(0, 4L, 4L, dimnames = list(names, names))
  full[1:2, 1:2] <- vcov
  full[3:4, 3:4] <- c(0.4, 0.1, 0.1, 0.9)
  new_kernel_fit(inputs,
    call = quote(kernel_glmm(y, X, K, family)), model = "ep", coefficients = beta, scale = scale,
    delta = delta, fixed = c(beta = FALSE, scale = FALSE, delta = FALSE), logLik = -25.25,
    gradient = stats::setNames(c(as.vector(crossprod(d$X, e)), 0, 0), names), vcov = vcov,
    vcov_full = full, dispersion = dispersion, sites = found[c("tau", "nu")],
    posterior = list(mean = found$mean, variance = found$variance),
    convergence = list(
      status = "converged", residual = 3e-12, sweeps = 12L, evaluations = 9L, boundary = character()
    ), ...
  )
}

poisson_ep_fit <- function(d = kernel_data(), ...) {
  ep_fit(poisson(), d$count, function(i, eta) {
    stats::dpois(d$count[i], exp(eta), log = TRUE)
  }, d, ...)
}

binomial_ep_fit <- function(d = kernel_data(), ...) {
  ep_fit(binomial(), d$successes, function(i, eta) {
    stats::dbinom(d$successes[i], d$trials[i], stats::plogis(eta), log = TRUE)
  }, d, trials = d$trials, ...)
}

# Null models for scans, put together by hand, and what their scans must give by dense algebra.

# y ~ N(X beta, scale ((1 - delta) K + delta I) + noise)
gaussian_null <- function(y, X, K, delta, scale = 1, REML = FALSE, noise_var = NULL, names = NULL) {
  structure(
    list(
      model = if (is.null(noise_var)) "spectral" else "normal", REML = REML, y = y, X = X,
      n = length(y), names = names, kernel = if (!is.null(K)) kernel(K), scale = scale,
      delta = delta, noise_var = noise_var, offset = NULL, logLik = 0
    ),
    class = c("pp_kernel_lmm", "pp_kernel_fit", "pp_fit")
  )
}

site_null <- function(X, K, beta, scale, delta, tau, nu, offset = NULL) {
  structure(
    list(
      model = "ep", REML = FALSE, y = NULL, X = X, n = nrow(X), names = NULL, kernel = kernel(K),
      coefficients = beta, scale = scale, delta = delta, offset = offset,
      sites = list(tau = tau, nu = nu), logLik = -7
    ),
    class = c("pp_kernel_glmm", "pp_kernel_fit", "pp_fit")
  )
}

# Generalised least squares of y on X and the columns `M`, covariance s V; `scale` NULL: refitted.
# The rows of V are whitened by its eigenvectors, which loses less than its inverse.
dense_gls <- function(y, X, M, V, REML = FALSE, scale = NULL) {
  found <- eigen(V, symmetric = TRUE)
  root <- t(found$vectors) / sqrt(found$values)
  M <- as.matrix(M)
  all <- qr(root %*% cbind(X, M))
  white <- drop(root %*% y)
  rss <- sum(qr.resid(all, white)^2)
  n <- length(y)
  size <- if (REML) n - ncol(X) - ncol(M) else n
  s <- if (is.null(scale)) rss / size else scale
  inverse <- chol2inv(qr.R(all))
  at <- ncol(X) + seq_len(ncol(M))
  effect <- qr.coef(all, white)[at]
  log_det <- sum(log(found$values)) + if (REML) 2 * sum(log(abs(diag(qr.R(all))))) else 0
  list(
    effect = unname(effect), se = sqrt(s * diag(inverse)[at]), scale = s,
    wald = (sum(qr.resid(qr(root %*% X), white)^2) - rss) / s,
    logLik = -(size * log(2 * pi * s) + log_det + rss / s) / 2
  )
}

dense_scan <- function(y, X, markers, V, REML = FALSE, scale = NULL) {
  rows <- lapply(seq_len(ncol(markers)), function(j) {
    dense_gls(y, X, markers[, j], V, REML, scale)[c("effect", "se", "logLik")]
  })
  as.data.frame(do.call(rbind, lapply(rows, unlist)))
}

# Effects are compared in units of their standard errors: they may be zero.
expect_scan <- function(scan, expected, tolerance = 1e-10) {
  expect_lt(max(abs(scan$effect - expected$effect) / expected$se), tolerance, label = "effect")
  expect_lt(max(abs(scan$se / expected$se - 1)), tolerance, label = "se")
  if (!is.null(expected$logLik)) {
    expect_lt(max(abs(scan$logLik / expected$logLik - 1)), tolerance, label = "logLik")
  }
}

genotypes <- function(n, m, seed = 1) {
  withr::with_seed(seed, {
    frequency <- stats::runif(m, 0.1, 0.5)
    matrix(stats::rbinom(n * m, 2L, rep(frequency, each = n)), n)
  })
}

# A .bed file with its .bim and .fam, of 0, 1, 2 or NA copies of the first allele.
write_bed <- function(genotypes, stem, samples, markers, magic = as.raw(c(0x6c, 0x1b, 0x01))) {
  codes <- matrix(c(3L, 2L, 0L)[genotypes + 1L], nrow(genotypes))
  codes[is.na(codes)] <- 1L
  pad <- -nrow(codes) %% 4L
  codes <- rbind(codes, matrix(0L, pad, ncol(codes)))
  bytes <- colSums(matrix(codes, 4L) * c(1L, 4L, 16L, 64L))
  writeBin(c(magic, as.raw(bytes)), paste0(stem, ".bed"))
  writeLines(paste("F", samples, 0, 0, 0, -9), paste0(stem, ".fam"))
  writeLines(
    paste(rep(1:2, length.out = length(markers)), markers, 0, 100 * seq_along(markers), "A", "G",
          sep = "\t"),
    paste0(stem, ".bim")
  )
  paste0(stem, ".bed")
}

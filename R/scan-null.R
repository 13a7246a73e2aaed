# What a scan needs of the null model, and the tests that come of a marker's score and information.

# The basis of the products (see scan_basis.h) and the constants of the tests.
scan_null <- function(fit, refit) {
  n <- fit$n
  X <- fit$X
  null <- list(
    model = fit$model, REML = isTRUE(fit$REML), refit = refit, n = n, p = ncol(X),
    scale = fit$scale, delta = fit$delta, logLik = fit$logLik
  )
  if (refit && null$REML && n - null$p < 2L) {
    pp_abort("argument", c(
      x = "Nothing is left to estimate the scale from: {n} row{?s}, {null$p} column{?s} of {.arg X}
           and one marker.",
      ">" = "Use {.code refit_scale = FALSE} to take the scale of the null model."
    ))
  }
  part <- switch(fit$model,
    spectral = spectral_null(fit), normal = normal_null(fit), ep = ep_null(fit)
  )
  null[names(part)] <- part
  if (!null$basis$ok) {
    pp_abort("argument", c(
      x = "The covariance matrix of {.arg fit} is singular at its parameters: no scan is possible.",
      i = "They are scale {signif(fit$scale, 3)}, delta {signif(fit$delta, 3)}."
    ))
  }
  null$rss <- null$basis$residual
  null$log_det_x <- null$basis$log_det_x
  null$unit <- if (fit$model == "spectral") fit$scale else 1
  null
}

# R is in units of the scale.
spectral_null <- function(fit) {
  spectrum <- null_spectrum(fit)
  y <- if (is.null(fit$offset)) fit$y else fit$y - fit$offset
  basis <- scan_basis_spectral(spectrum$vectors, spectrum$values, fit$delta, plain_x(fit),
                               as.numeric(y))
  list(basis = basis, log_det_v = basis$log_det_r)
}

normal_null <- function(fit) {
  variances <- kernel_variances(fit)
  precision <- 1 / (variances[["v1"]] + rep_len(fit$noise_var, fit$n))
  y <- if (is.null(fit$offset)) fit$y else fit$y - fit$offset
  X <- plain_x(fit)
  # Nothing depends on the part of y along X; without it, less is lost in differences
  y <- if (ncol(X)) qr.resid(qr(X), as.numeric(y)) else as.numeric(y)
  basis <- scan_basis_sites(null_root(fit), precision, precision * y, X)
  list(basis = basis, log_det_v = basis$log_det_r - sum(log(precision)))
}

# The iid part of the covariance is integrated out: what is left of the sites.
ep_null <- function(fit) {
  v1 <- kernel_variances(fit)[["v1"]]
  shrink <- 1 / (1 + v1 * fit$sites$tau)
  mean <- drop(fit$X %*% fit$coefficients)
  if (!is.null(fit$offset)) mean <- mean + fit$offset
  precision <- fit$sites$tau * shrink
  pull <- fit$sites$nu * shrink - precision * mean
  if (!all(is.finite(precision), is.finite(pull))) {
    pp_abort("argument", c(x = "{.arg fit} has no finite sites: no scan is possible."))
  }
  list(basis = scan_basis_sites(null_root(fit), as.numeric(precision), as.numeric(pull),
                                plain_x(fit)))
}

plain_x <- function(fit) matrix(as.numeric(fit$X), fit$n)

null_spectrum <- function(fit) {
  if (is.null(fit$kernel)) {
    return(list(values = numeric(), vectors = matrix(0, fit$n, 0L)))
  }
  kernel_spectrum(fit$kernel)
}

null_root <- function(fit) {
  spectrum <- null_spectrum(fit)
  v0 <- kernel_variances(fit)[["v0"]]
  if (v0 <= 0) spectrum <- list(values = numeric(), vectors = matrix(0, fit$n, 0L))
  spectrum$vectors * rep(sqrt(v0 * spectrum$values), each = fit$n)
}

# Tests of one column each, or of sets with `df` columns: `raw` holds quadratic (the score in the
# metric of the inverse information), df and log_det (of the information), NaN where nothing could
# be tested.
scan_tests <- function(null, raw) {
  df <- raw$rank
  quadratic <- raw$quadratic
  # Nothing is left of the residual: no scale, no test
  exact <- which(null$refit & quadratic > (1 - 1e-13) * null$rss)
  if (null$refit && null$REML) exact <- union(exact, which(df > 0L & null$n - null$p - df < 1L))
  quadratic[exact] <- NaN
  tests <- if (null$refit) refitted_tests(null, quadratic, df) else held_tests(null, quadratic, df)
  if (null$model != "ep") tests$logLik <- scan_log_lik(null, tests, quadratic, df, raw$log_det)
  tests$exact <- exact
  tests
}

refitted_tests <- function(null, quadratic, df) {
  residual_df <- if (null$REML) null$n - null$p - df else rep(null$n, length(df))
  scale <- (null$rss - quadratic) / residual_df
  lrt <- -null$n * log1p(-quadratic / null$rss)
  wald <- quadratic / scale
  list(
    scale = scale, wald = if (null$REML) wald / df else wald, lrt = lrt,
    p = if (null$REML) {
      # F with one degree of freedom is the square of t, whose tail is more accurate
      ifelse(df == 1L, 2 * stats::pt(-sqrt(wald), residual_df),
        stats::pf(wald / df, df, residual_df, lower.tail = FALSE)
      )
    } else {
      stats::pchisq(lrt, df, lower.tail = FALSE)
    }
  )
}

held_tests <- function(null, quadratic, df) {
  wald <- quadratic / null$unit
  list(
    scale = rep(null$unit, length(df)), wald = wald, lrt = wald,
    p = stats::pchisq(wald, df, lower.tail = FALSE), logLik = null$logLik + wald / 2
  )
}

scan_log_lik <- function(null, tests, quadratic, df, log_det) {
  size <- if (null$REML) null$n - null$p - df else null$n
  # Over the scale: the residual sum of squares is `size` times it where it was refitted
  rss <- if (null$refit) size else (null$rss - quadratic) / tests$scale
  log_det <- null$log_det_v + if (null$REML) null$log_det_x + log_det else 0
  -(size * log(2 * pi * tests$scale) + log_det + rss) / 2
}

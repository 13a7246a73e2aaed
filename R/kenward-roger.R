# The method of Kenward and Roger: an adjusted covariance of the fixed effects, and F tests whose
# denominator degrees of freedom and scale match the moments of the statistic.

# Levels that can be connected with each other before the matrices of the method become too large.
kenward_roger_columns <- 6000

kenward_roger_inference <- function(fit, base) {
  check_restricted(fit)
  parts <- engine_kenward_roger(engine(fit), fit$theta, kenward_roger_columns)
  if (is.null(parts$root)) abort_crossed(parts$columns)
  scaled <- parts$root %*% (diag(nrow(parts$root)) + parts$adjustment) %*% t(parts$root)
  check_adjusted(diag(scaled), rowSums(parts$root^2))
  beta <- unname(fit$coefficients) / base$unit
  # 2 / A with one row: the factor of the statistic is one.
  df <- function(L) quadratic_df(L, parts)
  value <- wald_inference(base, scaled, df)
  value$joint <- function(L, at = 0) {
    kenward_roger_test(L, beta - at / base$unit, scaled, parts, base$metric)
  }
  value
}

check_restricted <- function(fit) {
  if (!fit$REML) {
    pp_abort("argument", c(
      x = "{.code ddf = \"kenward-roger\"} needs a fit by REML; this one is by maximum likelihood.",
      ">" = "{.code update(fit, REML = TRUE)} gives one, or use {.code ddf = \"satterthwaite\"}."
    ))
  }
}

# The adjustment is beyond reason where the data do not determine the variance parameters.
check_adjusted <- function(adjusted, variance) {
  if (!all(is.finite(adjusted) & adjusted > 1e-6 * variance & adjusted < 1e6 * variance)) {
    pp_abort("argument", c(
      x = "{.code ddf = \"kenward-roger\"} cannot be used for this fit.",
      i = "Its variance parameters are not determined by the data, and the method needs their
           covariance.",
      ">" = "Leave out the random term that is aliased with fixed effects, or use {.code ddf =
             \"satterthwaite\"}."
    ))
  }
}

abort_crossed <- function(columns) {
  gigabytes <- signif(3 * 8 * columns^2 / 1e9, 2)
  pp_abort("argument", c(
    x = "{.code ddf = \"kenward-roger\"} is too costly for this model.",
    i = "Its {format(columns, big.mark = ',')} random effects are connected through the rows:
         matrices of that size take {gigabytes} GB, and time that grows with the cube.",
    ">" = "{.code ddf = \"satterthwaite\"} is nearly the same with so many levels."
  ))
}

# Degrees of freedom 2 v^2 / Var(v) of each row of L. `parts`: root, with variance |l root|^2 of a
# row; changes of that variance by parameter; covariance of the parameters.
quadratic_df <- function(L, parts) {
  if (nrow(L) == 0L) {
    return(numeric(0))
  }
  # They do not depend on the size of a row: brought to a variance near one, whatever the units.
  size <- apply(abs(L) * rep(sqrt(rowSums(parts$root^2)), each = nrow(L)), 1L, max)
  size[!is.finite(size) | size == 0] <- 1
  C <- (L / size) %*% parts$root
  p <- ncol(C)
  slopes <- apply(parts$changes, 3L, function(change) {
    rowSums((C %*% matrix(change, p)) * C)
  })
  slopes <- matrix(slopes, nrow(C))
  2 * rowSums(C^2)^2 / rowSums((slopes %*% parts$covariance) * slopes)
}

# F, scaled, and its degrees of freedom; the same for every L with the same rows spanned.
kenward_roger_test <- function(L, beta, V, parts, metric) {
  L <- hypothesis_basis(L, metric)
  q <- nrow(L)
  if (q == 0L) {
    return(f_test(NaN, 0L, NaN))
  }
  p <- ncol(L)
  # Orthonormal rows: L Phi L' = I.
  C <- t(qr.Q(qr(t(L %*% parts$root))))
  turned <- apply(parts$changes, 3L, function(change) C %*% matrix(change, p) %*% t(C))
  turned <- matrix(turned, q * q)
  traces <- colSums(turned[seq(1L, q * q, q + 1L), , drop = FALSE])
  A1 <- drop(traces %*% parts$covariance %*% traces)
  A2 <- sum(parts$covariance * crossprod(turned))
  moments <- kenward_roger_moments(q, A1, A2)
  # The data are too few for the approximation: no F distribution has these moments.
  if (!isTRUE(moments$den > 0 && moments$scale > 0)) {
    return(c(f_test(NA_real_, q, NA_real_), list(scale = NA_real_)))
  }
  value <- L %*% beta
  f <- sum(value * solve(L %*% V %*% t(L), value)) / q
  c(f_test(moments$scale * f, q, moments$den, q * f), list(scale = moments$scale))
}

# Denominator df and factor of F (Kenward and Roger 1997, section 3).
kenward_roger_moments <- function(q, A1, A2) {
  B <- (A1 + 6 * A2) / (2 * q)
  g <- ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
  d <- 3 * q + 2 * (1 - g)
  c1 <- g / d
  c2 <- (q - g) / d
  c3 <- (q + 2 - g) / d
  # The ratio is 1 where both parts vanish, as in an exact F test with two degrees of freedom; they
  # do so up to the rounding of A1 and A2.
  ratio <- (1 - A2 / q) / (1 - c2 * B)
  if (abs(1 - c2 * B) < 1e-7 && abs(1 - A2 / q) < 1e-7) ratio <- 1
  above <- 1 + c1 * B
  if (abs(above) < 1e-10) above <- 0
  rho <- ratio^2 * above / (1 - c3 * B) / q
  den <- 4 + (q + 2) / (q * rho - 1)
  scale <- if (abs(den - 2) < 0.01) 1 else den * (1 - A2 / q) / (den - 2)
  list(den = den, scale = scale)
}

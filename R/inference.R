# What every test and interval of fixed effects is made of: estimates, their covariance, and
# denominator degrees of freedom by the method asked for.

ddf_methods <- c("satterthwaite", "kenward-roger", "residual", "none")

# A list: `coefficients`; `vcov`, by Kenward-Roger the adjusted one; `ddf`, the method used;
# `df(L)`, degrees of freedom of each row of L; `joint(L, at)`, the F test of L (beta - at) = 0. For
# units whose squares do not exist also `unit` and `scaled`: vcov is unit^2 scaled.
inference <- function(fit, ddf = NULL) UseMethod("inference")

inference.pp_lmm <- function(fit, ddf = NULL) {
  ddf <- if (is.null(ddf)) "satterthwaite" else choose_ddf(ddf)
  if (ddf != "none" && !has_random(fit)) ddf <- "residual"
  metric <- metric_of(fit)
  base <- list(coefficients = fit$coefficients, ddf = ddf, unit = fit$sigma, metric = metric)
  if (ddf == "kenward-roger") {
    return(kenward_roger_inference(fit, base))
  }
  df <- switch(ddf,
    satterthwaite = satterthwaite_df(fit), residual = constant_df(fit$n - length(fit$coefficients)),
    none = infinite_df
  )
  wald_inference(base, fit$vcov_unscaled, df)
}

inference.pp_glmm <- function(fit, ddf = NULL) {
  ddf <- check_ddf(ddf, "none", "a generalised linear mixed model")
  separation <- fit$convergence$separation
  infinite <- match(separation$columns, names(fit$coefficients))
  if (length(infinite) && identical(separation$kind, "complete")) {
    infinite <- seq_along(fit$coefficients)
  }
  base <- list(coefficients = fit$coefficients, ddf = ddf, unit = 1, metric = metric_of(fit))
  wald_inference(base, fit$vcov, infinite_df, infinite)
}

inference.pp_kernel_fit <- function(fit, ddf = NULL) {
  estimated <- has_t_tests(fit)
  known <- if (estimated) c("residual", "none") else "none"
  ddf <- check_ddf(ddf, known, "this kernel model")
  # Coefficients that were given have no standard errors.
  held <- if (fit$fixed[["beta"]]) seq_along(fit$coefficients)
  df <- if (ddf == "none") infinite_df else constant_df(coefficient_df(fit))
  base <- list(coefficients = fit$coefficients, ddf = ddf, unit = 1, metric = metric_of(fit))
  wald_inference(base, fit$vcov, df, held)
}

# One coefficient of one trait after the other, by the names of vcov().
inference.pp_kernel_traits <- function(fit, ddf = NULL) {
  ddf <- check_ddf(ddf, "none", "a kernel model of several traits")
  coefficients <- stats::setNames(c(fit$coefficients), rownames(fit$vcov))
  one <- metric_of(fit)
  metric <- function() kronecker(diag(ncol(fit$y)), one())
  base <- list(coefficients = coefficients, ddf = ddf, unit = 1, metric = metric)
  wald_inference(base, fit$vcov, infinite_df)
}

inference.default <- function(fit, ddf = NULL) {
  pp_abort("argument", c(
    x = "{.arg fit} must be a fit by {.fn {c('lmm', 'glmm', 'kernel_lmm', 'kernel_glmm')}}.",
    i = "It is {.obj_type_friendly {fit}}."
  ))
}

# `known`: the methods that a kind of fit has, the default first.
check_ddf <- function(ddf, known, kind) {
  if (is.null(ddf)) {
    return(known[1L])
  }
  ddf <- choose_ddf(ddf)
  if (!ddf %in% known) {
    pp_abort("argument", c(
      x = "{.arg ddf} cannot be {.val {ddf}} for {kind}.",
      i = "It can be {.or {.val {known}}}."
    ))
  }
  ddf
}

# Abbreviations will do, and capitals, as lmerTest writes the names.
choose_ddf <- function(ddf) {
  if (is.character(ddf) && !identical(ddf, ddf_methods)) ddf <- tolower(ddf)
  choose_option(ddf, ddf_methods, "ddf")
}

infinite_df <- function(L) rep(Inf, nrow(L))
constant_df <- function(df) function(L) rep(as.numeric(df), nrow(L))

# Inference by one covariance matrix, in units of base$unit, and the degrees of freedom of single
# contrasts. Coefficients in `without` have no variance: they are infinite, or were given. `working`
# keeps them apart from the others.
wald_inference <- function(base, scaled, df, without = integer()) {
  scaled <- unname(as.matrix(scaled))
  without <- union(without, which(is.na(diag(scaled))))
  beta <- unname(base$coefficients) / base$unit
  known <- scaled
  known[without, ] <- 0
  known[, without] <- 0
  known[cbind(without, without)] <- 1
  has_none <- function(L) rowSums(abs(L[, without, drop = FALSE])) > 1e-8 * rowSums(abs(L))
  variance <- function(L) {
    v <- rowSums((L %*% known) * L)
    v[has_none(L)] <- NA_real_
    v
  }
  names <- names(base$coefficients)
  c(base, list(
    vcov = structure(base$unit^2 * scaled, dimnames = list(names, names)),
    scaled = scaled, working = known, variance = variance, df = df,
    joint = function(L, at = 0) {
      if (any(has_none(L))) {
        return(no_test(L, base$metric))
      }
      test <- rotate_hypothesis(L, beta - at / base$unit, known, base$metric)
      f_test(test$chisq / test$df, test$df, combine_df(df(test$L)))
    }
  ))
}

# `chisq`: the Wald statistic, which F is over `num`, but for a factor of Kenward and Roger's.
f_test <- function(statistic, num, den, chisq = statistic * num) {
  p <- stats::pf(statistic, num, den, lower.tail = FALSE)
  list(
    statistic = statistic, num = num, den = den, p = if (num > 0L) p else NA_real_, chisq = chisq
  )
}

no_test <- function(L, metric) {
  num <- nrow(hypothesis_basis(L, metric))
  list(statistic = NA_real_, num = num, den = NA_real_, p = NA_real_, chisq = NA_real_)
}

# Estimates, tests and intervals of the rows of L (k x p), in broom's column names.
contrast_table <- function(inference, L, level = 0.95) {
  check_level(level)
  L <- as_contrasts(L, length(inference$coefficients))
  unit <- inference$unit
  estimate <- drop(L %*% unname(inference$coefficients))
  se <- unit * sqrt(inference$variance(L))
  df <- inference$df(L)
  statistic <- estimate / se
  half <- se * stats::qt((1 + level) / 2, df)
  data.frame(
    estimate = estimate, std.error = se, df = df, statistic = statistic,
    p.value = 2 * stats::pt(-abs(statistic), df),
    conf.low = estimate - half, conf.high = estimate + half,
    row.names = if (!anyDuplicated(rownames(L))) rownames(L)
  )
}

# A vector is one contrast.
as_contrasts <- function(L, p) {
  if (is.matrix(L)) L else matrix(L, ncol = p)
}

# Root R of X'WX, found when it is first asked for: the metric in which hypotheses have a basis that
# depends neither on the coding of factors nor on units.
metric_of <- function(fit) {
  value <- NULL
  function() {
    if (is.null(value)) value <<- root_of_design(fit$X, if (inherits(fit, "pp_lmm")) fit$weights)
    value
  }
}

root_of_design <- function(X, weights = NULL) {
  X <- unname(as.matrix(X))
  attributes(X) <- list(dim = dim(X))
  if (!is.null(weights)) X <- X * sqrt(weights)
  size <- apply(abs(X), 2L, max)
  scaled <- X / rep(size, each = nrow(X))
  root <- tryCatch(chol(crossprod(scaled)), error = function(e) NULL)
  if (is.null(root)) root <- qr.R(qr(scaled, LAPACK = FALSE))
  root * rep(size, each = nrow(root))
}

# Rows that span those of L and are orthonormal in the metric.
hypothesis_basis <- function(L, metric) {
  R <- metric()
  L <- L[rowSums(L != 0) > 0, , drop = FALSE]
  if (nrow(L) == 0L) {
    return(L)
  }
  rows <- backsolve(R, t(L), transpose = TRUE)
  rows <- rows / rep(sqrt(colSums(rows^2)), each = nrow(rows))
  factorised <- qr(rows, tol = 1e-9)
  Q <- qr.Q(factorised)[, seq_len(factorised$rank), drop = FALSE]
  crossprod(Q, R)
}

# Uncorrelated directions of L beta: their t values squared add up to the Wald chi-square. They are
# those of the rows as given, as in lmerTest; rows in units so different that a direction would be
# lost are brought to the metric of the design first.
rotate_hypothesis <- function(L, beta, V, metric) {
  basis <- hypothesis_basis(L, metric)
  given <- uncorrelated_rows(L, V, sqrt(.Machine$double.eps))
  best <- if (length(given$variance) == nrow(basis)) given else uncorrelated_rows(basis, V, 0)
  chisq <- sum((best$L %*% beta)^2 / best$variance)
  list(L = best$L, chisq = chisq, df = length(best$variance))
}

uncorrelated_rows <- function(L, V, tolerance) {
  decomposition <- eigen(L %*% V %*% t(L), symmetric = TRUE)
  d <- decomposition$values
  kept <- which(d > tolerance * max(d[1L], 0))
  list(L = crossprod(decomposition$vectors[, kept, drop = FALSE], L), variance = d[kept])
}

# Satterthwaite degrees of freedom of each row of L. The engine is asked once, and not before it is
# needed.
satterthwaite_df <- function(fit) {
  parts <- NULL
  function(L) {
    if (nrow(L) == 0L) {
      return(numeric(0))
    }
    if (is.null(parts)) parts <<- engine_wald_derivatives(engine(fit), fit$theta)
    quadratic_df(L, parts)
  }
}

# The denominator df for which F has the mean of the sum of squared t variables.
combine_df <- function(df) {
  if (length(df) < 2L || max(df) - min(df) < 1e-8 || all(is.infinite(df))) {
    return(mean(df))
  }
  if (any(df <= 2)) {
    return(2)
  }
  excess <- sum(df / (df - 2))
  2 * excess / (excess - length(df))
}

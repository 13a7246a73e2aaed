# What a replicate of a bootstrap is fitted to, and the refit.

# A function without arguments that draws a replicate and returns its fit.
replicator <- function(job) {
  fit <- job$fit
  # What a fit of a matrix holds besides matters to a statistic of the user's.
  whole <- inherits(fit, "pp_matrix_lmm") && job$whole
  finish <- if (whole) as_matrix_fit else function(again, fit) again
  if (job$type == "cases") {
    return(function() finish(refit_cases(fit, job$cases), fit))
  }
  draw <- switch(job$type,
    parametric = parametric_response(fit, job$use_random),
    semiparametric = resampled_response(fit, job$use_random)
  )
  function() finish(warm_refit(fit, draw()), fit)
}

as_matrix_fit <- function(again, fit) {
  own <- c("features", "groupings", "standardisation", "intervals")
  again[own] <- fit[own]
  class(again) <- class(fit)
  with_matrix_results(again)
}

# A function that simulates one response.
parametric_response <- function(fit, use_random) UseMethod("parametric_response")

# What does not depend on the draw is done once.
parametric_response.pp_lmm <- function(fit, use_random) {
  rows <- rows_of_fit(fit, wanted_columns(fit, if (use_random) NULL else NA))
  mean <- unname(predicted_mean(fit, rows))
  spread <- fit$sigma / sqrt(rows$weights)
  n <- fit$n
  function() {
    effects <- as.vector(new_effects(fit, rows, NULL, 1L))
    mean + fit$sigma * effects + spread * stats::rnorm(n)
  }
}

parametric_response.pp_glmm <- function(fit, use_random) {
  re.form <- if (use_random) NULL else NA
  function() simulate.pp_glmm(fit, re.form = re.form)[[1L]]
}

parametric_response.pp_kernel_fit <- function(fit, use_random) {
  function() stats::simulate(fit)[[1L]]
}

# A function that draws residuals and, unless they are kept, random effects from those of the fit.
resampled_response <- function(fit, use_random) {
  root_weight <- if (is.null(fit$weights)) 1 else sqrt(fit$weights)
  fitted <- fitted_values(fit)
  residual <- (fit$y - fitted) * root_weight
  n <- fit$n
  residual <- residual - mean(residual)
  residual <- residual * (fit$sigma / sqrt(mean(residual^2)))
  if (use_random) {
    return(function() fitted + residual[sample.int(n, n, TRUE)] / root_weight)
  }
  fixed <- fixed_part(fit$X, fit$coefficients, fit$offset)
  pools <- lapply(seq_along(fit$random), function(t) reflated_modes(fit, t, (fit$y - fitted)))
  function() {
    eta <- fixed
    for (t in seq_along(pools)) {
      pool <- pools[[t]]
      term <- fit$random[[t]]
      b <- pool[sample.int(nrow(pool), nrow(pool), TRUE), , drop = FALSE] %*% t(fit$Lambda[[t]])
      if (has_kernel(term)) b <- term$kernel$loading %*% b
      eta <- eta + random_part(term$codes, term$z, b)
    }
    eta + residual[sample.int(n, n, TRUE)] / root_weight
  }
}

# The modes u of a term, one row a level (or independent effect of a kernel), centred and turned so
# that their covariance over the rows is sigma^2 I, or zero where they do not vary. With S = C C'
# that covariance before, the turn is by sigma C^-1: it gives b = Lambda u the covariance
# sigma^2 Lambda Lambda' by the Cholesky factors of Carpenter, Goldstein & Rasbash.
reflated_modes <- function(fit, t, residual) {
  term <- fit$random[[t]]
  z <- if (is.null(term$z)) matrix(1, fit$n, 1L) else term$z
  w <- if (is.null(fit$weights)) 1 else fit$weights
  sums <- unname(rowsum(w * residual * z, factor(term$codes, seq_along(term$levels))))
  sums[is.na(sums)] <- 0
  if (has_kernel(term)) sums <- crossprod(term$kernel$loading, sums)
  u <- sums %*% fit$Lambda[[t]]
  # Innovations of the columns, one after the other: a Cholesky factor that may be singular.
  u <- sweep(u, 2L, colMeans(u))
  size <- sqrt(colMeans(u^2))
  for (k in seq_len(ncol(u))) {
    before <- u[, seq_len(k - 1L), drop = FALSE]
    left <- u[, k] - before %*% (crossprod(before, u[, k]) / nrow(u))
    spread <- sqrt(mean(left^2))
    u[, k] <- if (spread > 1e-7 * max(size[k], fit$sigma * 1e-7)) left / spread else 0
  }
  fit$sigma * u
}

check_resamplable <- function(fit) {
  for (term in fit$random) {
    if (length(term$levels) < 3L && !has_kernel(term)) {
      pp_abort("argument", c(
        x = "{.var {term$group}} has {length(term$levels)} levels: too few to draw from.",
        ">" = "Use {.code type = \"parametric\"}."
      ))
    }
  }
}

# The fit of the same model to another response, from the estimates of the fit.
warm_refit <- function(fit, y) UseMethod("warm_refit")

warm_refit.pp_lmm <- function(fit, y) {
  control <- fit$control
  # On the boundary the criterion is flat in theta: no place to start from.
  start <- if (!fit$convergence$singular) fit$theta
  found <- engine_optimise(engine(fit, y), start, control$tolerance, control$max_iterations, FALSE)
  with_response(fit, y, found)
}

warm_refit.pp_glmm <- function(fit, y) refit.pp_glmm(fit, y)

warm_refit.pp_kernel_fit <- function(fit, y) suppressMessages(stats::update(fit, y = y))

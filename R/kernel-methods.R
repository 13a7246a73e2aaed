# What a matrix-level fit holds, handed out.

#' Methods for kernel models
#'
#' What [kernel_glmm()] and [kernel_lmm()] return answers the same questions as other fits.
#'
#' `logLik()` has all its constants; by expectation propagation it is that method's approximation.
#' For `REML = TRUE` it is the restricted log-likelihood in lme4's definition. `AIC()` and `BIC()`
#' follow from it.
#'
#' `fitted()` is the mean of the response given the response that was seen (of the latent variable,
#' for normal responses; see [predict.pp_kernel_fit()]). Residuals compare the response with it:
#' `"response"`, their difference; `"pearson"`, that over the root of the variance of the response
#' (without the dispersion where the variance is proportional to it); `"deviance"` and `"quantile"`
#' as for [residuals.pp_glmm()], at a mean parameter averaged over the latent variable.
#'
#' `gradient()` is the gradient of the log-likelihood by the coefficients, `log(scale)`,
#' `logit(delta)` and, where the family has them, `log(phi)` and the `shape` on its internal scale;
#' at estimates it is zero, but for parameters that were held or lie on a boundary.
#'
#' `VarCorr()` has the variance of the kernel, `v0 = scale (1 - delta)`, and that of each row for
#' itself, `v1 = scale delta`. Its attribute `"proportion"` is the share of the kernel in the
#' variance of the latent variable: `v0` over the sum of `v0`, `v1` and the variance that the link
#' stands for, which is `pi^2 / 3` for logit, 1 for probit and `pi^2 / 6` for cloglog in binomial
#' models, and zero otherwise. It is the proportion of variance explained if the mean diagonal of
#' the kernel is 1.
#'
#' `update()` makes a new fit and leaves the one given as it is. What is not changed is taken from
#' the fit: data, parameters that were held, and its estimates as starting values, so that
#' `update(fit, start = list(scale = 2), fit = FALSE)` gives the likelihood with another scale and
#' the other parameters as they were.
#'
#' `is_singular()` is `TRUE` if an estimate lies on a boundary that was not asked for.
#'
#' `simulate()` draws a latent variable for all rows, not given the response, and from it responses,
#' in the form of the one fitted.
#'
#' @param object,x,fit A fit, as [kernel_glmm()] or [kernel_lmm()] returns it.
#' @param full `TRUE` adds the other parameters that were estimated: to `vcov()` on the scale of the
#'   gradient; to `confint()` `scale`, `delta`, `phi` and the shape, by an interval on the internal
#'   scale and transformed. Default `FALSE`.
#' @param sigma,scale,complete Not used; part of the generic.
#' @param k The penalty per parameter, 2 by default.
#' @param type For `residuals()`: `"deviance"` (default), `"pearson"`, `"response"`, `"quantile"`.
#' @param seed A seed for the random number generator, whose state is put back afterwards. `NULL`
#'   (default) goes on from the present state.
#' @param nsim Number of responses. Default 1.
#' @param parm Names or numbers of the parameters. Default: all.
#' @param level Coverage of the intervals, between 0 and 1. Default 0.95.
#' @param formula. Not used: a kernel model has no formula.
#' @param ... For `update()`: arguments of the fitting function to change. Otherwise not used;
#'   anything given here is an error.
#' @return `fixef()`, `coef()`: a named vector; `vcov()`: a matrix, `NA` where parameters were given
#'   and not estimated; `VarCorr()`: as [VarCorr.pp_fit()]; `sigma()`: for normal responses the root
#'   of `v1`, otherwise as for [glmm()]; `confint()`: a matrix with two columns; `simulate()`: a
#'   data frame with columns `sim_1`, ...; `update()`: a fit.
#' @section Errors: Arguments that do not exist and parameters that the fit does not have are of
#'   class `partialpool_error_argument`.
#' @seealso [latent()], [predict.pp_kernel_fit()], [summary.pp_kernel_fit()]
#' @examples
#' K <- exp(-as.matrix(dist(1:20)) / 5)
#' fit <- kernel_glmm(rep(c(0, 3, 1, 5), each = 5), NULL, K, "poisson")
#' logLik(fit)
#' VarCorr(fit)
#' logLik(update(fit, start = list(scale = 2), fit = FALSE))
#' confint(fit, full = TRUE)
#' @name kernel-methods
NULL

#' @rdname kernel-methods
#' @export
fixef.pp_kernel_fit <- function(object, ...) {
  reject_dots(...)
  object$coefficients
}

#' @rdname kernel-methods
#' @export
coef.pp_kernel_fit <- function(object, ...) {
  reject_dots(...)
  object$coefficients
}

#' @rdname kernel-methods
#' @export
vcov.pp_kernel_fit <- function(object, full = FALSE, complete = FALSE, ...) {
  reject_dots(...)
  if (!check_flag(full, "full")) {
    return(object$vcov)
  }
  if (!is.null(object$vcov_full)) {
    return(object$vcov_full)
  }
  names <- free_parameters(object)
  matrix(NA_real_, length(names), length(names), dimnames = list(names, names))
}

# Names, as in the gradient, of the parameters that were not held.
free_parameters <- function(fit) {
  held <- fit$fixed
  columns <- names(fit$coefficients)
  names <- kernel_parameter_names(columns, !is.null(fit$dispersion), !is.null(fit$shape))
  part <- c(rep("beta", length(columns)), "scale", "delta", intersect(c("dispersion", "shape"),
    names(held)
  ))
  names[!held[part]]
}

#' @rdname kernel-methods
#' @export
VarCorr.pp_kernel_fit <- function(x, sigma = 1, ...) {
  reject_dots(...)
  v <- kernel_variances(x)
  residual <- x$model == "spectral"
  matrices <- list(kernel = variance_of_intercept(v[["v0"]]))
  if (!residual) matrices$row <- variance_of_intercept(v[["v1"]])
  structure(matrices,
    sc = if (residual) sqrt(v[["v1"]]) else 1, useSc = residual,
    proportion = kernel_proportion(x), class = "VarCorr.pp_fit"
  )
}

variance_of_intercept <- function(v) {
  structure(matrix(v, 1L, 1L, dimnames = list("(Intercept)", "(Intercept)")),
    stddev = c("(Intercept)" = sqrt(v)),
    correlation = matrix(1, 1L, 1L, dimnames = list("(Intercept)", "(Intercept)")),
    structure = "us", hom = FALSE
  )
}

kernel_proportion <- function(fit) {
  v <- kernel_variances(fit)
  if (v[["v0"]] > 0) v[["v0"]] / (sum(v) + link_variance(fit$family)) else 0
}

# The variance of the distribution that a link of probabilities is the distribution function of.
link_variance <- function(family) {
  if (is.null(family) || !traits_of(family)$response == "proportion") {
    return(0)
  }
  switch(family$link, logit = pi^2 / 3, probit = 1, cloglog = pi^2 / 6, 0)
}

#' @rdname kernel-methods
#' @export
sigma.pp_kernel_fit <- function(object, ...) {
  if (is.null(object$family)) {
    return(sqrt(kernel_variances(object)[["v1"]]))
  }
  if (is.null(object$dispersion)) 1 else dispersion_sigma(object$family, object$dispersion)
}

#' @rdname kernel-methods
#' @export
logLik.pp_kernel_fit <- function(object, ...) {
  reject_dots(...)
  structure(object$logLik,
    nobs = length(object$y), nall = length(object$y), df = object$df, class = "logLik"
  )
}

#' @rdname kernel-methods
#' @export
deviance.pp_kernel_fit <- function(object, ...) {
  reject_dots(...)
  -2 * object$logLik
}

#' @rdname kernel-methods
#' @export
extractAIC.pp_kernel_fit <- function(fit, scale = 0, k = 2, ...) {
  c(fit$df, -2 * fit$logLik + k * fit$df)
}

#' @rdname kernel-methods
#' @export
is_singular.pp_kernel_fit <- function(object, ...) length(object$convergence$boundary) > 0L

#' @rdname kernel-methods
#' @export
nobs.pp_kernel_fit <- function(object, ...) length(object$y)

#' @rdname kernel-methods
#' @export
df.residual.pp_kernel_fit <- function(object, ...) length(object$y) - object$df

#' @rdname kernel-methods
#' @export
family.pp_kernel_fit <- function(object, ...) {
  if (is.null(object$family)) stats::gaussian() else object$family
}

#' @rdname kernel-methods
#' @export
model.matrix.pp_kernel_fit <- function(object, ...) {
  reject_dots(...)
  object$X
}

# The data came as matrices: what other fits know of a formula is not there.
no_formula <- function(what) {
  pp_abort("argument", c(
    x = "A kernel model has no {what}: it was made of matrices.",
    ">" = "{.fn model.matrix} gives {.arg X}, {.fn latent} the latent variable of each row."
  ))
}

#' @export
formula.pp_kernel_fit <- function(x, ...) no_formula("formula")

#' @export
terms.pp_kernel_fit <- function(x, ...) no_formula("terms")

#' @export
model.frame.pp_kernel_fit <- function(formula, ...) no_formula("model frame")

#' @export
ranef.pp_kernel_fit <- function(object, ...) no_formula("random effects by level")

#' @rdname kernel-methods
#' @export
gradient.pp_kernel_fit <- function(object, ...) {
  reject_dots(...)
  object$gradient
}

#' @rdname kernel-methods
#' @export
fitted.pp_kernel_fit <- function(object, ...) {
  reject_dots(...)
  predict.pp_kernel_fit(object, type = "response")
}

#' @rdname kernel-methods
#' @export
residuals.pp_kernel_fit <- function(object,
                                    type = c("deviance", "pearson", "response", "quantile"),
                                    seed = NULL, ...) {
  reject_dots(...)
  type <- choose_option(type, c("deviance", "pearson", "response", "quantile"), "type")
  r <- if (is.null(object$family)) {
    normal_residuals(object, type)
  } else {
    family_residuals(object, type, seed)
  }
  stats::setNames(r, object$names)
}

# A normal response: residuals have the known variances, or, where z is the response, one variance.
normal_residuals <- function(fit, type) {
  r <- fit$y - unname(fitted.pp_kernel_fit(fit))
  if (type == "response" || is.null(fit$noise_var) && type != "quantile") {
    return(r)
  }
  spread <- if (is.null(fit$noise_var)) sigma.pp_kernel_fit(fit) else sqrt(fit$noise_var)
  if (any(spread == 0)) {
    pp_abort("argument", c(
      x = "There are no quantile residuals: the variance of each row for itself is zero.",
      i = "The latent variable goes through every value of the response."
    ))
  }
  r / spread
}

family_residuals <- function(fit, type, seed) {
  if (type == "response") {
    return(fit$y - unname(fitted.pp_kernel_fit(fit)))
  }
  p <- averaged_parameters(fit)
  family <- distribution_of(fit)
  switch(type,
    deviance = {
      rows <- response_deviance(family, fit$y, p)
      ifelse(rows$above, 1, -1) * sqrt(rows$deviance)
    },
    pearson = {
      variance <- family$variance(p)
      if (family$scaled) variance <- variance / p$phi
      r <- (fit$y - family$mean(p)) / sqrt(variance)
      check_variance(fit, r)
    },
    quantile = with_seed(seed, quantile_values(family, fit$y, p))
  )
}

# Parameters of the response with the inverse link averaged over the latent variable.
averaged_parameters <- function(fit) {
  rows <- fitted_latent(fit, TRUE, TRUE)
  p <- kernel_parameters(fit, rows$mean)
  inverse <- fit$family$linkinv
  p$mu <- normal_moments(fit$family, rows$mean, rows$variance, FALSE, FALSE, inverse)$mean
  p
}

#' @rdname kernel-methods
#' @export
simulate.pp_kernel_fit <- function(object, nsim = 1, seed = NULL, ...) {
  reject_dots(...)
  nsim <- check_count(nsim, "nsim")
  before <- generator_state()
  if (!is.null(seed)) {
    on.exit(assign(".Random.seed", before, envir = globalenv()))
    set.seed(seed)
  }
  z <- prior_mean(object) + latent_draws(object, nsim)
  columns <- lapply(seq_len(nsim), function(s) {
    as_kernel_response(object, draw_response(object, z[, s]))
  })
  unnamed <- is.null(object$names) || anyDuplicated(object$names)
  structure(columns,
    names = paste0("sim_", seq_len(nsim)), class = "data.frame",
    row.names = if (unnamed) seq_len(object$n) else object$names,
    seed = if (is.null(seed)) before else structure(seed, kind = as.list(RNGkind()))
  )
}

# z less its mean: a column per draw.
latent_draws <- function(fit, nsim) {
  v <- kernel_variances(fit)
  own <- sqrt(v[["v1"]]) * matrix(stats::rnorm(fit$n * nsim), fit$n)
  if (is.null(fit$kernel) || v[["v0"]] == 0) {
    return(own)
  }
  root <- kernel_root(fit$kernel)
  own + sqrt(v[["v0"]]) * root %*% matrix(stats::rnorm(ncol(root) * nsim), ncol(root))
}

draw_response <- function(fit, z) {
  if (is.null(fit$family)) {
    return(if (is.null(fit$noise_var)) z else z + sqrt(fit$noise_var) * stats::rnorm(fit$n))
  }
  response_random(distribution_of(fit), kernel_parameters(fit, z))
}

#' @rdname kernel-methods
#' @importFrom stats confint
#' @export
confint.pp_kernel_fit <- function(object, parm, level = 0.95, full = FALSE, ...) {
  reject_dots(...)
  check_level(level)
  tails <- c((1 - level) / 2, (1 + level) / 2)
  quantile <- if (has_t_tests(object)) {
    stats::qt(tails, coefficient_df(object))
  } else {
    stats::qnorm(tails)
  }
  table <- object$coefficients + outer(sqrt(diag(object$vcov)), quantile)
  if (check_flag(full, "full")) {
    table <- rbind(table, parameter_intervals(object, stats::qnorm(tails)))
  }
  dimnames(table) <- list(
    rownames(table), paste(format(100 * tails, trim = TRUE, digits = 3L), "%")
  )
  if (missing(parm)) table else table[check_parm(parm, rownames(table)), , drop = FALSE]
}

# `full`: are there others?
check_parm <- function(parm, names, full = TRUE) {
  at <- if (is.numeric(parm)) match(parm, seq_along(names)) else match(parm, names)
  if (anyNA(at)) {
    lost <- parm[is.na(at)]
    pp_abort("argument", c(
      x = "{.arg parm} names parameters that are not there: {.val {lost}}.",
      i = "The parameters are {.val {names}}.",
      ">" = if (is.character(lost) && full) {
        "{.code full = TRUE} adds those of variance and distribution."
      }
    ))
  }
  at
}

# Tests of the fixed effects of a normal response have a variance that was estimated.
has_t_tests <- function(fit) fit$model == "spectral" && fit$REML && fit$fitted

coefficient_df <- function(fit) fit$n - length(fit$coefficients)

# Variance parameters and those of the distribution: estimates and standard errors on the internal
# scale (NA where held or not estimated) and the way back.
internal_parameters <- function(fit) {
  names <- c("log(scale)", "logit(delta)", if (!is.null(fit$dispersion)) "log(phi)",
    if (!is.null(fit$shape)) "shape"
  )
  value <- c(
    log(fit$scale), stats::qlogis(fit$delta), if (!is.null(fit$dispersion)) log(fit$dispersion),
    if (!is.null(fit$shape)) shape_to_engine(fit$family, fit$shape[[1L]])
  )
  variance <- diag(vcov.pp_kernel_fit(fit, full = TRUE))
  at <- match(names, rownames(vcov.pp_kernel_fit(fit, full = TRUE)))
  back <- list(exp, stats::plogis)
  if (!is.null(fit$dispersion)) back <- c(back, exp)
  if (!is.null(fit$shape)) {
    back <- c(back, function(x) unname(shape_from_engine(fit$family, x)))
  }
  labels <- c("scale", "delta", if (!is.null(fit$dispersion)) "phi", names(fit$shape))
  list(names = labels, value = value, se = sqrt(unname(variance[at])), back = back)
}

parameter_intervals <- function(fit, quantile) {
  inner <- internal_parameters(fit)
  rows <- lapply(seq_along(inner$names), function(k) {
    # At an end of the interval of delta there is no standard error.
    if (!is.finite(inner$value[k])) {
      return(c(NA_real_, NA_real_))
    }
    inner$back[[k]](inner$value[k] + inner$se[k] * quantile)
  })
  structure(do.call(rbind, rows), dimnames = list(inner$names, NULL))
}

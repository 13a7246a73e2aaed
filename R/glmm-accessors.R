# What a fit by glmm() holds, handed out.

#' @rdname coef.pp_fit
#' @export
vcov.pp_glmm <- function(object, full = FALSE, component = c("cond", "disp", "zi"),
                         type = c("model", "sandwich"), cluster = NULL,
                         correction = c("CR0", "CR1", "CR1S"), complete = FALSE, ...) {
  reject_dots(...)
  complete <- check_flag(complete, "complete")
  component <- choose_option(component, c("cond", "disp", "zi"), "component")
  type <- choose_option(type, c("model", "sandwich"), "type")
  if (type == "sandwich") {
    reject_full_sandwich(full)
    return(sandwich_covariance(object, cluster, correction, component))
  }
  reject_cluster(cluster, missing(correction))
  if (full) {
    return(object$vcov_full)
  }
  part <- model_part(object, component)
  if (is.null(part)) {
    return(complete_covariance(object$vcov, object, complete))
  }
  part_covariance(object, component)
}

# Covariance of the coefficients of dispersion or zero inflation: zero where they were held, NA
# where the method of the fit gives none.
part_covariance <- function(fit, component) {
  names <- names(model_part(fit, component)$coefficients)
  at <- parameter_positions(fit)[[component]]
  held <- component == "disp" && isTRUE(fit$dispersion$fixed)
  value <- matrix(if (held) 0 else NA_real_, length(names), length(names),
    dimnames = list(names, names)
  )
  if (length(at)) value[] <- fit$vcov_full[at, at]
  value
}

# Where the parameters of each kind stand in `vcov_full`: none where they were held.
parameter_positions <- function(fit) {
  p <- length(fit$coefficients)
  names <- rownames(fit$vcov_full)[-seq_len(p)]
  if (p == 0L) names <- rownames(fit$vcov_full)
  found <- function(wanted) {
    at <- match(wanted, names)
    if (anyNA(at)) integer() else p + at
  }
  part <- function(prefix, part) found(sprintf("%s.%s", prefix, names(part$coefficients)))
  list(
    cond = seq_len(p), disp = part("disp", fit$dispersion), zi = part("zi", fit$zi),
    shape = if (length(free_shape(fit))) found("shape")
  )
}

free_shape <- function(fit) if (is.null(held_shape(fit$family))) fit$shape

# Estimates in the order of the engine, with the names that objective() gives them: theta, fixed
# effects (unless they are found inside), dispersion, zero inflation, shape on its internal scale.
engine_parameters <- function(fit) {
  inside <- fit$REML || fit$method == "joint"
  disp <- if (!isTRUE(fit$dispersion$fixed)) fit$dispersion$coefficients
  zi <- fit$zi$coefficients
  shape <- free_shape(fit)
  if (length(disp)) names(disp) <- paste0("disp.", names(disp))
  if (length(zi)) names(zi) <- paste0("zi.", names(zi))
  if (length(shape)) shape <- c(shape = shape_to_engine(fit$family, shape[[1L]]))
  c(fit$theta, if (!inside) fit$coefficients, disp, zi, shape)
}

#' Likelihood, deviance and sizes of a generalised linear mixed model
#'
#' `logLik()` is the log-likelihood with all its constants, so that fits with different numbers of
#' quadrature nodes, and fits by [stats::glm()], can be compared with it. `AIC()` and `BIC()` follow
#' from it. A fit by penalised quasi-likelihood has no likelihood: it and what follows from it are
#' `NA`, with a warning. For `REML = TRUE` it is the restricted log-likelihood, to be compared only
#' between fits with the same fixed effects. With a `prior`, it is the likelihood at the penalised
#' estimates, without the prior.
#'
#' `deviance()` is that of lme4 for `glmer()`: the sum of the squared deviance residuals **given the
#' random effects**, twice the distance of the conditional log density from that of a saturated
#' model (see [residuals.pp_glmm()]). It is not minus twice `logLik()`, which is shown as
#' `-2*log(L)`, and not for comparing fits.
#'
#' @param object,fit A fit, as [glmm()] returns it.
#' @param scale Not used; part of the generic.
#' @param k The penalty per parameter, 2 by default.
#' @param ... Not used; anything given here is an error.
#' @return `logLik()`: an object of class `"logLik"` with attributes `df` (all parameters: fixed
#'   effects, covariance parameters, those of dispersion, zero inflation and shape), `nobs` and
#'   `nall` (both the number of rows fitted). `deviance()`: one number. `extractAIC()`: the number
#'   of parameters and the AIC.
#' @section Errors: `logLik()` of a fit by penalised quasi-likelihood gives a warning of class
#'   `partialpool_warning_fit`.
#' @examples
#' fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
#' logLik(fit)
#' c(AIC(fit), -2 * logLik(fit), deviance(fit))
#' @name logLik.pp_glmm
NULL

#' @rdname logLik.pp_glmm
#' @export
logLik.pp_glmm <- function(object, ...) {
  reject_dots(...)
  if (object$method == "pql") {
    pp_warn("fit", c(
      "!" = "A fit by penalised quasi-likelihood has no likelihood: it is {.code NA}.",
      ">" = "Fit with {.code method = \"laplace\"} to compare models by it."
    ))
  }
  log_likelihood(object)
}

log_likelihood <- function(fit) {
  value <- if (fit$method == "pql") NA_real_ else -0.5 * fit$criterion
  structure(value, nobs = fit$n, nall = fit$n, df = fit$df, class = "logLik")
}

#' @rdname logLik.pp_glmm
#' @export
deviance.pp_glmm <- function(object, ...) {
  reject_dots(...)
  weighted_sum(object, deviance_rows(object)$deviance)
}

weighted_sum <- function(fit, x) sum(if (is.null(fit$weights)) x else fit$weights * x)

#' @rdname logLik.pp_glmm
#' @export
extractAIC.pp_glmm <- function(fit, scale = 0, k = 2, ...) {
  value <- logLik.pp_glmm(fit)
  edf <- attr(value, "df")
  c(edf, -2 * as.numeric(value) + k * edf)
}

#' @rdname model.matrix.pp_fit
#' @export
family.pp_glmm <- function(object, ...) object$family

#' @rdname model.matrix.pp_fit
#' @export
weights.pp_glmm <- function(object, type = c("prior", "working"), ...) {
  reject_dots(...)
  type <- choose_option(type, c("prior", "working"), "type")
  w <- if (type == "prior") prior_weights(object) else working_weights(object)
  stats::naresid(object$na.action, w)
}

# With the trials, as glm() and lme4 count them.
prior_weights <- function(fit) {
  w <- if (is.null(fit$weights)) rep(1, fit$n) else fit$weights
  if (is.null(fit$trials)) w else w * fit$trials
}

# w mu'^2 / Var(y), where Var(y) is without phi in families with a variance proportional to it.
working_weights <- function(fit, eta = fitted_values(fit)) {
  p <- fitted_parameters(fit, eta)
  variance <- distribution_of(fit)$variance(p)
  if (distribution_of(fit)$scaled) variance <- variance / p$phi
  w <- if (is.null(fit$weights)) 1 else fit$weights
  unname(w * fit$family$mu.eta(eta)^2 / variance)
}

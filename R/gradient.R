#' Gradient of the criterion of a fit
#'
#' The exact derivative of the REML criterion or of minus twice the log-likelihood by the relative
#' covariance parameters `theta`, from the selected inverse of the Cholesky factor. At an optimum
#' inside the parameter space it is zero. On the boundary (a variance of zero) the derivative by
#' `theta` is zero whatever the data say; what certifies such an optimum is the derivative by the
#' variance, see [is_singular()].
#'
#' For a fit by [glmm()] the derivative is that of minus twice the log-likelihood (as approximated)
#' by all parameters: the absolute factors `theta`, the fixed effects (not with `nAGQ = 0` or
#' `REML = TRUE`), the coefficients of dispersion and zero inflation, and the shape on its internal
#' scale (logit of the power less 1, logarithm of the degrees of freedom).
#'
#' @param object A fit.
#' @param theta For [lmm()]: numeric vector at which to take it. Default: the estimates.
#' @param ... Ignored.
#' @return Numeric vector, named and as long as `theta` or `par`, in units of the criterion.
#' @section Errors: A vector of another length is of class `partialpool_error_start`; a fit by
#'   penalised quasi-likelihood, which has no criterion, of class `partialpool_error_fit`.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' gradient(fit)
#' gradient(fit, c(1, 0, 1))
#' @export
gradient <- function(object, ...) UseMethod("gradient")

#' @rdname gradient
#' @export
gradient.pp_lmm <- function(object, theta = object$theta, ...) {
  names <- names(object$theta)
  theta <- check_theta(theta, names)
  stats::setNames(engine_theta_gradient(engine(object), theta), names)
}

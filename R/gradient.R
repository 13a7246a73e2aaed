#' Gradient of the criterion of a fit
#'
#' The exact derivative of the REML criterion or of minus twice the log-likelihood by the relative
#' covariance parameters `theta`, from the selected inverse of the Cholesky factor. At an optimum
#' inside the parameter space it is zero. On the boundary (a variance of zero) the derivative by
#' `theta` is zero whatever the data say; what certifies such an optimum is the derivative by the
#' variance, see [is_singular()].
#'
#' @param object A fit.
#' @param theta Numeric vector at which to take it. Default: the estimates.
#' @param ... Ignored.
#' @return Numeric vector, named and as long as `theta`, in units of the criterion.
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

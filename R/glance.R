# A fit in one row.

#' @importFrom generics glance
#' @export
generics::glance

#' A fit in one row
#'
#' Size, likelihood and information criteria, in the columns of broom.mixed, for tables in which
#' models stand beside each other.
#'
#' @param x A fit, as [lmm()], [glmm()], [kernel_lmm()] or [kernel_glmm()] returns it.
#' @param ... Not used.
#' @return A data frame of one row, a tibble if the package tibble is installed, with the columns
#'   `nobs`, `sigma` (as [sigma()][sigma.pp_fit]; `NA` with a dispersion model), `logLik`, `AIC`,
#'   `BIC`, `REMLcrit` (for fits by REML: minus twice the restricted log-likelihood) or `deviance`
#'   (for [lmm()] minus twice the log-likelihood, for [glmm()] as [deviance.pp_glmm()]) and
#'   `df.residual`; of a kernel model also `scale` and `delta`. Fits by penalised quasi-likelihood
#'   have `NA` where a likelihood would be needed.
#' @seealso [tidy()][tidy.pp_fit], [augment()][augment.pp_fit]
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' glance(fit)
#' glance(update(fit, REML = FALSE))
#' @export
glance.pp_fit <- function(x, ...) {
  likelihood <- likelihood_of(x)
  row <- data.frame(
    nobs = stats::nobs(x), sigma = unname(sigma_of(x)), logLik = as.numeric(likelihood),
    AIC = stats::AIC(likelihood), BIC = stats::BIC(likelihood)
  )
  if (isTRUE(x$REML)) {
    row$REMLcrit <- -2 * as.numeric(likelihood)
  } else {
    row$deviance <- stats::deviance(x)
  }
  row$df.residual <- stats::df.residual(x)
  if (inherits(x, "pp_kernel_fit") && !inherits(x, "pp_kernel_traits")) {
    row$scale <- x$scale
    row$delta <- x$delta
  }
  as_tidy_table(row)
}

# Several traits have as many.
sigma_of <- function(fit) {
  if (inherits(fit, "pp_kernel_traits")) NA_real_ else stats::sigma(fit)
}

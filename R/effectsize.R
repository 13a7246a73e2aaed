# The datawizard package, on which effectsize and parameters rely for standardised coefficients: the
# same model refitted to standardised variables.

standardize.pp_fit <- function(x, ...) {
  method <- utils::getS3method("standardize", "default", envir = asNamespace("datawizard"))
  fit <- insight::ellipsis_info(x)
  # Values for what may have been variables that are gone.
  fit$call$formula <- x$formula
  if (!is.null(fit$call$REML)) fit$call$REML <- x$REML
  if (!is.null(fit$call$family)) fit$call$family <- x$family
  out <- method(fit, ...)
  structure(out, class = setdiff(class(out), setdiff(class(fit), class(x))))
}

#' Refit a model to a new response
#'
#' Fits the same model to another response on the same rows: design, weights, offset and settings
#' are those of the fit. Many times faster than a new fit: what does not depend on the response is
#' not done again.
#'
#' @param object A fit.
#' @param newresp Numeric vector: the new response, one value a row used in the fit (n values), or
#'   one a row of the original data if rows were dropped for missing values. A data frame of one
#'   column, as [simulate()] returns it, is accepted.
#' @param ... Must be empty.
#' @return A fit of the same class as `object`.
#' @section Errors:
#' `partialpool_error_response` if `newresp` is not numeric, of another length, missing or infinite
#' somewhere, or constant.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' again <- refit(fit, simulate(fit, seed = 1)[[1]])
#' fixef(again)
#' @name refit
#' @aliases refit.pp_lmm
#' @importFrom generics refit
#' @export refit
NULL

#' @rdname refit
#' @export
#' @rawNamespace S3method(lme4::refit,pp_lmm)
refit.pp_lmm <- function(object, newresp, ...) {
  if (...length()) reject_dots(...)
  y <- check_newresp(newresp, object)
  control <- object$control
  eng <- engine(object, y)
  found <- engine_optimise(eng, NULL, control$tolerance, control$max_iterations, control$progress)
  design <- list(frame = object$frame)
  check_found(found, list(design = design), NULL)

  object$y <- y
  object$frame <- replace_response(object$frame, y)
  object$theta[] <- found$theta
  object$coefficients[] <- found$coefficients
  object$vcov_unscaled[] <- found$vcov_unscaled
  object$sigma <- found$sigma
  object$criterion <- found$criterion
  for (t in seq_along(object$random)) {
    object$Lambda[[t]][] <- found$Lambda[[t]]
    object$b[[t]][] <- found$b[[t]]
  }
  object$convergence <- convergence_of(found, object$random)
  if (control$check) report_convergence(object)
  object
}

# `[[<-.data.frame` costs more than the whole refit of a small model.
replace_response <- function(frame, y) {
  class <- oldClass(frame)
  attr(frame, "class") <- NULL
  frame[[1L]] <- y
  class(frame) <- class
  frame
}

check_newresp <- function(newresp, object) {
  y <- if (is.list(newresp) && length(newresp) == 1L) newresp[[1L]] else newresp
  n <- object$n
  if (!is.numeric(y) && !is.logical(y) || length(dim(y)) > 1L && ncol(y) > 1L) {
    pp_abort("response", c(
      x = "{.arg newresp} must be a numeric vector of length {n}.",
      i = "It is {.obj_type_friendly {newresp}}."
    ))
  }
  y <- as.numeric(y)
  if (length(y) == n + length(object$na.action)) {
    if (length(object$na.action)) y <- y[-object$na.action]
  } else if (length(y) != n) {
    pp_abort("response", c(
      x = "{.arg newresp} must have {n} values, one a row used in the fit.",
      i = "It has {length(y)}."
    ))
  }
  if (!all(is.finite(y))) {
    rows <- describe_rows(which(!is.finite(y)))
    pp_abort("response", c(
      x = "{.arg newresp} has missing or infinite values in {rows}.",
      ">" = "Refit with {.fn update} and data in which these rows are left out."
    ))
  }
  if (n > 1L && all(y == y[1L])) {
    pp_abort("response", c(x = "{.arg newresp} is constant: there is nothing to model."))
  }
  y
}

#' Refit a model to a new response
#'
#' Fits the same model to another response on the same rows: design, weights, offset and settings
#' are those of the fit. Many times faster than a new fit: what does not depend on the response is
#' not done again.
#'
#' @param object A fit.
#' @param newresp The new response, one value a row used in the fit (n values), or one a row of the
#'   original data if rows were dropped for missing values: a numeric vector; for a fit by [glmm()]
#'   any response of its family, a matrix of successes and failures included. A proportion without
#'   them has the trials of the fit. A data frame of one column, as [simulate()] returns it, is
#'   accepted.
#' @param control Settings made by [pp_control()]. Default `NULL`: those of the fit.
#' @param ... Must be empty.
#' @return A fit of the same class as `object`.
#' @section Errors:
#' `partialpool_error_response` if `newresp` is not a response of the model, of another length,
#' missing or infinite somewhere, or (for a linear model) constant.
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
refit.pp_lmm <- function(object, newresp, control = NULL, ...) {
  if (...length()) reject_dots(...)
  y <- check_newresp(newresp, object)
  control <- if (is.null(control)) object$control else as_control(control)
  eng <- engine(object, y)
  found <- engine_optimise(eng, NULL, control$tolerance, control$max_iterations, control$progress)
  fit <- with_response(object, y, found)
  if (control$check) report_convergence(fit)
  fit
}

# Refits of it neither print nor advise; what they have to say is in their convergence.
quiet_fit <- function(fit) {
  control <- as_control(fit$control)
  control[c("progress", "check")] <- list(FALSE, FALSE)
  fit$control <- control
  fit
}

# `fit` with a response and what the engine found for it.
with_response <- function(fit, y, found) {
  check_found(found, list(design = list(frame = fit$frame)), NULL)
  fit$y <- y
  fit$frame <- replace_response(fit$frame, y)
  fit$theta[] <- found$theta
  fit$coefficients[] <- found$coefficients
  fit$vcov_unscaled[] <- found$vcov_unscaled
  fit$sigma <- found$sigma
  fit$criterion <- found$criterion
  for (t in seq_along(fit$random)) {
    fit$Lambda[[t]][] <- found$Lambda[[t]]
    fit$b[[t]][] <- found$b[[t]]
  }
  fit$convergence <- convergence_of(found, fit$random, fit$aliased)
  fit
}

#' @rdname refit
#' @export
#' @rawNamespace S3method(lme4::refit,pp_glmm)
refit.pp_glmm <- function(object, newresp, control = NULL, ...) {
  if (...length()) reject_dots(...)
  control <- if (is.null(control)) object$control else as_control(control)
  y <- new_rows(newresp, object)
  check_newresp_values(y)
  # A response of one column has the trials of the fit; prior weights stay in any case.
  shares <- traits_of(object$family)$response == "proportion" && NCOL(y) == 1L
  response <- family_response(
    y, "newresp", object$family, if (shares) object$trials else object$weights,
    response_values(object$frame[[1L]]), row.names(object$frame), !is.null(object$zi),
    control$check
  )
  design <- design_of(object)
  design$y <- response$y
  design["trials"] <- list(response$trials)
  design$frame <- replace_response(object$frame, y)
  if (control$check) check_constant_family_response(design, TRUE)
  fit <- fit_glmm(design, integral_of(object), object$REML, object$prior, NULL, control,
                  object$call)
  # Columns that the first fit left out are left out still.
  fit$column_names <- object$column_names
  fit$aliased <- object$aliased
  fit
}

# What a factor or text may be, in order; NULL for numbers.
response_values <- function(y) {
  if (is.factor(y)) levels(y) else if (is.character(y)) sort(unique(y))
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
  y <- new_rows(as.numeric(y), object)
  check_newresp_values(y)
  if (n > 1L && all(y == y[1L])) {
    pp_abort("response", c(x = "{.arg newresp} is constant: there is nothing to model."))
  }
  y
}

# The new response of the rows that the fit used.
new_rows <- function(newresp, object) {
  y <- if (is.list(newresp) && length(newresp) == 1L) newresp[[1L]] else newresp
  n <- object$n
  if (is.null(y) || !is.atomic(y)) {
    pp_abort("response", c(
      x = "{.arg newresp} must be a vector or a matrix with {n} rows.",
      i = "It is {.obj_type_friendly {newresp}}."
    ))
  }
  dropped <- object$na.action
  if (length(dropped) && NROW(y) == n + length(dropped)) {
    y <- if (is.matrix(y)) y[-dropped, , drop = FALSE] else y[-dropped]
  }
  if (NROW(y) != n) {
    pp_abort("response", c(
      x = "{.arg newresp} must have {n} values, one a row used in the fit.",
      i = "It has {NROW(y)}."
    ))
  }
  y
}

check_newresp_values <- function(y) {
  bad <- bad_rows(y)
  if (length(bad)) {
    rows <- describe_rows(bad)
    pp_abort("response", c(
      x = "{.arg newresp} has missing or infinite values in {rows}.",
      ">" = "Refit with {.fn update} and data in which these rows are left out."
    ))
  }
}

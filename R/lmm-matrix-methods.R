# Methods of fits to a matrix of features, where they differ from those of other linear models.

#' @rdname summary.pp_lmm
#' @export
summary.pp_matrix_lmm <- function(object, ddf = object$intervals$ddf, correlation = FALSE, ...) {
  reject_dots(...)
  result <- if (is.null(ddf)) {
    summary.pp_lmm(object, correlation = correlation)
  } else {
    summary.pp_lmm(object, ddf = ddf, correlation = correlation)
  }
  level <- object$intervals$level
  result$conf_int <- interval_columns(coefficient_intervals(object, ddf, level), level)
  result$level <- level
  result$rsquared <- object$rsquared
  class(result) <- c("summary.pp_matrix_lmm", class(result))
  result
}

#' @export
print.summary.pp_matrix_lmm <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  NextMethod()
  cat("\n", format(100 * x$level), "% intervals:\n", sep = "")
  print(x$conf_int, digits = digits)
  cat("\nR-squared, given the random effects: ", format(x$rsquared, digits = digits), "\n",
    sep = ""
  )
  invisible(x)
}

model_title.pp_matrix_lmm <- function(fit) {
  title <- NextMethod()
  if (is.null(fit$standardisation)) title else paste0(title, ", features z-scored")
}

#' @param random_effect For a fit of a matrix of features: the groups of the rows of a matrix
#'   `newdata`, as [lmm()] takes them. Default `NULL`: predictions for the mean over groups.
#' @rdname predict.pp_lmm
#' @export
predict.pp_matrix_lmm <- function(object, newdata = NULL, random_effect = NULL, re.form = NULL,
                                  ...) {
  if (is.null(newdata)) {
    if (!is.null(random_effect)) {
      pp_abort("argument", c(
        x = "{.arg random_effect} goes with new features.", ">" = "Give them as {.arg newdata}."
      ))
    }
    return(predict.pp_lmm(object, re.form = re.form, ...))
  }
  if (is.numeric(newdata) && is.null(dim(newdata)) && length(object$features) == 1L) {
    newdata <- matrix(newdata, ncol = 1L)
  }
  grouped <- is.data.frame(newdata) && all(object$groupings %in% names(newdata)) ||
    !is.null(random_effect)
  rows <- new_features(object, newdata, random_effect)
  if (!grouped && is.null(re.form)) re.form <- NA
  predict.pp_lmm(object, rows, re.form = re.form, ...)
}

# New rows as a data frame in the names and units of the fit.
new_features <- function(fit, newdata, random_effect) {
  features <- fit$features
  p <- length(features)
  if (!is.matrix(newdata) && !is.data.frame(newdata)) {
    pp_abort("newdata", c(
      x = "{.arg newdata} must be a matrix of {p} feature{?s} or a data frame.",
      i = "It is {.obj_type_friendly {newdata}}."
    ))
  }
  named <- all(features %in% colnames(newdata))
  if (!named && (is.data.frame(newdata) && ncol(newdata) != p || ncol(newdata) != p)) {
    pp_abort("newdata", c(
      x = "{.arg newdata} must have the {p} feature{?s} of the fit: {.var {features}}.",
      i = "It has {ncol(newdata)} column{?s}."
    ))
  }
  X <- check_features(if (named) newdata[, features, drop = FALSE] else newdata)
  rows <- as.data.frame(X, optional = TRUE)
  names(rows) <- features
  if (!is.null(fit$standardisation)) {
    rows <- standardise_features(rows, features, fit$standardisation)
  }
  groups <- if (!is.null(random_effect)) {
    grouping_columns(random_effect, nrow(rows))
  } else if (is.data.frame(newdata)) {
    unclass(newdata)[intersect(fit$groupings, names(newdata))]
  }
  if (!is.null(random_effect) && length(groups) != length(fit$groupings)) {
    pp_abort("argument", c(
      x = "{.arg random_effect} must have the {length(fit$groupings)} grouping{?s} of the fit.",
      i = "It has {length(groups)}."
    ))
  }
  if (!is.null(random_effect)) names(groups) <- fit$groupings
  rows[names(groups)] <- groups
  rows
}

#' @rdname refit
#' @export
#' @rawNamespace S3method(lme4::refit,pp_matrix_lmm)
refit.pp_matrix_lmm <- function(object, newresp, ...) {
  with_matrix_results(refit.pp_lmm(object, newresp, ...))
}

# A changed formula is a model of the stored frame: there is no call with a formula to change.
#' @rdname update.pp_fit
#' @export
update.pp_matrix_lmm <- function(object, formula., ..., evaluate = TRUE) {
  if (missing(formula.)) {
    return(NextMethod())
  }
  formula <- stats::update.formula(object$formula, formula.)
  call <- as.call(list(quote(lmm), formula = formula, data = quote(data), REML = object$REML, ...))
  if (!evaluate) {
    return(call)
  }
  lmm(formula, object$frame, REML = object$REML, control = object$control, ...)
}

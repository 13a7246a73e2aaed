#' Normal prior on the fixed effects
#'
#' A normal prior, independent for each fixed effect, for the argument `prior` of [glmm()]: the fit
#' maximises the log-likelihood plus the log density of the prior. It gives finite estimates where
#' the data are separated and maximum likelihood has none, and tames small samples. With
#' `sd = Inf` a coefficient has no prior.
#'
#' Standard deviations are on the scale of the link and per unit of each predictor as it stands in
#' the model matrix. With a logit link and predictors of unit standard deviation `sd = 2.5` (the
#' default, from Gelman et al. 2008) says that odds ratios above 100 per unit are improbable.
#' Predictors on other scales need other values: rescale them or give `sd` by name.
#'
#' @param sd Positive numbers, standard deviations of the prior on the link scale: one for all
#'   coefficients but the intercept, or one per coefficient, named as the columns of the model
#'   matrix. Coefficients that are not named have the one value without a name, or no prior if there
#'   is none. Default 2.5.
#' @param mean Numbers, means of the prior, given in the same way; 0 where not named. Default 0.
#' @param intercept Positive number, the standard deviation for the intercept if `sd` does not name
#'   it. Default `Inf`: none.
#' @return An object of class `"pp_prior"`: a list of `sd`, `mean` and `intercept`.
#' @section Errors: Values that are not numbers in their range are of class
#'   `partialpool_error_prior`; so is, in [glmm()], a name that is not a column of the model matrix.
#' @references Gelman A, Jakulin A, Pittau MG, Su YS (2008). A weakly informative default prior
#'   distribution for logistic and other regression models. The Annals of Applied Statistics 2(4),
#'   1360-1383. \doi{10.1214/08-AOAS191}
#' @examples
#' normal_prior()
#' normal_prior(sd = c(2.5, x = 1), intercept = 5)
#' @export
normal_prior <- function(sd = 2.5, mean = 0, intercept = Inf) {
  check_prior_values(sd, "sd")
  check_prior_values(mean, "mean")
  check_prior_values(intercept, "intercept")
  if (length(intercept) != 1L) {
    pp_abort("prior", c(x = "{.arg intercept} must be one positive number or {.code Inf}."))
  }
  structure(list(sd = sd, mean = mean, intercept = unname(intercept)), class = "pp_prior")
}

#' @param x A prior.
#' @param ... Ignored.
#' @rdname normal_prior
#' @export
print.pp_prior <- function(x, ...) {
  cat("Normal prior on the fixed effects\n")
  cat("  sd ", named_values(x$sd), "; mean ", named_values(x$mean), "; sd of the intercept ",
      format(x$intercept), "\n", sep = "")
  invisible(x)
}

check_prior_values <- function(values, what) {
  positive <- what != "mean"
  valid <- is.numeric(values) && length(values) && !anyNA(values) &&
    if (positive) all(values > 0) else all(is.finite(values))
  if (!valid) {
    kind <- if (positive) "positive numbers or `Inf`" else "finite numbers"
    pp_abort("prior", c(x = "{.arg {what}} must be {kind}.", i = "It is {.val {values}}."))
  }
  names <- names(values)
  unnamed <- if (is.null(names)) length(values) else sum(!nzchar(names))
  if (unnamed > 1L || anyDuplicated(names[nzchar(names)])) {
    pp_abort("prior", c(
      x = "{.arg {what}} must be one number, or numbers named by coefficients.",
      i = if (unnamed > 1L) "It has {unnamed} values without a name.",
      ">" = "Such as {.code {what} = c(2.5, x = 1)}: 1 for {.code x}, 2.5 for the others."
    ))
  }
}

# The `prior` argument of a call: a prior, a standard deviation, or NULL.
as_prior <- function(prior) {
  if (is.null(prior) || inherits(prior, "pp_prior")) {
    return(prior)
  }
  if (is.numeric(prior)) {
    return(normal_prior(prior))
  }
  pp_abort("prior", c(
    x = "{.arg prior} must be made by {.fn normal_prior}, or be a standard deviation.",
    i = "It is {.obj_type_friendly {prior}}."
  ))
}

# list(mean, precision), one value a column of X. In a fit (`strict` FALSE) columns may have been
# dropped since.
prior_values <- function(prior, columns, strict = TRUE) {
  if (strict) check_prior_names(prior, columns)
  sd <- spread_values(prior$sd, columns, Inf)
  intercept <- match("(Intercept)", columns)
  if (!is.na(intercept) && !"(Intercept)" %in% names(prior$sd)) {
    sd[intercept] <- prior$intercept
  }
  list(mean = spread_values(prior$mean, columns, 0), precision = 1 / sd^2)
}

spread_values <- function(values, columns, default) {
  names <- if (is.null(names(values))) character(length(values)) else names(values)
  if (any(!nzchar(names))) default <- values[!nzchar(names)]
  out <- rep(unname(default), length(columns))
  named <- names %in% columns
  out[match(names[named], columns)] <- values[named]
  out
}

check_prior_names <- function(prior, columns) {
  given <- unique(c(names(prior$sd), names(prior$mean)))
  unknown <- setdiff(given[nzchar(given)], columns)
  if (length(unknown)) {
    pp_abort("prior", c(
      x = "{.arg prior} names coefficients that the model does not have: {.code {unknown}}.",
      i = "The coefficients are {.code {columns}}.",
      suggest_name(unknown[1L], columns)
    ))
  }
}

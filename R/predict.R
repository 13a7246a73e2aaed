# Predictions, with the uncertainty of fixed and random effects given the covariance parameters.

#' Predict from a fit
#'
#' Predictions for the rows of the fit or for new data, with any of the random effects, and their
#' standard errors and intervals. The variance is that of `x' beta + z' b`: it accounts for the
#' estimation of `beta` and for the conditional variance of `b`, with their covariance, and takes
#' the covariance parameters as known. A level that was not in the data (`allow.new.levels = TRUE`)
#' is predicted with a random effect of zero, whose variance is that of the population; one that the
#' kernel of its grouping factor has (see [design()]) from the levels in the data, without being
#' asked for.
#'
#' @param object A fit, as [lmm()] returns it.
#' @param newdata A data frame with the variables of the model; the response is not needed. `NULL`
#'   (default) for the rows of the fit.
#' @param re.form Random effects to use: `NULL` (default) all, `NA` or `~0` none, or a one-sided
#'   formula with the terms wanted, such as `~(1 | g)`.
#' @param random.only `TRUE` leaves out the fixed effects and the offset. Default `FALSE`.
#' @param allow.new.levels `TRUE` accepts levels that were not in the data, and missing ones.
#'   Default `FALSE`: an error.
#' @param se.fit `TRUE` adds standard errors. Default `FALSE`.
#' @param interval `"none"` (default), `"confidence"` for an interval of the mean given the random
#'   effects used, `"prediction"` for one new observation (of prior weight 1; for the rows of the
#'   fit of their own weight).
#' @param level Coverage of the interval, between 0 and 1. Default 0.95.
#' @param na.action What to do with missing values in `newdata`. Default `na.pass`: predict `NA`.
#' @param type `"response"` or `"link"`, the same for this model; accepted for code that gives it.
#' @param ... Not used; anything given here is an error.
#' @return A numeric vector named by the rows, in units of the response. With `interval`, a matrix
#'   with the columns `fit`, `lwr` and `upr`. With `se.fit`, a list of `fit` (either of these) and
#'   `se.fit`. Quantiles are normal; those of a fit without random effects are t, as
#'   [stats::predict.lm()].
#' @section Errors: Unknown arguments and a `level` outside (0, 1): class
#'   `partialpool_error_argument`; data that do not fit the model: `partialpool_error_newdata`.
#' @references Henderson (1975), Best linear unbiased estimation and prediction under a selection
#'   model, Biometrics 31, 423-447.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' new <- data.frame(Days = 10:11, Subject = "308")
#' predict(fit, new)
#' predict(fit, new, interval = "prediction")
#' predict(fit, new, re.form = NA, se.fit = TRUE)
#' @importFrom stats predict na.pass
#' @export
predict.pp_lmm <- function(object, newdata = NULL, re.form = NULL, random.only = FALSE,
                           allow.new.levels = FALSE, se.fit = FALSE,
                           interval = c("none", "confidence", "prediction"), level = 0.95,
                           na.action = na.pass, type = c("link", "response"), ...) {
  reject_dots(...)
  choose_option(type, c("link", "response"), "type")
  interval <- choose_option(interval, c("none", "confidence", "prediction"), "interval")
  check_level(level)
  rows <- prediction_rows(object, newdata, re.form, allow.new.levels, na.action)
  if (random.only) rows <- without_fixed_part(rows)
  fit <- predicted_mean(object, rows)
  padded <- function(x) stats::napredict(rows$na.action, x)
  if (!se.fit && interval == "none") {
    return(padded(fit))
  }
  variance <- predicted_variance(object, rows)
  se <- stats::setNames(sqrt(variance), names(fit))
  if (interval != "none") {
    if (interval == "prediction") variance <- variance + object$sigma^2 / rows$weights
    fit <- interval_matrix(fit, sqrt(variance), normal_or_t(object, level))
  }
  if (se.fit) list(fit = padded(fit), se.fit = padded(se)) else padded(fit)
}

check_level <- function(level) {
  if (!is.numeric(level) || length(level) != 1L || is.na(level) || level <= 0 || level >= 1) {
    pp_abort("argument", c(
      x = "{.arg level} must be one number between 0 and 1.",
      i = "It is {.val {level}}.",
      ">" = "0.95 gives a 95% interval."
    ))
  }
}

# What the rows to predict need: X, offset, and per random term codes, z and whether it is used.
prediction_rows <- function(fit, newdata, re.form, allow.new.levels = FALSE, na.action = na.pass) {
  if (is.null(newdata)) {
    return(rows_of_fit(fit, wanted_columns(fit, re.form)))
  }
  c(design_newdata(fit, newdata, re.form, allow.new.levels, na.action), list(weights = 1))
}

rows_of_fit <- function(fit, wanted) {
  list(
    X = fit$X, offset = fit$offset, codes = lapply(fit$random, function(term) term$codes),
    z = Map(function(term, columns) {
      z <- term$z
      left_out <- !term$columns %in% columns
      if (!is.null(z) && any(left_out)) z[, left_out] <- 0
      z
    }, fit$random, wanted),
    na.action = fit$na.action, weights = if (is.null(fit$weights)) 1 else fit$weights,
    use = lengths(wanted) > 0L, names = row.names(fit$frame)
  )
}

without_fixed_part <- function(rows) {
  rows$X[] <- 0
  rows$offset <- NULL
  rows
}

predicted_mean <- function(fit, rows) {
  eta <- fixed_part(rows$X, fit$coefficients, rows$offset)
  for (t in which(rows$use)) {
    codes <- rows$codes[[t]]
    b <- with_kernel_effects(fit$b[[t]], fit$random[[t]], codes)
    eta <- eta + random_part(codes, rows$z[[t]], b)
  }
  names(eta) <- rows$names
  eta
}

# Var(x'(beta_hat - beta) + z'(b_hat - b)). A term that is not used has code 0; a new level of a
# term in use has a prior variance, independent of the rest.
predicted_variance <- function(fit, rows) {
  m <- nrow(rows$X)
  complete <- is.finite(rowSums(rows$X))
  codes <- lapply(seq_along(rows$codes), function(t) {
    if (rows$use[t]) rows$codes[[t]] else integer(m)
  })
  prior <- numeric(m)
  for (t in which(rows$use)) {
    new <- which(rows$codes[[t]] == 0L)
    prior[new] <- prior[new] + prior_variance(fit, t, rows$z[[t]], new)
    relatives <- which(rows$codes[[t]] > length(fit$random[[t]]$levels))
    if (length(relatives)) {
      left <- attr(rows$codes[[t]], "left")
      left <- left[rows$codes[[t]][relatives] - length(fit$random[[t]]$levels)]
      prior[relatives] <- prior[relatives] + left * prior_variance(fit, t, rows$z[[t]], relatives)
    }
    complete <- complete & !is.na(rows$codes[[t]]) & row_complete(rows$z[[t]], m)
  }
  variance <- rep(NA_real_, m)
  if (any(complete)) {
    keep <- which(complete)
    z <- lapply(rows$z, function(z) if (!is.null(z)) replace_missing(z[keep, , drop = FALSE]))
    variance[keep] <- prediction_variance(
      fit, rows$X[keep, , drop = FALSE], lapply(codes, take_codes, keep), z
    )
  }
  variance + prior
}

# The variance of complete rows, codes 0 where a term is not used or its level is new. Where no
# random effect is, a generalised model needs the covariance of its estimates alone.
prediction_variance <- function(fit, X, codes, z) {
  if (!inherits(fit, "pp_glmm")) {
    return(engine_prediction_variance(engine(fit), fit, X, codes, z))
  }
  variance <- quadratic_form(X, fit$vcov)
  known <- !is.na(variance) & Reduce(`|`, lapply(codes, `>`, 0L), logical(nrow(X)))
  if (any(known)) {
    model <- engine_model(fit)
    variance[known] <- engine_prediction_variance(
      engine(model), model, X[known, , drop = FALSE], lapply(codes, take_codes, known),
      lapply(z, function(z) if (!is.null(z)) z[known, , drop = FALSE])
    )
  }
  variance
}

# x' V x of each row. Coefficients without variance, as those that run to infinity, have none in V.
quadratic_form <- function(X, V) {
  lost <- is.na(diag(V))
  value <- rowSums((X[, !lost, drop = FALSE] %*% V[!lost, !lost, drop = FALSE]) *
    X[, !lost, drop = FALSE])
  value[rowSums(X[, lost, drop = FALSE] != 0) > 0] <- NA_real_
  value
}

# z' Sigma z of some rows.
prior_variance <- function(fit, t, z, rows) {
  scaled <- if (is.null(z)) {
    matrix(fit$Lambda[[t]][1L, ], length(rows), ncol(fit$Lambda[[t]]), byrow = TRUE)
  } else {
    z[rows, , drop = FALSE] %*% fit$Lambda[[t]]
  }
  random_scale(fit)^2 * rowSums(scaled^2)
}

row_complete <- function(z, m) if (is.null(z)) rep(TRUE, m) else is.finite(rowSums(z))

# Only terms out of use can still have missing values.
replace_missing <- function(z) {
  z[is.na(z)] <- 0
  z
}

normal_or_t <- function(fit, level) {
  tail <- 0.5 + level / 2
  if (has_random(fit)) stats::qnorm(tail) else stats::qt(tail, fit$n - length(fit$coefficients))
}

interval_matrix <- function(fit, se, quantile) {
  cbind(fit = fit, lwr = fit - quantile * se, upr = fit + quantile * se)
}

# Predictions of a generalised linear mixed model, and the parameters of the response of rows.

#' Predict from a generalised linear mixed model
#'
#' Predictions for the rows of the fit or for new data, with any of the random effects, on the scale
#' of the link or of the response. A prediction on the scale of the response is that of the inverse
#' link at the random effects used; with `re.form = NA` it is the one of a group whose random
#' effects are zero, not the mean over all groups.
#'
#' @section Standard errors: The variance of the linear predictor accounts for the estimation of the
#'   fixed effects and, where they are used, for the conditional variance of the random effects, and
#'   takes the covariance parameters as known; without random effects it is `x' V x` with
#'   `V = vcov(object)`. On other scales it is taken there by the delta method, together with the
#'   estimates of dispersion and zero inflation where these enter. Confidence intervals are made on
#'   the scale of the link (for a mean with zero inflation or truncation on the log scale, for
#'   `"zprob"` on the logit, for `"disp"` on the log scale) and transformed, so that they stay where
#'   a mean can be.
#'
#' @inheritParams predict.pp_lmm
#' @param object A fit, as [glmm()] returns it.
#' @param type \describe{
#'   \item{`"link"`}{(default, as lme4) the linear predictor;}
#'   \item{`"response"`}{the mean of the response: `"conditional"`, with zero inflation times
#'     `1 - pi`;}
#'   \item{`"conditional"`}{the mean without zero inflation: the inverse link of the linear
#'     predictor, but in a zero-truncated family, where that is the mean of the parent, the mean of
#'     the truncated distribution (as glmmTMB);}
#'   \item{`"zprob"`, `"zlink"`}{the probability `pi` of an extra zero and its logit (0 and `-Inf`
#'     without zero inflation);}
#'   \item{`"disp"`}{the dispersion as `sigma(object)` defines it, which with a dispersion model
#'     differs between rows.}
#' }
#' @param interval `"none"` (default) or `"confidence"`. For new observations see
#'   [simulate.pp_glmm()].
#' @return A numeric vector named by the rows. With `interval`, a matrix with the columns `fit`,
#'   `lwr` and `upr`. With `se.fit`, a list of `fit` (either of these) and `se.fit`.
#' @section Errors: Unknown arguments and a `level` outside (0, 1): class
#'   `partialpool_error_argument`; data that do not fit the model: `partialpool_error_newdata`.
#' @examples
#' fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
#' new <- data.frame(period = factor(1:4), herd = "3")
#' predict(fit, new, type = "response", interval = "confidence")
#' predict(fit, new, type = "response", re.form = NA)
#' @export
predict.pp_glmm <- function(object, newdata = NULL, re.form = NULL, random.only = FALSE,
                            allow.new.levels = FALSE, se.fit = FALSE,
                            interval = c("none", "confidence"), level = 0.95, na.action = na.pass,
                            type = c("link", "response", "conditional", "zprob", "zlink", "disp"),
                            ...) {
  reject_dots(...)
  types <- c("link", "response", "conditional", "zprob", "zlink", "disp")
  type <- choose_option(type, types, "type")
  interval <- choose_option(interval, c("none", "confidence"), "interval")
  check_level(level)
  rows <- prediction_rows(object, newdata, re.form, allow.new.levels, na.action)
  if (random.only) rows <- without_fixed_part(rows)
  wanted <- predicted_quantity(object, rows, type, newdata, se.fit || interval != "none")
  padded <- function(x) stats::napredict(rows$na.action, x)
  fit <- wanted$back(wanted$value)
  if (interval != "none") {
    fit <- wanted$back(interval_matrix(wanted$value, wanted$se, stats::qnorm(0.5 + level / 2)))
    if (any(fit[, "lwr"] > fit[, "upr"], na.rm = TRUE)) fit <- fit[, c(1L, 3L, 2L), drop = FALSE]
    colnames(fit) <- c("fit", "lwr", "upr")
  }
  if (!se.fit) {
    return(padded(fit))
  }
  slope <- abs(wanted$slope(wanted$value))
  list(fit = padded(fit), se.fit = padded(stats::setNames(slope * wanted$se, rows$names)))
}

# A quantity on a scale where its interval is made: `value` and `se` there, `back` to the scale
# asked for (keeping names and dimensions) and the derivative `slope` of that.
predicted_quantity <- function(fit, rows, type, newdata, with_se) {
  if (type %in% c("zprob", "zlink")) {
    return(predicted_zero(fit, rows, type, newdata))
  }
  if (type == "disp") {
    return(predicted_dispersion(fit, rows, newdata))
  }
  eta <- predicted_mean(fit, rows)
  inflated <- type == "response" && !is.null(fit$zi)
  if (type != "link" && (inflated || is_truncated(fit))) {
    return(predicted_response(fit, rows, eta, inflated, newdata, with_se))
  }
  se <- if (with_se) sqrt(predicted_variance(fit, rows))
  if (type == "link") {
    return(list(value = eta, se = se, back = identity, slope = function(x) 1))
  }
  list(value = eta, se = se, back = keeping_shape(fit$family$linkinv), slope = fit$family$mu.eta)
}

keeping_shape <- function(f) {
  function(x) {
    x[] <- f(as.vector(x))
    x
  }
}

predicted_zero <- function(fit, rows, type, newdata) {
  if (is.null(fit$zi)) {
    value <- stats::setNames(rep(-Inf, nrow(rows$X)), rows$names)
    nothing <- stats::setNames(rep(NA_real_, nrow(rows$X)), rows$names)
    part <- list(value = value, se = nothing)
  } else {
    X <- part_matrix(fit, "zi", rows, newdata)
    part <- linear_predictor(fit, "zi", X, rows$names)
  }
  if (type == "zlink") {
    return(c(part, list(back = identity, slope = function(x) 1)))
  }
  c(part, list(back = keeping_shape(stats::plogis), slope = stats::dlogis))
}

predicted_dispersion <- function(fit, rows, newdata) {
  to_sigma <- function(x) dispersion_sigma(fit$family, exp(x))
  if (is.null(fit$dispersion)) {
    value <- stats::setNames(numeric(nrow(rows$X)), rows$names)
    return(list(value = value, se = value, back = keeping_shape(to_sigma), slope = to_sigma))
  }
  part <- linear_predictor(fit, "disp", part_matrix(fit, "disp", rows, newdata), rows$names)
  # sigma is phi or its root: its derivative by log phi is itself or half of it.
  power <- log(to_sigma(1))
  c(part, list(back = keeping_shape(to_sigma), slope = function(x) power * to_sigma(x)))
}

linear_predictor <- function(fit, component, X, names) {
  value <- stats::setNames(as.vector(X %*% model_part(fit, component)$coefficients), names)
  list(value = value, se = sqrt(quadratic_form(X, part_covariance(fit, component))))
}

# Mean with zero inflation or truncation: a function of three linear predictors. Its interval is
# made on the log scale where it is positive.
predicted_response <- function(fit, rows, eta, inflated, newdata, with_se) {
  family <- distribution_of(fit)
  X <- list(
    disp = if (!is.null(fit$dispersion) && is_truncated(fit)) {
      part_matrix(fit, "disp", rows, newdata)
    },
    zi = if (inflated) part_matrix(fit, "zi", rows, newdata)
  )
  predictors <- list(
    cond = eta,
    disp = if (!is.null(X$disp)) as.vector(X$disp %*% fit$dispersion$coefficients),
    zi = if (!is.null(X$zi)) as.vector(X$zi %*% fit$zi$coefficients)
  )
  mean_at <- function(predictors) {
    response_mean(family, parameters_at(fit, predictors, 1))
  }
  value <- stats::setNames(mean_at(predictors), rows$names)
  on_log <- family$support != "real"
  identity_back <- list(back = identity, slope = function(x) 1)
  exp_back <- list(back = exp, slope = exp)
  if (!with_se) {
    return(c(list(value = value, se = NULL), identity_back))
  }
  se <- sqrt(response_variance_delta(fit, rows, X, predictors, mean_at))
  if (!on_log) {
    return(c(list(value = value, se = se), identity_back))
  }
  c(list(value = log(value), se = se / value), exp_back)
}

# Delta method over the predictors that are there. With the modes of the groups the mean is taken as
# independent of the coefficients of dispersion and zero inflation: what the latter share with the
# fixed effects alone could exceed the variance of both together.
response_variance_delta <- function(fit, rows, X, predictors, mean_at) {
  present <- names(predictors)[lengths(predictors) > 0L]
  present <- setdiff(present, if (isTRUE(fit$dispersion$fixed)) "disp")
  slopes <- lapply(stats::setNames(present, present), function(name) {
    h <- 1e-4
    at <- function(d) {
      moved <- predictors
      moved[[name]] <- moved[[name]] + d * h
      mean_at(moved)
    }
    (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)
  })
  X$cond <- rows$X
  at <- parameter_positions(fit)
  variance <- slopes$cond^2 * predicted_variance(fit, rows)
  modes <- lapply(which(rows$use), function(t) !rows$codes[[t]] %in% 0L)
  without_modes <- !Reduce(`|`, modes, logical(nrow(rows$X)))
  for (a in present) {
    for (b in present) {
      if (a == "cond" && b == "cond") next
      V <- fit$vcov_full[at[[a]], at[[b]], drop = FALSE]
      shared <- slopes[[a]] * slopes[[b]] * rowSums((X[[a]] %*% V) * X[[b]])
      variance <- variance + if ("cond" %in% c(a, b)) shared * without_modes else shared
    }
  }
  variance
}

# Columns of the dispersion or zero-inflation model for the rows to predict.
part_matrix <- function(fit, component, rows, newdata) {
  part <- model_part(fit, component)
  if (is.null(newdata)) {
    return(part$X)
  }
  columns <- names(part$coefficients)
  newdata <- check_newdata(newdata)
  if (length(rows$na.action)) newdata <- newdata[-rows$na.action, , drop = FALSE]
  if (nrow(newdata) == 0L) {
    return(part$X[0L, , drop = FALSE])
  }
  terms <- stats::delete.response(part$terms)
  check_newdata_variables(fit, newdata, terms, logical(length(fit$random)))
  frame <- newdata_frame(terms, newdata, part$xlevels)
  newdata_matrix(terms, frame, part$contrasts)[, columns, drop = FALSE]
}

# Parameters of the response --------------------------------------------------------------------

# Parameters of the response at linear predictors (`disp` and `zi` NULL where the fit has none), as
# the functions of `distributions` take them.
parameters_at <- function(fit, predictors, trials) {
  n <- length(predictors$cond)
  phi <- if (is.null(predictors$disp)) 1 else exp(predictors$disp)
  zero <- if (is.null(predictors$zi)) 0 else stats::plogis(predictors$zi)
  list(
    mu = fit$family$linkinv(as.vector(predictors$cond)), phi = rep_len(phi, n),
    zero = rep_len(zero, n), trials = rep_len(trials, n), shape = unname(fit$shape)
  )
}

fitted_parameters <- function(fit, eta = fitted_values(fit)) {
  predictors <- list(
    cond = eta, disp = log(row_dispersion(fit)),
    zi = if (!is.null(fit$zi)) as.vector(fit$zi$X %*% fit$zi$coefficients)
  )
  parameters_at(fit, predictors, if (is.null(fit$trials)) 1 else fit$trials)
}

# phi of each row of the fit; 1 in a family without dispersion.
row_dispersion <- function(fit) {
  part <- fit$dispersion
  if (is.null(part)) rep(1, fit$n) else exp(as.vector(part$X %*% part$coefficients))
}

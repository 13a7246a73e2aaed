# Data with what a fit says of each row.

#' @importFrom generics augment
#' @export
generics::augment

#' Data with fitted values, residuals and diagnostics
#'
#' The data of a fit, or new data, with columns of what the fit says of each row, in the names of
#' broom.mixed.
#'
#' @param x A fit, as [lmm()], [glmm()], [kernel_lmm()] or [kernel_glmm()] returns it.
#' @param data The data of the fit, also the original with columns that are not in the model.
#'   Default: the model frame. Rows are matched by their names, where the data have those of the
#'   fit. Rows that the fit left out are left out here too; if the fit has
#'   `na.action = na.exclude`, those with missing values stay in `data` that have them, and the new
#'   columns are `NA` there.
#' @param newdata New data, in place of `data`. A kernel model has none: see
#'   [predict.pp_kernel_fit()].
#' @param type.predict Scale of `.fitted`, its standard error and interval: a `type` of
#'   [predict()][predict.pp_glmm], by default `"link"`, as in broom.mixed.
#' @param type.residuals A `type` of [residuals()][residuals.pp_glmm]. Default that of the fit:
#'   `"response"` for [lmm()], `"deviance"` for [glmm()].
#' @param se_fit `TRUE` adds `.se.fit`. Default `FALSE`.
#' @param interval `"none"` (default), `"confidence"` or, for [lmm()], `"prediction"`: adds `.lower`
#'   and `.upper`.
#' @param conf.level Coverage of the interval, default 0.95.
#' @param re.form,allow.new.levels Which random effects `.fitted` and its interval use, and whether
#'   `newdata` may have levels that the fit does not know: as in [predict()][predict.pp_lmm].
#' @param ... Not used; anything given here is an error.
#' @return A data frame, a tibble if the package tibble is installed: the columns of the data and
#' \describe{
#'   \item{`.fitted`}{the prediction with random effects; `.se.fit`, `.lower`, `.upper` if asked
#'     for;}
#'   \item{`.resid`}{the residual; for `newdata` response minus prediction, if the linear model's
#'     response is there;}
#'   \item{`.hat`, `.cooksd`}{leverage and Cook's distance, not for `newdata` or kernel models;}
#'   \item{`.fixed`}{the linear predictor without random effects;}
#'   \item{`.mu`}{the fitted mean of the response; `.eta`, of [glmm()], the linear predictor;}
#'   \item{`.offset`, `.weights`}{offset and prior weights (for binomial families times trials);}
#'   \item{`.sqrtXwt`, `.sqrtrwt`, `.wtres`}{roots of the weights of columns and of residuals, and
#'     weighted (Pearson) residuals, as in the last step of iteratively reweighted least squares.}
#' }
#' `newdata` gets `.fitted`, `.fixed`, `.mu` and what was asked for. Row names that are not numbers
#' in order become a column `.rownames`.
#' @section Errors: `data` without the rows of the fit are of class `partialpool_error_data`;
#'   options that do not exist `partialpool_error_argument`.
#' @seealso [tidy()][tidy.pp_fit], [glance()][glance.pp_fit]
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' head(augment(fit), 3)
#' new <- data.frame(Days = 10, Subject = c("308", "new"))
#' augment(fit, newdata = new, interval = "prediction", allow.new.levels = TRUE)
#' @export
augment.pp_fit <- function(x, data = NULL, newdata = NULL, type.predict = NULL,
                           type.residuals = NULL, se_fit = FALSE,
                           interval = c("none", "confidence", "prediction"), conf.level = 0.95,
                           re.form = NULL, allow.new.levels = FALSE, ...) {
  reject_dots(...)
  check_flag(se_fit, "se_fit")
  check_level(conf.level)
  interval <- choose_option(interval, c("none", "confidence", "prediction"), "interval")
  if (is.null(newdata)) {
    # All rows that were fitted, whatever was done with the others.
    rows <- x
    rows$na.action <- NULL
    predicted <- predicted_columns(rows, NULL, type.predict, se_fit, interval, conf.level, re.form)
    columns <- c(predicted, diagnostic_columns(rows, type.residuals))
    columns <- order_columns(columns)
    return(if (is.null(data)) as_augmented(x$frame, columns) else join_columns(x, data, columns))
  }
  columns <- predicted_columns(
    x, newdata, type.predict, se_fit, interval, conf.level, re.form, allow.new.levels
  )
  columns$.resid <- residuals_of_newdata(x, newdata, columns$.mu)
  as_augmented(newdata, order_columns(columns))
}

#' @rdname augment.pp_fit
#' @export
augment.pp_kernel_fit <- function(x, data = NULL, type.predict = NULL, type.residuals = NULL,
                                  se_fit = FALSE, interval = c("none", "confidence", "prediction"),
                                  conf.level = 0.95, ...) {
  reject_dots(...)
  if (inherits(x, "pp_kernel_traits")) {
    pp_abort("argument", c(
      x = "{.fn augment} has no form for several traits: a row has a fitted value for each.",
      ">" = "{.fn fitted} and {.fn residuals} give matrices."
    ))
  }
  interval <- choose_option(interval, c("none", "confidence", "prediction"), "interval")
  if (check_flag(se_fit, "se_fit") || interval != "none") {
    pp_abort("argument", c(
      x = "{.fn augment} has no standard errors or intervals for a kernel model.",
      ">" = "{.fn predict} and {.fn latent} give the variance of each row."
    ))
  }
  check_level(conf.level)
  residuals <- if (is.null(type.residuals)) {
    stats::residuals(x)
  } else {
    stats::residuals(x, type = type.residuals)
  }
  fitted <- if (is.null(type.predict)) {
    stats::fitted(x)
  } else {
    stats::predict(x, type = type.predict)
  }
  columns <- list(.fitted = unname(fitted), .resid = unname(residuals), .fixed = prior_mean(x),
    .mu = unname(stats::fitted(x))
  )
  own <- data.frame(.response = as.numeric(x$y))
  if (!is.null(x$names) && !anyDuplicated(x$names)) row.names(own) <- x$names
  if (!is.null(data)) own <- check_rows_of(data, x$n)
  as_augmented(own, columns)
}

check_rows_of <- function(data, n) {
  if (!is.data.frame(data) || nrow(data) != n) {
    pp_abort("data", c(
      x = "{.arg data} must be a data frame with the rows of the fit, {n}.",
      i = if (is.data.frame(data)) "It has {nrow(data)}." else "It is {.obj_type_friendly {data}}."
    ))
  }
  data
}

# A list of columns from predict().
predicted_columns <- function(fit, newdata, type, se_fit, interval, level, re.form,
                              allow.new.levels = FALSE) {
  predicted <- function(type, re.form = NULL, ...) {
    stats::predict(fit, newdata, type = type, re.form = re.form,
      allow.new.levels = allow.new.levels, ...
    )
  }
  type <- if (is.null(type)) "link" else type
  found <- predicted(type, re.form, se.fit = se_fit, interval = interval, level = level)
  value <- if (se_fit) found$fit else found
  columns <- list(.fitted = if (interval == "none") value else value[, "fit"])
  if (se_fit) columns$.se.fit <- found$se.fit
  if (interval != "none") {
    columns$.lower <- value[, "lwr"]
    columns$.upper <- value[, "upr"]
  }
  columns$.fixed <- predicted("link", NA)
  columns$.mu <- predicted("response", re.form)
  lapply(columns, unname)
}

diagnostic_columns <- function(fit, type) {
  w <- unname(stats::weights(fit, "prior"))
  eta <- fitted_values(fit)
  columns <- list(
    .resid = if (is.null(type)) stats::residuals(fit) else stats::residuals(fit, type = type)
  )
  columns <- c(columns, influence_columns(fit), list(
    .offset = if (is.null(fit$offset)) numeric(fit$n) else fit$offset
  ))
  if (inherits(fit, "pp_lmm")) {
    roots <- list(.sqrtXwt = sqrt(w), .sqrtrwt = sqrt(w))
    last <- list(.weights = w, .wtres = sqrt(w) * (fit$y - eta))
  } else {
    slope <- fit$family$mu.eta(eta)
    root <- sqrt(working_weights(fit, eta))
    roots <- list(.sqrtXwt = root, .sqrtrwt = root / abs(slope))
    pearson <- if (has_variance(fit)) pearson_residuals(fit) else rep(NA_real_, fit$n)
    last <- list(.weights = w, .wtres = pearson, .eta = eta)
  }
  lapply(c(columns, roots, last), unname)
}

# The order of broom.mixed's columns.
order_columns <- function(columns) {
  order <- c(
    ".fitted", ".se.fit", ".lower", ".upper", ".resid", ".hat", ".cooksd", ".fixed", ".mu",
    ".offset", ".sqrtXwt", ".sqrtrwt", ".weights", ".wtres", ".eta"
  )
  columns[intersect(order, names(columns))]
}

# The rows of `data` that were fitted, with the columns. By name, else as many rows in their order.
join_columns <- function(fit, data, columns) {
  if (!is.data.frame(data)) check_rows_of(data, fit$n)
  names <- row.names(fit$frame)
  at <- match(row.names(data), names)
  if (!all(names %in% row.names(data))) {
    check_rows_of(data, fit$n)
    at <- seq_len(fit$n)
  }
  excluded <- if (inherits(fit$na.action, "exclude")) names(fit$na.action)
  kept <- !is.na(at) | row.names(data) %in% excluded
  as_augmented(data[kept, , drop = FALSE], lapply(columns, function(x) x[at[kept]]))
}

as_augmented <- function(data, columns) {
  names <- row.names(data)
  attr(data, "terms") <- NULL
  data <- as.data.frame(data)
  given <- setdiff(names(data), names(columns))
  data <- data[given]
  if (!identical(names, as.character(seq_len(nrow(data))))) {
    data <- cbind(.rownames = names, data)
  }
  data[names(columns)] <- columns
  as_tidy_table(data)
}

# Response minus mean, where new data have the response of a linear model.
residuals_of_newdata <- function(fit, newdata, mean) {
  response <- attr(fit$terms, "variables")[[2L]]
  if (!inherits(fit, "pp_lmm") || !all(all.vars(response) %in% names(newdata))) {
    return(NULL)
  }
  y <- eval(response, newdata, environment(fit$formula))
  if (is.numeric(y) && length(y) == length(mean)) as.numeric(y) - mean
}

# Leverage and Cook's distance.
influence_columns <- function(fit) {
  list(.hat = stats::hatvalues(fit), .cooksd = stats::cooks.distance(fit))
}

# Linear mixed models of a matrix of features: X and y in, random intercepts of groups.

#' @param y For a matrix: the response, one number a row.
#' @param random_effect For a matrix: the group of each row, a vector of any type (numbers, text, a
#'   factor, a list of such values); or several groupings, the columns of a matrix or a data frame.
#'   Each has a random intercept. Default `NULL`: no groups, which is a linear model.
#' @param varnames For a matrix: the names of the features, of the groupings and of the response, in
#'   this order, or of the features alone. They are shown as they are, blanks and symbols included.
#'   Default: the column names, or `x1`, `x2`, ..., `group`, `y`.
#' @param zscore_x For a matrix: `TRUE` subtracts the mean of each feature and divides by its
#'   standard deviation (with divisor n) in the rows used. The response stays as it is. Default
#'   `FALSE`.
#' @param level,alpha For a matrix: coverage of the intervals, 0.95 by default, or what they leave
#'   out.
#' @param ddf For a matrix: degrees of freedom of tests and intervals, as in
#'   [summary()][summary.pp_lmm]; `"none"` for z tests. Default: Satterthwaite's, residual without
#'   groups.
#' @param X The matrix, if it is given by name.
#' @section A matrix of features:
#' `lmm(X, y, random_effect)` fits `y` on an intercept and the columns of the matrix or data frame
#' of numbers `X`, with a random intercept for each group. What it returns has the class
#' `"pp_matrix_lmm"` besides, all methods of a fit, and the elements `params` (fixed effects),
#' `pvalues`, `conf_int` (a matrix of two columns) and `rsquared`, `1 - RSS / TSS` with the
#' residuals given the random effects. [model_params()] gives them as a table, [plot_effects()] as a
#' picture. `predict(fit, newdata, random_effect)` takes a matrix of new features and the groups of
#' its rows, without groups for the mean over groups.
#'
#' Rows with missing values are left out, with a message of class `partialpool_message_missing`.
#' Without groups the fit is that of [stats::lm()], and a message says so. A grouping of one level
#' is an error: the effect of the one group cannot be told from the intercept, so that its variance
#' could have any value.
#' @examples
#'
#' # a matrix of features
#' X <- cbind("day of study" = sleepstudy$Days)
#' fit <- lmm(X, sleepstudy$Reaction, random_effect = sleepstudy$Subject)
#' fit$pvalues
#' model_params(fit)
#' plot_effects(fit)
#' @rdname lmm
#' @export
lmm.matrix <- function(formula, y, random_effect = NULL, varnames = NULL, zscore_x = FALSE,
                       REML = TRUE, level = 1 - alpha, alpha = 0.05, ddf = NULL,
                       control = pp_control(), X = formula, ...) {
  call <- match.call()
  call[[1L]] <- quote(lmm)
  reject_dots(...)
  if (missing(y)) y <- NULL
  REML <- check_flag(REML, "REML")
  zscore_x <- check_flag(zscore_x, "zscore_x")
  if (!missing(alpha)) check_alpha(alpha)
  check_level(level)
  control <- as_control(control)

  data <- labelled_data(X, y, random_effect, varnames)
  used <- stats::complete.cases(data$frame)
  report_missing_rows(data$frame, used)
  check_group_levels(data, used)
  standard <- if (zscore_x) feature_standardisation(data, used)
  if (zscore_x) data$frame <- standardise_features(data$frame, data$features, standard)

  design <- matrix_design(data, control$check)
  if (!length(design$random)) {
    pp_inform("random", c(
      "i" = "There is no {.arg random_effect}: this is a linear model, as {.fn lm} fits it.",
      ">" = "If rows belong to groups, give the group of each row as {.arg random_effect}."
    ))
  }
  fit <- fit_design(design, REML, NULL, control, call)
  fit$features <- data$features
  fit$groupings <- data$groupings
  fit["standardisation"] <- list(standard)
  fit$intervals <- list(level = level, ddf = ddf)
  class(fit) <- c("pp_matrix_lmm", class(fit))
  with_matrix_results(fit)
}

#' @rdname lmm
#' @export
lmm.data.frame <- lmm.matrix

# A single feature as a vector, or lmm(X = X, y); a number alone is no model.
#' @rdname lmm
#' @export
lmm.numeric <- function(formula, y = NULL, ..., X) {
  if (is.null(y) && missing(X)) {
    return(lmm.default(formula))
  }
  call <- match.call()
  call[[1L]] <- quote(lmm)
  if (!missing(X)) {
    # What was given without a name comes in the order of what was not named.
    named <- "y" %in% names(sys.call())
    fit <- if (named) lmm.matrix(X, y, formula, ...) else lmm.matrix(X, formula, y, ...)
  } else {
    fit <- lmm.matrix(matrix(formula, ncol = 1L, dimnames = list(names(formula), NULL)), y, ...)
  }
  fit$call <- call
  fit
}

# The design of an intercept, the features and the groupings, with columns named as the user named
# them: model.matrix() puts names that are no words into backticks.
matrix_design <- function(data, check) {
  intercepts <- lapply(data$groupings, function(group) {
    call("(", call("|", 1, as.name(group)))
  })
  rhs <- sum_of(c(lapply(data$features, as.name), intercepts))
  # The formula means the same anywhere: all its variables are columns of the frame.
  formula <- make_formula(rhs, as.name(data$response), globalenv())
  call <- as.call(list(quote(lmm), formula = formula, data = data$frame,
                       na.action = quote(stats::na.omit)))
  design <- design_from_call(call, baseenv(), check)
  colnames(design$X) <- c("(Intercept)", data$features)
  design
}

# What the fit hands out as elements.
with_matrix_results <- function(fit) {
  table <- coefficient_intervals(fit, fit$intervals$ddf, fit$intervals$level)
  fit$params <- fit$coefficients
  fit$pvalues <- stats::setNames(table$p.value, names(fit$coefficients))
  fit$conf_int <- interval_columns(table, fit$intervals$level)
  fit$rsquared <- conditional_rsquared(fit)
  fit
}

interval_columns <- function(table, level) {
  bounds <- as.matrix(table[c("conf.low", "conf.high")])
  tails <- 100 * c(1 - level, 1 + level) / 2
  dimnames(bounds) <- list(rownames(table), paste(format(tails, trim = TRUE, digits = 3L), "%"))
  bounds
}

conditional_rsquared <- function(fit) {
  1 - sum((fit$y - fitted_values(fit))^2) / sum((fit$y - mean(fit$y))^2)
}

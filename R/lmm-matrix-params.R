#' Table of the parameters of a fit
#'
#' The slopes with their tests and intervals, without the intercept and the variances; or with
#' `full = TRUE` all of them.
#'
#' Standard errors are those of `vcov(fit)`, `(X' V^-1 X)^-1` for a linear mixed model: the
#' covariance parameters count as known, and their estimation enters through the degrees of freedom.
#' `se = "joint"` inverts the observed information of the fixed effects and the covariance
#' parameters (relative to the residual variance) together, as the MixedLM class of the Python
#' package statsmodels does. In large samples the two are the same. In small ones the joint one adds
#' the variance that the estimates of fixed effects have because those of the covariance parameters
#' have one: `D I^-1 D'`, with `D` the derivative of the fixed effects by the covariance parameters
#' and `I` the profile information of these. A variance of zero counts as known.
#'
#' @param fit A fit, as [lmm()], [glmm()], [kernel_lmm()] or [kernel_glmm()] returns it.
#' @param full `TRUE` gives the intercept too, all columns, and a row for each variance and
#'   covariance of a fit by [lmm()] or [glmm()], with its standard error. Default `FALSE`.
#' @param level Coverage of the intervals. Default 0.95, or what the fit of a matrix was made with.
#' @param ddf Degrees of freedom, as in [summary()][summary.pp_lmm]; `"none"` for z tests. Default
#'   `NULL`: those of the summary.
#' @param se `"model"` (default) or `"joint"`.
#' @param ... Must be empty: an unknown argument is an error.
#' @return A data frame with a row a coefficient and the columns `term`, `estimate`, `p.value`,
#'   `conf.low` and `conf.high`; with `full = TRUE` also `component` (`"fixed"` or `"variance"`),
#'   `std.error`, `df` and `statistic`. Variances have neither test nor interval here: [confint()]
#'   gives those of the standard deviations by the profile likelihood.
#' @section Errors: `se = "joint"` of anything but a linear mixed model, and options that do not
#'   exist, are of class `partialpool_error_argument`.
#' @references Lindstrom MJ, Bates DM (1988). Newton-Raphson and EM algorithms for linear
#'   mixed-effects models for repeated-measures data. Journal of the American Statistical
#'   Association 83, 1014-1022. \doi{10.2307/2290128}
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' model_params(fit)
#' model_params(fit, full = TRUE)
#' model_params(fit, ddf = "none", se = "joint")
#' @export
model_params <- function(fit, full = FALSE, level = NULL, ddf = NULL, se = c("model", "joint"),
                         ...) {
  reject_dots(...)
  check_is_fit(fit)
  full <- check_flag(full, "full")
  se <- choose_option(se, c("model", "joint"), "se")
  if (is.null(level)) level <- if (is.null(fit$intervals)) 0.95 else fit$intervals$level
  if (is.null(ddf)) ddf <- fit$intervals$ddf
  table <- coefficient_intervals(fit, ddf, level, se)
  table <- cbind(term = rownames(table), table)
  if (!full) {
    table <- table[!is_intercept(table$term), c(
      "term", "estimate", "p.value", "conf.low", "conf.high"
    )]
  } else {
    table <- cbind(component = rep("fixed", nrow(table)), table)
    table <- rbind(table, variance_rows(fit, names(table)))
  }
  rownames(table) <- NULL
  table
}

# Of several traits each has an intercept of its own.
is_intercept <- function(terms) {
  terms <- as.character(terms)
  terms == "(Intercept)" | endsWith(terms, ":(Intercept)")
}

check_is_fit <- function(fit) {
  if (!inherits(fit, "pp_fit")) {
    pp_abort("argument", c(
      x = "{.arg fit} must be a fit by {.fn lmm}, {.fn glmm} or a kernel model.",
      i = "It is {.obj_type_friendly {fit}}."
    ))
  }
}

# Estimates, tests and intervals of all coefficients, in the columns of contrast_table().
coefficient_intervals <- function(fit, ddf = NULL, level = 0.95, se = "model") {
  check_level(level)
  known <- inference(fit, ddf)
  if (se == "joint") known <- with_joint_covariance(known, fit)
  names <- names(known$coefficients)
  L <- diag(length(names))
  dimnames(L) <- list(names, names)
  as.data.frame(contrast_table(known, L, level))
}

with_joint_covariance <- function(known, fit) {
  if (known$ddf == "kenward-roger") {
    pp_abort("argument", c(
      x = "{.code se = \"joint\"} does not go with {.code ddf = \"kenward-roger\"}.",
      i = "Both add what the estimation of the covariance parameters costs."
    ))
  }
  V <- joint_covariance(fit) / known$unit^2
  known$variance <- function(L) rowSums((L %*% V) * L)
  known
}

# Variances and covariances with their standard errors.
variance_rows <- function(fit, columns) {
  if (!inherits(fit, c("pp_lmm", "pp_glmm"))) {
    return(NULL)
  }
  values <- as.data.frame(VarCorr.pp_fit(fit), order = "lower.tri")
  if (inherits(fit, "pp_glmm")) values <- values[values$grp != "Residual", ]
  names <- c(unlist(lapply(fit$random, natural_names)), if (inherits(fit, "pp_lmm")) "Residual")
  V <- stats::vcov(fit, full = TRUE)
  rows <- matrix(NA_real_, length(names), length(columns), dimnames = list(NULL, columns))
  rows <- as.data.frame(rows)
  rows$component <- rep("variance", length(names))
  rows$term <- names
  rows$estimate <- values$vcov
  rows$std.error <- sqrt(diag(V))[names]
  rows
}

# Covariance of the fixed effects from the joint observed information of fixed effects and relative
# covariance parameters, at the parameters theta: by the inverse of a partitioned matrix, the one
# given theta plus D I^-1 D'. The parameters are the relative variances where theta holds relative
# standard deviations of uncorrelated effects, as at a point beside the optimum it matters which.
joint_covariance <- function(fit, theta = fit$theta) {
  if (!inherits(fit, "pp_lmm")) {
    pp_abort("argument", c(
      x = "{.code se = \"joint\"} is there for linear mixed models by {.fn lmm} alone.",
      i = "Standard errors of {.fn glmm} come from the joint information anyhow."
    ))
  }
  eng <- engine(fit)
  given <- estimates_at(eng, theta)
  squared <- vapply(fit$random, function(term) length(term$columns) == 1L, NA)
  squared <- rep(squared, lengths(lapply(fit$random, function(term) theta_roles(list(term)))))
  free <- which(theta != 0 | !squared)
  if (!length(free)) {
    return(given$vcov)
  }
  # A parameter t with theta = sqrt(t), or theta itself.
  at <- ifelse(squared, theta^2, theta)
  slope <- function(t) ifelse(squared, 0.5 / sqrt(t), 1)
  score <- function(t) {
    here <- ifelse(squared, sqrt(t), t)
    0.5 * engine_theta_gradient(eng, here)[free] * slope(t)[free]
  }
  mean_effects <- function(t) estimates_at(eng, ifelse(squared, sqrt(t), t))$coefficients
  step <- 1e-3 * ifelse(squared, at, pmax(abs(at), 0.1))
  D <- central_differences(mean_effects, at, step, free)
  information <- central_differences(score, at, step, free)
  information <- (information + t(information)) / 2
  given$vcov + D %*% solve(information, t(D))
}

estimates_at <- function(eng, theta) {
  found <- engine_estimates(eng, theta)
  p <- length(found$coefficients)
  list(
    coefficients = found$coefficients,
    vcov = found$sigma^2 * matrix(found$vcov_unscaled, p, p)
  )
}

# Derivatives of a vector by the parameters `which`, a column each, to fourth order in the step.
central_differences <- function(f, at, step, which) {
  columns <- lapply(which, function(k) {
    shifted <- function(m) f(replace(at, k, at[k] + m * step[k]))
    (8 * (shifted(1) - shifted(-1)) - (shifted(2) - shifted(-2))) / (12 * step[k])
  })
  do.call(cbind, columns)
}

# Comparison of kernel models, and tests of their fixed effects.

#' Compare kernel models, or test the fixed effects of one
#'
#' With two or more fits, a likelihood-ratio test of each against the next smaller. With one fit, a
#' Wald test of each column of `X`, or of groups of columns.
#'
#' Restricted likelihoods of different fixed effects cannot be compared: fits with `REML = TRUE` are
#' fitted again by maximum likelihood first, with a message. Fits of different families, fits whose
#' likelihoods are approximated in different ways, and models that were evaluated at given
#' parameters (`fit = FALSE`) give a warning. A kernel whose variance is zero lies on the boundary:
#' the p-value of a test of it is too large, up to twofold.
#'
#' @inheritParams anova.pp_lmm
#' @param object A fit, as [kernel_lmm()] or [kernel_glmm()] returns it.
#' @param ... More fits to compare with, by [kernel_lmm()], [kernel_glmm()], [lmm()], [glmm()],
#'   [stats::lm()] or [stats::glm()]. Anything else is an error.
#' @param refit `TRUE` (default) fits models fitted by REML again by ML for the comparison.
#' @param terms For one fit: a named list of columns of `X`, by name or number, to be tested
#'   together. Default `NULL`: each column alone.
#' @param test `"F"` or `"Chisq"`. Default: as the tests of `summary()`, F tests for a fit by
#'   [kernel_lmm()] with `REML = TRUE` and chi-square tests otherwise.
#' @param ddf Denominator degrees of freedom of F tests: `"residual"` (rows less fixed effects) or
#'   `"none"` (infinite). Default `NULL`: as `summary()`.
#' @return A data frame of class `c("pp_anova", "anova")`. Comparison: a row per fit, by number of
#'   parameters, with the columns `npar`, `AIC`, `BIC`, `logLik`, `deviance`, `Chisq`, `Df`,
#'   `Pr(>Chisq)`. One fit: a row per column of `X` or element of `terms`, with `NumDF`, `DenDF`,
#'   `F value`, `Pr(>F)`, or `Chisq`, `Df`, `Pr(>Chisq)`; `NA` where coefficients were given and not
#'   estimated.
#' @section Errors: Fits to different numbers of rows or different responses, columns and options
#'   that do not exist, are of class `partialpool_error_argument`; warnings of class
#'   `partialpool_warning_fit`.
#' @seealso [linear_hypothesis()] for any contrast.
#' @examples
#' set.seed(1)
#' K <- exp(-as.matrix(dist(1:40)) / 5)
#' x <- rnorm(40)
#' y <- drop(0.5 * x + crossprod(chol(K), rnorm(40)) + rnorm(40))
#' fit <- kernel_lmm(y, cbind(mean = 1, x = x), K)
#' anova(fit)
#' anova(kernel_lmm(y, cbind(mean = rep(1, 40)), K), fit)
#' @export
anova.pp_kernel_fit <- function(object, ..., refit = TRUE, model.names = NULL, terms = NULL,
                                test = NULL, ddf = NULL) {
  others <- list(...)
  is_fit <- vapply(others, inherits, NA, c("pp_fit", "lm"))
  makers <- c("kernel_lmm", "kernel_glmm", "lmm", "glmm", "lm", "glm")
  if (!all(is_fit)) reject_other_arguments(others, is_fit, makers)
  if (length(others) > 0L) {
    arguments <- as.list(substitute(list(object, ...)))[-1L]
    return(compare_fits(c(list(object), others), model.names, arguments, refit))
  }
  if (!is.null(test)) test <- choose_option(test, c("F", "Chisq"), "test")
  tests <- inference(object, if (identical(test, "Chisq")) "none" else ddf)
  if (is.null(test)) test <- if (tests$ddf == "none") "Chisq" else "F"
  names <- names(tests$coefficients)
  hypotheses <- lapply(column_groups(terms, names), function(columns) {
    diag(length(names))[columns, , drop = FALSE]
  })
  results <- lapply(hypotheses, tests$joint)
  table <- if (test == "Chisq") chisq_table(results) else f_table(results)
  structure(table,
    heading = c(
      paste0("Tests of the fixed effects: ", test_description(test, tests$ddf)),
      comparison_line("Response", object$call$y)
    ),
    class = c("pp_anova", "anova", "data.frame")
  )
}

# Numbers of the columns of each group.
column_groups <- function(terms, names) {
  if (is.null(terms)) {
    return(stats::setNames(as.list(seq_along(names)), names))
  }
  labels <- names(terms)
  if (!is.list(terms) || length(terms) == 0L || is.null(labels) || !all(nzchar(labels))) {
    pp_abort("argument", c(
      x = "{.arg terms} must be a named list of columns of {.arg X}.",
      i = "It is {.obj_type_friendly {terms}}.",
      ">" = "For example {.code list(dose = c(\"dose1\", \"dose2\"))}."
    ))
  }
  lapply(terms, function(columns) {
    at <- if (is.numeric(columns)) match(columns, seq_along(names)) else match(columns, names)
    if (length(at) == 0L || anyNA(at)) {
      lost <- as.character(columns[is.na(at)])
      pp_abort("argument", c(
        x = "{.arg terms} names columns that the fit does not have: {.val {lost}}.",
        i = "The columns are {.val {names}}."
      ))
    }
    at
  })
}

comparison_line <- function(label, value) {
  if (is.language(value)) paste0(label, ": ", shorten(deparse1(value), 65L))
}

# A kernel model in a line, as formulas describe others.
kernel_description <- function(fit) {
  part <- function(name) {
    value <- fit$call[[name]]
    if (is.null(value)) NULL else if (is.language(value)) shorten(deparse1(value), 25L) else name
  }
  columns <- paste(part("X"), collapse = "")
  paste0(
    paste(c(part("y"), "y")[1L], collapse = ""), " ~ ", if (nzchar(columns)) columns else "1",
    if (!is.null(fit$kernel)) paste0(" + kernel ", paste(part("kernel"), collapse = ""))
  )
}

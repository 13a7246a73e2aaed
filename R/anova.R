# Comparison of fits by likelihood ratio.

#' Compare fits, or test the terms of one fit
#'
#' With two or more fits, a likelihood-ratio test of each against the next smaller. Fits by REML are
#' fitted again by ML first, with a message. With one fit, a test of each fixed-effects term.
#'
#' The tests of terms are Wald tests. `type = 1` tests each term after those before it, as lme4's
#' `anova()` of one fit does; `type = 2` after all terms that do not contain it (the car package's
#' hypotheses); `type = 3` after all others. A test of type III of a factor is the one that
#' contrasts summing to zero give, whatever the coding of the factors in the fit; `coding =
#' "fitted"` tests the coefficients of each term as they stand. With fewer columns than the model
#' asks for (columns dropped inside a term, contrasts that leave columns out) the recoding is not
#' unique, and the fitted coding is used, with a message.
#'
#' F tests by Satterthwaite's method turn a hypothesis of several rows into uncorrelated single
#' ones, and their degrees of freedom depend a little on the rows it is written with. Those of type
#' III, and of type II for terms that no other contains, are differences from one level of each
#' factor, as in the lmerTest package; it is the level whose name comes first, so that neither the
#' coding of the factors nor the order of their levels matters. All others are orthonormal in the
#' metric of the model matrix. By Kenward and Roger's method, which also scales F, nothing depends
#' on how a hypothesis is written.
#'
#' @param object A fit, as [lmm()] returns it.
#' @param ... More fits to compare with, by [lmm()], [glmm()] or [stats::lm()], after a mixed one:
#'   the first fit decides whose method is called. Anything else is an error.
#' @param refit `TRUE` (default) fits models fitted by REML again by ML for the comparison.
#' @param model.names Names of the models compared. Default: the arguments as written.
#' @param type For one fit: 1, 2 or 3 (default), or `"I"`, `"II"`, `"III"`.
#' @param test `"F"` (default) or `"Chisq"`.
#' @param ddf Denominator degrees of freedom of F tests: `"satterthwaite"` (default),
#'   `"kenward-roger"` (for fits by REML; see [summary.pp_lmm()]), `"residual"` (always for a fit
#'   without random effects) or `"none"` (infinite). Abbreviations and capitals will do.
#' @param coding For type III: `"sum"` (default) or `"fitted"`.
#' @return A data frame of class `c("pp_anova", "anova")`. Comparison: a row per fit, by number of
#'   parameters, with the columns `npar`, `AIC`, `BIC`, `logLik`, `deviance`, `Chisq`, `Df`,
#'   `Pr(>Chisq)`. One fit: a row per term with `NumDF`, `DenDF`, `F value`, `Pr(>F)`, or `Chisq`,
#'   `Df`, `Pr(>Chisq)`; type III chi-square tests begin with the intercept.
#' @section Errors: Fits to different numbers of rows or different responses, options that do not
#'   exist, and Kenward and Roger's method for a fit by maximum likelihood, are of class
#'   `partialpool_error_argument`.
#' @references Kenward and Roger (1997), Small sample inference for fixed effects from restricted
#'   maximum likelihood, Biometrics 53, 983-997. Kuznetsova, Brockhoff and Christensen (2017),
#'   lmerTest package: tests in linear mixed effects models, Journal of Statistical Software
#'   82(13). Fox and Weisberg (2019), An R companion to applied regression, section 5.3.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' smaller <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
#' anova(smaller, fit)
#' anova(fit)
#' anova(fit, ddf = "kenward-roger")
#' anova(fit, test = "Chisq")
#' @importFrom stats anova
#' @export
anova.pp_lmm <- function(object, ..., refit = TRUE, model.names = NULL, type = 3,
                         test = c("F", "Chisq"),
                         ddf = c("satterthwaite", "kenward-roger", "residual", "none"),
                         coding = c("sum", "fitted")) {
  others <- list(...)
  is_fit <- vapply(others, inherits, NA, c("pp_fit", "lm"))
  if (!all(is_fit)) reject_other_arguments(others, is_fit)
  if (length(others) == 0L) {
    test <- choose_option(test, c("F", "Chisq"), "test")
    coding <- choose_option(coding, c("sum", "fitted"), "coding")
    # Chi-square tests have no use for degrees of freedom: they are not computed.
    tests <- inference(object, if (test == "Chisq") "none" else ddf)
    return(term_tests(object, choose_type(type), test, tests, coding))
  }
  arguments <- as.list(substitute(list(object, ...)))[-1L]
  compare_fits(c(list(object), others), model.names, arguments, refit)
}

reject_other_arguments <- function(others, is_fit, makers = c("lmm", "lm")) {
  names <- names(others)
  unknown <- if (is.null(names)) character() else names[!is_fit & nzchar(names)]
  unnamed <- sum(!is_fit) - length(unknown)
  pp_abort("argument", c(
    x = "{.fn anova} takes fits by {.fn {makers}} and its own arguments.",
    i = if (length(unknown)) "Unknown argument{?s}: {.arg {unknown}}.",
    i = if (unnamed) "{unnamed} unnamed argument{?s} {?is/are} not such a fit."
  ))
}

model_names <- function(given, arguments, n) {
  labels <- if (is.null(given)) vapply(arguments, deparse1, "") else as.character(given)
  if (!is.null(given) && length(labels) != n) {
    pp_abort("argument", c(
      x = "{.arg model.names} must name each of the {n} models.",
      i = "It has {length(labels)} name{?s}."
    ))
  }
  # A fit written as a call would fill the page.
  long <- is.null(given) & nchar(labels) > 30L
  labels[long] <- paste0("model", seq_len(n))[long]
  if (anyDuplicated(labels)) paste0("model", seq_len(n)) else labels
}

# `arguments`: how the fits were written in the call.
compare_fits <- function(fits, names, arguments, refit) {
  names(fits) <- model_names(names, arguments, length(fits))
  check_same_response(fits)
  restricted <- vapply(fits, function(fit) isTRUE(fit$REML) && !isFALSE(fit$fitted), NA)
  if (any(restricted)) fits <- without_reml(fits, restricted, refit)
  if (any(vapply(fits, inherits, NA, c("pp_glmm", "pp_kernel_fit")))) warn_incomparable(fits)
  values <- lapply(fits, likelihood_of)
  npar <- vapply(values, attr, 0, "df")
  by_size <- order(npar)
  fits <- fits[by_size]
  values <- values[by_size]
  npar <- npar[by_size]
  loglik <- vapply(values, as.numeric, 0)
  chisq <- c(NA, 2 * pmax(0, diff(loglik)))
  df <- c(NA, diff(npar))
  p <- stats::pchisq(chisq, df, lower.tail = FALSE)
  p[which(df == 0)] <- NA
  table <- data.frame(
    npar = npar, AIC = vapply(values, stats::AIC, 0), BIC = vapply(values, stats::BIC, 0),
    logLik = loglik, deviance = -2 * loglik, Chisq = chisq, Df = df, "Pr(>Chisq)" = p,
    row.names = names(fits), check.names = FALSE
  )
  structure(table, heading = comparison_heading(fits), class = c("pp_anova", "anova", "data.frame"))
}

check_same_response <- function(fits) {
  sizes <- vapply(fits, stats::nobs, 0L)
  if (length(unique(sizes)) > 1L) {
    sizes <- paste(names(fits), sizes, sep = ": ")
    pp_abort("argument", c(
      x = "The models were not fitted to the same rows.",
      i = "Rows used: {sizes}.",
      i = "Missing values in a variable of one model drop rows of that model alone.",
      ">" = "Fit all models to the data that are complete for the largest."
    ))
  }
  first <- fitted_response(fits[[1L]])
  for (k in seq_along(fits)[-1L]) {
    if (!isTRUE(all.equal(first, fitted_response(fits[[k]])))) {
      pp_abort("argument", c(
        x = "The models do not have the same response.",
        i = "{.code {names(fits)[1L]}} and {.code {names(fits)[k]}} have different values.",
        i = "Likelihoods of different responses cannot be compared."
      ))
    }
  }
}

fitted_response <- function(fit) {
  stored <- inherits(fit, c("pp_fit", "glm"))
  as.numeric(if (stored) fit$y else stats::model.response(stats::model.frame(fit)))
}

# Restricted likelihoods can be compared only between equal fixed effects.
without_reml <- function(fits, restricted, refit) {
  if (refit) {
    pp_inform("fit", "Fitting {sum(restricted)} model{?s} again by ML for the comparison.")
    fits[restricted] <- lapply(fits[restricted], refit_ml)
    return(fits)
  }
  X <- lapply(fits, function(fit) unname(as.matrix(stats::model.matrix(fit))))
  same <- vapply(X, function(x) isTRUE(all.equal(x, X[[1L]], check.attributes = FALSE)), NA)
  if (!all(restricted) || !all(same)) {
    pp_warn("fit", c(
      "!" = "These likelihoods cannot be compared.",
      i = if (all(restricted)) {
        "A restricted likelihood depends on the fixed effects, and those differ."
      } else {
        "Some models were fitted by REML, some by ML."
      },
      ">" = "Use {.code refit = TRUE}."
    ))
  }
  fits
}

comparison_heading <- function(fits) {
  data <- lapply(fits, function(fit) stats::getCall(fit)$data)
  head <- if (is.language(data[[1L]])) paste("Data:", shorten(deparse1(data[[1L]]), 65L))
  formulas <- vapply(fits, function(fit) {
    if (inherits(fit, "pp_kernel_fit")) kernel_description(fit) else deparse1(stats::formula(fit))
  }, "")
  lines <- lapply(paste(names(fits), formulas, sep = ": "), formula_lines, getOption("width"))
  c(head, "Models:", unlist(lines))
}

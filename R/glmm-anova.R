# Comparison of generalised linear mixed models, and tests of their terms.

#' Compare generalised linear mixed models, or test the terms of one
#'
#' With two or more fits, a likelihood-ratio test of each against the next smaller. With one fit, a
#' Wald chi-square test of each fixed-effects term, of the types and codings that [anova.pp_lmm()]
#' explains.
#'
#' Likelihoods can be compared between fits to the same response whose integrals are approximated in
#' the same way. Fits with different `method` or `nAGQ` give a warning, different families too: the
#' chi-square test needs nested models (AIC and BIC need not). Penalised quasi-likelihood has no
#' likelihood. A variance component of zero lies on the boundary: the p-value of a test of it is too
#' large, up to twofold for one variance.
#'
#' @inheritParams anova.pp_lmm
#' @param object A fit, as [glmm()] returns it.
#' @param ... More fits to compare with, by [glmm()], [lmm()], [stats::glm()] or [stats::lm()].
#'   Anything else is an error.
#' @param refit `TRUE` (default) fits models fitted with `REML = TRUE` again by maximum likelihood
#'   for the comparison, from their call, with a message.
#' @param test `"Chisq"`, the only test of terms of such a fit.
#' @return A data frame of class `c("pp_anova", "anova")`. Comparison: a row per fit, by number of
#'   parameters, with the columns `npar`, `AIC`, `BIC`, `logLik`, `deviance` (minus twice
#'   `logLik`), `Chisq`, `Df`, `Pr(>Chisq)`. One fit: a row per term with `Chisq`, `Df`,
#'   `Pr(>Chisq)`; type III begins with the intercept. A term with a coefficient that runs to
#'   infinity has no test: `NA`.
#' @section Errors: Fits to different numbers of rows or different responses, and options that do
#'   not exist, are of class `partialpool_error_argument`; warnings of class
#'   `partialpool_warning_fit`.
#' @examples
#' fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
#' anova(fit, update(fit, . ~ . - period))
#' anova(fit)
#' @export
anova.pp_glmm <- function(object, ..., refit = TRUE, model.names = NULL, type = 3, test = "Chisq",
                          coding = c("sum", "fitted")) {
  others <- list(...)
  is_fit <- vapply(others, inherits, NA, c("pp_fit", "lm"))
  if (!all(is_fit)) reject_other_arguments(others, is_fit, c("glmm", "lmm", "glm", "lm"))
  if (length(others) == 0L) {
    test <- choose_option(test, "Chisq", "test")
    coding <- choose_option(coding, c("sum", "fitted"), "coding")
    return(term_tests(object, choose_type(type), test, inference(object), coding))
  }
  arguments <- as.list(substitute(list(object, ...)))[-1L]
  compare_fits(c(list(object), others), model.names, arguments, refit)
}

likelihood_of <- function(fit) {
  if (inherits(fit, "pp_glmm")) log_likelihood(fit) else stats::logLik(fit)
}

# What makes a likelihood-ratio test doubtful although it can be computed.
warn_incomparable <- function(fits) {
  reasons <- c(
    quasi_reason(fits), integral_reason(fits), family_reason(fits), given_reason(fits)
  )
  if (length(reasons)) {
    pp_warn("fit", c(
      "!" = "These likelihoods cannot be compared by a chi-square test.",
      stats::setNames(escape_braces(reasons), rep("i", length(reasons)))
    ))
  }
}

quasi_reason <- function(fits) {
  quasi <- vapply(fits, function(fit) identical(fit$method, "pql"), NA)
  if (any(quasi)) {
    paste0(
      "Fitted by penalised quasi-likelihood, which has no likelihood: ",
      paste(names(fits)[quasi], collapse = ", "), "."
    )
  }
}

# Without random effects there is no integral.
integral_reason <- function(fits) {
  mixed <- Filter(function(fit) {
    identical(fit$model, "ep") ||
      inherits(fit, "pp_glmm") && has_random(fit) && fit$method != "pql"
  }, fits)
  how <- vapply(mixed, function(fit) {
    if (inherits(fit, "pp_kernel_fit")) {
      return("expectation propagation")
    }
    if (fit$method == "agq") paste("nAGQ =", fit$nAGQ) else fit$method
  }, "")
  if (length(unique(how)) > 1L) {
    paste0(
      "Their integrals are approximated in different ways: ",
      paste(names(how), how, sep = ": ", collapse = ", "), "."
    )
  }
}

family_reason <- function(fits) {
  families <- vapply(fits, function(fit) stats::family(fit)$family, "")
  if (length(unique(families)) > 1L) {
    paste0(
      "They have different families (", paste(unique(families), collapse = ", "),
      "), which are not nested or nested on a boundary: compare AIC."
    )
  }
}

given_reason <- function(fits) {
  given <- vapply(fits, function(fit) isFALSE(fit$fitted), NA)
  if (any(given)) {
    paste0(
      "Evaluated at given parameters, not fitted: ", paste(names(fits)[given], collapse = ", "), "."
    )
  }
}

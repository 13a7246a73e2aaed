#' Likelihood-ratio test by parametric bootstrap
#'
#' Tests a smaller model against a larger one with the distribution of the likelihood ratio under
#' the smaller: responses are simulated from it, and both models are fitted to each. It needs no
#' asymptotics: neither many groups nor parameters inside of their space.
#'
#' The p-value is `(1 + number of ratios as large as that observed) / (1 + number of replicates)`.
#' Fits by REML are compared by the restricted likelihood if their fixed effects are the same, and
#' by ML otherwise, without a message. Replicates in which one of the fits fails are left out and
#' counted.
#'
#' @param small,large Fits by [lmm()] or [glmm()] to the same response, `small` a special case of
#'   `large`.
#' @param nsim Number of replicates, 1000 by default.
#' @param seed,progress As for [bootstrap()], which also says how to run in parallel.
#' @param ... Must be empty.
#' @return A list of class `c("pp_bootstrap_test", "htest")`: `statistic`, the likelihood ratio;
#'   `parameter`, its degrees of freedom and the number of replicates used; `p.value`; `p.chisq`,
#'   that of the chi-square distribution; `method`, `data.name`; `bootstrap`, what [bootstrap()]
#'   found: the ratios under the smaller model.
#' @section Errors: Fits that cannot be compared (other responses, no likelihood, the larger one not
#'   larger or less likely) are of class `partialpool_error_argument`.
#' @references
#' Halekoh U, Hojsgaard S (2014). A Kenward-Roger approximation and parametric bootstrap methods for
#' tests in linear mixed models: the R package pbkrtest. Journal of Statistical Software 59(9).
#' \doi{10.18637/jss.v059.i09}
#' @seealso [anova.pp_lmm()], [ranova()]
#' @examples
#' large <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' small <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
#' bootstrap_test(small, large, nsim = 50, seed = 1)
#' @export
bootstrap_test <- function(small, large, nsim = 1000, seed = NULL, progress = FALSE, ...) {
  reject_dots(...)
  names <- c(deparse1(substitute(small)), deparse1(substitute(large)))
  fits <- comparable_fits(list(small = small, large = large))
  ratio <- function(fit) {
    again <- warm_refit(fits$large, if (inherits(fit, "pp_glmm")) fit$frame[[1L]] else fit$y)
    if (again$convergence$status != "converged") stop("the larger model was not fitted")
    max(0, likelihood_ratio(fit, again))
  }
  observed <- likelihood_ratio(fits$small, fits$large)
  if (observed < -1e-6) {
    pp_abort("argument", c(
      x = "{.arg large} is less likely than {.arg small}, which therefore is no special case of it."
    ))
  }
  statistic <- function(fit) c(LRT = ratio(fit))
  found <- bootstrap(fits$small, nsim, statistic = statistic, seed = seed, progress = progress)
  found$t0[] <- max(0, observed)
  ratios <- found$t[is.finite(found$t)]
  df <- fits$large$df - fits$small$df
  structure(
    list(
      statistic = c(LRT = max(0, observed)), parameter = c(df = df, replicates = length(ratios)),
      p.value = (1 + sum(ratios >= observed - 1e-8)) / (1 + length(ratios)),
      p.chisq = stats::pchisq(observed, df, lower.tail = FALSE),
      method = "Likelihood-ratio test by parametric bootstrap",
      data.name = shorten(paste(names, collapse = " against "), 70L), bootstrap = found
    ),
    class = c("pp_bootstrap_test", "htest")
  )
}

likelihood_ratio <- function(small, large) small$criterion - large$criterion

# The fits by the criterion that they are compared with.
comparable_fits <- function(fits) {
  is_fit <- vapply(fits, inherits, NA, c("pp_lmm", "pp_glmm"))
  if (!all(is_fit) || class(fits$small)[1L] != class(fits$large)[1L]) {
    pp_abort("argument", c(
      x = "{.arg small} and {.arg large} must be fits by {.fn lmm}, or both by {.fn glmm}."
    ))
  }
  lapply(fits, check_has_likelihood)
  check_same_response(fits)
  if (fits$large$df <= fits$small$df) {
    pp_abort("argument", c(
      x = "{.arg large} must have more parameters than {.arg small}.",
      i = "They have {fits$large$df} and {fits$small$df}."
    ))
  }
  fits <- lapply(fits, quiet_fit)
  if (any(vapply(fits, function(fit) fit$REML, NA)) && !same_restriction(fits)) {
    fits <- lapply(fits, refit_ml)
  }
  fits
}

same_restriction <- function(fits) {
  all(vapply(fits, function(fit) fit$REML, NA)) &&
    identical(dim(fits$small$X), dim(fits$large$X)) &&
    near(unname(fits$small$X), unname(fits$large$X))
}

#' @export
print.pp_bootstrap_test <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  cat("\n", x$method, "\n\n", "data:  ", x$data.name, "\n", sep = "")
  cat(sprintf(
    "LRT = %s, df = %d, p-value = %s by %d replicates (chi-square: %s)\n",
    format(x$statistic[[1L]], digits = digits), as.integer(x$parameter[["df"]]),
    format.pval(x$p.value, digits), as.integer(x$parameter[["replicates"]]),
    format.pval(x$p.chisq, digits)
  ))
  cat(bootstrap_notes(x$bootstrap), "", sep = "\n")
  invisible(x)
}

# Summary of a generalised linear mixed model.

#' Print and summarise a generalised linear mixed model
#'
#' `summary()` gives the fixed effects with standard errors and z tests, the variances of the random
#' effects, the parameters of the distribution with their standard errors, the coefficients of
#' dispersion and zero-inflation models, and one line on convergence.
#'
#' Standard errors come from the second derivatives of the log-likelihood by all parameters: those
#' of the fixed effects know that the variances were estimated too (for `nAGQ = 0`, `REML = TRUE`
#' and penalised quasi-likelihood they take them as known). A coefficient that runs to infinity,
#' because a predictor separates the responses, has neither standard error nor p-value; a sentence
#' names it.
#'
#' Overdispersion is the sum of squared Pearson residuals, given the random effects, over the
#' residual degrees of freedom. It is shown for counts without dispersion parameter (Poisson,
#' binomial with more than one trial), unless a random effect for each row takes it up. Much above
#' 1, the responses vary more than the family allows; with many means near zero it says little.
#'
#' @param object A fit, as [glmm()] returns it.
#' @param correlation `TRUE` to compute and print the correlations of the fixed effects. Default
#'   `FALSE`.
#' @param ... Not used; anything given here is an error.
#' @return A list of class `c("summary.pp_glmm", "summary.pp_fit")`; among its elements
#'   `coefficients` (also by `coef()`), a matrix with the columns `Estimate`, `Std. Error`,
#'   `z value`, `Pr(>|z|)` and a row of `NA` for each dropped column; `family`, `link`, `varcor`,
#'   `sigma`, `scale` (parameters of the distribution with standard errors: `phi` and the shape;
#'   `NULL` without), `dispersion` and `zi` (tables like `coefficients`, `NULL` without such a
#'   model), `overdispersion` (statistic, degrees of freedom, ratio; or `NULL`), `residuals`
#'   (Pearson, scaled), `vcov`, `ngrps`, `AICtab`.
#' @examples
#' fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
#' fit
#' summary(fit)
#' @export
summary.pp_glmm <- function(object, correlation = FALSE, ...) {
  reject_dots(...)
  V <- object$vcov
  structure(
    list(
      call = object$call, formula = object$formula, REML = object$REML, random = object$random,
      title = model_title(object), method = object$method, nAGQ = object$nAGQ, ddf = "none",
      family = object$family, link = object$family$link, prior = object$prior,
      coefficients = coefficient_table(object, inference(object)),
      aliased = object$aliased, vcov = V,
      correlation = if (correlation && nrow(V)) stats::cov2cor(V), varcor = VarCorr.pp_fit(object),
      sigma = object$sigma, scale = scale_estimates(object),
      dispersion = if (has_dispersion_model(object)) part_table(object, "disp"),
      zi = if (!is.null(object$zi)) part_table(object, "zi"),
      overdispersion = overdispersion(object), residuals = scaled_residuals(object), n = object$n,
      ngrps = n_groups(object), logLik = log_likelihood(object), AICtab = criterion_table(object),
      convergence = object$convergence,
      left_out = length(object$na.action), dropped_weights = object$dropped_weights
    ),
    class = c("summary.pp_glmm", "summary.pp_fit")
  )
}

has_dispersion_model <- function(fit) {
  !identical(names(fit$dispersion$coefficients), "(Intercept)") && !is.null(fit$dispersion)
}

part_table <- function(fit, component) {
  se <- sqrt(diag(part_covariance(fit, component)))
  z_table(model_part(fit, component)$coefficients, se)
}

# Pearson chi-square over its degrees of freedom, where the family fixes the variance.
overdispersion <- function(fit) {
  counts <- fit$family$family == "poisson" ||
    fit$family$family == "binomial" && any(fit$trials > 1)
  by_row <- any(vapply(fit$random, function(term) length(term$levels) == fit$n, NA))
  df <- fit$n - fit$df
  if (!counts || by_row || df <= 0L || !is.null(fit$family$quasi)) {
    return(NULL)
  }
  statistic <- sum(pearson_residuals(fit)^2)
  c(statistic = statistic, df = df, ratio = statistic / df)
}

print_overdispersion <- function(x, digits) {
  if (!is.null(x)) {
    cat("Overdispersion: ", format(x[["ratio"]], digits = digits), " (Pearson chi-square ",
      format(x[["statistic"]], digits = digits), " on ", x[["df"]], " degrees of freedom)\n",
      sep = ""
    )
  }
}

print_part <- function(table, title, digits, signif.stars) {
  if (!is.null(table)) {
    cat("\n", title, ":\n", sep = "")
    print_coefficients(table, digits, signif.stars)
  }
}

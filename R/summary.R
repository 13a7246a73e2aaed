# Summary of a fit: the table of fixed effects with degrees of freedom, and what surrounds it.

#' Print and summarise a fit
#'
#' `summary()` gives the fixed effects with standard errors, degrees of freedom and tests, the
#' variances of the random effects, the criterion, and one line on convergence. The degrees of
#' freedom are Satterthwaite's by default; a fit without random effects has residual degrees of
#' freedom, as [stats::lm()].
#'
#' Both methods use exact derivatives of the covariance of the fixed effects by the variances. That
#' of Kenward and Roger also adjusts the covariance, and so the standard errors shown, for the
#' uncertainty of the variances. No matrix has the size of the
#' rows: its cost grows with the
#' cube of the number of levels that are connected through rows (all of them, where factors are
#' crossed). Its parameters are the entries of each covariance matrix and the residual variance;
#' for heterogeneous compound symmetry and autoregressive structures, in which the covariance is not
#' linear, those of the structure, to first order (`ddfm = kr(firstorder)` of SAS). As in the
#' pbkrtest package, variances estimated as zero count among the parameters; Satterthwaite's
#' method, as in lmerTest, leaves them out.
#'
#' @param object A fit, as [lmm()] returns it.
#' @param x A fit or its summary.
#' @param ddf Degrees of freedom of the t tests: `"satterthwaite"` (default), `"kenward-roger"` (for
#'   fits by REML), `"residual"` (rows minus fixed effects), or `"none"` for z tests. Abbreviations
#'   and capitals will do.
#' @param correlation `TRUE` to compute and print the correlations of the fixed effects. Default
#'   `FALSE`.
#' @param digits Significant digits to print.
#' @param signif.stars `TRUE` prints stars behind the p-values. Default
#'   `getOption("show.signif.stars")`, as [stats::printCoefmat()].
#' @param ... Not used; anything given to `summary()` here is an error.
#' @return A list of class `c("summary.pp_lmm", "summary.pp_fit")`; among its elements
#'   `coefficients` (also by `coef()`), a matrix with the columns `Estimate`, `Std. Error`, `df`,
#'   `t value`, `Pr(>|t|)` (with `ddf = "none"`: `z value` and `Pr(>|z|)`, and no `df`) and a row of
#'   `NA` for each dropped column; `ddf`, the method used; `varcor`, `sigma`, `residuals` (scaled),
#'   `vcov` (the adjusted one by Kenward and Roger), `ngrps`, `AICtab`. The print
#'   methods return their argument invisibly.
#' @section Errors: A `ddf` that does not exist is of class `partialpool_error_argument`, and so is
#'   `"kenward-roger"` for a fit by maximum likelihood (`update(fit, REML = TRUE)` helps), or for
#'   thousands of crossed levels.
#' @references Kenward and Roger (1997), Small sample inference for fixed effects from restricted
#'   maximum likelihood, Biometrics 53, 983-997. Kuznetsova, Brockhoff and Christensen (2017),
#'   lmerTest package: tests in linear mixed effects models, Journal of Statistical Software
#'   82(13).
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' fit
#' summary(fit)
#' coef(summary(fit, ddf = "kenward-roger"))
#' coef(summary(fit, ddf = "none"))
#' @export
summary.pp_lmm <- function(object, ddf = c("satterthwaite", "kenward-roger", "residual", "none"),
                           correlation = FALSE, ...) {
  reject_dots(...)
  tests <- inference(object, ddf)
  structure(
    list(
      call = object$call, formula = object$formula, REML = object$REML, random = object$random,
      title = model_title(object),
      ddf = tests$ddf, coefficients = coefficient_table(object, tests),
      aliased = object$aliased, vcov = tests$vcov,
      correlation = if (correlation && nrow(tests$vcov)) correlation_of(tests),
      varcor = VarCorr.pp_fit(object),
      sigma = object$sigma, residuals = scaled_residuals(object), n = object$n,
      ngrps = n_groups(object), logLik = logLik.pp_lmm(object), AICtab = criterion_table(object),
      convergence = object$convergence,
      left_out = length(object$na.action), dropped_weights = object$dropped_weights
    ),
    class = c("summary.pp_lmm", "summary.pp_fit")
  )
}

# Estimates with t tests, or with z tests where there are no degrees of freedom.
coefficient_table <- function(fit, inference) {
  tests <- contrast_table(inference, diag(length(inference$coefficients)))
  table <- if (inference$ddf == "none") {
    z_table(inference$coefficients, tests$std.error)
  } else {
    cbind(
      Estimate = inference$coefficients, "Std. Error" = tests$std.error, df = tests$df,
      "t value" = tests$statistic, "Pr(>|t|)" = tests$p.value
    )
  }
  with_dropped_rows(table, fit)
}

z_table <- function(estimate, se) {
  statistic <- estimate / se
  cbind(
    Estimate = estimate, "Std. Error" = se, "z value" = statistic,
    "Pr(>|z|)" = 2 * stats::pnorm(-abs(statistic))
  )
}

correlation_of <- function(inference) {
  V <- inference$vcov
  V[] <- stats::cov2cor(inference$scaled)
  V
}

with_dropped_rows <- function(table, fit) {
  if (length(fit$aliased) == 0L) {
    return(table)
  }
  whole <- matrix(NA_real_, length(fit$column_names), ncol(table),
    dimnames = list(fit$column_names, colnames(table))
  )
  whole[rownames(table), ] <- table
  whole
}

scaled_residuals <- function(fit) UseMethod("scaled_residuals")

scaled_residuals.pp_lmm <- function(fit) {
  r <- (fit$y - fitted_values(fit)) / fit$sigma
  if (is.null(fit$weights)) r else r * sqrt(fit$weights)
}

#' @rdname summary.pp_lmm
#' @export
print.summary.pp_fit <- function(x, digits = max(3L, getOption("digits") - 3L),
                                 signif.stars = getOption("show.signif.stars"), ...) {
  cat(x$title, "\n", sep = "")
  print_call(x)
  if (length(x$AICtab)) {
    cat("\n")
    print_criterion(x$AICtab)
  }
  if (!anyNA(x$residuals)) print_residual_quantiles(x$residuals, digits)
  if (length(x$random)) {
    cat("\nRandom effects:\n")
    print_varcorr(x$varcor, digits, c("Variance", "Std.Dev."))
  } else if (inherits(x, "summary.pp_lmm")) {
    cat("\nResidual standard deviation: ", format(x$sigma, digits = digits), "\n", sep = "")
  } else {
    cat("\n")
  }
  print_sizes(x$n, x$ngrps)
  print_left_out(x)
  print_scale(x$scale, digits)
  print_overdispersion(x$overdispersion, digits)
  print_fixed_effects(x, digits, signif.stars)
  print_part(x$dispersion, "Dispersion model (log)", digits, signif.stars)
  print_part(x$zi, "Zero-inflation model (logit)", digits, signif.stars)
  if (!is.null(x$correlation)) print_fixed_correlation(x$correlation)
  print_notes(x)
  invisible(x)
}

print_residual_quantiles <- function(r, digits) {
  q <- zapsmall(stats::quantile(r, names = FALSE), digits + 1L)
  names(q) <- c("Min", "1Q", "Median", "3Q", "Max")
  cat("\nScaled residuals:\n")
  print(q, digits = digits)
}

print_left_out <- function(x) {
  counts <- c(x$left_out, x$dropped_weights)
  reasons <- c("with missing values", "of zero weight")[counts > 0L]
  counts <- counts[counts > 0L]
  if (length(counts)) {
    cat("Left out: ", paste(counts, ifelse(counts == 1L, "row", "rows"), reasons, collapse = ", "),
      "\n",
      sep = ""
    )
  }
}

print_fixed_effects <- function(x, digits, signif.stars) {
  if (nrow(x$coefficients) == 0L) {
    cat("\nNo fixed effects\n")
    return(invisible())
  }
  method <- switch(x$ddf,
    satterthwaite = "Satterthwaite's df", "kenward-roger" = "Kenward-Roger",
    residual = "residual df", none = "z tests"
  )
  cat("\nFixed effects (", method, "):\n", sep = "")
  print_coefficients(x$coefficients, digits, signif.stars)
}

print_coefficients <- function(table, digits, signif.stars) {
  tests <- ncol(table) - 1L
  stats::printCoefmat(table,
    digits = digits, signif.stars = isTRUE(signif.stars), signif.legend = isTRUE(signif.stars),
    cs.ind = 1:2, tst.ind = tests, has.Pvalue = TRUE, P.values = TRUE, na.print = "NA"
  )
}

print_fixed_correlation <- function(correlation) {
  if (ncol(correlation) < 2L) {
    return(invisible())
  }
  cells <- formatC(correlation, digits = 2L, format = "f", width = 5L)
  cells[!lower.tri(cells)] <- ""
  dimnames(cells) <- list(rownames(correlation), abbreviate(rownames(correlation), 6L))
  cat("\nCorrelation of fixed effects:\n")
  print(cells[-1L, -ncol(cells), drop = FALSE], quote = FALSE)
}

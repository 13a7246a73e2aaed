#' Check a fit
#'
#' Goes through what can be wrong with a fit, and says for each item what was found and, where there
#' is something to do, what the next step is.
#'
#' A cross is a reason not to use the numbers as they stand; an exclamation mark is something to
#' look at. A singular fit is no fault of the computation: the optimum lies on the boundary. It has
#' an exclamation mark because the model is larger than the data support.
#'
#' The checks are: was the optimum found; is the covariance of the random effects singular or not
#' determined; were columns of the fixed effects dropped; are they nearly dependent, or on very
#' different scales; are estimates infinite (separation); are there enough groups to estimate a
#' variance; may the Laplace approximation be poor; do counts vary more or less than their family
#' allows; have they more or fewer zeros; is there a group without which an estimate moves by more
#' than its standard error; are there outliers, and are the residuals and the random effects far
#' from normal. All but the first ask about the size of a departure, not only about its
#' significance, which any large data set gives: residuals beyond `5` standard deviations, a
#' correlation with normal quantiles below 0.95.
#'
#' @section The numbers:
#' With gradient `g` and Hessian `H` of the criterion at the estimates, the **scaled gradient** is
#' `sqrt(g' H^-1 g)`: the distance to the optimum of the quadratic model, `sqrt(2)` times that in
#' standard errors. The **curvature** is the smallest eigenvalue of `H` with parameters in units of
#' their standard errors, one over the largest eigenvalue of their estimated correlation matrix: 1
#' if they are uncorrelated, near 0 if a direction is nearly undetermined. It is looked at inside
#' the parameter space; on the boundary the derivatives by the variances have been looked at instead
#' (see [is_singular()]).
#'
#' **Dispersion**: Pearson's chi-square `sum(w (y - m)^2 / V(m))` of counts over its degrees of
#' freedom. Beyond 1.2, with a p value below 0.01, it is noted as more than the family allows,
#' beyond 2 as a problem. For the other side random effects count by the trace of the hat matrix
#' ([hatvalues()][hatvalues.pp_fit]): the ratio with `n - trace(H)` below 0.7, and more than three
#' standard deviations of the statistic, `sqrt(sum(2 + kappa))`, below one, `kappa` the excess
#' kurtosis of each row.
#'
#' **Zeros**: the number seen, and the exact expectation `sum(P(y = 0))` given the fitted parameters
#' and random effects, zero inflation included, of Poisson and negative binomial models. More than
#' 10% apart, and more than three standard deviations `sqrt(sum(P (1 - P)))`, is noted.
#'
#' **Influence**: [influence()][influence.pp_fit] of the levels of each grouping factor by one step;
#' for factors so large that it would take longer than the fit it is left out.
#'
#' @section The facts as data:
#' What a fit knows about its own computation is in `fit$convergence`, a list:
#' \describe{
#'   \item{`status`}{`"converged"`, `"iteration limit"`, `"no descent"` or another word for the way
#'     the search ended}
#'   \item{`decrement`}{the Newton decrement `g' H^-1 g / 2`: what the criterion could still gain}
#'   \item{`scaled_gradient`}{`sqrt(g' H^-1 g)`; `NA` for penalised quasi-likelihood, which has no
#'     criterion}
#'   \item{`min_eigenvalue`}{the smallest eigenvalue of the model of `H` that the search used, in
#'     internal units}
#'   \item{`evaluations`, `gradients`, `iterations`, `trace`}{the cost of the search, and the
#'     criterion by iteration}
#'   \item{`singular`, `components`}{is a covariance singular; a data frame with the columns `term`
#'     and `what`, a row a singular component}
#'   \item{`undetermined`}{numbers of the random terms whose covariance the data do not determine}
#'   \item{`aliased`}{names of the columns of the fixed effects left out as dependent}
#'   \item{`separation`}{for [glmm()]: `NULL`, or a list with the names `columns` of infinite
#'     estimates and `kind`, `"complete"` or `"quasi-complete"`}
#' }
#'
#' @param fit A fit, as [lmm()], [glmm()], [kernel_lmm()] or [kernel_glmm()] returns it.
#' @param x A result of `check_fit()`.
#' @param ... Not used.
#' @return A data frame of class `c("pp_check", "data.frame")` with a row a check that applies to
#'   the fit and the columns `check`, `status` (`"ok"`, `"note"` or `"problem"`), `finding` and
#'   `next_step` (`NA` where there is nothing to do).
#' @section Errors: What is no fit is of class `partialpool_error_argument`.
#' @examples
#' check_fit(lmm(Reaction ~ Days + (Days | Subject), sleepstudy))
#' check_fit(lmm(Yield ~ 1 + (1 | Batch), Dyestuff2))
#' @export
check_fit <- function(fit) {
  check_is_fit(fit)
  general <- inherits(fit, "pp_glmm")
  kernel <- inherits(fit, "pp_kernel_fit")
  checks <- if (kernel) {
    list(
      check_optimum(fit), check_kernel_boundary(fit), check_rank(fit),
      if (!inherits(fit, "pp_kernel_traits")) check_columns(fit)
    )
  } else {
    list(
      check_optimum(fit), if (has_random(fit)) check_singularity(fit), check_rank(fit),
      check_columns(fit), if (general) check_separation(fit),
      if (has_random(fit)) check_groups(fit), if (has_random(fit)) check_influence(fit),
      if (general) check_laplace(fit), if (general) check_dispersion(fit),
      if (general) check_zeros(fit), check_residuals(fit), if (has_random(fit)) check_modes(fit)
    )
  }
  table <- do.call(rbind, Filter(Negate(is.null), checks))
  structure(table, class = c("pp_check", "data.frame"))
}

finding <- function(check, status, finding, next_step = NA_character_) {
  data.frame(check = check, status = status, finding = finding, next_step = next_step)
}

check_singularity <- function(fit) {
  convergence <- fit$convergence
  undetermined <- convergence$undetermined
  if (length(undetermined)) {
    terms <- vapply(fit$random[undetermined], function(term) label_of(term$expr), "")
    return(finding("random effects", "problem",
      paste0("the data do not determine the covariance of (", toString(terms), ")"),
      "use a simpler structure, such as a random intercept"
    ))
  }
  if (!is_singular(fit)) {
    return(finding("random effects", "ok", "their covariance is of full rank"))
  }
  simpler <- if (any(grepl("^the variance", convergence$components$what))) {
    "leave out what has no variance: the estimates stay the same"
  } else {
    "try a simpler structure, such as || or a random intercept, and compare with anova()"
  }
  finding("random effects", "note",
    paste("singular:", describe_components(convergence$components)), simpler)
}

check_kernel_boundary <- function(fit) {
  boundary <- fit$convergence$boundary
  if (!length(boundary)) {
    return(finding("variances", "ok", "inside their range"))
  }
  finding("variances", "note", paste("on the boundary:", toString(boundary)),
    "report it as such: the data show no such variance, which is no proof that there is none")
}

check_rank <- function(fit) {
  if (!length(fit$aliased)) {
    return(finding("columns", "ok", "linearly independent"))
  }
  finding("columns", "note", paste0("left out as dependent: ", toString(fit$aliased)),
    "take them out of the formula, or say which of them you mean")
}

# Columns about their means: what is left depends neither on units nor on the origin.
check_columns <- function(fit) {
  X <- fit$X[, colnames(fit$X) != "(Intercept)", drop = FALSE]
  if (!ncol(X) || nrow(X) < 2L) {
    return(NULL)
  }
  if (ncol(X) < ncol(fit$X)) X <- sweep(X, 2L, colMeans(X))
  size <- sqrt(colMeans(X^2))
  size[size == 0] <- 1
  values <- svd(X / rep(size, each = nrow(X)), 0L, 0L)$d
  condition <- max(values) / min(values)
  if (condition > 30) {
    return(finding("scale", "note",
      sprintf("nearly dependent columns: condition number %.2g", condition),
      "drop or combine predictors that carry the same information"))
  }
  spread <- max(size) / min(size)
  if (spread > 1e4) {
    columns <- paste(names(size)[c(which.max(size), which.min(size))], collapse = " and ")
    return(finding("scale", "note",
      sprintf("the units of %s differ by a factor of %.1g", columns, spread),
      "rescale for coefficients that are easier to read: the fit does not mind"))
  }
  finding("scale", "ok", sprintf("condition number of the fixed effects %.2g", condition))
}

check_separation <- function(fit) {
  columns <- fit$convergence$separation$columns
  if (!length(columns)) {
    return(finding("separation", "ok", "all estimates are finite"))
  }
  finding("separation", "problem", paste0("infinite estimates: ", toString(columns)),
    "give the fixed effects a prior: prior = normal_prior()")
}

check_groups <- function(fit) {
  J <- n_groups(fit)
  few <- J[J < 5L]
  if (length(few)) {
    return(finding("groups", "note",
      paste0("few levels: ", paste(names(few), few, collapse = ", ")),
      paste0("a variance between so few groups is uncertain: look at profile(), ",
        if (inherits(fit, "pp_lmm")) "test with ddf = \"kenward-roger\", ",
        "or make the factor a fixed effect")))
  }
  finding("groups", "ok", paste("levels:", paste(names(J), J, collapse = ", ")))
}

check_laplace <- function(fit) {
  doubt <- laplace_doubt(fit)
  if (!is.null(doubt)) {
    return(finding("integral", "note",
      paste("the Laplace approximation may be poor:", doubt$reason),
      "compare with nAGQ > 1 or method = \"ep\""))
  }
  if (!has_random(fit)) {
    return(NULL)
  }
  if (fit$method == "pql") {
    return(finding("integral", "note", "quasi-likelihood is biased with small counts",
      "compare with method = \"laplace\""))
  }
  finding("integral", "ok", switch(fit$method,
    laplace = "no doubt about the Laplace approximation", ep = "expectation propagation",
    joint = "the fast estimates of nAGQ = 0",
    sprintf("quadrature with %d nodes", as.integer(fit$nAGQ))
  ))
}

# Residuals that are standard normal if the model holds: outliers and shape.
check_residuals <- function(fit) {
  r <- plotted_residuals(fit)$residuals
  r <- r[is.finite(r)]
  if (length(r) < 3L) {
    return(NULL)
  }
  far <- sum(abs(r) > 5)
  straight <- normal_correlation(r)
  if (far) {
    return(finding("residuals", "note",
      sprintf("%d beyond 5 standard deviations, the largest %.3g", far, max(abs(r))),
      "look at plot(fit, which = 1:2) and at these rows"))
  }
  text <- sprintf("correlation with normal quantiles %.3f", straight)
  if (straight < 0.95) {
    return(finding("residuals", "note", text,
      "look at plot(fit, which = 1:2); think of a transformation or another family"))
  }
  finding("residuals", "ok", text)
}

# Conditional modes of groups of very different sizes are no sample of one distribution: only a
# gross departure says something.
check_modes <- function(fit) {
  worst <- NULL
  for (t in seq_along(fit$random)) {
    b <- fit$b[[t]]
    for (k in seq_len(ncol(b))) {
      modes <- b[, k]
      if (length(modes) < 10L || stats::sd(modes) <= 1e-8 * max(1e-300, random_scale(fit))) next
      straight <- normal_correlation(modes)
      if (is.null(worst) || straight < worst$value) {
        worst <- list(value = straight, name = paste(colnames(b)[k], "by", fit$random[[t]]$group))
      }
    }
  }
  if (is.null(worst)) {
    return(NULL)
  }
  text <- sprintf(
    "correlation of the modes with normal quantiles %.3f (%s)", worst$value, worst$name
  )
  if (worst$value < 0.9) {
    return(finding("normality of groups", "note", text,
      "look at plot(fit, which = 3) for outliers"))
  }
  finding("normality of groups", "ok", text)
}

normal_correlation <- function(x) {
  if (stats::sd(x) == 0) {
    return(1)
  }
  stats::cor(sort(x), stats::qnorm(stats::ppoints(length(x))))
}

#' @rdname check_fit
#' @export
print.pp_check <- function(x, ...) {
  marks <- c(
    ok = cli::col_green(cli::symbol$tick), problem = cli::col_red(cli::symbol$cross),
    note = cli::col_yellow("!")
  )
  width <- getOption("width")
  indent <- 4L + max(0L, nchar(x$check))
  for (i in seq_len(nrow(x))) {
    lines <- strwrap(x$finding[i], width - indent)
    step <- if (!is.na(x$next_step[i])) {
      steps <- strwrap(x$next_step[i], width - indent - 2L)
      paste0(c(paste0(cli::symbol$arrow_right, " "), rep("  ", length(steps) - 1L)), steps)
    }
    lines <- c(lines, step)
    label <- formatC(x$check[i], width = -(indent - 4L))
    cat(marks[[x$status[i]]], " ", label, "  ", lines[1L], "\n", sep = "")
    for (line in lines[-1L]) cat(strrep(" ", indent), line, "\n", sep = "")
  }
  counts <- table(factor(x$status, c("problem", "note")))
  if (!sum(counts)) {
    cat("Nothing to object.\n")
  }
  invisible(x)
}

#' Influence of rows and groups
#'
#' Deletes the rows one by one, or together those of each level of a grouping factor, and reports
#' the estimates without them: fixed effects, their covariance, variance components. The arguments
#' and the shape of the result are those of lme4's `influence()`.
#'
#' With `method = "refit"` the model is fitted anew to the rows left, from the stored design and
#' starting at the estimates of the full fit: exact, and for small data some thousand deletions a
#' second.
#'
#' With `method = "one-step"` the estimates move by one step.
#'
#' **Linear models.** The covariance parameters `theta` are held. Let `A = [X, Z Lambda]`, `W` the
#' weights, `C = A' W A + D` the coefficient matrix of the mixed model equations (`D` the identity
#' for the random effects, zero for the fixed ones) and `e` the residuals given the random effects.
#' Without the rows `S` the solution of the equations moves by
#'
#' `-C^-1 A_S' (W_S^-1 - A_S C^-1 A_S')^-1 e_S`,
#'
#' for one row with leverage `h` by `-C^-1 a w e / (1 - h)`. This is exact at the `theta` of the fit
#' (Christensen, Pearson and Johnson 1992; Demidenko and Stukel 2005), and so is the residual
#' variance, profiled again: the penalised residual sum of squares falls by
#' `e_S' (W_S^-1 - A_S C^-1 A_S')^-1 e_S`.
#'
#' **Generalised models** whose rows fall into clusters that share no random effect: a step of
#' Newton's method on the log-likelihood without the rows, from its exact gradient, of all
#' parameters: fixed effects, `theta`, dispersion and zero inflation. Deletions that take more than
#' half of the information of a direction with them are refitted. With crossed factors, on the
#' boundary of `theta`, with `REML = TRUE`, `nAGQ = 0` or penalised quasi-likelihood the step is
#' that of the linear model above with the working weights as `W` and the working residuals as `e`
#' (as Pregibon 1981 without random effects): it holds `theta`, dispersion and zero inflation, which
#' makes it too small where groups have few rows and effects are large, by half and more for binary
#' responses.
#'
#' A group whose deletion takes all rows of a factor level with it leaves a column of zeros: the
#' coefficient is `NA` in that row of the result.
#'
#' **Methods.** With `b` the estimates, `b_i` those without rows `i`, `V` and `V_i` their covariance
#' matrices, and p fixed effects:
#' \describe{
#'   \item{`dfbeta()`}{`b_i - b` (the sign is lme4's); `which = "var.cov"`: of the variance
#'     components; `"theta"`: of the relative covariance parameters.}
#'   \item{`dfbetas()`}{`(b_i - b) / se_i`, with the standard errors without the rows, as in lme4.
#'     Values beyond `2 / sqrt(number of deletions)` are usually looked at.}
#'   \item{`cooks.distance()`}{`(b_i - b)' V^-1 (b_i - b) / p`: for models without random effects
#'     that of [stats::lm()]. (lme4 1.1 multiplies it by `(J - p) / J`, J the number of deletions.)
#'     Values beyond `4 / J` are usually looked at; beyond 1 the rows decide the result.}
#'   \item{`as.data.frame()`}{a row a deletion, with these and `mdffits`
#'     `(b_i - b)' V_i^-1 (b_i - b) / p`, `covratio` `det(V_i) / det(V)` and `covtrace`
#'     `|trace(V^-1 V_i) - p|`, as in the package 'HLMdiag'.}
#' }
#'
#' @param model A fit, as [lmm()] or [glmm()] returns it.
#' @param groups `NULL` (default): the rows one by one. Or the name of a grouping factor or of a
#'   column of the model frame or of `data`; several names: their combinations. Or a vector with a
#'   value per row. Rows with a missing value are never deleted.
#' @param data Data frame for columns that the fit does not store, with the rows of the fit or of
#'   its data. Default `NULL`.
#' @param maxfun Largest number of iterations of a refit. Default 1000.
#' @param do.coef `FALSE` returns only `list(hat = )`, the leverages. Default `TRUE`.
#' @param ncores Number of processes to share the refits. Default `getOption("mc.cores", 1)`.
#' @param method `"refit"` (default) or `"one-step"`.
#' @param progress `TRUE` shows a progress bar. Default `FALSE`.
#' @param x,object A result of `influence()`.
#' @param which Parameters: `"fixed"` (default), `"var.cov"` or `"theta"`.
#' @param row.names,optional Ignored.
#' @param n Number of deletions shown, those of the largest Cook's distance. Default 5.
#' @param digits Significant digits.
#' @param ... Not used by `influence()`: anything given there is an error.
#' @return A list of class `"pp_influence"`, its first ten elements those of lme4 (in the names
#'   `groups` stands for the name of the factor, or `case`):
#'   \describe{
#'     \item{`fixed.effects`, `fixed.effects[-groups]`}{p estimates; a matrix, a row a deletion}
#'     \item{`var.cov.comps`, `var.cov.comps[-groups]`}{variances and covariances, `sigma^2` first}
#'     \item{`vcov`, `vcov[-groups]`}{p x p matrix; a list of them}
#'     \item{`groups`, `deleted`}{the name; what was deleted, in the order of the data}
#'     \item{`converged`, `function.evals`}{a value a deletion}
#'     \item{`theta`, `theta[-groups]`, `method`, `rows`, `n`}{covariance parameters; the method;
#'       the number of rows of each deletion, and of the fit}
#'   }
#'   `dfbeta()`, `dfbetas()`: a matrix; `cooks.distance()`: a named vector. A deletion after which
#'   the model cannot be fitted has `NA`, with a warning that names it.
#' @section Errors: A `groups` that is not found is of class `partialpool_error_argument`; a fit by
#'   [kernel_lmm()] or [kernel_glmm()], whose rows hang together by the kernel, of class
#'   `partialpool_error_fit`.
#' @references
#' Christensen, Pearson and Johnson (1992), Case-deletion diagnostics for mixed models,
#' Technometrics 34, 38-45. \doi{10.2307/1269550}
#'
#' Demidenko and Stukel (2005), Influence analysis for linear mixed-effects models, Statistics in
#' Medicine 24, 893-909. \doi{10.1002/sim.1974}
#'
#' Nieuwenhuis, te Grotenhuis and Pelzer (2012), influence.ME: tools for detecting influential data
#' in mixed effects models, The R Journal 4(2), 38-47. \doi{10.32614/RJ-2012-011}
#'
#' Loy and Hofmann (2014), HLMdiag: A suite of diagnostics for hierarchical linear models in R,
#' Journal of Statistical Software 56(5). \doi{10.18637/jss.v056.i05}
#'
#' Pregibon (1981), Logistic regression diagnostics, The Annals of Statistics 9, 705-724.
#' \doi{10.1214/aos/1176345513}
#' @seealso [plot.pp_influence()] for pictures, [rstandard()][rstandard.pp_fit] and
#'   [hatvalues()][hatvalues.pp_fit] for the rows, [check_fit()].
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' by_subject <- influence(fit, "Subject")
#' by_subject
#' cooks.distance(by_subject)
#' dfbetas(influence(fit, method = "one-step"))[1:3, ]
#' @importFrom stats influence
#' @export
influence.pp_fit <- function(model, groups = NULL, data = NULL, maxfun = 1000, do.coef = TRUE,
                             ncores = getOption("mc.cores", 1L), method = c("refit", "one-step"),
                             progress = FALSE, ...) {
  reject_dots(...)
  if (!check_flag(do.coef, "do.coef")) {
    return(list(hat = stats::hatvalues(model)))
  }
  method <- choose_option(method, c("refit", "one-step"), "method")
  progress <- check_flag(progress, "progress")
  maxfun <- check_count(maxfun, "maxfun")
  ncores <- check_count(min(ncores, .Machine$integer.max), "ncores")
  if (!length(model$coefficients)) {
    pp_abort("fit", c(x = "The fit has no fixed effects whose change could be looked at."))
  }
  deletions <- deletions_of(model, groups, data)
  found <- run_deletions(model, deletions$rows, method, maxfun, ncores, progress)
  value <- collect_deletions(model, deletions, found, method)
  warn_deletions(value, found)
  value
}

# A list with an element a deletion, as delete_by_refits() gives it.
run_deletions <- function(fit, sets, method, maxfun, ncores, progress) {
  work <- function(sets, tick) {
    if (method == "one-step") {
      delete_by_steps(fit, sets, tick)
    } else {
      delete_by_refits(fit, sets, maxfun, tick)
    }
  }
  ncores <- min(ncores, length(sets))
  if (ncores > 1L && method == "refit") {
    return(deletions_by_workers(fit, sets, maxfun, ncores))
  }
  if (!progress) {
    return(work(sets, no_tick))
  }
  bar <- cli::cli_progress_bar("Deletions", total = length(sets), .auto_close = FALSE)
  on.exit(cli::cli_progress_done(id = bar))
  work(sets, function() cli::cli_progress_update(id = bar))
}

deletions_by_workers <- function(fit, sets, maxfun, ncores) {
  cluster <- parallel::makeCluster(ncores)
  on.exit(parallel::stopCluster(cluster))
  # Before a function of the package makes them load it.
  parallel::clusterCall(cluster, eval, call(".libPaths", .libPaths()), globalenv())
  chunks <- split(sets, sort(rep_len(seq_len(ncores), length(sets))))
  found <- parallel::clusterApply(cluster, chunks, worker_of_deletions, fit, maxfun)
  unlist(unname(found), recursive = FALSE)
}

worker_of_deletions <- function(sets, fit, maxfun) delete_by_refits(fit, sets, maxfun, no_tick)

# In the shape of lme4's result: other packages take the elements by their place.
collect_deletions <- function(fit, deletions, found, method) {
  names <- deletions$names
  matrix_of <- function(what, columns) {
    rows <- vapply(found, function(one) {
      if (is.null(one[[what]])) rep(NA_real_, length(columns)) else as.numeric(one[[what]])
    }, numeric(length(columns)))
    matrix(t(rows), length(found), dimnames = list(names, columns))
  }
  p <- names(fit$coefficients)
  none <- matrix(NA_real_, length(p), length(p), dimnames = list(p, p))
  covariances <- lapply(found, function(one) if (is.null(one$vcov)) none else one$vcov)
  components <- variance_components(fit, fit$Lambda, fit$sigma)
  general <- inherits(fit, "pp_glmm")
  value <- list(
    fit$coefficients, matrix_of("beta", p), components, matrix_of("variances", names(components)),
    if (general) fit$vcov else fit$sigma^2 * fit$vcov_unscaled, stats::setNames(covariances, names),
    deletions$label, deletions$deleted,
    stats::setNames(vapply(found, function(one) isTRUE(one$converged), NA), names),
    stats::setNames(vapply(found, function(one) {
      if (is.null(one$evaluations)) NA_real_ else as.numeric(one$evaluations)
    }, 0), names),
    fit$theta, matrix_of("theta", names(fit$theta)), method,
    stats::setNames(lengths(deletions$rows), names), fit$n
  )
  without <- paste0("[-", deletions$label, "]")
  names(value) <- c(
    "fixed.effects", paste0("fixed.effects", without), "var.cov.comps",
    paste0("var.cov.comps", without), "vcov", paste0("vcov", without), "groups", "deleted",
    "converged", "function.evals", "theta", paste0("theta", without), "method", "rows", "n"
  )
  structure(value, class = "pp_influence")
}

warn_deletions <- function(value, found) {
  names <- names(value$converged)
  failure <- vapply(found, function(one) if (is.null(one$failure)) "" else one$failure, "")
  if (any(nzchar(failure))) {
    lost <- names[nzchar(failure)]
    why <- escape_braces(failure[nzchar(failure)][1L])
    pp_warn("fit", c(
      "!" = "{cli::qty(length(lost))}The model cannot be fitted without {.val {lost}}: {?its/their}
             row{?s} of the result {?is/are} NA.",
      i = paste0("Of the first: ", why)
    ))
  }
  short <- !value$converged & !nzchar(failure)
  if (any(short)) {
    at <- names[short]
    pp_warn("fit", c("!" = "The optimum was not reached without {.val {at}}."))
  }
  infinite <- vapply(found, function(one) length(one$infinite) > 0L, NA)
  if (any(infinite)) {
    at <- names[infinite]
    columns <- unique(unlist(lapply(found, `[[`, "infinite")))
    pp_warn("separation", c(
      "!" = "Without {.val {at}} {cli::qty(length(columns))}the estimate{?s} of {.code {columns}}
             {?is/are} infinite."
    ))
  }
}

#' Bootstrap of a fit
#'
#' Draws new responses (or new groups) from a fit, fits the model to each of them and collects a
#' statistic: standard errors, bias and intervals for anything that can be computed from a fit, such
#' as standard deviations, ratios of them, or predictions.
#'
#' The model is fitted to each replicate from the design that the fit stores: data and call are not
#' evaluated again, and advice about the design is not repeated. Linear models start from the
#' estimates of the fit. Replicates that
#' end in an error are rows of `NA` and counted; those whose optimum was not reached, or is
#' singular, are kept and counted (to leave out singular ones would bias the variances upwards).
#'
#' `type = "parametric"`: responses are simulated, with new random effects by default, or given the
#' conditional modes (`use_random = TRUE`), see [simulate.pp_lmm()] and [simulate.pp_glmm()].
#'
#' `type = "semiparametric"` (linear models): nothing is assumed normal. The conditional modes of
#' each random term, `u = Lambda^-1 b`, are centred and multiplied by a matrix that gives them,
#' over the levels, exactly the covariance that the model estimates, `sigma^2 I`; levels are drawn
#' from them with replacement, all columns of a level together. The residuals `(y - fitted)
#' sqrt(weights)` are likewise centred, scaled to the mean square `sigma^2`, and drawn with
#' replacement from all rows. Without this reflation shrunken modes would give variances that are
#' too small (Carpenter, Goldstein & Rasbash 2003). With `use_random = TRUE` the conditional modes
#' stay as they are and only the residuals are drawn, as in the semiparametric bootstrap of lme4,
#' which does not scale them.
#'
#' `type = "cases"`: the levels of the grouping factor `by` are drawn with replacement, as many as
#' there are, each with all its rows; a level drawn twice is two levels. Factors nested in `by` get
#' new levels too; factors crossed with it keep theirs. With `within = TRUE` the rows of each level
#' drawn are then drawn with replacement too. Neither the form of the distributions nor the
#' variance structure is trusted. Without random effects rows are drawn.
#'
#' @section Parallel:
#' With the packages 'future' and 'future.apply' installed and a plan other than sequential set by
#' the user, such as `future::plan("multisession")`, the replicates are shared out between its
#' workers. Each replicate has a random number stream of its own (L'Ecuyer-CMRG), which depends on
#' `seed` and its number alone: results are the same under any plan and any number of workers.
#'
#' @param fit A fit, as [lmm()], [glmm()], [kernel_lmm()] or [kernel_glmm()] returns it.
#' @param nsim Number of replicates. Default 1000.
#' @param type `"parametric"` (default), `"semiparametric"` or `"cases"`, see Details. A fit by
#'   [glmm()] has no semiparametric bootstrap, kernel models only a parametric one.
#' @param statistic A function of a fit that returns a numeric vector, always of the same length.
#'   Default `NULL`: all parameters, with standard deviations and correlations for the variance
#'   parameters, under the names that [confint()] uses: `"sd_(Intercept)|Subject"`, `"sigma"`,
#'   `"Days"`.
#' @param seed A whole number: the same seed gives the same replicates, and the state of the
#'   generator is put back. Default `NULL`: a seed is drawn from the generator (one draw) and
#'   kept in the result.
#' @param use_random `TRUE` keeps the random effects at their conditional modes, as lme4's `use.u`.
#'   Default `FALSE`. Not for `"cases"`.
#' @param by For `"cases"`: the name of the grouping factor whose levels are drawn. Default: the
#'   one in which all others are nested; where there is none it must be given.
#' @param within For `"cases"`: draw rows within the levels too? Default `FALSE`.
#' @param progress `TRUE` shows a progress bar (in parallel by 'progressr', where it is installed).
#'   Default `FALSE`.
#' @param ... Must be empty.
#' @return A list of class `"pp_bootstrap"`: `t0`, the statistic of the fit (named); `t`, a matrix
#'   with a row a replicate and a column a value, rows of failed replicates `NA`; `nsim`, `type`,
#'   `use_random`, `seed`; `failed`, the number of replicates that ended in an error;
#'   `unconverged` and `singular`, logical, one a replicate; `messages`, a data frame of the errors,
#'   warnings and messages on the way with columns `kind`, `text` and `replicates`; `call`, that of
#'   the fit. Methods are described in [confint.pp_bootstrap()].
#' @section Errors:
#' `partialpool_error_argument` for a type that the fit cannot have, a statistic that is no function
#' of a fit with numeric values, or a grouping factor that is not there, or not given where factors
#' are crossed. What is wrong in a replicate is counted instead.
#' @references
#' Carpenter JR, Goldstein H, Rasbash J (2003). A novel bootstrap procedure for assessing the
#' relationship between class size and achievement. Applied Statistics 52, 431-443.
#' \doi{10.1111/1467-9876.00415}
#'
#' Davison AC, Hinkley DV (1997). Bootstrap Methods and their Application. Cambridge University
#' Press.
#' @seealso [confint.pp_bootstrap()] for intervals, [simulate()], [refit()].
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' b <- bootstrap(fit, nsim = 100, seed = 1)
#' b
#' confint(b, parm = "Days")
#'
#' # the share of the variance between subjects at day 0
#' share <- function(fit) {
#'   v <- VarCorr(fit)$Subject[1, 1]
#'   c(share = v / (v + sigma(fit)^2))
#' }
#' bootstrap(fit, nsim = 50, statistic = share, seed = 1)
#' @export
bootstrap <- function(fit, nsim = 1000, ...) UseMethod("bootstrap")

#' @rdname bootstrap
#' @export
bootstrap.default <- function(fit, nsim = 1000, ...) {
  pp_abort("argument", c(
    x = "{.arg fit} must be a fit by {.fn lmm}, {.fn glmm}, {.fn kernel_lmm} or
         {.fn kernel_glmm}.",
    i = "It is {.obj_type_friendly {fit}}."
  ))
}

#' @rdname bootstrap
#' @export
bootstrap.pp_lmm <- function(fit, nsim = 1000, type = c("parametric", "semiparametric", "cases"),
                             statistic = NULL, seed = NULL, use_random = FALSE, by = NULL,
                             within = FALSE, progress = FALSE, ...) {
  reject_dots(...)
  type <- choose_option(type, c("parametric", "semiparametric", "cases"), "type")
  use_random <- check_use_random(use_random, type)
  if (type == "semiparametric") check_resamplable(fit)
  cases <- if (type == "cases") case_groups(fit, by, check_flag(within, "within"))
  if (type != "cases") reject_case_arguments(by, within)
  run_bootstrap(fit, nsim, type, statistic, seed, use_random, cases, progress)
}

#' @rdname bootstrap
#' @export
bootstrap.pp_glmm <- function(fit, nsim = 1000, type = c("parametric", "cases"), statistic = NULL,
                              seed = NULL, use_random = FALSE, by = NULL, within = FALSE,
                              progress = FALSE, ...) {
  reject_dots(...)
  if (identical(type, "semiparametric")) {
    pp_abort("argument", c(
      x = "{.arg type} is {.val semiparametric}, but the fit is a generalised linear mixed model.",
      i = "Its residuals have no common distribution to draw from.",
      ">" = "Use {.val parametric} or {.val cases}."
    ))
  }
  type <- choose_option(type, c("parametric", "cases"), "type")
  use_random <- check_use_random(use_random, type)
  cases <- if (type == "cases") case_groups(fit, by, check_flag(within, "within"))
  if (type == "parametric") {
    check_distribution(fit)
    reject_case_arguments(by, within)
  }
  run_bootstrap(fit, nsim, type, statistic, seed, use_random, cases, progress)
}

#' @rdname bootstrap
#' @export
bootstrap.pp_kernel_fit <- function(fit, nsim = 1000, type = "parametric", statistic = NULL,
                                    seed = NULL, progress = FALSE, ...) {
  reject_dots(...)
  type <- choose_option(type, "parametric", "type")
  if (!isTRUE(fit$fitted)) {
    pp_abort("argument", c(
      x = "The model was evaluated at given parameters, not fitted: there is nothing to refit.",
      ">" = "Leave {.code fit = FALSE} out of its call."
    ))
  }
  run_bootstrap(fit, nsim, type, statistic, seed, FALSE, NULL, progress)
}

run_bootstrap <- function(fit, nsim, type, statistic, seed, use_random, cases, progress) {
  nsim <- check_count(nsim, "nsim")
  progress <- check_flag(progress, "progress")
  if (!is.null(statistic)) check_statistic(statistic)
  t0 <- first_statistic(if (is.null(statistic)) named_statistic else statistic, fit)
  streams <- replicate_streams(seed, nsim)
  job <- list(fit = quiet_fit(fit), type = type, use_random = use_random, cases = cases,
              whole = !is.null(statistic))
  if (is.null(statistic)) statistic <- default_statistic
  found <- all_replicates(job, statistic, names(t0), streams$states, progress)
  values <- do.call(cbind, lapply(found, function(chunk) chunk$t))
  pick <- function(what) unlist(lapply(found, function(chunk) chunk[[what]]), use.names = FALSE)
  failed <- pick("failed")
  structure(
    list(
      t0 = t0, t = matrix(t(values), nsim, length(t0), dimnames = list(NULL, names(t0))),
      nsim = nsim, type = type, use_random = use_random, by = cases$by, seed = streams$seed,
      failed = sum(failed), unconverged = pick("unconverged"), singular = pick("singular"),
      messages = tabulate_conditions(do.call(c, lapply(found, function(chunk) chunk$conditions))),
      call = fit$call
    ),
    class = "pp_bootstrap"
  )
}

# All parameters on their natural scale. Of a replicate only the values count: their names take as
# long as the refit of a small model.
default_statistic <- function(fit) {
  if (inherits(fit, "pp_lmm")) {
    random <- natural_random(fit$theta, fit$random, random_scale(fit))
    return(c(random, fit$sigma, fit$coefficients))
  }
  if (inherits(fit, "pp_glmm")) {
    return(natural_parameters(fit))
  }
  covariances <- if (inherits(fit, "pp_kernel_traits")) {
    c(triangle_values(fit$C0, "C0"), triangle_values(fit$C1, "C1"))
  } else {
    c(scale = fit$scale, delta = fit$delta)
  }
  extra <- c(if (!is.null(fit$dispersion)) c(phi = fit$dispersion[[1L]]), fit$shape)
  c(covariances, extra, unlist(fit$coefficients))
}

named_statistic <- function(fit) {
  if (inherits(fit, "pp_kernel_fit")) default_statistic(fit) else natural_parameters(fit)
}

triangle_values <- function(C, name) {
  at <- which(lower.tri(C, TRUE), arr.ind = TRUE)
  labels <- if (is.null(colnames(C))) seq_len(ncol(C)) else colnames(C)
  stats::setNames(C[at], sprintf("%s[%s,%s]", name, labels[at[, 1L]], labels[at[, 2L]]))
}

check_use_random <- function(use_random, type) {
  use_random <- check_flag(use_random, "use_random")
  if (use_random && type == "cases") {
    pp_abort("argument", c(
      x = "{.code use_random = TRUE} does not go with {.code type = \"cases\"}.",
      i = "Levels that are drawn bring their own random effects."
    ))
  }
  use_random
}

reject_case_arguments <- function(by, within) {
  if (!is.null(by) || !isFALSE(within)) {
    pp_abort("argument", c(
      x = "{.arg by} and {.arg within} belong to {.code type = \"cases\"}."
    ))
  }
}

check_statistic <- function(statistic) {
  if (!is.function(statistic)) {
    pp_abort("argument", c(
      x = "{.arg statistic} must be a function of a fit.",
      i = "It is {.obj_type_friendly {statistic}}.",
      ">" = "Such as {.fn fixef}."
    ))
  }
}

# The statistic of the fit itself: what those of the replicates must look like.
first_statistic <- function(statistic, fit) {
  value <- statistic(fit)
  if (!is.numeric(value) && !is.logical(value) || length(value) == 0L) {
    pp_abort("argument", c(
      x = "{.arg statistic} must return a numeric vector.",
      i = "For the fit itself it returns {.obj_type_friendly {value}}."
    ))
  }
  names <- names(value)
  if (is.null(names)) names <- character(length(value))
  names[!nzchar(names)] <- paste0("t", seq_along(value))[!nzchar(names)]
  stats::setNames(as.numeric(value), make.unique(names))
}

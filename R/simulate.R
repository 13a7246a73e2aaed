# New responses from the fitted model.

#' Simulate responses from a fit
#'
#' Draws responses from the fitted model: new random effects by default, or given the conditional
#' modes. Residuals have the variance `sigma^2 / weights`. With the same seed and unit weights the
#' numbers are those that lme4 draws.
#'
#' @param object A fit, as [lmm()] returns it.
#' @param nsim Number of responses. Default 1.
#' @param seed A seed for the random number generator, whose state is put back afterwards. `NULL`
#'   (default) goes on from the present state.
#' @param re.form Random effects to condition on: `NA` or `~0` (default) none, all are drawn anew;
#'   `NULL` all; a formula those it names.
#' @param use.u `TRUE` is `re.form = NULL`, `FALSE` is `re.form = NA`; for code written for lme4.
#' @param newdata A data frame to simulate for, of unit weights; `NULL` (default) for the rows of
#'   the fit.
#' @param allow.new.levels `TRUE` accepts, in the terms conditioned on, levels that were not in the
#'   data; their effect is zero. Default `FALSE`: an error. Terms drawn anew take any level.
#' @param ... Not used; anything given here is an error.
#' @return A data frame with a row per observation and `nsim` columns `sim_1`, ..., in units of the
#'   response. The attribute `"seed"` is as that of [stats::simulate()].
#' @section Errors: `use.u` together with `re.form`, and an `nsim` that is not a positive number,
#'   are of class `partialpool_error_argument`.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' head(simulate(fit, nsim = 2, seed = 1), 3)
#' @importFrom stats simulate
#' @export
simulate.pp_lmm <- function(object, nsim = 1, seed = NULL, re.form = NA, use.u = FALSE,
                            newdata = NULL, allow.new.levels = FALSE, ...) {
  reject_dots(...)
  nsim <- check_count(nsim, "nsim")
  if (!missing(use.u)) re.form <- from_use_u(use.u, missing(re.form))
  simulation(object, nsim, seed, re.form, newdata, allow.new.levels, function(mean, effects, rows) {
    noise <- matrix(stats::rnorm(length(mean) * nsim), length(mean)) / sqrt(rows$weights)
    as.data.frame(mean + object$sigma * (effects + noise))
  })
}

# What simulate() does for every model: seed, linear predictor, new random effects, rows left out.
# `draw` turns the linear predictor without the new effects, those effects (relative to
# random_scale(), a column per simulation) and the rows into a data frame of responses.
simulation <- function(fit, nsim, seed, re.form, newdata, allow.new.levels, draw) {
  before <- generator_state()
  if (!is.null(seed)) {
    on.exit(assign(".Random.seed", before, envir = globalenv()))
    set.seed(seed)
  }
  check_whole_terms(fit, re.form)
  rows <- prediction_rows(fit, newdata, re.form, allow.new.levels)
  mean <- predicted_mean(fit, rows)
  effects <- new_effects(fit, rows, newdata, nsim)
  values <- draw(mean, effects, rows)
  names(values) <- paste0("sim_", seq_len(nsim))
  values <- pad_simulation(values, names(mean), rows$na.action)
  attr(values, "seed") <- if (is.null(seed)) before else structure(seed, kind = as.list(RNGkind()))
  values
}

from_use_u <- function(use.u, alone) {
  if (!alone) {
    pp_abort("argument", c(
      x = "{.arg use.u} and {.arg re.form} say the same thing.",
      ">" = "Give one of them."
    ))
  }
  if (isTRUE(use.u)) NULL else NA
}

generator_state <- function() {
  if (!exists(".Random.seed", envir = globalenv(), inherits = FALSE)) stats::runif(1)
  get(".Random.seed", envir = globalenv())
}

# Z Lambda u, relative to sigma, of the terms that are not conditioned on: a column per simulation.
# All u of one simulation are drawn before the next, term by term and level by level.
new_effects <- function(fit, rows, newdata, nsim) {
  drawn <- which(!rows$use)
  if (length(drawn) == 0L) {
    return(0)
  }
  groups <- lapply(drawn, function(t) simulation_groups(fit, t, newdata))
  z <- if (is.null(newdata)) {
    lapply(fit$random, function(term) term$z)
  } else {
    design_newdata(fit, newdata, NULL, allow.new.levels = TRUE)$z
  }
  columns <- vapply(drawn, function(t) length(fit$random[[t]]$columns), 0L)
  sizes <- columns * vapply(groups, function(g) as.integer(g$size), 0L)
  u <- matrix(stats::rnorm(sum(sizes) * nsim), ncol = nsim)
  last <- cumsum(sizes)
  effects <- matrix(0, nrow(rows$X), nsim)
  for (k in seq_along(drawn)) {
    t <- drawn[k]
    own <- u[seq(last[k] - sizes[k] + 1L, length.out = sizes[k]), , drop = FALSE]
    for (s in seq_len(nsim)) {
      b <- t(fit$Lambda[[t]] %*% matrix(own[, s], columns[k]))
      if (!is.null(groups[[k]]$loading)) b <- groups[[k]]$loading %*% b
      effects[, s] <- effects[, s] + random_part(groups[[k]]$codes, z[[t]], b)
    }
  }
  effects
}

# Every group of the rows has an effect of its own, whether the fit knows it or not.
simulation_groups <- function(fit, t, newdata) {
  term <- fit$random[[t]]
  if (is.null(newdata)) {
    group <- structure(term$codes, levels = term$levels, class = "factor")
  } else {
    group <- evaluate_group(term, newdata)
  }
  if (has_kernel(term)) {
    C <- simulation_loading(term, levels(group))
    return(list(codes = as.integer(group), size = ncol(C), loading = C))
  }
  list(codes = as.integer(group), size = nlevels(group))
}

# Half of a term could be drawn only given the other half.
check_whole_terms <- function(fit, re.form) {
  taken <- lengths(wanted_columns(fit, re.form))
  whole <- vapply(fit$random, function(term) length(term$columns), 0L)
  partly <- which(taken > 0L & taken < whole)
  if (length(partly)) {
    term <- label_of(fit$random[[partly[1L]]]$expr)
    pp_abort("argument", c(
      x = "{.arg re.form} conditions on a part of {.code ({term})}.",
      ">" = "Give the whole term, or leave it out."
    ))
  }
}

pad_simulation <- function(values, row_names, omitted) {
  if (inherits(omitted, "exclude")) {
    row_names <- names(stats::napredict(omitted, stats::setNames(row_names, row_names)))
    values <- structure(lapply(values, stats::naresid, omit = omitted), class = "data.frame")
  }
  # They come from a data frame: `row.names<-` would look for duplicates again.
  if (!is.null(row_names)) attr(values, "row.names") <- row_names
  values
}

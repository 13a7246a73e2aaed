# New responses from a generalised linear mixed model.

#' Simulate responses from a generalised linear mixed model
#'
#' Draws responses from the fitted model: new random effects by default, or given the conditional
#' modes; zero inflation and dispersion as estimated. With the same seed the numbers of binomial and
#' Poisson models are those that lme4 draws. Prior weights, which multiply log densities, do not
#' enter; the trials of a binomial model do.
#'
#' @inheritParams simulate.pp_lmm
#' @param object A fit, as [glmm()] returns it.
#' @param newdata A data frame to simulate for; `NULL` (default) for the rows of the fit. The trials
#'   of a binomial model are taken from the response (`cbind(successes, failures)`) or the `weights`
#'   of the fit if `newdata` has their variables, and are 1 otherwise.
#' @return A data frame with a row per observation and `nsim` columns `sim_1`, ... in the form of
#'   the response fitted: numbers, factors, or for `cbind(successes, failures)` matrices of two
#'   columns; each can be the response of [refit()]. The attribute `"seed"` is as that of
#'   [stats::simulate()].
#' @section Errors: `use.u` together with `re.form`, an `nsim` that is not a positive number, and a
#'   fit of a quasi family, which is no distribution, are of class `partialpool_error_argument`.
#' @examples
#' fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
#' head(simulate(fit, seed = 1)$sim_1, 3)
#' @export
simulate.pp_glmm <- function(object, nsim = 1, seed = NULL, re.form = NA, use.u = FALSE,
                             newdata = NULL, allow.new.levels = FALSE, newparams = NULL,
                             na.action = NULL, ...) {
  reject_dots(...)
  object <- at_parameters(object, newparams)
  nsim <- check_count(nsim, "nsim")
  check_distribution(object)
  if (!missing(use.u)) re.form <- from_use_u(use.u, missing(re.form))
  simulation(object, nsim, seed, re.form, newdata, allow.new.levels, function(mean, effects, rows) {
    n <- length(mean)
    trials <- simulation_trials(object, rows, newdata)
    predictors <- list(
      cond = rep_len(mean + effects, n * nsim),
      disp = part_values(object, "disp", rows, newdata),
      zi = part_values(object, "zi", rows, newdata)
    )
    p <- parameters_at(object, predictors, trials)
    y <- matrix(response_random(distribution_of(object), p), n)
    columns <- lapply(seq_len(nsim), function(s) as_response(object, y[, s], trials))
    structure(columns, names = seq_len(nsim), row.names = seq_len(n), class = "data.frame")
  })
}

part_values <- function(fit, component, rows, newdata) {
  part <- if (component == "disp") fit$dispersion else fit$zi
  if (!is.null(part)) {
    as.vector(part_matrix(fit, component, rows, newdata) %*% part$coefficients)
  }
}

simulation_trials <- function(fit, rows, newdata) {
  if (is.null(newdata)) {
    return(if (is.null(fit$trials)) 1 else fit$trials)
  }
  if (is.null(fit$trials) || nrow(rows$X) == 0L) {
    return(1)
  }
  source <- if (is.matrix(fit$frame[[1L]])) fit$formula[[2L]] else fit$call$weights
  known <- is.language(source) && all(all.vars(source) %in% names(newdata))
  if (!known) {
    return(1)
  }
  value <- eval(source, newdata, environment(fit$formula))
  value <- if (is.matrix(value)) rowSums(value) else rep_len(value, nrow(newdata))
  if (length(rows$na.action)) value[-rows$na.action] else value
}

# A response in the form of the one fitted, from the engine's y.
as_response <- function(fit, y, trials) {
  like <- fit$frame[[1L]]
  if (is.matrix(like) && ncol(like) == 2L) {
    successes <- round(y * trials)
    return(matrix(c(successes, trials - successes), ncol = 2L, dimnames = list(
      NULL, colnames(like)
    )))
  }
  values <- if (is.factor(like)) levels(like) else if (is.character(like)) sort(unique(like))
  if (is.null(values)) {
    return(if (is.logical(like)) y == 1 else y)
  }
  chosen <- values[1 + (y > 0)]
  if (is.factor(like)) factor(chosen, levels = values) else chosen
}

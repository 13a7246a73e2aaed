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
#' @param newparams Parameters to simulate with in place of the estimates: a list with any of
#'   `theta` (as `object$theta`), `beta` and, for [lmm()], `sigma`. Default `NULL`.
#' @param na.action Not used; rows are left out or kept as they were in the fit. For code written
#'   for lme4.
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
                            newdata = NULL, allow.new.levels = FALSE, newparams = NULL,
                            na.action = NULL, ...) {
  reject_dots(...)
  object <- at_parameters(object, newparams)
  nsim <- check_count(nsim, "nsim")
  if (!missing(use.u)) re.form <- from_use_u(use.u, missing(re.form))
  simulation(object, nsim, seed, re.form, newdata, allow.new.levels, function(mean, effects, rows) {
    noise <- matrix(stats::rnorm(length(mean) * nsim), length(mean)) / sqrt(rows$weights)
    as.data.frame(mean + object$sigma * (effects + noise))
  })
}

# The fit with other parameters; its random effects are Lambda u with the u that it has.
at_parameters <- function(fit, newparams) {
  if (is.null(newparams)) {
    return(fit)
  }
  known <- c("theta", "beta", if (inherits(fit, "pp_lmm")) "sigma")
  names(newparams)[names(newparams) == "fixef"] <- "beta"
  if (!is.list(newparams) || !all(names(newparams) %in% known)) {
    pp_abort("argument", c(x = "{.arg newparams} must be a list with elements of {.val {known}}."))
  }
  sizes <- c(theta = length(fit$theta), beta = length(fit$coefficients), sigma = 1L)
  for (name in names(newparams)) {
    value <- newparams[[name]]
    if (!is.numeric(value) || length(value) != sizes[[name]] || !all(is.finite(value))) {
      pp_abort("argument", c(
        x = "{.arg {name}} of {.arg newparams} must be {sizes[[name]]} finite number{?s}."
      ))
    }
  }
  if (!is.null(newparams$beta)) fit$coefficients[] <- newparams$beta
  if (!is.null(newparams$theta)) fit <- at_theta(fit, newparams$theta)
  if (!is.null(newparams$sigma)) fit$sigma <- newparams$sigma
  fit
}

at_theta <- function(fit, theta) {
  fit$theta[] <- theta
  last <- cumsum(vapply(fit$random, function(term) length(theta_roles(list(term))), 0L))
  for (t in seq_along(fit$random)) {
    own <- theta[seq(c(0L, last)[t] + 1L, last[t])]
    new <- factor_of_theta(fit$random[[t]], own)
    s <- svd(fit$Lambda[[t]])
    kept <- s$d > max(s$d, 0) * 1e-10
    inverse <- s$v[, kept, drop = FALSE] %*% (t(s$u[, kept, drop = FALSE]) / s$d[kept])
    fit$b[[t]][] <- t(new %*% inverse %*% t(fit$b[[t]]))
    fit$Lambda[[t]][] <- new
  }
  fit
}

# The factor of one term from its parameters.
factor_of_theta <- function(term, theta) {
  p <- length(term$columns)
  if (term$structure == "us") {
    factor <- matrix(0, p, p)
    factor[lower.tri(factor, diag = TRUE)] <- theta
    return(factor)
  }
  roles <- theta_roles(list(term))
  sd <- rep_len(theta[roles == "s"], p)
  if (term$structure == "diag") {
    return(diag(sd, p))
  }
  rho <- theta[roles == "r"]
  R <- if (term$structure == "cs") {
    matrix(rho, p, p)
  } else {
    rho^abs(outer(seq_len(p), seq_len(p), "-"))
  }
  diag(R) <- 1
  sd * t(chol(R))
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

#' Likelihood profiles of a fit
#'
#' Follows the deviance as a function of one parameter at a time, all others at their best. The
#' signed root of its rise, `zeta`, says by how many standard normal units the data speak against a
#' value: a parabola of the likelihood gives a straight line, and the interval of all values with
#' `abs(zeta)` below the normal quantile needs no standard error and respects the limits of standard
#' deviations and correlations. [confint()][confint.pp_fit] reads intervals off it, `plot()` shows
#' it.
#'
#' The deviance is minus twice the log-likelihood: a fit by REML is fitted again by ML first, as
#' lme4 does. For [glmm()] it is the criterion as `method` and `nAGQ` approximate it (a penalty of
#' `prior` included); fits by `method = "pql"`, `nAGQ = 0` or REML have none in all parameters, and
#' are refused. Each point is a constrained optimum found with the exact gradient from the points
#' before it; the slope of the profile is exact too, and values between points follow the cubic
#' through both points with their slopes.
#'
#' At a limit (standard deviation 0, correlation -1 or 1) zeta is finite: the path, and the
#' interval, end there if zeta has not passed the level. The coefficient of a predictor that tells
#' the responses apart without an error has its estimate at infinity: its profile has one side.
#'
#' @param fitted A fit, as [lmm()] or [glmm()] returns it.
#' @param parm Which parameters: names, as [natural names][profile.pp_fit] below, or their numbers;
#'   `"theta_"` for all of the random effects and `sigma`, `"beta_"` for the fixed effects; lme4's
#'   `".sig01"`, ... and `".sigma"`. Default: all.
#' @param level Confidence level that the paths reach on both sides, default 0.99. Alternatively
#'   `alphamax`, one minus it, as in lme4.
#' @param alphamax One minus `level`.
#' @param maxpts Largest number of points a side. Default 60.
#' @param delta Distance of the points in zeta. Default an eighth of the quantile of `level`.
#' @param scale `"sdcor"` (default): standard deviations and correlations. `"varcov"`: variances and
#' covariances, the residual variance in place of sigma; correlations of `cs()` and `ar1()` remain.
#' @param progress `TRUE` prints a line a parameter. Default: that of the fit's [pp_control()].
#' @param ... Not used; anything given here is an error.
#' @return A data frame of class `"pp_profile"`, one row a point: `parameter` (factor), `value` of
#' it, `zeta`, `deviance`, `slope` (of zeta), and one column a natural parameter: the values of all
#' along the path. Attributes: `estimates` (named), `level`, `type` (named: `"fixed"`, `"sd"`,
#' `"cor"`, `"sigma"`, `"disp"`, `"zi"`, `"shape"`), `ends` (a matrix that says what stopped each
#' side: `"level"`, `"bound"`, `"zero"` (of sigma), `"flat"`, `"infinite"`, `"points"` or
#' `"failed"`), `deviance` (at the estimates). `as.data.frame()` gives the plain data frame,
#' `summary()` one row a parameter with estimate, limits at 95% and how far the profile is from a
#' straight line.
#'
#'   The natural parameters are named `sd_(Intercept)|g`, `cor_x.(Intercept)|g`, `sigma`, the fixed
#'   effects as in [fixef()], `disp.`, `zi.` and `shape` for [glmm()]: random effects first, term by
#'   term.
#' @section Conditions:
#' `partialpool_error_argument` for a parameter that the fit has not, a level outside (0, 1), and
#' fits without a criterion in all parameters. `partialpool_warning_fit` if a better optimum is met
#' on the way (the profile then starts from it), a profile turns back, or cannot be followed.
#' `partialpool_message_separation` for coefficients whose estimate is infinite.
#' @references Bates D, Maechler M, Bolker B, Walker S (2015). Fitting Linear Mixed-Effects Models
#'   Using lme4. Journal of Statistical Software 67(1). \doi{10.18637/jss.v067.i01}. Venzon DJ,
#'   Moolgavkar SH (1988). A method for computing profile-likelihood-based confidence intervals.
#'   Applied Statistics 37, 87-94.
#' @examples
#' fit <- lmm(Yield ~ 1 + (1 | Batch), Dyestuff, REML = FALSE)
#' pr <- profile(fit)
#' confint(pr)
#' plot(pr)
#' @name profile.pp_fit
#' @aliases profile.pp_lmm profile.pp_glmm
#' @importFrom stats profile
NULL

#' @rdname profile.pp_fit
#' @export
profile.pp_fit <- function(fitted, parm = NULL, level = 0.99, alphamax = 1 - level, maxpts = 60L,
                           delta = NULL, scale = c("sdcor", "varcov"), progress = NULL, ...) {
  reject_dots(...)
  if (!missing(alphamax)) level <- 1 - alphamax
  check_level(level)
  scale <- choose_option(scale, c("sdcor", "varcov"), "scale")
  cutoff <- stats::qnorm((1 + level) / 2)
  delta <- if (is.null(delta)) cutoff / 8 else check_positive(delta, "delta")
  maxpts <- check_count(maxpts, "maxpts")
  fit <- profile_fit(fitted)
  progress <- check_flag(if (is.null(progress)) fitted$control$progress else progress, "progress")
  parameters <- profile_parameters(fit, scale == "varcov")
  chosen <- choose_parameters(parm, parameters)
  found <- profile_paths(fit, parameters, chosen, cutoff, delta, maxpts, progress)
  new_profile(found, level, chosen)
}

# The fit whose criterion is followed: by maximum likelihood in all parameters.
profile_fit <- function(fit) {
  if (inherits(fit, "pp_lmm")) {
    return(if (fit$REML) refit_ml(quiet_fit(fit)) else fit)
  }
  if (!inherits(fit, "pp_glmm")) {
    pp_abort("argument", c(
      x = "{.fn profile} is for fits by {.fn lmm} and {.fn glmm}.",
      i = "It is {.obj_type_friendly {fit}}."
    ))
  }
  if (fit$method == "pql" || fit$method == "joint" || fit$REML) {
    what <- switch(fit$method,
      pql = "penalised quasi-likelihood", joint = "{.code nAGQ = 0}", "REML"
    )
    pp_abort("argument", c(
      x = paste0("A fit by ", what, " has no profile likelihood."),
      i = "Its criterion is not a likelihood of all parameters.",
      ">" = "Fit by {.code method = \"laplace\"}, or use {.code confint(fit, method = \"wald\")}."
    ))
  }
  fit
}

# What a profile needs to know about each parameter, one row each.
profile_parameters <- function(fit, varcov) {
  table <- natural_wald(fit)
  range <- correlation_ranges(fit$random, table)
  table$lower <- range$lower
  table$upper <- range$upper
  table$unit <- abs(table$std.error * table$slope)
  rest <- is.na(table$term)
  table$rest <- NA_integer_
  skip <- if (inherits(fit, "pp_lmm")) c("sigma") else character()
  counted <- rest & !table$type %in% skip
  table$rest[counted] <- seq_len(sum(counted))
  table$at <- NA_integer_
  for (t in unique(table$term[!rest])) {
    own <- which(table$term == t)
    table$at[own] <- seq_along(own)
    sds <- term_units(fit$random[[t]], fit, t, random_scale(fit))
    size <- ifelse(table$type[own] == "sd", 0.5 * sds[pmax(table$row[own], 1L, na.rm = TRUE)], 0.3)
    missing <- !is.finite(table$unit[own]) | table$unit[own] <= 0 | table$unit[own] > 10 * size
    table$unit[own][missing] <- size[missing]
  }
  missing <- !is.finite(table$unit) | table$unit <= 0
  table$unit[missing] <- pmax(abs(table$value[missing]), 1) / 8
  if (inherits(fit, "pp_glmm")) {
    table$unit[rest] <- pmin(table$unit[rest], largest_units(fit))
  }
  table$internal <- table$value
  if ("shape" %in% table$type) {
    at <- which(table$type == "shape")
    table$internal[at] <- shape_to_engine(fit$family, table$value[at])
    table$unit[at] <- table$std.error[at] / shape_slope(fit$family, table$internal[at])
    if (!is.finite(table$unit[at])) table$unit[at] <- 0.3
    if (grepl("^tweedie", fit$family$family)) {
      # Nearer to 1 and 2 the density cannot be computed.
      edge <- unname(unlist(lapply(c(1.0001, 1.9999), shape_to_engine, family = fit$family)))
      table$lower[at] <- min(edge, table$internal[at])
      table$upper[at] <- max(edge, table$internal[at])
    }
  }
  if (varcov) variance_parameters(table) else table
}

shape_slope <- function(family, eta) {
  (unname(shape_from_engine(family, eta + 1e-5)) - unname(shape_from_engine(family, eta - 1e-5))) /
    2e-5
}

# The same on the scale of variances and covariances. A variance has the profile of its standard
# deviation; a covariance one of its own.
variance_parameters <- function(table) {
  sd_of <- function(term, at) {
    table$value[which(table$term == term & table$type == "sd" & table$row == at)]
  }
  free <- which(table$type == "cor" & !is.na(table$row))
  value <- table$value
  for (i in free) {
    size <- sd_of(table$term[i], table$row[i]) * sd_of(table$term[i], table$column[i])
    value[i] <- table$internal[i] <- value[i] * size
    table$unit[i] <- max(table$unit[i], 0.05) * size
  }
  squared <- table$type %in% c("sd", "sigma")
  value[squared] <- value[squared]^2
  table$value <- value
  table$name[free] <- sub("^cor_", "cov_", table$name[free])
  table$name <- sub("^sd_", "var_", table$name)
  table$name[table$type == "sigma"] <- "sigma^2"
  table$type[free] <- "cov"
  table$lower[free] <- -Inf
  table$upper[free] <- Inf
  table
}

# The paths of the chosen parameters; from the start again if a better optimum is met.
profile_paths <- function(fit, parameters, chosen, cutoff, delta, maxpts, progress, fill = TRUE) {
  eng <- engine(fit)
  paths <- list()
  for (i in chosen) {
    parameter <- lapply(parameters, `[[`, i)
    if (!is.finite(parameter$internal)) {
      pp_inform("singular", c(
        i = "{.code {parameter$name}} is not defined where a variance is zero: it has no profile."
      ))
      next
    }
    problem <- profile_problem(fit, parameter, eng)
    problem$infinite <- infinite_direction(fit, parameter$name)
    deviance <- fit$criterion + if (is.null(fit$penalty)) 0 else fit$penalty
    path <- profile_path(problem, deviance, cutoff, delta, maxpts, fill)
    if (min(path$deviance) < path$base - 1e-5 * (1 + 1e-4 * abs(path$base))) {
      better <- better_fit(fit, path)
      if (!is.null(better)) {
        varcov <- any(grepl("^var_|^sigma\\^2$", parameters$name))
        parameters <- profile_parameters(better, varcov)
        return(profile_paths(better, parameters, chosen, cutoff, delta, maxpts, progress, fill))
      }
    }
    if (progress) {
      cat("profile of ", parameter$name, ": ", length(path$value), " points\n", sep = "")
    }
    report_path(path, parameter$name, problem$infinite)
    paths[[parameter$name]] <- shown_scale(path, parameter, fit$family)
  }
  list(paths = paths, parameters = parameters, fit = fit)
}

# A path on the scale of its parameter: the shape, or a variance.
shown_scale <- function(path, parameter, family) {
  if (parameter$type == "shape") {
    path$slope <- path$slope / shape_slope(family, path$value)
    path$value <- unname(shape_from_engine(family, path$value))
  }
  if (grepl("^var_|^sigma\\^2$", parameter$name)) {
    path$slope <- ifelse(path$value > 0, path$slope / (2 * path$value), NA_real_)
    path$value <- path$value^2
  }
  path
}

# -1 or 1: where the estimate of a coefficient lies at infinity; 0 elsewhere.
infinite_direction <- function(fit, name) {
  separation <- fit$convergence$separation
  at <- match(name, separation$columns)
  if (is.na(at)) 0 else separation$signs[at]
}

# The fit at a better optimum that a path has met; NULL if a new search does not find it.
better_fit <- function(fit, path) {
  lowest <- path$natural[which.min(path$deviance), ]
  start <- theta_of_natural(lowest, fit)
  design <- design_of(fit)
  control <- quiet_fit(fit)$control
  better <- tryCatch(
    if (inherits(fit, "pp_lmm")) {
      fit_design(design, FALSE, start, control, fit$call)
    } else {
      fit_glmm(design, integral_of(fit), FALSE, fit$prior, start, control, fit$call)
    },
    partialpool_error = function(e) NULL
  )
  if (is.null(better) || better$criterion >= fit$criterion - 1e-6) {
    return(NULL)
  }
  pp_warn("fit", c(
    "!" = "The profile has met a lower deviance than that of the fit: {signif(better$criterion, 8)}
           against {signif(fit$criterion, 8)}.",
    i = "It starts again from there.",
    ">" = "Fit the model again with {.arg start} from the better optimum."
  ))
  better
}

# theta of an optimum from the natural parameters along a path: the start of a search.
theta_of_natural <- function(natural, fit) {
  scale <- if (inherits(fit, "pp_lmm")) {
    natural[[length(fit$theta) + 1L]]
  } else {
    1
  }
  at <- 0L
  unlist(lapply(fit$random, function(term) {
    k <- length(theta_roles(list(term)))
    own <- natural[at + seq_len(k)]
    at <<- at + k
    if (term$structure != "us") {
      sds <- theta_roles(list(term)) == "s"
      own[sds] <- own[sds] / scale
      return(own)
    }
    p <- length(term$columns)
    R <- matrix(0, p, p)
    R[lower.tri(R, diag = TRUE)] <- own
    sd <- diag(R) / scale
    R[is.nan(R)] <- 0
    diag(R) <- 1
    R[upper.tri(R)] <- t(R)[upper.tri(R)]
    e <- eigen(R, symmetric = TRUE)
    L <- lower_factor(sd * e$vectors %*% diag(sqrt(pmax(e$values, 0)), p))
    L[lower.tri(L, diag = TRUE)]
  }))
}

# What the user must know about a path.
report_path <- function(path, name, infinite) {
  if (infinite != 0) {
    pp_inform("separation", c(
      i = "The estimate of {.code {name}} is infinite: its profile has one side, its interval one
           limit."
    ))
  }
  if (any(diff(path$zeta) < -1e-5)) {
    pp_warn("fit", c(
      "!" = "The profile of {.code {name}} is not monotone: the likelihood has more than one peak.",
      i = "The interval is the part around the estimate."
    ), parameter = name)
  }
  sides <- c("below", "above")
  flat <- sides[path$ends == "flat"]
  if (length(flat)) {
    pp_warn("fit", c(
      "!" = "The likelihood of {.code {name}} hardly falls {flat} the estimate, however far.",
      i = "The data do not say how large it is: the interval is open on that side."
    ), parameter = name)
  }
  failed <- sides[path$ends %in% c("failed", "points")]
  if (length(failed)) {
    pp_warn("fit", c(
      "!" = "The profile of {.code {name}} could not be followed to the level {failed} the
             estimate.",
      i = "That limit is not known."
    ), parameter = name)
  }
  if (!path$reached) {
    pp_warn("fit", c(
      "!" = "Some points of the profile of {.code {name}} are not at their optimum."
    ), parameter = name)
  }
}

new_profile <- function(found, level, chosen) {
  parameters <- found$parameters
  paths <- found$paths
  chosen <- chosen[parameters$name[chosen] %in% names(paths)]
  names <- parameters$name[chosen]
  rows <- vapply(paths, function(path) length(path$value), 0L)
  column <- function(name) as.numeric(unlist(lapply(paths, `[[`, name)))
  natural <- do.call(rbind, lapply(paths, `[[`, "natural"))
  colnames(natural) <- natural_parameter_table(found$fit)$name
  table <- data.frame(
    parameter = factor(rep(names, rows), levels = names), value = column("value"),
    zeta = column("zeta"), deviance = column("deviance"), slope = column("slope")
  )
  table <- structure(c(unclass(table), as.list(as.data.frame(natural, optional = TRUE))),
                     class = "data.frame", row.names = .set_row_names(nrow(table)))
  structure(table,
    class = c("pp_profile", "data.frame"),
    estimates = stats::setNames(parameters$value, parameters$name)[chosen], level = level,
    type = stats::setNames(parameters$type, parameters$name)[chosen],
    ends = matrix(unlist(lapply(paths, `[[`, "ends")), length(names), 2L, byrow = TRUE,
                  dimnames = list(names, c("lower", "upper"))),
    deviance = min(vapply(paths, `[[`, 0, "base"))
  )
}

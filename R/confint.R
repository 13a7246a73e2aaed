#' Confidence intervals of the parameters of a fit
#'
#' Intervals of fixed effects, standard deviations, correlations and the residual standard
#' deviation: by the profile likelihood, from standard errors, or by a bootstrap.
#'
#' - `"profile"`: all values that a likelihood ratio test at this level does not reject. Of a fit by
#'   REML the likelihood is that of the same model by ML, as in lme4. An interval of a standard
#'   deviation or a correlation ends at its limit (0, -1, 1) if that is not rejected. The limits are
#'   solved for, not read off a curve.
#' - `"wald"`: estimate and standard error. Fixed effects have t quantiles with the degrees of
#'   freedom of `ddf`; normal quantiles for [glmm()]. Standard deviations are taken on the
#'   logarithmic scale, correlations by Fisher's z (for `cs()` and `ar1()` within their limits), so
#'   that the limits are possible values; `NA` where the estimate is at its limit. Without random
#'   effects sigma has the exact interval of the chi-squared distribution.
#' - `"boot"`: [bootstrap()] with `nsim` replicates.
#'
#' Default: `"profile"`; `"wald"` for a linear model without random effects, whose intervals are
#' then exact and those of [stats::lm()], and for fits that have no profile likelihood (`method =
#' "pql"`, `nAGQ = 0`, `REML = TRUE` in [glmm()]).
#'
#' @param object A fit, as [lmm()] or [glmm()] returns it, or a profile by
#'   [profile()][profile.pp_fit].
#' @param parm Which parameters: names or numbers, in the order of the default, which is all:
#'   random effects, sigma, fixed effects, then dispersion, zero inflation and shape. `"theta_"` for
#' the random effects and sigma, `"beta_"` for the fixed effects; lme4's `".sig01"` and `".sigma"`.
#' @param level Confidence level, default 0.95. Of a profile at most its own.
#' @param method `"profile"`, `"wald"` or `"boot"`; see there.
#' @param ddf Denominator degrees of freedom for `"wald"`: `"satterthwaite"` (default for [lmm()]),
#'   `"kenward-roger"`, `"residual"` or `"none"` (normal quantiles; the only one of [glmm()]).
#' @param nsim Replicates for `"boot"`, default 1000.
#' @param quiet `TRUE` shows no progress. Default `FALSE`: as `control` of the fit says.
#' @param oldNames `TRUE` names standard deviations and correlations as lme4 does by default:
#'   `.sig01`, `.sig02`, ..., `.sigma`. Default `FALSE`: `sd_(Intercept)|Subject`, ..., `sigma`.
#' @param ... For `"boot"`: arguments of [bootstrap()] (`type`, `seed`, `progress`); the type of
#'   interval is `"perc"`. Otherwise anything given here is an error.
#' @return A matrix with a row a parameter and columns named by the percentages, such as `2.5 %` and
#'   `97.5 %`. Rows of coefficients that were dropped as linear combinations of others are `NA`; so
#' are limits that could not be found, with a warning. A coefficient whose estimate is infinite has
#' one infinite limit.
#' @section Errors: `partialpool_error_argument` for a parameter that the fit has not, a level
#'   outside (0, 1) or above that of the profile, and a method that the fit does not have.
#' @references Pinheiro JC, Bates DM (2000). Mixed-Effects Models in S and S-PLUS, section 2.4.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' confint(fit)
#' confint(fit, "beta_", method = "wald")
#' @name confint.pp_fit
#' @aliases confint.pp_lmm confint.pp_glmm
NULL

#' @rdname confint.pp_fit
#' @export
confint.pp_fit <- function(object, parm = NULL, level = 0.95, method = c("profile", "wald", "boot"),
                           ddf = NULL, nsim = 1000, quiet = FALSE, oldNames = FALSE, ...) {
  check_level(level)
  if (check_flag(quiet, "quiet")) object$control$progress <- FALSE
  check_flag(oldNames, "oldNames")
  known <- c("profile", "wald", "boot")
  method <- if (missing(method)) default_interval(object) else tolower(method)
  method <- choose_option(method, known, "method")
  if (method != "boot") reject_dots(...)
  if (method != "wald" && !is.null(ddf)) {
    pp_abort("argument", c(
      x = "{.arg ddf} belongs to {.code method = \"wald\"}, not to {.val {method}}."
    ))
  }
  intervals <- switch(method,
    profile = profile_intervals(object, parm, level),
    wald = wald_intervals(object, parm, level, ddf),
    boot = bootstrap_intervals(object, parm, level, nsim, ...)
  )
  if (oldNames) rownames(intervals) <- old_names(object, rownames(intervals))
  intervals
}

# Names of variance parameters by their number, as lme4's; all others stay.
old_names <- function(fit, names) {
  table <- natural_parameter_table(fit)
  at <- match(names, table$name)
  number <- cumsum(!is.na(table$term))[at]
  numbered <- !is.na(at) & !is.na(table$term[at])
  names[numbered] <- sprintf(".sig%02d", number[numbered])
  names[names == "sigma" & !is.na(at)] <- ".sigma"
  names
}

default_interval <- function(fit) {
  if (inherits(fit, "pp_lmm")) {
    return(if (has_random(fit)) "profile" else "wald")
  }
  if (fit$REML || fit$method %in% c("pql", "joint")) "wald" else "profile"
}

# Numbers of the parameters that `parm` asks for, in `table` (columns name, type, term).
choose_parameters <- function(parm, table) {
  all <- seq_along(table$name)
  if (is.null(parm)) {
    return(all)
  }
  of_random <- which(!is.na(table$term))
  if (is.numeric(parm)) {
    wrong <- parm[!parm %in% all]
    if (length(wrong) || !length(parm)) {
      pp_abort("argument", c(
        x = "{.arg parm} must hold numbers from 1 to {length(all)}.",
        i = "It holds {.val {wrong}}."
      ))
    }
    return(as.integer(parm))
  }
  if (!is.character(parm) || !length(parm) || anyNA(parm)) {
    pp_abort("argument", c(
      x = "{.arg parm} must hold names or numbers of parameters.",
      i = "It is {.obj_type_friendly {parm}}."
    ))
  }
  unlist(lapply(parm, function(name) {
    if (name %in% table$name) {
      return(match(name, table$name))
    }
    old <- c(sprintf(".sig%02d", seq_along(of_random)), ".sigma")
    found <- if (name == "theta_") {
      c(of_random, which(table$type == "sigma"))
    } else if (name == "beta_") {
      which(table$type == "fixed")
    } else {
      stats::na.omit(c(of_random, which(table$type == "sigma")[1L])[match(name, old)])
    }
    if (!length(found) && !name %in% c("theta_", "beta_")) {
      pp_abort("argument", c(
        x = "The fit has no parameter {.code {name}}.",
        i = "Its parameters are {.code {table$name}}.",
        suggest_name(name, table$name)
      ))
    }
    found
  }))
}

# The table of parameters with the coefficients that were dropped in their places; `number`: of
# those that were not, in the table without.
all_parameters <- function(fit) {
  table <- natural_parameter_table(fit)
  number <- seq_along(table$name)
  if (!length(fit$aliased)) {
    return(list(name = table$name, type = table$type, term = table$term, number = number))
  }
  fixed <- which(table$type == "fixed")
  before <- which(table$type %in% c("sd", "cor", "sigma"))
  after <- setdiff(number, c(before, fixed))
  columns <- fit$column_names
  k <- length(columns)
  list(
    name = c(table$name[before], columns, table$name[after]),
    type = c(table$type[before], rep("fixed", k), table$type[after]),
    term = c(table$term[before], rep(NA_integer_, k), table$term[after]),
    number = c(before, fixed[match(columns, table$name[fixed])], after)
  )
}

empty_intervals <- function(names, level) {
  tails <- c((1 - level) / 2, (1 + level) / 2)
  matrix(NA_real_, length(names), 2L, dimnames = list(names, percent_names(tails)))
}

percent_names <- function(p) {
  paste(format(100 * p, trim = TRUE, scientific = FALSE, digits = 3L), "%")
}

profile_intervals <- function(fit, parm, level) {
  all <- all_parameters(fit)
  rows <- choose_parameters(parm, all)
  out <- empty_intervals(all$name[rows], level)
  progress <- fit$control$progress
  fit <- profile_fit(fit)
  cutoff <- stats::qnorm((1 + level) / 2)
  wanted <- unique(stats::na.omit(all$number[rows]))
  found <- profile_paths(
    fit, profile_parameters(fit, FALSE), wanted, cutoff, cutoff / 2, 60L, progress,
    fill = FALSE
  )
  for (i in which(!is.na(all$number[rows]))) {
    path <- found$paths[[all$name[rows[i]]]]
    if (!is.null(path)) out[i, ] <- path_limits(path, cutoff)
  }
  out
}

# The two values at which zeta leaves -cutoff and cutoff, nearest to the estimate. Where it never
# does: the limit of the parameter, infinity, or NA if the path broke off.
path_limits <- function(path, cutoff) {
  at <- which.min(abs(path$zeta))
  n <- length(path$value)
  vapply(c(-1, 1), function(direction) {
    outwards <- if (direction < 0) at:1L else at:n
    beyond <- which(direction * path$zeta[outwards] >= cutoff * (1 - 1e-7))
    end <- path$ends[if (direction < 0) 1L else 2L]
    if (!length(beyond)) {
      return(switch(end,
        bound = path$value[outwards[length(outwards)]], zero = 0,
        infinite = , flat = direction * Inf, NA_real_
      ))
    }
    two <- outwards[beyond[1L] - 1:0]
    if (abs(path$zeta[two[2L]] - direction * cutoff) < 1e-7 * cutoff) {
      return(path$value[two[2L]])
    }
    crossing(path$value[two], path$zeta[two], path$slope[two], direction * cutoff)
  }, 0)
}

#' @rdname confint.pp_fit
#' @export
confint.pp_profile <- function(object, parm = NULL, level = 0.95, ...) {
  reject_dots(...)
  check_level(level)
  reach <- attr(object, "level")
  if (level > reach + 1e-12) {
    pp_abort("argument", c(
      x = "{.arg level} is {.val {level}}, but the profile ends at {.val {reach}}.",
      ">" = "Follow it further: {.code profile(fit, level = {level})}."
    ))
  }
  type <- attr(object, "type")
  term <- ifelse(type %in% c("sd", "cor", "cov"), 1L, NA_integer_)
  rows <- choose_parameters(parm, list(name = names(type), type = unname(type), term = term))
  out <- empty_intervals(names(type)[rows], level)
  paths <- profile_curves(object)
  cutoff <- stats::qnorm((1 + level) / 2)
  for (i in seq_along(rows)) out[i, ] <- path_limits(paths[[rows[i]]], cutoff)
  out
}

# The paths that a profile was made of.
profile_curves <- function(profile) {
  ends <- attr(profile, "ends")
  names <- levels(profile$parameter)
  curves <- lapply(seq_along(names), function(i) {
    rows <- which(as.integer(profile$parameter) == i)
    list(
      value = profile$value[rows], zeta = profile$zeta[rows], slope = profile$slope[rows],
      ends = ends[i, ]
    )
  })
  stats::setNames(curves, names)
}

wald_intervals <- function(fit, parm, level, ddf) {
  all <- all_parameters(fit)
  rows <- choose_parameters(parm, all)
  out <- empty_intervals(all$name[rows], level)
  number <- all$number[rows]
  fixed <- all$type[rows] == "fixed" & !is.na(number)
  if (any(fixed)) {
    p <- length(fit$coefficients)
    own <- match(all$name[rows][fixed], names(fit$coefficients))
    L <- diag(1, p)[own, , drop = FALSE]
    dimnames(L) <- list(NULL, names(fit$coefficients))
    table <- contrast_table(inference(fit, ddf), L, level)
    out[fixed, ] <- c(table$conf.low, table$conf.high)
  } else {
    inference(fit, ddf) # rejects a `ddf` that the fit cannot have
  }
  rest <- !fixed & !is.na(number)
  if (any(rest)) {
    wald <- natural_wald(fit)[number[rest], ]
    out[rest, ] <- wald_limits(wald, level, fit)
  }
  out
}

wald_limits <- function(wald, level, fit) {
  z <- stats::qnorm((1 + level) / 2)
  half <- z * wald$std.error
  limits <- cbind(wald$internal - half, wald$internal + half)
  sds <- wald$type %in% c("sd", "sigma")
  limits[sds, ] <- exp(limits[sds, ])
  cors <- which(wald$type == "cor")
  range <- correlation_ranges(fit$random, wald)
  for (i in cors) {
    middle <- (range$upper[i] + range$lower[i]) / 2
    limits[i, ] <- middle + (range$upper[i] - range$lower[i]) / 2 * tanh(limits[i, ])
  }
  if (inherits(fit, "pp_lmm") && !has_random(fit)) {
    at <- wald$type == "sigma"
    p <- length(fit$coefficients)
    squares <- fit$sigma^2 * (fit$n - if (fit$REML) p else 0L)
    tails <- c((1 + level) / 2, (1 - level) / 2)
    limits[at, ] <- rep(sqrt(squares / stats::qchisq(tails, fit$n - p)), each = sum(at))
  }
  limits
}

bootstrap_intervals <- function(fit, parm, level, nsim, ...) {
  all <- all_parameters(fit)
  rows <- choose_parameters(parm, all)
  out <- empty_intervals(all$name[rows], level)
  found <- stats::confint(bootstrap(fit, nsim = nsim, ...), level = level)
  at <- match(all$name[rows], rownames(found))
  out[] <- found[at, ]
  out
}

# A fit as a table, a row a parameter, in the columns of broom and broom.mixed.

#' @importFrom generics tidy
#' @export
generics::tidy

#' The parameters of a fit as a data frame
#'
#' One row a parameter, in the columns that the packages broom and broom.mixed have given to such
#' tables, so that what is written for their tables of an lme4 fit works on these fits. Neither is
#' needed: `library(partialpool)` is enough.
#'
#' Rows come in the order fixed effects (of the mean, then of zero inflation and dispersion, told
#' apart by the column `component` in fits that have such a model), standard deviations and
#' correlations, random effects, coefficients by group.
#'
#' Intervals of fixed effects are those of [confint()][confint.pp_fit]. Unlike in broom.mixed, those
#' of standard deviations and correlations exist for `conf.method = "Wald"` too (on the logarithmic
#' scale, by Fisher's z), and coefficients by group have standard errors and normal intervals if
#' `conf.int = TRUE`; these account for the estimation of the fixed effects and for the prediction
#' of the random ones together.
#'
#' @param x A fit, as [lmm()], [glmm()], [kernel_lmm()] or [kernel_glmm()] returns it.
#' @param effects Which rows: any of `"fixed"`, `"ran_pars"` (standard deviations and correlations),
#'   `"ran_vals"` (conditional modes of the random effects) and `"ran_coefs"` (coefficients by
#'   group). Default the first two.
#' @param scales Of `"ran_pars"`: `"sdcor"` (default) for standard deviations and correlations,
#'   `"vcov"` for variances and covariances. As in broom.mixed also one value for each of `effects`,
#'   `NA` where there is no choice.
#' @param conf.int `TRUE` adds `conf.low` and `conf.high`. Default `FALSE`.
#' @param conf.level Coverage, default 0.95.
#' @param conf.method `"Wald"` (default), `"profile"` or `"boot"`, for fixed effects and
#'   `"ran_pars"` as in [confint()][confint.pp_fit]. `"ran_vals"` and `"ran_coefs"` always have
#'   normal intervals.
#' @param exponentiate `TRUE` gives the exponentials of the fixed effects and of their intervals,
#'   with standard errors by the delta method: odds ratios, rate ratios. Default `FALSE`.
#' @param exponentiate_ran_coefs The same for `"ran_coefs"`. Default `FALSE`.
#' @param ddf Denominator degrees of freedom of tests and Wald intervals: `"satterthwaite"` (default
#'   for [lmm()]), `"kenward-roger"`, `"residual"` or `"none"`, as in [summary.pp_lmm()].
#'   `ddf.method`, the name that broom.mixed uses, will do.
#' @param ran_prefix Two prefixes of the terms of `"ran_pars"`. Default `c("sd", "cor")`, or
#'   `c("var", "cov")`.
#' @param component For fits by [glmm()] with zero inflation or a dispersion model, which fixed
#'   effects: any of `"cond"`, `"zi"` and `"disp"`, or `"all"` (default).
#' @param ddf.method The same as `ddf`.
#' @param profile A profile by [profile()][profile.pp_fit] to take the intervals of
#'   `conf.method = "profile"` from.
#' @param ... For `conf.method = "boot"`: arguments of [bootstrap()], such as `nsim` and `seed`.
#'   Otherwise ignored, because callers hand on what they were given, but for names that are nearly
#'   one of the above: these are errors.
#' @return A data frame, a tibble if the package tibble is installed, with the columns `effect`,
#'   `component`, `group`, `level`, `term`, `estimate`, `std.error`, `statistic`, `df`, `p.value`,
#'   `conf.low`, `conf.high`, as far as the rows asked for have them. Random parameters are named
#'   `sd__(Intercept)`, `cor__(Intercept).x` and `sd__Observation` (the residual). Coefficients that
#'   were dropped as linear combinations of others have no row.
#' @section Errors: Options that do not exist, or that the fit cannot have, are of class
#'   `partialpool_error_argument`.
#' @seealso [glance()][glance.pp_fit], [augment()][augment.pp_fit], [tidy()][tidy.pp_anova] of
#'   tests, profiles and other results.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' tidy(fit)
#' tidy(fit, "fixed", conf.int = TRUE, ddf = "kenward-roger")
#' tidy(fit, "ran_pars", scales = "vcov")
#' tidy(fit, "ran_vals", conf.int = TRUE)
#' gm <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
#' tidy(gm, "fixed", exponentiate = TRUE, conf.int = TRUE)
#' @export
tidy.pp_fit <- function(x, effects = c("ran_pars", "fixed"), scales = NULL, conf.int = FALSE,
                        conf.level = 0.95, conf.method = c("Wald", "profile", "boot"),
                        exponentiate = FALSE, exponentiate_ran_coefs = FALSE, ddf = NULL,
                        ran_prefix = NULL, component = "all", ddf.method = NULL, profile = NULL,
                        ...) {
  effects <- choose_effects(effects)
  scale <- choose_random_scale(scales)
  conf <- interval_request(conf.int, conf.level, conf.method, profile)
  check_flag(exponentiate, "exponentiate")
  check_flag(exponentiate_ran_coefs, "exponentiate_ran_coefs")
  if (is.null(ddf)) ddf <- ddf.method
  components <- choose_tidy_components(x, component)
  reject_tidy_dots(...)
  limits <- tidy_limits(x, effects, scale, conf, ddf, ...)
  parts <- list(
    fixed = if ("fixed" %in% effects) tidy_fixed(x, components, conf, limits, ddf, exponentiate),
    ran_pars = if ("ran_pars" %in% effects) tidy_ran_pars(x, scale, ran_prefix, conf, limits),
    ran_vals = if ("ran_vals" %in% effects) tidy_ran_vals(x, conf),
    ran_coefs = if ("ran_coefs" %in% effects) tidy_ran_coefs(x, conf, exponentiate_ran_coefs)
  )
  if (has_components(x)) parts <- lapply(parts, with_component)
  bind_parts(parts)
}

choose_effects <- function(effects) {
  known <- c("fixed", "ran_pars", "ran_vals", "ran_coefs")
  if (!is.character(effects) || !length(effects) || !all(effects %in% known)) {
    wrong <- setdiff(effects, known)
    pp_abort("argument", c(
      x = "{.arg effects} must hold {.or {.val {known}}}.",
      i = if (length(wrong)) "It holds {.val {wrong}}.",
      if (length(wrong) == 1L && is.character(wrong)) suggest_name(wrong, known)
    ))
  }
  known[known %in% effects]
}

# One scale, or one an effect of which all but one are NA.
choose_random_scale <- function(scales) {
  scales <- unique(scales[!is.na(scales)])
  choose_option(if (length(scales)) scales, c("sdcor", "vcov"), "scales")
}

interval_request <- function(wanted, level, method, profile = NULL) {
  check_flag(wanted, "conf.int")
  if (is.null(level)) level <- 0.95
  check_level(level)
  known <- c("wald", "profile", "boot")
  method <- choose_option(tolower(if (length(method) == 3L) "wald" else method), known,
                          "conf.method")
  if (!is.null(profile) && !inherits(profile, "pp_profile")) {
    pp_abort("argument", c(
      x = "{.arg profile} must be a profile by {.fn profile}.",
      i = "It is {.obj_type_friendly {profile}}."
    ))
  }
  list(wanted = wanted, level = level, method = method, profile = profile)
}

# Has the fit linear predictors other than that of the mean?
has_components <- function(fit) {
  inherits(fit, "pp_glmm") && (!is.null(fit$zi) || has_dispersion_model(fit))
}

choose_tidy_components <- function(fit, component) {
  own <- c(
    "cond", if (inherits(fit, "pp_glmm")) {
      c(if (!is.null(fit$zi)) "zi", if (has_dispersion_model(fit)) "disp")
    }
  )
  known <- c("cond", "zi", "disp", "all")
  if (!is.character(component) || !all(component %in% known)) {
    pp_abort("argument", c(
      x = "{.arg component} must hold {.or {.val {known}}}.",
      i = "It is {.val {component}}."
    ))
  }
  if ("all" %in% component) own else own[own %in% component]
}

# Callers of broom hand on arguments of their own. Only what looks like a misspelt name is refused.
reject_tidy_dots <- function(...) {
  known <- names(formals(tidy.pp_fit))
  given <- names(list(...))
  for (name in given[nzchar(given)]) {
    nearest <- suggest_name(name, known)
    if (!is.null(nearest)) {
      pp_abort("argument", c(x = "Unknown argument: {.arg {name}}.", nearest))
    }
  }
}

with_component <- function(part) {
  if (!is.null(part) && is.null(part$component)) part$component <- rep("cond", nrow(part))
  part
}

# Rows of parts with different columns, in the order of broom.mixed's.
bind_parts <- function(parts) {
  order <- c(
    "effect", "component", "response", "group", "level", "term", "estimate", "std.error",
    "statistic", "df", "p.value", "conf.low", "conf.high"
  )
  parts <- parts[!vapply(parts, is.null, NA)]
  columns <- order[order %in% unlist(lapply(parts, names))]
  whole <- lapply(parts, function(part) {
    part[setdiff(columns, names(part))] <- list(rep(NA, nrow(part)))
    part[columns]
  })
  as_tidy_table(do.call(rbind, unname(whole)))
}

# A tibble where there is one to be had. Row names that say something become a column.
as_tidy_table <- function(x) {
  row.names(x) <- NULL
  if (requireNamespace("tibble", quietly = TRUE)) tibble::as_tibble(x) else x
}

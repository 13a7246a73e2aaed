# Results other than fits as tables in the columns of broom.

#' Tests, profiles and other results as data frames
#'
#' The tables of [anova()][anova.pp_lmm], [drop1()][drop1.pp_lmm], [ranova()],
#' [linear_hypothesis()], [effects_table()], [profile()][profile.pp_fit], [bootstrap()],
#' [marker_scan()], [lmm_responses()], [ranef()][ranef.pp_fit] and [VarCorr()][VarCorr.pp_fit] with
#' the column names of the package broom.
#'
#' @param x A result.
#' @param conf.int `TRUE` adds `conf.low` and `conf.high`. Default: as the result has them; `FALSE`
#'   for a bootstrap and random effects, `TRUE` for a profile.
#' @param conf.level Coverage, default 0.95 (of a profile at most its own level).
#' @param conf.method For a bootstrap: `"perc"` (default), `"basic"` or `"norm"`.
#' @param scales For `VarCorr()`: `"sdcor"` (default) or `"vcov"`.
#' @param ... Not used; anything given here is an error.
#' @return A data frame, a tibble if the package tibble is installed.
#' \describe{
#'   \item{`anova()`, `drop1()`, `ranova()`}{a row a term or a model: `term`, then `npar`, `AIC`,
#'     `BIC`, `logLik`, `deviance`, `NumDF`, `DenDF`, `LRT` as far as the table has them,
#'     `statistic`, `df`, `p.value`.}
#'   \item{`linear_hypothesis()`}{`term`, `null.value`, `estimate`, `std.error`, `statistic`, `df`,
#'     `p.value` (`adj.p.value` where they were adjusted), `conf.low`, `conf.high`; `glance()` has
#'     the joint test.}
#'   \item{`effects_table()`}{its columns; adjusted p-values are `adj.p.value`.}
#'   \item{`profile()`}{a row a parameter: `term`, `estimate`, `conf.low`, `conf.high`.}
#'   \item{`bootstrap()`}{`term`, `statistic` (the estimate, so called by broom), `bias`,
#'     `std.error`.}
#'   \item{`marker_scan()`}{`term` (marker or set), `estimate`, `std.error`, `statistic`, `p.value`
#'     and the other columns of the scan; `glance()` has the numbers of tests and the inflation
#'     factor.}
#'   \item{`lmm_responses()`, `glmm_responses()`}{`response`, `term`, `estimate`, `std.error`,
#'     `statistic`, `df`, `p.value`, `conf.low`, `conf.high`; `glance()` has a row a response.}
#'   \item{`ranef()`, `VarCorr()`}{the rows that [tidy()][tidy.pp_fit] of the fit has for
#'     `"ran_vals"` and `"ran_pars"`.}
#' }
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' tidy(anova(fit))
#' tidy(linear_hypothesis(fit, "Days = 10"))
#' tidy(VarCorr(fit))
#' @name tidy.pp_anova
NULL

#' @rdname tidy.pp_anova
#' @export
tidy.pp_anova <- function(x, ...) {
  reject_dots(...)
  table <- data.frame(
    term = row.names(x), plain_table(x), row.names = NULL, check.names = FALSE
  )
  renamed <- c(
    "F value" = "statistic", Chisq = "statistic", Df = "df", "Pr(>F)" = "p.value",
    "Pr(>Chisq)" = "p.value"
  )
  as_tidy_table(rename_columns(table, renamed))
}

# The columns of a result, without its class and attributes.
plain_table <- function(x) {
  rows <- attr(x, "row.names")
  attributes(x) <- list(names = names(x), class = "data.frame", row.names = rows)
  x
}

rename_columns <- function(table, renamed) {
  at <- names(table) %in% names(renamed)
  names(table)[at] <- renamed[names(table)[at]]
  table
}

#' @rdname tidy.pp_anova
#' @export
tidy.pp_hypothesis <- function(x, conf.int = TRUE, ...) {
  reject_dots(...)
  columns <- c(
    "term", "rhs", "estimate", "std.error", "statistic", "df", "p.value",
    if (check_flag(conf.int, "conf.int")) c("conf.low", "conf.high")
  )
  adjusted <- !identical(attr(x, "p.adjust"), "none")
  renamed <- c(rhs = "null.value", p.value = if (adjusted) "adj.p.value" else "p.value")
  as_tidy_table(rename_columns(plain_table(x)[columns], renamed))
}

#' @rdname tidy.pp_anova
#' @export
glance.pp_hypothesis <- function(x, ...) {
  renamed <- c(num.df = "df", den.df = "df.residual")
  as_tidy_table(rename_columns(attr(x, "joint"), renamed))
}

#' @rdname tidy.pp_anova
#' @export
tidy.pp_effects <- function(x, ...) {
  reject_dots(...)
  as_tidy_table(rename_columns(plain_table(x), c(p.adjusted = "adj.p.value")))
}

#' @rdname tidy.pp_anova
#' @export
tidy.pp_profile <- function(x, conf.int = TRUE, conf.level = NULL, ...) {
  reject_dots(...)
  if (is.null(conf.level)) conf.level <- min(0.95, attr(x, "level"))
  estimates <- attr(x, "estimates")
  table <- data.frame(term = names(estimates), estimate = unname(estimates))
  if (check_flag(conf.int, "conf.int")) {
    limits <- stats::confint(x, level = conf.level)
    at <- match(table$term, rownames(limits))
    table$conf.low <- unname(limits[at, 1L])
    table$conf.high <- unname(limits[at, 2L])
  }
  as_tidy_table(table)
}

#' @rdname tidy.pp_anova
#' @export
tidy.pp_bootstrap <- function(x, conf.int = FALSE, conf.level = 0.95,
                              conf.method = c("perc", "basic", "norm"), ...) {
  reject_dots(...)
  found <- summary.pp_bootstrap(x)
  table <- data.frame(
    term = row.names(found), statistic = found$estimate, bias = found$bias,
    std.error = found$std.error
  )
  if (check_flag(conf.int, "conf.int")) {
    limits <- stats::confint(x, level = conf.level, type = conf.method)
    table$conf.low <- unname(limits[, 1L])
    table$conf.high <- unname(limits[, 2L])
  }
  as_tidy_table(table)
}

#' @rdname tidy.pp_anova
#' @export
tidy.pp_scan <- function(x, ...) {
  reject_dots(...)
  table <- as.data.frame(x)
  if ("set" %in% names(table)) table$marker <- NULL
  renamed <- c(marker = "term", set = "term", effect = "estimate", se = "std.error", p = "p.value")
  table <- rename_columns(table, renamed)
  as_tidy_table(table[c("term", setdiff(names(table), "term"))])
}

#' @rdname tidy.pp_anova
#' @export
glance.pp_scan <- function(x, ...) {
  found <- summary.pp_scan(x, n = 1L)
  as_tidy_table(data.frame(
    nobs = found$null$n, tests = found$tests, tested = found$tested, imputed = found$imputed,
    lambda = found$lambda, threshold = found$threshold, below = found$below,
    logLik = if (is.null(found$null$logLik)) NA_real_ else as.numeric(found$null$logLik)
  ))
}

#' @rdname tidy.pp_anova
#' @export
tidy.pp_responses <- function(x, conf.int = TRUE, ...) {
  reject_dots(...)
  table <- x$coefficients
  if (!check_flag(conf.int, "conf.int")) table$conf.low <- table$conf.high <- NULL
  as_tidy_table(rename_columns(table, c(p.adjusted = "adj.p.value")))
}

#' @rdname tidy.pp_anova
#' @export
glance.pp_responses <- function(x, ...) {
  as_tidy_table(rename_columns(x$responses, c(n = "nobs")))
}

#' @rdname tidy.pp_anova
#' @export
tidy.ranef.pp_fit <- function(x, conf.int = FALSE, conf.level = 0.95, ...) {
  reject_dots(...)
  check_level(conf.level)
  rows <- random_value_rows(as.data.frame(x))
  if (check_flag(conf.int, "conf.int")) {
    if (is.null(rows$std.error)) {
      pp_abort("argument", c(
        x = "These random effects have no conditional variances to make intervals of.",
        ">" = "Use {.code ranef(fit, condVar = TRUE)}."
      ))
    }
    rows <- normal_rows(rows, conf.level)
  }
  as_tidy_table(rows)
}

#' @rdname tidy.pp_anova
#' @export
tidy.VarCorr.pp_fit <- function(x, scales = c("sdcor", "vcov"), ...) {
  reject_dots(...)
  scale <- choose_option(scales, c("sdcor", "vcov"), "scales")
  as_tidy_table(varcorr_tidy_rows(x, scale, NULL)$shown)
}

#' One table of effects and tests
#'
#' A row for each term of the fixed effects with its test and its effect, and under a term of
#' several columns a row for each contrast of its levels: what goes into the paper.
#'
#' The effect of a term with one column is its coefficient. The effect of a term with several
#' columns, such as a factor with three levels, is the mean of its coefficients with the standard
#' error of that mean; its test is the joint one. Effect and test of a term always belong together:
#' for one column the test is that of the effect shown.
#'
#' Which coefficients are meant depends on the type and the coding.
#' \describe{
#'   \item{`type = 3`, `coding = "sum"`}{(default) the coefficients of a term when all other factors
#'     sum to zero and its own have the contrasts of the fit: with `a * x` the slope of `x` at the
#'     mean of the levels of `a`, not at its first level; with `a * b` the differences of the levels
#'     of `a` averaged over `b`. Numbers stand at zero: in `a * x` the differences of the levels of
#'     `a` are those at `x = 0`, which is the mean if `x` was centred. The test does not depend on
#'     the contrasts of the fit. The intercept is that with all factors summing to zero.}
#'   \item{`type = 3`, `coding = "fitted"`}{the coefficients as they stand in `coef(fit)`.}
#'   \item{`type = 3` with `contrasts`}{the coefficients that the fit would have with these
#'     contrasts. They follow from those fitted by a linear map; nothing is fitted again.}
#'   \item{`type = 2`}{the coefficients of a term in the model without the terms that contain it,
#'     `type = 1` in that without all later terms, the variances being those of the fit.}
#' }
#'
#' @param fit A fit, as [lmm()], [glmm()], [kernel_lmm()] or [kernel_glmm()] returns it. Of a kernel
#'   fit every column is a term.
#' @param type 1, 2 or 3 (default), or `"I"`, `"II"`, `"III"`: see above.
#' @param contrasts The coding of the factors in which effects and tests are given, whatever that
#'   of the fit: a named list of contrast functions (`list(a = contr.sum)`), their names or
#'   matrices. Factors that are not named keep the coding of the fit. Entries for variables of the
#'   model that are no factors of the fixed effects do nothing. Default `NULL`.
#' @param ddf Denominator degrees of freedom: `"satterthwaite"`, `"kenward-roger"`, `"residual"` or
#'   `"none"`. Default `NULL`: Satterthwaite's for [lmm()], residual ones without random effects,
#'   none for [glmm()].
#' @param test `"F"` or `"Chisq"` (Wald tests, without denominator degrees of freedom). Default
#'   `NULL`: `"F"` where there are denominator degrees of freedom.
#' @param level Coverage of the intervals. Default 0.95.
#' @param standardise Adds a column `std.estimate`. `"total"`: the effect over the standard
#'   deviation of the response given the fixed effects, the root of the sum of all variance
#'   components (Cohen's d of a difference); `"sd"`: each coefficient times the standard deviation
#'   of its column of the model matrix over that of the response (beta weights). For [glmm()] both
#'   are on the scale of the link: see [r_squared()] for the variance of the distribution that is
#'   added. Default `"none"`.
#' @param p.adjust Adds a column `p.adjusted`: a method of [stats::p.adjust()], applied to the
#'   p-values of the terms (not the intercept), and to those of the contrasts of each term. Default
#'   `"none"`.
#' @param levels What to show under a term of several columns: `"contrasts"` or `TRUE` (default) its
#'   coefficients, with sum-to-zero contrasts all levels; `"pairwise"` all differences between the
#'   levels of a factor, with p-values adjusted within the term (Holm's method if `p.adjust` is
#'   `"none"`); `"none"` or `FALSE`.
#' @param coding For type 3 without `contrasts`: `"sum"` (default) or `"fitted"`.
#' @param effect.size Adds a column with the partial share of variance of each term, from its F and
#'   degrees of freedom: `"eta2"`, `"epsilon2"` or `"omega2"` (less biased). Default `"none"`.
#' @param ... Not used; anything given here is an error.
#' @return A data frame of class `c("pp_effects", "data.frame")` with the columns `term`, `contrast`
#'   (`NA` in the row of a term), `statistic`, `df`, `df.residual` (`NA` for chi-square tests),
#'   `p.value`, `estimate`, `std.error`, `conf.low`, `conf.high`, in units of the response or the
#'   link, and those asked for. Terms stand in the order of the formula, the intercept last. A term
#'   whose columns were all dropped has a row of `NA`.
#' @section Errors: Options that do not exist, `contrasts` of unknown variables and `ddf` that the
#'   fit cannot have are of class `partialpool_error_argument`. A message of class
#'   `partialpool_message_rank` says when the columns do not determine the coding asked for, and the
#'   fitted one is used.
#' @references Fox and Weisberg (2019), An R companion to applied regression, section 5.3. Kelley
#'   (1935), An unbiased correlation ratio measure, PNAS 21, 554-559, for epsilon squared.
#' @examples
#' fit <- lmm(yield ~ nitro * Variety + (1 | Block/Variety), nlme::Oats)
#' effects_table(fit)
#' effects_table(fit, contrasts = list(Variety = contr.sum), test = "Chisq")
#' effects_table(fit, levels = "pairwise", effect.size = "omega2")
#' @export
effects_table <- function(fit, ...) UseMethod("effects_table")

#' @rdname effects_table
#' @export
effects_table.pp_fit <- function(fit, type = 3, contrasts = NULL, ddf = NULL, test = NULL,
                                 level = 0.95, standardise = c("none", "total", "sd"),
                                 p.adjust = "none", levels = c("contrasts", "pairwise", "none"),
                                 coding = c("sum", "fitted"),
                                 effect.size = c("none", "eta2", "epsilon2", "omega2"), ...) {
  reject_dots(...)
  type <- choose_type(type)
  coding <- choose_option(coding, c("sum", "fitted"), "coding")
  hypotheses <- effect_hypotheses(fit, type, check_effect_contrasts(contrasts, fit), coding)
  made <- make_effects(fit, hypotheses, ddf, test, level, standardise, p.adjust, levels,
                       effect.size)
  attr(made, "type") <- type
  if (type < 3L) coding <- "none"
  if (!is.null(contrasts)) coding <- "contrasts"
  attr(made, "coding") <- if (fell_back(hypotheses)) "fitted" else coding
  made
}

#' @rdname effects_table
#' @export
effects_table.pp_kernel_fit <- function(fit, contrasts = NULL, ddf = NULL, test = NULL,
                                        level = 0.95, p.adjust = "none",
                                        effect.size = c("none", "eta2", "epsilon2", "omega2"),
                                        ...) {
  reject_dots(...)
  if (!is.null(contrasts)) {
    pp_abort("argument", c(
      x = "{.arg contrasts} cannot be given for a kernel model: it was made of matrices.",
      i = "Each column of {.arg X} is a term."
    ))
  }
  hypotheses <- column_hypotheses(names(inference(fit, ddf)$coefficients))
  made <- make_effects(fit, hypotheses, ddf, test, level, "none", p.adjust, "none", effect.size)
  attr(made, "coding") <- "fitted"
  made
}

#' @export
effects_table.default <- function(fit, ...) {
  pp_abort("argument", c(
    x = "{.arg fit} must be a fit by {.fn {c('lmm', 'glmm', 'kernel_lmm', 'kernel_glmm')}}.",
    i = "It is {.obj_type_friendly {fit}}."
  ))
}

# The table of terms given by their hypotheses.
make_effects <- function(fit, hypotheses, ddf, test, level, standardise, p.adjust, levels,
                         effect.size) {
  check_level(level)
  standardise <- choose_option(standardise, c("none", "total", "sd"), "standardise")
  levels <- choose_levels(levels)
  p.adjust <- choose_option(p.adjust, unique(c("none", stats::p.adjust.methods)), "p.adjust")
  sizes <- c("none", "eta2", "epsilon2", "omega2")
  effect.size <- choose_option(effect.size, sizes, "effect.size")
  if (!is.null(test)) test <- choose_option(test, c("F", "Chisq"), "test")
  inference <- effect_inference(fit, ddf, test)
  if (is.null(test)) test <- if (inference$ddf == "none") "Chisq" else "F"

  rows <- lapply(hypotheses, function(h) term_rows(h, levels))
  L <- do.call(rbind, lapply(rows, function(r) r$L))
  if (is.null(L)) L <- matrix(0, 0L, length(inference$coefficients))
  labels <- vapply(hypotheses, function(h) h$term, "")
  counts <- vapply(rows, function(r) nrow(r$L), 0L)
  tests <- do.call(rbind, lapply(seq_along(hypotheses), function(i) {
    joint <- joint_row(inference, hypotheses[[i]]$test, test)
    below <- rows[[i]]$L[-1L, , drop = FALSE]
    if (nrow(below)) rbind(joint, single_rows(inference, below, test)) else joint
  }))
  effects <- contrast_table(inference, unname(L), level)
  if (is.null(tests)) {
    tests <- data.frame(
      statistic = numeric(), df = integer(), df.residual = numeric(), p.value = numeric()
    )
  }
  table <- data.frame(
    term = rep(labels, counts),
    contrast = as.character(unlist(lapply(rows, function(r) r$labels))),
    tests, effects[c("estimate", "std.error", "conf.low", "conf.high")],
    row.names = NULL, stringsAsFactors = FALSE
  )
  if (standardise != "none") {
    rule <- effect_scale(fit, standardise)
    table$std.estimate <- standardised_effects(rows, hypotheses, fit, table$estimate, rule)
  }
  table <- add_adjusted(table, p.adjust, levels)
  if (effect.size != "none") table <- add_effect_size(table, effect.size, test)
  table <- add_lost_terms(table, fit)
  structure(table,
    class = c("pp_effects", "data.frame"), test = test, ddf = inference$ddf, level = level,
    standardise = if (standardise != "none") rule$text, p.adjust = p.adjust, levels = levels,
    call_formula = effects_title(fit), lost = lost_terms(fit)
  )
}

choose_levels <- function(levels) {
  if (is.logical(levels) && length(levels) == 1L && !is.na(levels)) {
    return(if (levels) "contrasts" else "none")
  }
  choose_option(levels, c("contrasts", "pairwise", "none"), "levels")
}

# Chi-square tests are those with infinite degrees of freedom.
effect_inference <- function(fit, ddf, test) {
  if (!identical(test, "Chisq")) {
    return(inference(fit, ddf))
  }
  if (!is.null(ddf) && !identical(choose_option(ddf, ddf_methods, "ddf"), "none")) {
    pp_abort("argument", c(
      x = "A chi-square test has no denominator degrees of freedom: {.arg ddf} is {.val {ddf}}.",
      ">" = "Use {.code test = \"F\"}, or leave {.arg ddf} out."
    ))
  }
  inference(fit, "none")
}

joint_row <- function(inference, L, test) {
  joint <- inference$joint(L)
  if (test == "F") {
    return(data.frame(
      statistic = joint$statistic, df = joint$num, df.residual = joint$den, p.value = joint$p
    ))
  }
  chisq <- joint$statistic * joint$num
  data.frame(
    statistic = chisq, df = joint$num, df.residual = NA_real_,
    p.value = stats::pchisq(chisq, joint$num, lower.tail = FALSE)
  )
}

# Tests of one contrast a row, as F or chi-square.
single_rows <- function(inference, L, test) {
  table <- contrast_table(inference, unname(L))
  data.frame(
    statistic = table$statistic^2, df = rep(1L, nrow(L)),
    df.residual = if (test == "F") table$df else rep(NA_real_, nrow(L)), p.value = table$p.value
  )
}

# Among the terms without the intercept, and within the contrasts of each term.
add_adjusted <- function(table, method, levels) {
  if (method == "none" && levels != "pairwise") {
    return(table)
  }
  within <- if (method == "none") "holm" else method
  is_term <- is.na(table$contrast)
  table$p.adjusted <- NA_real_
  family <- which(is_term & table$term != "(Intercept)")
  table$p.adjusted[family] <- stats::p.adjust(table$p.value[family], method)
  for (term in unique(table$term[!is_term])) {
    own <- which(!is_term & table$term == term)
    table$p.adjusted[own] <- stats::p.adjust(table$p.value[own], within)
  }
  table
}

add_effect_size <- function(table, kind, test) {
  if (test == "Chisq") {
    pp_abort("argument", c(
      x = "{.arg effect.size} is a share of the residual variance: chi-square tests have none.",
      ">" = "Use {.code test = \"F\"} with denominator degrees of freedom."
    ))
  }
  f <- table$statistic
  num <- table$df
  den <- table$df.residual
  share <- switch(kind,
    eta2 = f * num / (f * num + den),
    epsilon2 = (f - 1) * num / (f * num + den),
    omega2 = (f - 1) * num / (f * num + den + 1)
  )
  share[table$term == "(Intercept)"] <- NA_real_
  table[[paste0("partial.", kind)]] <- pmax(0, share)
  table
}

# Terms of which no column is left.
lost_terms <- function(fit) {
  if (inherits(fit, "pp_kernel_fit")) {
    return(character())
  }
  setdiff(attr(fit$terms, "term.labels"), column_terms(fit))
}

add_lost_terms <- function(table, fit) {
  lost <- lost_terms(fit)
  if (!length(lost)) {
    return(table)
  }
  empty <- table[rep(NA_integer_, length(lost)), ]
  empty$term <- lost
  whole <- rbind(table, empty)
  order <- c(attr(fit$terms, "term.labels"), "(Intercept)")
  whole <- whole[order(match(whole$term, order)), ]
  row.names(whole) <- NULL
  whole
}

effects_title <- function(fit) {
  if (inherits(fit, "pp_kernel_fit")) "kernel model" else deparse1(fit$formula)
}

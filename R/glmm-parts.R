# The further linear predictors of a generalised model: `ziformula` for the logit of the
# probability of an extra zero, `dispformula` for the logarithm of the dispersion. Fixed effects
# only, of variables in the same frame.

# The right-hand side of a one-sided formula; NULL where there is none.
part_formula <- function(formula, what) {
  if (is.null(formula)) {
    return(NULL)
  }
  if (!inherits(formula, "formula") || length(formula) != 2L) {
    pp_abort("argument", c(
      x = "{.arg {what}} must be a one-sided formula, such as {.code ~ 1} or {.code ~ x}.",
      i = if (inherits(formula, "formula")) "It is {.code {label_of(formula)}}."
          else "It is {.obj_type_friendly {formula}}."
    ))
  }
  rhs <- formula[[2L]]
  if (is_bar(rhs) || holds_bar_term(rhs)) {
    pp_abort("argument", c(
      x = "{.arg {what}} has fixed effects only: {.code {label_of(formula)}}.",
      i = "Random effects are part of the mean alone.",
      ">" = "Take the terms with a bar out of it."
    ))
  }
  rhs
}

# The formulas of a call as list(zi, dispersion), each the right-hand side or NULL. A dispersion
# model is ~1 unless the family has none, or holds it.
model_parts <- function(family, ziformula, dispformula) {
  zi <- part_formula(ziformula, "ziformula")
  dispersion <- part_formula(dispformula, "dispformula")
  traits <- traits_of(family)
  if (!is.null(zi) && !traits$inflates && has_columns(zi)) {
    pp_abort("argument", c(
      x = "{.arg ziformula} does not apply to the {.val {family$family}} family.",
      i = "A response on the whole line has no zeros that stand apart."
    ))
  }
  check_dispersion_part(dispersion, family, traits)
  if (is.null(dispersion) && traits$dispersion) dispersion <- 1
  list(
    zi = if (has_columns(zi)) zi, dispersion = if (traits$dispersion) dispersion
  )
}

check_dispersion_part <- function(dispersion, family, traits) {
  if (is.null(dispersion)) {
    return(invisible())
  }
  if (!has_columns(dispersion)) {
    pp_abort("argument", c(
      x = "{.arg dispformula} has no column: {.code ~ {label_of(dispersion)}}.",
      i = "A family with a dispersion needs a model of it; {.code ~ 1} is one value for all rows."
    ))
  }
  free <- traits$dispersion && is.null(held_dispersion(family))
  if (!free && !identical(dispersion, 1)) {
    pp_abort("argument", c(
      x = "{.arg dispformula} does not apply: the {.val {family$family}} family
           {if (traits$dispersion) 'holds its dispersion' else 'has no dispersion'}.",
      ">" = switch(family$family,
        poisson = "For counts that vary more use {.fn nbinom2} or {.fn nbinom1}.",
        binomial = "For proportions that vary more use {.fn betabinomial}."
      )
    ))
  }
}

# Is there anything in a predictor, or is it ~ 0? A dot is known only with the data.
has_columns <- function(rhs) {
  if (is.null(rhs)) {
    return(FALSE)
  }
  if ("." %in% all.names(rhs)) {
    return(TRUE)
  }
  terms <- stats::terms(make_formula(rhs, env = baseenv()))
  length(attr(terms, "term.labels")) > 0L || attr(terms, "intercept") == 1L ||
    !is.null(attr(terms, "offset"))
}

# list(formula, terms, xlevels, contrasts, X) of a part, its columns linearly independent.
part_design <- function(rhs, what, split, columns, frame, contrasts, env) {
  if (is.null(rhs)) {
    return(NULL)
  }
  if (!is.null(contrasts) && !"." %in% all.names(rhs)) {
    contrasts <- contrasts[names(contrasts) %in% all_labels(rhs)]
    if (!length(contrasts)) contrasts <- NULL
  }
  predictor <- list(fixed = rhs, response = split$response)
  fixed <- fixed_effects(predictor, columns, frame, contrasts, env)
  if (!is.null(attr(fixed$terms, "offset"))) {
    pp_abort("offset", c(
      x = "An offset is not part of {.arg {what}}: {.code ~ {label_of(rhs)}}.",
      ">" = "The offset of the mean belongs into the formula, or into {.arg offset}."
    ))
  }
  terms <- stats::delete.response(fixed$terms)
  list(
    formula = make_formula(rhs, env = env), terms = terms, xlevels = fixed$xlevels,
    contrasts = fixed$contrasts, X = independent_columns(fixed$X, what)
  )
}

independent_columns <- function(X, what) {
  if (ncol(X) < 2L && all(is.finite(X)) && any(X != 0)) {
    return(X)
  }
  factor <- qr(X)
  if (factor$rank == ncol(X)) {
    return(X)
  }
  kept <- sort(factor$pivot[seq_len(factor$rank)])
  dropped <- setdiff(colnames(X), colnames(X)[kept])
  pp_inform("rank", c(
    "i" = "{cli::qty(dropped)}Column{?s} of {.arg {what}} left out: {.code {dropped}}.",
    "i" = "{cli::qty(dropped)}{?It is a/They are} linear combination{?s} of the columns before
           {?it/them}; the fit is the same without."
  ))
  X[, kept, drop = FALSE]
}

# Names that other packages have for the linear predictors, by ours.
component_names <- c(cond = "conditional", zi = "zero_inflated", disp = "dispersion")

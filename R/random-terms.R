# Random-effects terms of a design: for each, the codes of its grouping factor and its columns.

# The terms in lme4's order: as written if the numbers of levels do not increase anywhere, else by
# decreasing number of levels (ties reversed, as rev(order()) has it).
random_terms <- function(bars, frame, full_frame, columns, response, env) {
  cache <- new.env(parent = emptyenv())
  terms <- lapply(bars, function(bar) {
    # Gaps in time count: the levels of an ar1 term are those of the factor, used or not.
    source <- if (bar$structure == "ar1") full_frame else frame
    random_term(bar, source, code_group(bar$group, frame, cache), columns, response, env)
  })
  n_levels <- vapply(terms, function(term) length(term$levels), 0L)
  if (any(diff(n_levels) > 0L)) {
    terms <- terms[rev(order(n_levels))]
  }
  names <- make.unique(vapply(terms, `[[`, "", "group"))
  for (i in seq_along(terms)) {
    terms[[i]]$name <- names[i]
  }
  terms
}

random_term <- function(bar, frame, grouping, columns, response, env) {
  terms <- lhs_terms(bar, columns, response, env)
  part <- term_columns(terms, frame, bar)
  # A single column has no covariance to structure.
  structure <- if (length(part$columns) > 1L || bar$double) bar$structure else "us"
  list(
    group = label_of(bar$group), name = NULL, columns = part$columns, structure = structure,
    hom = bar$hom, codes = grouping$codes, levels = grouping$levels, z = part$z, expr = bar$expr,
    z_terms = part$terms, z_xlevels = part$xlevels, z_contrasts = part$contrasts,
    group_expr = bar$group
  )
}

# One-sided terms object of what stands left of the bar.
lhs_terms <- function(bar, columns, response, env) {
  dotted <- "." %in% all.names(bar$lhs)
  formula <- make_formula(bar$lhs, if (dotted) response, env)
  terms <- stats::terms(formula, data = columns)
  if (dotted) {
    terms <- stats::delete.response(terms)
  }
  if (!length(attr(terms, "term.labels")) && !attr(terms, "intercept")) {
    pp_abort("random", c(
      x = "The random-effects term {.code {label_of(bar$expr)}} has no column.",
      i = "Its left side takes the intercept away and names nothing else.",
      ">" = "Write {.code (1 | {label_of(bar$group)})} for a random intercept."
    ))
  }
  if (!is.null(attr(terms, "offset"))) {
    pp_abort("random", c(
      x = "An offset cannot vary by group: {.code {label_of(bar$expr)}}.",
      ">" = "Add {.fn offset} to the fixed part of the formula."
    ))
  }
  terms
}

# Columns of a term: list(columns, z, terms, xlevels, contrasts); z is NULL for an intercept alone.
term_columns <- function(terms, frame, bar) {
  labels <- attr(terms, "term.labels")
  intercept <- attr(terms, "intercept") == 1L
  if (!length(labels)) {
    return(list(columns = "(Intercept)", z = NULL, terms = terms))
  }
  terms <- prediction_terms(terms, frame)
  names <- variable_names(terms)
  slope <- if (length(names) == 1L && length(labels) == 1L) frame[[names]]
  if (is.numeric(slope) && is.null(dim(slope))) {
    return(slope_columns(slope, labels, intercept, terms))
  }
  frame <- factorise(frame, names)
  is_factor <- vapply(names, function(name) is.factor(.subset2(frame, name)), NA)
  check_factor_levels(frame, names[is_factor], bar$expr)
  mm <- model_matrix(terms, frame)
  list(
    columns = colnames(mm),
    z = matrix(mm, nrow(mm), ncol(mm), dimnames = list(NULL, colnames(mm))),
    terms = terms,
    xlevels = if (any(is_factor)) lapply(unclass(frame)[names[is_factor]], levels),
    contrasts = attr(mm, "contrasts")
  )
}

# The common case of one numeric variable, without the cost of model.matrix().
slope_columns <- function(slope, label, intercept, terms) {
  slope <- as.numeric(slope)
  columns <- c(if (intercept) "(Intercept)", label)
  z <- if (intercept) c(rep_len(1, length(slope)), slope) else slope
  dim(z) <- c(length(slope), length(columns))
  dimnames(z) <- list(NULL, columns)
  list(columns = columns, z = z, terms = terms)
}

# What is said once about a design, not a fault: rows left out, readings that differ from lme4's.
inform_design <- function(design, bars, dropped_trials = 0L) {
  dropped <- design$dropped_weights - dropped_trials
  if (dropped_trials > 0L) {
    pp_inform("response", c(
      i = "{dropped_trials} row{?s} without trials {?is/are} left out: no information is in
           {?it/them}."
    ))
  }
  if (dropped > 0L) {
    pp_inform("weights", c(
      i = "{dropped} row{?s} of zero weight {?is/are} left out: no information is in {?it/them}."
    ))
  }
  split_factors <- Filter(function(term) {
    is.call(term$expr) && identical(term$expr[[1L]], quote(`||`)) && length(term$z_xlevels)
  }, design$random)
  if (length(split_factors)) {
    term <- label_of(split_factors[[1L]]$expr)
    p <- length(split_factors[[1L]]$columns)
    pp_inform("random", c(
      i = "{.code ({term})} has {p} uncorrelated columns, one variance each.",
      i = "{.pkg lme4} keeps the correlations between the columns of a factor in such a term."
    ))
  }
}

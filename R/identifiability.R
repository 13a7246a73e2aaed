# Random terms that the data cannot tell from something else in the model: fitted, with a warning.

check_identifiability <- function(design) {
  warn_duplicates(design$random)
  fixed <- fixed_factors(design)
  for (term in design$random) {
    warn_aliased(term, fixed)
    warn_ar1_contrasts(term)
  }
}

# Two terms with a column in common on the same grouping of the rows.
warn_duplicates <- function(random) {
  for (i in seq_along(random)) {
    for (k in seq_len(i - 1L)) {
      a <- random[[k]]
      b <- random[[i]]
      shared <- intersect(a$columns, b$columns)
      if (length(shared) && same_grouping(a, b)) {
        pp_warn("identifiability", c(
          "!" = paste(
            "The random-effects terms {.code ({label_of(a$expr)})} and",
            "{.code ({label_of(b$expr)})} both hold {.code {shared}} for the same groups."
          ),
          i = "Only the sum of the two variances is determined by the data.",
          ">" = "Take the column out of one of the terms, for example with {.code 0 +}."
        ))
      }
    }
  }
}

same_grouping <- function(a, b) {
  J <- length(a$levels)
  J == length(b$levels) && identical(a$kernel$loading, b$kernel$loading) &&
    (identical(a$codes, b$codes) ||
      (is_nested_in(a$codes, b$codes, J) && is_nested_in(b$codes, a$codes, J)))
}

# The fixed-effects terms that have factors: for each its numeric part, and the codes of its
# factors together.
fixed_factors <- function(design) {
  incidence <- attr(design$terms, "factors")
  if (!length(incidence) || !length(design$random)) {
    return(list())
  }
  rownames(incidence) <- variable_names(design$terms)
  classes <- attr(design$terms, "dataClasses")[rownames(incidence)]
  is_factor <- classes %in% c("factor", "ordered", "character", "logical")
  names(is_factor) <- rownames(incidence)
  if (!any(is_factor)) {
    return(list())
  }
  cache <- new.env(parent = emptyenv())
  terms <- lapply(seq_len(ncol(incidence)), function(k) {
    used <- rownames(incidence)[incidence[, k] > 0]
    factors <- used[is_factor[used]]
    if (!length(factors)) {
      return(NULL)
    }
    group <- flatten_interaction(Reduce(function(a, b) call(":", a, b), lapply(factors, as.name)))
    list(
      label = colnames(incidence)[k], numeric = setdiff(used, factors),
      grouping = code_group(group, design$frame, cache)
    )
  })
  Filter(Negate(is.null), terms)
}

# A column z of a random term, times the indicators of its groups, lies in the space of the fixed
# effects if z times a factor is there whose levels lie within the groups.
warn_aliased <- function(term, fixed) {
  for (column in term$columns) {
    numeric <- if (column == "(Intercept)") character() else column
    for (effect in fixed) {
      n_fine <- length(effect$grouping$levels)
      if (n_fine >= length(term$levels) && identical(effect$numeric, numeric) &&
        is_nested_in(effect$grouping$codes, term$codes, n_fine)) {
        pp_warn("identifiability", c(
          "!" = paste(
            "The random-effects term {.code ({label_of(term$expr)})} is aliased with the",
            "fixed effect {.code {effect$label}}."
          ),
          i = "Each group of {.var {term$group}} has a fixed effect for {.code {column}} already.",
          i = "The variance of {.code {column}} between groups is not determined by the data.",
          ">" = "Keep {.var {term$group}} in one of the two parts of the formula."
        ))
        return(invisible())
      }
    }
  }
}

warn_ar1_contrasts <- function(term) {
  if (term$structure == "ar1" && length(term$z_xlevels) && attr(term$z_terms, "intercept") == 1L) {
    pp_warn("random", c(
      "!" = "The columns of {.code {label_of(term$expr)}} are contrasts, not points in time.",
      ">" = "Write {.code 0 +} before the factor for a column a level, in the order of its levels."
    ))
  }
}

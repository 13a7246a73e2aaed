# The bootstrap of cases: levels of a grouping factor drawn with replacement, with their rows.

# list(by: the name of the factor or NULL, rows: of each of its levels, own: the terms whose levels
# are new in every draw, within).
case_groups <- function(fit, by, within) {
  groups <- vapply(fit$random, function(term) term$group, "")
  by <- choose_case_factor(fit, by, groups)
  if (is.null(by)) {
    return(list(by = NULL, rows = as.list(seq_len(fit$n)), own = integer(), within = FALSE))
  }
  at <- match(by, groups)
  codes <- fit$random[[at]]$codes
  levels <- fit$random[[at]]$levels
  own <- which(vapply(fit$random, function(term) {
    is_nested_in(term$codes, codes, length(term$levels))
  }, NA))
  correlated <- own[vapply(fit$random[own], has_kernel, NA)]
  if (length(correlated)) {
    group <- groups[correlated[1L]]
    pp_abort("argument", c(
      x = "The levels of {.var {group}} are correlated by a kernel: they cannot be drawn one by
           one.",
      ">" = "Use {.code type = \"parametric\"}."
    ))
  }
  list(by = by, rows = unname(split(seq_along(codes), factor(codes, seq_along(levels)))), own = own,
       within = within)
}

choose_case_factor <- function(fit, by, groups) {
  if (!is.null(by)) {
    if (!is.character(by) || length(by) != 1L || !by %in% groups) {
      pp_abort("argument", c(
        x = "{.arg by} must be the name of a grouping factor of the fit.",
        i = "It is {.val {by}}; the fit has {.val {unique(groups)}}."
      ))
    }
    return(by)
  }
  outer <- outermost_factor(fit)
  if (length(groups) && is.null(outer)) {
    pp_abort("argument", c(
      x = "The grouping factors {.var {unique(groups)}} are crossed: {.arg by} must say whose levels
           are drawn.",
      ">" = "Such as {.code by = \"{groups[1L]}\"}."
    ))
  }
  outer
}

# The name of the grouping factor in which all others are nested; NULL if there is none.
outermost_factor <- function(fit) {
  groups <- vapply(fit$random, function(term) term$group, "")
  distinct <- match(unique(groups), groups)
  sizes <- vapply(fit$random[distinct], function(term) length(term$levels), 0L)
  for (at in distinct[order(sizes)]) {
    codes <- fit$random[[at]]$codes
    nested <- vapply(fit$random[distinct], function(term) {
      is_nested_in(term$codes, codes, length(term$levels))
    }, NA)
    if (all(nested)) {
      return(groups[at])
    }
  }
  NULL
}

# A fit to levels drawn anew.
refit_cases <- function(fit, cases) {
  J <- length(cases$rows)
  rows <- cases$rows[sample.int(J, J, TRUE)]
  if (cases$within) rows <- lapply(rows, function(own) own[sample.int(length(own), replace = TRUE)])
  design <- design_of_cases(fit, unlist(rows), rep(seq_along(rows), lengths(rows)), cases$own)
  if (inherits(fit, "pp_glmm")) {
    again <- fit_glmm(design, integral_of(fit), fit$REML, fit$prior, NULL, fit$control, fit$call)
  } else {
    again <- fit_design(design, fit$REML, NULL, fit$control, fit$call)
  }
  if (length(again$coefficients) < length(fit$coefficients)) {
    lost <- setdiff(names(fit$coefficients), names(again$coefficients))
    stop("coefficients that the levels drawn do not determine: ", toString(lost), call. = FALSE)
  }
  again
}

# The design of the rows drawn. `draw`: the number of the draw that each came with; the levels of
# the terms `own` differ between draws.
design_of_cases <- function(fit, rows, draw, own) {
  design <- design_of(fit)
  design$frame <- frame_rows(design$frame, rows)
  X <- design$X[rows, , drop = FALSE]
  attributes(X)[c("assign", "contrasts")] <- attributes(design$X)[c("assign", "contrasts")]
  design$X <- X
  design$y <- design$y[rows]
  for (what in c("weights", "offset", "trials")) {
    if (!is.null(design[[what]])) design[[what]] <- design[[what]][rows]
  }
  for (what in c("dispersion", "zi")) {
    if (!is.null(design[[what]])) design[[what]]$X <- design[[what]]$X[rows, , drop = FALSE]
  }
  for (t in seq_along(design$random)) {
    design$random[[t]] <- term_of_cases(design$random[[t]], rows, if (t %in% own) draw)
  }
  design["na.action"] <- list(NULL)
  design$dropped_weights <- 0L
  design
}

term_of_cases <- function(term, rows, draw) {
  codes <- term$codes[rows]
  if (!is.null(term$z)) term$z <- term$z[rows, , drop = FALSE]
  key <- if (is.null(draw)) codes else codes + as.double(length(term$levels)) * (draw - 1)
  distinct <- sort(unique(key))
  old <- (distinct - 1) %% length(term$levels) + 1
  term$codes <- match(key, distinct)
  term$levels <- make.unique(term$levels[old])
  if (has_kernel(term)) {
    term$kernel$loading <- term$kernel$loading[old, , drop = FALSE]
    term$kernel$source$at <- term$kernel$source$at[old]
  }
  term
}

# `[.data.frame` would make every row name unique.
frame_rows <- function(frame, rows) {
  columns <- lapply(unclass(frame), function(column) {
    if (is.matrix(column)) column[rows, , drop = FALSE] else column[rows]
  })
  structure(columns[names(frame)], names = names(frame), row.names = .set_row_names(length(rows)),
            terms = attr(frame, "terms"), class = oldClass(frame))
}

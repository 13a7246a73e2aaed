# What a bar term of a formula says: columns, grouping factor, covariance structure.

# The functions that may stand around a bar term: structure, and the default of `hom`.
structure_names <- list(
  us = list(structure = "us", hom = FALSE),
  diag = list(structure = "diag", hom = FALSE),
  homdiag = list(structure = "diag", hom = TRUE),
  cs = list(structure = "cs", hom = FALSE),
  homcs = list(structure = "cs", hom = TRUE),
  ar1 = list(structure = "ar1", hom = TRUE),
  hetar1 = list(structure = "ar1", hom = FALSE)
)

# Structures of other packages, known so that they can be refused by name.
foreign_structures <- c(
  "toep", "homtoep", "hettoep", "ou", "exp", "gau", "mat", "rr", "propto", "equalto"
)

# One bar term of a formula -> list of random terms, one a grouping factor: lists with
#   lhs, group     language: what varies, and by what
#   structure, hom the covariance structure, homogeneous or not
#   expr           the term as written, groups expanded
#   double         TRUE for ||
parse_bar <- function(term, env) {
  term <- strip_parens(term)
  wrapped <- !is_bar(term)
  kind <- list(structure = "us", hom = FALSE)
  bar <- term
  if (wrapped) {
    kind <- structure_of(term, env)
    bar <- strip_parens(term[[2L]])
  }
  double <- identical(bar[[1L]], quote(`||`))
  if (double) {
    if (wrapped && kind$structure != "diag") {
      pp_abort("random", c(
        x = "{.code ||} contradicts the covariance structure of {.code {label_of(term)}}.",
        i = "{.code ||} means uncorrelated columns, which is {.fn diag}."
      ))
    }
    kind$structure <- "diag"
  }
  lhs <- bar[[2L]]
  if (has_bar(lhs) || has_bar(bar[[3L]])) {
    pp_abort("formula", c(
      x = "A random-effects term has one bar, with the columns left and the group right of it.",
      i = "This one has more: {.code {label_of(term)}}."
    ))
  }
  lapply(expand_group(bar[[3L]]), function(group) {
    bar[[3L]] <- group
    expr <- bar
    if (wrapped) {
      expr <- term
      expr[[2L]] <- bar
    }
    c(list(lhs = lhs, group = group), kind, list(expr = expr, double = double))
  })
}

structure_of <- function(term, env) {
  head <- as.character(term[[1L]])
  if (head %in% foreign_structures) {
    known <- names(structure_names)
    pp_abort("random", c(
      x = "There is no covariance structure {.fn {head}} here: {.code {label_of(term)}}.",
      i = "The structures are {.fn {known}}."
    ))
  }
  kind <- structure_names[[head]]
  arguments <- as.list(term)[-(1:2)]
  takes_hom <- head %in% c("diag", "cs", "ar1")
  if (length(arguments) && !(takes_hom && identical(names(arguments), "hom"))) {
    pp_abort("random", c(
      x = "{.fn {head}} has arguments that it does not know: {.code {label_of(term)}}.",
      i = "{.fn diag}, {.fn cs} and {.fn ar1} take {.arg hom}: homogeneous variances or not.",
      i = "The others take the bar term alone."
    ))
  }
  if (length(arguments)) {
    kind$hom <- check_flag(eval(arguments$hom, env), "hom")
  }
  kind
}

# Grouping expression -> list of the grouping factors it stands for: a/b is b:a and a; a + b and
# a * b are the terms of that formula; anything else is one factor.
expand_group <- function(group) {
  group <- strip_parens(group)
  head <- if (is.call(group) && is.symbol(group[[1L]])) as.character(group[[1L]]) else ""
  if (head == "/") {
    outer <- expand_group(group[[2L]])
    inner <- lapply(expand_group(group[[3L]]), function(part) {
      flatten_interaction(call(":", part, outer[[1L]]))
    })
    return(c(inner, outer))
  }
  if (head == ":") {
    return(list(flatten_interaction(group)))
  }
  if (head %in% c("+", "*", "^", "%in%", "-")) {
    return(unlist(lapply(reformulas::expandGrpVar(group), expand_group), recursive = FALSE))
  }
  list(group)
}

# c:(b:a) -> c:b:a
flatten_interaction <- function(group) {
  Reduce(function(a, b) call(":", a, b), interaction_parts(group))
}

# The factors that make up a grouping factor: list(a) for a, list(a, b) for a:b.
interaction_parts <- function(group) {
  group <- strip_parens(group)
  if (is.call(group) && identical(group[[1L]], quote(`:`))) {
    return(c(interaction_parts(group[[2L]]), interaction_parts(group[[3L]])))
  }
  list(group)
}

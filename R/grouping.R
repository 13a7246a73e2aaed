# Grouping factors: a variable of any type, or an interaction of several, as codes 1..J and the
# character names of the J levels. Levels are those that occur, in the order of factor(); those of
# an interaction a:b are named "a_level:b_level", the first factor varying slowest.

# list(codes, levels) of a grouping expression, its parts found by name in `columns`. `cache` is an
# environment in which the codes of each factor are kept for the next term.
code_group <- function(group, columns, cache = new.env()) {
  label <- label_of(group)
  if (is.null(cache[[label]])) {
    coded <- lapply(interaction_parts(group), function(part) {
      part_label <- label_of(part)
      if (is.null(cache[[part_label]])) {
        assign(part_label, code_variable(columns[[part_label]], part_label), cache)
      }
      cache[[part_label]]
    })
    assign(label, cross_groups(coded), cache)
  }
  cache[[label]]
}

# Codes of a single variable.
code_variable <- function(x, label) {
  if (is.matrix(x) && ncol(x) == 1L) {
    x <- x[, 1L]
  }
  if (is.null(x) || !is.atomic(x) || !is.null(dim(x))) {
    what <- if (is.null(x)) "it is no variable" else "it is {.obj_type_friendly {x}}"
    pp_abort("group", c(
      x = "{.code {label}} cannot be used as a grouping factor.",
      i = paste0("It must give one value a row; ", what, "."),
      ">" = "Write {.code (1 | g)} with {.code g} a variable of the data or an expression of some."
    ))
  }
  if (inherits(x, "AsIs")) {
    oldClass(x) <- setdiff(oldClass(x), "AsIs")
  }
  if (is.factor(x)) {
    return(code_factor(x))
  }
  if (is.object(x) && !inherits(x, c("Date", "POSIXct", "difftime"))) {
    return(code_factor(factor(x)))
  }
  switch(typeof(x),
    logical = ,
    integer = code_values(code_integers(x), x),
    double = code_values(code_doubles(x), x),
    character = code_characters(x),
    code_factor(factor(x))
  )
}

code_factor <- function(x) {
  coded <- code_factor_levels(x, nlevels(x))
  levels <- unname(levels(x)[coded$used])
  levels[is.na(levels)] <- "NA"
  list(codes = coded$codes, levels = levels)
}

# The values, one a level, take the class of the variable so that they are named as factor() does.
code_values <- function(coded, x) {
  values <- coded$values
  if (is.logical(x)) {
    values <- as.logical(values)
  }
  if (is.object(x)) {
    attributes(values) <- attributes(x)[c("class", "tzone", "units")]
  }
  merge_levels(coded$codes, as.character(values))
}

code_characters <- function(x) {
  coded <- code_strings(x)
  levels <- sort(unique(coded$values))
  codes <- match(coded$values, levels)[coded$codes]
  list(codes = codes, levels = levels)
}

# Values that print alike are one level, as in factor().
merge_levels <- function(codes, levels) {
  if (anyDuplicated(levels)) {
    distinct <- unique(levels)
    codes <- match(levels, distinct)[codes]
    levels <- distinct
  }
  list(codes = codes, levels = levels)
}

# The interaction of one or more factors, crossed from left to right.
cross_groups <- function(factors) {
  if (length(factors) == 1L) {
    return(factors[[1L]])
  }
  crossed <- Reduce(cross_two_groups, factors)
  # "a:b" and "c" make the same name as "a" and "b:c".
  ambiguous <- any(vapply(factors, function(f) any(grepl(":", f$levels, fixed = TRUE)), NA))
  if (ambiguous) {
    crossed$levels <- make.unique(crossed$levels)
  }
  crossed
}

cross_two_groups <- function(a, b) {
  crossed <- code_pairs(a$codes, b$codes, length(a$levels), length(b$levels))
  levels <- join_levels(a$levels, b$levels, crossed$first, crossed$second)
  list(codes = crossed$codes, levels = levels)
}

# A factor without the levels that do not occur. A contrast matrix belongs to the levels it was
# made for and goes with them; a contrast function stays.
drop_unused_levels <- function(x, label) {
  if (!has_unused_levels(x)) {
    return(x)
  }
  coded <- code_factor_levels(x, nlevels(x))
  kept <- structure(coded$codes, levels = levels(x)[coded$used], class = oldClass(x))
  contrast <- attr(x, "contrasts")
  if (is.character(contrast)) {
    attr(kept, "contrasts") <- contrast
  } else if (!is.null(contrast)) {
    pp_warn("variable", c(
      "!" = "The contrasts set on factor {.var {label}} are dropped.",
      i = "Some of its levels do not occur in the rows used, and the contrasts have a row for each."
    ))
  }
  kept
}

has_unused_levels <- function(x) is.factor(x) && count_unused_levels(x, nlevels(x)) > 0L

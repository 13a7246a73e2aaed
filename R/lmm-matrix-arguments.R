# What lmm() of a matrix is given: features, response, groupings and their names.

# list(frame, features, groupings, response): a data frame of all variables, and their names.
labelled_data <- function(X, y, random_effect, varnames) {
  reject_formula(y)
  X <- check_features(X)
  y <- check_matrix_response(y, nrow(X))
  groups <- grouping_columns(random_effect, nrow(X))
  names <- variable_labels(varnames, colnames(X), names(groups), ncol(X), length(groups))
  columns <- c(lapply(seq_len(ncol(X)), function(k) unname(X[, k])), unname(groups), list(y))
  names(columns) <- unlist(names)
  rows <- rownames(X)
  unnamed <- is.null(rows) || anyDuplicated(rows) > 0L
  frame <- structure(columns,
    class = "data.frame", row.names = if (unnamed) .set_row_names(nrow(X)) else rows
  )
  c(list(frame = frame), names)
}

check_features <- function(X) {
  if (is.data.frame(X)) {
    numeric <- vapply(X, function(x) (is.numeric(x) || is.logical(x)) && is.null(dim(x)), NA)
    if (!all(numeric)) {
      pp_abort("variable", c(
        x = "The features must be numbers: {.var {names(X)[!numeric]}} {?is/are} not.",
        ">" = "Factors and text belong into a formula: {.code lmm(y ~ a + x + (1 | g), data)}."
      ))
    }
    rows <- if (is.character(attr(X, "row.names"))) row.names(X)
    X <- as.matrix(X)
    rownames(X) <- rows
  }
  if (!is.numeric(X) && !is.logical(X)) {
    pp_abort("variable", c(
      x = "The matrix of features must hold numbers.", i = "It is {.obj_type_friendly {X}}.",
      if (is.character(X)) c(i = "One column of text makes all of a matrix text.")
    ))
  }
  if (!nrow(X) || !ncol(X)) {
    pp_abort("data", c(
      x = "The matrix of features has {nrow(X)} row{?s} and {ncol(X)} column{?s}.",
      i = "There is nothing to fit."
    ))
  }
  storage.mode(X) <- "double"
  X
}

reject_formula <- function(y) {
  if (inherits(y, "formula")) {
    pp_abort("formula", c(
      x = "The formula comes first: {.code lmm(formula, data)}.",
      i = "With a matrix or data frame first, the second argument is the response."
    ))
  }
}

check_matrix_response <- function(y, n) {
  if (is.data.frame(y) && ncol(y) == 1L) y <- y[[1L]]
  if (is.null(y)) {
    pp_abort("response", c(
      x = "{.arg y} is missing: the response, one number a row of the matrix.",
      ">" = "To use a data frame of all variables write {.code lmm(y ~ x + (1 | g), data)}."
    ))
  }
  if (NCOL(y) > 1L) {
    pp_abort("response", c(
      x = "{.arg y} must be a single response.", i = "It has {NCOL(y)} columns.",
      ">" = "Fit each column by itself, or all by {.fn lmm_responses} and a formula."
    ))
  }
  if (!is.numeric(y) && !is.logical(y)) {
    pp_abort("response", c(x = "{.arg y} must be numeric.", i = "It is {.obj_type_friendly {y}}."))
  }
  if (length(y) != n) {
    pp_abort("response", c(
      x = "{.arg y} must have one value a row of the matrix.",
      i = "It has {length(y)}, the matrix {n} row{?s}."
    ))
  }
  as.numeric(y)
}

# A list of groupings, named where the user named them.
grouping_columns <- function(random_effect, n) {
  if (is.null(random_effect)) {
    return(list())
  }
  if (is.matrix(random_effect)) {
    labels <- colnames(random_effect)
    groups <- lapply(seq_len(ncol(random_effect)), function(k) unname(random_effect[, k]))
    names(groups) <- labels
  } else if (is.data.frame(random_effect)) {
    groups <- as.list(random_effect)
  } else if (is.list(random_effect) && length(random_effect) == n &&
    all(lengths(random_effect) == 1L)) {
    groups <- list(unlist(random_effect, use.names = FALSE))
  } else {
    groups <- if (is.list(random_effect)) random_effect else list(random_effect)
  }
  for (group in groups) {
    if (!is.atomic(group) || !is.null(dim(group)) || length(group) != n) {
      pp_abort("group", c(
        x = "{.arg random_effect} must give one group a row of the matrix.",
        i = if (is.atomic(group)) {
          "It has {length(group)} value{?s}, the matrix {n} row{?s}."
        } else {
          "It holds {.obj_type_friendly {group}}."
        },
        ">" = "Several groupings are the columns of a matrix or a data frame."
      ))
    }
  }
  lapply(groups, unname)
}

# list(features, groupings, response): p names, G names, one name.
variable_labels <- function(varnames, columns, groups, p, G) {
  features <- numbered("x", columns, p)
  groupings <- if (G) numbered("group", groups, G)
  names <- c(features, groupings, "y")
  if (!is.null(varnames)) {
    varnames <- check_varnames(varnames, p, G)
    names[seq_along(varnames)] <- varnames
  }
  check_distinct_names(names)
  list(
    features = names[seq_len(p)], groupings = names[p + seq_len(G)], response = names[p + G + 1L]
  )
}

# Names as given; the empty ones by number.
numbered <- function(stem, given, n) {
  made <- if (n == 1L && stem == "group") stem else paste0(stem, seq_len(n))
  if (is.null(given)) {
    return(made)
  }
  ifelse(is.na(given) | !nzchar(given), made, given)
}

check_varnames <- function(varnames, p, G) {
  if (!is.character(varnames) && !is.list(varnames)) {
    pp_abort("argument", c(
      x = "{.arg varnames} must be text.", i = "It is {.obj_type_friendly {varnames}}."
    ))
  }
  varnames <- as.character(varnames)
  if (!length(varnames) %in% c(p, p + G + 1L)) {
    groupings <- c("", ", the grouping", paste0(", ", G, " groupings"))[min(G, 2L) + 1L]
    pp_abort("argument", c(
      x = "{.arg varnames} must name the features{groupings} and the response, in this order.",
      i = "That makes {p + G + 1L} names; there are {length(varnames)}.",
      i = if (G) "The {p} feature{?s} alone will do." else "There is no {.arg random_effect}."
    ))
  }
  if (anyNA(varnames) || !all(nzchar(varnames))) {
    pp_abort("argument", c(x = "{.arg varnames} must not hold missing or empty names."))
  }
  varnames
}

# Names stand in a formula: there each has one meaning.
check_distinct_names <- function(names) {
  if (anyDuplicated(names)) {
    twice <- unique(names[duplicated(names)])
    pp_abort("argument", c(
      x = "Two variables have the same name: {.val {twice}}.",
      ">" = "Give all names as {.arg varnames}: features, groupings, response."
    ))
  }
  taken <- intersect(names, c("(Intercept)", "(weights)", "(offset)", ".", "|", "||"))
  if (length(taken)) {
    pp_abort("argument", c(
      x = "A variable cannot be called {.val {taken}}.",
      i = "The name has a meaning of its own in formulas and tables.",
      ">" = "Give other names as {.arg varnames}."
    ))
  }
}

# Of the rows used -------------------------------------------------------------------------------

report_missing_rows <- function(frame, used) {
  left_out <- sum(!used)
  if (!left_out || left_out == length(used)) {
    return(invisible())
  }
  holes <- names(frame)[vapply(frame, anyNA, NA)]
  pp_inform("missing", c(
    i = "Left out: {left_out} of {length(used)} rows, with missing values in {.var {holes}}."
  ), rows = which(!used))
}

check_group_levels <- function(data, used) {
  for (group in data$groupings) {
    values <- unique(data$frame[[group]][used])
    if (length(values) == 1L) {
      value <- as.character(values)
      pp_abort("group", c(
        x = "The grouping {.var {group}} has one level: {.val {value}}.",
        i = "The effect of the one group cannot be told from the intercept: any variance between
             groups would fit the data as well.",
        ">" = "Leave {.arg random_effect} out for a linear model."
      ), group = group)
    }
  }
}

# list(center, scale) of the features, with divisor n. A constant one is only centred, and dropped
# with the other columns that say nothing.
feature_standardisation <- function(data, used) {
  values <- data$frame[used, data$features, drop = FALSE]
  center <- vapply(values, mean, 0)
  scale <- vapply(values, population_sd, 0)
  scale[which(scale <= 1e-12 * abs(center))] <- 1
  list(center = center, scale = scale)
}

# In units of the largest: squares of extreme units do not exist.
population_sd <- function(x) {
  x <- x - mean(x)
  unit <- max(abs(x))
  if (is.finite(unit) && unit > 0) unit * sqrt(mean((x / unit)^2)) else unit
}

# Infinite values stay, for the error that names them.
standardise_features <- function(frame, features, standard) {
  for (feature in features) {
    if (is.finite(standard$scale[[feature]])) {
      centred <- frame[[feature]] - standard$center[[feature]]
      frame[[feature]] <- centred / standard$scale[[feature]]
    }
  }
  frame
}

check_alpha <- function(alpha) {
  if (!is.numeric(alpha) || length(alpha) != 1L || is.na(alpha) || alpha <= 0 || alpha >= 1) {
    pp_abort("argument", c(
      x = "{.arg alpha} must be one number between 0 and 1.", i = "It is {.val {alpha}}.",
      ">" = "0.05 gives a 95% interval."
    ))
  }
}

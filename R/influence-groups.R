# Which rows are deleted together.

# list(label: what lme4 calls the factor; names, deleted: of the deletions in the order of the data;
# rows: a list of row numbers of the fit).
deletions_of <- function(fit, groups, data) {
  rows <- row.names(fit$frame)
  if (is.null(groups)) {
    return(list(label = "case", names = rows, deleted = rows, rows = as.list(seq_len(fit$n))))
  }
  if (!is.null(data)) data <- rows_in_fit(data, fit)
  named <- is.character(groups) &&
    (length(groups) != fit$n || all(groups %in% group_names(fit, data)))
  if (named) {
    columns <- lapply(groups, deletion_column, fit, data)
    label <- paste(groups, collapse = ".")
    values <- if (length(columns) == 1L) columns[[1L]] else paste_rows(columns)
  } else {
    label <- "group"
    values <- check_deletion_values(groups, fit)
  }
  present <- !is.na(values)
  deleted <- unique(values[present])
  sets <- split(which(present), match(values[present], deleted))
  if (length(deleted) < 2L) {
    pp_abort("argument", c(
      x = "{.arg groups} must tell at least two groups of rows apart.",
      i = "It has {length(deleted)} level{?s}."
    ))
  }
  list(label = label, names = as.character(deleted), deleted = deleted, rows = unname(sets))
}

paste_rows <- function(columns) {
  value <- do.call(paste, c(lapply(columns, as.character), sep = "."))
  value[Reduce(`|`, lapply(columns, is.na))] <- NA
  value
}

group_names <- function(fit, data) {
  unique(c(vapply(fit$random, function(term) term$group, ""), names(fit$frame), names(data)))
}

# Values of a grouping factor, or of a column of the model frame or of the data.
deletion_column <- function(name, fit, data) {
  groups <- vapply(fit$random, function(term) term$group, "")
  if (name %in% groups) {
    term <- fit$random[[match(name, groups)]]
    return(factor(term$levels[term$codes], term$levels))
  }
  column <- if (name %in% names(data)) data[[name]] else fit$frame[[name]]
  if (is.null(column)) {
    known <- group_names(fit, data)
    pp_abort("argument", c(
      x = "{.arg groups} is {.val {name}}, which is no grouping factor of the fit and no column of
           its model frame.",
      i = "There are {.val {known}}.",
      suggest_name(name, known),
      ">" = if (is.null(data)) "Give a data frame that has it as {.arg data}."
    ))
  }
  check_deletion_values(column, fit)
}

check_deletion_values <- function(values, fit) {
  if (is.list(values) || !is.atomic(values) || NCOL(values) > 1L) {
    pp_abort("argument", c(
      x = "{.arg groups} must be names of columns, or a vector with a value per row.",
      i = "It is {.obj_type_friendly {values}}."
    ))
  }
  dropped <- fit$na.action
  if (length(dropped) && length(values) == fit$n + length(dropped)) values <- values[-dropped]
  if (length(values) != fit$n) {
    pp_abort("argument", c(
      x = "{.arg groups} has {length(values)} value{?s}; the fit has {fit$n} row{?s}."
    ))
  }
  values
}

# The rows of the data that are in the fit, by number or by name.
rows_in_fit <- function(data, fit) {
  if (!is.data.frame(data)) {
    pp_abort("argument", c(
      x = "{.arg data} must be a data frame.", i = "It is {.obj_type_friendly {data}}."
    ))
  }
  data <- as.data.frame(data)
  dropped <- fit$na.action
  if (length(dropped) && nrow(data) == fit$n + length(dropped)) {
    return(data[-dropped, , drop = FALSE])
  }
  if (nrow(data) == fit$n) {
    return(data)
  }
  at <- match(row.names(fit$frame), row.names(data))
  if (anyNA(at)) {
    pp_abort("argument", c(
      x = "{.arg data} has {nrow(data)} row{?s}; it lacks some of the {fit$n} rows of the fit.",
      ">" = "Give the data that the model was fitted to."
    ))
  }
  data[at, , drop = FALSE]
}

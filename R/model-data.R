#' Data frame from a labelled numeric matrix
#'
#' Turns a numeric matrix, the labels of its columns and the type of each into a data frame that
#' [lmm()] takes: continuous columns stay numbers, categorical ones become factors whose levels are
#' in numerical order, the lowest being the reference.
#'
#' @param data A numeric matrix (or a data frame of numbers), one column a variable.
#' @param label_name Character: the names of the columns. Default: those that `data` has.
#' @param factor_type Character, one a column: `"continuous"` or `"categorical"`. Default: all
#'   continuous.
#' @return A data frame with as many rows and columns as `data`, named by `label_name` unchanged:
#'   labels with blanks or symbols are put in backticks in a formula.
#' @section Errors:
#' `partialpool_error_data` if `data` is not a numeric matrix, `partialpool_error_argument` if there
#' is not one label and one type a column, or a type is unknown.
#' @examples
#' m <- cbind(c(1.5, 2.5, 0.5), c(2, -1, 0))
#' d <- model_data(m, c("y", "group"), c("continuous", "categorical"))
#' levels(d$group)
#' @export
model_data <- function(data, label_name = colnames(data), factor_type = NULL) {
  if (is.data.frame(data)) {
    data <- as.matrix(data)
  }
  if (!is.matrix(data) || !(is.numeric(data) || is.logical(data))) {
    pp_abort("data", c(
      x = "{.arg data} must be a numeric matrix.",
      i = "It is {.obj_type_friendly {data}}.",
      ">" = "Data of several types belong into a data frame, which {.fn lmm} takes as it is."
    ))
  }
  label_name <- check_labels(label_name, ncol(data))
  factor_type <- check_factor_types(factor_type, label_name)
  columns <- lapply(seq_along(label_name), function(k) {
    x <- as.numeric(data[, k])
    if (factor_type[k] == "categorical") numeric_factor(x) else x
  })
  names(columns) <- label_name
  structure(columns, class = "data.frame", row.names = .set_row_names(nrow(data)))
}

# A factor with the levels in numerical order.
numeric_factor <- function(x) {
  coded <- code_variable(x, "x")
  structure(coded$codes, levels = coded$levels, class = "factor")
}

check_labels <- function(label_name, p) {
  label_name <- as.character(label_name)
  if (length(label_name) != p || anyNA(label_name) || !all(nzchar(label_name))) {
    pp_abort("argument", c(
      x = "{.arg label_name} must hold one name a column.",
      i = "There are {p} column{?s} and {length(label_name)} label{?s}."
    ))
  }
  if (anyDuplicated(label_name)) {
    twice <- unique(label_name[duplicated(label_name)])
    pp_abort("argument", c(x = "{.arg label_name} holds {.val {twice}} more than once."))
  }
  label_name
}

check_factor_types <- function(factor_type, label_name) {
  if (is.null(factor_type)) {
    return(rep("continuous", length(label_name)))
  }
  factor_type <- as.character(factor_type)
  if (length(factor_type) != length(label_name)) {
    pp_abort("argument", c(
      x = "{.arg factor_type} must hold one type a column.",
      i = "There are {length(label_name)} column{?s} and {length(factor_type)} type{?s}."
    ))
  }
  unknown <- which(!factor_type %in% c("continuous", "categorical"))
  if (length(unknown)) {
    type <- factor_type[unknown[1L]]
    label <- label_name[unknown[1L]]
    pp_abort("argument", c(
      x = "Unknown type {.val {type}} of column {.var {label}} in {.arg factor_type}.",
      i = "The types are {.val continuous} and {.val categorical}."
    ))
  }
  factor_type
}

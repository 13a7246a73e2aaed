# Samples of the data and of a kernel are matched by name.

# Names of the rows; NULL where there are none, or only the numbers that R makes up.
row_names_of <- function(x) {
  names <- if (is.matrix(x)) rownames(x) else names(x)
  if (is.null(names) || anyNA(names) || !all(nzchar(names)) ||
        identical(names, as.character(seq_along(names)))) {
    return(NULL)
  }
  names
}

all_names_of <- function(x) if (is.matrix(x)) rownames(x) else names(x)

# Names of some rows only are no names, and not to be passed over.
check_partly_named <- function(x, arg, topic) {
  names <- all_names_of(x)
  empty <- which(is.na(names) | !nzchar(names))
  if (length(empty) && length(empty) < length(names)) {
    where <- describe_rows(empty)
    pp_abort(topic, c(
      x = "Some rows of {.arg {arg}} have no name: see {where}.",
      ">" = "Name all of them, or none."
    ), rows = empty)
  }
}

# Rows are taken in their order: names that say otherwise are not to be passed over.
check_same_names <- function(x, arg, topic, ids) {
  names <- row_names_of(x)
  if (!is.null(names) && !is.null(ids) && length(names) == length(ids) && !identical(names, ids)) {
    first <- which(names != ids)[1L]
    pp_abort(topic, c(
      x = "The values of {.arg {arg}} are not named as the rows of {.arg y} are.",
      i = "Value {first} is {.val {names[first]}}, row {first} is {.val {ids[first]}}.",
      ">" = "Bring them into one order, or take the names off if they mean nothing."
    ))
  }
}

# Rows with the names 1, 2, ... and a kernel with these names in another order: R may have made the
# former up, or they may be meant.
check_numbered <- function(kernel, y, X) {
  ids <- kernel$ids
  names <- if (is.null(all_names_of(y))) all_names_of(X) else all_names_of(y)
  if (is.null(ids) || is.null(names) || identical(ids, names) || length(ids) != length(names) ||
        !all(names %in% ids)) {
    return(invisible())
  }
  pp_abort("kernel", c(
    x = "The rows of the data are named 1 to {length(names)}; the kernel has these names in another
         order.",
    i = "They may be the names of samples, or row numbers that mean nothing.",
    ">" = "If they are names, bring the kernel into the order of the data; if not, take them off
           {.arg y} and {.arg X}, or off the kernel."
  ))
}

row_ids <- function(of_y, of_X) {
  if (!is.null(of_y) && !is.null(of_X) && !identical(of_y, of_X)) {
    first <- which(of_y != of_X)[1L]
    pp_abort("variable", c(
      x = "The rows of {.arg X} are not named as {.arg y} is.",
      i = "Row {first} is {.val {of_X[first]}} in {.arg X} and {.val {of_y[first]}} in {.arg y}.",
      ">" = "Bring them into one order, or take the names off if they mean nothing."
    ))
  }
  if (is.null(of_y)) of_X else of_y
}

# Names that are row numbers, and that the data do not use: dist() makes such.
only_numbered <- function(of_kernel, ids) {
  identical(of_kernel, as.character(seq_along(of_kernel))) && !any(ids %in% of_kernel)
}

# The kernel with a row for each row of the data: by name if both have names, else by position.
kernel_of_rows <- function(kernel, ids, of_y, n) {
  if (!is.null(ids) && identical(ids, kernel$ids)) {
    return(kernel)
  }
  if (!is.null(ids) && !is.null(kernel$ids) && !only_numbered(kernel$ids, ids)) {
    what <- if (is.null(of_y)) "the row names of `X`" else "the names of `y`"
    return(match_kernel(kernel, ids, what))
  }
  if (kernel$n != n) {
    pp_abort("kernel", c(
      x = "The kernel must have a row for each value of {.arg y}.",
      i = "It has {kernel$n} sample{?s}; {.arg y} has {n} value{?s}.",
      ">" = "Samples are matched by name if the kernel and {.arg y} (or the rows of {.arg X}) have
             names."
    ))
  }
  kernel
}

# The fit -----------------------------------------------------------------------------------------

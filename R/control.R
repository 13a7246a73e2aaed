#' Settings of a fit
#'
#' Collects the settings that do not change the model: how sharply the optimum is found, how long
#' the search may take, and what is said on the way.
#'
#' @param tolerance Positive number, default `1e-8`. The optimisation stops when the Newton
#'   decrement, an estimate of how far the criterion is above its minimum, in units of the
#'   criterion (twice the log-likelihood), is below it.
#' @param max_iterations Positive whole number, default `100L`: the largest number of Newton steps.
#'   A usual fit takes 2 to 8.
#' @param progress `TRUE` or `FALSE` (default): print a line at each iteration, with the criterion
#'   and the Newton decrement?
#' @param check `TRUE` (default) or `FALSE`: look for models that the data cannot support and give
#'   advisory warnings? With `FALSE` errors remain, advice does not.
#' @return A list of class `"pp_control"` with one element an argument.
#' @section Errors:
#' `partialpool_error_argument` if a value is of the wrong type or out of its range.
#' @examples
#' pp_control()
#' pp_control(tolerance = 1e-10, check = FALSE)
#' @export
pp_control <- function(tolerance = 1e-8, max_iterations = 100L, progress = FALSE,
                       check = TRUE) {
  control <- list(
    tolerance = check_positive(tolerance, "tolerance"),
    max_iterations = check_count(max_iterations, "max_iterations"),
    progress = check_flag(progress, "progress"),
    check = check_flag(check, "check")
  )
  structure(control, class = "pp_control")
}

#' @param x A `"pp_control"` object.
#' @param ... Ignored.
#' @rdname pp_control
#' @export
print.pp_control <- function(x, ...) {
  cat("Settings of a fit\n")
  values <- vapply(unclass(x), format, "")
  cat(paste0("  ", format(names(values)), "  ", values, "\n"), sep = "")
  invisible(x)
}

# Validates the `control` argument of a fitting function: a plain list of settings will do.
as_control <- function(control) {
  if (inherits(control, "pp_control")) {
    return(control)
  }
  if (is.null(control)) {
    return(pp_control())
  }
  if (!is.list(control)) {
    pp_abort("argument", c(
      x = "{.arg control} must be made by {.fn pp_control}.",
      i = "It is {.obj_type_friendly {control}}."
    ))
  }
  known <- names(formals(pp_control))
  unknown <- setdiff(names(control), known)
  if (length(unknown) || (length(control) && is.null(names(control)))) {
    pp_abort("argument", c(
      x = "{.arg control} has settings that {.fn pp_control} does not know: {.val {unknown}}.",
      i = "The settings are {.arg {known}}."
    ))
  }
  do.call(pp_control, control)
}

check_positive <- function(value, name) {
  if (!is.numeric(value) || length(value) != 1L || !is.finite(value) || value <= 0) {
    pp_abort("argument", c(
      x = "{.arg {name}} must be a positive number.",
      i = "It is {.val {value}}."
    ))
  }
  as.numeric(value)
}

check_count <- function(value, name) {
  whole <- is.numeric(value) && length(value) == 1L && is.finite(value) && value == round(value)
  if (!whole || value < 1 || value > .Machine$integer.max) {
    pp_abort("argument", c(
      x = "{.arg {name}} must be a whole number of at least 1.",
      i = "It is {.val {value}}."
    ))
  }
  as.integer(value)
}

check_flag <- function(value, name) {
  if (!is.logical(value) || length(value) != 1L || is.na(value)) {
    pp_abort("argument", c(
      x = "{.arg {name}} must be {.code TRUE} or {.code FALSE}.",
      i = "It is {.val {value}}."
    ))
  }
  value
}

# butcher: what strip_fit() does, piece by piece. Rows go together: a fit has all of them or none.

axe_call.pp_fit <- function(x, verbose = FALSE, ...) {
  class <- oldClass(x)
  x <- unclass(x)
  x$call <- call_without_values(x$call)
  structure(x, class = class)
}

axe_env.pp_fit <- function(x, verbose = FALSE, ...) {
  check_strippable(x)
  without_environments(x)
}

axe_data.pp_fit <- function(x, verbose = FALSE, ...) {
  check_strippable(x)
  without_rows(x)
}

axe_fitted.pp_fit <- function(x, verbose = FALSE, ...) {
  check_strippable(x)
  without_rows(x)
}

# Settings are five numbers.
axe_ctrl.pp_fit <- function(x, verbose = FALSE, ...) x

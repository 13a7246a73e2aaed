# Data that draw responses of a fit. Bootstraps of other packages take rows of the data again and
# pass them to update(); single rows of groups are no sample of a mixed model's data, and so each
# draw of rows becomes a draw of the response, of new groups, to which update() refits.

redrawn_data <- function(fit) structure(fit$frame, fit = quiet_fit(fit), class = "pp_redrawn")

#' @export
`[.pp_redrawn` <- function(x, ...) {
  structure(list(response = stats::simulate(attr(x, "fit"))[[1L]]), class = "pp_redraw")
}

#' @export
dim.pp_redrawn <- function(x) c(attr(x, "fit")$n, length(unclass(x)))

# The draw that `data` of a call of update() is; NULL for anything else.
redraw_of <- function(data, env) {
  value <- if (is.symbol(data)) get0(as.character(data), env)
  if (inherits(value, "pp_redraw")) value
}

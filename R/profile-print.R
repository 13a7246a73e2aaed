# What a profile shows of itself.

#' @param x,object A profile.
#' @param digits Significant digits.
#' @rdname profile.pp_fit
#' @export
print.pp_profile <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  points <- table(x$parameter)
  cat("Profile likelihood of ", length(points), " parameter", if (length(points) > 1L) "s", ", ",
      nrow(x), " points, to the level ", format(attr(x, "level")), "\n\n", sep = "")
  print(summary(x), digits = digits)
  invisible(x)
}

#' @rdname profile.pp_fit
#' @export
summary.pp_profile <- function(object, ...) {
  reject_dots(...)
  level <- min(0.95, attr(object, "level"))
  limits <- stats::confint(object, level = level)
  estimate <- unname(attr(object, "estimates"))
  table <- data.frame(
    estimate = estimate, limits,
    skew = (limits[, 2L] - estimate) / (estimate - limits[, 1L]),
    points = as.integer(table(object$parameter)), check.names = FALSE
  )
  row.names(table) <- rownames(limits)
  table$skew[!is.finite(table$skew)] <- NA_real_
  table
}

#' @param row.names,optional Not used; part of the generic.
#' @rdname profile.pp_fit
#' @export
as.data.frame.pp_profile <- function(x, row.names = NULL, optional = FALSE, ...) {
  reject_dots(...)
  for (name in c("estimates", "level", "type", "ends", "deviance")) attr(x, name) <- NULL
  class(x) <- "data.frame"
  x
}

# What is made of deletions: changes of the estimates, distances, tables.

#' @rdname influence.pp_fit
#' @export
dfbeta.pp_influence <- function(model, which = c("fixed", "var.cov", "theta"), ...) {
  at <- c(fixed = 1L, var.cov = 3L, theta = 11L)
  at <- at[[choose_option(which, names(at), "which")]]
  without <- model[[at + 1L]]
  without - rep(unname(model[[at]]), each = nrow(without))
}

#' @rdname influence.pp_fit
#' @export
dfbetas.pp_influence <- function(model, ...) {
  change <- dfbeta.pp_influence(model)
  se <- vapply(model[[6L]], function(v) sqrt(diag(v)), numeric(ncol(change)))
  change / matrix(t(se), nrow(change))
}

#' @rdname influence.pp_fit
#' @export
cooks.distance.pp_influence <- function(model, ...) {
  change <- dfbeta.pp_influence(model)
  known <- !is.na(diag(as.matrix(model$vcov)))
  if (!any(known)) {
    return(stats::setNames(rep(NA_real_, nrow(change)), rownames(change)))
  }
  V <- model$vcov[known, known, drop = FALSE]
  change <- change[, known, drop = FALSE]
  rowSums((change %*% in_own_units(V)) * change) / ncol(change)
}

# The inverse of a covariance matrix, by way of that of the correlations.
in_own_units <- function(V) {
  unit <- sqrt(diag(V))
  solve(V / tcrossprod(unit)) / tcrossprod(unit)
}

#' @rdname influence.pp_fit
#' @export
as.data.frame.pp_influence <- function(x, row.names = NULL, optional = FALSE, ...) {
  change <- dfbeta.pp_influence(x)
  V <- x$vcov
  p <- ncol(change)
  by_covariance <- vapply(seq_len(nrow(change)), function(i) {
    Vi <- x[[6L]][[i]]
    if (anyNA(Vi) || anyNA(V)) {
      return(rep(NA_real_, 3L))
    }
    ratio <- tryCatch(solve(V, Vi), error = function(e) NULL)
    inverse <- tryCatch(in_own_units(Vi), error = function(e) NULL)
    if (is.null(ratio) || is.null(inverse)) {
      return(rep(NA_real_, 3L))
    }
    c(sum(change[i, ] * (inverse %*% change[i, ])) / p, det(ratio), abs(sum(diag(ratio)) - p))
  }, numeric(3L))
  table <- data.frame(
    deleted = x$deleted, rows = unname(x$rows),
    cooks.distance = unname(cooks.distance.pp_influence(x)),
    mdffits = by_covariance[1L, ], covratio = by_covariance[2L, ], covtrace = by_covariance[3L, ],
    dfbetas.pp_influence(x), check.names = FALSE
  )
  names(table)[-(1:6)] <- paste0("dfbetas.", colnames(change))
  row.names(table) <- NULL
  table
}

#' @rdname influence.pp_fit
#' @export
print.pp_influence <- function(x, n = 5L, digits = 3L, ...) {
  print_influence_title(x)
  d <- cooks.distance.pp_influence(x)
  J <- length(d)
  shown <- utils::head(order(d, decreasing = TRUE, na.last = NA), n)
  cat("\nLargest Cook's distances (", sum(d > 4 / J, na.rm = TRUE), " beyond 4/J = ",
      format(4 / J, digits = digits), "), and dfbetas:\n", sep = "")
  table <- cbind("Cook's D" = d, dfbetas.pp_influence(x))[shown, , drop = FALSE]
  print(signif(table, digits))
  failed <- sum(is.na(d))
  if (failed) cat("\n", failed, " without a distance: a coefficient or the fit is lost\n", sep = "")
  invisible(x)
}

print_influence_title <- function(x) {
  J <- length(x$deleted)
  what <- if (x$groups == "case") "rows" else paste("levels of", x$groups)
  how <- if (x$method == "refit") "a refit without each" else "one step without each"
  cat("Influence of ", J, " ", what, ", by ", how, "\n", sep = "")
}

#' @rdname influence.pp_fit
#' @export
summary.pp_influence <- function(object, ...) {
  table <- as.data.frame.pp_influence(object)
  table <- table[order(table$cooks.distance, decreasing = TRUE), ]
  row.names(table) <- NULL
  range_of <- function(full, without) {
    low <- suppressWarnings(apply(without, 2L, min, na.rm = TRUE))
    high <- suppressWarnings(apply(without, 2L, max, na.rm = TRUE))
    data.frame(estimate = full, smallest = low, largest = high)
  }
  structure(
    list(
      influence = object[c("groups", "deleted", "method", "n")], table = table,
      fixed = range_of(object[[1L]], object[[2L]]),
      variances = range_of(object[[3L]], object[[4L]])
    ),
    class = "summary.pp_influence"
  )
}

#' @rdname influence.pp_fit
#' @export
print.summary.pp_influence <- function(x, n = 10L, digits = 3L, ...) {
  print_influence_title(x$influence)
  cat("\nFixed effects, with the range over the deletions:\n")
  print(signif(x$fixed, digits + 1L))
  cat("\nVariances and covariances:\n")
  print(signif(x$variances, digits + 1L))
  cat("\nThe most influential:\n")
  shown <- utils::head(x$table, n)
  numeric <- vapply(shown, is.double, NA)
  shown[numeric] <- lapply(shown[numeric], signif, digits)
  print(shown, row.names = FALSE)
  invisible(x)
}

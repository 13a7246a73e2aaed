#' Is a fit singular?
#'
#' A fit is singular when the estimated covariance of some random term is not of full rank: a
#' variance is zero, or a correlation is at its limit. That is a result, not a failure: the
#' optimum lies on the boundary, and it is certified by the sign of the derivative of the criterion
#' on the variance scale there.
#'
#' @param object A fit.
#' @param ... Ignored.
#' @return `TRUE` or `FALSE`. The components are named in `object$convergence$components`, a data
#'   frame with columns `term` (the grouping factor) and `what`.
#' @examples
#' fit <- lmm(Yield ~ 1 + (1 | Batch), Dyestuff2)
#' is_singular(fit)
#' fit$convergence$components
#' @export
is_singular <- function(object, ...) UseMethod("is_singular")

#' @rdname is_singular
#' @export
is_singular.pp_fit <- function(object, ...) object$convergence$singular

# One row a singular component, from the null directions that the engine found: `combination` has
# one column a direction a with Var(a'b) = 0, in the user's columns.
singular_components <- function(null_sets, optimum, random) {
  correlated <- vapply(random, function(term) term$structure %in% c("cs", "ar1"), NA)
  if (!length(null_sets) && !any(correlated)) {
    return(component_frame(character(), character()))
  }
  what <- lapply(null_sets, function(set) {
    null_description(set$combination, random[[set$term]], optimum$Lambda[[set$term]])
  })
  at <- vapply(null_sets, function(set) set$term, 1L)
  limits <- if (any(correlated)) limits_of_rho(optimum$theta, random)
  what <- c(what, limits)
  at <- c(at, if (any(correlated)) seq_along(random))
  names <- vapply(random, function(term) term$name, "")
  component_frame(rep(names[at], lengths(what)), as.character(unlist(what)))
}

# data.frame() costs more than the refit of a small model.
component_frame <- function(term, what) {
  structure(list(term = term, what = what), class = "data.frame",
            row.names = .set_row_names(length(term)))
}

null_description <- function(a, term, Lambda) {
  columns <- term$columns
  zero <- rowSums(Lambda^2) == 0 | term$structure != "us" & rowSums(a^2) > 0
  rest <- ncol(a) - sum(zero)
  what <- sprintf("the variance of %s is zero", columns[zero])
  if (rest <= 0L) {
    return(what)
  }
  left <- which(!zero)
  if (length(left) == 2L) {
    sign <- sum(Lambda[left[1L], ] * Lambda[left[2L], ])
    return(c(what, sprintf("the correlation of %s and %s is %s1", columns[left[1L]],
                           columns[left[2L]], if (sign > 0) "+" else "-")))
  }
  of <- if (any(zero)) paste(" of", paste(columns[left], collapse = ", ")) else ""
  c(what, sprintf("the covariance%s has rank %d of %d", of, length(left) - rest, length(left)))
}

limits_of_rho <- function(theta, random) {
  lapply(seq_along(random), function(t) {
    term <- random[[t]]
    if (!term$structure %in% c("cs", "ar1")) {
      return(NULL)
    }
    rho <- theta[sum(lengths(lapply(random[seq_len(t)], function(x) theta_roles(list(x)))))]
    low <- if (term$structure == "ar1") -1 else -1 / (length(term$columns) - 1)
    if (min(1 - rho, rho - low) > 1e-5) {
      return(NULL)
    }
    sprintf("the correlation is at its limit, %.4g", rho)
  })
}

describe_components <- function(components) {
  paste(sprintf("in %s, %s", components$term, components$what), collapse = "; ")
}

# Fitted values and residuals: one pass over the rows, without Z.

#' Fitted values and residuals
#'
#' Fitted values include the random effects and the offset. Residuals are lme4's: `"response"` is
#' `y - fitted`; `"pearson"` and `"deviance"` multiply it by the square root of the prior weight;
#' `"scaled"` divides that by the residual standard deviation.
#'
#' @param object A fit, as [lmm()] returns it.
#' @param type `"response"` (default), `"pearson"`, `"deviance"`, `"working"` (the same as
#'   `"response"`) or `"scaled"`.
#' @param scaled `TRUE` divides the residuals by `sigma(object)`. Default `FALSE`.
#' @param ... Not used; anything given here is an error.
#' @return A numeric vector named by the rows of the data, in units of the response (without unit if
#'   scaled). After `na.action = na.exclude` it has `NA` where the rows were left out.
#' @section Errors: A `type` that does not exist is of class `partialpool_error_argument`.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' head(fitted(fit), 3)
#' quantile(residuals(fit, "scaled"))
#' @name residuals.pp_lmm
#' @importFrom stats fitted residuals
NULL

#' @rdname residuals.pp_lmm
#' @export
fitted.pp_lmm <- function(object, ...) {
  stats::napredict(object$na.action, named_by_row(fitted_values(object), object))
}

#' @rdname residuals.pp_lmm
#' @export
residuals.pp_lmm <- function(object,
                             type = c("response", "pearson", "deviance", "working", "scaled"),
                             scaled = FALSE, ...) {
  reject_dots(...)
  type <- choose_option(type, c("response", "pearson", "deviance", "working", "scaled"), "type")
  r <- named_by_row(object$y - fitted_values(object), object)
  if (!is.null(object$weights) && !type %in% c("response", "working")) {
    r <- r * sqrt(object$weights)
  }
  if (scaled || type == "scaled") {
    r <- r / object$sigma
  }
  stats::naresid(object$na.action, r)
}

fitted_values <- function(fit) {
  eta <- fixed_part(fit$X, fit$coefficients, fit$offset)
  for (t in seq_along(fit$random)) {
    term <- fit$random[[t]]
    eta <- eta + random_part(term$codes, term$z, fit$b[[t]])
  }
  eta
}

fixed_part <- function(X, beta, offset = NULL) {
  eta <- as.vector(X %*% beta)
  if (is.null(offset)) eta else eta + offset
}

# z' b of every row for one random term. A code of 0 is a level that was not in the data: its mode
# is zero. A missing code gives a missing value.
random_part <- function(codes, z, b) {
  unseen <- which(codes == 0L)
  if (length(unseen)) codes[unseen] <- NA_integer_
  value <- if (is.null(z)) {
    b[codes, 1L]
  } else if (ncol(z) == 1L) {
    z[, 1L] * b[codes, 1L]
  } else {
    rowSums(z * b[codes, , drop = FALSE])
  }
  value <- unname(value)
  value[unseen] <- 0
  value
}

named_by_row <- function(x, fit) {
  names(x) <- row.names(fit$frame)
  x
}

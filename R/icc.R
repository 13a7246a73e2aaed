#' Intraclass correlation
#'
#' The share of variance between groups: the correlation of two responses of one group. `adjusted`
#' is the variance of the random effects over that of random effects and residual, given the fixed
#' effects; `unadjusted` has the variance of the fixed effects in the denominator too. Variances are
#' those of [r_squared()].
#'
#' @inheritParams r_squared
#' @param by_term `TRUE` for one row a random term. Default `FALSE`: all terms together.
#' @return A named numeric vector with `adjusted` and `unadjusted`; with `by_term` a matrix with
#'   these columns and a row for each random term. `NA` without random effects.
#' @section Errors: As [r_squared()].
#' @references Nakagawa, Johnson and Schielzeth (2017), Journal of the Royal Society Interface 14,
#'   20170213.
#' @seealso [r_squared()]
#' @examples
#' fit <- lmm(strength ~ 1 + (1 | batch/cask), Pastes)
#' icc(fit)
#' icc(fit, by_term = TRUE)
#' @export
icc <- function(fit, ...) UseMethod("icc")

#' @rdname icc
#' @export
icc.pp_fit <- function(fit, method = NULL, by_term = FALSE, ...) {
  reject_dots(...)
  by_term <- check_flag(by_term, "by_term")
  parts <- variance_parts(fit, method)
  given_fixed <- sum(parts$random) + parts$row_effects + parts$distribution
  shares <- cbind(
    adjusted = parts$random / given_fixed, unadjusted = parts$random / (given_fixed + parts$fixed)
  )
  if (by_term) {
    return(shares)
  }
  if (!length(parts$random)) c(adjusted = NA_real_, unadjusted = NA_real_) else colSums(shares)
}

#' @export
icc.default <- function(fit, ...) abort_no_variance_parts(fit)

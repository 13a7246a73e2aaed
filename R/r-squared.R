#' Variance explained: R-squared
#'
#' Three shares of variance. `marginal`: of the fixed effects; `conditional`: of fixed and random
#' effects together, both of the variance that the model gives the response (Nakagawa, Johnson &
#' Schielzeth 2017); `residual`: one less the sum of squares of the residuals, given the random
#' effects, over that of the response about its mean.
#'
#' The variance of the fixed effects is the sample variance of `X beta` (an offset is not counted).
#' That of a random term is its mean over the rows, which covers random slopes (Johnson 2014). The
#' remaining variance is, for [lmm()], the residual one, `sigma^2 / weights` on average. For
#' [glmm()] all are on the scale of the link, and the variance of the distribution is brought there
#' by `method`:
#' \describe{
#'   \item{`"theoretical"`}{binomial families: that of the distribution behind the link, `pi^2 / 3`
#'     (logit), 1 (probit), `pi^2 / 6` (cloglog). The default there.}
#'   \item{`"lognormal"`}{log link: `log(1 + v)`, with `v` the variance of the response over its
#'     squared mean, which is `1 / mu` for Poisson, `1 / mu + 1 / phi` for `nbinom2()`, `phi` for
#'     Gamma. The default there.}
#'   \item{`"delta"`}{any link: the variance of the response over the squared slope of the inverse
#'     link. The default for other links.}
#'   \item{`"trigamma"`}{log link: `trigamma(1 / v)`.}
#' }
#' The mean at which this is taken is that of the model without predictors, with the same random
#' terms, fitted to the same response, averaged over its random effects (with the links inverse and
#' 1/mu^2, which are not defined everywhere, where these are zero). A random effect for each row
#' stands for overdispersion and counts as residual variance. Zero inflation is not counted: the
#' shares are those of the conditional model.
#'
#' @param fit A fit, as [lmm()] or [glmm()] returns it.
#' @param method For [glmm()], how the variance of the distribution is computed: see above. Default
#'   `NULL`.
#' @param ... Not used; anything given here is an error.
#' @return A named numeric vector of class `"pp_r_squared"`: `marginal`, `conditional`, `residual`.
#'   Without random effects the first two are equal. Its attribute `"variance"` has the parts:
#'   `fixed`, one for each random term, `residual`.
#' @section Errors: A `method` that does not apply is of class `partialpool_error_argument`, as is a
#'   fit whose family has no variance.
#' @references Nakagawa, Johnson and Schielzeth (2017), The coefficient of determination R2 and
#'   intra-class correlation coefficient from generalized linear mixed-effects models revisited and
#'   expanded, Journal of the Royal Society Interface 14, 20170213. Johnson (2014), Extension of
#'   Nakagawa & Schielzeth's R2GLMM to random slopes models, Methods in Ecology and Evolution 5,
#'   944-946.
#' @seealso [icc()]
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' r_squared(fit)
#' counts <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
#' r_squared(counts, method = "delta")
#' @export
r_squared <- function(fit, ...) UseMethod("r_squared")

#' @rdname r_squared
#' @export
r_squared.pp_fit <- function(fit, method = NULL, ...) {
  reject_dots(...)
  parts <- variance_parts(fit, method)
  # In units of the largest: squares of extreme units do not exist.
  total <- parts$fixed + sum(parts$random) + parts$row_effects + parts$distribution
  structure(
    c(
      marginal = parts$fixed / total, conditional = (parts$fixed + sum(parts$random)) / total,
      residual = residual_share(fit)
    ),
    variance = parts$unit^2 * c(
      fixed = parts$fixed, parts$random, residual = parts$row_effects + parts$distribution
    ),
    method = parts$method, class = "pp_r_squared"
  )
}

#' @export
r_squared.default <- function(fit, ...) abort_no_variance_parts(fit)

abort_no_variance_parts <- function(fit) {
  pp_abort("argument", c(
    x = "{.arg fit} must be a fit by {.fn lmm} or {.fn glmm}.",
    i = "It is {.obj_type_friendly {fit}}.",
    ">" = if (inherits(fit, "pp_kernel_fit")) "{.fn VarCorr} of a kernel model has the share of the
          kernel as its attribute {.val proportion}."
  ))
}

# 1 - RSS / TSS, about the weighted mean, or about zero in a model without intercept and offset.
residual_share <- function(fit) {
  fitted <- if (inherits(fit, "pp_glmm")) fitted_mean(fit) else fitted_values(fit)
  w <- if (!is.null(fit$trials)) fit$trials else if (!is.null(fit$weights)) fit$weights else 1
  w <- rep_len(w / max(w), fit$n)
  size <- max(abs(fit$y))
  y <- fit$y / size
  center <- sum(w * y) / sum(w)
  1 - sum(w * (y - fitted / size)^2) / sum(w * (y - center)^2)
}

#' @param x An R-squared.
#' @param digits Significant digits to print.
#' @rdname r_squared
#' @export
print.pp_r_squared <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  cat("R-squared\n")
  meaning <- c(
    marginal = "fixed effects", conditional = "fixed and random effects",
    residual = "1 - RSS / TSS, given the random effects"
  )
  cat(sprintf("  %-12s %s  %s\n", names(x), format(unclass(x)[names(x)], digits = digits),
              meaning[names(x)]), sep = "")
  print_distribution_method(attr(x, "method"))
  invisible(x)
}

print_distribution_method <- function(method) {
  if (!is.null(method)) {
    cat("Variance of the distribution on the link scale: ", method, "\n", sep = "")
  }
}

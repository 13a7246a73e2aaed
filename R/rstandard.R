# Residuals in units of their own standard deviation, and Cook's distance of the rows.

#' Standardised residuals and Cook's distance of the rows
#'
#' With the leverage `h` of a row ([hatvalues()][hatvalues.pp_fit]), its Pearson residual `e` and
#' its deviance residual `d`:
#' \describe{
#'   \item{`rstandard()`}{`e / (sigma sqrt(1 - h))`, or with `type = "deviance"` the same of `d`.}
#'   \item{`rstudent()`}{`sign(d) sqrt(d^2 + h e^2 / (1 - h)) / sigma`, an approximation to the
#'     change of the deviance when the row is deleted, as for [stats::glm()] and in lme4.}
#'   \item{`cooks.distance()`}{without `groups`: `(e / (1 - h))^2 h / (sigma^2 p)`, with p fixed
#'     effects, as in lme4: how far all fitted values move when the row is deleted, the variance
#'     parameters held. With `groups`: that of the fixed effects, see
#'     [influence()][influence.pp_fit].}
#' }
#' The variance of a residual given the random effects is `sigma^2 (1 - h)` only about: shrinkage
#' makes it a little smaller. For a family whose variance is proportional to its dispersion `sigma`
#' is the root of that, else it is one.
#'
#' @param model A fit, as [lmm()] or [glmm()] returns it.
#' @param type `"pearson"` (default) or `"deviance"`.
#' @param groups Name of a grouping factor or column by whose levels rows are deleted together;
#'   default `NULL`: the rows one by one.
#' @param ... For `cooks.distance()` with `groups`, and for `dfbeta()` and `dfbetas()`: further
#'   arguments of [influence()][influence.pp_fit]. Else not used; anything given here is an error.
#' @return A numeric vector named by the rows, or by the levels of `groups`; `NaN` where the
#'   leverage is one, `NA` for rows left out by `na.action = na.exclude`.
#' @section Errors: A `type` that does not exist is of class `partialpool_error_argument`; fits by
#'   [kernel_lmm()] and [kernel_glmm()] have none of these, of class `partialpool_error_fit`.
#' @references
#' Cook (1977), Detection of influential observation in linear regression, Technometrics 19, 15-18.
#'
#' Loy and Hofmann (2014), HLMdiag: A suite of diagnostics for hierarchical linear models in R,
#' Journal of Statistical Software 56(5). \doi{10.18637/jss.v056.i05}
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' head(rstandard(fit))
#' tail(sort(cooks.distance(fit)), 3)
#' cooks.distance(fit, "Subject")
#' @importFrom stats rstandard
#' @export
rstandard.pp_fit <- function(model, type = c("pearson", "deviance"), ...) {
  reject_dots(...)
  type <- choose_option(type, c("pearson", "deviance"), "type")
  r <- rows_residuals(model, type) / residual_sigma(model)
  back_to_rows(r / sqrt(1 - leverages(model)), model)
}

#' @rdname rstandard.pp_fit
#' @importFrom stats rstudent
#' @export
rstudent.pp_fit <- function(model, ...) {
  reject_dots(...)
  h <- leverages(model)
  d <- rows_residuals(model, "deviance")
  r <- rows_residuals(model, "pearson")
  back_to_rows(sign(d) * sqrt(d^2 + h * r^2 / (1 - h)) / residual_sigma(model), model)
}

#' @rdname rstandard.pp_fit
#' @importFrom stats cooks.distance
#' @export
cooks.distance.pp_fit <- function(model, groups = NULL, ...) {
  if (!is.null(groups)) {
    return(stats::cooks.distance(influence.pp_fit(model, groups, ...)))
  }
  reject_dots(...)
  h <- leverages(model)
  r <- rows_residuals(model, "pearson") / residual_sigma(model)
  back_to_rows((r / (1 - h))^2 * h / length(model$coefficients), model)
}

#' @rdname rstandard.pp_fit
#' @importFrom stats dfbeta
#' @export
dfbeta.pp_fit <- function(model, groups = NULL, ...) {
  stats::dfbeta(influence.pp_fit(model, groups, ...))
}

#' @rdname rstandard.pp_fit
#' @importFrom stats dfbetas
#' @export
dfbetas.pp_fit <- function(model, groups = NULL, ...) {
  stats::dfbetas(influence.pp_fit(model, groups, ...))
}

# Of the rows of the fit alone, none put back.
rows_residuals <- function(fit, type) {
  fit["na.action"] <- list(NULL)
  unname(stats::residuals(fit, type))
}

residual_sigma <- function(fit) if (inherits(fit, "pp_lmm")) fit$sigma else residual_scale(fit)

back_to_rows <- function(x, fit) {
  x[is.infinite(x)] <- NaN
  stats::naresid(fit$na.action, named_by_row(x, fit))
}

# Kernel models ------------------------------------------------------------------------------------

abort_no_deletion <- function(what) {
  pp_abort("fit", c(
    x = "There is no {.fn {what}} of a fit to a kernel as a whole.",
    i = "Its rows depend on each other by the kernel: none is deleted without the others.",
    ">" = "Use {.fn hatvalues} and {.code residuals(fit, \"quantile\")}, or fit by
           {.code lmm(kernel = )}."
  ))
}

#' @export
rstandard.pp_kernel_fit <- function(model, ...) abort_no_deletion("rstandard")

#' @export
rstudent.pp_kernel_fit <- function(model, ...) abort_no_deletion("rstudent")

#' @export
cooks.distance.pp_kernel_fit <- function(model, ...) abort_no_deletion("cooks.distance")

#' @export
dfbeta.pp_kernel_fit <- function(model, ...) abort_no_deletion("dfbeta")

#' @export
dfbetas.pp_kernel_fit <- function(model, ...) abort_no_deletion("dfbetas")

#' @importFrom stats influence
#' @export
influence.pp_kernel_fit <- function(model, ...) abort_no_deletion("influence")

# Fitted values and residuals of a generalised linear mixed model.

#' Fitted values and residuals of a generalised linear mixed model
#'
#' Fitted values are on the scale of the response, given the random effects: for binomial families
#' probabilities, with zero inflation `(1 - pi) mu`, in a zero-truncated family the mean of the
#' truncated distribution.
#'
#' With fitted value `m` and prior weight `w` (times the number of trials for binomial families):
#' \describe{
#'   \item{`"deviance"`}{(default) the signed root of `w d`, where `d` is twice the distance of the
#'     log density of the row from its largest value over `mu`, the other parameters held. In the
#'     families of [stats::glm()] and Tweedie `d` is multiplied by the dispersion, as [stats::glm()]
#'     and lme4 do; the sign is that of `y - mu`. In `beta()`, `nbinom1()`, `betabinomial()` and the
#'     truncated families the largest value is found numerically, and is not at `mu = y`.}
#'   \item{`"pearson"`}{`(y - m) sqrt(w / V)`, `V` the variance of the response, without the factor
#'     `phi` where the variance is proportional to it. For Student t with two degrees of freedom or
#'     fewer the variance is infinite, which is an error.}
#'   \item{`"response"`}{`y - m`.}
#'   \item{`"working"`}{`(y - m) / (dmu/deta)`, on the scale of the link.}
#'   \item{`"quantile"`}{randomised quantile residuals: `qnorm(u)`, with `u` the distribution
#'     function at `y`, drawn evenly between its values below and at `y` where it jumps. If the
#'     model holds they are standard normal, whatever the family, given the random effects. Prior
#'     weights other than trials do not enter.}
#' }
#'
#' @param object A fit, as [glmm()] returns it.
#' @param type `"deviance"` (default, as lme4), `"pearson"`, `"working"`, `"response"` or
#'   `"quantile"`.
#' @param scaled `TRUE` divides deviance and Pearson residuals by `sigma(object)` where the variance
#'   is proportional to the dispersion. Default `FALSE`.
#' @param seed For `"quantile"`: a seed for the random number generator, whose state is put back
#'   afterwards. `NULL` (default) goes on from the present state.
#' @param ... Not used; anything given here is an error.
#' @return A numeric vector named by the rows of the data. After `na.action = na.exclude` it has
#'   `NA` where the rows were left out.
#' @section Errors: A `type` that does not exist is of class `partialpool_error_argument`.
#' @references Dunn and Smyth (1996), Randomized quantile residuals, Journal of Computational and
#'   Graphical Statistics 5, 236-244.
#' @examples
#' fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
#' head(fitted(fit), 3)
#' sum(residuals(fit, "pearson")^2)
#' qqnorm(residuals(fit, "quantile", seed = 1))
#' @name residuals.pp_glmm
NULL

#' @rdname residuals.pp_glmm
#' @export
fitted.pp_glmm <- function(object, ...) {
  stats::napredict(object$na.action, named_by_row(fitted_mean(object), object))
}

#' @rdname residuals.pp_glmm
#' @export
residuals.pp_glmm <- function(object,
                              type = c("deviance", "pearson", "working", "response", "quantile"),
                              scaled = FALSE, seed = NULL, ...) {
  reject_dots(...)
  options <- c("deviance", "pearson", "working", "response", "quantile")
  type <- choose_option(type, options, "type")
  r <- switch(type,
    deviance = deviance_residuals(object),
    pearson = check_variance(object, pearson_residuals(object)),
    working = working_residuals(object),
    response = object$y - fitted_mean(object),
    quantile = with_seed(seed, quantile_residuals(object))
  )
  if (scaled && type %in% c("deviance", "pearson")) r <- r / residual_scale(object)
  stats::naresid(object$na.action, named_by_row(r, object))
}

fitted_mean <- function(fit) response_mean(distribution_of(fit), fitted_parameters(fit))

deviance_rows <- function(fit) {
  response_deviance(distribution_of(fit), fit$y, fitted_parameters(fit))
}

deviance_residuals <- function(fit) {
  rows <- deviance_rows(fit)
  r <- ifelse(rows$above, 1, -1) * sqrt(rows$deviance)
  if (is.null(fit$weights)) r else r * sqrt(fit$weights)
}

pearson_residuals <- function(fit) {
  family <- distribution_of(fit)
  p <- fitted_parameters(fit)
  variance <- response_variance(family, p)
  if (family$scaled) variance <- variance / p$phi
  r <- (fit$y - response_mean(family, p)) / sqrt(variance)
  if (is.null(fit$weights)) r else r * sqrt(fit$weights)
}

working_residuals <- function(fit, eta = fitted_values(fit)) {
  (fit$y - response_mean(distribution_of(fit), fitted_parameters(fit, eta))) /
    fit$family$mu.eta(eta)
}

# Pearson residuals over sigma; NA where there is no variance.
scaled_residuals.pp_glmm <- function(fit) {
  if (has_variance(fit)) pearson_residuals(fit) / residual_scale(fit) else rep(NA_real_, fit$n)
}

check_variance <- function(fit, r) {
  if (has_variance(fit)) {
    return(r)
  }
  pp_abort("argument", c(
    x = "There are no Pearson residuals: the variance of the response is infinite.",
    i = "The fit has {signif(fit$shape, 3)} degrees of freedom; a variance needs more than 2.",
    ">" = "Use {.code type = \"quantile\"} or {.code type = \"deviance\"}."
  ))
}

has_variance <- function(fit) fit$family$family != "t" || fit$shape > 2

# In the tail where it is small the distribution function is taken from that side.
quantile_residuals <- function(fit) {
  check_distribution(fit)
  quantile_values(distribution_of(fit), fit$y, fitted_parameters(fit))
}

quantile_values <- function(family, y, p) {
  share <- stats::runif(length(y))
  between <- function(lower) {
    below <- response_cdf_below(family, y, p, lower)
    below + share * (response_cdf(family, y, p, lower) - below)
  }
  u <- between(TRUE)
  ifelse(u < 0.5, stats::qnorm(u), stats::qnorm(between(FALSE), lower.tail = FALSE))
}

# A quasi family has a mean and a variance, no more.
check_distribution <- function(fit) {
  if (!is.null(fit$family$quasi)) {
    pp_abort("argument", c(
      x = "The family {.val {fit$family$quasi}} is no distribution: it has no distribution function
           and nothing to draw from.",
      ">" = "Fit with {.code betabinomial()}, {.code nbinom2()} or a random effect for each row."
    ))
  }
}

# sigma of each row where the variance is proportional to phi, else 1.
residual_scale <- function(fit) {
  scaled <- distribution_of(fit)$scaled || !is.null(fit$family$quasi)
  if (scaled) sqrt(row_dispersion(fit)) else 1
}

# Runs `code` with a seed of its own and puts the generator back.
with_seed <- function(seed, code) {
  if (is.null(seed)) {
    return(code)
  }
  before <- generator_state()
  on.exit(assign(".Random.seed", before, envir = globalenv()))
  set.seed(seed)
  code
}

# The diagonal of the matrix that takes the response to the fitted values.

#' Leverages
#'
#' The diagonal of the hat matrix `H`, which takes the response to the fitted values given the
#' random effects: how much a response pulls its own fitted value towards itself.
#'
#' With `A = [X, Z Lambda]`, prior weights `W` and `C = A' W A + D`, where `D` is the identity for
#' the random effects and zero for the fixed ones, `H = A C^-1 A' W`: lme4's definition. Its trace
#' is the effective number of parameters. The elements of `C^-1` that are needed come from the
#' selected inverse of the Cholesky factor, so that the cost grows with the rows as that of a fit.
#'
#' For a fit by [glmm()] `W` holds the working weights of the last step, `w mu'^2 / Var(y)`, as for
#' a generalised linear model: `H` is the derivative of the fitted linear predictors by the working
#' responses, the variance parameters held. In families where these are not the information of a row
#' (such as [t_family()], [beta_family()], truncated ones and all with zero inflation) it is the
#' curvature of its log-likelihood. (lme4 1.1 takes the prior weights as the outer `W`, with a
#' warning that the result may not make sense: its leverages can be greater than one.) A prior of
#' the fixed effects adds its precisions to `D`.
#'
#' For a fit by [kernel_lmm()] the fitted values are those of the latent variable, see [latent()].
#'
#' @param model A fit.
#' @param fullHatMatrix `TRUE` returns the matrix `W^(1/2) A C^-1 A' W^(1/2)`, which has the same
#'   diagonal; n x n numbers. Default `FALSE`.
#' @param ... Not used; anything given here is an error.
#' @return A numeric vector with a value between 0 and 1 per row, named by the rows; `NA` for rows
#'   left out by `na.action = na.exclude`. Or an n x n matrix.
#' @section Errors: A fit by expectation propagation to a kernel ([kernel_glmm()]) and one to
#'   several traits have no hat matrix: class `partialpool_error_fit`.
#' @references Demidenko and Stukel (2005), Influence analysis for linear mixed-effects models,
#'   Statistics in Medicine 24, 893-909. \doi{10.1002/sim.1974}
#' @seealso [rstandard()][rstandard.pp_fit], [influence()][influence.pp_fit]
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' head(hatvalues(fit))
#' # the effective number of parameters
#' sum(hatvalues(fit))
#' @importFrom stats hatvalues
#' @export
hatvalues.pp_fit <- function(model, fullHatMatrix = FALSE, ...) {
  reject_dots(...)
  if (check_flag(fullHatMatrix, "fullHatMatrix")) {
    return(hat_matrix(model))
  }
  stats::napredict(model$na.action, named_by_row(leverages(model), model))
}

#' @rdname hatvalues.pp_fit
#' @export
hatvalues.pp_kernel_fit <- function(model, ...) {
  reject_dots(...)
  if (inherits(model, c("pp_kernel_traits", "pp_kernel_glmm"))) {
    pp_abort("fit", c(
      x = "There is no hat matrix of this fit.",
      i = if (inherits(model, "pp_kernel_traits")) "It has several traits."
          else "Expectation propagation is not linear in the response.",
      ">" = "Look at {.code residuals(fit, \"quantile\")}."
    ))
  }
  stats::setNames(kernel_leverages(model), model$names)
}

# One number a row of the fit.
leverages <- function(fit) {
  linear <- as_linear(fit)
  if (!is.null(fit$prior)) {
    parts <- deletion_parts(fit)
    fixed <- rowSums((parts$X %*% parts$inverse) * parts$X)
    free <- rowSums((parts$X %*% parts$unpenalised) * parts$X)
    return(linear$weights * (conditional_engine_variance(linear) + fixed - free))
  }
  linear$weights * conditional_engine_variance(linear)
}

# Diagonal of A C^-1 A'.
conditional_engine_variance <- function(linear) {
  eng <- engine_create(engine_rows(linear), TRUE, "automatic")
  codes <- lapply(linear$random, function(term) as.integer(term$codes))
  z <- lapply(linear$random, function(term) term$z)
  as.vector(engine_prediction(eng, unname(linear$theta), linear$X, codes, z))
}

hat_matrix <- function(fit) {
  parts <- deletion_parts(fit)
  root <- sqrt(parts$weights)
  H <- parts$X %*% parts$inverse %*% t(parts$X)
  if (ncol(parts$ZL)) {
    ZLt <- Matrix::t(parts$ZL)
    H <- H + as.matrix(parts$ZL %*% Matrix::solve(parts$L, ZLt, system = "A"))
  }
  H <- H * tcrossprod(root)
  rows <- row.names(fit$frame)
  structure(H, dimnames = list(rows, rows))
}

# Linear models ------------------------------------------------------------------------------------

# A fit as a linear mixed model of class "pp_lmm" with weights: itself, or that of the last step of
# iteratively reweighted least squares, with sigma one and factors that are absolute. Its responses
# are such that the estimates solve its equations.
as_linear <- function(fit) {
  if (inherits(fit, "pp_lmm")) {
    if (is.null(fit$weights)) fit$weights <- rep(1, fit$n)
    return(fit)
  }
  eta <- fitted_values(fit)
  w <- row_information(fit, eta)
  fit$y <- eta + row_scores(fit, eta) / w
  fit$weights <- w
  fit$sigma <- 1
  fit$REML <- TRUE
  structure(fit, class = c("pp_lmm", "pp_fit"))
}

# Families whose score by eta is (y - mu) mu' / Var(y).
quasi_scores <- c("binomial", "poisson", "gaussian", "Gamma", "inverse.gaussian", "nbinom2",
                  "tweedie")

has_quasi_score <- function(fit) {
  fit$family$family %in% quasi_scores && is.null(fit$zi) || !is.null(fit$family$quasi)
}

# What a row tells of its linear predictor: the expected curvature of its log-likelihood, in other
# families that at the estimates. Where that is negative, as of a response far out in the tail of t,
# the row has next to no weight.
row_information <- function(fit, eta) {
  if (has_quasi_score(fit)) {
    return(pmax(working_weights(fit, eta) / residual_scale(fit)^2, 1e-300))
  }
  # Steps of a size at which the error of rounding is as small as that of the formula.
  curvature <- -by_differences(fit, eta, 1e-2, c(-1, 16, -30, 16, -1) / 12, 2L)
  pmax(curvature, 1e-8 * max(curvature))
}

# Derivative of each row's log-likelihood by its linear predictor.
row_scores <- function(fit, eta) {
  if (has_quasi_score(fit)) {
    return(working_weights(fit, eta) / residual_scale(fit)^2 * working_residuals(fit, eta))
  }
  by_differences(fit, eta, 1e-4, c(1, -8, 0, 8, -1) / 12, 1L)
}

# A derivative of each row's log-likelihood from its values at five points.
by_differences <- function(fit, eta, step, factors, order) {
  family <- distribution_of(fit)
  step <- step * pmax(1, abs(eta))
  values <- vapply(-2:2, function(k) {
    response_log_density(family, fit$y, fitted_parameters(fit, eta + k * step))
  }, eta)
  derivative <- drop(matrix(values, length(eta)) %*% factors) / step^order
  if (is.null(fit$weights)) derivative else derivative * fit$weights
}

response_log_density <- function(family, y, p) {
  own <- family$log_density(y, p)
  ifelse(p$zero > 0, log((y == 0) * p$zero + (1 - p$zero) * exp(own)), own)
}

# Kernels ------------------------------------------------------------------------------------------

# H = S + (I - S) X (X'(I - S)X)^-1 X'(I - S) in units of the noise, S the shrinkage of the kernel.
kernel_leverages <- function(fit) {
  parts <- kernel_shrinkage(fit)
  h <- parts$own
  if (!ncol(fit$X) || isTRUE(fit$fixed[["beta"]])) {
    return(h)
  }
  RX <- parts$remainder(fit$X)
  information <- crossprod(fit$X, RX)
  # Without noise the fitted values are the responses.
  if (rcond(information) < 1e-14) {
    return(h)
  }
  h + rowSums((RX %*% solve(information)) * RX) * parts$noise
}

# list(own: the diagonal of S; remainder(A): V^-1 A times a number; noise: the variance of each row
# for itself in that unit).
kernel_shrinkage <- function(fit) {
  if (fit$model != "spectral") {
    sigma0 <- latent_prior(fit)
    R <- chol2inv(chol(sigma0 + diag(fit$noise_var, fit$n)))
    return(list(own = rowSums(sigma0 * R), remainder = function(A) R %*% A, noise = fit$noise_var))
  }
  if (is.null(fit$kernel)) {
    return(list(own = numeric(fit$n), remainder = identity, noise = 1))
  }
  v <- kernel_variances(fit)
  spectrum <- kernel_spectrum(fit$kernel)
  Q <- spectrum$vectors
  share <- v[["v0"]] * spectrum$values / (v[["v0"]] * spectrum$values + v[["v1"]])
  list(
    own = as.vector(Q^2 %*% share), noise = 1,
    remainder = function(A) A - Q %*% (share * crossprod(Q, A))
  )
}

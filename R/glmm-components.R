# The matrices of a generalised linear mixed model, and what its engine says about a fit.

#' The pieces of a fitted generalised linear mixed model
#'
#' The matrices of the model `eta = X beta + Z b + offset` with `b = Lambda u` and `Var(u) = I` (the
#' factor of a generalised model is absolute), the estimates, and the working response and weights
#' of the last step of penalised iteratively reweighted least squares, in which the model looks like
#' a linear one.
#'
#' @param object A fit, as [glmm()] returns it.
#' @param ... Not used; anything given here is an error.
#' @return A list with `X` (n x p), `Z` (sparse, n x q), `Lambda` (sparse, q x q), `theta`, `beta`,
#'   `b` and `u` (length q), `eta` and `mu` (length n; `mu` is the inverse link of `eta`),
#'   `working_response` and `working_weights` (`w mu'^2 / Var(y)`, length n), `L` (the factor of
#'   `Lambda' Z' W Z Lambda + I`, with these weights, as [Matrix::Cholesky()] returns it; `NULL`
#'   without random effects), `y`, `trials`, `weights`, `offset`, `phi` and `zero` (dispersion and
#'   probability of an extra zero, length n), `shape`, and `codes` (a list of level numbers, one
#'   vector per term).
#' @references Bates, Maechler, Bolker and Walker (2015), Fitting linear mixed-effects models using
#'   lme4, Journal of Statistical Software 67(1).
#' @examples
#' fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
#' parts <- components(fit)
#' all.equal(as.vector(parts$X %*% parts$beta + parts$Z %*% parts$b), unname(parts$eta))
#' @export
components.pp_glmm <- function(object, ...) {
  reject_dots(...)
  Z <- random_matrix(object)
  Lambda <- random_factor(object)
  eta <- fitted_values(object)
  p <- fitted_parameters(object, eta)
  w <- working_weights(object, eta) / residual_scale(object)^2
  ones <- rep(1, object$n)
  c(
    linear_pieces(object, Z, Lambda),
    list(
      u = spherical_effects(object), eta = eta, mu = p$mu,
      working_response = eta + working_residuals(object, eta), working_weights = w,
      L = penalised_factor(Z %*% Lambda, w), trials = ones * p$trials, phi = p$phi, zero = p$zero,
      shape = object$shape
    )
  )
}

# u with b = Lambda u. At the mode u lies in the row space of Lambda, so that of all solutions the
# shortest is meant.
spherical_effects <- function(fit) {
  u <- Map(function(b, Lambda, term) {
    s <- svd(Lambda)
    kept <- s$d > max(s$d) * 1e-10
    inverse <- s$v[, kept, drop = FALSE] %*% (t(s$u[, kept, drop = FALSE]) / s$d[kept])
    u <- inverse %*% t(b)
    if (has_kernel(term)) t(solve_loading(term$kernel$loading, t(u))) else u
  }, fit$b, fit$Lambda, fit$random)
  as.numeric(unlist(u, use.names = FALSE))
}

#' @rdname gradient
#' @param par For [glmm()]: numeric vector of parameters at which to take it, in the order of the
#'   result. Default: the estimates.
#' @export
gradient.pp_glmm <- function(object, par = NULL, ...) {
  estimates <- engine_parameters(object)
  if (object$method == "pql") {
    pp_abort("fit", c(
      x = "Penalised quasi-likelihood maximises no criterion: it has no gradient.",
      ">" = "Fit with {.code method = \"laplace\"}."
    ))
  }
  if (is.null(par)) par <- estimates
  par <- check_parameters(par, names(estimates))
  stats::setNames(glmm_gradient(engine(object), par), names(estimates))
}

# The model whose engine speaks for a fit.
engine_model <- function(fit) if (identical(fit$method, "pql")) working_model(fit) else fit

# The linear mixed model of the last step of penalised quasi-likelihood: working response and
# weights, residual variance phi, factors relative to its root.
working_model <- function(fit) {
  eta <- fitted_values(fit)
  phi <- row_dispersion(fit)[1L]
  fit$y <- eta + working_residuals(fit, eta)
  fit$weights <- working_weights(fit, eta)
  fit$sigma <- sqrt(phi)
  scales <- theta_roles(fit$random) != "r"
  fit$theta[scales] <- fit$theta[scales] / fit$sigma
  fit$Lambda <- lapply(fit$Lambda, function(factor) factor / fit$sigma)
  structure(fit, class = c("pp_lmm", "pp_fit"))
}

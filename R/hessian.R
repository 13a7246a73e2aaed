# Second derivatives of a criterion whose gradient is exact.

# A symmetric matrix from central differences of `gradient`, a function, with a step a parameter.
hessian_by_gradients <- function(gradient, at, steps) {
  k <- length(at)
  H <- vapply(seq_len(k), function(i) {
    step <- replace(numeric(k), i, steps[i])
    (gradient(at + step) - gradient(at - step)) / (2 * steps[i])
  }, numeric(k))
  H <- matrix(H, k, k)
  (H + t(H)) / 2
}

# Of minus the log-likelihood: the criterion is minus twice that.
half_hessian <- function(eng, parameters, scale) {
  hessian_by_gradients(function(at) glmm_gradient(eng, at) / 2, parameters, 1e-4 * scale)
}

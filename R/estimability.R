# Which linear functions of all columns of a design the data determine, where columns that depend on
# the others were left out of the fit.

# X with the columns that were left out.
whole_design <- function(fit) {
  terms <- stats::delete.response(fit$terms)
  model_matrix(terms, factorise(fit$frame, variable_names(terms)), fit$contrasts)
}

# Orthonormal columns N with X N = 0, for columns `lost` that depend on the others.
null_basis <- function(X, lost) {
  kept <- X[, -lost, drop = FALSE]
  N <- matrix(0, ncol(X), length(lost))
  N[-lost, ] <- -qr.coef(qr(kept, LAPACK = FALSE), X[, lost, drop = FALSE])
  N[lost, ] <- diag(length(lost))
  qr.Q(qr(N))
}

# That of a fit, with the names of the columns; NULL if none was left out.
null_basis_of <- function(fit) {
  if (!length(fit$aliased)) {
    return(NULL)
  }
  X <- whole_design(fit)
  N <- null_basis(X, match(fit$aliased, colnames(X)))
  rownames(N) <- colnames(X)
  N
}

# Of each row of L, with a column for each column of the design.
is_estimable <- function(L, null) {
  rowSums((L %*% null)^2) <= 1e-8 * rowSums(L^2)
}

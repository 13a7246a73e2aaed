# The matrices and vectors of the fitted model, for computations of one's own.

#' @importFrom generics components
#' @export
generics::components

#' The pieces of a fitted model
#'
#' The matrices of the model `y = X beta + Z b + offset + e` with `b = Lambda u`, the estimates, and
#' the sparse Cholesky factor of the penalised normal equations. `Var(u) = sigma^2 I` and
#' `Var(e) = sigma^2 / weights`. `Z` is built here; fitting never builds it.
#'
#' The columns of `Z` follow the random-effects terms; within a term the levels, within a level the
#' columns of the term. `Lambda` has a block per level in the same order; of a term with a kernel
#' `K = C C'` it has `C[i, k]` times that block in the rows of level i and the columns of the
#' independent effect k, of which there are as many as `C` has columns.
#'
#' @param object A fit, as [lmm()] returns it.
#' @param ... Not used; anything given here is an error.
#' @return A list with `X` (n x p), `Z` (sparse, n x q), `Lambda` (sparse, q x q, with fewer columns
#'   where a kernel is singular), `theta`, `beta`, `b` (length q) and `u` (with `b = Lambda u`),
#'   `sigma`, `L` (the factor of `Lambda' Z' W Z Lambda + I`, as [Matrix::Cholesky()] returns it;
#'   `NULL` without random effects), `y`, `weights`, `offset`
#'   (length n), and `codes` (a list of level numbers, one vector per term).
#' @references Bates, Maechler, Bolker and Walker (2015), Fitting linear mixed-effects models using
#'   lme4, Journal of Statistical Software 67(1), section 3.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' parts <- components(fit)
#' dim(parts$Z)
#' all.equal(as.vector(parts$X %*% parts$beta + parts$Z %*% parts$b), unname(fitted(fit)))
#' @export
components.pp_lmm <- function(object, ...) {
  reject_dots(...)
  Z <- random_matrix(object)
  Lambda <- random_factor(object)
  w <- if (is.null(object$weights)) rep(1, object$n) else object$weights
  residual <- object$y - fitted_values(object)
  ZL <- Z %*% Lambda
  c(
    linear_pieces(object, Z, Lambda),
    list(
      u = as.vector(Matrix::crossprod(ZL, w * residual)), sigma = object$sigma,
      L = penalised_factor(ZL, w)
    )
  )
}

# What components() gives of every fit.
linear_pieces <- function(fit, Z, Lambda) {
  list(
    X = fit$X, Z = Z, Lambda = Lambda, theta = fit$theta, beta = fit$coefficients,
    b = as.numeric(unlist(lapply(fit$b, t), use.names = FALSE)), y = fit$y,
    weights = if (is.null(fit$weights)) rep(1, fit$n) else fit$weights,
    offset = if (is.null(fit$offset)) numeric(fit$n) else fit$offset,
    codes = stats::setNames(
      lapply(fit$random, function(term) term$codes),
      vapply(fit$random, function(term) term$name, "")
    )
  )
}

# Z: a row's entries of a term stand side by side in the columns of the row's level.
random_matrix <- function(fit) {
  blocks <- lapply(fit$random, function(term) {
    p <- length(term$columns)
    z <- if (is.null(term$z)) matrix(1, fit$n, 1L) else term$z
    Matrix::sparseMatrix(
      i = rep(seq_len(fit$n), each = p),
      j = rep((term$codes - 1L) * p, each = p) + rep(seq_len(p), fit$n),
      x = as.vector(t(z)), dims = c(fit$n, p * length(term$levels)),
      dimnames = list(NULL, effect_names(term))
    )
  })
  if (length(blocks) == 0L) {
    return(Matrix::sparseMatrix(i = integer(), j = integer(), x = numeric(), dims = c(fit$n, 0L)))
  }
  do.call(cbind, blocks)
}

effect_names <- function(term) {
  p <- length(term$columns)
  levels <- rep(term$levels, each = p)
  paste(term$group, levels, rep(term$columns, length(term$levels)))
}

random_factor <- function(fit) {
  blocks <- Map(function(factor, term) {
    levels <- if (has_kernel(term)) term$kernel$loading else Matrix::Diagonal(length(term$levels))
    Matrix::kronecker(levels, factor)
  }, fit$Lambda, fit$random)
  Lambda <- Matrix::bdiag(unname(blocks))
  methods::as(methods::as(Lambda, "generalMatrix"), "CsparseMatrix")
}

penalised_factor <- function(ZL, w) {
  if (ncol(ZL) == 0L) {
    return(NULL)
  }
  Matrix::Cholesky(Matrix::forceSymmetric(Matrix::crossprod(sqrt(w) * ZL)), LDL = FALSE, Imult = 1)
}

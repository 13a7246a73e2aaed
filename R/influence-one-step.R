# Estimates without some rows by one step from those with them.
#
# With A = [X, Z Lambda], e the residuals and C the coefficient matrix of the mixed model equations
# C (beta, u) = A' W y, the equations without the rows S are those of C - A_S' W_S A_S. They differ
# from the solution with them by
#   -(C - A_S' W_S A_S)^-1 A_S' W_S e_S = -C^-1 A_S' (W_S^-1 - K)^-1 e_S,  K = A_S C^-1 A_S',
# which is exact at the theta of the fit. Groups with more rows than columns of A that are not zero
# in them, T, are solved by M = (C^-1)_TT and D = A_T' W_S A_T: -M (I - D M)^-1 A_T' W_S e_S.

# What all deletions share: with V = Z Lambda Lambda' Z' + W^-1, `X` is W^-1 V^-1 X, `inverse` that
# of X' V^-1 X (and the precisions of a prior), `modes` are those of the columns of X as responses.
deletion_parts <- function(fit) {
  linear <- as_linear(fit)
  w <- linear$weights
  ZL <- random_matrix(linear) %*% random_factor(linear)
  X <- unname(as.matrix(linear$X))
  attributes(X) <- list(dim = dim(X))
  L <- penalised_factor(ZL, w)
  modes <- matrix(0, ncol(ZL), ncol(X))
  if (!is.null(L) && ncol(X)) {
    modes <- as.matrix(Matrix::solve(L, as.matrix(Matrix::crossprod(ZL, w * X)), system = "A"))
  }
  own <- if (is.null(L)) X else X - as.matrix(ZL %*% modes)
  information <- crossprod(X, w * own)
  information <- (information + t(information)) / 2
  precision <- if (!is.null(fit$prior)) prior_values(fit$prior, colnames(fit$X), FALSE)$precision
  penalised <- information + if (is.null(precision)) 0 else diag(precision, ncol(X))
  list(
    linear = linear, weights = w, residual = linear$y - fitted_values(linear), ZL = ZL, L = L,
    X = own, columns = X, modes = modes, inverse = spd_inverse(penalised),
    levels = levels_of_columns(fit),
    unpenalised = if (!is.null(precision)) spd_inverse(information)
  )
}

# The level of each column of Z of a model with one grouping factor; else NULL.
levels_of_columns <- function(fit) {
  groups <- vapply(fit$random, function(term) term$group, "")
  if (length(unique(groups)) != 1L || any_kernel(fit)) {
    return(NULL)
  }
  unlist(lapply(fit$random, function(term) {
    rep(seq_along(term$levels), each = length(term$columns))
  }))
}

# By a factor of the matrix in units of its diagonal.
spd_inverse <- function(A) {
  if (!ncol(A)) {
    return(A)
  }
  unit <- 1 / sqrt(diag(A))
  chol2inv(chol(A * tcrossprod(unit))) * tcrossprod(unit)
}

# A list, one element a set of rows: list(beta, covariance, in units of sigma^2; loss: by how much
# the penalised residual sum of squares falls), or NULL where the rows left do not determine beta.
one_steps <- function(parts, sets, tick = no_tick) {
  if (all(lengths(sets) == 1L)) {
    return(lapply(unlist(sets), function(i) {
      tick()
      step_without_row(parts, i)
    }))
  }
  ZLt <- Matrix::t(parts$ZL)
  jobs <- lapply(sets, function(rows) columns_of_rows(parts, ZLt, rows))
  block <- inverse_blocks(parts, jobs)
  lapply(seq_along(sets), function(k) {
    tick()
    step <- if (jobs[[k]]$by_row) step_by_rows else step_by_columns
    step(parts, sets[[k]], jobs[[k]], block(k))
  })
}

# The columns of Z Lambda that rows touch, and what stands there. With one grouping factor those of
# the levels as a whole: they hang together with no others.
columns_of_rows <- function(parts, ZLt, rows) {
  own <- ZLt[, rows, drop = FALSE]
  touched <- sort(unique(own@i)) + 1L
  if (!is.null(parts$levels)) touched <- which(parts$levels %in% unique(parts$levels[touched]))
  list(
    touched = touched, A = as.matrix(own[touched, , drop = FALSE]),
    by_row = length(rows) < length(touched)
  )
}

# A function of the number of a job: the inverse of Lambda' Z' W Z Lambda + I in the columns that
# the job touches.
inverse_blocks <- function(parts, jobs) {
  q <- ncol(parts$ZL)
  widths <- vapply(jobs, function(job) length(job$touched), 0L)
  # Variances of zero leave columns of zeros.
  if (!sum(widths)) {
    return(function(k) matrix(0, 0L, 0L))
  }
  if (!is.null(parts$levels)) {
    B <- Matrix::crossprod(sqrt(parts$weights) * parts$ZL) + Matrix::Diagonal(q)
    return(function(k) {
      at <- jobs[[k]]$touched
      chol2inv(chol(as.matrix(B[at, at, drop = FALSE])))
    })
  }
  if (sum(widths) > q && q <= 5000L) {
    G <- as.matrix(Matrix::solve(parts$L, diag(q), system = "A"))
    return(function(k) G[jobs[[k]]$touched, jobs[[k]]$touched, drop = FALSE])
  }
  function(k) {
    at <- jobs[[k]]$touched
    right <- Matrix::sparseMatrix(i = at, j = seq_along(at), x = 1, dims = c(q, length(at)))
    as.matrix(Matrix::solve(parts$L, right, system = "A")[at, , drop = FALSE])
  }
}

step_without_row <- function(parts, i) {
  w <- parts$weights[i]
  reach <- parts$inverse %*% parts$X[i, ]
  free <- 1 - parts$leverage[i]
  if (free < 1e-9) {
    return(NULL)
  }
  e <- parts$residual[i]
  list(
    beta = -drop(reach) * w * e / free, covariance = parts$inverse + tcrossprod(reach) * w / free,
    loss = w * e^2 / free
  )
}

step_by_rows <- function(parts, rows, job, G) {
  X <- parts$X[rows, , drop = FALSE]
  root <- sqrt(parts$weights[rows])
  K <- crossprod(job$A, G %*% job$A) + X %*% parts$inverse %*% t(X)
  free <- diag(length(rows)) - K * tcrossprod(root)
  R <- inverse_or_null((free + t(free)) / 2)
  if (is.null(R)) {
    return(NULL)
  }
  R <- R * tcrossprod(root)
  e <- parts$residual[rows]
  reach <- parts$inverse %*% t(X)
  list(
    beta = -drop(reach %*% (R %*% e)), covariance = parts$inverse + reach %*% R %*% t(reach),
    loss = sum(e * (R %*% e))
  )
}

step_by_columns <- function(parts, rows, job, G) {
  w <- parts$weights[rows]
  e <- parts$residual[rows]
  A <- cbind(parts$columns[rows, , drop = FALSE], t(job$A))
  D <- crossprod(A, w * A)
  r <- crossprod(A, w * e)
  Q <- parts$modes[job$touched, , drop = FALSE]
  cross <- -Q %*% parts$inverse
  M <- rbind(
    cbind(parts$inverse, t(cross)),
    cbind(cross, G - tcrossprod(cross, Q))
  )
  unit <- sqrt(diag(M))
  M <- M / tcrossprod(unit)
  D <- D * tcrossprod(unit)
  left <- diag(nrow(M)) - D %*% M
  if (rcond(left) < 1e-11) {
    return(NULL)
  }
  without <- M %*% solve(left)
  fixed <- seq_len(ncol(parts$columns))
  moved <- without %*% (unit * r)
  inverse <- without[fixed, fixed, drop = FALSE] * tcrossprod(unit[fixed])
  list(
    beta = -(unit * drop(moved))[fixed], covariance = (inverse + t(inverse)) / 2,
    loss = sum(w * e^2) + sum(unit * r * moved)
  )
}

# Of a matrix whose eigenvalues are shares that remain, none of them above one.
inverse_or_null <- function(A) {
  R <- tryCatch(chol(A), error = function(e) NULL)
  if (is.null(R) || rcond(R, triangular = TRUE)^2 < 1e-10) {
    return(NULL)
  }
  chol2inv(R)
}

# From steps to estimates without the rows: what delete_by_refits() gives.
delete_by_steps <- function(fit, sets, tick) {
  steps <- steps_without(fit, sets, tick)
  lapply(seq_along(sets), function(k) {
    if (is.null(steps[[k]])) {
      return(refit_at_theta(fit, as_linear(fit), sets[[k]]))
    }
    estimates_of_step(fit, steps[[k]], length(sets[[k]]))
  })
}

# A list of steps, each with the change `beta` and the `covariance` after it, or NULL.
steps_without <- function(fit, sets, tick = no_tick) {
  if (has_cluster_likelihood(fit)) {
    return(likelihood_steps(fit, sets, tick))
  }
  parts <- deletion_parts(fit)
  if (all(lengths(sets) == 1L)) parts$leverage <- leverages(fit)
  one_steps(parts, sets, tick)
}

estimates_of_step <- function(fit, step, m) {
  linear <- inherits(fit, "pp_lmm")
  p <- length(fit$coefficients)
  lost <- if (linear && fit$REML) p else 0L
  sigma2 <- if (linear) {
    (fit$sigma^2 * (fit$n - lost) - step$loss) / (fit$n - m - lost)
  } else {
    1
  }
  if (!is.finite(sigma2) || sigma2 <= 0) {
    return(list(failure = "the rows left do not determine the residual variance"))
  }
  names <- names(fit$coefficients)
  sigma <- if (linear) sqrt(sigma2) else if (is.null(step$theta)) fit$sigma else step$sigma
  if (!is.null(step$theta)) fit <- at_theta(fit, step$theta)
  list(
    beta = fit$coefficients + step$beta,
    vcov = structure(sigma2 * step$covariance, dimnames = list(names, names)),
    theta = fit$theta, variances = variance_components(fit, fit$Lambda, sigma), sigma = sigma,
    converged = TRUE, evaluations = 1
  )
}

# Where coefficients are lost with the rows: the estimates at the theta of the fit by the engine.
refit_at_theta <- function(fit, linear, rows) {
  attempt({
    names <- names(fit$coefficients)
    design <- design_without(design_of(linear), rows)
    f <- engine_of(design, linear$REML, "automatic", FALSE)
    found <- engine_estimates(f$engine, unname(fit$theta))
    general <- inherits(fit, "pp_glmm")
    sigma <- if (general) fit$sigma else found$sigma
    kept <- match(colnames(f$design$X), names)
    beta <- replace(stats::setNames(rep(NA_real_, length(names)), names), kept, found$coefficients)
    # The determinant of the Laplace approximation moves beta away from the joint mode.
    if (general) beta <- beta + fit$coefficients - joint_mode(fit, linear)
    vcov <- matrix(NA_real_, length(names), length(names), dimnames = list(names, names))
    vcov[kept, kept] <- (if (general) 1 else sigma^2) * found$vcov_unscaled
    list(
      beta = beta, vcov = vcov, theta = fit$theta,
      variances = variance_components(fit, fit$Lambda, sigma), sigma = sigma, converged = TRUE,
      evaluations = 1
    )
  })
}

# Fixed effects of the linear model of the last step.
joint_mode <- function(fit, linear) {
  eng <- engine_create(engine_rows(linear), TRUE, "automatic")
  engine_estimates(eng, unname(fit$theta))$coefficients
}

# emmeans: means of the response, component = "response".

# Over zero inflation and truncation, with the random effects at zero, by the delta method.
response_basis <- function(fit, grid) {
  names <- c("cond", if (!is.null(fit$zi)) "zi",
             if (is_truncated(fit) && !is.null(fit$dispersion)) "disp")
  X <- lapply(stats::setNames(nm = names), function(name) grid_columns(fit, name, grid))
  predictors <- lapply(stats::setNames(nm = names), function(name) {
    as.vector(X[[name]] %*% stats::coef(fit, component = name))
  })
  predictors$cond <- predictors$cond + grid_offset(fit, grid)
  mean_at <- function(predictors) {
    response_mean(distribution_of(fit), parameters_at(fit, predictors, 1))
  }
  D <- matrix(0, nrow(grid), nrow(fit$vcov_full))
  positions <- parameter_positions(fit)
  for (name in setdiff(names, if (isTRUE(fit$dispersion$fixed)) "disp")) {
    D[, positions[[name]]] <- slope_of(mean_at, predictors, name) * X[[name]]
  }
  used <- colSums(D != 0) > 0
  D <- D[, used, drop = FALSE]
  V <- D %*% fit$vcov_full[used, used, drop = FALSE] %*% t(D)
  bhat <- mean_at(predictors)
  # Means that the data do not determine, or that lie at infinity, have no estimate.
  lost <- which(is.na(diag(V)) | !grid_is_estimable(fit, grid))
  nbasis <- matrix(NA_real_)
  if (length(lost)) {
    bhat[lost] <- NA_real_
    V <- V[-lost, -lost, drop = FALSE]
    nbasis <- diag(nrow(grid))[, lost, drop = FALSE]
  }
  list(
    X = diag(nrow(grid)), bhat = bhat, nbasis = nbasis, V = V, dffun = function(k, dfargs) Inf,
    dfargs = list(), misc = list(offset.mult = 0, sigma = NA, estName = "response")
  )
}

grid_columns <- function(fit, component, grid, all = FALSE) {
  part <- model_part(fit, component)
  if (is.null(part)) part <- fit[c("terms", "xlevels", "contrasts", "coefficients")]
  terms <- stats::delete.response(part$terms)
  X <- newdata_matrix(terms, newdata_frame(terms, grid, part$xlevels), part$contrasts)
  if (all) X else X[, names(part$coefficients), drop = FALSE]
}

grid_is_estimable <- function(fit, grid) {
  null <- null_basis_of(fit)
  if (is.null(null)) {
    return(rep(TRUE, nrow(grid)))
  }
  is_estimable(grid_columns(fit, "cond", grid, all = TRUE), null)
}

# Releases of emmeans hand on the offset under different names.
grid_offset <- function(fit, grid) {
  if (".offset." %in% names(grid)) {
    return(grid[[".offset."]])
  }
  offset <- if (".static.offset." %in% names(grid)) grid[[".static.offset."]] else 0
  variables <- as.list(attr(fit$terms, "variables"))[-1L]
  for (k in attr(fit$terms, "offset")) {
    offset <- offset + eval(variables[[k]], grid, environment(fit$terms))
  }
  offset
}

# Derivative of the mean by one linear predictor.
slope_of <- function(mean_at, predictors, name) {
  h <- 1e-4
  at <- function(d) {
    predictors[[name]] <- predictors[[name]] + d * h
    mean_at(predictors)
  }
  (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)
}

# The engine behind a fit: an external pointer to the factorised model, built when it is needed and
# never stored.

# Rows in the form that the engine reads. `x` is a design (numbered) or a fit.
engine_rows <- function(x, y = x$y) {
  list(X = x$X, y = y, weights = x$weights, offset = x$offset, random = x$random)
}

# Terms on the same grouping factor get the same number: the engine treats them as one.
number_factors <- function(random) {
  groups <- vapply(random, function(term) term$group, "")
  factor <- match(groups, unique(groups))
  for (t in seq_along(random)) random[[t]]$factor <- factor[t]
  random
}

# Engine of a fit, not yet evaluated anywhere.
engine <- function(fit, y = fit$y) {
  if (inherits(fit, "pp_glmm")) {
    return(glmm_create(glmm_rows(fit), glmm_model(fit)))
  }
  engine_create(engine_rows(fit, y), fit$REML, "automatic")
}

# Conditional covariance of the random effects of each level, sigma^2 included: a list, one
# p x p x J array a term. beta_known = TRUE is lme4's conditional variance.
engine_conditional_covariance <- function(eng, fit, beta_known = TRUE) {
  blocks <- if (inherits(fit, "pp_glmm")) {
    glmm_conditional(eng, engine_parameters(fit), beta_known)
  } else {
    engine_conditional(eng, fit$theta, beta_known)
  }
  scale <- random_scale(fit)^2
  Map(function(block, term) {
    p <- length(term$columns)
    array(scale * block, c(p, p, length(term$levels)),
          list(term$columns, term$columns, term$levels))
  }, blocks, fit$random)
}

# Var(x'(beta_hat - beta) + z'(b_hat - b)) of new rows, sigma^2 included; of a generalised model on
# the scale of the link. codes: by term, 0 or NA leaves the term out of the row; with the attribute
# `loading`, as kernel_codes() gives it, those above the number of levels are its rows.
engine_prediction_variance <- function(eng, fit, X, codes, z) {
  codes <- lapply(codes, function(code) {
    storage.mode(code) <- "integer"
    code
  })
  if (inherits(fit, "pp_glmm")) {
    return(glmm_prediction(eng, engine_parameters(fit), X, codes, z))
  }
  fit$sigma^2 * engine_prediction(eng, fit$theta, X, codes, z)
}

# Covariance of the variance parameters on their natural scale: the entries of each Sigma (lower
# triangle by column), then the residual variance.
engine_parameter_covariance <- function(eng, fit) {
  if (inherits(fit, "pp_glmm")) {
    names <- unlist(lapply(fit$random, natural_names))
    return(fit$vcov_full[names, names, drop = FALSE])
  }
  v <- engine_natural_covariance(eng, fit$theta)
  names <- c(unlist(lapply(fit$random, natural_names)), "Residual")
  dimnames(v) <- list(names, names)
  v
}

natural_names <- function(term) {
  columns <- term$columns
  if (term$structure == "diag") {
    return(paste0(term$name, ".", columns))
  }
  lower_triangle_names(term$name, columns)
}

# "g.(Intercept)", "g.x.(Intercept)", "g.x": lme4's names of a lower triangle by column.
lower_triangle_names <- function(name, columns) {
  p <- length(columns)
  column <- rep(seq_len(p), p:1)
  row <- sequence(p:1, seq_len(p))
  paste0(name, ".", ifelse(row == column, columns[row], paste0(columns[row], ".", columns[column])))
}

theta_names <- function(random) {
  unlist(lapply(random, function(term) {
    if (term$structure == "us") {
      return(lower_triangle_names(term$name, term$columns))
    }
    sds <- if (term$hom) paste0(term$name, ".sd") else paste0(term$name, ".", term$columns)
    c(sds, if (term$structure != "diag") paste0(term$name, ".rho"))
  }))
}

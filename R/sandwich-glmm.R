# The sandwich of a generalised model: scores of all parameters, cluster by cluster.

glmm_sandwich <- function(fit, cluster, correction, component) {
  part <- model_part(fit, component)
  coefficients <- if (is.null(part)) fit$coefficients else part$coefficients
  scores <- cluster_scores(fit, cluster)
  wanted <- if (is.null(part)) names(coefficients) else paste0(component, ".", names(coefficients))
  # A coefficient and a variance may have the same name: theta comes first.
  at <- length(fit$theta) + match(wanted, colnames(scores)[-seq_along(fit$theta)])
  if (!has_random(fit)) at <- match(wanted, colnames(scores))
  bread <- criterion_bread(fit)
  size <- small_sample_factor(correction, nrow(scores), fit$n, length(fit$coefficients))
  value <- size * crossprod(scores %*% bread)[at, at, drop = FALSE]
  infinite <- names(coefficients) %in% fit$convergence$separation$columns
  value[infinite, ] <- NA_real_
  value[, infinite] <- NA_real_
  # What was held has no variance.
  value[is.na(at), ] <- 0
  value[, is.na(at)] <- 0
  structure(value, dimnames = list(names(coefficients), names(coefficients)))
}

# Each cluster alone has a likelihood whose exact gradient the engine gives. So that columns which
# are constant or zero within a cluster stay what they are, some rows of other clusters go along
# with a weight of zero.
cluster_scores.pp_glmm <- function(fit, cluster) {
  check_scorable(fit, cluster)
  parameters <- engine_parameters(fit)
  model <- glmm_model(fit)
  # The prior is no part of the likelihood.
  model["prior_mean"] <- model["prior_precision"] <- list(NULL)
  anchors <- anchor_rows(fit)
  rows <- split(seq_len(fit$n), factor(cluster$codes, seq_along(cluster$levels)))
  scores <- vapply(rows, function(own) {
    taken <- c(own, setdiff(anchors, own))
    eng <- glmm_create(rows_alone(fit, taken, length(own)), model)
    -0.5 * glmm_gradient(eng, parameters)
  }, numeric(length(parameters)))
  matrix(t(scores), length(rows), dimnames = list(cluster$levels, names(parameters)))
}

check_scorable <- function(fit, cluster) {
  check_has_likelihood(fit)
  if (fit$REML || fit$method == "joint") {
    how <- if (fit$REML) "REML = TRUE" else "nAGQ = 0"
    pp_abort("argument", c(
      x = "With {.code {how}} the fixed effects are no parameters of the likelihood: it has no
           scores.",
      ">" = "Fit with {.code nAGQ = 1} and {.code REML = FALSE}."
    ))
  }
  if (!cluster$nested) {
    pp_abort("argument", c(
      x = "{.arg cluster} cuts through the levels of a grouping factor.",
      i = "The likelihood is a product over clusters only if each random effect belongs to one.",
      ">" = "Give a factor in which all grouping factors are nested."
    ))
  }
}

# Rows from which all columns of all matrices of the model can be told apart.
anchor_rows <- function(fit) {
  matrices <- c(
    list(fit$X, fit$dispersion$X, fit$zi$X), lapply(fit$random, function(term) term$z)
  )
  rows <- lapply(Filter(function(m) length(m) > 0L, matrices), function(m) {
    # Pivoting would take columns in the order given: the largest row first is a better choice.
    scaled <- m / rep(pmax(sqrt(colMeans(m^2)), 1e-300), each = nrow(m))
    factor <- qr(t(scaled), LAPACK = TRUE)
    factor$pivot[seq_len(min(dim(m)))]
  })
  sort(unique(unlist(rows)))
}

# Rows in the form that the engine reads: the first `count` of `rows` with their weights, the others
# without any, each with random effects of its own.
rows_alone <- function(fit, rows, count) {
  n <- length(rows)
  weights <- if (is.null(fit$weights)) rep(1, n) else fit$weights[rows]
  weights[seq_len(n) > count] <- 0
  pick <- function(x) if (!is.null(x)) x[rows]
  columns <- function(x) if (!is.null(x)) x[rows, , drop = FALSE]
  random <- lapply(fit$random, function(term) {
    codes <- term$codes[rows]
    other <- seq_len(n) > count
    codes[other] <- -codes[other]
    term$codes <- match(codes, unique(codes))
    term$levels <- as.character(unique(codes))
    term["z"] <- list(columns(term$z))
    term
  })
  full <- glmm_rows(fit)
  list(
    X = full$X[rows, , drop = FALSE], y = full$y[rows], trials = pick(full$trials),
    weights = weights, offset = pick(full$offset), random = random,
    X_disp = columns(full$X_disp), X_zi = columns(full$X_zi)
  )
}

# The inverse of the information of all parameters: half the Hessian of the criterion, by central
# differences of its exact gradient. Directions without curvature (rotations of a singular factor)
# and coefficients that run to infinity have no part.
criterion_bread <- function(fit) {
  parameters <- unname(engine_parameters(fit))
  k <- length(parameters)
  H <- half_hessian(glmm_create(glmm_rows(fit), glmm_model(fit)), parameters, parameter_scale(fit))
  infinite <- length(fit$theta) +
    match(fit$convergence$separation$columns, names(fit$coefficients))
  finite <- setdiff(seq_len(k), infinite)
  H <- H[finite, finite, drop = FALSE]
  unit <- 1 / sqrt(pmax(abs(diag(H)), 1e-300))
  e <- eigen(H * tcrossprod(unit), symmetric = TRUE)
  kept <- e$values > 1e-6 * max(e$values)
  U <- unit * e$vectors[, kept, drop = FALSE]
  bread <- matrix(0, k, k)
  bread[finite, finite] <- U %*% (t(U) / e$values[kept])
  bread
}

# A size for each parameter that its standard error would have about.
parameter_scale <- function(fit) {
  se <- sqrt(diag(fit$vcov_full))
  extra <- names(engine_parameters(fit))[-seq_along(c(fit$theta, fit$coefficients))]
  known <- unname(c(
    pmax(abs(fit$theta), 0.1), se[names(fit$coefficients)], se[extra]
  ))
  ifelse(is.finite(known) & known > 0, known, 1)
}

# Covariance of the estimates that does not trust the model's: the sandwich of scores by cluster.

# The fixed effects' part of vcov(type = "sandwich"). `component` as in vcov().
sandwich_covariance <- function(fit, cluster, correction, component = "cond") {
  cluster <- cluster_codes(fit, cluster)
  correction <- choose_correction(correction, inherits(fit, "pp_glmm"))
  if (inherits(fit, "pp_glmm")) {
    return(glmm_sandwich(fit, cluster, correction, component))
  }
  bread <- fit$sigma^2 * fit$vcov_unscaled
  scores <- if (correction %in% c("CR2", "CR3")) {
    adjusted_scores(fit, cluster, correction)
  } else {
    cluster_scores(fit, cluster)
  }
  size <- small_sample_factor(correction, nrow(scores), fit$n, ncol(scores))
  size * bread %*% crossprod(scores) %*% bread
}

# Derivatives of the log-likelihood by cluster: a row a cluster; for a linear model a column a fixed
# effect, for a generalised one a column a parameter in the order of engine_parameters(). They add
# up to zero at the estimates. `cluster`: integer codes, as cluster_codes() gives them.
cluster_scores <- function(fit, cluster) UseMethod("cluster_scores")

# X_c' V_c^-1 r_c for the residuals r from the fixed effects: V^-1 r = W (r - Z b) / sigma^2.
cluster_scores.pp_lmm <- function(fit, cluster) {
  residual <- fit$y - fitted_values(fit)
  if (!is.null(fit$weights)) residual <- residual * fit$weights
  scores <- rowsum(fit$X * (residual / fit$sigma^2), cluster$codes)
  dimnames(scores) <- list(cluster$levels, colnames(fit$X))
  scores
}

reject_full_sandwich <- function(full) {
  if (check_flag(full, "full")) {
    pp_abort("argument", c(
      x = "{.code full = TRUE} and {.code type = \"sandwich\"} do not go together.",
      i = "The sandwich is that of the coefficients."
    ))
  }
}

reject_cluster <- function(cluster, uncorrected) {
  if (!is.null(cluster) || !uncorrected) {
    pp_abort("argument", c(
      x = "{.arg cluster} and {.arg correction} belong to {.code type = \"sandwich\"}."
    ))
  }
}

choose_correction <- function(correction, general) {
  known <- c("CR0", "CR1", "CR1S", if (!general) c("CR2", "CR3"))
  if (general && identical(correction, c(known, "CR2", "CR3"))) correction <- known
  if (general && length(correction) == 1L && correction %in% c("CR2", "CR3")) {
    pp_abort("argument", c(
      x = "{.arg correction} is {.val {correction}}, which is for linear models.",
      i = "For a generalised one it can be {.or {.val {known}}}."
    ))
  }
  choose_option(correction, known, "correction")
}

# What multiplies the sandwich, for J clusters.
small_sample_factor <- function(correction, J, n, p) {
  switch(correction,
    CR1 = J / (J - 1),
    CR1S = J * (n - 1) / ((J - 1) * (n - p)),
    1
  )
}

# Clusters ----------------------------------------------------------------------------------------

# list(codes, levels, nested: is each random effect that of one cluster?) of the `cluster` argument:
# NULL, the name of a grouping factor, a one-sided formula of variables of the model, or a vector.
cluster_codes <- function(fit, cluster) {
  reject_kernel_clusters(fit)
  grouping <- if (is.null(cluster)) default_clusters(fit) else given_clusters(fit, cluster)
  if (length(grouping$levels) < 2L) {
    pp_abort("argument", c(
      x = "{.arg cluster} has one level: a sandwich needs the variation between clusters."
    ))
  }
  grouping$nested <- all(vapply(fit$random, function(term) {
    is_nested_in(term$codes, grouping$codes, length(term$levels))
  }, NA))
  grouping
}

reject_kernel_clusters <- function(fit) {
  if (any_kernel(fit)) {
    pp_abort("argument", c(
      x = "There are no independent clusters: a kernel correlates the levels of a random term.",
      ">" = "Use {.fn bootstrap}, which draws from the model."
    ))
  }
}

default_clusters <- function(fit) {
  if (!has_random(fit)) {
    return(list(codes = seq_len(fit$n), levels = row.names(fit$frame)))
  }
  groups <- vapply(fit$random, function(term) term$group, "")
  outer <- outermost_factor(fit)
  if (is.null(outer)) {
    pp_abort("argument", c(
      x = "The grouping factors {.var {unique(groups)}} are crossed: {.arg cluster} must be given.",
      i = "No factor has all others nested in it, so that its levels would be independent.",
      ">" = "Such as {.code cluster = \"{groups[1L]}\"}."
    ))
  }
  fit$random[[match(outer, groups)]][c("codes", "levels")]
}

given_clusters <- function(fit, cluster) {
  groups <- vapply(fit$random, function(term) term$group, "")
  if (is.character(cluster) && length(cluster) == 1L && fit$n > 1L) {
    if (cluster %in% groups) {
      return(fit$random[[match(cluster, groups)]][c("codes", "levels")])
    }
    if (!cluster %in% names(fit$frame)) {
      pp_abort("argument", c(
        x = "{.arg cluster} is {.val {cluster}}, which is no grouping factor or variable of the
             model.",
        i = "Its grouping factors are {.val {unique(groups)}}.",
        ">" = "A variable that the model does not have can be given as a vector."
      ))
    }
    cluster <- fit$frame[[cluster]]
  } else if (inherits(cluster, "formula")) {
    cluster <- formula_clusters(fit, cluster)
  }
  if (is.data.frame(cluster) && length(cluster) == 1L) cluster <- cluster[[1L]]
  dropped <- fit$na.action
  if (is.atomic(cluster) && length(dropped) && length(cluster) == fit$n + length(dropped)) {
    cluster <- cluster[-dropped]
  }
  if (!is.atomic(cluster) || length(cluster) != fit$n) {
    pp_abort("argument", c(
      x = "{.arg cluster} must have {fit$n} values, one a row used in the fit.",
      i = "It is {.obj_type_friendly {cluster}} of length {length(cluster)}."
    ))
  }
  missing <- which(is.na(cluster))
  if (length(missing)) {
    pp_abort("argument", c(
      x = "{.arg cluster} has missing values, in {describe_rows(missing)}."
    ))
  }
  coded <- code_variable(cluster, "cluster")
  list(codes = coded$codes, levels = coded$levels)
}

formula_clusters <- function(fit, formula) {
  variables <- all.vars(formula)
  unknown <- setdiff(variables, names(fit$frame))
  if (length(formula) != 2L || !length(variables) || length(unknown)) {
    pp_abort("argument", c(
      x = "{.arg cluster} must be a one-sided formula of variables of the model, such as
           {.code ~ g}.",
      i = if (length(unknown)) "The model does not have {.var {unknown}}.",
      ">" = "A variable that the model does not have can be given as a vector."
    ))
  }
  interaction(fit$frame[variables], drop = TRUE)
}

# Small-sample adjustments of a linear model ------------------------------------------------------

# Scores of residuals that are multiplied, cluster by cluster, by a matrix that makes the sandwich
# unbiased under the model (CR2: Bell & McCaffrey 2002, Pustejovsky & Tipton 2018) or approximately
# the jackknife (CR3). V_c, the model's covariance of a cluster's rows, is formed for one cluster at
# a time.
adjusted_scores <- function(fit, cluster, correction) {
  if (!cluster$nested) {
    pp_abort("argument", c(
      x = "{.arg correction} is {.val {correction}}, but random effects reach over several
           clusters.",
      i = "The adjustment needs clusters that are independent in the model.",
      ">" = "Use {.val CR0}, {.val CR1} or {.val CR1S}."
    ))
  }
  residual <- fit$y - fixed_part(fit$X, fit$coefficients, fit$offset)
  rows <- split(seq_len(fit$n), factor(cluster$codes, seq_along(cluster$levels)))
  scores <- vapply(rows, function(own) {
    V <- cluster_covariance(fit, own) / fit$sigma^2
    root <- chol(V)
    X <- backsolve(root, fit$X[own, , drop = FALSE], transpose = TRUE)
    e <- backsolve(root, residual[own] / fit$sigma, transpose = TRUE)
    drop(crossprod(X, adjusted_residual(root, X, e, fit$vcov_unscaled, correction))) / fit$sigma
  }, numeric(ncol(fit$X)))
  matrix(t(scores), length(rows), dimnames = list(cluster$levels, colnames(fit$X)))
}

# The residual e times the adjustment, both in the coordinates in which V = root' root is the
# identity. CR3: (I - H)^-1. CR2: root' G^-1/2 root in the coordinates given, where
# G = root (V - X M X') root'.
adjusted_residual <- function(root, X, e, M, correction) {
  rest <- diag(nrow(X)) - X %*% M %*% t(X)
  if (correction == "CR3") {
    return(power_of(rest, -1) %*% e)
  }
  turn <- tcrossprod(root)
  power_of(turn %*% rest %*% turn, -0.5) %*% (turn %*% e)
}

# A symmetric positive semi-definite matrix to a power, on the space where it is not zero.
power_of <- function(A, power) {
  e <- eigen((A + t(A)) / 2, symmetric = TRUE)
  kept <- e$values > 1e-10 * max(e$values, 1e-300)
  U <- e$vectors[, kept, drop = FALSE]
  U %*% (e$values[kept]^power * t(U))
}

# Covariance of the rows `own` under the model.
cluster_covariance <- function(fit, own) {
  w <- if (is.null(fit$weights)) rep(1, length(own)) else fit$weights[own]
  V <- diag(fit$sigma^2 / w, length(own))
  for (t in seq_along(fit$random)) {
    term <- fit$random[[t]]
    z <- if (is.null(term$z)) matrix(1, length(own), 1L) else term$z[own, , drop = FALSE]
    same <- outer(term$codes[own], term$codes[own], `==`)
    V <- V + same * tcrossprod(fit$sigma * z %*% fit$Lambda[[t]])
  }
  V
}

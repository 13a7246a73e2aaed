# The package sandwich: contributions of rows to the score, and the covariance they are between.
#
# The rows of a cluster are not independent: what sandwich multiplies must be the score of whole
# clusters. estfun() therefore gives each row its share only where the caller is going to add them
# up by a cluster that it was given; otherwise the score of a cluster stands in its first row and
# zeros in the others, so that every cross-product is that of clusters.
#
# sandwich's meatCL() is no generic and hands estfun() neither the cluster nor the type: what it was
# given can only be read where it is called from. A caller that is not known gets the scores of
# clusters, which is right for any cluster that holds the fit's own.

estfun.pp_lmm <- function(x, cluster = NULL, ...) {
  asked <- sandwich_request(x, sys.function(sys.parent()), parent.frame())
  if (asked$count_only) {
    return(empty_scores(x))
  }
  reject_kernel_clusters(x)
  if (is.null(cluster) && !is.null(asked$cluster)) {
    return(scores_of_rows(x))
  }
  clusters <- cluster_codes(x, cluster)
  spread_scores(cluster_scores(x, clusters), clusters, x)
}

# Scores of all parameters, brought to the coefficients: for the coefficients' covariance V as bread
# they give the rows and columns of the whole sandwich.
estfun.pp_glmm <- function(x, cluster = NULL, ...) {
  asked <- sandwich_request(x, sys.function(sys.parent()), parent.frame())
  if (asked$count_only) {
    return(empty_scores(x))
  }
  if (is.null(cluster) && length(asked$cluster) > 1L && has_random(x)) {
    pp_abort("argument", c(
      x = "A generalised mixed model can be clustered in one way only.",
      i = "Its likelihood is a product over clusters, not over rows."
    ))
  }
  if (is.null(cluster)) cluster <- asked$cluster
  if (!has_random(x)) cluster <- seq_len(x$n)
  clusters <- cluster_codes(x, cluster)
  spread_scores(effective_scores(x, clusters), clusters, x)
}

estfun.pp_kernel_fit <- function(x, ...) abort_kernel_clusters()

# The whole of a kernel model is one cluster.
abort_kernel_clusters <- function() {
  pp_abort("argument", c(
    x = "There are no independent clusters: a kernel correlates all rows.",
    ">" = "Use {.fn bootstrap}, which draws from the model."
  ))
}

# bread() as sandwich defines it: n times the covariance. clubSandwich reads it too.
bread.pp_fit <- function(x, ...) x$n * vcov(x)

# HC covariances take rows as independent.
vcovHC.pp_fit <- function(x, ...) {
  reject_row_sandwich(x, "vcovHC")
  NextMethod()
}

# Of the rows' scores meatHC() makes residuals, by dividing by X: those of several linear predictors
# are no such product.
vcovHC.pp_glmm <- function(x, ...) {
  reject_row_sandwich(x, "vcovHC")
  pp_abort("argument", c(
    x = "{.fn vcovHC} is for linear models and those of {.fn glm}.",
    ">" = "{.code sandwich::sandwich(fit)} is its type {.val HC0}."
  ))
}

vcovHAC.pp_fit <- function(x, ...) {
  reject_row_sandwich(x, "vcovHAC")
  NextMethod()
}

vcovBS.pp_fit <- function(x, ...) {
  pp_abort("argument", c(
    x = "{.fn vcovBS} would draw rows or clusters with the labels they have: two draws of a group
         would be one group.",
    ">" = "Use {.fn bootstrap}, also with {.code type = \"cases\"}, and {.fn vcov} of its result."
  ))
}

reject_row_sandwich <- function(fit, what) {
  if (has_random(fit) || inherits(fit, "pp_kernel_fit")) abort_row_sandwich(what)
}

abort_row_sandwich <- function(what) {
  pp_abort("argument", c(
    x = "{.fn {what}} takes the rows as independent: those of a group are not.",
    ">" = "Use {.code vcov(fit, type = \"sandwich\")} or {.code vcovCL(fit, cluster = ~ g)}."
  ))
}

# What the calling function of sandwich is going to do with the rows: list(count_only, cluster).
# `cluster`: what vcovCL() was given, as columns of rows; NULL for other callers.
sandwich_request <- function(fit, caller, frame) {
  called_by <- function(name) {
    identical(caller, get0(name, asNamespace("sandwich"), mode = "function", inherits = FALSE))
  }
  if (called_by("sandwich")) {
    return(list(count_only = TRUE))
  }
  by_row <- c("meatHC", "meatHAC", "meatPL", "meatPC", "vcovOPG")
  by_row <- by_row[vapply(by_row, called_by, NA)]
  if (length(by_row) && has_random(fit)) abort_row_sandwich(by_row)
  if (length(by_row)) {
    return(list(count_only = FALSE, cluster = data.frame(row = seq_len(fit$n))))
  }
  if (!called_by("meatCL")) {
    return(list(count_only = FALSE))
  }
  check_meat_type(fit, frame$type)
  list(count_only = FALSE, cluster = requested_clusters(fit, frame))
}

check_meat_type <- function(fit, type) {
  if (is.character(type) && type[1L] %in% c("HC2", "HC3")) {
    pp_abort("argument", c(
      x = "{.code type = \"{type[1L]}\"} of {.fn vcovCL} is for models without random effects fitted
           by {.fn lm} or {.fn glm}.",
      ">" = if (inherits(fit, "pp_lmm")) "{.code vcov(fit, type = \"sandwich\", correction =
             \"{sub('HC', 'CR', type[1L])}\")} is its counterpart." else "Use {.val HC0} or
             {.val HC1}."
    ))
  }
}

# The clusters of meatCL(), a data frame with a column a way to cluster: those of the fit where none
# are given. They are put where meatCL() would look a formula up in the data of the call, by the
# formula of the fit, whose bars it cannot read. A variable that the model does not have it must.
requested_clusters <- function(fit, frame) {
  cluster <- frame$cluster
  if (inherits(cluster, "formula") && !all(all.vars(cluster) %in% names(fit$frame))) {
    return(list(cluster))
  }
  if (is.null(cluster)) {
    found <- default_clusters(fit)
    cluster <- data.frame(cluster = factor(found$levels[found$codes], found$levels))
  } else if (inherits(cluster, "formula")) {
    cluster <- fit$frame[all.vars(cluster)]
  } else {
    cluster <- as.data.frame(cluster)
    dropped <- fit$na.action
    if (length(dropped) && nrow(cluster) == fit$n + length(dropped)) {
      cluster <- cluster[-dropped, , drop = FALSE]
    }
  }
  assign("cluster", cluster, envir = frame)
  cluster
}

empty_scores <- function(fit) {
  matrix(0, fit$n, length(fit$coefficients), dimnames = list(NULL, names(fit$coefficients)))
}

scores_of_rows <- function(fit) {
  residual <- fit$y - fitted_values(fit)
  if (!is.null(fit$weights)) residual <- residual * fit$weights
  scores <- fit$X * (residual / fit$sigma^2)
  attributes(scores) <- list(dim = dim(fit$X), dimnames = dimnames(fit$X))
  scores
}

# The score of each cluster in the row where it appears first.
spread_scores <- function(scores, cluster, fit) {
  spread <- empty_scores(fit)
  first <- match(seq_len(nrow(scores)), cluster$codes)
  spread[first[!is.na(first)], ] <- scores[!is.na(first), ]
  rownames(spread) <- row.names(fit$frame)
  spread
}

# Each cluster's influence on the coefficients, times the inverse of their covariance.
effective_scores <- function(fit, cluster) {
  V <- fit$vcov
  if (anyNA(V)) {
    pp_abort("separation", c(
      x = "Some coefficients are infinite: they have no score.",
      i = "{.code {fit$convergence$separation$columns}}"
    ))
  }
  scores <- cluster_scores(fit, cluster)
  at <- length(fit$theta) + seq_along(fit$coefficients)
  influence <- (scores %*% criterion_bread(fit))[, at, drop = FALSE]
  effective <- t(solve(V, t(influence)))
  dimnames(effective) <- list(cluster$levels, names(fit$coefficients))
  effective
}

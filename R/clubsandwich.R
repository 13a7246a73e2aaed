# clubSandwich: small-sample corrections and tests of the sandwich by clusters, for linear models.

vcovCR.pp_lmm <- function(obj, cluster, type, target = NULL, inverse_var = is.null(target),
                          form = "sandwich", ...) {
  cluster <- cluster_codes(obj, if (!missing(cluster)) cluster)
  if (!cluster$nested) {
    pp_abort("argument", c(
      x = "Random effects reach over several clusters: clubSandwich needs independent clusters.",
      ">" = "Use {.code vcov(fit, type = \"sandwich\")}, with {.val CR0}, {.val CR1} or
             {.val CR1S}."
    ))
  }
  cluster <- structure(cluster$codes, levels = as.character(cluster$levels), class = "factor")
  # By position, NextMethod() would take the cluster given for the type.
  default <- utils::getS3method("vcovCR", "default", envir = asNamespace("clubSandwich"))
  default(obj, cluster, type, target, inverse_var, form)
}

vcovCR.pp_glmm <- function(obj, ...) {
  pp_abort("argument", c(
    x = "{.fn vcovCR} is for linear mixed models.",
    ">" = "Use {.code vcov(fit, type = \"sandwich\")}, with {.val CR0}, {.val CR1} or
           {.val CR1S}."
  ))
}

vcovCR.pp_kernel_fit <- function(obj, ...) {
  pp_abort("argument", c(
    x = "{.fn vcovCR} is for linear mixed models: a kernel correlates all rows.",
    ">" = "Use {.fn bootstrap}, which draws from the model."
  ))
}

# The covariance of the rows of each cluster under the model, in squared units of the response.
targetVariance.pp_lmm <- function(obj, cluster) {
  rows <- split(seq_len(obj$n), cluster)
  lapply(rows, function(own) unname(cluster_covariance(obj, own)))
}

weightMatrix.pp_lmm <- function(obj, cluster) {
  lapply(targetVariance.pp_lmm(obj, cluster), function(V) chol2inv(chol(V)))
}

residuals_CS.pp_lmm <- function(obj) {
  obj$y - fixed_part(obj$X, obj$coefficients, obj$offset)
}

model_matrix.pp_lmm <- function(obj) unname_rows(obj$X)

unname_rows <- function(X) {
  attributes(X) <- list(dim = dim(X), dimnames = list(NULL, colnames(X)))
  X
}

# lme4's generics on our fits. A fit keeps what it was made from, so that none looks for data again.

isLMM.pp_fit <- function(x, ...) inherits(x, "pp_lmm") || inherits(x, "pp_kernel_lmm")
isGLMM.pp_fit <- function(x, ...) inherits(x, "pp_glmm") || inherits(x, "pp_kernel_glmm")
isNLMM.pp_fit <- function(x, ...) FALSE
isREML.pp_fit <- function(x, ...) isTRUE(x$REML)

ngrps.pp_fit <- function(object, ...) n_groups(object)

refitML.pp_fit <- function(x, ...) refit_ml(x)

# Standard deviations of the principal components of each random term, relative to sigma as in lme4.
rePCA.pp_fit <- function(x) {
  terms <- lme4_terms(x)
  groups <- vapply(terms, function(term) term$group, "")
  factors <- lapply(stats::setNames(nm = unique(groups)), function(group) {
    as.matrix(Matrix::bdiag(lapply(terms[groups == group], function(term) term$factor)))
  })
  structure(lapply(factors, function(factor) {
    parts <- svd(factor, nv = 0L)
    structure(
      list(sdev = parts$d, rotation = parts$u, center = FALSE, scale = FALSE), class = "prcomp"
    )
  }), class = "prcomplist")
}

# generics' refit(), which this package exports, masks lme4's when it is attached later.
#' @export
refit.merMod <- function(object, ...) {
  # lme4's generic, called from here, would find this method again.
  utils::getS3method("refit", "merMod", envir = asNamespace("lme4"))(object, ...)
}

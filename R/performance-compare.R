# Likelihood-ratio tests of several fits in the performance package.

# Without an estimator, models with the same fixed effects are compared as they were fitted; others,
# and those where ML is asked for, by their fits by maximum likelihood, as anova() has it: the
# likelihood at the estimates of REML is not that of the model.
test_likelihoodratio.pp_fit <- function(..., estimator = NULL, verbose = TRUE) {
  labels <- vapply(as.list(substitute(list(...)))[-1L], deparse1, "")
  fits <- insight::ellipsis_info(..., only_models = TRUE)
  if (length(labels) == length(fits)) names(fits) <- labels
  restricted <- vapply(fits, function(fit) inherits(fit, "pp_lmm") && fit$REML, NA)
  if (is.null(estimator)) {
    same <- isTRUE(attr(fits, "same_fixef"))
    estimator <- if (all(restricted) && same) "REML" else "ML"
  }
  if (estimator == "ML" && any(restricted)) {
    fits[restricted] <- lapply(fits[restricted], refit_known)
  }
  nested <- utils::getS3method("test_likelihoodratio", "ListNestedRegressions",
    envir = asNamespace("performance")
  )
  if (!inherits(fits, "ListNestedRegressions")) {
    pp_abort("argument", c(
      x = "The models are not nested: there is no likelihood-ratio test of them.",
      ">" = "{.fn AIC} compares models that are not nested."
    ))
  }
  nested(fits, estimator = estimator, verbose = verbose)
}

# By maximum likelihood, under the class vector that insight gave it.
refit_known <- function(fit) structure(refit_ml(fit), class = class(fit))

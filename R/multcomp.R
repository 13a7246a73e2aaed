# multcomp: the parameters that glht() tests.

# As for lme4: normal quantiles unless `df` says otherwise.
modelparm.pp_fit <- function(model, coef. = stats::coef, vcov. = stats::vcov, df = NULL, ...) {
  default <- utils::getS3method("modelparm", "default", envir = asNamespace("multcomp"))
  default(model, coef. = coef., vcov. = vcov., df = df, ...)
}

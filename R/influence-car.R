# car's pictures of influence: its own methods for lm do, given our leverages and residuals.

influencePlot.pp_fit <- function(model, ...) {
  utils::getS3method("influencePlot", "lm", envir = asNamespace("car"))(model, ...)
}

outlierTest.pp_fit <- function(model, ...) {
  utils::getS3method("outlierTest", "lm", envir = asNamespace("car"))(model, ...)
}

infIndexPlot.pp_fit <- function(model, ...) {
  utils::getS3method("infIndexPlot", "lm", envir = asNamespace("car"))(model, ...)
}

infIndexPlot.pp_influence <- function(model, ...) {
  utils::getS3method("infIndexPlot", "influence.merMod", envir = asNamespace("car"))(model, ...)
}

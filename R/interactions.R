# jtools and interactions: effect_plot(), interact_plot(), make_predictions(). Their default would
# take the random effects of the first group; this is for the population, as for lme4's fits.

make_predictions.pp_fit <- function(model, ...) {
  if (inherits(model, "pp_population")) {
    return(NextMethod())
  }
  class(model) <- c("pp_population", class(model))
  jtools::make_predictions(model, ...)
}

# Without bounds: those who ask make them with t quantiles of the residual degrees of freedom.
#' @export
predict.pp_population <- function(object, newdata = NULL, interval = NULL, ...) {
  class(object) <- setdiff(class(object), "pp_population")
  stats::predict(object, newdata, re.form = NA, ...)
}

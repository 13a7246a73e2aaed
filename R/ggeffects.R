# ggeffects: predictions over a grid of focal terms, ggpredict() and predict_response(). Its default
# for classes it does not know would take the random effects of the first group.

# `data_grid`: rows to predict; its attribute "constant.values" has the variables that are no focal
# term. Columns `predicted`, `conf.low`, `conf.high` are added, and an attribute "std.error" on the
# scale of the link, as for lme4's fits.
get_predictions.pp_fit <- function(model, data_grid = NULL, terms = NULL, ci_level = 0.95,
                                   type = "fixed", vcov = NULL, vcov_args = NULL,
                                   interval = "confidence",
                                   link_inverse = insight::link_inverse(model), ...) {
  type <- grid_prediction_type(model, type)
  level <- if (length(ci_level) && !is.na(ci_level)) ci_level
  if (type %in% c("simulate", "simulate_random")) {
    return(simulated_means(model, focal_names(terms), level, type == "simulate", ...))
  }
  robust <- if (!is.null(vcov) && !isTRUE(vcov)) {
    insight::get_varcov(model, component = "conditional", vcov = vcov, vcov_args = vcov_args)
  }
  name_population(parent.frame(), constant_groups(model, data_grid))
  value <- grid_prediction(model, data_grid, type, level, interval, robust, link_inverse)
  data_grid[c("predicted", "conf.low", "conf.high")] <- value[c("predicted", "low", "high")]
  if (!is.null(level)) attr(data_grid, "std.error") <- value$se
  attr(data_grid, "prediction.interval") <- identical(interval, "prediction")
  data_grid
}

get_predictions.pp_kernel_fit <- function(model, ...) {
  pp_abort("argument", c(
    x = "ggeffects needs a formula and data; this kernel model was made of matrices.",
    ">" = "{.fn lmm} and {.fn glmm} with {.arg kernel} fit such models from a formula.",
    ">" = "{.fn predict} knows this one."
  ))
}

# The default method asks insight whether it has a model before it: ellipsis_info() gives one.
test_predictions.pp_fit <- function(object, ...) {
  method <- utils::getS3method("test_predictions", "default", envir = asNamespace("ggeffects"))
  method(insight::ellipsis_info(object), ...)
}

# Simulated responses ------------------------------------------------------------------------------

# Means, over the rows of the fit with the same values of the focal terms, of the mean, the standard
# deviation and the quantiles of responses drawn with the random effects as predicted (`given`), or
# with new ones.
simulated_means <- function(fit, focal, level, given, nsim = 1000L, ...) {
  if (traits_of(stats::family(fit))$response == "proportion") {
    pp_abort("argument", c(
      x = "{.arg type} cannot be {.val simulate} for a response of proportions or classes.",
      ">" = "Use {.code type = \"fixed\"} or {.code type = \"random\"}."
    ))
  }
  draws <- as.matrix(stats::simulate(fit, nsim = nsim, re.form = if (given) NULL else NA))
  tail <- (1 - (if (is.null(level)) 0.95 else level)) / 2
  bounds <- apply(draws, 1L, stats::quantile, probs = c(tail, 1 - tail), names = FALSE)
  values <- data.frame(
    predicted = rowMeans(draws), conf.low = bounds[1L, ], conf.high = bounds[2L, ],
    std.error = apply(draws, 1L, stats::sd)
  )
  data <- insight::get_data(fit, source = "frame", verbose = FALSE)
  means <- stats::aggregate(values, data[focal], mean)
  means[do.call(order, unname(as.list(means[focal]))), , drop = FALSE]
}

# Variables of focal terms such as "Days [0, 5]".
focal_names <- function(terms) trimws(sub("\\[.*$", "", terms))

# ggeffects has compacted its list of arguments, in which a fit with an entry of NULL is "NULL" by
# the default of as.character(): one text stands for a fit.
#' @export
as.character.pp_fit <- function(x, ...) paste0("<", class(x)[1L], ">")

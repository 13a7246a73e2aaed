# Predictions over a grid of focal terms as ggeffects makes it, all other variables at one value:
# an attribute "constant.values" names those.

# A data frame, a row a row of the grid: `predicted`, `low`, `high`, and the standard error `se` on
# the scale where the interval is made (of the link, mostly). `type`: "fixed", "random",
# "zero_inflated", "zero_inflated_random" or "zi_prob"; `level` NULL for no interval; `robust` a
# covariance of the fixed effects; `back` from the link.
grid_prediction <- function(fit, grid, type, level, interval = "confidence", robust = NULL,
                            back = insight::link_inverse(fit)) {
  random <- type %in% c("random", "zero_inflated_random")
  quantity <- switch(type,
    zi_prob = "zprob", zero_inflated = , zero_inflated_random = "response", "link"
  )
  new_response <- identical(interval, "prediction")
  if (new_response) check_new_response(fit, quantity)
  at <- grid_predictor(fit, population_grid(fit, grid), quantity, random, robust)
  if (new_response) at$se <- sqrt(at$se^2 + stats::sigma(fit)^2)
  if (quantity == "link") at$back <- back
  bounds <- data.frame(low = NA_real_, high = NA_real_)
  if (!is.null(level)) {
    check_level(level)
    df <- if (quantity == "link") insight::get_df(fit, type = "wald") else Inf
    half <- at$se * stats::qt((1 + level) / 2, df)
    bounds <- data.frame(low = at$back(at$value - half), high = at$back(at$value + half))
  }
  data.frame(predicted = at$back(at$value), bounds, se = at$se)
}

# Grouping variables that stand in the grid for no reason but that a value was needed.
constant_groups <- function(fit, grid) {
  variables <- unlist(lapply(fit$random, function(term) all.vars(term$group_expr)))
  variables <- setdiff(variables, all.vars(attr(stats::delete.response(fit$terms), "variables")))
  intersect(variables, names(attr(grid, "constant.values")))
}

# Those groups at no level: the population.
population_grid <- function(fit, grid) {
  grid <- as.data.frame(grid)
  grid[constant_groups(fit, grid)] <- NA
  grid
}

# Without zero inflation a type that asks for it is the plain one.
grid_prediction_type <- function(fit, type) {
  known <- c("fixed", "random", "zero_inflated", "zero_inflated_random", "zi_prob", "simulate",
    "simulate_random"
  )
  type <- choose_option(type, known, "type")
  if (is.null(fit$zi) && type %in% c("zero_inflated", "zero_inflated_random", "zi_prob")) {
    plain <- if (type == "zero_inflated_random") "random" else "fixed"
    pp_inform("argument", c(
      i = "The model has no zero inflation: {.arg type} is {.val {plain}} and not {.val {type}}."
    ))
    return(plain)
  }
  type
}

# A variance of the response on the scale of the link there is for normal responses only.
check_new_response <- function(fit, quantity) {
  normal <- inherits(fit, "pp_lmm") || identical(fit$family$family, "gaussian") &&
    fit$family$link == "identity"
  if (!normal || quantity != "link") {
    pp_abort("argument", c(
      x = "{.code interval = \"prediction\"} is for normal responses.",
      i = "The response is not normal around the scale of the link.",
      ">" = "{.code type = \"simulate\"} gives intervals of new observations."
    ))
  }
}

# The quantity on the scale where its interval is made: `value`, `se` there, and `back` from it. The
# random effects of groups that are in the data count with their conditional variance; a grid
# without a group is for the population, with the variance of the fixed effects.
grid_predictor <- function(fit, grid, quantity, random, robust = NULL) {
  rows <- prediction_rows(fit, grid, if (random) NULL else NA, allow.new.levels = TRUE)
  population <- prediction_rows(fit, grid, NA)
  at <- grid_quantity(fit, rows, quantity, grid)
  fixed <- if (random) grid_quantity(fit, population, quantity, grid) else at
  known <- random & Reduce(`&`, Map(function(codes, used) !used | codes > 0L, rows$codes, rows$use),
    rep(has_random(fit), nrow(rows$X))
  )
  at$se <- ifelse(known, at$se, fixed$se)
  if (!is.null(robust) && quantity == "link") at$se <- sqrt(quadratic_form(rows$X, robust))
  lapply(at, function(part) if (is.function(part)) part else unname(part))
}

grid_quantity <- function(fit, rows, quantity, grid) {
  if (inherits(fit, "pp_glmm")) {
    return(predicted_quantity(fit, rows, quantity, grid, TRUE)[c("value", "se", "back")])
  }
  list(
    value = predicted_mean(fit, rows), se = sqrt(predicted_variance(fit, rows)), back = identity
  )
}

# What is printed below a table, "Adjusted for: ...", is taken from the grid in the calling
# function: groups at no level are named there as they are for lme4's fits.
name_population <- function(frame, groups) {
  grid <- get0("data_grid", frame, inherits = FALSE)
  constants <- attr(grid, "constant.values")
  if (!length(groups) || !all(groups %in% names(constants))) {
    return(invisible())
  }
  constants[groups] <- "0 (population-level)"
  attr(grid, "constant.values") <- constants
  assign("data_grid", grid, frame)
}

# For releases of ggeffects that ask insight for predictions and do not say what they were asked
# for: that stands in the functions that called. An object of insight's class "get_predicted".
predicted_over_grid <- function(fit, grid) {
  asked <- dynGet("type", "fe")
  known <- c(
    fe = "fixed", re = "random", fe.zi = "zero_inflated", re.zi = "zero_inflated_random",
    zi.prob = "zi_prob"
  )
  if (!asked %in% names(known)) {
    pp_abort("argument", c(
      x = "{.arg type} cannot be {.val {asked}} with this release of ggeffects.",
      ">" = "Use {.val fixed} or {.val random}, or a newer release."
    ))
  }
  level <- dynGet("ci.lvl", 0.95)
  if (is.null(level) || is.na(level)) level <- NULL
  interval <- dynGet("interval", "confidence")
  # As for lme4's fits: by random effects it has meant an interval of new responses.
  if (asked == "re" && inherits(fit, "pp_lmm")) interval <- "prediction"
  type <- grid_prediction_type(fit, known[[asked]])
  value <- grid_prediction(fit, grid, type, level, interval)
  for (frame in sys.frames()) name_population(frame, constant_groups(fit, grid))
  structure(value$predicted,
    ci_data = if (!is.null(level)) {
      data.frame(SE = value$se, CI_low = value$low, CI_high = value$high)
    },
    data = grid, ci = level, predict = "expectation", class = c("get_predicted", "numeric")
  )
}

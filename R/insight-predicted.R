# insight: predictions with intervals.

# An object of insight's class "get_predicted": the predictions, with the attributes `ci_data`
# (standard errors and bounds), `data`, `ci` and `predict`. With random effects the standard errors
# are those of the group's own mean; lme4's, through insight, leave out that it is estimated.
get_predicted.pp_fit <- function(x, data = NULL, predict = "expectation", ci = NULL,
                                 ci_method = NULL, include_random = "default", iterations = NULL,
                                 vcov = NULL, vcov_args = NULL, verbose = TRUE, ...) {
  # A grid of ggeffects, in releases without a generic of their own.
  if (!is.null(attr(data, "constant.values"))) {
    return(predicted_over_grid(x, data))
  }
  dots <- list(...)
  predict <- insight_prediction(if (is.null(dots$type)) predict else dots$type)
  if (is.null(data)) data <- dots$newdata
  re.form <- prediction_groups(x, data, include_random, isTRUE(dots$allow.new.levels), verbose)
  job <- list(
    fit = x, data = data, re.form = re.form, type = predicted_type(x, predict),
    prediction = predict %in% c("prediction", "classification"), ci_method = ci_method,
    vcov = vcov, vcov_args = vcov_args
  )
  predictions <- unname(predicted_by(job))
  ci_data <- if (!is.null(iterations)) {
    draws <- predicted_draws(job, iterations)
    drawn_intervals(draws, ci)
  } else if (!is.null(ci)) {
    predicted_intervals(job, ci)
  }
  if (predict == "classification" && is_binomial(family(x))) {
    predictions <- predicted_class(x, predictions)
  }
  shown <- if (is.null(data)) insight::get_data(x, verbose = FALSE) else data
  structure(predictions,
    iterations = if (!is.null(iterations)) draws, ci_data = ci_data, data = shown, ci = ci,
    predict = predict, class = c("get_predicted", class(predictions))
  )
}

# A kernel model is made of matrices: it has the rows that it was fitted to.
get_predicted.pp_kernel_fit <- function(x, data = NULL, predict = "expectation", ci = NULL, ...) {
  if (!is.null(data) || !is.null(ci)) {
    pp_abort("argument", c(
      x = "{.fn get_predicted} gives the fitted values of a kernel model, and no more.",
      ">" = "Its {.fn predict} takes new rows and gives intervals."
    ))
  }
  type <- predicted_type(x, insight_prediction(predict))
  structure(as.numeric(stats::predict(x, type = type)),
    predict = predict, class = c("get_predicted", "numeric")
  )
}

# insight's names of what is predicted; a name that only predict() knows stays.
insight_prediction <- function(predict) {
  switch(predict[1L],
    expected = , response = "expectation", predicted = "prediction", predict[1L]
  )
}

predicted_type <- function(fit, predict) {
  switch(predict, expectation = , prediction = , classification = "response", predict)
}

# NULL or NA, as `re.form`. With "default" all random effects, if the data have groups that were
# seen.
prediction_groups <- function(fit, data, include_random, new_levels, verbose) {
  if (inherits(include_random, "formula")) {
    return(include_random)
  }
  if (is.null(include_random)) include_random <- TRUE
  if (!has_random(fit) || identical(include_random, FALSE) || is.na(include_random)) {
    return(NA)
  }
  if (is.null(data) || new_levels || knows_groups(fit, data)) {
    return(NULL)
  }
  if (isTRUE(include_random) && isTRUE(verbose)) {
    pp_warn("newdata", c(
      "!" = "Some groups of the random effects are missing in {.arg data} or were not in the data of
             the fit: predictions are without random effects.",
      ">" = "With {.code allow.new.levels = TRUE} those of the groups that were there are used."
    ))
  }
  NA
}

knows_groups <- function(fit, data) {
  tryCatch(
    all(vapply(fit$random, function(term) all(newdata_codes(term, data, FALSE) > 0L), NA)),
    partialpool_error = function(e) FALSE
  )
}

predicted_by <- function(job, ...) {
  new_levels <- !is.null(job$data)
  fit <- job$fit
  # Rows left out for missing values are not among the data either.
  if (!new_levels) fit$na.action <- NULL
  stats::predict(fit,
    newdata = job$data, re.form = job$re.form, allow.new.levels = new_levels, type = job$type, ...
  )
}

# SE, CI_low, CI_high; for several levels the bounds with the level in their names.
predicted_intervals <- function(job, ci) {
  tables <- lapply(ci, function(level) predicted_interval(job, level))
  if (length(ci) == 1L) {
    return(tables[[1L]])
  }
  bounds <- Map(function(table, level) {
    stats::setNames(table[c("CI_low", "CI_high")], paste0(c("CI_low_", "CI_high_"), level))
  }, tables, ci)
  do.call(cbind, c(list(tables[[1L]]["SE"]), bounds))
}

predicted_interval <- function(job, level) {
  fit <- job$fit
  if (job$prediction && inherits(fit, "pp_glmm")) {
    return(response_interval(job, level))
  }
  plain <- is.null(job$vcov) && is.null(job$ci_method)
  if (inherits(fit, "pp_glmm") && (plain || !job$type %in% c("response", "link"))) {
    table <- predicted_by(job, se.fit = TRUE, interval = "confidence", level = level)
    return(interval_table(table$se.fit, table$fit[, "lwr"], table$fit[, "upr"]))
  }
  on_link <- job$type == "link"
  job$type <- "link"
  value <- predicted_by(job, se.fit = TRUE)
  tests <- interval_tests(job)
  se <- if (is.null(tests$se)) value$se.fit else tests$se
  if (job$prediction) se <- sqrt(se^2 + fit$sigma^2)
  half <- se * stats::qt((1 + level) / 2, tests$df)
  low <- value$fit - half
  high <- value$fit + half
  if (inherits(fit, "pp_glmm") && !on_link) {
    inverse <- fit$family$linkinv
    se <- se * abs(fit$family$mu.eta(value$fit))
    ends <- cbind(inverse(low), inverse(high))
    low <- pmin(ends[, 1L], ends[, 2L])
    high <- pmax(ends[, 1L], ends[, 2L])
  }
  interval_table(se, low, high)
}

interval_table <- function(se, low, high) {
  data.frame(SE = as.numeric(se), CI_low = as.numeric(low), CI_high = as.numeric(high))
}

# list(df, se): degrees of freedom of the rows by the method asked for; standard errors, where they
# are not those of predict(), of x'beta.
interval_tests <- function(job) {
  fit <- job$fit
  method <- if (is.character(job$ci_method)) ddf_of_type(tolower(job$ci_method[1L]))
  wald <- if (is.null(job$ci_method) || !is.null(method)) "wald" else job$ci_method
  df <- insight::get_df(fit, type = wald)
  if (is.null(method) && is.null(job$vcov)) {
    return(list(df = df))
  }
  L <- insight_matrix(fit, job$data)
  if (!is.null(job$vcov)) {
    V <- insight::get_varcov(fit, vcov = job$vcov, vcov_args = job$vcov_args)
    return(list(df = df, se = sqrt(rowSums((L %*% V) * L))))
  }
  found <- inference_by(fit, method)
  # Those of x'beta, also where the random effects are added to it.
  adjusted <- method == "kenward-roger" && identical(job$re.form, NA)
  list(df = found$df(L), se = if (adjusted) found$unit * sqrt(found$variance(L)))
}

# Quantiles of the response of a generalised model, at the estimates.
response_interval <- function(job, level) {
  fit <- job$fit
  check_distribution(fit)
  rows <- prediction_rows(fit, job$data, job$re.form, !is.null(job$data))
  p <- parameters_at(fit, list(
    cond = predicted_mean(fit, rows), disp = part_values(fit, "disp", rows, job$data),
    zi = part_values(fit, "zi", rows, job$data)
  ), 1)
  tail <- (1 - level) / 2
  family <- distribution_of(fit)
  interval_table(NA_real_,
    response_quantile(family, tail, p), response_quantile(family, 1 - tail, p)
  )
}

# The smallest y with P(Y <= y) >= u, by doubling and halving; whole numbers for counts.
response_quantile <- function(family, u, p) {
  step <- rep_len(family$step(p), length(p$mu))
  discrete <- all(step > 0)
  spread <- sqrt(response_variance(family, p)) + pmax(step, 1e-8)
  low <- if (family$support == "real") response_mean(family, p) - spread else 0 * spread - step
  high <- response_mean(family, p) + spread
  for (k in seq_len(200L)) {
    below <- response_cdf(family, high, p) < u
    if (!any(below, na.rm = TRUE)) break
    high[which(below)] <- high[which(below)] + 2^k * spread[which(below)]
  }
  for (k in seq_len(200L)) {
    if (family$support != "real") break
    above <- response_cdf(family, low, p) >= u
    if (!any(above, na.rm = TRUE)) break
    low[which(above)] <- low[which(above)] - 2^k * spread[which(above)]
  }
  for (k in seq_len(80L)) {
    middle <- (low + high) / 2
    reached <- response_cdf(family, middle, p) >= u
    high <- ifelse(reached, middle, high)
    low <- ifelse(reached, low, middle)
  }
  if (discrete) step * round(high / step) else high
}

# The level of a response of two values that is the more likely one; 0 and 1 for numbers.
predicted_class <- function(fit, probability) {
  as_response(fit, as.numeric(probability > 0.5), rep(1, length(probability)))
}

# Bootstrap ----------------------------------------------------------------------------------------

# Predictions of refits to drawn responses of the same groups: a column a draw.
predicted_draws <- function(job, iterations) {
  statistic <- function(fit) {
    job$fit <- fit
    predicted_by(job)
  }
  drawn <- bootstrap(job$fit, nsim = iterations, statistic = statistic, use_random = TRUE)
  draws <- as.data.frame(t(drawn$t))
  names(draws) <- paste0("iter_", seq_len(ncol(draws)))
  row.names(draws) <- NULL
  draws
}

drawn_intervals <- function(draws, ci) {
  se <- apply(draws, 1L, stats::sd)
  if (is.null(ci)) {
    return(data.frame(SE = se))
  }
  bounds <- lapply(ci, function(level) {
    tails <- c((1 - level) / 2, (1 + level) / 2)
    q <- apply(draws, 1L, stats::quantile, tails, names = FALSE)
    ends <- data.frame(CI_low = q[1L, ], CI_high = q[2L, ])
    if (length(ci) > 1L) names(ends) <- paste0(names(ends), "_", level)
    ends
  })
  do.call(cbind, c(list(data.frame(SE = se)), bounds))
}

# Intervals around predictions of the fixed effects, on the scale of the link.
get_predicted_ci.pp_fit <- function(x, predictions = NULL, data = NULL, se = NULL, ci = 0.95,
                                    ci_type = "confidence", ci_method = NULL, vcov = NULL,
                                    vcov_args = NULL, verbose = TRUE, ...) {
  if (is.null(ci)) {
    return(NULL)
  }
  job <- list(fit = x, data = data, re.form = NA, ci_method = ci_method, vcov = vcov,
    vcov_args = vcov_args
  )
  tests <- interval_tests(job)
  L <- insight_matrix(x, data)
  if (is.null(se)) se <- tests$se
  if (is.null(se)) se <- sqrt(quadratic_form(L, insight::get_varcov(x)))
  if (ci_type == "prediction") se <- sqrt(se^2 + insight::get_variance_residual(x))
  se <- as.numeric(se)
  if (is.null(predictions)) {
    return(data.frame(SE = se))
  }
  bounds <- lapply(ci, function(level) {
    half <- se * stats::qt((1 + level) / 2, tests$df)
    ends <- data.frame(
      CI_low = as.numeric(predictions - half), CI_high = as.numeric(predictions + half)
    )
    if (length(ci) > 1L) names(ends) <- paste0(names(ends), "_", level)
    ends
  })
  do.call(cbind, c(list(data.frame(SE = se)), bounds))
}

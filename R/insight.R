# insight: what a model is made of - its kind, formulas, parameters and statistics. All of easystats
# asks these functions.

# Family, link and kind by insight's own rules; what it knows only by the class of other packages'
# fits is set here.
model_info.pp_fit <- function(x, verbose = TRUE, ...) {
  info <- NextMethod()
  if (is.null(info$is_binomial)) {
    return(info)
  }
  zero_inflated <- !is.null(x$zi)
  one_trial <- (is.null(x$trials) || all(x$trials == 1)) && !is.matrix(given_response(x))
  info$is_bernoulli <- info$is_binomial && !info$is_betabinomial && one_trial
  info$is_zero_inflated <- info$is_zeroinf <- info$is_zero_inflated || zero_inflated
  info$is_dispersion <- has_dispersion_model(x)
  info$is_linear <- (info$is_linear || identical(info$family, "t")) && !zero_inflated
  info
}

given_response <- function(fit) if (is.null(fit$frame)) fit$y else fit$frame[[1L]]

is_mixed_model.pp_fit <- function(x) has_random(x)

# Its random effects are those of the kernel.
is_mixed_model.pp_kernel_fit <- function(x) TRUE

# Formulas -----------------------------------------------------------------------------------------

# A constant part is not listed, as for glmmTMB: it has no variables.
find_formula.pp_fit <- function(x, verbose = TRUE, ...) {
  bars <- lapply(reformulas::findbars(x$formula), function(bar) {
    make_formula(bar, env = environment(x$formula))
  })
  formulas <- list(
    conditional = stats::formula(x$terms),
    random = if (length(bars) == 1L) bars[[1L]] else if (length(bars)) bars,
    zero_inflated = varying_formula(x$zi), dispersion = varying_formula(x$dispersion)
  )
  formulas <- formulas[lengths(formulas) > 0L]
  environment(formulas$conditional) <- environment(x$formula)
  structure(formulas, class = c("insight_formula", "list"))
}

varying_formula <- function(part) {
  if (!is.null(part) && !identical(names(part$coefficients), "(Intercept)")) part$formula
}

# Made of matrices.
find_formula.pp_kernel_fit <- function(x, verbose = TRUE, ...) NULL

has_intercept.pp_kernel_fit <- function(x, verbose = TRUE, ...) {
  any(apply(x$X, 2L, function(column) all(column == column[1L] & column != 0)))
}

is_nullmodel.pp_kernel_fit <- function(x) {
  ncol(x$X) == 0L || ncol(x$X) == 1L && has_intercept.pp_kernel_fit(x)
}

# Parameters ---------------------------------------------------------------------------------------

find_parameters.pp_fit <- function(x, effects = "all", component = "all", flatten = FALSE, ...) {
  effects <- choose_option(effects, c("all", "fixed", "random"), "effects")
  wanted <- component_names[insight_components(component)]
  names <- list()
  if (effects != "random") names <- lapply(fixed_parts(x, wanted), names)
  names <- lapply(names, insight::text_remove_backticks)
  if (effects != "fixed" && "conditional" %in% wanted && has_random(x)) {
    names <- append(names, list(random = random_columns(x)), match("conditional", names(names), 0L))
  }
  if (flatten) unique(unlist(names, use.names = FALSE)) else names
}

# Columns of the random effects by grouping factor, as ranef() has them.
random_columns <- function(fit) {
  groups <- vapply(fit$random, function(term) term$group, "")
  lapply(split(fit$random, factor(groups, unique(groups))), function(terms) {
    unlist(lapply(terms, function(term) term$columns))
  })
}

# Which of ours insight's argument `component` means: none, if it is of a kind no fit has.
insight_components <- function(component) {
  if (length(component) != 1L) component <- component[1L]
  switch(component,
    all = , full = names(component_names),
    conditional = , cond = , location = "cond",
    zi = , "zero-inflated" = , zero_inflated = "zi",
    dispersion = , disp = "disp",
    distributional = , auxiliary = c("zi", "disp"),
    character()
  )
}

# The coefficients of the linear predictors asked for that the fit has, by insight's names.
fixed_parts <- function(fit, wanted) {
  parts <- list(
    conditional = fit$coefficients, zero_inflated = fit$zi$coefficients,
    dispersion = if (has_dispersion_model(fit)) fit$dispersion$coefficients
  )
  parts[lengths(parts) > 0L & names(parts) %in% wanted]
}

n_parameters.pp_fit <- function(x, effects = "fixed", component = "all", ...) {
  length(unlist(find_parameters.pp_fit(x, effects = effects, component = component)))
}

get_parameters.pp_fit <- function(x, effects = "fixed", component = "all", ...) {
  effects <- choose_option(effects, c("fixed", "random"), "effects")
  wanted <- component_names[insight_components(component)]
  if (effects == "random") {
    return(if ("conditional" %in% wanted) lapply(ranef(x, condVar = FALSE), identity))
  }
  parameter_table(x, fixed_parts(x, wanted), "Estimate")
}

# A row a parameter. With other linear predictors than the mean's, which one stands in a column.
parameter_table <- function(fit, values, what) {
  table <- data.frame(
    Parameter = as.character(unlist(lapply(values, names), use.names = FALSE)),
    value = as.numeric(unlist(values, use.names = FALSE))
  )
  names(table)[2L] <- what
  if (!is.null(fit$zi) || has_dispersion_model(fit)) {
    table$Component <- as.character(rep(names(values), lengths(values)))
  }
  insight::text_remove_backticks(table)
}

# Test statistics ----------------------------------------------------------------------------------

find_statistic.pp_fit <- function(x, ...) "z-statistic"

find_statistic.pp_lmm <- function(x, ...) "t-statistic"

find_statistic.pp_kernel_fit <- function(x, ...) {
  if (has_t_tests(x)) "t-statistic" else "z-statistic"
}

# Estimate over standard error: the same by every method for degrees of freedom but that of Kenward
# and Roger, which changes the standard errors.
get_statistic.pp_fit <- function(x, component = "all", ...) {
  ours <- insight_components(component)
  estimates <- fixed_parts(x, component_names[ours])
  statistics <- lapply(stats::setNames(nm = names(estimates)), function(name) {
    estimates[[name]] / sqrt(diag(fixed_covariance(x, name)))
  })
  table <- parameter_table(x, statistics, "Statistic")
  attr(table, "statistic") <- find_statistic_of(x)
  table
}

# The class of the fit knows it, in releases that look into a list of their own too.
find_statistic_of <- function(fit) {
  if (inherits(fit, "pp_lmm")) {
    "t-statistic"
  } else if (inherits(fit, "pp_kernel_fit")) {
    find_statistic.pp_kernel_fit(fit)
  } else {
    "z-statistic"
  }
}

# The covariance of the coefficients of one linear predictor, by insight's name of it.
fixed_covariance <- function(fit, name) {
  if (name == "conditional") {
    return(inference(fit, "none")$vcov)
  }
  part_covariance(fit, names(component_names)[match(name, component_names)])
}

# How the fit was made -----------------------------------------------------------------------------

find_algorithm.pp_fit <- function(x, ...) {
  algorithm <- if (isTRUE(x$REML)) "REML" else "ML"
  if (identical(x$method, "pql")) algorithm <- "PQL"
  if (inherits(x, "pp_kernel_fit") && !is.null(x$family)) algorithm <- "EP"
  list(algorithm = algorithm, optimizer = "Newton")
}

is_converged.pp_fit <- function(x, tolerance = 0.001, verbose = TRUE, ...) convergence_flag(x)

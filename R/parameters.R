# The parameters package: standard errors, p-values, intervals and degrees of freedom of the
# coefficients. Without a method they are those of summary(): Satterthwaite's for lmm().

# Data frame, one row a coefficient: Parameter, Component, Coefficient, SE, df, statistic, p.
# `method` is one of the parameters package's `ci_method`s, NULL for that of summary().
estimate_tests <- function(fit, method = NULL, component = "all", vcov = NULL,
                              vcov_args = NULL) {
  parts <- coefficient_parts(fit, component)
  tables <- lapply(parts, function(part) {
    table <- part_tests(fit, part, method)
    if (!is.null(vcov)) table$SE <- robust_errors(fit, part, table, vcov, vcov_args)
    table
  })
  table <- do.call(rbind, c(tables, make.row.names = FALSE))
  table$statistic <- table$Coefficient / table$SE
  table$p <- 2 * stats::pt(-abs(table$statistic), table$df)
  table
}

# Which of "cond", "zi", "disp" a component of the parameters package means.
coefficient_parts <- function(fit, component = "all") {
  general <- inherits(fit, "pp_glmm")
  has <- c("cond", if (general && !is.null(fit$zi)) "zi",
           if (general && has_dispersion_model(fit)) "disp")
  wanted <- switch(component[1L],
    conditional = , cond = "cond", zi = , zero_inflated = "zi", dispersion = , disp = "disp", has
  )
  intersect(has, wanted)
}

part_tests <- function(fit, part, method) {
  if (part != "cond") {
    coefficients <- coef.pp_fit(fit, component = part)
    se <- sqrt(diag(vcov.pp_glmm(fit, component = part)))
    df <- rep(Inf, length(se))
  } else {
    tests <- tests_by_method(fit, method)
    coefficients <- tests$coefficients
    p <- length(coefficients)
    one <- contrast_table(tests, diag(1, p))
    se <- one$std.error
    df <- one$df
  }
  data.frame(
    Parameter = gsub("`", "", names(coefficients), fixed = TRUE),
    Component = rep(component_names[[part]], length(coefficients)),
    Coefficient = unname(coefficients), SE = unname(se), df = df
  )
}

# The inference() that a method stands for. Profile and bootstrap intervals have no tests of their
# own: they go with those of the default.
tests_by_method <- function(fit, method) {
  if (is.null(method)) method <- "default"
  method <- tolower(method)
  general <- !inherits(fit, "pp_lmm")
  switch(method,
    satterthwaite = inference(fit, "satterthwaite"),
    kenward = , kr = , `kenward-roger` = inference(restricted_fit(fit), "kenward-roger"),
    normal = inference(fit, "none"),
    wald = if (general) inference(fit) else with_residual_df(fit),
    residual = with_residual_df(fit),
    ml1 = , betwithin = with_df(inference(fit), group_df(fit, method)),
    inference(fit)
  )
}

# Rows minus all parameters, as the neighbours count them for a mixed model; those of lm() without
# random effects.
with_residual_df <- function(fit) {
  if (!has_random(fit) && inherits(fit, "pp_lmm")) {
    return(inference(fit))
  }
  with_df(inference(fit), rep(stats::df.residual(fit), length(fit$coefficients)))
}

with_df <- function(tests, df) {
  tests$df <- function(L) rep_len(unname(df), nrow(L))
  tests
}

group_df <- function(fit, method) {
  df <- if (method == "ml1") parameters::dof_ml1(fit) else parameters::dof_betwithin(fit)
  names <- gsub("`", "", names(fit$coefficients), fixed = TRUE)
  if (is.null(names(df))) rep_len(df, length(names)) else df[names]
}

# `vcov`: a matrix, a function, or a name that insight::get_varcov() knows.
robust_errors <- function(fit, part, table, vcov, vcov_args) {
  if (is.function(vcov)) vcov <- do.call(vcov, c(list(fit), vcov_args))
  if (is.character(vcov)) {
    vcov <- insight::get_varcov(fit,
      component = component_names[[part]], vcov = vcov, vcov_args = vcov_args
    )
  }
  vcov <- as.matrix(vcov)
  if (ncol(vcov) != nrow(table)) {
    pp_abort("argument", c(
      x = "{.arg vcov} must be a covariance matrix of the {nrow(table)} coefficient{?s}.",
      i = "It has {ncol(vcov)} column{?s}."
    ))
  }
  unname(sqrt(diag(vcov)))
}

has_several_parts <- function(fit) length(coefficient_parts(fit)) > 1L

# Of all linear predictors together, rows need a column to tell them apart.
part_column <- function(fit, component) {
  if (identical(component, "all") && has_several_parts(fit)) "Component"
}

standard_error.pp_fit <- function(model, effects = "fixed", component = "all", method = NULL,
                                  vcov = NULL, vcov_args = NULL, ...) {
  if (identical(effects, "random")) {
    return(random_errors(model))
  }
  tests <- estimate_tests(model, method, component, vcov, vcov_args)
  tests[c("Parameter", "SE", part_column(model, component))]
}

# Matrices of conditional standard deviations, by grouping factor.
random_errors <- function(fit) {
  lapply(unclass(ranef.pp_fit(fit, condVar = TRUE)), function(table) {
    se <- as.matrix(table)
    se[] <- sqrt(t(apply(attr(table, "postVar"), 3L, diag)))
    if (ncol(table) == 1L) se[] <- sqrt(attr(table, "postVar")[1L, 1L, ])
    se
  })
}

p_value.pp_fit <- function(model, method = NULL, component = "all", vcov = NULL, vcov_args = NULL,
                           dof = NULL, ...) {
  tests <- estimate_tests(model, method, component, vcov, vcov_args)
  if (!is.null(dof)) tests$p <- 2 * stats::pt(-abs(tests$statistic), dof)
  tests[c("Parameter", "p", part_column(model, component))]
}

ci.pp_fit <- function(x, ci = 0.95, dof = NULL, method = NULL, component = "all", vcov = NULL,
                      vcov_args = NULL, iterations = 500, effects = "fixed", ...) {
  tests <- estimate_tests(x, method, component, vcov, vcov_args)
  if (!is.null(dof)) tests$df <- dof
  resampled <- if (is.null(vcov)) intersect(tolower(method), c("profile", "boot", "uniroot"))
  intervals <- lapply(ci, function(level) {
    half <- tests$SE * stats::qt((1 + level) / 2, tests$df)
    table <- data.frame(
      Parameter = tests$Parameter, CI = level, CI_low = tests$Coefficient - half,
      CI_high = tests$Coefficient + half, Component = tests$Component
    )
    if (length(resampled)) {
      table[c("CI_low", "CI_high")] <- likelihood_intervals(x, tests, level, resampled, iterations)
    }
    table
  })
  table <- do.call(rbind, intervals)
  if (is.null(part_column(x, component))) table$Component <- NULL
  table
}

# By profile or bootstrap, in the order of `tests`.
likelihood_intervals <- function(fit, tests, level, method, iterations) {
  method <- if (method == "boot") "boot" else "profile"
  prefix <- c(conditional = "", zero_inflated = "zi.", dispersion = "disp.")[tests$Component]
  wanted <- paste0(prefix, tests$Parameter)
  labels <- all_parameters(fit)
  at <- match(wanted, gsub("`", "", labels$name, fixed = TRUE))
  table <- confint.pp_fit(fit, at, level, method = method, nsim = iterations)
  as.data.frame(unname(table))
}

degrees_of_freedom.pp_fit <- function(model, method = "analytical", ...) {
  if (identical(method, "residual")) {
    return(stats::df.residual(model))
  }
  tests <- estimate_tests(model, method, "conditional")
  if (length(unique(tests$df)) == 1L && !tolower(method) %in% c("satterthwaite", "kenward", "kr")) {
    return(tests$df[1L])
  }
  stats::setNames(tests$df, tests$Parameter)
}

dof_satterthwaite.pp_fit <- function(model, ...) degrees_of_freedom.pp_fit(model, "satterthwaite")

se_satterthwaite.pp_fit <- function(model, ...) {
  estimate_tests(model, "satterthwaite")[c("Parameter", "SE")]
}

se_kenward.pp_fit <- function(model, ...) estimate_tests(model, "kenward")[c("Parameter", "SE")]

p_value_kenward.pp_fit <- function(model, ...) p_value.pp_fit(model, "kenward")

ci_kenward.pp_fit <- function(model, ci = 0.95, ...) ci.pp_fit(model, ci, method = "kenward")

bootstrap_model.pp_fit <- function(model, iterations = 1000, type = "parametric", ...) {
  type <- choose_option(type, c("parametric", "semiparametric", "cases"), "type")
  coefficients <- function(fit) fit$coefficients
  replicates <- bootstrap(model, iterations, type = type, statistic = coefficients)
  table <- as.data.frame(replicates)
  names(table) <- gsub("`", "", names(model$coefficients), fixed = TRUE)
  structure(table[stats::complete.cases(table), , drop = FALSE],
    class = c("bootstrap_model", "see_bootstrap_model", "data.frame"), original_model = model
  )
}

# Methods of the package for lme4's fits that ask nothing but accessors.
by_parameters_method <- function(generic, fit, ...) {
  method <- utils::getS3method(generic, "merMod", envir = asNamespace("parameters"))
  out <- method(insight::ellipsis_info(fit), ...)
  attr(out, "object_name") <- NULL
  out
}

# With the degrees of freedom of summary(): the package's own are the rows less the parameters.
equivalence_test.pp_fit <- function(x, ...) {
  given <- intersect(names(list(...)), c("vcov", "method", "effects"))
  if (!inherits(x, "pp_lmm") || length(given)) {
    return(by_parameters_method("equivalence_test", x, ...))
  }
  out <- by_parameters_method("equivalence_test", x, method = default_ci_method(x), ...)
  tests <- estimate_tests(x)
  range <- attr(out, "rope")
  out$p <- stats::pt((range[1L] + tests$Coefficient) / tests$SE, tests$df) +
    stats::pt((range[2L] + tests$Coefficient) / tests$SE, tests$df, lower.tail = FALSE)
  out
}

p_direction.pp_fit <- function(x, ...) by_parameters_method("p_direction", x, ...)

p_significance.pp_fit <- function(x, ...) by_parameters_method("p_significance", x, ...)

p_calibrate.pp_fit <- function(x, ...) {
  method <- utils::getS3method("p_calibrate", "default", envir = asNamespace("parameters"))
  method(insight::ellipsis_info(x), ...)
}

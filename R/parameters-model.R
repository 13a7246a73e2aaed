# parameters::model_parameters(): coefficients by the package's own default method, which knows its
# many arguments, then the random effects, whose standard deviations get intervals of their own.

model_parameters.pp_fit <- function(model, ci = 0.95, ci_method = NULL, ci_random = NULL,
                                    bootstrap = FALSE, iterations = 1000, standardize = NULL,
                                    effects = "all", component = "all", group_level = FALSE,
                                    exponentiate = FALSE, p_adjust = NULL, vcov = NULL,
                                    vcov_args = NULL, ...) {
  name <- deparse1(substitute(model))
  effects <- choose_option(effects, parameter_effects, "effects")
  if (effects == "grouplevel") group_level <- TRUE
  if (effects == "grouplevel") effects <- "random"
  if (effects %in% c("total", "random_total")) {
    return(total_effects(model))
  }
  if (identical(standardize, "refit")) {
    model <- datawizard::standardize(model, verbose = FALSE)
    standardize <- NULL
  }
  # A bootstrap and standardised coefficients are of the fixed effects alone.
  if (isTRUE(bootstrap) || !is.null(standardize)) effects <- "fixed"
  if (is.null(ci_method)) ci_method <- if (bootstrap) "quantile" else default_ci_method(model)
  fixed <- fixed_parameters(model, coefficient_parts(model, component), list(
    ci = ci, ci_method = ci_method, bootstrap = bootstrap, iterations = iterations,
    standardize = standardize, exponentiate = exponentiate, p_adjust = p_adjust, vcov = vcov,
    vcov_args = vcov_args, ...
  ))
  if (!bootstrap && is.null(standardize)) {
    fixed <- with_own_tests(fixed, model, ci_method, vcov, vcov_args)
  }
  fixed$Effects <- rep("fixed", nrow(fixed))
  random <- if (effects != "fixed" && has_random(model)) {
    if (group_level) {
      group_parameters(model, ci)
    } else {
      spread_parameters(model, ci, ci_method, ci_random, iterations)
    }
  }
  table <- join_parameters(fixed, random, effects)
  attr(table, "object_name") <- name
  attr(table, "ci_method") <- attr(fixed, "ci_method")
  attr(table, "effects") <- if (group_level && effects == "random") "grouplevel" else effects
  attr(table, "ran_pars") <- attr(table, "ignore_group") <- !group_level
  table
}

parameter_effects <- c("all", "fixed", "random", "grouplevel", "total", "random_total")

default_ci_method <- function(fit) {
  if (!inherits(fit, "pp_lmm")) {
    return("wald")
  }
  if (has_random(fit)) "satterthwaite" else "residual"
}

# The default method, once for the coefficients of each linear predictor.
fixed_parameters <- function(fit, parts, arguments) {
  by_default <- utils::getS3method("model_parameters", "default",
    envir = asNamespace("parameters")
  )
  tables <- lapply(parts, function(part) {
    table <- do.call(by_default, c(list(fit, component = component_names[[part]]), arguments))
    if (has_several_parts(fit)) table$Component <- rep(component_names[[part]], nrow(table))
    table
  })
  stack_parameters(tables)
}

# Rows below each other under the attributes of the first.
stack_parameters <- function(tables) {
  first <- tables[[1L]]
  if (length(tables) == 1L) {
    return(first)
  }
  rows <- do.call(rbind, c(lapply(tables, as.data.frame), make.row.names = FALSE))
  with_attributes_of(rows, first)
}

with_attributes_of <- function(rows, table) {
  kept <- attributes(table)
  kept <- kept[setdiff(names(kept), c("names", "row.names"))]
  attributes(rows)[names(kept)] <- kept
  rows
}

# Test statistics and degrees of freedom by the method asked for.
with_own_tests <- function(table, fit, method, vcov, vcov_args) {
  tests <- estimate_tests(fit, method, "all", vcov, vcov_args)
  key <- function(x) {
    paste(if (is.null(x$Component)) "conditional" else x$Component, x$Parameter)
  }
  at <- match(key(table), key(tests))
  column <- intersect(c("t", "z"), names(table))
  if (length(column)) table[[column]] <- tests$statistic[at]
  table$df_error <- tests$df[at]
  attr(table, "ci_method") <- method
  table
}

# Standard deviations and correlations, in the order and with the names of the package.
spread_parameters <- function(fit, ci, ci_method, ci_random, iterations) {
  table <- as.data.frame(VarCorr.pp_fit(fit), order = "lower.tri")
  single <- is.na(table$var2)
  intercept <- table$var1 %in% "(Intercept)"
  residual <- table$grp == "Residual" & is.na(table$var1)
  rank <- ifelse(residual, 5L, ifelse(single, 2L, 4L) - intercept)
  label <- ifelse(single, sprintf("SD (%s)", table$var1),
    sprintf("Cor (%s~%s)", table$var1, table$var2)
  )
  label[residual] <- "SD (Observations)"
  label <- gsub("(Intercept)", "Intercept", label, fixed = TRUE)
  out <- data.frame(
    Parameter = label, Coefficient = table$sdcor, SE = NA_real_, Effects = "random",
    Group = table$grp
  )
  if (length(ci) && !isFALSE(ci_random)) {
    out <- cbind(out, variance_intervals(fit, table, ci, ci_method, iterations))
    out$SE <- variance_errors(fit, table)
  }
  out[order(rank), , drop = FALSE]
}

# Rows of `table` among the natural parameters, whose labels are those of confint().
natural_positions <- function(fit, table) {
  known <- natural_parameter_table(fit)$name
  label <- ifelse(is.na(table$var2), sprintf("sd_%s|%s", table$var1, table$grp),
    sprintf("cor_%s.%s|%s", table$var2, table$var1, table$grp)
  )
  label[table$grp == "Residual" & is.na(table$var1)] <- "sigma"
  match(label, known)
}

variance_errors <- function(fit, table) {
  at <- natural_positions(fit, table)
  wald <- natural_wald(fit)
  (wald$std.error * wald$slope)[at]
}

variance_intervals <- function(fit, table, ci, ci_method, iterations) {
  method <- if (ci_method %in% c("profile", "uniroot")) "profile" else "wald"
  if (ci_method == "boot") method <- "boot"
  at <- natural_positions(fit, table)
  found <- !is.na(at)
  columns <- lapply(ci, function(level) {
    limits <- matrix(NA_real_, nrow(table), 2L)
    if (any(found)) {
      limits[found, ] <- confint.pp_fit(fit, at[found], level, method = method, nsim = iterations)
    }
    limits <- as.data.frame(limits)
    names(limits) <- ci_columns(level, ci)
    limits
  })
  do.call(cbind, columns)
}

ci_columns <- function(level, ci) {
  paste0(c("CI_low", "CI_high"), if (length(ci) > 1L) paste0("_", level))
}

# Conditional modes with their standard deviations.
group_parameters <- function(fit, ci) {
  modes <- as.data.frame(ranef.pp_fit(fit, condVar = TRUE))
  out <- data.frame(
    Parameter = as.character(modes$term), Level = as.character(modes$grp),
    Coefficient = modes$condval, SE = modes$condsd, Effects = "random",
    Group = as.character(modes$grpvar)
  )
  for (level in ci) {
    half <- stats::qnorm((1 + level) / 2) * out$SE
    out[ci_columns(level, ci)] <- list(out$Coefficient - half, out$Coefficient + half)
  }
  out
}

# Coefficients of each group: fixed and random effects together.
total_effects <- function(fit) {
  tables <- group_coefficients(fit)
  rows <- Map(function(table, group) {
    table <- table[names(table) %in% names(ranef.pp_fit(fit, condVar = FALSE)[[group]])]
    data.frame(
      Group = group, Level = rep(rownames(table), each = ncol(table)),
      Parameter = rep(names(table), nrow(table)), Coefficient = as.vector(t(as.matrix(table))),
      Effects = "total"
    )
  }, tables, names(tables))
  out <- do.call(rbind, c(unname(rows), make.row.names = FALSE))
  class(out) <- c("parameters_coef", "see_parameters_coef", class(out))
  out
}

# One table under the attributes of the fixed part; without columns that only the other part has
# where one part alone was asked for.
join_parameters <- function(fixed, random, effects) {
  if (is.null(random)) {
    return(fixed)
  }
  if (length(attr(fixed, "ci")) == 1L) random$CI <- attr(fixed, "ci")
  columns <- names(fixed)
  if (!is.null(random$Level)) columns <- append(columns, "Level", 1L)
  columns <- append(columns, "Group", match("Effects", columns))
  whole <- as.data.frame(fixed)
  whole$Level <- NA_character_
  whole$Group <- rep("", nrow(whole))
  for (name in setdiff(columns, names(random))) {
    random[[name]] <- if (name == "Component") "conditional" else NA
  }
  rows <- if (effects == "random") random else rbind(whole[columns], random[columns])
  if (effects == "random") {
    columns <- setdiff(columns, c("t", "z", "df_error", "p"))
  }
  rows <- rows[columns]
  rownames(rows) <- NULL
  with_attributes_of(rows, fixed)
}

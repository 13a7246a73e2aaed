# Limits of the parameters that a table of a fit shows.

# Limits of all natural parameters that the rows wanted need: a list of `table`, a matrix with a row
# for each of `names`, NULL where none are wanted, and `squared`, those of covariances.
tidy_limits <- function(fit, effects, scale, conf, ddf, ...) {
  by_table <- intersect(effects, c("fixed", "ran_pars"))
  if (!conf$wanted || !length(by_table)) {
    return(NULL)
  }
  if (inherits(fit, "pp_kernel_fit")) {
    return(kernel_limits(fit, conf))
  }
  all <- all_parameters(fit)
  with_random <- "ran_pars" %in% effects
  squared <- with_random && scale == "vcov"
  wanted <- if (with_random) all$name else all$name[!all$type %in% c("sd", "cor", "sigma")]
  found <- switch(conf$method,
    wald = list(table = stats::confint(fit, wanted, conf$level, "wald", ddf = ddf)),
    profile = profiled_limits(fit, wanted, conf, squared),
    boot = bootstrapped_limits(fit, conf, squared, ...)
  )
  if (squared && conf$method == "wald") found$squared <- covariance_limits(fit, conf$level)
  found
}

profiled_limits <- function(fit, wanted, conf, squared) {
  given <- conf$profile
  table <- if (is.null(given)) {
    stats::confint(fit, wanted, conf$level, "profile")
  } else {
    stats::confint(given, level = conf$level)
  }
  random <- random_parameter_table(fit$random)
  if (!squared || !any(random$type == "cor")) {
    return(list(table = table))
  }
  path <- stats::profile(fit, "theta_", level = conf$level, scale = "varcov")
  list(table = table, squared = unname(stats::confint(path, level = conf$level)))
}

bootstrapped_limits <- function(fit, conf, squared, ...) {
  found <- bootstrap(fit, ...)
  table <- stats::confint(found, level = conf$level)
  if (!squared) {
    return(list(table = table))
  }
  random <- random_parameter_table(fit$random)
  tails <- c((1 - conf$level) / 2, (1 + conf$level) / 2)
  values <- t(vapply(seq_along(random$name), function(i) {
    x <- found$t[, random$name[i]]
    for (k in c(random$row[i], random$column[i])[random$type[i] == "cor"]) {
      x <- x * found$t[, random$name[which(
        random$type == "sd" & random$term == random$term[i] & random$row %in% c(k, NA)
      )]]
    }
    if (random$type[i] == "sd") x <- x^2
    normal_quantiles(x[is.finite(x)], tails)
  }, numeric(2L)))
  list(table = table, squared = values)
}

# Symmetric normal intervals of covariances, a row a natural parameter of the random effects.
covariance_limits <- function(fit, level) {
  random <- random_parameter_table(fit$random)
  values <- matrix(NA_real_, length(random$name), 2L)
  if (!any(random$type == "cor")) {
    return(values)
  }
  V <- variance_covariance(fit)
  at <- 0L
  for (t in seq_along(fit$random)) {
    term <- fit$random[[t]]
    k <- length(natural_names(term))
    own <- which(random$term == t)
    if (term$structure == "us") {
      S <- tcrossprod(random_scale(fit) * fit$Lambda[[t]])
      se <- sqrt(diag(V)[at + seq_len(k)])
      half <- stats::qnorm((1 + level) / 2) * se
      middle <- S[lower.tri(S, diag = TRUE)]
      values[own, ] <- cbind(middle - half, middle + half)
    }
    at <- at + k
  }
  values
}

# Of the rows of a table of variance parameters, by the natural parameters they are. A correlation
# of an autoregressive structure is a parameter at distance one alone.
random_row_limits <- function(fit, rows, limits, scale) {
  random <- random_parameter_table(fit$random)
  cells <- rows$cells
  found <- t(vapply(seq_len(nrow(rows$shown)), function(i) {
    if (is.na(cells$term[i])) {
      return(residual_limits(fit, limits, scale))
    }
    diagonal <- cells$row[i] == cells$column[i]
    own <- random$term == cells$term[i] & random$type == if (diagonal) "sd" else "cor"
    same <- random$row == cells$row[i] & random$column == cells$column[i]
    at <- which(own & (is.na(same) | same))
    structure <- fit$random[[cells$term[i]]]$structure
    far <- structure == "ar1" && abs(cells$row[i] - cells$column[i]) > 1L
    if (!length(at) || far) {
      return(c(NA_real_, NA_real_))
    }
    if (scale == "vcov" && !diagonal) {
      return(if (structure == "us") limits$squared[at, ] else c(NA_real_, NA_real_))
    }
    limits$table[at, ]^(if (scale == "vcov") 2L else 1L)
  }, numeric(2L)))
  found
}

residual_limits <- function(fit, limits, scale) {
  names <- rownames(limits$table)
  variance <- if (inherits(fit, "pp_glmm")) {
    at <- match("disp.(Intercept)", names)
    exp(limits$table[at, ])
  } else {
    at <- length(random_parameter_table(fit$random)$name) + 1L
    limits$table[at, ]^2
  }
  if (scale == "vcov") variance else sqrt(variance)
}

# By the delta method on the logarithms of v0 and v1.
kernel_limits <- function(fit, conf) {
  if (conf$method != "wald") {
    pp_abort("argument", c(
      x = "{.arg conf.method} can only be {.val Wald} for a kernel model.",
      ">" = "{.fn bootstrap} gives intervals of a fit by {.fn kernel_lmm} or {.fn kernel_glmm}."
    ))
  }
  names <- c("log(scale)", "logit(delta)")
  if (inherits(fit, "pp_kernel_traits")) {
    return(NULL)
  }
  V <- vcov.pp_kernel_fit(fit, full = TRUE)
  at <- match(names, rownames(V))
  held <- is.na(at)
  joint <- matrix(0, 2L, 2L)
  joint[!held, !held] <- V[at[!held], at[!held]]
  slopes <- rbind(v0 = c(1, -fit$delta), v1 = c(1, 1 - fit$delta))
  se <- sqrt(rowSums((slopes %*% joint) * slopes))
  # A variance at its boundary has no interval, and neither has one that was given.
  v <- kernel_variances(fit)
  se[v == 0 | all(held)] <- NA_real_
  half <- stats::qnorm((1 + conf$level) / 2) * se
  list(table = cbind(v * exp(-half), v * exp(half)))
}

kernel_row_limits <- function(rows, limits, scale) {
  found <- matrix(NA_real_, nrow(rows$shown), 2L)
  if (is.null(limits)) {
    return(found)
  }
  at <- match(rows$shown$group, c("kernel", "row", "Residual"))
  found[] <- limits$table[pmin(at, 2L), ]
  if (scale == "vcov") found else sqrt(found)
}

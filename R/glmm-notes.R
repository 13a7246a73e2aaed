# What is said once after the fit of a generalised model.

report_glmm <- function(fit) {
  # Where estimates are infinite there is no optimum to be reached.
  if (is.null(fit$convergence$separation)) report_optimum(fit)
  report_separation(fit)
  report_inflation_limit(fit)
  report_dispersion_limit(fit)
  homogeneous <- report_homogeneous_groups(fit)
  report_singular(fit)
  if (!homogeneous) report_laplace(fit)
}

# Fixed effects whose estimates are infinite.
report_separation <- function(fit) {
  separation <- fit$convergence$separation
  columns <- separation$columns
  if (!length(columns)) {
    return(invisible())
  }
  complete <- identical(separation$kind, "complete")
  told_apart <- complete && fit$family$family == "binomial" && any(fit$y != fit$y[1L])
  pp_warn("separation", c(
    "!" = "{if (complete) 'Complete' else 'Quasi-complete'} separation:
           {cli::qty(columns)}the estimate{?s} of {.code {columns}} {?is/are} infinite.",
    i = "{cli::qty(columns)}The value{?s} shown {?is/are} where the likelihood no longer changes;
         {?it has/they have} no standard error.",
    i = if (told_apart) "The fixed effects tell failures from successes without an error."
        else "Where such an effect applies, all responses are at one end of their range.",
    ">" = "Give them a prior: {.code prior = normal_prior()}."
  ), columns = columns)
}

# Zero inflation that is certain, or certainly absent, in some rows: its logit runs to infinity.
report_inflation_limit <- function(fit) {
  if (is.null(fit$zi)) {
    return(invisible())
  }
  probability <- stats::plogis(as.vector(fit$zi$X %*% fit$zi$coefficients))
  limit <- probability < 1e-5 | probability > 1 - 1e-5
  if (!any(limit)) {
    return(invisible())
  }
  bound <- if (all(probability[limit] < 0.5)) "zero" else "zero or one"
  pp_warn("separation", c(
    "!" = "The probability of an extra zero is {bound} in {if (all(limit)) 'all' else sum(limit)}
           rows: coefficients of {.code ziformula} are infinite.",
    i = "The values shown are where the likelihood no longer changes; their standard errors mean
         nothing.",
    ">" = if (all(limit)) "Leave {.arg ziformula} out." else "Simplify {.arg ziformula}."
  ))
}

# A dispersion at the limit where the family becomes a simpler one.
report_dispersion_limit <- function(fit) {
  simpler <- switch(fit$family$family,
    nbinom1 = , nbinom2 = "poisson()",
    truncated_nbinom1 = , truncated_nbinom2 = "truncated_poisson()",
    betabinomial = "binomial()", t = "gaussian()"
  )
  if (is.null(simpler) || isTRUE(fit$dispersion$fixed) && fit$family$family != "t") {
    return(invisible())
  }
  log_phi <- as.vector(fit$dispersion$X %*% fit$dispersion$coefficients)
  at_limit <- switch(fit$family$family,
    nbinom1 = , truncated_nbinom1 = all(log_phi < log(1e-6)),
    t = is.null(held_shape(fit$family)) && fit$shape[[1L]] > 1e6,
    all(log_phi > log(1e6))
  )
  if (at_limit) {
    inform_plainly("singular", paste0(
      "The ", if (fit$family$family == "t") "number of degrees of freedom" else "dispersion",
      " is at its limit: ", simpler, " fits as well."
    ))
  }
}

# Groups of all successes or all failures: the larger the variance, the better the fit.
report_homogeneous_groups <- function(fit) {
  constant <- all(fit$y == fit$y[1L])
  if (fit$family$family != "binomial" || constant || !all(fit$y == 0 | fit$y == 1)) {
    return(FALSE)
  }
  trials <- if (is.null(fit$trials)) rep(1, fit$n) else fit$trials
  for (term in Filter(Negate(has_kernel), fit$random)) {
    J <- length(term$levels)
    size <- group_sum(trials, term$codes, J)
    successes <- group_sum(fit$y * trials, term$codes, J)
    repeated <- size > 1
    if (sum(repeated) > 1L && all((successes == 0 | successes == size)[repeated])) {
      pp_warn("separation", c(
        "!" = "The response does not vary within the levels of {.var {term$group}}.",
        i = "Each level has only successes or only failures: the variance of its random effects is
             infinite, the value shown is where the likelihood no longer changes.",
        ">" = "Model one row a level, without {.code ({label_of(term$expr)})}."
      ), group = term$group)
      return(TRUE)
    }
  }
  FALSE
}

group_sum <- function(x, codes, J) {
  sums <- numeric(J)
  by_level <- rowsum(x, codes)
  sums[as.integer(rownames(by_level))] <- by_level
  sums
}

# Where the Laplace approximation is doubtful: large random effects or little information about
# each.
report_laplace <- function(fit) {
  doubt <- laplace_doubt(fit)
  if (is.null(doubt)) {
    return(invisible())
  }
  group <- doubt$group
  columns <- sum(vapply(fit$random, function(term) length(term$columns), 0L))
  quadrature <- length(n_groups(fit)) == 1L && columns <= 3L && !fit$REML &&
    !any_kernel(fit)
  nodes <- if (columns == 1L) 11L else 7L
  what <- if (quadrature) {
    paste0("compare with nAGQ = ", nodes, " or method = \"ep\"")
  } else if (!fit$REML) {
    "compare with method = \"ep\""
  } else {
    "compare with REML = FALSE, method = \"ep\""
  }
  inform_plainly("laplace", paste0(
    "The Laplace approximation may be poor: ", doubt$reason, "; ", what, "."
  ))
}

# list(group, reason) of the first term in doubt, or NULL.
laplace_doubt <- function(fit) {
  links <- c("logit", "probit", "cloglog", "log")
  if (fit$family$family == "gaussian" || !fit$method %in% c("laplace", "joint") ||
      !fit$family$link %in% links) {
    return(NULL)
  }
  binary <- is_binary(fit)
  for (t in seq_along(fit$random)) {
    term <- fit$random[[t]]
    sd <- term_sd(fit, t)
    if (sd > 3) {
      reason <- sprintf("the effects of %s have a standard deviation of %.2g on the %s scale",
                        term$group, sd, fit$family$link)
      return(list(group = term$group, reason = reason))
    }
    size <- stats::median(tabulate(term$codes, length(term$levels)))
    if (binary && size < 3 && sd > 1) {
      reason <- sprintf("half of the levels of %s have %s or fewer, with 0/1 responses",
                        term$group, if (size < 2) "one row" else "two rows")
      return(list(group = term$group, reason = reason))
    }
  }
  NULL
}

# Standard deviation of a term's part of the linear predictor, over the rows.
term_sd <- function(fit, t) {
  Lambda <- fit$Lambda[[t]]
  term <- fit$random[[t]]
  unit <- if (has_kernel(term)) rowSums(term$kernel$loading^2)[term$codes] else 1
  by_row <- if (is.null(term$z)) Lambda[1L, 1L]^2 else rowSums((term$z %*% Lambda)^2)
  sqrt(mean(unit * by_row))
}

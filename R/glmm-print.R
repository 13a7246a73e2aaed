# What a generalised linear mixed model prints besides what every fit does.

model_title.pp_glmm <- function(fit) {
  pql <- fit$method == "pql"
  if (!has_random(fit)) {
    how <- if (pql) "quasi-likelihood" else if (fit$REML) "REML" else "maximum likelihood"
    return(paste("Generalised linear model (no random effects), by", how))
  }
  integral <- switch(fit$method,
    laplace = "Laplace approximation", ep = "expectation propagation", joint = "Laplace, nAGQ = 0",
    agq = sprintf("quadrature, nAGQ = %d", as.integer(fit$nAGQ)),
    pql = if (fit$REML) "REML" else "ML", fit$method
  )
  how <- if (pql) "penalised quasi-likelihood" else if (fit$REML) "REML" else "maximum likelihood"
  sprintf("Generalised linear mixed model, by %s (%s)", how, integral)
}

family_name <- function(family) if (is.null(family$quasi)) family$family else family$quasi

# The column "-2*log(L)" has the name that lme4 gives it: deviance() of such a fit is another
# number.
criterion_table.pp_glmm <- function(fit) {
  if (fit$method == "pql") {
    return(NULL)
  }
  if (fit$REML) {
    return(c(REML = fit$criterion))
  }
  value <- log_likelihood(fit)
  c(
    AIC = stats::AIC(value), BIC = stats::BIC(value), logLik = as.numeric(value),
    "-2*log(L)" = fit$criterion, df.resid = fit$n - fit$df
  )
}

print_distribution.pp_glmm <- function(x, digits) {
  print_scale(scale_estimates(x), digits)
  if (length(x$dispersion$coefficients) > 1L) {
    cat("\nDispersion model (log):\n")
    print_estimates(x$dispersion$coefficients, digits)
  }
  if (!is.null(x$zi)) {
    cat("\nZero-inflation model (logit):\n")
    print_estimates(x$zi$coefficients, digits)
  }
}

print_estimates <- function(estimates, digits) {
  print.default(format(estimates, digits = digits), print.gap = 2L, quote = FALSE)
}

# The scalar parameters of the distribution: a row each, with standard error (NA where it was held,
# and by penalised quasi-likelihood, which gives none).
scale_estimates <- function(fit) {
  phi <- fit$dispersion$coefficients
  rows <- list()
  if (length(phi) == 1L && identical(names(phi), "(Intercept)")) {
    # d phi = phi d log phi
    se <- exp(phi) * sqrt(part_covariance(fit, "disp")[1L])
    rows$phi <- c(exp(phi), if (isTRUE(fit$dispersion$fixed)) NA else se)
  }
  if (length(fit$shape)) {
    rows[[names(fit$shape)]] <- c(fit$shape, shape_se(fit))
  }
  if (length(rows) == 0L) {
    return(NULL)
  }
  table <- do.call(rbind, rows)
  colnames(table) <- c("Estimate", "Std. Error")
  held <- c(isTRUE(fit$dispersion$fixed), !is.null(held_shape(fit$family)))
  structure(table,
    family = family_name(fit$family), held = held[match(rownames(table) == "phi", c(TRUE, FALSE))]
  )
}

# By the delta method from the internal scale, logit(p - 1) or log(df).
shape_se <- function(fit) {
  at <- parameter_positions(fit)$shape
  if (length(at) == 0L) {
    return(NA_real_)
  }
  value <- fit$shape[[1L]]
  slope <- if (fit$family$family == "tweedie") (value - 1) * (2 - value) else value
  slope * sqrt(fit$vcov_full[at, at])
}

print_scale <- function(table, digits) {
  for (name in rownames(table)) {
    label <- switch(name,
      phi = paste("Dispersion parameter (phi) of the", attr(table, "family"), "family"),
      power = "Power of the variance", df = "Degrees of freedom", name
    )
    se <- table[name, 2L]
    cat(label, ": ", format(table[name, 1L], digits = digits),
      if (attr(table, "held")[match(name, rownames(table))]) " (held)",
      if (!is.na(se)) paste0(" (SE ", format(se, digits = max(2L, digits - 1L)), ")"), "\n",
      sep = ""
    )
  }
}

# x: a fit or its summary.
separation_note <- function(x) {
  separation <- x$convergence$separation
  names <- separation$columns
  if (!length(names)) {
    return(NULL)
  }
  one <- length(names) == 1L
  paste0(
    if (identical(separation$kind, "complete")) "Complete" else "Quasi-complete",
    " separation: the estimate", if (one) " of " else "s of ", paste(names, collapse = ", "),
    if (one) " runs" else " run", " to infinity. The number shown is where the search stopped; ",
    if (one) "it has" else "they have", " no standard error. ",
    "A prior gives finite estimates: prior = normal_prior()."
  )
}

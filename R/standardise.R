# Standardised effects: rules, and what they divide by.

# list(rule, scale, text) of a fit: effects are divided by `scale`; by the rule "sd" coefficients
# are first multiplied by the standard deviations of their columns.
effect_scale <- function(fit, rule) {
  if (rule == "total") {
    scale <- total_sd(fit)
    return(list(rule = rule, scale = scale, text = paste0(
      "effect / total standard deviation ", signif(scale, 4L), " (root of all variance components)"
    )))
  }
  scale <- response_sd(fit)
  list(rule = rule, scale = scale, text = paste0(
    "coefficient x sd(column) / sd(response) ", signif(scale, 4L)
  ))
}

# The standard deviation of the response given the fixed effects: random effects, by the mean over
# the rows of their variance, and residual. On the scale of the link for a generalised model.
total_sd <- function(fit) {
  if (inherits(fit, "pp_glmm")) {
    parts <- variance_parts(fit)
    return(sqrt(sum(parts$random) + parts$row_effects + parts$distribution))
  }
  relative <- sum(vapply(seq_along(fit$random), function(t) mean_term_variance(fit, t), 0))
  fit$sigma * sqrt(relative + mean_inverse_weight(fit))
}

# Of the response as it was observed; of a generalised model, that of the variable that the link
# and the random effects imply.
response_sd <- function(fit) {
  if (!inherits(fit, "pp_glmm")) {
    return(stats::sd(fit$y))
  }
  parts <- variance_parts(fit)
  sqrt(parts$fixed + sum(parts$random) + parts$row_effects + parts$distribution)
}

# One number a row of the table. A combination of several columns has no column of its own whose
# standard deviation could be taken: NA, but for the mean that stands for a term.
standardised_effects <- function(rows, hypotheses, fit, estimate, rule) {
  if (rule$rule == "total") {
    return(estimate / rule$scale)
  }
  unlist(Map(function(row, h) {
    size <- h$coding$sd()[h$columns]
    coefficients <- size * drop(h$L %*% fit$coefficients)
    value <- drop(row$weights %*% coefficients)
    single <- rowSums(row$weights != 0) == 1L & rowSums(row$weights) == 1
    value[!single & !is.na(row$labels)] <- NA_real_
    value / rule$scale
  }, rows, hypotheses))
}

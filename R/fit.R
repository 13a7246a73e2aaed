#' @param optimum A `"pp_optimum"`.
#' @param call The call to store in the fit.
#' @return `new_fit()` returns a fit of class `"pp_lmm"` or `"pp_glmm"`, see [lmm()] and [glmm()].
#' @rdname objective
#' @export
new_fit <- function(objective, optimum, control = pp_control(), call = NULL) {
  UseMethod("new_fit")
}

#' @rdname objective
#' @export
new_fit.pp_objective <- function(objective, optimum, control = pp_control(), call = NULL) {
  design <- objective$design
  random <- design$random
  optimum <- name_effects(optimum, random)
  coefficients <- colnames(design$X)
  fit <- list(
    formula = design$formula, call = call, REML = objective$REML,
    frame = design$frame, terms = design$terms, xlevels = design$xlevels,
    contrasts = design$contrasts, X = design$X, column_names = design$column_names,
    aliased = design$aliased, y = design$y, weights = design$weights, offset = design$offset,
    random = random,
    coefficients = stats::setNames(optimum$coefficients, coefficients),
    theta = stats::setNames(optimum$theta, objective$names),
    Lambda = optimum$Lambda, b = optimum$b, sigma = optimum$sigma,
    vcov_unscaled = matrix(optimum$vcov_unscaled, length(coefficients), length(coefficients),
                           dimnames = list(coefficients, coefficients)),
    criterion = optimum$criterion,
    df = length(coefficients) + length(optimum$theta) + 1L, n = length(design$y),
    convergence = convergence_of(optimum, random, design$aliased),
    na.action = design$na.action, dropped_weights = design$dropped_weights, inner = design$inner,
    control = control
  )
  structure(fit, class = c("pp_lmm", "pp_fit"))
}

# Lambda and b with the names of terms, columns and levels.
name_effects <- function(optimum, random) {
  for (t in seq_along(random)) {
    columns <- random[[t]]$columns
    dimnames(optimum$Lambda[[t]]) <- list(columns, columns)
    dimnames(optimum$b[[t]]) <- list(random[[t]]$levels, columns)
  }
  labels <- vapply(random, function(term) term$name, "")
  names(optimum$Lambda) <- names(optimum$b) <- labels
  optimum
}

# Lambda of a linear model is relative to sigma, that of a generalised one is absolute.
random_scale <- function(fit) if (inherits(fit, "pp_glmm")) 1 else fit$sigma

# From design to fit: what every entry point ends in. Says once what the user must know.
fit_design <- function(design, REML = TRUE, start = NULL, control = pp_control(), call = NULL) {
  f <- engine_of(design, REML, "automatic", control$check)
  fit <- new_fit(f, optimum(f, start, control), control, call)
  if (control$check) report_convergence(fit)
  fit
}

# The design that a fit was made from (columns already dropped stay dropped).
design_of <- function(fit) {
  check_has_rows(fit)
  general <- inherits(fit, "pp_glmm")
  fields <- c(
    "formula", "frame", "terms", "xlevels", "contrasts", "X", "y", "weights", "offset", "random",
    "na.action", "dropped_weights", "inner", if (general) c("family", "trials", "dispersion", "zi")
  )
  class <- c(if (general) "pp_glmm_design", "pp_design")
  structure(unclass(fit)[fields], names = fields, class = class)
}

# See check_fit() for what the elements are.
convergence_of <- function(optimum, random, aliased = character()) {
  convergence <- optimum$convergence
  components <- singular_components(convergence$null_sets, optimum, random)
  convergence$null_sets <- NULL
  convergence$storage <- optimum$storage
  convergence$singular <- nrow(components) > 0L
  convergence$components <- components
  # The decrement is half of g' H^-1 g.
  decrement <- convergence$decrement
  convergence$scaled_gradient <- if (length(decrement)) sqrt(2 * max(decrement, 0)) else NA_real_
  convergence$aliased <- if (is.null(aliased)) character() else aliased
  convergence
}

report_convergence <- function(fit) {
  report_optimum(fit)
  report_undetermined(fit)
  report_singular(fit)
}

report_singular <- function(fit) {
  note <- singular_note(fit)
  if (!is.null(note)) inform_plainly("singular", paste0(note, "."))
}

report_optimum <- function(fit) {
  warn_not_reached(fit, if (mean_leaves_range(fit)) {
    "With the {.val {fit$family$link}} link the mean leaves its range near the optimum: use a link
     that keeps it there, such as {.val {safe_link(fit$family)}}."
  } else if (fit$convergence$status == "iteration limit") {
    "Raise {.code max_iterations} in {.fn pp_control}, or simplify the random terms."
  } else {
    "Simplify the random terms: the data say little about some of them."
  })
}

warn_not_reached <- function(fit, hint) {
  convergence <- fit$convergence
  if (convergence$status != "converged") {
    pp_warn("fit", c(
      "!" = "The optimum was not reached: {convergence$status} after {convergence$evaluations}
             evaluations, with about {signif(convergence$decrement, 2)} of the criterion still to
             gain.",
      ">" = hint
    ))
  }
}

# Was the search stopped by linear predictors that give no mean?
mean_leaves_range <- function(fit) {
  link <- fit$family$link
  open <- link %in% c("identity", "inverse", "sqrt", "1/mu^2") ||
    link == "log" && is_binomial(fit$family)
  isTRUE(fit$convergence$failures > 0L) && open
}

safe_link <- function(family) if (is_binomial(family)) "logit" else "log"

is_binomial <- function(family) family$family %in% c("binomial", "betabinomial", "beta")

report_undetermined <- function(fit) {
  undetermined <- fit$convergence$undetermined
  if (length(undetermined)) {
    terms <- vapply(fit$random[undetermined], function(term) label_of(term$expr), "")
    pp_warn("identifiability", c(
      "!" = "The data do not determine the covariance parameters of {.code {terms}}.",
      i = "Other values fit exactly as well: the standard deviations and correlations shown are one
           choice of many. Fixed effects, fitted values and the criterion are not affected.",
      ">" = "Use a simpler structure, such as a random intercept."
    ))
  }
}

# A fit of class "pp_glmm" from a design, or from an objective and its optimum.

#' @rdname objective
#' @export
new_fit.pp_glmm_objective <- function(objective, optimum, control = pp_control(), call = NULL) {
  design <- objective$design
  model <- objective$model
  optimum <- name_effects(optimum, design$random)
  columns <- colnames(design$X)
  dispersion <- fitted_dispersion(design, optimum, model)
  inner <- objective$REML || model$method == "joint"
  covariance <- fitted_covariance(optimum, design, dispersion, inner)
  fit <- list(
    formula = design$formula, call = call, family = design$family, method = model$method,
    nAGQ = model$nAGQ, REML = objective$REML,
    frame = design$frame, terms = design$terms, xlevels = design$xlevels,
    contrasts = design$contrasts, X = design$X, column_names = design$column_names,
    aliased = design$aliased, y = design$y, trials = design$trials, weights = design$weights,
    offset = design$offset, random = design$random,
    dispersion = dispersion, zi = fitted_zi(design, optimum),
    shape = fitted_shape(design$family, optimum),
    coefficients = stats::setNames(optimum$coefficients, columns),
    theta = stats::setNames(optimum$theta, theta_names(design$random)),
    Lambda = optimum$Lambda, b = optimum$b, sigma = fitted_sigma(design$family, dispersion),
    vcov = covariance[columns, columns, drop = FALSE], vcov_full = covariance,
    criterion = optimum$criterion, penalty = optimum$penalty,
    df = length(columns) + length(optimum$theta) + length(optimum$zi) +
      length(if (!isTRUE(dispersion$fixed)) dispersion$coefficients) +
      length(if (is.null(held_shape(design$family))) optimum$shape),
    n = length(design$y),
    convergence = glmm_convergence_of(optimum, design),
    prior = model$prior, na.action = design$na.action, dropped_weights = design$dropped_weights,
    inner = design$inner, control = control
  )
  structure(fit, class = c("pp_glmm", "pp_fit"))
}

# From design to fit: what every entry point ends in. Says once what the user must know.
fit_glmm <- function(design, integral, REML = FALSE, prior = NULL, start = NULL,
                     control = pp_control(), call = NULL) {
  f <- glmm_engine_of(design, integral, REML, prior, control$check)
  best <- if (integral$method == "pql") pql_optimum(f, control) else optimum(f, start, control)
  fit <- new_fit(f, best, control, call)
  if (control$check) report_glmm(fit)
  fit
}

# Penalised quasi-likelihood. The dispersion is free in families that have one and for a quasi
# family.
pql_optimum <- function(objective, control) {
  family <- objective$design$family
  free <- (traits_of(family)$dispersion && is.null(held_dispersion(family))) ||
    !is.null(family$quasi)
  found <- glmm_pql(
    glmm_rows(objective$design), glmm_model(objective$model), objective$REML, !free,
    control$tolerance, control$max_iterations, control$progress
  )
  check_glmm_found(found, objective, NULL)
  structure(found, class = c("pp_glmm_optimum", "pp_optimum"))
}

# The dispersion part of a fit: a model of log phi with its coefficients, or NULL.
fitted_dispersion <- function(design, optimum, model) {
  part <- design$dispersion
  quasi <- model$method == "pql" && !is.null(design$family$quasi)
  if (is.null(part) && quasi) {
    part <- constant_part(length(design$y), environment(design$formula))
  }
  if (is.null(part)) {
    return(NULL)
  }
  held <- held_dispersion(design$family)
  values <- if (is.null(held)) optimum$dispersion else held
  part$coefficients <- stats::setNames(as.numeric(values), colnames(part$X))
  part$fixed <- !is.null(held)
  part
}

# ~ 1 as a further linear predictor.
constant_part <- function(n, env) {
  formula <- make_formula(1, env = env)
  X <- matrix(1, n, 1L, dimnames = list(NULL, "(Intercept)"))
  list(formula = formula, terms = stats::terms(formula), xlevels = NULL, contrasts = NULL, X = X)
}

fitted_zi <- function(design, optimum) {
  part <- design$zi
  if (!is.null(part)) {
    part$coefficients <- stats::setNames(as.numeric(optimum$zi), colnames(part$X))
  }
  part
}

fitted_shape <- function(family, optimum) {
  if (is.null(traits_of(family)$shape)) {
    return(NULL)
  }
  held <- held_shape(family)
  shape_from_engine(family, if (is.null(held)) optimum$shape else held)
}

# One number, or NA where the dispersion differs between rows.
fitted_sigma <- function(family, dispersion) {
  if (is.null(dispersion)) {
    return(1)
  }
  if (!identical(names(dispersion$coefficients), "(Intercept)")) {
    return(NA_real_)
  }
  dispersion_sigma(family, exp(dispersion$coefficients[[1L]]))
}

# The covariance of all parameters with names. NA for coefficients that run to infinity, and for
# what penalised quasi-likelihood does not give: all but the fixed effects.
fitted_covariance <- function(optimum, design, dispersion, inner) {
  extra <- extra_names(design)
  if (is.null(design$dispersion) && !is.null(dispersion)) extra <- "disp.(Intercept)"
  names <- c(colnames(design$X), extra, unlist(lapply(design$random, natural_names)))
  v <- matrix(NA_real_, length(names), length(names), dimnames = list(names, names))
  given <- seq_len(nrow(optimum$vcov))
  v[given, given] <- optimum$vcov
  v[is.nan(v)] <- NA_real_
  infinite <- optimum$separation$columns
  # A mode that is looked for within the fixed effects does not exist then.
  # Responses told apart without an error tell nothing about any coefficient.
  complete <- identical(optimum$separation$kind, "complete")
  if (length(infinite) && (inner || complete)) infinite <- seq_len(ncol(design$X))
  v[infinite, ] <- NA_real_
  v[, infinite] <- NA_real_
  v
}

glmm_convergence_of <- function(optimum, design) {
  convergence <- convergence_of(optimum, design$random, design$aliased)
  separation <- optimum$separation
  if (!is.null(separation)) {
    separation$columns <- colnames(design$X)[separation$columns]
  }
  convergence["separation"] <- list(separation)
  # The step of the quasi-likelihood iteration is no decrement.
  if (!length(convergence$trace)) convergence$scaled_gradient <- NA_real_
  convergence
}

# list(method, nAGQ) of a fit.
integral_of <- function(fit) fit[c("method", "nAGQ")]

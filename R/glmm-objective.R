# The criterion of a generalised linear mixed model: the second and third stage of its fit.

#' @rdname objective
#' @export
objective.pp_glmm_design <- function(design, REML = FALSE, method = c("laplace", "agq", "ep"),
                                     nAGQ = 1L, prior = NULL, ...) {
  reject_dots(...)
  if (identical(method, "pql")) {
    pp_abort("argument", c(
      x = "Penalised quasi-likelihood optimises no criterion: there is no objective.",
      ">" = "Use {.fn glmm} to fit by it, or another {.arg method}."
    ))
  }
  integral <- choose_integral(method, nAGQ, missing(nAGQ))
  prior <- as_prior(prior)
  REML <- check_flag(REML, "REML")
  check_combination(design$family, integral, REML, prior)
  glmm_engine_of(design, integral, REML, prior, TRUE)
}

# The engine of a design. `integral`: list(method, nAGQ), as choose_integral() makes it.
glmm_engine_of <- function(design, integral, REML, prior, check) {
  check_kernel_integral(design, integral)
  check_quadrature(design, integral)
  design$random <- number_factors(design$random)
  model <- c(unclass(design)["family"], integral, list(REML = REML, prior = prior))
  model$columns <- colnames(design$X)
  eng <- glmm_create(glmm_rows(design), glmm_model(model))
  rank <- glmm_rank(eng)
  if (nrow(rank$aliased_z)) {
    return(glmm_engine_of(drop_aliased_z(design, rank$aliased_z), integral, REML, prior, check))
  }
  design <- keep_columns(design, rank$kept)
  if (check && rank$condition > 1e5) warn_collinear(rank$condition)
  if (check && rank$memory > 3e9) inform_memory(rank$memory)
  names <- glmm_parameter_names(design, integral, REML)
  structure(
    list(
      value = function(parameters) glmm_value(eng, check_parameters(parameters, names)),
      gradient = function(parameters) {
        stats::setNames(glmm_gradient(eng, check_parameters(parameters, names)), names)
      },
      names = names, REML = REML, design = design, engine = eng, model = model
    ),
    class = c("pp_glmm_objective", "pp_objective")
  )
}

# Rows in the form that the engine reads, of a design (numbered) or a fit.
glmm_rows <- function(x) {
  n <- length(x$y)
  phi <- if (is.null(x$dispersion) || !is.null(held_dispersion(x$family))) {
    matrix(0, n, 0L)
  } else {
    x$dispersion$X
  }
  list(
    X = x$X, y = x$y, trials = x$trials, weights = x$weights, offset = x$offset, random = x$random,
    X_disp = phi, X_zi = x$zi$X
  )
}

# The model in the form that the engine reads. `x`: a fit, or a list of the same elements.
glmm_model <- function(x) {
  columns <- if (is.null(x$columns)) names(x$coefficients) else x$columns
  prior <- if (!is.null(x$prior)) prior_values(x$prior, columns, strict = !is.null(x$columns))
  list(
    family = x$family$family, link = x$family$link,
    integral = if (x$method == "pql") "laplace" else x$method,
    nodes = max(1L, x$nAGQ), REML = x$REML,
    fixed_dispersion = held_dispersion(x$family), fixed_shape = held_shape(x$family),
    prior_mean = prior$mean, prior_precision = prior$precision
  )
}

# Names of the parameters in the order of the engine.
glmm_parameter_names <- function(design, integral, REML) {
  inside <- REML || integral$method == "joint"
  phi <- glmm_rows(design)$X_disp
  c(
    theta_names(design$random), if (!inside) colnames(design$X), extra_names(design, phi)
  )
}

# Of those besides theta and the fixed effects.
extra_names <- function(design, phi = glmm_rows(design)$X_disp) {
  shape <- !is.null(traits_of(design$family)$shape) && is.null(held_shape(design$family))
  c(
    if (ncol(phi)) paste0("disp.", colnames(phi)),
    if (!is.null(design$zi)) paste0("zi.", colnames(design$zi$X)),
    if (shape) "shape"
  )
}

check_parameters <- function(parameters, names) {
  if (!is.numeric(parameters) || length(parameters) != length(names)) {
    n <- length(names)
    pp_abort("start", c(
      x = "The parameters must be a numeric vector of {n} value{?s}.",
      i = if (n) "In this order: {.code {names}}."
    ))
  }
  as.numeric(parameters)
}

#' @rdname objective
#' @export
optimum.pp_glmm_objective <- function(objective, start = NULL, control = pp_control()) {
  control <- as_control(control)
  if (!is.null(start)) start <- check_glmm_start(start, objective, control)
  found <- glmm_optimise(
    objective$engine, start, control$tolerance, control$max_iterations, control$progress
  )
  check_glmm_found(found, objective, start)
  structure(found, class = c("pp_glmm_optimum", "pp_optimum"))
}

#' @export
#' @rdname objective
print.pp_glmm_objective <- function(x, ...) {
  integral <- switch(x$model$method,
    laplace = "Laplace", ep = "expectation propagation", joint = "nAGQ = 0",
    agq = paste0("quadrature, ", x$model$nAGQ, " nodes")
  )
  cat(
    if (x$REML) "Restricted -2 log-likelihood" else "-2 log-likelihood", " (", integral, ") of ",
    label_of(x$design$formula), ", ", x$model$family$family, " family\n  parameters: ",
    toString(x$names), "\n", sep = ""
  )
  invisible(x)
}

# The engine stopped without estimates.
check_glmm_found <- function(found, objective, start) {
  status <- found$convergence$status
  method <- objective$model$method
  if (!is.null(found$coefficients)) {
    if (fits_exactly(found, objective$design)) {
      abort_exact(objective$design, "Its fixed and random effects leave nothing to vary.")
    }
    return(invisible())
  }
  reason <- sub("^pirls: *", "", status)
  label <- label_of(objective$design$formula[[2L]])
  pp_abort(if (is.null(start)) "fit" else "start", c(
    x = "The likelihood of the response {.code {label}} cannot be evaluated.",
    i = if (startsWith(status, "pirls")) {
      if (method == "ep") {
        "Expectation propagation did not come to rest: {reason}."
      } else {
        "The conditional modes of the random effects were not found: {reason}."
      }
    } else {
      "It is not finite at the starting values."
    },
    ">" = if (!is.null(start)) {
      "Give a {.arg start} nearer to plausible values, or none."
    } else if (method == "ep") {
      "Use {.code method = \"laplace\"}, or another link: with this one the mean may leave its
       range."
    } else if (!is.null(objective$design$offset)) {
      "Look at the {.arg offset}: it ranges from {signif(min(objective$design$offset), 3)} to
       {signif(max(objective$design$offset), 3)} on the scale of the link."
    } else {
      "Try another link: with this one the mean may leave its range."
    }
  ))
}

# Is there no residual? Only where the dispersion is small worth a look at the rows.
fits_exactly <- function(found, design) {
  family <- design$family
  if (traits_of(family)$discrete || length(found$dispersion) != 1L) {
    return(FALSE)
  }
  phi <- exp(if (family$family == "beta") -found$dispersion else found$dispersion)
  y <- design$y
  if (family$family %in% c("gaussian", "t")) phi <- phi / stats::var(y)
  if (family$family == "inverse.gaussian") phi <- phi * mean(y)
  if (isTRUE(phi > 1e-6)) {
    return(FALSE)
  }
  eta <- fixed_part(design$X, found$coefficients, design$offset)
  for (t in seq_along(design$random)) {
    eta <- eta + random_part(design$random[[t]]$codes, design$random[[t]]$z, found$b[[t]])
  }
  residual <- y - family$linkinv(eta)
  isTRUE(sqrt(mean(residual^2)) < 1e-8 * stats::sd(y))
}

# Starting values that the user gives for a generalised model.

# A numeric vector of all parameters, or of theta alone; or a list with some of the elements theta,
# fixef, disp, zi and shape. What is not given comes from the model without random effects, theta
# from columns of unit size.
check_glmm_start <- function(start, objective, control) {
  n_theta <- length(theta_names(objective$design$random))
  if (is.numeric(start) && length(start) != length(objective$names) && length(start) == n_theta) {
    start <- list(theta = start)
  }
  if (is.list(start)) start <- complete_start(start, objective, control)
  start <- check_parameters(start, objective$names)
  if (!all(is.finite(start))) {
    pp_abort("start", c(x = "{.arg start} must not have missing or infinite values."))
  }
  random <- objective$design$random
  theta <- start[seq_len(n_theta)]
  check_start_signs(theta, objective$names, random, "These are standard deviations.")
  check_start_rho(theta, objective)
  start
}

complete_start <- function(start, objective, control) {
  parts <- start_parts(objective)
  known <- c("theta", names(parts)[lengths(parts) > 0L])
  unknown <- setdiff(names(start), known)
  if (is.null(names(start)) || length(unknown)) {
    pp_abort("start", c(
      x = "{.arg start} must be a numeric vector or a list with the elements {.code {known}}.",
      i = if (length(unknown)) "It has {.code {unknown}}."
    ))
  }
  random <- objective$design$random
  theta <- if (is.null(start$theta)) unit_theta(random) else start$theta
  theta <- check_theta(theta, theta_names(random))
  given <- vapply(names(parts), function(part) !is.null(start[[part]]), NA)
  rest <- if (!all(given | lengths(parts) == 0L)) start_without_random(objective, control)
  values <- Map(function(part, names) {
    if (is.null(start[[part]])) rest[names] else check_start_part(start[[part]], names, part)
  }, names(parts), parts)
  c(theta, unlist(values, use.names = FALSE))
}

# Names of the parameters besides theta, by kind.
start_parts <- function(objective) {
  names <- objective$names[-seq_along(theta_names(objective$design$random))]
  if (!has_theta(objective)) names <- objective$names
  extra <- extra_names(objective$design)
  list(
    fixef = setdiff(names, extra), disp = grep("^disp[.]", extra, value = TRUE),
    zi = grep("^zi[.]", extra, value = TRUE), shape = intersect(extra, "shape")
  )
}

has_theta <- function(objective) length(objective$design$random) > 0L

check_start_part <- function(values, names, part) {
  if (!is.numeric(values) || length(values) != length(names)) {
    n <- length(names)
    pp_abort("start", c(
      x = "The element {.code {part}} of {.arg start} must be a numeric vector of {n} value{?s}.",
      i = "In this order: {.code {names}}."
    ))
  }
  as.numeric(values)
}

# Estimates of the same model without random effects, named as its parameters.
start_without_random <- function(objective, control) {
  design <- objective$design
  design$random <- list()
  integral <- list(method = "laplace", nAGQ = 1L)
  fixed <- glmm_engine_of(design, integral, FALSE, objective$model$prior, FALSE)
  found <- glmm_optimise(fixed$engine, NULL, control$tolerance, control$max_iterations, FALSE)
  values <- c(found$coefficients, found$dispersion, found$zi, found$shape)
  stats::setNames(values, fixed$names)
}

# Standard deviation one on the scale of the link for a column of its own size.
unit_theta <- function(random) {
  unlist(lapply(random, function(term) {
    p <- length(term$columns)
    size <- if (is.null(term$z)) 1 else sqrt(colMeans(term$z^2))
    roles <- theta_roles(list(term))
    theta <- numeric(length(roles))
    theta[roles == "s"] <- if (sum(roles == "s") == p) 1 / size else 1 / mean(size)
    theta
  }))
}

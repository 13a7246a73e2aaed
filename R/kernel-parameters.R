# Values of parameters that are held (`fix`) or from which a search starts (`start`).

# The values of `fix` or `start` as list(beta, scale, delta, dispersion, shape), those given.
given_parameters <- function(values, arg, inputs) {
  if (is.null(values)) {
    return(if (arg == "start") list())
  }
  known <- c("beta", "scale", "delta", "v0", "v1", "dispersion", "shape")
  check_parameter_list(values, arg, known)
  family <- inputs$family
  # Rows that are observed without noise have a variance.
  noisy <- !is.null(family) || !is.null(inputs$noise_var)
  values <- from_variances(values, arg, zero = noisy)
  if (!is.null(values$beta)) values$beta <- given_beta(values$beta, arg, inputs)
  limits <- list(scale = c(0, Inf), delta = c(0, 1), dispersion = c(0, Inf))
  for (name in intersect(names(limits), names(values))) {
    values[[name]] <- number_between(values[[name]], limits[[name]], arg, name,
      ends = name == "delta" || name == "scale" && noisy
    )
  }
  traits <- if (!is.null(family)) traits_of(family)
  for (name in intersect(c("dispersion", "shape"), names(values))) {
    if (!isTRUE(traits[[name]]) && !is.character(traits[[name]])) {
      what <- if (is.null(family)) "This model" else paste0("The family \"", family$family, "\"")
      pp_abort("argument", c(x = "{what} has no {name}: it cannot be in {.arg {arg}}."))
    }
  }
  if (!is.null(values$shape)) {
    range <- switch(family$family, tweedie = c(1, 2), t = c(0, Inf))
    values$shape <- number_between(values$shape, range, arg, "shape", ends = FALSE)
  }
  values[intersect(c("beta", "scale", "delta", "dispersion", "shape"), names(values))]
}

check_parameter_list <- function(values, arg, known) {
  topic <- parameter_topic(arg)
  if (is.numeric(values)) values <- as.list(values)
  if (!is.list(values) || length(values) && is.null(names(values))) {
    pp_abort(topic, c(
      x = "{.arg {arg}} must be a named list of values.",
      i = "The names are {.val {known}}."
    ))
  }
  unknown <- setdiff(names(values), known)
  if (length(unknown) || anyDuplicated(names(values))) {
    pp_abort(topic, c(
      x = if (length(unknown)) {
        "{.arg {arg}} has elements that are no parameters: {.val {unknown}}."
      } else {
        "{.arg {arg}} holds a parameter twice."
      },
      i = "The parameters are {.val {known}}.",
      if (length(unknown) == 1L) suggest_name(unknown, known)
    ))
  }
}

parameter_topic <- function(arg) if (arg == "start") "start" else "argument"

# v0 and v1 in place of scale and delta. `zero`: may both be zero?
from_variances <- function(values, arg, zero = TRUE) {
  values <- as.list(values)
  given <- intersect(c("v0", "v1"), names(values))
  if (length(given) == 0L) {
    return(values)
  }
  if (length(given) == 1L || any(c("scale", "delta") %in% names(values))) {
    pp_abort(parameter_topic(arg), c(
      x = "{.arg {arg}} must give both {.code v0} and {.code v1}, or {.code scale} and
           {.code delta}.",
      i = "{.code v0 = scale (1 - delta)}, {.code v1 = scale delta}."
    ))
  }
  v <- vapply(given, function(name) number_between(values[[name]], c(0, Inf), arg, name), 0)
  if (!zero && sum(v) == 0) {
    pp_abort(parameter_topic(arg), c(
      x = "{.code v0} and {.code v1} in {.arg {arg}} must not both be zero."
    ))
  }
  values[given] <- NULL
  values$scale <- sum(v)
  # Without any variance there is nothing to share out.
  values$delta <- if (sum(v) > 0) v[["v1"]] / sum(v) else 0
  values
}

number_between <- function(value, range, arg, name, ends = name %in% c("delta", "v0", "v1")) {
  ok <- is.numeric(value) && length(value) == 1L && is.finite(value)
  ok <- ok && (value > range[1L] && value < range[2L] || ends && value %in% range)
  if (!ok) {
    wanted <- if (range[2L] == Inf) {
      if (ends) "a finite number that is not negative" else "a positive number"
    } else {
      paste("a number between", range[1L], "and", range[2L])
    }
    pp_abort(parameter_topic(arg), c(
      x = "{.code {name}} in {.arg {arg}} must be {wanted}.",
      i = if (is.numeric(value)) "It is {.val {value}}." else "It is {.obj_type_friendly {value}}."
    ))
  }
  as.numeric(value)
}

# By name, or in the order of the columns of X (of those kept, or of all).
given_beta <- function(beta, arg, inputs) {
  kept <- colnames(inputs$X)
  all <- inputs$column_names
  topic <- parameter_topic(arg)
  sizes <- c(length(kept), length(all))
  if (!is.numeric(beta) || !all(is.finite(beta)) || !length(beta) %in% sizes) {
    pp_abort(topic, c(
      x = "{.code beta} in {.arg {arg}} must hold {length(kept)} finite number{?s}.",
      i = "{cli::qty(kept)}One for each column of {.arg X}: {.code {kept}}."
    ))
  }
  if (is.null(names(beta))) {
    names(beta) <- if (length(beta) == length(kept)) kept else all
  }
  absent <- setdiff(kept, names(beta))
  if (length(absent)) {
    pp_abort(topic, c(
      x = "{.code beta} in {.arg {arg}} has no value for {.code {absent}}.",
      i = "Its names are not those of the columns of {.arg X}."
    ))
  }
  lost <- setdiff(names(beta)[beta != 0], kept)
  if (length(lost)) {
    pp_abort(topic, c(
      x = "{.code beta} in {.arg {arg}} has a value for {.code {lost}}, which is no column of the
           model or was left out of it."
    ))
  }
  beta <- beta[kept]
  stats::setNames(as.numeric(beta), kept)
}

# `fix` with what the family holds.
held_parameters <- function(fix, family) {
  held <- if (is.null(fix)) list() else fix
  if (!is.null(family)) {
    dispersion <- held_dispersion(family)
    shape <- held_shape(family)
    if (!is.null(dispersion)) held$dispersion <- exp(dispersion)
    if (!is.null(shape)) held$shape <- unname(shape_from_engine(family, shape))
  }
  held
}

# A profile as a problem: the minimum of the deviance at a value v of one parameter. A problem is
# list(name, type, estimate, lower, upper, unit, deviance, start, solve): solve(v, state) gives
# list(deviance, slope, natural, state), slope being the derivative of the deviance along the
# profile, which is the partial one, and natural all natural parameters.

# `parameter`: a row of natural_parameter_table(), as a list with `at`, its place in its term.
profile_problem <- function(fit, parameter, eng, tolerance = 1e-11) {
  linear <- inherits(fit, "pp_lmm")
  if (linear && parameter$type == "fixed") {
    return(linear_coefficient_problem(fit, parameter))
  }
  if (linear && parameter$type == "sigma") {
    return(linear_sigma_problem(fit, parameter, eng))
  }
  criterion <- profile_criterion(fit, parameter, eng)
  coordinate_problem(fit, parameter, criterion, tolerance)
}

# The deviance in the coordinates of a parameter: functions f(v, w) -> list(value, gradient, slope)
# and natural(v, w), the coordinates w0 of the estimates, their units, and which of them `open` a
# variance.
profile_criterion <- function(fit, parameter, eng) {
  linear <- inherits(fit, "pp_lmm")
  scale <- random_scale(fit)
  triangular <- !linear && fit$method == "agq"
  held_term <- if (is.na(parameter$term)) 0L else parameter$term
  terms <- lapply(seq_along(fit$random), function(t) {
    term <- fit$random[[t]]
    term_coordinates(term, if (t == held_term) parameter, term_units(term, fit, t, scale),
                     triangular)
  })
  sizes <- vapply(terms, function(term) length(term$unit), 0L)
  ends <- cumsum(sizes)
  rest <- rest_coordinates(fit, parameter)
  k <- sum(sizes)
  scaled <- scaled_entries(fit$random)
  lengths <- lengths(scaled)
  scaled <- as.logical(unlist(scaled))
  entry_ends <- cumsum(lengths)
  part <- function(x, ends, sizes, t) x[seq_len(sizes[t]) + ends[t] - sizes[t]]

  entries <- function(v, w) {
    as.numeric(unlist(lapply(seq_along(terms), function(t) {
      terms[[t]]$entries(v, part(w, ends, sizes, t))
    })))
  }
  backwards <- function(v, w, g) {
    parts <- lapply(seq_along(terms), function(t) {
      terms[[t]]$gradient(v, part(w, ends, sizes, t), part(g, entry_ends, lengths, t))
    })
    list(
      slope = as.numeric(unlist(lapply(parts, `[[`, "slope"))),
      w = as.numeric(unlist(lapply(parts, `[[`, "w")))
    )
  }
  f <- function(v, w, cold = FALSE) {
    own <- entries(v, w)
    values <- rest$values(v, w[seq_along(w) > k])
    if (linear) {
      sigma <- values
      own[scaled] <- own[scaled] / sigma
      point <- profile_gaussian(eng, own, sigma)
    } else {
      point <- profile_marginal(eng, own, values, cold)
    }
    g <- point$gradient[seq_along(own)]
    by_rest <- point$gradient[length(own) + seq_along(values)]
    if (linear) {
      by_rest <- sigma * by_rest - sum((own * g)[scaled])
      g[scaled] <- g[scaled] / sigma
    }
    back <- backwards(v, w, g)
    by_rest <- rest$gradient(by_rest)
    list(
      value = point$value, gradient = c(back$w, by_rest$w), slope = c(back$slope, by_rest$slope)
    )
  }
  Lambdas <- lapply(fit$Lambda, function(L) scale * L)
  theta <- split(fit$theta, theta_terms(fit$random))
  w0 <- lapply(seq_along(terms), function(t) {
    term <- fit$random[[t]]
    own <- theta[[as.character(t)]]
    sds <- theta_roles(list(term)) == "s"
    own[sds] <- scale * own[sds]
    terms[[t]]$start(Lambdas[[t]], own)
  })
  list(
    f = f, w0 = c(as.numeric(unlist(w0)), rest$start),
    unit = c(as.numeric(unlist(lapply(terms, `[[`, "unit"))), rest$unit),
    open = unlist(lapply(seq_along(terms), function(t) ends[t] - sizes[t] + terms[[t]]$open)),
    natural = function(v, w) {
      own <- entries(v, w)
      values <- rest$values(v, w[seq_along(w) > k])
      if (linear) {
        own[scaled] <- own[scaled] / values
        theta <- theta_of_entries(own, fit$random, lengths)
        own[scaled] <- own[scaled] * values
        values <- c(values, engine_estimates(eng, theta)$coefficients)
      }
      c(natural_of_entries(own, fit$random, lengths), rest$natural(values))
    },
    cold = function() {
      if (!linear) f(parameter$internal, c(as.numeric(unlist(w0)), rest$start), TRUE)
    }
  )
}

# Sizes of the standard deviations of a term: the estimates, or what one would see in the data.
term_units <- function(term, fit, t, scale) {
  p <- length(term$columns)
  size <- if (is.null(term$z)) 1 else sqrt(colMeans(term$z^2))
  size[size == 0] <- 1 # the column of a level without rows
  sds <- scale * sqrt(rowSums(fit$Lambda[[t]]^2))
  pmax(sds, 0.2 * scale / size)
}

theta_terms <- function(random) {
  rep(seq_along(random), vapply(random, function(term) length(theta_roles(list(term))), 0L))
}

# Which entries of the whole factors are on the scale of sigma: all but correlations.
scaled_entries <- function(random) {
  lapply(random, function(term) {
    if (term$structure == "us") {
      return(rep(TRUE, length(term$columns)^2))
    }
    theta_roles(list(term)) == "s"
  })
}

natural_of_entries <- function(entries, random, lengths) {
  by_term(entries, random, lengths, function(factor) natural_of_factor(factor, 1))
}

theta_of_entries <- function(entries, random, lengths) {
  by_term(entries, random, lengths, function(factor) {
    L <- lower_factor(factor)
    L[lower.tri(L, diag = TRUE)]
  })
}

# `f` of the factors of unstructured terms; the entries of the others without their signs.
by_term <- function(entries, random, lengths, f) {
  ends <- cumsum(lengths)
  as.numeric(unlist(lapply(seq_along(random), function(t) {
    own <- entries[seq_len(lengths[t]) + ends[t] - lengths[t]]
    if (random[[t]]$structure == "us") {
      return(f(matrix(own, length(random[[t]]$columns))))
    }
    ifelse(theta_roles(random[t]) == "s", abs(own), own)
  })))
}

# The parameters besides the covariances. Linear: log sigma. Generalised: as the engine has them.
rest_coordinates <- function(fit, parameter) {
  if (inherits(fit, "pp_lmm")) {
    return(list(
      start = log(fit$sigma), unit = 0.1, values = function(v, w) exp(w),
      gradient = function(g) list(w = g, slope = numeric()),
      natural = identity
    ))
  }
  all <- engine_parameters(fit)
  all <- all[seq_along(all) > length(fit$theta)]
  held <- if (is.na(parameter$term)) parameter$rest else 0L
  free <- setdiff(seq_along(all), held)
  unit <- sqrt(diag(fit$vcov_full)[seq_along(all)])
  unit[!is.finite(unit) | unit <= 0] <- 0.3
  unit <- pmin(unit, largest_units(fit))
  shape <- if (length(free_shape(fit))) length(all)
  list(
    start = unname(all)[free], unit = unname(unit)[free],
    values = function(v, w) {
      x <- numeric(length(all))
      x[free] <- w
      if (held > 0L) x[held] <- v
      x
    },
    gradient = function(g) list(w = g[free], slope = g[held]),
    natural = function(x) {
      if (length(shape)) x[shape] <- shape_from_engine(fit$family, x[shape])[[1L]]
      x
    }
  )
}

# No step should be longer on the scale of a logarithm or a logit: where a likelihood is flat its
# standard errors are beyond reason.
largest_units <- function(fit) {
  size <- function(X) sqrt(pmax(colMeans(X^2), 1e-300))
  open <- fit$family$link %in% c("identity", "inverse", "sqrt", "1/mu^2")
  disp <- if (!isTRUE(fit$dispersion$fixed) && !is.null(fit$dispersion)) size(fit$dispersion$X)
  2 / c(
    if (open) numeric(ncol(fit$X)) else size(fit$X), disp, if (!is.null(fit$zi)) size(fit$zi$X),
    if (length(free_shape(fit))) 1
  )
}

coordinate_problem <- function(fit, parameter, criterion, tolerance) {
  linear <- inherits(fit, "pp_lmm")
  unit <- criterion$unit
  noise <- if (linear) 1e-12 * (abs(fit$criterion) + fit$n) else 1e-10 * (1 + abs(fit$criterion))
  ep <- !linear && fit$method == "ep"
  if (ep) {
    noise <- 1e-8 * (1 + abs(fit$criterion))
    tolerance <- 1e-8
  }
  curvature <- NULL
  solve <- function(v, state) {
    f <- function(w) criterion$f(v, w)
    if (is.null(curvature)) {
      step <- if (ep) 0.02 * unit else 1e-3 * unit
      H <- difference_hessian(function(w) f(w)$gradient, state, step)
      curvature <<- positive_inverse(H, unit)
    }
    best <- descend_safely(f, state, curvature, criterion, tolerance, noise, ep)
    curvature <<- best$curvature
    list(
      deviance = best$value, slope = best$at$slope, natural = criterion$natural(v, best$w),
      state = best$w, decrement = best$decrement
    )
  }
  list(
    name = parameter$name, type = parameter$type, estimate = parameter$internal,
    lower = parameter$lower, upper = parameter$upper, unit = parameter$unit,
    start = criterion$w0, begin = criterion$cold, solve = solve
  )
}

# To the minimum, with new curvature where the old does not lead there, and out of a variance of
# zero that should be open.
descend_safely <- function(f, w, curvature, criterion, tolerance, noise, ep) {
  unit <- criterion$unit
  best <- descend(f, w, curvature, unit, tolerance, noise)
  for (attempt in 1:4) {
    if (!is.finite(best$value) || is.na(best$decrement)) break
    if (best$decrement > max(100 * tolerance, noise)) {
      step <- if (ep) 0.02 * unit else 1e-4 * unit
      H <- difference_hessian(function(w) f(w)$gradient, best$w, step)
      best <- descend(f, best$w, positive_inverse(H, unit), unit, tolerance, noise)
    }
    higher <- opened(f, best$w, unit, criterion$open)
    if (is.null(higher)) break
    other <- descend(f, higher, diag(unit^2, length(unit)), unit, tolerance, noise)
    if (!isTRUE(other$value < best$value)) break
    best <- other
  }
  best
}

# A coefficient of a linear model: its column out of X, its part out of the response.
linear_coefficient_problem <- function(fit, parameter) {
  j <- parameter$rest
  x <- fit$X[, j]
  w <- if (is.null(fit$weights)) 1 else fit$weights
  rows <- engine_rows(fit)
  rows$X <- fit$X[, -j, drop = FALSE]
  rows$y <- fit$y - x * parameter$internal
  eng <- engine_create(rows, FALSE, "automatic")
  control <- fit$control
  solve <- function(v, state) {
    y <- fit$y - x * v
    engine_take_response(eng, y)
    found <- engine_optimise(eng, state, control$tolerance, control$max_iterations, FALSE)
    if (is.null(found$coefficients)) {
      return(list(deviance = Inf, slope = NA_real_, state = state))
    }
    residual <- y - fixed_part(rows$X, found$coefficients, fit$offset)
    for (t in seq_along(fit$random)) {
      term <- fit$random[[t]]
      residual <- residual - random_part(term$codes, term$z, found$b[[t]])
    }
    beta <- append(found$coefficients, v, j - 1L)
    list(
      deviance = found$criterion, slope = -2 / found$sigma^2 * sum(w * x * residual),
      natural = c(natural_random(found$theta, fit$random, found$sigma), found$sigma, beta),
      state = found$theta, decrement = found$convergence$decrement
    )
  }
  list(
    name = parameter$name, type = "fixed", estimate = parameter$internal, lower = -Inf, upper = Inf,
    unit = parameter$unit, start = unname(fit$theta), begin = function() NULL, solve = solve
  )
}

linear_sigma_problem <- function(fit, parameter, eng) {
  control <- fit$control
  solve <- function(v, state) {
    engine_hold_sigma(eng, v)
    on.exit(engine_hold_sigma(eng, 0))
    found <- engine_optimise(eng, state, control$tolerance, control$max_iterations, FALSE)
    if (is.null(found$coefficients)) {
      return(list(deviance = Inf, slope = NA_real_, state = state))
    }
    point <- profile_gaussian(eng, whole_factors(found, fit$random), v)
    list(
      deviance = found$criterion, slope = point$gradient[length(point$gradient)],
      natural = c(natural_random(found$theta, fit$random, v), v, found$coefficients),
      state = found$theta, decrement = found$convergence$decrement
    )
  }
  list(
    name = parameter$name, type = "sigma", estimate = parameter$internal, lower = 0, upper = Inf,
    unit = parameter$unit, start = unname(fit$theta), begin = function() NULL, solve = solve
  )
}

# Factors of an optimum as the engine of a profile reads them.
whole_factors <- function(found, random) {
  theta <- split(found$theta, theta_terms(random))
  as.numeric(unlist(lapply(seq_along(random), function(t) {
    if (random[[t]]$structure == "us") found$Lambda[[t]] else theta[[as.character(t)]]
  })))
}

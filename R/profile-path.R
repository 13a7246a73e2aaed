# The path of a profile: points outwards from the estimate, about `delta` apart in zeta, until zeta
# reaches `cutoff` exactly or the parameter its limit.

# One row a point, in the order of the parameter: value, zeta, deviance, slope (of zeta), and the
# other natural parameters as a matrix; `ends` says what stopped each side: "level", "bound",
# "zero" (sigma, all but), "flat" (zeta rises no more), "infinite" (the estimate is), "points" (no
# more allowed) or "failed".
profile_path <- function(problem, deviance, cutoff, delta, maxpts, fill = TRUE) {
  problem$begin()
  first <- problem$solve(problem$estimate, problem$start)
  base <- min(deviance, first$deviance)
  first <- c(first, list(v = problem$estimate, zeta = 0, rise = NA_real_))
  sides <- lapply(c(-1, 1), function(direction) {
    problem$begin()
    profile_side(problem, first, base, direction, cutoff, delta, maxpts, fill)
  })
  points <- c(rev(sides[[1L]]$points), list(first), sides[[2L]]$points)
  points <- points[order(vapply(points, `[[`, 0, "v"))]
  column <- function(name) vapply(points, `[[`, 0, name)
  value <- column("v")
  zeta <- column("zeta")
  list(
    value = value, zeta = zeta, deviance = column("deviance"),
    slope = slope_at_estimate(value, zeta, column("rise")),
    natural = do.call(rbind, lapply(points, `[[`, "natural")),
    ends = c(sides[[1L]]$end, sides[[2L]]$end), base = base,
    state = points[[which.min(column("deviance"))]]$state,
    reached = all(vapply(points, function(p) isTRUE(p$decrement < 1e-4), NA))
  )
}

# The slope of zeta at the estimate, where 0 / 0 stands: from the points on both sides.
slope_at_estimate <- function(value, zeta, slope) {
  at <- match(0, zeta)
  sides <- intersect(at + c(-1L, 1L), seq_along(value))
  guess <- 2 * zeta[sides] / (value[sides] - value[at]) - slope[sides]
  guess <- guess[is.finite(guess) & guess > 0]
  if (length(guess)) slope[at] <- mean(guess)
  slope
}

profile_side <- function(problem, first, base, direction, cutoff, delta, maxpts, fill) {
  bound <- if (direction > 0) problem$upper else problem$lower
  points <- list(first)
  end <- if (first$v == bound) "bound" else "points"
  if (is_outwards(problem, direction)) end <- "infinite"
  step <- delta * problem$unit
  halvings <- flat <- 0L
  while (end == "points" && length(points) < maxpts) {
    last <- points[[length(points)]]
    v <- next_value(problem, last, step, direction, bound)
    if (problem$type == "sigma" && v < 1e-4 * first$v) { # the residual variance may be zero
      end <- "zero"
      break
    }
    point <- solve_at(problem, points, v, base, direction)
    if (!is.finite(point$deviance)) {
      step <- step / 4
      halvings <- halvings + 1L
      if (halvings < 8L) next
      end <- "failed"
      break
    }
    points <- c(points, list(point))
    if (direction * point$zeta >= cutoff) {
      end <- "level"
    } else if (v == bound) {
      end <- "bound"
    }
    flat <- if (abs(point$zeta - last$zeta) < 0.02 * delta) flat + 1L else 0L
    if (flat >= 6L && end == "points") {
      # Towards a limit it is followed to there; sigma, that cannot be zero, all but.
      if (problem$type == "sigma" && direction < 0) end <- "zero"
      if (!is.finite(bound)) end <- "flat"
    }
    taken <- abs(v - last$v)
    wanted <- min(delta, max(cutoff - direction * point$zeta, 0.2 * delta))
    step <- wanted / abs(point$rise)
    # Where the profile is flat, or turns back, it is followed with growing steps.
    if (!is.finite(step) || point$rise <= 0) step <- 2 * taken
    step <- min(step, 4 * taken)
  }
  if (end == "level") points <- reach_level(problem, points, base, direction, cutoff)
  if (fill) points <- fill_gaps(problem, points, base, direction, delta)
  list(points = points[-1L], end = end)
}

# Does the estimate of a coefficient lie at infinity in this direction?
is_outwards <- function(problem, direction) {
  identical(as.numeric(problem$infinite), as.numeric(direction))
}

# Standard deviations grow by factors; a step that would pass the limit ends there.
next_value <- function(problem, last, step, direction, bound) {
  v <- last$v
  log_scale <- problem$type %in% c("sd", "sigma", "var") && v > 0
  if (log_scale && (direction > 0 || problem$type == "sigma")) {
    return(v * exp(direction * min(step / v, 1)))
  }
  to <- v + direction * step
  passes <- direction * (to - bound) >= -0.05 * step
  if (is.finite(bound) && passes) bound else to
}

# The point at v, from the states of the points before, carried on in a straight line.
solve_at <- function(problem, points, v, base, direction) {
  distance <- vapply(points, function(p) abs(p$v - v), 0)
  near <- points[order(distance)[seq_len(min(2L, length(points)))]]
  state <- near[[1L]]$state
  if (length(near) == 2L && length(state)) {
    part <- (v - near[[1L]]$v) / (near[[1L]]$v - near[[2L]]$v)
    if (is.finite(part) && abs(part) <= 4) {
      state <- state + part * (state - near[[2L]]$state)
    }
  }
  point <- problem$solve(v, state)
  if (!is.finite(point$deviance)) point <- problem$solve(v, near[[1L]]$state)
  point$v <- v
  point$zeta <- direction * sqrt(max(point$deviance - base, 0))
  point$rise <- if (point$zeta != 0) point$slope / (2 * point$zeta) else NA_real_
  if (length(point$rise) != 1L || !is.finite(point$rise)) point$rise <- NA_real_
  point
}

# Puts a point at zeta = cutoff exactly: the end of the interval.
reach_level <- function(problem, points, base, direction, cutoff) {
  target <- direction * cutoff
  for (attempt in 1:10) {
    z <- vapply(points, `[[`, 0, "zeta")
    if (min(abs(z - target)) < 1e-8 * cutoff) break
    v <- vapply(points, `[[`, 0, "v")
    rise <- vapply(points, `[[`, 0, "rise")
    order_v <- order(direction * v)
    above <- order_v[which(direction * z[order_v] >= cutoff)[1L]]
    below <- order_v[match(above, order_v) - 1L]
    guess <- crossing(v[c(below, above)], z[c(below, above)], rise[c(below, above)], target)
    if (min(abs(v - guess)) <= 1e-12 * max(abs(v))) break
    point <- solve_at(problem, points, guess, base, direction)
    if (!is.finite(point$deviance)) break
    points <- c(points, list(point))
  }
  points[c(1L, 1L + order(direction * vapply(points[-1L], `[[`, 0, "v")))]
}

# Points between those that are too far apart in zeta.
fill_gaps <- function(problem, points, base, direction, delta) {
  for (round in 1:2) {
    points <- points[order(direction * vapply(points, `[[`, 0, "v"))]
    z <- vapply(points, `[[`, 0, "zeta")
    wide <- which(abs(diff(z)) > 2 * delta)
    for (i in wide) {
      v <- (points[[i]]$v + points[[i + 1L]]$v) / 2
      point <- solve_at(problem, points, v, base, direction)
      if (is.finite(point$deviance)) points <- c(points, list(point))
    }
    if (!length(wide)) break
  }
  points[order(direction * vapply(points, `[[`, 0, "v"))]
}

# Where zeta = target between two points, by the cubic through both with their slopes: zeta as a
# function of v, or v of zeta where zeta rises without limit (at a correlation of one).
crossing <- function(v, zeta, slope, target) {
  h <- diff(v)
  dz <- diff(zeta)
  if (h == 0 || dz == 0) {
    return(mean(v))
  }
  if (all(is.finite(slope))) {
    gap <- function(x) hermite(x, v, zeta, slope) - target
    ends <- c(gap(v[1L]), gap(v[2L]))
    if (any(ends == 0)) {
      return(v[ends == 0][1L])
    }
    if (prod(ends) < 0) {
      return(stats::uniroot(gap, range(v), tol = 1e-12 * max(abs(h), 1e-300), maxiter = 200)$root)
    }
  }
  # The estimate itself: the slope is that of the other point where nothing better is known.
  flat <- 1 / slope
  flat[!is.finite(flat)] <- h / dz
  guess <- hermite(target, zeta, v, flat)
  if ((guess - v[1L]) * (guess - v[2L]) <= 0) guess else v[1L] + (target - zeta[1L]) / dz * h
}

hermite <- function(x, at, value, slope) {
  h <- at[2L] - at[1L]
  t <- (x - at[1L]) / h
  (1 + 2 * t) * (1 - t)^2 * value[1L] + t * (1 - t)^2 * h * slope[1L] +
    t^2 * (3 - 2 * t) * value[2L] + t^2 * (t - 1) * h * slope[2L]
}

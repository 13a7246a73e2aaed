# The minimum over the free coordinates at one value of the parameter held: BFGS by the exact
# gradient, with the curvature that the points before left behind.

# `f(w)`: list(value, gradient). `curvature`: inverse of the Hessian near w. Returns list(w, value,
# gradient, curvature, decrement), the point with everything else that f() gives.
descend <- function(f, w, curvature, unit, tolerance, noise, limit = 60L) {
  at <- f(w)
  decrement <- Inf
  for (i in seq_len(limit)) {
    if (!is.finite(at$value) || !length(w)) break
    step <- -drop(curvature %*% at$gradient)
    decrement <- -sum(step * at$gradient)
    if (!is.finite(decrement) || decrement <= tolerance) break
    step <- step / max(1, abs(step) / (3 * unit))
    found <- line_search(f, w, at, step, noise)
    if (is.null(found)) break
    curvature <- bfgs_update(curvature, found$w - w, found$at$gradient - at$gradient)
    w <- found$w
    at <- found$at
  }
  if (!length(w)) decrement <- 0
  list(w = w, value = at$value, at = at, curvature = curvature, decrement = decrement)
}

line_search <- function(f, w, at, step, noise) {
  slope <- sum(step * at$gradient)
  length <- 1
  for (attempt in 1:25) {
    to <- w + length * step
    new <- f(to)
    if (is.finite(new$value) && all(is.finite(new$gradient))) {
      gain <- at$value - new$value
      if (gain >= -1e-4 * length * slope && gain > 0) {
        return(list(w = to, at = new))
      }
      # Below the rounding of the criterion the gradient decides.
      if (abs(gain) <= noise && abs(sum(step * new$gradient)) < 0.9 * abs(slope)) {
        return(list(w = to, at = new))
      }
      bend <- -gain - length * slope
      best <- if (bend > 0) -slope * length^2 / (2 * bend) else 0.5 * length
      length <- min(max(best, 0.1 * length), 0.5 * length)
    } else {
      length <- 0.25 * length
    }
  }
  NULL
}

bfgs_update <- function(inverse, dx, dg) {
  curvature <- sum(dx * dg)
  if (!is.finite(curvature) || curvature <= 1e-10 * sqrt(sum(dx^2) * sum(dg^2))) {
    return(inverse)
  }
  hy <- drop(inverse %*% dg)
  inverse + (1 + sum(dg * hy) / curvature) / curvature * tcrossprod(dx) -
    (tcrossprod(hy, dx) + tcrossprod(dx, hy)) / curvature
}

# Hessian of the criterion by differences of the gradient; `part`: central is twice the work.
difference_hessian <- function(gradient, x, step) {
  H <- vapply(seq_along(x), function(i) {
    h <- replace(numeric(length(x)), i, step[i])
    (gradient(x + h) - gradient(x - h)) / (2 * step[i])
  }, numeric(length(x)))
  H <- matrix(H, length(x), length(x))
  (H + t(H)) / 2
}

# Inverse of |H| in units of the coordinates, directions without curvature held back.
positive_inverse <- function(H, unit) {
  if (!length(unit)) {
    return(matrix(0, 0L, 0L))
  }
  scaled <- H * tcrossprod(unit)
  if (!all(is.finite(scaled))) {
    return(diag(unit^2, length(unit)))
  }
  e <- eigen(scaled, symmetric = TRUE)
  size <- pmax(abs(e$values), 1e-6 * max(abs(e$values)), 1e-8)
  V <- e$vectors * unit
  V %*% (t(V) / size)
}

# Coordinates that left a variance at zero although the criterion falls when it opens: w with the
# first of them opened, or NULL. The gradient there is zero whatever the truth.
opened <- function(f, w, unit, open) {
  for (i in open[abs(w[open]) < 1e-3 * unit[open]]) {
    to <- w
    to[i] <- 0.03 * unit[i]
    at <- f(to)
    if (is.finite(at$value) && isTRUE(at$gradient[i] < -1e-6)) {
      return(to)
    }
  }
  NULL
}

# Coordinates of a profile: one natural parameter v is held, the others move freely in coordinates w
# without limits, in which a variance of zero and a correlation of one are points like others. The
# factors are absolute, those of a linear model times sigma.
#
# Of an unstructured term the columns are put in an order in which v is an entry of the triangular
# factor (a standard deviation: the first) or the angle of its second row (a correlation).

# The part of one term: list(start(Lambda, theta), entries(v, w), gradient(v, w, g), unit, open).
# `held`: NULL, or list(type, at, row, column) of the parameter held, `at` its place in the term.
# `unit`: the size of the coordinates; `open`: those that at zero leave a variance at zero.
term_coordinates <- function(term, held, sds, triangular) {
  if (term$structure == "us") {
    return(factor_coordinates(length(term$columns), held, sds, triangular))
  }
  structured_coordinates(term, held, sds)
}

factor_coordinates <- function(p, held, sds, triangular) {
  type <- if (is.null(held)) "none" else held$type
  first <- switch(type, none = , sd = held$row, cor = , cov = c(held$column, held$row))
  order <- c(first, setdiff(seq_len(p), first))
  # A quadrature knows the triangular factor in the user's order only.
  turned <- FALSE
  if (triangular && any(order != seq_len(p))) {
    if (type == "sd" && held$row == 2L) {
      type <- "row"
      order <- seq_len(p)
    } else {
      turned <- TRUE
    }
  }
  cells <- which(lower.tri(diag(p), diag = TRUE), arr.ind = TRUE)
  special <- switch(type,
    none = integer(), sd = 1L, cor = , cov = c(1L, 2L, p + 2L), row = c(2L, p + 2L)
  )
  at <- (cells[, 2L] - 1L) * p + cells[, 1L]
  free <- setdiff(at, special)
  row_of <- (free - 1L) %% p + 1L
  column_of <- (free - 1L) %/% p + 1L
  units <- sds[order]
  inverse <- order(order)
  own <- special_entries(type, p, units)
  k <- length(own$unit)
  list(
    start = function(Lambda, theta) {
      L <- lower_factor(Lambda[order, , drop = FALSE])
      c(own$start(L), L[free])
    },
    entries = function(v, w) {
      L <- own$fill(matrix(0, p, p), v, w)
      L[free] <- w[k + seq_along(free)]
      L <- L[inverse, , drop = FALSE]
      as.vector(if (turned) lower_factor(L) else L)
    },
    gradient = function(v, w, g) {
      G <- matrix(g, p, p)
      if (turned) {
        L <- own$fill(matrix(0, p, p), v, w)
        L[free] <- w[k + seq_along(free)]
        G <- gradient_before_turn(G, L[inverse, , drop = FALSE])
      }
      G <- G[order, , drop = FALSE]
      part <- own$gradient(v, w, G)
      list(slope = part$slope, w = c(part$w, G[free]))
    },
    unit = c(own$unit, units[row_of]), open = c(own$open, k + which(row_of == column_of))
  )
}

# The entries that depend on the parameter held, and the coordinates that they take up.
special_entries <- function(type, p, unit) {
  nothing <- function(...) numeric()
  switch(type,
    none = list(
      start = nothing, fill = function(L, v, w) L, unit = numeric(), open = integer(),
      gradient = function(v, w, G) list(slope = numeric(), w = numeric())
    ),
    sd = list(
      start = nothing, unit = numeric(), open = integer(),
      fill = function(L, v, w) replace(L, 1L, v),
      gradient = function(v, w, G) list(slope = G[1L], w = numeric())
    ),
    cor = list( # L11 = w1^2, row 2 is w2^2 (v, sqrt(1 - v^2)): signs would turn the correlation
      start = function(L) sqrt(c(L[1L], sqrt(sum(L[2L, ]^2)))), unit = sqrt(unit[1:2]), open = 1:2,
      fill = function(L, v, w) {
        replace(L, c(1L, 2L, p + 2L), c(w[1L]^2, w[2L]^2 * v, w[2L]^2 * sqrt(1 - v^2)))
      },
      gradient = function(v, w, G) {
        across <- sqrt(1 - v^2)
        list(
          slope = w[2L]^2 * (G[2L, 1L] - v / across * G[2L, 2L]),
          w = 2 * w[1:2] * c(G[1L], v * G[2L, 1L] + across * G[2L, 2L])
        )
      }
    ),
    cov = list( # v over L11 stands at row 2, column 1
      start = function(L) c(L[1L], L[2L, 2L]), unit = unit[1:2], open = 2L,
      fill = function(L, v, w) replace(L, c(1L, 2L, p + 2L), c(w[1L], v / w[1L], w[2L])),
      gradient = function(v, w, G) {
        list(
          slope = G[2L, 1L] / w[1L], w = c(G[1L] - v / w[1L]^2 * G[2L, 1L], G[2L, 2L])
        )
      }
    ),
    row = list( # row 2 is v (cos w, sin w)
      start = function(L) atan2(L[2L, 2L], L[2L, 1L]), unit = 0.3, open = integer(),
      fill = function(L, v, w) replace(L, c(2L, p + 2L), v * c(cos(w[1L]), sin(w[1L]))),
      gradient = function(v, w, G) {
        list(
          slope = cos(w[1L]) * G[2L, 1L] + sin(w[1L]) * G[2L, 2L],
          w = v * (cos(w[1L]) * G[2L, 2L] - sin(w[1L]) * G[2L, 1L])
        )
      }
    )
  )
}

# diag: standard deviations; cs and ar1: their square roots (or one, as it is) and the angle of the
# correlation within its limits.
structured_coordinates <- function(term, held, sds) {
  roles <- theta_roles(list(term))
  k <- length(roles)
  size <- sds[if (sum(roles == "s") == 1L) 1L else seq_len(sum(roles == "s"))]
  roots <- roles == "s" & any(roles == "r") & !term$hom
  range <- rho_range(term)
  middle <- mean(range)
  half <- diff(range) / 2
  unit <- numeric(k)
  unit[roles == "s"] <- size
  unit[roots] <- sqrt(unit[roots])
  unit[roles == "r"] <- 0.3
  own <- if (is.null(held)) 0L else held$at
  free <- setdiff(seq_len(k), own)
  at_w <- function(v, w) {
    x <- numeric(k)
    x[free] <- w
    if (own > 0L) x[own] <- v
    x
  }
  list(
    start = function(Lambda, theta) {
      x <- theta
      x[roots] <- sqrt(abs(x[roots]))
      x[roles == "r"] <- asin(pmin(pmax((x[roles == "r"] - middle) / half, -1), 1))
      x[free]
    },
    entries = function(v, w) {
      x <- at_w(v, w)
      moved <- seq_len(k) != own
      x[roots & moved] <- x[roots & moved]^2
      angle <- roles == "r" & moved
      x[angle] <- middle + half * sin(x[angle])
      x
    },
    gradient = function(v, w, g) {
      x <- at_w(v, w)
      by <- rep(1, k)
      by[roots] <- 2 * x[roots]
      by[roles == "r"] <- half * cos(x[roles == "r"])
      list(slope = g[own], w = (g * by)[free])
    },
    unit = unit[free], open = which(free %in% which(roles == "s"))
  )
}

rho_range <- function(term) {
  low <- if (term$structure == "cs") -1 / (length(term$columns) - 1) else -1
  c(low, 1)
}

# L, lower triangular with a non-negative diagonal, with L L' = A A'; of any rank.
lower_factor <- function(A) {
  p <- nrow(A)
  L <- Q <- matrix(0, p, p)
  size <- sqrt(rowSums(A^2))
  for (i in seq_len(p)) {
    rest <- A[i, ]
    for (k in seq_len(i - 1L)) {
      L[i, k] <- sum(rest * Q[k, ])
      rest <- rest - L[i, k] * Q[k, ]
    }
    norm <- sqrt(sum(rest^2))
    if (norm > 1e-12 * size[i]) {
      L[i, i] <- norm
      Q[i, ] <- rest / norm
    }
  }
  L
}

# Derivative by any factor A from that by the triangular T = lower_factor(A): the adjoint of the
# Cholesky decomposition of A A'.
gradient_before_turn <- function(G, A) {
  L <- lower_factor(A)
  diag(L) <- pmax(diag(L), 1e-8 * max(diag(L)))
  P <- crossprod(L, G * lower.tri(G, diag = TRUE))
  P[upper.tri(P)] <- 0
  diag(P) <- diag(P) / 2
  inverse <- solve(L)
  crossprod(inverse, (P + t(P)) %*% inverse) %*% A
}

# The parameters of a fit as people read them: standard deviations, correlations, the residual
# standard deviation, fixed effects. Profiles, intervals and bootstraps share their names and order.

# Named numeric: the random effects term by term (the lower triangle of the correlation matrix by
# column, with standard deviations on its diagonal; of cs and ar1 the standard deviations, then the
# correlation), sigma of a linear model, the fixed effects, and of a generalised model the
# coefficients of dispersion (of its logarithm) and zero inflation and the shape.
natural_parameters <- function(fit) {
  stats::setNames(
    c(
      natural_random(fit$theta, fit$random, random_scale(fit)),
      if (inherits(fit, "pp_lmm")) fit$sigma,
      fit$coefficients,
      if (inherits(fit, "pp_glmm")) natural_extras(fit)
    ),
    natural_parameter_table(fit)$name
  )
}

# One row a parameter: name, type ("sd", "cor", "sigma", "fixed", "disp", "zi", "shape"), and for
# those of the random effects the number of the term and of its two columns (equal for "sd"; NA
# where all columns share the parameter).
natural_parameter_table <- function(fit) {
  random <- random_parameter_table(fit$random)
  general <- inherits(fit, "pp_glmm")
  extras <- if (general) names(natural_extras(fit))
  rest <- c(if (!general) "sigma", names(fit$coefficients), extras)
  type <- c(
    if (!general) "sigma", rep("fixed", length(fit$coefficients)), sub("[.].*", "", extras)
  )
  structure(
    list(
      name = c(random$name, rest), type = c(random$type, type),
      term = c(random$term, rep(NA_integer_, length(rest))),
      row = c(random$row, rep(NA_integer_, length(rest))),
      column = c(random$column, rep(NA_integer_, length(rest)))
    ),
    class = "data.frame", row.names = .set_row_names(length(random$name) + length(rest))
  )
}

random_parameter_table <- function(random) {
  groups <- vapply(random, function(term) term$group, "")
  parts <- lapply(seq_along(random), function(t) {
    cells <- term_parameters(random[[t]])
    cells$term <- rep(t, length(cells$type))
    cells
  })
  column <- function(name) unlist(lapply(parts, `[[`, name))
  name <- paste0(column("label"), "|", groups[column("term")])
  # The same column twice on one factor, in two terms: the second has the name of its own.
  again <- duplicated(name)
  own <- vapply(random, function(term) term$name, "")
  name[again] <- paste0(column("label"), "|", own[column("term")])[again]
  if (!length(random)) name <- character()
  list(
    name = name, type = as.character(column("type")), term = as.integer(column("term")),
    row = as.integer(column("row")), column = as.integer(column("column"))
  )
}

# Labels and columns of a term's parameters, in the order of its theta.
term_parameters <- function(term) {
  columns <- term$columns
  p <- length(columns)
  if (term$structure == "us") {
    column <- rep(seq_len(p), p:1)
    row <- sequence(p:1, seq_len(p))
    on_diagonal <- row == column
    label <- ifelse(
      on_diagonal, paste0("sd_", columns[row]),
      paste0("cor_", columns[row], ".", columns[column])
    )
    return(list(
      label = label, type = ifelse(on_diagonal, "sd", "cor"), row = row, column = column
    ))
  }
  shared <- term$hom && p > 1L
  sds <- if (shared) paste0(columns[1L], "..", columns[p]) else columns
  at <- if (shared) NA_integer_ else seq_len(p)
  rho <- if (term$structure != "diag") term$structure
  list(
    label = c(paste0("sd_", sds), if (length(rho)) paste0("cor_", rho)),
    type = c(rep("sd", length(sds)), if (length(rho)) "cor"),
    row = c(at, if (length(rho)) NA_integer_), column = c(at, if (length(rho)) NA_integer_)
  )
}

# Standard deviations and correlations of `theta`, in its order; `scale` as random_scale() gives it.
natural_random <- function(theta, random, scale) {
  at <- 0L
  values <- lapply(random, function(term) {
    p <- length(term$columns)
    k <- length(theta_roles(list(term)))
    own <- theta[at + seq_len(k)]
    at <<- at + k
    if (term$structure != "us") {
      sds <- theta_roles(list(term)) == "s"
      return(ifelse(sds, scale * abs(own), own))
    }
    factor <- matrix(0, p, p)
    factor[lower.tri(factor, diag = TRUE)] <- own
    natural_of_factor(factor, scale)
  })
  as.numeric(unlist(values))
}

# Standard deviations and correlations of a covariance with a factor, triangular or not. Not from
# the variances: the square of a number in extreme units may not exist.
natural_of_factor <- function(factor, scale) {
  size <- apply(abs(factor), 1L, max)
  rows <- factor / ifelse(size > 0, size, 1)
  norm <- sqrt(rowSums(rows^2))
  value <- tcrossprod(rows / norm)
  diag(value) <- scale * size * norm
  value[lower.tri(value, diag = TRUE)]
}

# Coefficients of dispersion and zero inflation and the shape, as far as they are estimated.
natural_extras <- function(fit) {
  disp <- if (!isTRUE(fit$dispersion$fixed)) fit$dispersion$coefficients
  zi <- fit$zi$coefficients
  if (length(disp)) names(disp) <- paste0("disp.", names(disp))
  if (length(zi)) names(zi) <- paste0("zi.", names(zi))
  shape <- free_shape(fit)
  c(disp, zi, if (length(shape)) c(shape = shape[[1L]]))
}

# The random terms of a fit as lme4 has them: the columns of `(x || g)` are terms of their own, and
# the factors are relative to the residual standard deviation, as far as there is one.

# A list of terms in lme4's order: group, label (as it is written), columns, codes, levels, z,
# assign, contrasts, kernel (the loading, or NULL), factor (relative), b (levels x columns),
# diagonal (have only the variances parameters?), at (where those stand in the theta of the fit).
lme4_terms <- function(fit) {
  last <- cumsum(vapply(fit$random, function(term) length(theta_roles(list(term))), 0L))
  scale <- factor_scale(fit)
  reversed <- terms_were_sorted(fit)
  parts <- lapply(seq_along(fit$random), function(t) {
    term <- fit$random[[t]]
    at <- seq(c(0L, last)[t] + 1L, length.out = last[t] - c(0L, last)[t])
    whole <- whole_lme4_term(fit, term, fit$Lambda[[t]] / scale, fit$b[[t]], at)
    if (!is_double_bar(term)) {
      return(list(whole))
    }
    columns <- seq_along(term$columns)
    lapply(if (reversed) rev(columns) else columns, function(k) one_column(whole, k))
  })
  unlist(parts, recursive = FALSE)
}

# What scales the relative factors of lme4: sigma, as far as the family has one for all rows. The
# factors of a linear model are relative as they stand.
factor_scale <- function(fit) {
  if (!inherits(fit, "pp_glmm")) {
    return(1)
  }
  scale <- residual_scale(fit)
  if (max(scale) - min(scale) > 1e-12 * max(scale)) 1 else scale[1L]
}

is_double_bar <- function(term) {
  term$structure == "diag" && !term$hom && is.call(term$expr) &&
    identical(term$expr[[1L]], quote(`||`)) && length(term$columns) > 1L
}

# lme4 reverses ties when it sorts terms by their numbers of levels: also the columns of a `||`.
terms_were_sorted <- function(fit) {
  if (!any(vapply(fit$random, is_double_bar, NA))) {
    return(FALSE)
  }
  bars <- split_formula(fit$formula, need_response = FALSE)$bars
  written <- vapply(bars, function(bar) label_of(bar$group), "")
  groups <- vapply(fit$random, function(term) term$group, "")
  sizes <- vapply(fit$random, function(term) length(term$levels), 0L)
  any(diff(sizes[match(written, groups)]) > 0L, na.rm = TRUE)
}

whole_lme4_term <- function(fit, term, factor, b, at) {
  left <- inner_bar(term$expr)[[2L]]
  assign <- if (!is.null(term$z)) column_assignment(fit, term)
  list(
    group = term$group, label = paste(label_of(left), "|", term$group), columns = term$columns,
    codes = term$codes, levels = term$levels, z = term$z, assign = assign,
    contrasts = term$z_contrasts, kernel = if (has_kernel(term)) term$kernel$loading,
    factor = unname(factor), b = unname(b), at = at,
    diagonal = term$structure == "diag"
  )
}

one_column <- function(term, k) {
  intercept <- term$columns[k] == "(Intercept)"
  left <- if (intercept) "1" else paste("0 +", term$columns[k])
  term$label <- paste(left, "|", term$group)
  term["z"] <- list(if (!intercept) term$z[, k, drop = FALSE])
  term["assign"] <- list(if (!intercept) 1L)
  term$columns <- term$columns[k]
  term$factor <- term$factor[k, k, drop = FALSE]
  term$b <- term$b[, k, drop = FALSE]
  term$at <- term$at[k]
  term
}

column_assignment <- function(fit, term) {
  labels <- attr(term$z_terms, "term.labels")
  found <- term_columns_by_label(fit, term)[term$columns]
  match(found, c("(Intercept)", labels)) - 1L
}

plain_factor <- function(term) term$factor

# S on the diagonal, the unit lower triangle T below it.
unit_factor <- function(term) {
  s <- diag(term$factor)
  both <- term$factor / rep(s, each = length(s))
  diag(both) <- s
  both
}

lower_entries <- function(term) lower.tri(term$factor, diag = TRUE)

# Entries of the factors: those that are free, or for `diag()` and structures all of the triangle.
factor_entries <- function(term) {
  if (term$diagonal) diag(nrow(term$factor)) > 0 else lower_entries(term)
}

relative_theta <- function(terms) {
  values <- lapply(terms, function(term) term$factor[factor_entries(term)])
  stats::setNames(as.numeric(unlist(values)), theta_labels(terms))
}

theta_labels <- function(terms) {
  as.character(unlist(lapply(terms, function(term) {
    names <- outer(term$columns, term$columns, paste, sep = ".")
    diag(names) <- term$columns
    paste(term$group, names[factor_entries(term)], sep = ".")
  })))
}

theta_bounds <- function(terms) {
  bounds <- lapply(terms, function(term) {
    ifelse(diag(nrow(term$factor)) > 0, 0, -Inf)[factor_entries(term)]
  })
  stats::setNames(as.numeric(unlist(bounds)), theta_labels(terms))
}

# The parameters of the covariance structures: theta, except for `cs()`, `ar1()` and homogeneous
# variances, which have fewer.
lme4_parameters <- function(fit, terms) {
  at <- parameter_index(terms)
  scale <- ifelse(theta_roles(fit$random) == "r", 1, factor_scale(fit))
  (fit$theta / scale)[at]
}

parameter_index <- function(terms) {
  as.integer(unlist(lapply(terms, function(term) term$at)))
}

# Lambda' as lme4 stores it: with a kernel its rows are the independent effects.
relative_Lambdat <- function(terms) {
  blocks <- lapply(terms, function(term) {
    p <- length(term$columns)
    if (!is.null(term$kernel)) {
      return(Matrix::t(Matrix::kronecker(term$kernel, term$factor)))
    }
    entries <- which(factor_entries(term), arr.ind = TRUE)
    shift <- rep((seq_along(term$levels) - 1L) * p, each = nrow(entries))
    Matrix::sparseMatrix(
      i = entries[, 2L] + shift, j = entries[, 1L] + shift,
      x = rep(term$factor[entries], length(term$levels)),
      dims = rep(p * length(term$levels), 2L)
    )
  })
  if (!length(blocks)) {
    return(Matrix::sparseMatrix(i = integer(), j = integer(), x = numeric(), dims = c(0L, 0L)))
  }
  Lambdat <- Matrix::bdiag(blocks)
  methods::as(methods::as(Lambdat, "generalMatrix"), "CsparseMatrix")
}

# Lambdat@x is theta[Lind].
theta_index <- function(fit, terms) {
  if (any_kernel(fit)) {
    pp_abort("argument", c(
      x = "There is no {.val Lind}: with a kernel the entries of Lambda are not those of theta.",
      ">" = "Use {.val Lambda} as it is."
    ))
  }
  before <- 0L
  index <- lapply(terms, function(term) {
    entries <- factor_entries(term)
    number <- matrix(0L, nrow(entries), ncol(entries))
    number[entries] <- before + seq_len(sum(entries))
    before <<- before + sum(entries)
    # By columns of Lambda', which are rows of the factor.
    rep(t(number)[t(entries)], length(term$levels))
  })
  as.integer(unlist(index))
}

matrix_of_effects <- function(terms) {
  b <- as.numeric(unlist(lapply(terms, function(term) t(term$b))))
  methods::as(Matrix::Matrix(b, length(b), 1L, sparse = FALSE), "unpackedMatrix")
}

# u with b = Lambda u: the shortest, as the mode lies in the row space of Lambda.
spherical_vector <- function(terms) {
  as.numeric(unlist(lapply(terms, function(term) {
    s <- svd(term$factor)
    kept <- s$d > max(s$d, 0) * 1e-10
    inverse <- s$v[, kept, drop = FALSE] %*% (t(s$u[, kept, drop = FALSE]) / s$d[kept])
    u <- inverse %*% t(term$b)
    if (is.null(term$kernel)) u else t(solve_loading(term$kernel, t(u)))
  })))
}
